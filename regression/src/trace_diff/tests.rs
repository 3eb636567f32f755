//! Traces are compared as people would, and sums always add up.

use model::{Endpoint, Kind, SpanId, TraceId};
use proptest::prelude::*;

use super::*;

/// A span of a trace: identifier, parent (0 is none), service and name, kind, begin and duration.
fn span(id: u64, parent: u64, at: (&str, &str), kind: Option<Kind>, time: (u64, u64)) -> Span {
    Span {
        trace_id: TraceId::new(0, 7).unwrap(),
        parent_id: Some(SpanId::new(parent)).filter(|_| parent != 0),
        id: SpanId::new(id),
        kind,
        name: Some(at.1.to_owned()).filter(|name| !name.is_empty()),
        timestamp: Some(1_000_000 + time.0),
        duration: Some(time.1).filter(|&duration| duration > 0),
        local_endpoint: Some(Endpoint {
            service_name: Some(at.0.to_owned()),
            ..Endpoint::default()
        }),
        remote_endpoint: None,
        annotations: Vec::new(),
        tags: Vec::new(),
        debug: false,
        shared: false,
    }
}

fn local(id: u64, parent: u64, name: &str, time: (u64, u64)) -> Span {
    span(id, parent, ("web", name), None, time)
}

/// Name, where it is, change on the critical path.
fn rows(diff: &TraceDiff) -> Vec<(u32, &str, Presence, i64)> {
    let rows = diff.spans.iter();
    rows.map(|row| {
        (
            row.depth,
            row.operation.span_name.as_str(),
            row.presence,
            row.path_time_change,
        )
    })
    .collect()
}

#[test]
fn calls_are_matched_by_operation_and_order_and_the_rest_is_on_one_side() {
    let baseline = [
        local(1, 0, "root", (0, 100)),
        local(2, 1, "read", (10, 20)),
        local(3, 1, "old", (40, 10)),
        local(4, 3, "below", (42, 5)),
        local(5, 1, "read", (60, 20)),
    ];
    let candidate = [
        local(11, 0, "root", (5, 160)),
        local(12, 11, "new", (8, 2)),
        local(13, 11, "read", (15, 50)),
        local(14, 11, "read", (70, 20)),
        local(15, 11, "read", (100, 25)),
    ];
    let diff = diff(&baseline, &candidate).unwrap();
    use Presence::{Baseline, Both, Candidate};
    assert_eq!(
        rows(&diff),
        [
            (0, "root", Both, 63 - 50),
            (1, "new", Candidate, 2),
            (1, "read", Both, 30),
            (1, "old", Baseline, -5),
            (2, "below", Baseline, -5),
            (1, "read", Both, 0),
            (1, "read", Candidate, 25),
        ]
    );
    assert_eq!(diff.change, 60);
    assert_eq!(
        diff.totals,
        Totals {
            both: 43,
            baseline_only: -10,
            candidate_only: 27
        }
    );
    let read = &diff.operations[0];
    assert_eq!(
        (
            read.operation.span_name.as_str(),
            read.baseline_count,
            read.candidate_count,
            read.path_time_change
        ),
        ("read", 2, 3, 55)
    );
    let first_read = &diff.spans[2];
    assert_eq!(
        (first_read.duration_change, first_read.self_time_change),
        (Some(30), Some(30))
    );
    assert_eq!(diff.spans[4].parent, Some(3));
}

#[test]
fn the_same_name_of_another_service_or_kind_is_another_operation() {
    let client = span(2, 1, ("web", "get"), Some(Kind::Client), (10, 20));
    let server = span(2, 1, ("web", "get"), Some(Kind::Server), (10, 20));
    let elsewhere = span(2, 1, ("shop", "get"), Some(Kind::Client), (10, 20));
    let root = local(1, 0, "root", (0, 100));
    for other in [server, elsewhere] {
        let diff = diff(&[root.clone(), client.clone()], &[root.clone(), other]).unwrap();
        assert_eq!(diff.spans.len(), 3);
        assert_eq!(diff.totals.both, 0);
        assert_eq!((diff.totals.baseline_only, diff.totals.candidate_only), (-20, 20));
    }
}

#[test]
fn traces_without_a_root_or_times_are_compared_as_far_as_they_go() {
    let untimed = Span {
        timestamp: None,
        duration: None,
        ..local(1, 0, "root", (0, 1))
    };
    let headless = [local(2, 1, "read", (0, 30)), local(3, 1, "write", (40, 30))];
    let diff = diff(&[untimed], &headless).unwrap();
    assert_eq!(
        (diff.baseline.duration, diff.candidate.duration),
        (None, Some(30))
    );
    assert_eq!(diff.change, 30);
    assert_eq!(rows(&diff).len(), 3);
    let root = diff.spans[2].baseline.as_ref().unwrap();
    assert_eq!((root.duration, root.self_time, root.path_time), (None, None, 0));
}

#[test]
fn a_trace_that_is_too_long_is_named() {
    let long: Vec<Span> = (1..=DIFF_SPANS_MAX as u64 + 1)
        .map(|id| local(id, id - 1, "deep", (id, 100_000)))
        .collect();
    let one = [local(1, 0, "root", (0, 1))];
    let too_many = TooManySpans {
        side: "candidate",
        spans: DIFF_SPANS_MAX + 1,
    };
    assert_eq!(diff(&one, &long).unwrap_err(), too_many);
    let deep = diff(&one, &long[..DIFF_SPANS_MAX]).unwrap();
    let deepest = deep.spans.iter().map(|row| row.depth as usize).max();
    assert_eq!(deepest, Some(DIFF_SPANS_MAX - 1));
}

fn any_span() -> impl Strategy<Value = Span> {
    let kinds = prop_oneof![
        Just(None),
        Just(Some(Kind::Client)),
        Just(Some(Kind::Server)),
        Just(Some(Kind::Producer)),
        Just(Some(Kind::Consumer)),
    ];
    let names = (
        prop::sample::select(vec!["a", "b"]),
        prop::sample::select(vec!["", "x", "y"]),
    );
    (
        1..30u64,
        0..30u64,
        names,
        kinds,
        (0..200u64, 0..120u64),
        any::<(bool, bool)>(),
    )
        .prop_map(|(id, parent, at, kind, time, (shared, timed))| Span {
            shared: shared && kind != Some(Kind::Client),
            timestamp: Some(1_000_000 + time.0).filter(|_| timed),
            ..span(id, if parent == id { 0 } else { parent }, at, kind, time)
        })
}

proptest! {
    #[test]
    fn changes_add_up_to_the_difference_of_the_durations(
        baseline in prop::collection::vec(any_span(), 1..40),
        candidate in prop::collection::vec(any_span(), 1..40),
    ) {
        let diff = diff(&baseline, &candidate).unwrap();
        let durations = [&diff.baseline, &diff.candidate].map(|side| side.duration.unwrap_or(0) as i64);
        prop_assert_eq!(diff.change, durations[1] - durations[0]);
        let Totals { both, baseline_only, candidate_only } = diff.totals;
        prop_assert_eq!(both + baseline_only + candidate_only, diff.change);
        prop_assert!(baseline_only <= 0 && candidate_only >= 0);
        prop_assert_eq!(diff.operations.iter().map(|row| row.path_time_change).sum::<i64>(), diff.change);
        prop_assert_eq!(diff.spans.iter().map(|row| row.path_time_change).sum::<i64>(), diff.change);
    }

    #[test]
    fn every_span_is_in_one_row_below_its_parent(
        baseline in prop::collection::vec(any_span(), 1..40),
        candidate in prop::collection::vec(any_span(), 1..40),
    ) {
        let diff = diff(&baseline, &candidate).unwrap();
        let count = |of: fn(&SpanDiff) -> bool| diff.spans.iter().filter(|row| of(row)).count();
        prop_assert_eq!(count(|row| row.baseline.is_some()), diff.baseline.span_count);
        prop_assert_eq!(count(|row| row.candidate.is_some()), diff.candidate.span_count);
        for (index, row) in diff.spans.iter().enumerate() {
            let above = row.parent.map(|parent| &diff.spans[parent as usize]);
            prop_assert!(row.parent.is_none_or(|parent| (parent as usize) < index));
            prop_assert_eq!(row.depth, above.map_or(0, |above| above.depth + 1));
            if let Some(above) = above {
                prop_assert!(row.baseline.is_none() || above.baseline.is_some());
                prop_assert!(row.candidate.is_none() || above.candidate.is_some());
            }
        }
    }

    #[test]
    fn a_trace_does_not_differ_from_itself_in_any_order(spans in prop::collection::vec(any_span(), 1..40)) {
        let backwards: Vec<Span> = spans.iter().rev().cloned().collect();
        let diff = diff(&spans, &backwards).unwrap();
        prop_assert_eq!(diff.totals, Totals::default());
        prop_assert!(diff.spans.iter().all(|row| row.presence == Presence::Both && row.path_time_change == 0));
    }
}

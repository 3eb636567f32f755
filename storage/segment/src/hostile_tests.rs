//! Traces that are too large, values without bound, identifiers all equal: answers are right, and nothing goes on
//! for ever.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use model::{Kind, Span, SpanId, TraceId};
use storage::{Completeness, Dependencies, Order, StorageError, TraceQuery, TraceQueryBuilder};

use crate::compact::compact;
use crate::config::Limits;
use crate::rollup::links_of;
use crate::seal::{Quiet, seal};
use crate::store::Store;
use crate::testing::{Machine, batch_of, span, spans_of};
use crate::view::{Reading, sort_distinct};
use crate::{dependencies, search};

/// Microseconds.
const START: u64 = 1_600_000_000_000_000;
const HOUR: u64 = 3_600_000_000;

fn small_parts() -> Limits {
    Limits {
        part_spans_max: 50,
        segment_spans_max: 2000,
        ..Limits::default()
    }
}

fn seal_everything(store: &Store) {
    let frozen = store.freeze();
    seal(store, &frozen, Quiet::Everything).unwrap();
}

/// Joins what can be joined; gives how often.
fn join_everything(store: &Store) -> usize {
    let mut joined = 0;
    while compact(store, |_, _| false).unwrap() {
        joined += 1;
        assert!(joined < 20, "compaction does not end");
    }
    joined
}

fn in_window(query: TraceQueryBuilder) -> TraceQuery {
    let query = TraceQueryBuilder {
        end_ts: ((START + HOUR) / 1000) as i64,
        lookback: (2 * HOUR / 1000) as i64,
        limit: 10,
        ..query
    };
    query.build().unwrap()
}

fn find(store: &Store, query: TraceQueryBuilder) -> storage::Found {
    let view = store.view();
    let mut reading = Reading::new(&view, store.limits.trace_spans_max);
    search::search(&mut reading, &in_window(query), true, &AtomicBool::new(false)).unwrap()
}

fn links(store: &Store) -> Dependencies {
    let view = store.view();
    let mut reading = Reading::new(&view, store.limits.trace_spans_max);
    dependencies::dependencies(
        &mut reading,
        &store.link_sums(),
        (START - HOUR, START + HOUR),
        &AtomicBool::new(false),
    )
    .unwrap()
}

/// Spans of one trace: calls of `cart` from `web`, each with a tag of its own.
fn calls(trace: u64, numbers: std::ops::Range<u64>) -> Vec<Span> {
    let call = |number: u64| {
        let mut span = Span {
            kind: Some(Kind::Server),
            annotations: Vec::new(),
            tags: vec![("number".to_owned(), number.to_string())],
            ..span(trace, number + 1, START + number)
        };
        std::mem::swap(&mut span.local_endpoint, &mut span.remote_endpoint);
        span
    };
    numbers.map(call).collect()
}

/// A span of another trace, no call.
fn other(trace: u64, timestamp: u64) -> Span {
    Span {
        kind: None,
        remote_endpoint: None,
        ..span(trace, 1, timestamp)
    }
}

/// Whatever is asked about the calls of trace 1, the answer is right.
fn check_calls(store: &Store, count: u64) {
    let mut expected = calls(1, 0..count);
    sort_distinct(&mut expected);
    assert!(spans_of(store, 1) == expected, "trace 1 is not what was stored");
    for order in [Order::Newest, Order::Slowest, Order::Errors] {
        let found = find(
            store,
            TraceQueryBuilder {
                annotation_query: Some(format!("number=0 and number={}", count - 1)),
                service_name: Some("cart".to_owned()),
                order,
                ..Default::default()
            },
        );
        assert!(found.traces == [&expected[..]], "by {order:?}");
        assert_eq!(found.completeness, Completeness::Complete);
    }
    let whole = Dependencies {
        links: links_of(&expected).links(),
        completeness: Completeness::Complete,
    };
    assert_eq!(links(store), whole);
}

#[test]
fn a_trace_too_large_for_a_segment_is_written_in_parts_and_answered_whole() {
    let machine = Machine::new(small_parts());
    let store = machine.open();
    for numbers in [0..90, 90..330] {
        machine.accept(&store, &batch_of(&calls(1, numbers)));
    }
    machine.accept(&store, &batch_of(&[other(2, START), other(3, START + 400)]));
    check_calls(&store, 330);
    seal_everything(&store);
    let spans = |store: &Store| -> BTreeSet<u64> {
        let view = store.view();
        view.segments.iter().map(|s| s.footer().summary.spans).collect()
    };
    assert_eq!(spans(&store), [2, 30, 50].into());
    assert_eq!(store.view().segments.len(), 8);
    check_calls(&store, 330);
    assert_eq!(join_everything(&store), 0, "parts are never joined");
    drop(store);
    let store = machine.crash().open();
    check_calls(&store, 330);
    store
        .view()
        .segments
        .iter()
        .for_each(|segment| segment.verify().unwrap());
}

#[test]
fn parts_that_grow_too_large_when_joined_are_cut_again_once() {
    let machine = Machine::new(small_parts());
    let store = machine.open();
    for seal in 0..6 {
        machine.accept(&store, &batch_of(&calls(1, seal * 30..seal * 30 + 30)));
        machine.accept(&store, &batch_of(&[other(10 + seal, START + seal)]));
        seal_everything(&store);
        check_calls(&store, seal * 30 + 30);
    }
    assert_eq!(join_everything(&store), 1);
    let view = store.view();
    assert_eq!(
        view.segments.len(),
        5,
        "180 spans in parts of 50, and the other traces"
    );
    check_calls(&store, 180);
    machine.accept(&store, &batch_of(&calls(1, 180..190)));
    check_calls(&store, 190);
}

#[test]
fn parts_are_bounded_in_bytes() {
    let machine = Machine::new(Limits {
        part_bytes_max: 100_000,
        ..Limits::default()
    });
    let store = machine.open();
    let value = |number: u64| Span {
        tags: vec![("body".to_owned(), number.to_string().repeat(40_000))],
        ..span(1, number, START + number)
    };
    let expected: Vec<Span> = (1..=9).map(value).collect();
    for spans in expected.chunks(2) {
        machine.accept(&store, &batch_of(spans));
        seal_everything(&store);
    }
    assert!(spans_of(&store, 1) == expected);
    assert_eq!(join_everything(&store), 1);
    let view = store.view();
    assert!(view.segments.iter().all(|segment| segment.raw_bytes() < 110_000));
    assert_eq!(view.segments.len(), 5, "two values fit, three do not");
    assert!(spans_of(&store, 1) == expected);
}

#[test]
fn a_trace_that_never_ends_is_refused_by_itself_and_told() {
    let machine = Machine::new(Limits {
        trace_spans_max: 100,
        ..small_parts()
    });
    let store = machine.open();
    machine.accept(&store, &batch_of(&calls(1, 0..100)));
    machine.accept(&store, &batch_of(&[other(2, START)]));
    check_calls(&store, 100);
    machine.accept(&store, &batch_of(&calls(1, 100..101)));
    for _sealed in [false, true] {
        let view = store.view();
        let error = Reading::new(&view, 100).spans_of(1).unwrap_err();
        assert!(
            matches!(&error, StorageError::Unsupported(reason) if reason.contains("0000000000000001 has 101 spans")),
            "{error}"
        );
        let found = find(&store, TraceQueryBuilder::default());
        assert_eq!(found.traces, [spans_of(&store, 2)]);
        assert!(matches!(found.completeness, Completeness::Partial(reason) if reason.contains("101 spans")));
        let calls = links(&store);
        assert_eq!(calls.links, [], "in part, calls would be counted of nothing");
        assert!(matches!(calls.completeness, Completeness::Partial(reason) if reason.contains("101 spans")));
        seal_everything(&store);
    }
}

/// What a client may send, though no good one would.
fn hostile_spans() -> Vec<Span> {
    let endless = |text: &str| text.repeat(1 << 20);
    let mut spans = Vec::new();
    for timestamp in [None, Some(1), Some(START), Some(i64::MAX as u64)] {
        for duration in [None, Some(1), Some(i64::MAX as u64)] {
            spans.push(Span {
                timestamp,
                duration,
                ..span(1, 1, START)
            });
        }
    }
    for number in 0..30 {
        let tags = (0..200).map(|tag| (format!("key-{number}-{tag:03}"), format!("{number}-{tag}")));
        spans.push(Span {
            tags: tags.collect(),
            ..span(2 + number % 2, 7, START + number)
        });
    }
    spans.push(Span {
        tags: vec![("body".to_owned(), endless("x"))],
        name: Some(endless("n")),
        ..span(4, 1, START)
    });
    // Begins when it should, and goes on for ever.
    spans.push(span(5, 1, START));
    spans.push(Span {
        parent_id: Some(SpanId::new(1)),
        ..span(5, 2, i64::MAX as u64 - 1)
    });
    spans.push(Span {
        trace_id: TraceId::new(u64::MAX, u64::MAX).unwrap(),
        ..span(1, u64::MAX, START)
    });
    spans
}

#[test]
fn hostile_spans_are_answered_as_they_came() {
    let mut machine = Machine::new(Limits::default());
    let mut store = machine.open();
    let mut expected = hostile_spans();
    expected.sort();
    machine.accept(&store, &batch_of(&hostile_spans()));
    for round in 0..3 {
        let mut found: Vec<Span> = [1, 2, 3, 4, 5, u64::MAX]
            .iter()
            .flat_map(|&low| spans_of(&store, low))
            .collect();
        found.sort();
        assert!(found == expected, "round {round}");
        for order in [Order::Newest, Order::Slowest, Order::Errors] {
            let found = find(
                &store,
                TraceQueryBuilder {
                    annotation_query: Some("key-29-199=29-199".to_owned()),
                    order,
                    ..Default::default()
                },
            );
            let low: Vec<_> = found.traces.iter().map(|trace| trace[0].trace_id.low()).collect();
            assert_eq!(low, [3], "round {round}, by {order:?}");
            let any = TraceQueryBuilder {
                order,
                ..Default::default()
            };
            let all = find(&store, any.clone());
            let matching = expected.chunk_by(|a, b| a.trace_id == b.trace_id);
            let matching = matching.filter(|trace| in_window(any.clone()).matches(trace));
            assert_eq!(
                (all.traces.len(), matching.count()),
                (5, 5),
                "round {round}, by {order:?}"
            );
        }
        if round == 0 {
            seal_everything(&store);
        } else {
            drop(store);
            machine = machine.crash();
            store = machine.open();
        }
    }
}

#[test]
fn names_without_bound_are_counted_and_searched_all_the_same() {
    let machine = Machine::new(Limits::default());
    let store = machine.open();
    const NAMES: u64 = 21_000;
    let named = |number: u64| Span {
        name: Some(format!("name-{number}")),
        ..span(number + 1, 1, START + number)
    };
    let spans: Vec<Span> = (0..NAMES).map(named).collect();
    spans
        .chunks(1000)
        .for_each(|spans| machine.accept(&store, &batch_of(spans)));
    for _sealed in [false, true] {
        let names = store.view().names(|names, chosen| {
            let web = names.services.get("web");
            chosen.extend(web.iter().flat_map(|names| names.spans.iter().cloned()));
        });
        assert_eq!(names.len(), 20_000);
        for number in [0, NAMES - 1] {
            let found = find(
                &store,
                TraceQueryBuilder {
                    span_name: Some(format!("name-{number}")),
                    ..Default::default()
                },
            );
            assert_eq!(found.traces, [[named(number)]]);
        }
        if !store.view().segments.is_empty() {
            break;
        }
        seal_everything(&store);
    }
    let left_out = store
        .counters
        .names_left_out
        .load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(left_out, 1000);
}

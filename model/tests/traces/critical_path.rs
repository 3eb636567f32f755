//! Pieces of the critical path add up, whatever the trace, and are where the rule says.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use model::{CriticalPath, Interval, Span, SpanTree, Timeline, merge};
use proptest::prelude::*;

use crate::spans::{Describe, any_trace, client, server, span};

fn timeline(spans: &[Span]) -> Timeline {
    Timeline::build(spans, &SpanTree::build(spans))
}

pub(crate) fn path(spans: &[Span]) -> CriticalPath {
    CriticalPath::of(&timeline(spans)).expect("some span is timed")
}

/// The pieces as (span index, start, end).
fn pieces(spans: &[Span]) -> Vec<(usize, u64, u64)> {
    path(spans)
        .pieces()
        .iter()
        .map(|piece| (piece.span, piece.interval.start, piece.interval.end))
        .collect()
}

fn self_times(spans: &[Span]) -> Vec<Option<u64>> {
    let timeline = timeline(spans);
    (0..spans.len()).map(|index| timeline.self_time(index)).collect()
}

#[test]
fn calls_one_after_another_are_all_on_the_path() {
    let trace = [
        server(1).at(100, 100),
        client(2).below(1).at(110, 30),
        server(2).below(1).shared().on("b").at(115, 20),
        client(3).below(1).at(150, 40),
    ];
    let expected = [
        (0, 100, 110),
        (1, 110, 115),
        (2, 115, 135),
        (1, 135, 140),
        (0, 140, 150),
        (3, 150, 190),
        (0, 190, 200),
    ];
    assert_eq!(pieces(&trace), expected);
    assert_eq!(self_times(&trace), [Some(30), Some(10), Some(20), Some(40)]);
    assert_eq!(timeline(&trace).cut().share(), 0.0);
}

#[test]
fn of_parallel_calls_the_last_to_end_is_waited_for() {
    let trace = [
        span(1).at(100, 100),
        span(2).below(1).at(110, 50),
        span(3).below(1).at(120, 60),
    ];
    assert_eq!(
        pieces(&trace),
        [(0, 100, 110), (1, 110, 120), (2, 120, 180), (0, 180, 200)]
    );
    // Both ran for most of the time, so the parent's own is what neither covers.
    assert_eq!(self_times(&trace), [Some(30), Some(50), Some(60)]);
}

#[test]
fn of_calls_that_end_together_the_first_to_start_is_waited_for() {
    let trace = [
        span(1).at(100, 100),
        span(2).below(1).at(130, 50),
        span(3).below(1).at(120, 60),
    ];
    assert_eq!(pieces(&trace), [(0, 100, 120), (2, 120, 180), (0, 180, 200)]);
}

#[test]
fn children_are_cut_to_their_parents() {
    // One outlives the parent, one began before it, one ran after it: work that nobody waits for.
    let trace = [
        span(1).at(100, 100),
        span(2).below(1).at(180, 50),
        span(3).below(1).at(90, 30),
        span(4).below(1).at(300, 50),
        span(5).below(4).at(310, 10),
    ];
    assert_eq!(pieces(&trace), [(2, 100, 120), (0, 120, 180), (1, 180, 200)]);
    assert_eq!(
        self_times(&trace),
        [Some(60), Some(50), Some(30), Some(40), Some(10)]
    );
    let cut = timeline(&trace).cut();
    assert_eq!((cut.reported_micros, cut.cut_micros), (140, 90));
    assert!((cut.share() - 90.0 / 140.0).abs() < 1e-12);
}

#[test]
fn spans_without_times_are_looked_through() {
    let trace = [
        span(1).at(100, 100),
        span(2).below(1).at(110, 0),
        span(3).below(2).at(120, 30),
        span(4).below(3).at(0, 5),
    ];
    assert_eq!(pieces(&trace), [(0, 100, 120), (2, 120, 150), (0, 150, 200)]);
    assert_eq!(self_times(&trace), [Some(70), None, Some(30), None]);
}

#[test]
fn without_a_timed_root_the_entry_is_the_first_to_start() {
    let trace = [
        span(2).below(1).at(120, 10),
        span(3).below(1).at(110, 10),
        span(4).below(1).at(110, 30),
        span(5).below(1),
    ];
    assert_eq!(path(&trace).entry(), 2);
    assert_eq!(pieces(&trace), [(2, 110, 140)]);
    let untimed_root = [span(1), span(2).below(1).at(120, 10), span(3).below(1).at(110, 5)];
    assert_eq!(path(&untimed_root).entry(), 2);
    assert!(CriticalPath::of(&timeline(&[span(1), span(2).below(1).at(5, 0)])).is_none());
    assert!(CriticalPath::of(&timeline(&[])).is_none());
}

#[test]
fn a_deep_and_a_wide_trace_take_no_recursion_and_no_square() {
    const SPANS: u64 = 100_000;
    let start = 1_000_000;
    let deep: Vec<_> = (0..SPANS)
        .map(|n| {
            Span {
                parent_id: None,
                ..span(n + 1)
            }
            .at(start + n, 2 * (SPANS - n))
        })
        .enumerate()
        .map(|(n, span)| if n == 0 { span } else { span.below(n as u64) })
        .collect();
    assert_eq!(path(&deep).duration(), 2 * SPANS);
    assert_eq!(path(&deep).pieces().len(), 2 * deep.len() - 1);
    let mut wide: Vec<_> = (2..SPANS)
        .map(|id| span(id).below(1).at(start + id % 997, SPANS))
        .collect();
    wide.push(span(1).at(start, SPANS));
    assert_eq!(path(&wide).duration(), SPANS);
    assert_eq!(timeline(&wide).self_time(wide.len() - 1), Some(0));
}

#[test]
fn the_greatest_times_do_not_overflow() {
    let most = i64::MAX as u64;
    let trace = [span(1).at(most, most), span(2).below(1).at(most - 5, most)];
    assert_eq!(path(&trace).duration(), most);
    assert_eq!(
        pieces(&trace),
        [(1, most, 2 * most - 5), (0, 2 * most - 5, 2 * most)]
    );
}

#[test]
fn clipping_never_turns_an_interval_around() {
    let window = Interval { start: 10, end: 20 };
    let clipped = |start, end| {
        let Interval { start, end } = Interval { start, end }.clip(window);
        (start, end)
    };
    assert_eq!(
        (clipped(12, 15), clipped(5, 25), clipped(5, 12)),
        ((12, 15), (10, 20), (10, 12))
    );
    assert_eq!((clipped(1, 5), clipped(30, 40)), ((10, 10), (20, 20)));
}

/// The rule word for word, slow and recursive: microseconds of each span within a window.
fn by_the_rule(timeline: &Timeline, span: usize, window: Interval, micros: &mut BTreeMap<usize, u64>) {
    let mut now = window.end;
    let mut own = 0;
    let mut left: Vec<_> = timeline.children(span).collect();
    while now > window.start {
        left.retain(|(_, child)| child.start < now && child.end > window.start);
        let last = left.iter().max_by_key(|(index, child)| {
            (
                child.end.min(now),
                Reverse(child.start),
                child.end,
                Reverse(*index),
            )
        });
        let Some(&(index, child)) = last else { break };
        let end = child.end.min(now);
        own += now - end;
        now = child.start.max(window.start);
        by_the_rule(timeline, index, Interval { start: now, end }, micros);
    }
    *micros.entry(span).or_default() += own + (now - window.start);
}

proptest! {
    #[test]
    fn pieces_add_up_on_any_trace(trace in any_trace(40)) {
        let spans = merge(&trace);
        let timeline = Timeline::build(&spans, &SpanTree::build(&spans));
        let Some(path) = CriticalPath::of(&timeline) else {
            prop_assert!((0..spans.len()).all(|index| timeline.interval(index).is_none()));
            return Ok(());
        };
        let entry = timeline.interval(path.entry()).unwrap();
        prop_assert_eq!(path.duration(), spans[path.entry()].duration.unwrap());
        let mut now = entry.start;
        for piece in path.pieces() {
            let own = timeline.interval(piece.span).unwrap();
            prop_assert_eq!(piece.interval.start, now);
            prop_assert!(piece.interval.duration() > 0);
            prop_assert_eq!(piece.interval.clip(own), piece.interval);
            now = piece.interval.end;
        }
        prop_assert_eq!(now, entry.end);
        let mut expected = BTreeMap::new();
        by_the_rule(&timeline, path.entry(), entry, &mut expected);
        expected.retain(|_, micros| *micros > 0);
        let mut found = BTreeMap::new();
        for piece in path.pieces() {
            *found.entry(piece.span).or_insert(0) += piece.interval.duration();
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn self_time_is_what_no_child_covers(trace in any_trace(30)) {
        let spans = merge(&trace);
        let timeline = Timeline::build(&spans, &SpanTree::build(&spans));
        for index in 0..spans.len() {
            let counted = timeline.interval(index).map(|own| {
                let covered = |now: &u64| timeline.children(index).any(|(_, child)| (child.start..child.end).contains(now));
                (own.start..own.end).filter(|now| !covered(now)).count() as u64
            });
            prop_assert_eq!(timeline.self_time(index), counted);
        }
    }
}

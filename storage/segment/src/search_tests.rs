//! Searches while the store changes below them, at exactly the moments that matter.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use model::{Span, SpanId};
use storage::{Completeness, TraceQuery, TraceQueryBuilder};

use crate::candidates::Candidates;
use crate::compact::compact;
use crate::config::Limits;
use crate::seal::{Quiet, seal};
use crate::search::search;
use crate::store::Store;
use crate::testing::{Machine, batch_of, span};
use crate::view::Reading;

const BEGIN_US: u64 = 1_600_000_000_000_000;
const DAY_US: u64 = 86_400_000_000;

/// Traces of a minute that meet the conditions.
fn query(conditions: &str) -> TraceQuery {
    let builder = TraceQueryBuilder {
        annotation_query: Some(conditions.to_owned()),
        end_ts: (BEGIN_US / 1000) as i64 + 30_000,
        lookback: 60_000,
        limit: 10,
        ..TraceQuery::builder()
    };
    builder.build().unwrap()
}

fn tagged(trace: u64, id: u64, timestamp: u64, tag: &str) -> Span {
    let mut span = span(trace, id, timestamp);
    span.tags = vec![(tag.to_owned(), trace.to_string())];
    span
}

/// The traces that a search finds, by their low identifiers.
fn found(store: &Store, query: &TraceQuery) -> Vec<u64> {
    let view = store.view();
    let found = search(
        &mut Reading::new(&view, u64::MAX),
        query,
        true,
        &AtomicBool::new(false),
    );
    let found = found.unwrap();
    assert_eq!(found.completeness, Completeness::Complete);
    found.traces.iter().map(|trace| trace[0].trace_id.low()).collect()
}

fn seal_all(store: &Store) {
    let frozen = store.freeze();
    seal(store, &frozen, Quiet::Everything).unwrap();
}

/// A joined segment has a lesser number than those that were sealed while it was written, and comes after them.
#[test]
fn a_segment_that_comes_after_those_of_greater_numbers_is_asked_for_its_stragglers() {
    let machine = Machine::new(Limits {
        compaction_segments_min: 2,
        ..Limits::default()
    });
    let store = machine.open();
    // Of trace 1 the segment that the window touches has one part, and one that it does not touch has the other.
    machine.accept(&store, &batch_of(&[tagged(1, 1, BEGIN_US, "first")]));
    seal_all(&store);
    machine.clock.fetch_add(2 * 3_600_000, Ordering::SeqCst);
    let late = |trace: u64, tag: &str| {
        let mut span = tagged(trace, 2, BEGIN_US + DAY_US + trace, tag);
        span.parent_id = Some(SpanId::new(1));
        span
    };
    for traces in [100..130, 200..230] {
        let mut spans: Vec<Span> = traces.map(|trace| late(trace, "other")).collect();
        spans.push(late(1, "second"));
        machine.accept(&store, &batch_of(&spans));
        seal_all(&store);
    }
    let both = query("first=1 and second=1");
    assert_eq!(found(&store, &both), [1]);

    let looks = Cell::new(0);
    let joined = compact(&store, |store, _| {
        looks.set(looks.get() + 1);
        // By the second look the joined segment has its number.
        if looks.get() == 2 {
            machine.accept(store, &batch_of(&[late(300, "other")]));
            seal_all(store);
            assert_eq!(found(store, &both), [1]);
        }
        false
    });
    assert_eq!(joined, Ok(true));
    let view = store.view();
    let mut segments: Vec<(u64, u32)> = view
        .segments
        .iter()
        .map(|segment| (segment.number(), segment.footer().summary.traces))
        .collect();
    segments.sort_unstable();
    assert_eq!(
        segments,
        [(1, 1), (4, 61), (5, 1)],
        "the joined one was not the last to get its number"
    );
    assert_eq!(found(&store, &both), [1]);
}

/// What is known of a trace in one generation is not all any more, once a span of it has come into another.
#[test]
fn a_trace_that_comes_into_a_second_generation_during_a_search_stays_a_candidate() {
    let machine = Machine::new(Limits::default());
    let store = machine.open();
    // Of several, so that its shape leaves the value open.
    let spans: Vec<Span> = (1..400)
        .rev()
        .map(|trace| tagged(trace, 1, BEGIN_US, "first"))
        .collect();
    machine.accept(&store, &batch_of(&spans));
    store.freeze();
    let (query, cancelled) = (query("first=1"), AtomicBool::new(false));
    let view = store.view();
    let mut reading = Reading::new(&view, u64::MAX);
    let mut candidates = Candidates::new(&query, &cancelled);
    let in_head = candidates.of_head(&mut reading).unwrap();
    let candidate = in_head.iter().find(|candidate| candidate.low == 1).unwrap();
    assert!(candidate.is_whole && candidates.is_open(candidate));
    // Into the generation that takes spans, which the search's view has, too.
    let mut late = tagged(1, 2, BEGIN_US + 1, "other");
    late.tags.push(("error".to_owned(), String::new()));
    late.tags.sort();
    machine.accept(&store, &batch_of(&[late]));
    assert_eq!(
        candidates.look(&reading, candidate, true),
        Some(1),
        "found, with its error"
    );
    assert_eq!(found(&store, &query), [1]);
}

//! What sealing may let go of in the journal, and what it must not.

use std::sync::atomic::Ordering;

use model::SpanBatch;

use crate::config::Limits;
use crate::seal::{Quiet, seal};
use crate::store::{GENERATIONS, Store};
use crate::testing::{Machine, batch_of, span, spans_of};
use storage_record as record;

fn batch(trace: u64, id: u64) -> SpanBatch {
    batch_of(&[span(trace, id, 1_600_000_000_000_000)])
}

fn ids(store: &Store, trace: u64) -> Vec<u64> {
    let mut ids: Vec<_> = spans_of(store, trace)
        .iter()
        .map(|span| span.id.value())
        .collect();
    ids.sort_unstable();
    ids
}

#[test]
fn records_of_the_active_generation_are_kept() {
    let machine = Machine::new(Limits::default());
    let store = machine.open();
    machine.accept(&store, &batch(1, 1));
    let frozen = store.freeze();
    machine.accept(&store, &batch(2, 2));
    seal(&store, &frozen, Quiet::Everything).unwrap();
    assert_eq!((ids(&store, 1), ids(&store, 2)), (vec![1], vec![2]));
    assert_eq!(store.view().segments.len(), 1);
    drop(store);
    let store = machine.crash().open();
    assert_eq!((ids(&store, 1), ids(&store, 2)), (vec![1], vec![2]));
}

#[test]
fn records_on_their_way_into_the_head_are_kept() {
    let machine = Machine::new(Limits::default());
    let store = machine.open();
    machine.accept(&store, &batch(1, 1));
    {
        // As `accept` stands between the journal and the head.
        let _ticket = store.ticket();
        store
            .journal
            .append(record::encode(&batch(2, 2)))
            .unwrap()
            .wait()
            .unwrap();
        let frozen = store.freeze();
        seal(&store, &frozen, Quiet::Everything).unwrap();
    }
    drop(store);
    let store = machine.crash().open();
    assert_eq!((ids(&store, 1), ids(&store, 2)), (vec![1], vec![2]));
}

#[test]
fn traces_that_are_still_arriving_are_carried_over_and_hold_their_records() {
    let machine = Machine::new(Limits::default());
    let store = machine.open();
    machine.accept(&store, &batch(1, 1));
    machine.clock.fetch_add(60_000, Ordering::SeqCst);
    machine.accept(&store, &batch(2, 2));
    let frozen = store.freeze();
    seal(&store, &frozen, Quiet::For(30_000)).unwrap();
    assert_eq!(store.view().segments[0].footer().summary.traces, 1);
    assert_eq!((ids(&store, 1), ids(&store, 2)), (vec![1], vec![2]));
    drop(store);
    let machine = machine.crash();
    let store = machine.open();
    assert_eq!(
        (ids(&store, 1), ids(&store, 2)),
        (vec![1], vec![2]),
        "after a crash"
    );

    // A trace that is carried over again and again must not hold the records of others.
    machine.accept(&store, &batch(3, 3));
    let frozen = store.freeze();
    let before = store.journal.checkpoint();
    machine.clock.fetch_add(31_000, Ordering::SeqCst);
    machine.accept(&store, &batch(3, 4));
    seal(&store, &frozen, Quiet::For(30_000)).unwrap();
    assert!(store.journal.checkpoint() > before);
    assert_eq!(store.view().active.spans(), 1, "quiet traces are sealed");
    assert_eq!(ids(&store, 3), [3, 4], "one part in a segment, one in the head");
    let frozen = store.freeze();
    seal(&store, &frozen, Quiet::Everything).unwrap();
    assert_eq!(
        store.journal.checkpoint(),
        store.journal.end(),
        "nothing in memory needs the journal"
    );
    let stragglers: usize = store
        .view()
        .segments
        .iter()
        .map(|segment| segment.stragglers().len())
        .sum();
    assert_eq!(stragglers, 1);
}

/// Spans in memory, and in segments.
fn counted(store: &Store) -> (u64, u64) {
    let view = store.view();
    let sealed = view.segments.iter().map(|segment| segment.footer().summary.spans);
    (view.active.spans(), sealed.sum())
}

#[test]
fn what_a_trace_holds_in_the_journal_comes_again_after_a_crash_and_is_counted_twice_until_it_is_sealed() {
    let machine = Machine::new(Limits::default());
    let store = machine.open();
    machine.accept(&store, &batch(1, 1));
    machine.accept(&store, &batch(2, 2));
    machine.clock.fetch_add(31_000, Ordering::SeqCst);
    machine.accept(&store, &batch(1, 3));
    let frozen = store.freeze();
    seal(&store, &frozen, Quiet::For(30_000)).unwrap();
    assert_eq!(counted(&store), (2, 1), "the second trace is sealed");
    drop(store);
    let machine = machine.crash();
    let store = machine.open();
    assert_eq!(
        counted(&store),
        (3, 1),
        "its record lies behind one that is still needed"
    );
    assert_eq!((ids(&store, 1), ids(&store, 2)), (vec![1, 3], vec![2]));
    let frozen = store.freeze();
    seal(&store, &frozen, Quiet::Everything).unwrap();
    assert_eq!(counted(&store), (0, 3));
    assert_eq!((ids(&store, 1), ids(&store, 2)), (vec![1, 3], vec![2]));
}

#[test]
fn a_failed_seal_changes_nothing_and_can_be_repeated() {
    let machine = Machine::new(Limits::default());
    let store = machine.open();
    machine.accept(&store, &batch(1, 1));
    let frozen = store.freeze();
    machine.disk.fail_after(1);
    assert!(seal(&store, &frozen, Quiet::Everything).is_err());
    assert_eq!((ids(&store, 1), store.view().segments.len()), (vec![1], 0));
    machine.disk.heal();
    seal(&store, &frozen, Quiet::Everything).unwrap();
    assert_eq!(
        (
            ids(&store, 1),
            store.view().frozen.len(),
            store.view().segments.len()
        ),
        (vec![1], 0, 1)
    );
}

#[test]
fn a_generation_that_fills_while_another_is_sealed_fills_no_further() {
    let machine = Machine::new(Limits::default());
    let mut store = machine.open();
    // The memory of a generation of one small trace is its share.
    machine.accept(&store, &batch(1, 1));
    let of_one = store.view().active.bytes();
    store.config.head_bytes_max = of_one * GENERATIONS;
    let first = store.freeze();
    machine.accept(&store, &batch(2, 2));
    seal(&store, &first, Quiet::Everything).unwrap();
    let view = store.view();
    let second = view.frozen.first().expect("what was full is frozen");
    assert_eq!((second.spans(), view.active.spans()), (1, 0));
    store.config.head_bytes_max = of_one * GENERATIONS * 10;
    machine.accept(&store, &batch(3, 3));
    seal(&store, second, Quiet::Everything).unwrap();
    let view = store.view();
    assert_eq!(
        (view.frozen.len(), view.active.spans()),
        (0, 1),
        "this one was not"
    );
    assert_eq!(
        (ids(&store, 1), ids(&store, 2), ids(&store, 3)),
        (vec![1], vec![2], vec![3])
    );
}

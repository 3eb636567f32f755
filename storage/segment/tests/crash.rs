//! The machine may stop at any write: what was acknowledged is there afterwards, once, and nothing else is.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Span, SpanBatch, SpanId, TraceId};
use storage::{SpanSink, SpanSource, StorageError};
use storage_journal::LossyDisk;
use storage_segment::SegmentStore;
use tokio::runtime::Runtime;

mod support;
#[path = "support/synced.rs"]
mod synced;

use synced::{config, runtime};

const TRACES: u64 = 6;

fn span(trace: u64, id: u64) -> Span {
    Span {
        trace_id: TraceId::new(0, trace).expect("traces are numbered from 1"),
        parent_id: None,
        id: SpanId::new(id),
        kind: None,
        name: Some(format!("name-{}", id % 3)),
        timestamp: Some(1_600_000_000_000_000 + id),
        duration: Some(id),
        local_endpoint: Some(model::Endpoint {
            service_name: Some("web".into()),
            ..Default::default()
        }),
        remote_endpoint: None,
        annotations: Vec::new(),
        tags: vec![("number".into(), id.to_string())],
        debug: false,
        shared: false,
    }
}

/// What became of a scenario: spans that were acknowledged, and spans that were sent at all.
#[derive(Default)]
struct Outcome {
    acknowledged: BTreeSet<Span>,
    sent: BTreeSet<Span>,
}

/// Stores, seals, joins and restarts until it is done or the disk gives up.
fn scenario(runtime: &Runtime, disk: &LossyDisk) -> Outcome {
    let mut outcome = Outcome::default();
    let mut id = 0;
    for _restart in 0..2 {
        let Ok(store) = SegmentStore::open_on(Arc::new(disk.clone()), config()) else {
            return outcome;
        };
        for batch_number in 0..10 {
            let mut batch = SpanBatch::new();
            for trace in 1..=TRACES {
                id += 1;
                let span = span(trace, id);
                batch.push_span(&span);
                outcome.sent.insert(span);
            }
            if runtime.block_on(store.accept(&batch)).is_ok() {
                outcome
                    .acknowledged
                    .extend(batch.iter().map(|span| span.to_span()));
            }
            if batch_number % 2 == 1 {
                // It fails when the disk does; then spans stay in the head and the journal.
                let _sealed_or_not = store.seal_all();
            }
        }
    }
    outcome
}

/// Opens what a crash left and compares.
fn check(runtime: &Runtime, disk: LossyDisk, outcome: &Outcome, context: &str) {
    let store = match SegmentStore::open_on(Arc::new(disk), config()) {
        Ok(store) => store,
        Err(error) => panic!("{context}: cannot be opened: {error}"),
    };
    assert_eq!(store.opened().set_aside, [""; 0], "{context}");
    let mut found = Vec::new();
    for trace in 1..=TRACES {
        let trace_id = TraceId::new(0, trace).expect("not zero");
        found.extend(
            runtime
                .block_on(store.trace(trace_id))
                .unwrap_or_else(|error| panic!("{context}: {error}")),
        );
    }
    let distinct: BTreeSet<Span> = found.iter().cloned().collect();
    assert_eq!(distinct.len(), found.len(), "{context}: a span is there twice");
    let lost = outcome.acknowledged.difference(&distinct).count();
    assert_eq!(lost, 0, "{context}: acknowledged spans are lost");
    assert!(
        distinct.is_subset(&outcome.sent),
        "{context}: spans that nobody sent"
    );
    store
        .verify()
        .unwrap_or_else(|error| panic!("{context}: {error}"));
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_machine_stops() {
    let runtime = runtime();
    let whole = LossyDisk::new();
    let outcome = scenario(&runtime, &whole);
    assert_eq!(
        outcome.acknowledged, outcome.sent,
        "without faults everything is acknowledged"
    );
    check(&runtime, whole.crash(0), &outcome, "no fault");
    let operations = whole.operations();
    assert!(
        operations > 100,
        "only {operations} operations: the scenario does too little"
    );
    for stop in 0..operations {
        let disk = LossyDisk::new();
        disk.fail_after(stop);
        let outcome = scenario(&runtime, &disk);
        for seed in 0..3 {
            check(
                &runtime,
                disk.crash(seed),
                &outcome,
                &format!("stopped after {stop} operations, seed {seed}"),
            );
        }
    }
}

/// Three segments, and spans in the journal only: sealing makes a fourth, and joins them.
fn about_to_join(runtime: &Runtime, disk: &LossyDisk) -> Outcome {
    let mut outcome = Outcome::default();
    let store = SegmentStore::open_on(Arc::new(disk.clone()), config()).expect("an empty disk");
    for id in 1..=4 {
        let mut batch = SpanBatch::new();
        batch.push_span(&span(id % TRACES + 1, id));
        runtime.block_on(store.accept(&batch)).expect("room");
        outcome.acknowledged.insert(span(id % TRACES + 1, id));
        if id < 4 {
            store.seal_all().expect("a segment");
        }
    }
    outcome.sent = outcome.acknowledged.clone();
    outcome
}

#[test]
fn a_process_killed_while_it_joins_and_a_loss_of_power_while_it_starts_again_lose_nothing() {
    let runtime = runtime();
    // Up to where a joined segment has its place in the manifest and the files it replaces are gone.
    for stop in 8..40 {
        let mut joined = 0;
        for stop_again in 0..10 {
            let disk = LossyDisk::new();
            let outcome = about_to_join(&runtime, &disk);
            let store = SegmentStore::open_on(Arc::new(disk.clone()), config()).expect("a store");
            disk.fail_after(stop);
            let _killed = store.seal_all();
            joined += store.stats().compactions;
            drop(store);
            disk.heal();
            disk.fail_after(stop_again);
            drop(SegmentStore::open_on(Arc::new(disk.clone()), config()));
            for seed in 0..4 {
                let context = format!("killed after {stop} and {stop_again} operations, seed {seed}");
                check(&runtime, disk.crash(seed), &outcome, &context);
            }
        }
        if joined > 0 {
            assert!(stop > 15, "{stop}: the scenario does too little");
            return;
        }
    }
    panic!("nothing was joined");
}

#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    let runtime = runtime();
    let disk = LossyDisk::new();
    let store = SegmentStore::open_on(Arc::new(disk.clone()), config()).expect("an empty disk");
    let batch = |id: u64| {
        let mut batch = SpanBatch::new();
        batch.push_span(&Span {
            name: Some("x".repeat(100_000)),
            ..span(1, id)
        });
        batch
    };
    runtime.block_on(store.accept(&batch(1))).expect("room");
    disk.fill_up(1 << 20);
    let mut accepted = 1;
    let refusal = loop {
        match runtime.block_on(store.accept(&batch(accepted + 1))) {
            Ok(()) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 10_000, "a disk of a megabyte takes everything");
    };
    assert!(
        matches!(
            &refusal,
            StorageError::Unavailable(_) | StorageError::Overloaded(_)
        ),
        "{refusal}"
    );
    let trace_id = TraceId::new(0, 1).expect("not zero");
    let ids = |spans: Vec<Span>| spans.iter().map(|span| span.id.value()).collect::<Vec<_>>();
    let expected: Vec<u64> = (1..=accepted).collect();
    assert_eq!(
        ids(runtime.block_on(store.trace(trace_id)).expect("a trace")),
        expected
    );
    assert!(store.seal_all().is_err(), "there is no room for a segment");
    disk.heal();
    runtime
        .block_on(store.accept(&batch(accepted + 1)))
        .expect("room again");
    store.seal_all().expect("room for a segment");
    drop(store);
    let store = SegmentStore::open_on(Arc::new(disk), config()).expect("a store");
    let expected: Vec<u64> = (1..=accepted + 1).collect();
    assert_eq!(
        ids(runtime.block_on(store.trace(trace_id)).expect("a trace")),
        expected
    );
}

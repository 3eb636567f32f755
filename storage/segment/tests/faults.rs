//! The disk fails once, anywhere, or fills up, and works again: the store goes on, and a crash afterwards finds
//! everything.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use model::{Span, SpanBatch, SpanId, TraceId};
use storage::{Completeness, SpanSink, SpanSource, StoreOptions};
use storage_journal::{Disk, SyncPolicy};
use storage_segment::{SegmentConfig, SegmentStore};
use tokio::runtime::Runtime;

#[path = "support/flaky_disk.rs"]
mod flaky_disk;
mod support;

use flaky_disk::FlakyDisk;

const TRACES: u64 = 4;
const BATCHES: u64 = 12;

fn config() -> SegmentConfig {
    SegmentConfig {
        sync: SyncPolicy::Always,
        ..support::config(Path::new(""), StoreOptions::default())
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn span(trace: u64, id: u64) -> Span {
    Span {
        trace_id: TraceId::new(0, trace).expect("traces are numbered from 1"),
        parent_id: None,
        id: SpanId::new(id),
        kind: None,
        name: Some("get".to_owned()),
        timestamp: Some(1_600_000_000_000_000 + id),
        duration: Some(id),
        local_endpoint: None,
        remote_endpoint: None,
        annotations: Vec::new(),
        tags: vec![("number".into(), id.to_string())],
        debug: false,
        shared: false,
    }
}

/// Stores and seals; gives what was acknowledged.
fn scenario(runtime: &Runtime, store: &SegmentStore) -> BTreeSet<u64> {
    let mut acknowledged = BTreeSet::new();
    for batch_number in 0..BATCHES {
        let mut batch = SpanBatch::new();
        let ids: Vec<u64> = (1..=TRACES).map(|trace| batch_number * TRACES + trace).collect();
        for (trace, &id) in (1..=TRACES).zip(&ids) {
            batch.push_span(&span(trace, id));
        }
        if runtime.block_on(store.accept(&batch)).is_ok() {
            acknowledged.extend(ids);
        }
        // It fails once; then spans stay in the head and the journal.
        let _sealed_or_not = store.seal_all();
    }
    acknowledged
}

fn found(runtime: &Runtime, store: &SegmentStore) -> Vec<u64> {
    let spans = (1..=TRACES).flat_map(|trace| {
        let trace_id = TraceId::new(0, trace).expect("not zero");
        runtime.block_on(store.trace(trace_id)).expect("a trace")
    });
    let mut ids: Vec<u64> = spans.map(|span| span.id.value()).collect();
    ids.sort_unstable();
    ids
}

/// Files of segments that a store does not know of.
fn leftovers(store: &SegmentStore, disk: &dyn Disk) -> usize {
    let files = disk.list("segments").expect("a directory of segments");
    files.len().saturating_sub(store.stats().segments as usize)
}

#[test]
fn a_disk_that_fails_once_anywhere_costs_nothing() {
    let runtime = runtime();
    let whole = FlakyDisk::new(u64::MAX);
    let store = SegmentStore::open_on(Arc::new(whole.clone()), config()).expect("an empty disk");
    let all: BTreeSet<u64> = (1..=BATCHES * TRACES).collect();
    assert_eq!(scenario(&runtime, &store), all);
    assert!(store.stats().compactions > 1);
    drop(store);
    let operations = whole.operations();
    assert!(
        operations > 100,
        "only {operations} operations: the scenario does too little"
    );
    for failing in 0..operations {
        let disk = FlakyDisk::new(failing);
        let Ok(store) = SegmentStore::open_on(Arc::new(disk.clone()), config()) else {
            assert!(failing < 10, "operation {failing}: an opening does less");
            continue;
        };
        assert_eq!(scenario(&runtime, &store), all, "operation {failing}");
        let everything: Vec<u64> = all.iter().copied().collect();
        assert_eq!(found(&runtime, &store), everything, "operation {failing}");
        for seed in 0..3 {
            let after = disk.inner.crash(seed);
            let store = SegmentStore::open_on(Arc::new(after.clone()), config())
                .unwrap_or_else(|error| panic!("operation {failing}, seed {seed}: {error}"));
            let context = format!("operation {failing}, seed {seed}");
            assert_eq!(found(&runtime, &store), everything, "{context}: after a crash");
            assert_eq!(store.completeness(), Completeness::Complete, "{context}");
            assert_eq!(leftovers(&store, &after), 0, "{context}: files are left over");
            store
                .verify()
                .unwrap_or_else(|error| panic!("{context}: {error}"));
        }
    }
}

#[test]
fn a_crash_right_after_the_failure_loses_nothing() {
    let runtime = runtime();
    let whole = FlakyDisk::new(u64::MAX);
    let store = SegmentStore::open_on(Arc::new(whole.clone()), config()).expect("an empty disk");
    scenario(&runtime, &store);
    drop(store);
    for failing in 0..whole.operations() {
        let disk = FlakyDisk::new(failing);
        let Ok(store) = SegmentStore::open_on(Arc::new(disk.clone()), config()) else {
            continue;
        };
        let mut id = 0;
        let crashed = loop {
            let mut batch = SpanBatch::new();
            id += 1;
            batch.push_span(&span(id % TRACES + 1, id));
            runtime.block_on(store.accept(&batch)).expect("a journal");
            let sealed = store.seal_all();
            if sealed.is_err() || disk.operations() > failing + 50 {
                break disk.inner.clone();
            }
        };
        for seed in 0..8 {
            let store = SegmentStore::open_on(Arc::new(crashed.crash(seed)), config())
                .unwrap_or_else(|error| panic!("operation {failing}, seed {seed}: {error}"));
            let expected: Vec<u64> = (1..=id).collect();
            assert_eq!(
                found(&runtime, &store),
                expected,
                "operation {failing}, seed {seed}"
            );
            assert_eq!(
                store.completeness(),
                Completeness::Complete,
                "operation {failing}, seed {seed}"
            );
        }
    }
}

#[test]
fn a_full_disk_stops_sealing_and_joining_and_leaves_nothing_behind() {
    let runtime = runtime();
    let disk = FlakyDisk::new(u64::MAX);
    let store = SegmentStore::open_on(Arc::new(disk.clone()), config()).expect("an empty disk");
    let accept = |ids: std::ops::RangeInclusive<u64>| {
        let mut batch = SpanBatch::new();
        ids.for_each(|id| batch.push_span(&span(id % TRACES + 1, id)));
        runtime.block_on(store.accept(&batch))
    };
    for id in 1..=3 {
        accept(id..=id).expect("room");
        store.seal_all().expect("room for a segment");
    }
    accept(4..=4).expect("room");
    let used: u64 = ["", "segments", "journal"]
        .iter()
        .flat_map(|directory| disk.list(directory).expect("a directory"))
        .map(|(_, bytes)| bytes)
        .sum();
    // Room for none of it, for some of a segment, for the segment but not for the joined one.
    for room in [0, 100, 300, 900, 1200] {
        disk.inner.fill_up(used + room);
        let sealed = store.seal_all();
        if room < 300 {
            assert!(sealed.is_err(), "{room} bytes are room enough");
        }
        assert_eq!(leftovers(&store, &disk), 0, "{room}: {sealed:?}");
        assert_eq!(found(&runtime, &store), [1, 2, 3, 4], "{room}: {sealed:?}");
    }
    disk.inner.heal();
    accept(5..=5).expect("room again");
    store.seal_all().expect("room again");
    let stats = store.stats();
    assert_eq!((stats.head_spans, stats.compactions), (0, 1), "{stats:?}");
    assert_eq!(found(&runtime, &store), [1, 2, 3, 4, 5]);
    assert_eq!(leftovers(&store, &disk), 0);
}

//! The disk fails once, anywhere, or fills up, and works again: the store goes on, and a crash afterwards finds
//! everything.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Span, SpanBatch, SpanId, TraceId};
use storage::{Completeness, SpanSink, SpanSource};
use storage_journal::{Disk, LossyDisk};
use storage_segment::{Retention, SegmentConfig, SegmentStore};
use tokio::runtime::Runtime;

#[path = "support/flaky_disk.rs"]
mod flaky_disk;
mod support;
#[path = "support/synced.rs"]
mod synced;

use flaky_disk::FlakyDisk;
use synced::{config, runtime};

const TRACES: u64 = 4;
const BATCHES: u64 = 12;

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

/// Asserts that there is a file for each segment, and no other.
fn check_files(store: &SegmentStore, disk: &dyn Disk, context: &str) {
    let files = disk.list("segments").expect("a directory of segments");
    assert_eq!(files.len() as u64, store.stats().segments, "{context}: {files:?}");
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
            check_files(&store, &after, &context);
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

/// Three segments, and a span that is in the journal only: sealing makes a fourth, and joins them.
fn about_to_join(runtime: &Runtime) -> LossyDisk {
    let disk = LossyDisk::new();
    let store = SegmentStore::open_on(Arc::new(disk.clone()), config()).expect("an empty disk");
    for id in 1..=4 {
        accept(runtime, &store, id);
        if id < 4 {
            store.seal_all().expect("room for a segment");
        }
    }
    assert_eq!(store.stats().segments, 3);
    disk
}

fn accept(runtime: &Runtime, store: &SegmentStore, id: u64) {
    let mut batch = SpanBatch::new();
    batch.push_span(&span(id % TRACES + 1, id));
    runtime.block_on(store.accept(&batch)).expect("room");
}

fn used_bytes(disk: &dyn Disk) -> u64 {
    let files = ["", "segments", "journal"].map(|directory| disk.list(directory).expect("a directory"));
    files.iter().flatten().map(|(_, bytes)| bytes).sum()
}

#[test]
fn retention_makes_room_on_a_disk_that_is_completely_full() {
    let runtime = runtime();
    let disk = LossyDisk::new();
    let open = |bytes_max| {
        let retention = Retention {
            age_max: None,
            bytes_max,
        };
        let config = SegmentConfig {
            retention,
            ..config()
        };
        SegmentStore::open_on(Arc::new(disk.clone()), config).expect("a store")
    };
    let store = open(None);
    for trace in [1, 2] {
        accept(&runtime, &store, trace);
        store.seal_all().expect("room");
    }
    let bytes = store.stats().segment_bytes;
    drop(store);
    let store = open(Some(bytes - 1));
    disk.fill_up(used_bytes(&disk));
    store.seal_all().expect("room was kept");
    assert_eq!(found(&runtime, &store), [2]);
    assert!(store.stats().segment_bytes < bytes);
    drop(store);
    // What went is gone after a crash, too, and there is room for the next time.
    let store = open(Some(1));
    disk.fill_up(used_bytes(&disk));
    store.seal_all().expect("room was kept again");
    assert_eq!(store.stats().segments, 0);
}

#[test]
fn a_full_disk_stops_sealing_and_joining_and_leaves_nothing_behind() {
    let runtime = runtime();
    let stored = about_to_join(&runtime);
    // How often there was no room for the segment, for the one joined of four, and room for both.
    let (mut unsealed, mut unjoined, mut joined) = (0, 0, 0);
    for room in (0..).step_by(40) {
        let disk = stored.crash(0);
        let store = SegmentStore::open_on(Arc::new(disk.clone()), config()).expect("a store");
        disk.fill_up(used_bytes(&disk) + room);
        let sealed = store.seal_all();
        let stats = store.stats();
        match (stats.sealed_segments, stats.compactions) {
            (0, 0) => unsealed += 1,
            (1, 0) => unjoined += 1,
            _ => joined += 1,
        }
        assert_eq!(sealed.is_ok(), joined > 0, "{room}: {sealed:?}, {stats:?}");
        check_files(&store, &disk, &format!("{room} bytes of room"));
        assert_eq!(found(&runtime, &store), [1, 2, 3, 4], "{room}: {sealed:?}");

        let after = disk.crash(room);
        let again = SegmentStore::open_on(Arc::new(after), config()).expect("a store");
        assert_eq!(found(&runtime, &again), [1, 2, 3, 4], "{room}: after a crash");
        assert_eq!(again.completeness(), Completeness::Complete, "{room}");
        disk.heal();
        accept(&runtime, &store, 5);
        store.seal_all().expect("room again");
        let stats = store.stats();
        assert_eq!((stats.head_spans, stats.compactions), (0, 1), "{room}: {stats:?}");
        assert_eq!(found(&runtime, &store), [1, 2, 3, 4, 5], "{room}: healed");
        if joined == 3 {
            break;
        }
    }
    assert!(unsealed > 3 && unjoined > 3, "{unsealed}, {unjoined}, {joined}");
}

//! Syncs that fail: of the journal, of a segment, of the manifest, of directories. Nothing passes for durable that may
//! not be, the store says what is wrong, and nothing acknowledged is lost whatever comes next.

use std::sync::Arc;

use model::{Span, SpanBatch, SpanId, TraceId};
use storage::{Completeness, SpanSink, SpanSource, StorageError};
use storage_journal::{Disk, LossyDisk};
use storage_segment::SegmentStore;
use tokio::runtime::Runtime;

mod support;
#[path = "support/synced.rs"]
mod synced;

use synced::{config, runtime};

const TRACE: u64 = 7;

fn span(id: u64) -> Span {
    Span {
        trace_id: TraceId::new(0, TRACE).expect("not zero"),
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

fn open(disk: &LossyDisk) -> Arc<SegmentStore> {
    SegmentStore::open_on(Arc::new(disk.clone()), config()).unwrap_or_else(|error| panic!("{error}"))
}

fn accept(runtime: &Runtime, store: &SegmentStore, id: u64) -> Result<(), StorageError> {
    let mut batch = SpanBatch::new();
    batch.push_span(&span(id));
    runtime.block_on(store.accept(&batch))
}

fn found(runtime: &Runtime, store: &SegmentStore) -> Vec<u64> {
    let trace = runtime.block_on(store.trace(TraceId::new(0, TRACE).expect("not zero")));
    let mut ids: Vec<u64> = trace
        .expect("a trace")
        .iter()
        .map(|span| span.id.value())
        .collect();
    ids.sort_unstable();
    assert_eq!(store.completeness(), Completeness::Complete);
    ids
}

fn health(runtime: &Runtime, store: &SegmentStore) -> String {
    runtime
        .block_on(store.health())
        .map_or_else(|error| error.to_string(), |()| "UP".to_owned())
}

/// Whatever a loss of power leaves has these.
fn check_after_crashes(runtime: &Runtime, disk: &LossyDisk, expected: &[u64], context: &str) {
    for seed in 0..20 {
        let store = open(&disk.crash(seed));
        let mut ids = found(runtime, &store);
        ids.retain(|id| expected.contains(id));
        assert_eq!(ids, expected, "{context}, seed {seed}");
    }
}

#[test]
fn a_journal_that_could_not_be_synced_takes_nothing_until_the_store_is_opened_again() {
    let runtime = runtime();
    let disk = LossyDisk::new();
    let store = open(&disk);
    accept(&runtime, &store, 1).expect("room");
    assert_eq!(health(&runtime, &store), "UP");
    disk.fail_syncs_of("journal/");
    let refused = accept(&runtime, &store, 2);
    assert!(
        matches!(refused, Err(StorageError::Unavailable(_))),
        "{refused:?}"
    );
    disk.heal();
    let down = health(&runtime, &store);
    assert!(
        down.contains("does not know what is on disk") && down.contains("journal/0000000000000001.log: sync"),
        "{down}"
    );
    for id in 3..6 {
        let refused = accept(&runtime, &store, id);
        assert!(
            matches!(refused, Err(StorageError::Unavailable(_))),
            "the next sync proves nothing: {refused:?}"
        );
    }
    assert_eq!(found(&runtime, &store), [1], "what was refused is not answered");
    check_after_crashes(&runtime, &disk, &[1], "with the store open");
    drop(store);
    let store = open(&disk);
    assert_eq!(health(&runtime, &store), "UP");
    accept(&runtime, &store, 6).expect("room");
    let there = found(&runtime, &store);
    assert!(there == [1, 6] || there == [1, 2, 6], "{there:?}");
    check_after_crashes(&runtime, &disk, &there, "after another start");
}

#[test]
fn a_segment_or_a_manifest_that_could_not_be_synced_is_written_again() {
    let runtime = runtime();
    for failing in ["segments/0000", "segments/", "manifest", "/"] {
        let disk = LossyDisk::new();
        let store = open(&disk);
        for id in 1..=3 {
            accept(&runtime, &store, id).expect("room");
            if id == 1 {
                store.seal_all().expect("a segment");
            }
        }
        disk.fail_syncs_of(failing);
        let error = store.seal_all().expect_err(failing).to_string();
        let down = health(&runtime, &store);
        assert!(
            down.contains("cannot be sealed") && down.contains(&error),
            "{failing}: {down}"
        );
        assert_eq!(found(&runtime, &store), [1, 2, 3], "{failing}");
        accept(&runtime, &store, 4).expect("the journal takes what it can");
        check_after_crashes(&runtime, &disk, &[1, 2, 3, 4], failing);
        disk.heal();
        check_after_crashes(&runtime, &disk, &[1, 2, 3, 4], failing);
        store.seal_all().expect("a segment");
        assert_eq!(health(&runtime, &store), "UP", "{failing}");
        assert_eq!(found(&runtime, &store), [1, 2, 3, 4], "{failing}");
        check_after_crashes(&runtime, &disk, &[1, 2, 3, 4], failing);
        drop(store);
        let store = open(&disk);
        assert_eq!(found(&runtime, &store), [1, 2, 3, 4], "{failing}");
        store.verify().expect("every byte as it was written");
        drop(store);
        check_after_crashes(&runtime, &disk, &[1, 2, 3, 4], failing);
        let files = disk.list("segments").expect("a directory");
        assert_eq!(
            files.len() as u64,
            open(&disk).stats().segments,
            "{failing}: {files:?}"
        );
    }
}

#[test]
fn a_segment_that_the_disk_cannot_read_is_set_aside_and_named() {
    let runtime = runtime();
    let disk = LossyDisk::new();
    let store = open(&disk);
    for id in 1..=2 {
        accept(&runtime, &store, id).expect("room");
        store.seal_all().expect("a segment");
    }
    accept(&runtime, &store, 3).expect("room");
    drop(store);
    disk.fail_reads_of("segments/0000000002");
    let store = open(&disk);
    let told = &store.opened().set_aside;
    assert!(
        told.len() == 1 && told[0].contains("segments/0000000002.segment"),
        "{told:?}"
    );
    let trace = runtime.block_on(store.trace(TraceId::new(0, TRACE).expect("not zero")));
    assert_eq!(trace.expect("the rest").len(), 2);
    assert!(
        matches!(store.completeness(), Completeness::Partial(why) if why.contains("segments/0000000002"))
    );
    drop(store);
    disk.heal();
    assert_eq!(found(&runtime, &open(&disk)), [1, 2, 3]);
}

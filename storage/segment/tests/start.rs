//! A start with more in the journal than the head may hold: everything is there, room is made at once, and until
//! then a refusal says why.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{Span, SpanBatch, SpanId, TraceId};
use storage::{SpanSink, SpanSource, StorageError, StoreOptions};
use storage_segment::{SegmentConfig, SegmentStore};

mod support;

const RECORDS: u64 = 20_000;

fn batch(number: u64) -> SpanBatch {
    let mut batch = SpanBatch::new();
    batch.push_span(&Span {
        trace_id: TraceId::new(0, number / 4 + 1).expect("traces are numbered from 1"),
        parent_id: None,
        id: SpanId::new(number),
        kind: None,
        name: Some("get".to_owned()),
        timestamp: Some(1_600_000_000_000_000 + number),
        duration: Some(number),
        local_endpoint: None,
        remote_endpoint: None,
        annotations: Vec::new(),
        tags: vec![("number".to_owned(), number.to_string())],
        debug: false,
        shared: false,
    });
    batch
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_larger_than_the_head_is_replayed_and_sealed() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let large = support::config(directory.path(), StoreOptions::default());
    let store = SegmentStore::open(large.clone()).expect("a store");
    let mut writers = Vec::new();
    for writer in 0..8 {
        let store = Arc::clone(&store);
        writers.push(tokio::spawn(async move {
            for number in (writer..RECORDS).step_by(8) {
                store.accept(&batch(number)).await.expect("room");
            }
        }));
    }
    for writer in writers {
        writer.await.expect("a writer");
    }
    let head_bytes = store.stats().head_bytes;
    store.close().await.expect("a journal");
    drop(store);

    let small = SegmentConfig {
        head_bytes_max: head_bytes / 3,
        ..large.clone()
    };
    let store = SegmentStore::open(small).expect("a store");
    assert_eq!(store.opened().replayed_spans, RECORDS);
    match store.accept(&batch(RECORDS)).await {
        Err(StorageError::Overloaded(reason)) => {
            let bound = format!("the bound is {} bytes", head_bytes / 3);
            assert!(reason.contains(&bound), "{reason}");
        }
        other => assert_eq!(other, Ok(()), "it was sealed already"),
    }
    let started = Instant::now();
    while store.accept(&batch(RECORDS + 1)).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", store.stats());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let stats = store.stats();
    assert!(
        stats.sealed_spans >= RECORDS && stats.head_spans <= 2,
        "{stats:?}"
    );
    for trace in (1..=RECORDS / 4).step_by(100) {
        let trace_id = TraceId::new(0, trace).expect("not zero");
        assert_eq!(store.trace(trace_id).await.expect("a trace").len(), 4);
    }
    // What is in segments is let go of: the next start has next to nothing to read.
    store.close().await.expect("a journal");
    drop(store);
    let store = SegmentStore::open(large).expect("a store");
    assert!(store.opened().replayed_spans <= 2, "{:?}", store.opened());
}

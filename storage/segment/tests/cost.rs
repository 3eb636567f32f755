//! What a question reads: no more than it needs, however much is stored.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{Span, SpanBatch, SpanId, TraceId};
use storage::{Order, SpanSink, SpanSource, StoreOptions, TraceQuery, TraceQueryBuilder};
use storage_segment::{SegmentConfig, SegmentStore};

#[path = "support/watched_disk.rs"]
mod watched_disk;

mod support;

use watched_disk::WatchedDisk;

/// Milliseconds; a whole hour.
const START: u64 = 1_600_002_000_000;
const HOUR: u64 = 3_600_000;
const SEGMENTS: u64 = 40;
const TRACES: u64 = 300;

/// A disk and how often its files were read.
struct Counted {
    disk: WatchedDisk,
    reads: Arc<AtomicU64>,
}

impl Counted {
    fn new() -> Self {
        let reads: Arc<AtomicU64> = Arc::default();
        let counter = reads.clone();
        let disk = WatchedDisk::new(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        Self { disk, reads }
    }
}

fn span(trace: u64, timestamp_ms: u64) -> Span {
    Span {
        trace_id: TraceId::new(0, trace).expect("traces are numbered from 1"),
        parent_id: None,
        id: SpanId::new(1),
        kind: None,
        name: Some("get".to_owned()),
        timestamp: Some(timestamp_ms * 1000),
        duration: Some(trace),
        local_endpoint: Some(model::Endpoint {
            service_name: Some("web".to_owned()),
            ..Default::default()
        }),
        remote_endpoint: None,
        annotations: Vec::new(),
        // Long enough that the traces of a segment take many pages.
        tags: vec![
            ("padding".to_owned(), padding(trace)),
            ("trace".to_owned(), trace.to_string()),
        ],
        debug: false,
        shared: false,
    }
}

/// 800 bytes that no other trace has.
fn padding(trace: u64) -> String {
    let words =
        (1..=50).map(|word| format!("{:016x}", (trace * 64 + word).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    words.collect()
}

/// A segment an hour, one of them and the head with parts of the same trace; opened anew.
async fn stored(disk: &Counted) -> Arc<SegmentStore> {
    let clock = Arc::new(AtomicU64::new(START));
    let of_store = clock.clone();
    let config = SegmentConfig {
        now: Arc::new(move || of_store.load(Ordering::SeqCst)),
        ..support::config(Path::new(""), StoreOptions::default())
    };
    let store = SegmentStore::open_on(Arc::new(disk.disk.clone()), config.clone()).expect("an empty disk");
    for segment in 0..SEGMENTS {
        let mut batch = SpanBatch::new();
        for trace in 1..=TRACES {
            batch.push_span(&span(segment * TRACES + trace, START + segment * HOUR + trace));
        }
        // In two segments: looked at only where the window is theirs.
        batch.push_span(&Span {
            id: SpanId::new(2),
            ..span(segment * TRACES + 1, START + segment.saturating_sub(1) * HOUR + 1)
        });
        if segment > 0 {
            batch.push_span(&Span {
                id: SpanId::new(3),
                ..span((segment - 1) * TRACES + 1, START + (segment - 1) * HOUR + 1)
            });
        }
        store.accept(&batch).await.expect("room");
        tokio::task::block_in_place(|| store.seal_all()).expect("a segment");
        clock.fetch_add(HOUR, Ordering::SeqCst);
    }
    assert_eq!(store.stats().segments, SEGMENTS);
    store.close().await.expect("a journal");
    drop(store);
    SegmentStore::open_on(Arc::new(disk.disk.clone()), config).expect("a store")
}

/// Searches, best ten first; gives the traces' numbers and how often a file was read.
async fn search(store: &SegmentStore, disk: &Counted, query: TraceQueryBuilder) -> (Vec<u64>, u64) {
    let query = TraceQueryBuilder {
        end_ts: (START + SEGMENTS * HOUR) as i64,
        lookback: (SEGMENTS * HOUR) as i64,
        limit: 10,
        ..query
    };
    let before = disk.reads.load(Ordering::SeqCst);
    let found = store
        .search(&query.build().expect("a valid query"))
        .await
        .expect("a search");
    let low = found.traces.iter().map(|trace| trace[0].trace_id.low()).collect();
    (low, disk.reads.load(Ordering::SeqCst) - before)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_stops_as_soon_as_it_has_its_answer() {
    let disk = Counted::new();
    let store = stored(&disk).await;
    let newest: Vec<u64> = (SEGMENTS * TRACES - 9..=SEGMENTS * TRACES).rev().collect();
    let any = TraceQuery::builder();
    // Shapes, dictionary, trace table and spans of a segment or two, and where the parts of split traces are.
    let (found, reads) = search(&store, &disk, any.clone()).await;
    assert_eq!(found, newest);
    assert!(reads <= 10, "{reads} reads for the ten newest");
    let (found, reads) = search(&store, &disk, any.clone()).await;
    assert_eq!((found, reads), (newest.clone(), 0), "pages are remembered");
    let slowest = TraceQueryBuilder {
        order: Order::Slowest,
        annotation_query: Some("trace".to_owned()),
        ..any.clone()
    };
    let (found, reads) = search(&store, &disk, slowest).await;
    assert_eq!(found.len(), 10);
    assert!(reads <= SEGMENTS * 5, "{reads} reads for the slowest");
    let in_an_old_hour = TraceQueryBuilder {
        annotation_query: Some("trace=700".to_owned()),
        ..any
    };
    let store = SegmentStore::open_on(
        Arc::new(disk.disk.clone()),
        support::config(Path::new(""), StoreOptions::default()),
    )
    .expect("a store");
    let (found, reads) = search(&store, &disk, in_an_old_hour).await;
    assert_eq!(found, [700]);
    assert!(
        reads <= SEGMENTS * 6,
        "{reads} reads for a tag that one trace has"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_read_from_where_it_is() {
    let disk = Counted::new();
    let store = stored(&disk).await;
    let before = disk.reads.load(Ordering::SeqCst);
    let trace_id = TraceId::new(0, 5 * TRACES + 50).expect("not zero");
    assert_eq!(store.trace(trace_id).await.expect("a trace").len(), 1);
    let reads = disk.reads.load(Ordering::SeqCst) - before;
    assert!(
        reads <= 5,
        "{reads} reads: identifiers, trace table, shapes, dictionary and spans of one segment"
    );
}

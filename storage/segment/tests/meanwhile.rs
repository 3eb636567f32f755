//! Spans that arrive while a question is being answered: they may be in the answer or not, but never twice.

use std::path::Path;
use std::sync::Arc;

use model::{Endpoint, Kind, Span, SpanBatch, SpanId, TraceId};
use parking_lot::Mutex;
use storage::{Dependencies, DependencyQuery, SpanSink, SpanSource, StoreOptions};
use storage_segment::SegmentStore;

#[path = "support/watched_disk.rs"]
mod watched_disk;

mod support;

use watched_disk::WatchedDisk;

/// Milliseconds.
const START: u64 = 1_600_000_000_000;

/// A call of `cart` from `web`; a trace of its own unless `id` is not 1.
fn call(trace: u64, id: u64) -> SpanBatch {
    let named = |name: &str| {
        Some(Endpoint {
            service_name: Some(name.to_owned()),
            ..Endpoint::default()
        })
    };
    let is_call = id == 1;
    let mut batch = SpanBatch::new();
    batch.push_span(&Span {
        trace_id: TraceId::new(0, trace).expect("traces are numbered from 1"),
        parent_id: None,
        id: SpanId::new(id),
        kind: is_call.then_some(Kind::Server),
        name: Some("get".to_owned()),
        timestamp: Some(START * 1000 + id),
        duration: Some(1),
        local_endpoint: named("cart"),
        remote_endpoint: if is_call { named("web") } else { None },
        annotations: Vec::new(),
        tags: Vec::new(),
        debug: false,
        shared: false,
    });
    batch
}

type Once = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_goes_on_while_dependencies_are_counted_counts_once() {
    let on_read: Once = Arc::default();
    let of_disk = on_read.clone();
    let disk = WatchedDisk::new(move || {
        let due = of_disk.lock().take();
        if let Some(due) = due {
            due();
        }
    });
    let config = support::config(Path::new(""), StoreOptions::default());
    let store = SegmentStore::open_on(Arc::new(disk.clone()), config.clone()).expect("an empty disk");
    for trace in 1..=3 {
        store.accept(&call(trace, 1)).await.expect("room");
    }
    tokio::task::block_in_place(|| store.seal_all()).expect("a segment");
    drop(store);
    let store = SegmentStore::open_on(Arc::new(disk), config).expect("a store");

    let (runtime, arriving) = (tokio::runtime::Handle::current(), store.clone());
    *on_read.lock() = Some(Box::new(move || {
        let arrived = runtime.block_on(arriving.accept(&call(2, 2)));
        arrived.expect("room");
    }));
    let query = DependencyQuery::new(START as i64 + 60_000, 120_000).expect("a valid query");
    let Dependencies { links, .. } = store.dependencies(query).await.expect("links");
    assert!(on_read.lock().is_none(), "nothing arrived meanwhile");
    assert_eq!(store.stats().head_spans, 1);
    let calls: Vec<u64> = links.iter().map(|link| link.call_count).collect();
    assert_eq!(calls, [3]);
    let Dependencies { links, .. } = store.dependencies(query).await.expect("links");
    assert_eq!(links[0].call_count, 3, "asked again");
}

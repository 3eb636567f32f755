//! An outage longer than memory: what waits is on disk, and delivering it takes no more memory than keeping it.
//! Alone in its file, because it measures the process.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use model::{Span, SpanBatch, SpanId, TraceId};
use storage::{BoxFuture, Result, SpanSink, StorageError};
use storage_journal::SyncPolicy;
use storage_memory::{MemoryConfig, MemoryStore};
use storage_spool::{Spool, SpoolConfig};

const BATCHES: u64 = 3_000;
const TEXT_BYTES: usize = 64 << 10;
/// A chunk of a file, a joined batch and its records, and what the allocator keeps of them.
const GROWTH_BYTES_MAX: u64 = 32 << 20;

/// Checks the order of what it is offered, and keeps nothing of it.
#[derive(Default)]
struct Counting {
    is_there: AtomicBool,
    taken: AtomicU64,
    peak_bytes: AtomicU64,
}

impl SpanSink for Counting {
    fn accept<'a>(&'a self, batch: &'a SpanBatch) -> BoxFuture<'a, Result<()>> {
        if !self.is_there.load(Ordering::SeqCst) {
            return Box::pin(std::future::ready(Err(StorageError::Unavailable(
                "away".to_owned(),
            ))));
        }
        for span in batch.iter() {
            let expected = self.taken.fetch_add(1, Ordering::SeqCst);
            assert_eq!(span.id().value(), expected + 1);
        }
        self.peak_bytes.fetch_max(resident_bytes(), Ordering::SeqCst);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Memory that the process has of the machine.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes << 10
}

fn batch(number: u64) -> SpanBatch {
    let mut batch = SpanBatch::new();
    batch.push_span(&Span {
        trace_id: TraceId::new(0, number + 1).unwrap(),
        parent_id: None,
        id: SpanId::new(number + 1),
        kind: None,
        name: None,
        timestamp: None,
        duration: None,
        local_endpoint: None,
        remote_endpoint: None,
        annotations: Vec::new(),
        tags: vec![("text".to_owned(), "x".repeat(TEXT_BYTES))],
        debug: false,
        shared: false,
    });
    batch
}

#[tokio::test]
async fn hundreds_of_megabytes_wait_and_are_delivered_in_bounded_memory() {
    let directory = tempfile::tempdir().unwrap();
    let backend = Arc::new(Counting::default());
    let config = SpoolConfig {
        sync: SyncPolicy::Os,
        ..SpoolConfig::new(Arc::new(|| 0))
    };
    let source = Arc::new(MemoryStore::new(MemoryConfig::default()));
    let sink = Arc::clone(&backend) as Arc<dyn SpanSink>;
    let spool = Spool::open(directory.path(), config, sink, source).unwrap();
    spool.accept(&batch(0)).await.unwrap();
    let before = resident_bytes();
    for number in 1..BATCHES {
        spool.accept(&batch(number)).await.unwrap();
    }
    let stats = spool.stats();
    assert_eq!(stats.depth_records, BATCHES);
    assert!(stats.depth_bytes > 5 * GROWTH_BYTES_MAX, "{stats:?}");
    let waiting = resident_bytes().saturating_sub(before);
    assert!(waiting < GROWTH_BYTES_MAX, "{waiting} bytes for what waits");

    backend.is_there.store(true, Ordering::SeqCst);
    spool.drained().await;
    assert_eq!(backend.taken.load(Ordering::SeqCst), BATCHES);
    let growth = backend.peak_bytes.load(Ordering::SeqCst).saturating_sub(before);
    assert!(growth < GROWTH_BYTES_MAX, "{growth} bytes while delivering");
}

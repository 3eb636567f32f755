//! The spool without HTTP and before a backend that keeps nothing: taking spans, and delivering them.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use model::SpanBatch;
use storage::{BoxFuture, SpanSink, StorageError};
use storage_journal::SyncPolicy;
use storage_memory::{MemoryConfig, MemoryStore};
use storage_spool::{Spool, SpoolConfig};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{BATCH_SPANS, batches, size, span_batch};

/// Takes everything, or nothing, and keeps nothing.
#[derive(Default)]
struct Nowhere {
    away: AtomicBool,
}

impl SpanSink for Nowhere {
    fn accept<'a>(&'a self, batch: &'a SpanBatch) -> BoxFuture<'a, storage::Result<()>> {
        black_box(batch.len());
        let away = self.away.load(Ordering::Relaxed);
        let answer = if away {
            Err(StorageError::Unavailable("away".to_owned()))
        } else {
            Ok(())
        };
        Box::pin(std::future::ready(answer))
    }
}

/// A spool in a directory of its own.
struct Fixture {
    spool: Arc<Spool>,
    backend: Arc<Nowhere>,
    runtime: Runtime,
    _directory: TempDir,
}

impl Fixture {
    /// The disk is measured elsewhere: the journal is not synced.
    fn new(away: bool) -> Self {
        let directory = tempfile::tempdir().expect("there is a directory for temporary files");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .expect("a runtime with a timer needs nothing");
        let config = SpoolConfig {
            sync: SyncPolicy::Os,
            backoff_max: Duration::from_millis(1),
            ..SpoolConfig::new(Arc::new(|| 0))
        };
        let backend = Arc::new(Nowhere {
            away: AtomicBool::new(away),
        });
        let source = Arc::new(MemoryStore::new(MemoryConfig::default()));
        let sink = Arc::clone(&backend) as Arc<dyn SpanSink>;
        let opening = async { Spool::open(directory.path(), config, sink, source) };
        let spool = runtime.block_on(opening).expect("the directory is empty");
        Self {
            spool,
            backend,
            runtime,
            _directory: directory,
        }
    }

    fn fill(&self, batches: &[SpanBatch]) {
        for batch in batches {
            let accepted = self.runtime.block_on(self.spool.accept(batch));
            accepted.expect("there is room");
        }
    }
}

pub(crate) fn accept_and_deliver(criterion: &mut Criterion) {
    let prepared: Vec<SpanBatch> = batches(size(2_000, 20))
        .iter()
        .map(|spans| span_batch(spans))
        .collect();
    let mut group = criterion.benchmark_group("spool");
    group.sample_size(10);
    group.throughput(Throughput::Elements((prepared.len() * BATCH_SPANS) as u64));
    group.bench_function("accept", |bencher| {
        bencher.iter_custom(|iterations| {
            let rounds = (0..iterations).map(|_| {
                let fixture = Fixture::new(true);
                let begin = Instant::now();
                fixture.fill(&prepared);
                begin.elapsed()
            });
            rounds.sum()
        });
    });
    group.bench_function("deliver", |bencher| {
        bencher.iter_custom(|iterations| {
            let rounds = (0..iterations).map(|_| {
                let fixture = Fixture::new(true);
                fixture.fill(&prepared);
                let begin = Instant::now();
                fixture.backend.away.store(false, Ordering::Relaxed);
                fixture.runtime.block_on(fixture.spool.drained());
                begin.elapsed()
            });
            rounds.sum()
        });
    });
    group.finish();
}

//! What this package's tests share: spans, configurations, and the memory store with faults.

mod questions;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::{Span, SpanBatch, SpanId, SpanRef, TraceId};
use storage::{BoxFuture, Result, SpanSink, SpanSource, StorageError};
use storage_journal::{Disk, LossyDisk};
use storage_memory::{MemoryConfig, MemoryStore};
use storage_spool::{Spool, SpoolConfig};
use tokio::sync::watch;
use tokio::time::Instant;

use questions::Questions;

/// A span told apart by `id`, in a trace of ten.
pub(crate) fn span(id: u64) -> Span {
    Span {
        trace_id: TraceId::new(0, 1 + id / 10).unwrap(),
        parent_id: None,
        id: SpanId::new(1 + id),
        kind: None,
        name: Some("get".to_owned()),
        timestamp: Some(1_600_000_000_000_000 + id),
        duration: Some(1 + id),
        local_endpoint: None,
        remote_endpoint: None,
        annotations: Vec::new(),
        tags: vec![("number".to_owned(), id.to_string())],
        debug: false,
        shared: false,
    }
}

/// A span that [`Backend`] never takes.
pub(crate) fn poison(id: u64) -> Span {
    Span {
        name: Some("poison".to_owned()),
        ..span(id)
    }
}

pub(crate) fn batch(spans: impl IntoIterator<Item = Span>) -> SpanBatch {
    let mut batch = SpanBatch::new();
    spans.into_iter().for_each(|span| batch.push_span(&span));
    batch
}

pub(crate) fn numbers(ids: std::ops::Range<u64>) -> SpanBatch {
    batch(ids.map(span))
}

/// The memory store, which can be away, and which never takes spans named `poison`.
pub(crate) struct Backend {
    pub(crate) store: MemoryStore,
    /// What it answers instead of taking spans.
    pub(crate) failure: watch::Sender<Option<StorageError>>,
    /// How many batches more it takes before it is away.
    pub(crate) takes: AtomicU64,
    /// It never answers.
    pub(crate) hangs: watch::Sender<bool>,
    log: parking_lot::Mutex<Log>,
}

#[derive(Default)]
struct Log {
    attempts: Vec<Instant>,
    taken: Vec<Vec<u64>>,
}

impl Backend {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            store: MemoryStore::new(MemoryConfig {
                spans_max: 10_000_000,
                ..MemoryConfig::default()
            }),
            failure: watch::Sender::new(None),
            takes: AtomicU64::new(u64::MAX),
            hangs: watch::Sender::new(false),
            log: parking_lot::Mutex::default(),
        })
    }

    pub(crate) fn away() -> Arc<Self> {
        let backend = Self::new();
        backend.fails(StorageError::Unavailable("connection refused".to_owned()));
        backend
    }

    pub(crate) fn fails(&self, error: StorageError) {
        self.failure.send_replace(Some(error));
    }

    pub(crate) fn is_back(&self) {
        self.failure.send_replace(None);
    }

    /// When it was asked to take spans.
    pub(crate) fn attempts(&self) -> Vec<Instant> {
        self.log.lock().attempts.clone()
    }

    /// The identifiers of the spans it took, a batch each, in order.
    pub(crate) fn taken(&self) -> Vec<Vec<u64>> {
        self.log.lock().taken.clone()
    }

    pub(crate) fn taken_ids(&self) -> Vec<u64> {
        self.taken().concat()
    }

    fn take(&self, batch: &SpanBatch) -> Result<()> {
        let mut log = self.log.lock();
        log.attempts.push(Instant::now());
        if let Some(error) = &*self.failure.borrow() {
            return Err(error.clone());
        }
        if batch.iter().any(|span| span.name() == Some("poison")) {
            return Err(StorageError::Invalid("poison is no name".to_owned()));
        }
        let left = |takes: u64| takes.checked_sub(1);
        if self
            .takes
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left)
            .is_err()
        {
            return Err(StorageError::Unavailable("away again".to_owned()));
        }
        let number = |span: SpanRef<'_>| span.id().value() - 1;
        log.taken.push(batch.iter().map(number).collect());
        Ok(())
    }
}

impl SpanSink for Backend {
    fn accept<'a>(&'a self, batch: &'a SpanBatch) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.take(batch)?;
            let _ = self.hangs.subscribe().wait_for(|hangs| !hangs).await;
            self.store.accept(batch).await
        })
    }
}

pub(crate) fn config() -> SpoolConfig {
    SpoolConfig {
        backoff_min: Duration::from_millis(1),
        backoff_max: Duration::from_millis(5),
        ..SpoolConfig::new(Arc::new(|| 1_700_000_000_000))
    }
}

/// A clock that is set by hand, in epoch milliseconds.
pub(crate) fn clock() -> (Arc<AtomicU64>, storage_spool::Clock) {
    let time = Arc::new(AtomicU64::new(1_700_000_000_000));
    let told = Arc::clone(&time);
    (time, Arc::new(move || told.load(Ordering::SeqCst)))
}

/// A spool before the backend, questions included.
pub(crate) fn open(disk: &LossyDisk, config: SpoolConfig, backend: &Arc<Backend>) -> Arc<Spool> {
    try_open(disk, config, backend).unwrap()
}

pub(crate) fn try_open(disk: &LossyDisk, config: SpoolConfig, backend: &Arc<Backend>) -> Result<Arc<Spool>> {
    let source: Arc<dyn SpanSource> = Arc::new(Questions(Arc::clone(backend)));
    let sink: Arc<dyn SpanSink> = Arc::clone(backend) as _;
    Spool::open_on(Arc::new(disk.clone()), config, sink, source)
}

pub(crate) async fn drained(spool: &Spool) {
    tokio::time::timeout(Duration::from_secs(60), spool.drained())
        .await
        .unwrap_or_else(|_| panic!("not drained: {:?}", spool.stats()));
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, so: impl Fn() -> bool) {
    let begin = std::time::Instant::now();
    while !so() {
        assert!(begin.elapsed().as_secs() < 30, "never: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Files in the spool's directory of refused spans that end so, by name.
pub(crate) fn refused(disk: &dyn Disk, ending: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = disk.list("refused").unwrap();
    files.retain(|(name, _)| {
        Path::new(name)
            .extension()
            .is_some_and(|extension| extension == ending)
    });
    files.sort();
    files
        .into_iter()
        .map(|(name, length)| {
            let mut bytes = vec![0; length as usize];
            let file = disk.open(&format!("refused/{name}")).unwrap();
            file.read_exact_at(&mut bytes, 0).unwrap();
            (name, bytes)
        })
        .collect()
}

//! The spool as its owner sees it: open, accept, look, close.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::SpanBatch;
use parking_lot::Mutex;
use storage::{BoxFuture, Result, SpanSink, SpanSource, StorageError};
use storage_journal::{Disk, Journal, JournalConfig, RealDisk, Recovery};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::backoff::Backoff;
use crate::config::SpoolConfig;
use crate::delivery::Delivery;
use crate::queue::Queue;
use crate::record;
use crate::refused::Refused;
use crate::shared::{Counters, Depth, Mode, Shared, refusal};
use crate::stats::SpoolStats;

/// Records that wait for the disk: two of the largest.
const QUEUE_BYTES_MAX: u64 = 256 << 20;

/// A store whose spans go to disk first, and to the backend when it takes them. See the head of the crate.
///
/// As a [`SpanSink`] it differs from the contract in one point: spans become visible to queries when the backend has
/// them, which is at once as a rule, and [`storage::Completeness`] tells when it is not.
pub struct Spool {
    pub(crate) shared: Arc<Shared>,
    delivery: Mutex<Option<JoinHandle<()>>>,
    recovery: Recovery,
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool")
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}

impl Spool {
    /// Opens the spool in a directory, which is created unless it exists, and begins to deliver what is there. That
    /// nobody else has it open is for the caller to see to. Blocks on I/O; must be called in a runtime.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] where what waits is damaged beyond a torn tail, naming file and place;
    /// [`StorageError::Unavailable`] where the directory cannot be used.
    pub fn open(
        directory: &Path,
        config: SpoolConfig,
        sink: Arc<dyn SpanSink>,
        source: Arc<dyn SpanSource>,
    ) -> Result<Arc<Self>> {
        let disk = RealDisk::new(directory.to_owned()).map_err(|error| {
            StorageError::Unavailable(format!("{} cannot be used: {error}", directory.display()))
        })?;
        Self::open_on(Arc::new(disk), config, sink, source)
    }

    /// Opens the spool on any disk.
    ///
    /// # Errors
    /// As [`Spool::open`].
    pub fn open_on(
        disk: Arc<dyn Disk>,
        config: SpoolConfig,
        sink: Arc<dyn SpanSink>,
        source: Arc<dyn SpanSource>,
    ) -> Result<Arc<Self>> {
        let unavailable = |error: io::Error| StorageError::Unavailable(format!("the spool: {error}"));
        let refused = Refused::open(Arc::clone(&disk), config.refused_bytes_max).map_err(unavailable)?;
        let mut depth = Depth::default();
        let mut count = |_, record: Vec<u8>| {
            // One that cannot be read is met, and told, when it is its turn.
            if let Ok((head, _)) = record::decode_head(&record) {
                depth.spans += u64::from(head.spans);
                depth.oldest_ms.get_or_insert(head.accepted_ms);
            }
            depth.records += 1;
            Ok(())
        };
        let (journal, recovery) =
            Journal::open(disk, journal_config(&config), &mut count).map_err(refusal)?;
        let seed = RandomState::new().hash_one(0);
        let backoff = Backoff::new(config.backoff_min, config.backoff_max, seed);
        let queue = Queue::new(journal.reader());
        let shared = Arc::new(Shared {
            config,
            journal,
            sink,
            source,
            refused,
            depth: watch::Sender::new(depth),
            arrived: Notify::new(),
            mode: watch::Sender::new(Mode::Running),
            died: AtomicBool::new(false),
            counters: Counters::default(),
            outage: Mutex::default(),
        });
        tell_what_was_found(&recovery, &depth);
        let delivery = tokio::spawn(Delivery::new(Arc::clone(&shared), queue, backoff).run());
        Ok(Arc::new(Self {
            shared,
            delivery: Mutex::new(Some(delivery)),
            recovery,
        }))
    }

    /// What the journal gave back when it was opened.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Figures of this moment.
    pub fn stats(&self) -> SpoolStats {
        SpoolStats::of(&self.shared)
    }

    /// Resolves when nothing waits: everything accepted before is with the backend, or put aside.
    pub async fn drained(&self) {
        self.shared.drained().await;
    }

    /// Accepts nothing more, delivers what the backend takes within the time given, and closes the journal. What is
    /// left is delivered after the next start. A backend that is away is not waited for.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] where it is unknown what is on disk.
    pub async fn close(&self, within: Duration) -> Result<()> {
        self.shared.mode.send_replace(Mode::Draining);
        let delivery = self.delivery.lock().take();
        if let Some(mut delivery) = delivery
            && tokio::time::timeout(within, &mut delivery).await.is_err()
        {
            self.shared.mode.send_replace(Mode::Stopped);
            // How it ended was told by itself.
            let _ = delivery.await;
        }
        let left = self.stats();
        if left.depth_records > 0 {
            let (spans, bytes) = (left.depth_spans, left.depth_bytes);
            tracing::info!(
                spans,
                bytes,
                "the spool keeps what is delivered after the next start"
            );
        }
        let shared = Arc::clone(&self.shared);
        let closed = tokio::task::spawn_blocking(move || shared.journal.close()).await;
        closed
            .map_err(|error| StorageError::Unavailable(format!("the spool: {error}")))?
            .map_err(refusal)
    }

    /// Whether it takes spans and delivers them.
    pub(crate) fn working(&self) -> Result<()> {
        self.shared.journal.health().map_err(refusal)?;
        if self.shared.died.load(Ordering::Acquire) {
            let reason = "the spool: the delivery ended, see the log";
            return Err(StorageError::Unavailable(reason.to_owned()));
        }
        Ok(())
    }
}

impl SpanSink for Spool {
    fn accept<'a>(&'a self, batch: &'a SpanBatch) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if batch.is_empty() {
                return Ok(());
            }
            if self.shared.mode() != Mode::Running {
                return Err(StorageError::Unavailable("the spool is closing".to_owned()));
            }
            let (spans, now) = (batch.len() as u64, (self.shared.config.now)());
            self.shared.begin_append(spans, now);
            let pending = match self.shared.journal.append(record::encode(batch, now)) {
                Ok(pending) => pending,
                Err(error) => {
                    self.shared.end_append(spans, false);
                    return Err(refusal(error));
                }
            };
            // In a task of its own: the record is written also if whoever waits for it goes away.
            let shared = Arc::clone(&self.shared);
            let appended = tokio::spawn(async move {
                let durable = pending.durable().await;
                shared.end_append(spans, durable.is_ok());
                durable
            });
            let durable = appended.await;
            durable
                .map_err(|error| StorageError::Unavailable(format!("the spool: {error}")))?
                .map_err(refusal)
        })
    }
}

/// As [`Spool::close`], for those who forget it, but without waiting: the delivery may be at work on the directory for
/// a moment, which nobody must open before it has let go of the backend.
impl Drop for Spool {
    fn drop(&mut self) {
        self.shared.mode.send_replace(Mode::Stopped);
    }
}

fn journal_config(config: &SpoolConfig) -> JournalConfig {
    JournalConfig {
        directory: "journal".to_owned(),
        bytes_max: config.bytes_max,
        record_bytes_max: storage_record::RECORD_BYTES_MAX,
        queue_bytes_max: QUEUE_BYTES_MAX,
        sync: config.sync,
        ..JournalConfig::default()
    }
}

fn tell_what_was_found(recovery: &Recovery, depth: &Depth) {
    if let Some(torn) = &recovery.torn_tail {
        tracing::warn!(
            torn,
            "the spool's last record was not whole and is cut: it was not acknowledged"
        );
    }
    let (spans, records) = (depth.spans, depth.records);
    tracing::info!(spans, records, "spool opened");
}

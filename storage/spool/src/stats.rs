//! What a spool tells about itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use storage_journal::JournalStats;

use crate::shared::Shared;

/// Figures of a spool at a moment; `README.md` has their names in `/prometheus`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolStats {
    /// Bytes on disk of what waits, and of what was delivered within the last moments.
    pub depth_bytes: u64,
    /// [`crate::SpoolConfig::bytes_max`].
    pub bytes_max: u64,
    /// Batches that wait, as they were accepted.
    pub depth_records: u64,
    /// Spans that wait.
    pub depth_spans: u64,
    /// How long the oldest of them has been waiting.
    pub oldest_age: Duration,
    /// Spans that the backend took since the start.
    pub delivered_spans: u64,
    /// Batches in which it did.
    pub delivered_batches: u64,
    /// Attempts since the start that failed and were, or will be, made again.
    pub retries: u64,
    /// Spans put aside since the start because the backend can never take them.
    pub refused_spans: u64,
    /// Files of such spans, also from before the start.
    pub refused_files: u64,
    /// Stretches of the journal that could not be read since the start, and were skipped.
    pub damaged: u64,
    /// The backend takes nothing: since when, and why. Nothing while it does.
    pub outage: Option<Outage>,
    /// The journal's own figures.
    pub journal: JournalStats,
}

/// The backend takes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// Since the first attempt that failed.
    pub lasts: Duration,
    /// What the last attempt failed with.
    pub error: String,
}

impl SpoolStats {
    pub(crate) fn of(shared: &Shared) -> Self {
        let depth = *shared.depth.borrow();
        let journal = shared.journal.stats();
        let now = (shared.config.now)();
        let since = |ms: u64| Duration::from_millis(now.saturating_sub(ms));
        let outage = shared.outage.lock().clone();
        let counters = &shared.counters;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Self {
            depth_bytes: journal.bytes,
            bytes_max: shared.config.bytes_max,
            depth_records: depth.records,
            depth_spans: depth.spans,
            oldest_age: depth.oldest_ms.map_or(Duration::ZERO, since),
            delivered_spans: count(&counters.delivered_spans),
            delivered_batches: count(&counters.delivered_batches),
            retries: count(&counters.retries),
            refused_spans: count(&counters.refused_spans),
            refused_files: shared.refused.files(),
            damaged: count(&counters.damaged),
            outage: outage.map(|(since_ms, error)| Outage {
                lasts: since(since_ms),
                error,
            }),
            journal,
        }
    }
}

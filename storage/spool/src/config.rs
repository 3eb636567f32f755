//! What a spool is configured with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use storage_journal::SyncPolicy;

/// Milliseconds since the epoch, as whoever owns the clock says.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Bounds and promises of a spool.
#[derive(Clone)]
pub struct SpoolConfig {
    /// `SPOOL_BYTES_MAX`: the most bytes of records that wait on disk. Beyond it spans are refused as
    /// [`storage::StorageError::Overloaded`].
    pub bytes_max: u64,
    /// `JOURNAL_SYNC`: when a batch is acknowledged.
    pub sync: SyncPolicy,
    /// The most spans in a batch that records are joined into. A record that has more is a batch by itself, as it was
    /// accepted.
    pub batch_spans_max: usize,
    /// The most bytes of records joined into a batch; likewise.
    pub batch_bytes_max: usize,
    /// An attempt that takes longer is given up and made again.
    pub attempt_timeout: Duration,
    /// The longest pause after a first failure. It doubles with each one.
    pub backoff_min: Duration,
    /// The longest pause ever.
    pub backoff_max: Duration,
    /// The most bytes of spans put aside because the backend can never take them. Beyond it they stay in the journal
    /// and hold up those behind them: nothing is dropped.
    pub refused_bytes_max: u64,
    /// Answers tell of spans that have been waiting for longer than this.
    pub late_after: Duration,
    /// What time it is.
    pub now: Clock,
}

impl SpoolConfig {
    /// The defaults, with a clock.
    pub fn new(now: Clock) -> Self {
        Self {
            bytes_max: 4 << 30,
            sync: SyncPolicy::Always,
            batch_spans_max: 5_000,
            batch_bytes_max: 4 << 20,
            attempt_timeout: Duration::from_secs(30),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(30),
            refused_bytes_max: 64 << 20,
            late_after: Duration::from_secs(5),
            now,
        }
    }
}

impl fmt::Debug for SpoolConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpoolConfig")
            .field("bytes_max", &self.bytes_max)
            .field("sync", &self.sync)
            .field("batch_spans_max", &self.batch_spans_max)
            .field("batch_bytes_max", &self.batch_bytes_max)
            .field("attempt_timeout", &self.attempt_timeout)
            .field("backoff", &(self.backoff_min..=self.backoff_max))
            .field("refused_bytes_max", &self.refused_bytes_max)
            .field("late_after", &self.late_after)
            .finish_non_exhaustive()
    }
}

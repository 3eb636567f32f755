//! What a segment store is opened with, and its bounds.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use storage::StoreOptions;
use storage_journal::SyncPolicy;

/// Tells the time, epoch milliseconds.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What a segment store is opened with.
#[derive(Clone)]
pub struct SegmentConfig {
    /// Where the store is; created if it isn't there. Nobody else may use it meanwhile.
    pub directory: PathBuf,
    /// What it keeps and answers.
    pub options: StoreOptions,
    /// When an acknowledged span is on disk.
    pub sync: SyncPolicy,
    /// Bytes the journal may have between its checkpoint and its end before spans are refused.
    pub journal_bytes_max: u64,
    /// Bytes of memory the head may take before spans are refused. It is sealed from a quarter of it on, while the
    /// next quarter fills.
    pub head_bytes_max: u64,
    /// What is dropped.
    pub retention: Retention,
    /// The clock.
    pub now: Clock,
}

impl std::fmt::Debug for SegmentConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentConfig")
            .field("directory", &self.directory)
            .field("options", &self.options)
            .field("sync", &self.sync)
            .field("journal_bytes_max", &self.journal_bytes_max)
            .field("head_bytes_max", &self.head_bytes_max)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}

/// Which segments are dropped, whole, oldest first. How old a segment is goes by when it was sealed, by the
/// server's clock: timestamps of spans may be missing or years off, and must neither cost spans that just arrived
/// nor keep others for ever. Damaged segments go as others do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Those sealed longer ago than this; joined ones, the last of them.
    pub age_max: Option<Duration>,
    /// Those beyond so many bytes of segments.
    pub bytes_max: Option<u64>,
}

/// Bounds that are not configured, with their reasons.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A trace without a new span for so long is taken to be whole.
    pub(crate) quiet_ms: u64,
    /// A trace is sealed after so long, quiet or not, so that one that never ends does not hold the journal.
    pub(crate) trace_age_max_ms: u64,
    /// The head is sealed after so long even if it is small: what is sealed is counted for dependencies and
    /// makes the next start faster.
    pub(crate) generation_age_max_ms: u64,
    /// See [`storage_journal::JournalConfig::file_bytes`].
    pub(crate) journal_file_bytes: u64,
    /// Pages kept in memory.
    pub(crate) page_cache_bytes_max: u64,
    /// Shapes of segments kept in memory: those of some twenty segments of a million spans, so that few
    /// questions have to read them.
    pub(crate) shape_cache_bytes_max: u64,
    /// Text indexes of segments kept in memory.
    pub(crate) text_cache_bytes_max: u64,
    /// What profiles of segments are read with, kept in memory: of some twenty segments.
    pub(crate) profiles_cache_bytes_max: u64,
    /// Latency sketches of segments kept in memory: those of some five million spans.
    pub(crate) sketches_cache_bytes_max: u64,
    /// What these sum up to by the hour: for a list of a thousand operations over two days.
    pub(crate) hour_sums_cache_bytes_max: u64,
    /// Segments are joined up to this many spans.
    pub(crate) segment_spans_max: u64,
    /// Segments are joined, and written, up to this many bytes, not compressed: a segment's lists are made in
    /// memory, and take a few times as much when every value is different.
    pub(crate) segment_raw_bytes_max: u64,
    /// Spans of one trace that go into one segment: what a reader takes into memory at once.
    pub(crate) part_spans_max: usize,
    /// Bytes of the spans of one trace that go into one segment, and so into one page. A span alone may be larger,
    /// as large as a record of the journal.
    pub(crate) part_bytes_max: usize,
    /// Spans of one trace that are read to answer, duplicates included: about a gigabyte of memory. A trace that
    /// never ends, as of a client whose identifiers are all the same, must not take the server with it.
    pub(crate) trace_spans_max: u64,
    /// So many small segments of an hour are joined at once.
    pub(crate) compaction_segments_min: usize,
    /// With so many small segments of an hour, maintenance does not rest any more.
    pub(crate) compaction_segments_behind: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            quiet_ms: 30_000,
            trace_age_max_ms: 300_000,
            generation_age_max_ms: 600_000,
            journal_file_bytes: 64 << 20,
            page_cache_bytes_max: 32 << 20,
            shape_cache_bytes_max: 192 << 20,
            text_cache_bytes_max: 32 << 20,
            profiles_cache_bytes_max: 24 << 20,
            sketches_cache_bytes_max: 64 << 20,
            hour_sums_cache_bytes_max: 128 << 20,
            segment_spans_max: 2_000_000,
            segment_raw_bytes_max: 128 << 20,
            part_spans_max: 500_000,
            part_bytes_max: 64 << 20,
            trace_spans_max: 2_000_000,
            compaction_segments_min: 4,
            compaction_segments_behind: 16,
        }
    }
}

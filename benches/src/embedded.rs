//! A segment store in the benchmark's own process, on a clock that the benchmark moves.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use storage::StoreOptions;
use storage_journal::SyncPolicy;
use storage_segment::{Retention, SegmentConfig, SegmentStore};

/// Journal and head of a store that seals when it is told to, or by the time that passes, bytes.
const BYTES_MAX: u64 = 16 << 30;

/// Opens the store of a directory. `clock` is in epoch milliseconds. The journal is not synced: nobody relies on these
/// spans while they are written.
///
/// # Errors
/// Where the directory cannot be used, or what is in it is damaged.
pub fn open(
    directory: &Path,
    options: StoreOptions,
    clock: &Arc<AtomicU64>,
) -> storage::Result<Arc<SegmentStore>> {
    let told = Arc::clone(clock);
    SegmentStore::open(SegmentConfig {
        directory: directory.to_owned(),
        options,
        sync: SyncPolicy::Os,
        journal_bytes_max: BYTES_MAX,
        head_bytes_max: BYTES_MAX,
        retention: Retention::default(),
        now: Arc::new(move || told.load(Ordering::Relaxed)),
    })
}

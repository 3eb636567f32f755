//! What this package's tests share: configurations and random spans.

use std::path::Path;
use std::sync::Arc;

use storage::StoreOptions;
use storage_segment::{Retention, SegmentConfig};

/// A store in `directory` with a clock that stands still, so that nothing is sealed unless it is told to.
pub(crate) fn config(directory: &Path, options: StoreOptions) -> SegmentConfig {
    SegmentConfig {
        directory: directory.to_owned(),
        options,
        sync: storage_journal::SyncPolicy::Os,
        journal_bytes_max: 1 << 30,
        head_bytes_max: 1 << 30,
        retention: Retention::default(),
        now: Arc::new(|| 1_700_000_000_000),
    }
}

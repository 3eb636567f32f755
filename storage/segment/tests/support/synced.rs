//! A store on a disk in memory that syncs whatever it acknowledges, and a runtime to ask it on: for tests that take
//! power, room or bytes away.

use std::path::Path;

use storage::StoreOptions;
use storage_journal::SyncPolicy;
use storage_segment::SegmentConfig;
use tokio::runtime::Runtime;

/// As `support::config`, but synced.
pub(crate) fn config() -> SegmentConfig {
    SegmentConfig {
        sync: SyncPolicy::Always,
        ..crate::support::config(Path::new(""), StoreOptions::default())
    }
}

/// Of one thread: the same steps come in the same order.
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

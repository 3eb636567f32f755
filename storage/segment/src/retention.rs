//! Retention: whole segments go, by age and by bytes, oldest first. The manifest decides alone, so damaged segments
//! go as others do. On a disk that is full it works, too: a manifest is written first, and room is kept for one.

use std::cmp::Reverse;
use std::io::ErrorKind;
use std::sync::atomic::Ordering;

use storage::StorageError;
use storage_journal::Disk;

use crate::compact::remove_files;
use crate::config::Retention;
use crate::manifest::{Manifest, ManifestSegment, NotReplaced};
use crate::output::cannot_write;
use crate::store::Store;

/// Drops what retention does not keep; gives how many segments went.
pub(crate) fn retain(store: &Store) -> Result<usize, StorageError> {
    let drop = to_drop(store.manifest(), store.config.retention, (store.config.now)());
    if drop.is_empty() {
        return Ok(0);
    }
    change_manifest(store, &drop).map_err(cannot_write)?;
    store.change_view(|view| view.with_segments(&drop, Vec::new()));
    store
        .counters
        .dropped_segments
        .fetch_add(drop.len() as u64, Ordering::Relaxed);
    remove_files(store, &drop);
    keep_spare_room(store.disk.as_ref(), &store.manifest());
    Ok(drop.len())
}

/// As [`retain`], while some segments are being joined: drops nothing, and answers true, if some of them would go.
pub(crate) fn retain_beside(store: &Store, joining: &[u64]) -> Result<bool, StorageError> {
    let drop = to_drop(store.manifest(), store.config.retention, (store.config.now)());
    if drop.iter().any(|number| joining.contains(number)) {
        return Ok(true);
    }
    retain(store).map(|_| false)
}

/// Takes segments out of the manifest, on a full disk by the room that was kept for it.
fn change_manifest(store: &Store, drop: &[u64]) -> Result<(), NotReplaced> {
    let change = |manifest: &mut Manifest| {
        let kept = |segment: &ManifestSegment| !drop.contains(&segment.number);
        manifest.segments.retain(kept);
    };
    match store.change_manifest(change) {
        Err(NotReplaced::Certainly(error))
            if error.kind() == ErrorKind::StorageFull
                && Manifest::give_up_spare_room(store.disk.as_ref()) =>
        {
            store.change_manifest(change)
        }
        other => other,
    }
}

/// Keeps room for a manifest where there is room.
pub(crate) fn keep_spare_room(disk: &dyn Disk, manifest: &Manifest) {
    if let Err(error) = manifest.keep_spare_room(disk) {
        tracing::warn!(%error, "no room is kept for retention to work on a full disk; it is tried again");
    }
}

/// Numbers of the segments that are not kept. `now` in epoch milliseconds.
pub(crate) fn to_drop(mut manifest: Manifest, retention: Retention, now: u64) -> Vec<u64> {
    manifest
        .segments
        .sort_unstable_by_key(|segment| Reverse((segment.sealed_at, segment.number)));
    let mut bytes = 0u64;
    let mut drop = Vec::new();
    for segment in manifest.segments {
        bytes = bytes.saturating_add(segment.bytes);
        let age_ms = u128::from(now.saturating_sub(segment.sealed_at));
        let too_old = retention
            .age_max
            .is_some_and(|age_max| age_ms > age_max.as_millis());
        let too_many = retention.bytes_max.is_some_and(|bytes_max| bytes > bytes_max);
        if too_old || too_many {
            drop.push(segment.number);
        }
    }
    drop
}

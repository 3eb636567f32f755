//! Retention: whole segments go, by age and by bytes, oldest first.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use storage::StorageError;

use crate::compact::remove_files;
use crate::config::Retention;
use crate::manifest::Manifest;
use crate::reader::SegmentReader;
use crate::seal::cannot_write;
use crate::store::Store;

/// Drops what retention does not keep; gives how many segments went.
pub(crate) fn retain(store: &Store) -> Result<usize, StorageError> {
    let view = store.view();
    let manifest = store.manifest.lock().clone();
    let drop = to_drop(
        &view.segments,
        &manifest,
        store.config.retention,
        (store.config.now)(),
    );
    if drop.is_empty() {
        return Ok(0);
    }
    let mut changed = manifest;
    changed.segments.retain(|segment| !drop.contains(&segment.number));
    changed.write(store.disk.as_ref()).map_err(cannot_write)?;
    *store.manifest.lock() = changed;
    store.change_view(|view| {
        let kept = view
            .segments
            .iter()
            .filter(|segment| !drop.contains(&segment.number()))
            .cloned();
        view.with_segments(kept.collect())
    });
    store
        .counters
        .dropped_segments
        .fetch_add(drop.len() as u64, Ordering::Relaxed);
    remove_files(store, &drop);
    Ok(drop.len())
}

/// `now` in epoch milliseconds. Segments come newest first.
fn to_drop(segments: &[Arc<SegmentReader>], manifest: &Manifest, retention: Retention, now: u64) -> Vec<u64> {
    let oldest = |age: Duration| (now.saturating_mul(1000)).saturating_sub(age.as_micros() as u64);
    let bytes_of = |number: u64| {
        manifest
            .segments
            .iter()
            .find(|s| s.number == number)
            .map_or(0, |s| s.bytes)
    };
    let mut bytes = 0u64;
    let mut drop = Vec::new();
    for segment in segments {
        let last = segment.footer().summary.last;
        bytes += bytes_of(segment.number());
        let too_old = retention.age_max.is_some_and(|age| last < oldest(age));
        let too_many = retention.bytes_max.is_some_and(|bytes_max| bytes > bytes_max);
        if too_old || too_many {
            drop.push(segment.number());
        }
    }
    drop
}

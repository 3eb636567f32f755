//! The queue between those who append and the writer thread, and the thread's loop.
//!
//! Appending takes the lock for a few instructions; the thread takes everything queued at once, and does its
//! I/O without the lock. What arrives meanwhile is the next group.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::config::SyncPolicy;
use crate::error::JournalError;
use crate::format::{CheckpointSlot, frame_bytes};
use crate::gaps::Gaps;
use crate::pending::{Group, Outcome};
use crate::write::{Counters, Log, Queued};

/// What the journal and its writer thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) queue: Mutex<Queue>,
    /// Wakes the writer thread.
    pub(crate) wake: Condvar,
    pub(crate) counters: Arc<Counters>,
}

/// Guarded by [`Shared::queue`].
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) records: Vec<Queued>,
    /// Frames queued or being written.
    pub(crate) bytes: u64,
    /// What the queued records wait on.
    pub(crate) group: Arc<Group>,
    /// Position the next record gets.
    pub(crate) end: u64,
    /// End of the last record that is synced.
    pub(crate) synced: u64,
    /// End of the last record that is as durable as was promised: what may be read.
    pub(crate) kept: u64,
    pub(crate) checkpoint: u64,
    pub(crate) gaps: Gaps,
    /// Somebody needs a sync, whatever the policy.
    pub(crate) sync_wanted: bool,
    pub(crate) closing: bool,
    pub(crate) poisoned: Option<String>,
}

impl Queue {
    /// As a run begins that wrote this slot.
    pub(crate) fn new(slot: CheckpointSlot, gaps: Gaps) -> Self {
        Self {
            records: Vec::new(),
            bytes: 0,
            group: Arc::default(),
            end: slot.run,
            synced: slot.durable,
            kept: slot.durable,
            checkpoint: slot.position,
            gaps,
            sync_wanted: false,
            closing: false,
            poisoned: None,
        }
    }

    /// Bytes of records from the checkpoint to the end.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.end - self.checkpoint - self.gaps.bytes()
    }

    /// Why nothing can be appended, if that is so.
    pub(crate) fn check_open(&self) -> Result<(), JournalError> {
        match &self.poisoned {
            Some(why) => Err(JournalError::Poisoned(why.clone())),
            None if self.closing => Err(JournalError::Closed),
            None => Ok(()),
        }
    }
}

/// What the writer does in one round.
struct Work {
    records: Vec<Queued>,
    group: Arc<Group>,
    sync: bool,
    last: bool,
}

impl Drop for Work {
    /// Nobody waits forever, even if a disk panics.
    fn drop(&mut self) {
        let error = JournalError::Poisoned("the writer thread died".to_owned());
        self.group.complete(Outcome {
            kept: 0,
            error: Some(error),
        });
    }
}

impl Shared {
    /// Waits for something to do. `sync_by` is when what is written has to be synced.
    fn next_work(&self, sync_by: Option<Instant>) -> Work {
        let mut queue = self.queue.lock();
        loop {
            let due = sync_by.is_some_and(|at| at <= Instant::now());
            if due || queue.sync_wanted || queue.closing || !queue.records.is_empty() {
                return Work {
                    records: std::mem::take(&mut queue.records),
                    group: std::mem::take(&mut queue.group),
                    sync: due || queue.closing || std::mem::take(&mut queue.sync_wanted),
                    last: queue.closing,
                };
            }
            match sync_by {
                Some(at) => {
                    self.wake.wait_until(&mut queue, at);
                }
                None => self.wake.wait(&mut queue),
            }
        }
    }

    /// Accounts for a round, then tells who waits.
    fn finish(&self, work: &Work, outcome: Outcome, synced: u64) {
        let mut queue = self.queue.lock();
        queue.synced = synced;
        queue.kept = queue.kept.max(outcome.kept);
        for record in &work.records {
            let frame = frame_bytes(record.payload.len());
            queue.bytes -= frame;
            if outcome.error.is_some() && record.position >= outcome.kept {
                queue.gaps.add(record.position, record.position + frame);
                self.counters.refused.fetch_add(1, Ordering::Relaxed);
            } else {
                self.counters.records.fetch_add(1, Ordering::Relaxed);
            }
        }
        if let Some(JournalError::Poisoned(why)) = &outcome.error {
            tracing::error!(%why, "the journal does not know what is on disk and accepts nothing until it is opened again");
            queue.poisoned = Some(why.clone());
        }
        drop(queue);
        work.group.complete(outcome);
    }

    /// Refuses what is queued, now and later.
    fn stop(&self, why: &str) {
        let mut queue = self.queue.lock();
        let why = queue.poisoned.get_or_insert_with(|| why.to_owned()).clone();
        queue.records = Vec::new();
        let group = std::mem::take(&mut queue.group);
        drop(queue);
        group.complete(Outcome {
            kept: 0,
            error: Some(JournalError::Poisoned(why)),
        });
    }
}

/// Refuses what is queued when the writer thread ends for another reason than closing.
struct StopGuard<'a>(&'a Shared);

impl Drop for StopGuard<'_> {
    fn drop(&mut self) {
        self.0.stop("the writer thread died");
    }
}

/// The writer thread: rounds until the journal closes or is poisoned.
pub(crate) fn run(shared: &Shared, mut log: Log, policy: SyncPolicy) {
    let guard = StopGuard(shared);
    let interval = match policy {
        SyncPolicy::Interval(interval) => Some(interval),
        SyncPolicy::Always | SyncPolicy::Os => None,
    };
    let mut sync_by = None;
    loop {
        let work = shared.next_work(sync_by);
        let outcome = log.commit(&work.records, work.sync || policy == SyncPolicy::Always);
        let poisoned = matches!(outcome.error, Some(JournalError::Poisoned(_)));
        shared.finish(&work, outcome, log.synced());
        if poisoned {
            return;
        }
        if work.last {
            break;
        }
        drop(work);
        sync_by = next_sync(&log, sync_by, interval);
        log.preallocate();
    }
    // What could be queued was taken in the last round: closing lets nothing in.
    std::mem::forget(guard);
}

/// When what is written has to be synced: an interval after the first record that is not.
fn next_sync(log: &Log, planned: Option<Instant>, interval: Option<Duration>) -> Option<Instant> {
    if log.is_dirty() {
        planned.or_else(|| interval.map(|interval| Instant::now() + interval))
    } else {
        None
    }
}

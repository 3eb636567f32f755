//! What those who accept, those who ask and the delivery share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use storage::{SpanSink, SpanSource, StorageError};
use storage_journal::{Journal, JournalError, Position};
use tokio::sync::{Notify, watch};

use crate::config::SpoolConfig;
use crate::refused::Refused;

/// See the head of this file. No lock is held across I/O.
pub(crate) struct Shared {
    pub(crate) config: SpoolConfig,
    pub(crate) journal: Journal,
    pub(crate) sink: Arc<dyn SpanSink>,
    pub(crate) source: Arc<dyn SpanSource>,
    pub(crate) refused: Refused,
    pub(crate) depth: watch::Sender<Depth>,
    /// There is something to read.
    pub(crate) arrived: Notify,
    pub(crate) mode: watch::Sender<Mode>,
    /// The delivery ended without having been told to.
    pub(crate) died: AtomicBool,
    pub(crate) counters: Counters,
    /// Since when the backend takes nothing, and why.
    pub(crate) outage: Mutex<Option<(u64, String)>>,
}

/// What was accepted and is neither delivered nor put aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Depth {
    pub(crate) spans: u64,
    pub(crate) records: u64,
    /// When the oldest was accepted, in epoch milliseconds.
    pub(crate) oldest_ms: Option<u64>,
    /// Records on their way into the journal; counted above.
    pub(crate) appending: u64,
}

/// How far the spool is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    Running,
    /// Nothing is accepted; what the backend takes without a pause is delivered.
    Draining,
    Stopped,
}

/// What happened since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) delivered_spans: AtomicU64,
    pub(crate) delivered_batches: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) refused_spans: AtomicU64,
    pub(crate) damaged: AtomicU64,
}

impl Depth {
    /// Spans and records are gone from what waits.
    fn take(&mut self, spans: u64, records: u64) {
        self.spans = self.spans.saturating_sub(spans);
        self.records = self.records.saturating_sub(records);
        if self.records == 0 {
            self.oldest_ms = None;
        }
    }
}

impl Shared {
    /// A batch is about to be written.
    pub(crate) fn begin_append(&self, spans: u64, accepted_ms: u64) {
        self.depth.send_modify(|depth| {
            depth.spans += spans;
            depth.records += 1;
            depth.appending += 1;
            depth.oldest_ms.get_or_insert(accepted_ms);
        });
    }

    /// It is written, or will never be.
    pub(crate) fn end_append(&self, spans: u64, kept: bool) {
        self.depth.send_modify(|depth| {
            depth.appending -= 1;
            if !kept {
                depth.take(spans, 1);
            }
        });
        // Also without a record: whoever drains waits for the last one that is on its way.
        self.arrived.notify_one();
    }

    /// The oldest that waits was accepted then.
    pub(crate) fn note_oldest(&self, accepted_ms: u64) {
        self.depth
            .send_modify(|depth| depth.oldest_ms = Some(accepted_ms));
    }

    /// Spans are with the backend, or put aside.
    pub(crate) fn delivered(&self, spans: u64, records: u64) {
        self.depth.send_modify(|depth| depth.take(spans, records));
    }

    /// Everything before a position was read and is settled: what is still counted, if there is nothing behind it,
    /// was lost to damage.
    pub(crate) fn nothing_waits_before(&self, position: Position) {
        self.depth.send_if_modified(|depth| {
            let wrong = depth.records > 0 && depth.appending == 0 && self.journal.end() <= position;
            if wrong {
                *depth = Depth::default();
            }
            wrong
        });
    }

    pub(crate) fn mode(&self) -> Mode {
        *self.mode.borrow()
    }

    /// Resolves when the spool is at least so far on its way to its end.
    pub(crate) async fn reached(&self, mode: Mode) {
        // The sender lives as long as this does.
        let _ = self.mode.subscribe().wait_for(|now| *now >= mode).await;
    }

    /// Resolves when nothing waits.
    pub(crate) async fn drained(&self) {
        let _ = self.depth.subscribe().wait_for(|depth| depth.records == 0).await;
    }

    pub(crate) fn count(counter: &AtomicU64, more: u64) {
        counter.fetch_add(more, Ordering::Relaxed);
    }
}

/// What a refusal of the journal means to who sent the spans.
pub(crate) fn refusal(error: JournalError) -> StorageError {
    let text = format!("the spool: {error}");
    match error {
        JournalError::Full { .. } => StorageError::Overloaded(text),
        JournalError::TooLarge { .. } => StorageError::Invalid(text),
        JournalError::Corrupt { .. } => StorageError::Corrupt(text),
        _ => StorageError::Unavailable(text),
    }
}

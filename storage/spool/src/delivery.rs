//! The delivery: takes batches from the queue in order, offers each to the backend until it has it, and lets go of
//! what it has.
//!
//! What a failure says to do decides ([`StorageError`]): later is later, for as long as it takes; never means that some
//! span cannot be taken, which is found by halving, put aside on disk, and holds up nothing behind it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use model::{Span, SpanBatch};
use storage::StorageError;
use storage_journal::{JournalError, Position, Record};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::backoff::Backoff;
use crate::queue::{Batch, Next, Queue};
use crate::refused::NotPutAside;
use crate::shared::{Mode, Shared};

/// The checkpoint costs a sync. After a crash, what was delivered since the last is delivered again.
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(100);
/// What lasts is logged no more often.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// See the head of this file.
pub(crate) struct Delivery {
    shared: Arc<Shared>,
    /// Away while it reads the disk on another thread.
    queue: Option<Queue>,
    backoff: Backoff,
    /// Delivered up to here, and not yet let go.
    due: Option<Position>,
    last_checkpoint: Instant,
    outages: Rarely,
    checkpoints: Rarely,
}

/// The spool was told to stop.
struct Stop;

/// What became of an offer.
enum Offer {
    Taken,
    /// It can never be taken.
    Refused(String),
}

impl Delivery {
    pub(crate) fn new(shared: Arc<Shared>, queue: Queue, backoff: Backoff) -> Self {
        Self {
            shared,
            queue: Some(queue),
            backoff,
            due: None,
            last_checkpoint: Instant::now(),
            outages: Rarely::default(),
            checkpoints: Rarely::default(),
        }
    }

    /// Delivers until the spool stops.
    pub(crate) async fn run(mut self) {
        let guard = DiedGuard(Arc::clone(&self.shared));
        while let Ok(()) = self.step().await {}
        self.save_checkpoint().await;
        drop(guard);
    }

    async fn step(&mut self) -> Result<(), Stop> {
        // Before reading: what changes later is looked at by the next step.
        let mode = self.shared.mode();
        if mode == Mode::Stopped {
            return Err(Stop);
        }
        let settled = mode == Mode::Draining && self.shared.depth.borrow().appending == 0;
        match self.next().await {
            Ok(Next::Batch(batch)) => self.deliver(batch).await,
            Ok(Next::Unreadable { record, reason, end }) => self.put_record_aside(record, reason, end).await,
            Ok(Next::Nothing) if settled => Err(Stop),
            Ok(Next::Nothing) => {
                self.idle(mode).await;
                Ok(())
            }
            Err(JournalError::Corrupt { .. }) => self.skip_damaged().await,
            Err(error) => self.pause(&format!("the spool cannot be read: {error}")).await,
        }
    }

    /// Reads on a thread that may block.
    async fn next(&mut self) -> Result<Next, JournalError> {
        let shared = Arc::clone(&self.shared);
        self.with_queue(move |queue| {
            let next = queue.next(&shared.config);
            if let Err(error @ JournalError::Corrupt { .. }) = &next {
                tracing::error!(%error, "spans that were to be delivered are damaged and lost");
            }
            next
        })
        .await
    }

    async fn with_queue<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Queue) -> T + Send + 'static,
    ) -> T {
        let Some(mut queue) = self.queue.take() else {
            unreachable!("the queue is given back before it is taken again")
        };
        let worked = tokio::task::spawn_blocking(move || {
            let result = work(&mut queue);
            (queue, result)
        });
        match worked.await {
            Ok((queue, result)) => {
                self.queue = Some(queue);
                result
            }
            Err(failure) => match failure.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime ends, and this with it.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Waits for something to deliver, and lets go of what was.
    async fn idle(&mut self, mode: Mode) {
        let shared = Arc::clone(&self.shared);
        if let Some(queue) = &self.queue {
            shared.nothing_waits_before(queue.end());
        }
        let changed = match mode {
            Mode::Running => Mode::Draining,
            Mode::Draining | Mode::Stopped => Mode::Stopped,
        };
        let checkpoint = self.last_checkpoint + CHECKPOINT_INTERVAL;
        tokio::select! {
            () = shared.arrived.notified() => {}
            () = shared.reached(changed) => {}
            () = sleep_until(checkpoint), if self.due.is_some() => self.save_checkpoint().await,
        }
    }

    async fn deliver(&mut self, batch: Batch) -> Result<(), Stop> {
        self.shared.note_oldest(batch.accepted_ms);
        loop {
            let refused = self.offer_whole(&batch.spans).await?;
            match self.put_spans_aside(&batch, refused).await {
                Ok(()) => break,
                // It stays where it is until there is room, and is offered again: somebody may mend the backend.
                Err(error) => self.pause(&error.to_string()).await?,
            }
        }
        self.let_go(batch.spans.len() as u64, batch.records, batch.end)
            .await;
        Ok(())
    }

    /// Offers a batch, in halves where it is refused; returns the spans that are refused by themselves, and why.
    async fn offer_whole(&mut self, batch: &SpanBatch) -> Result<Vec<(usize, String)>, Stop> {
        let mut refused = Vec::new();
        let mut ranges: Vec<Range<usize>> = std::iter::once(0..batch.len()).collect();
        while let Some(range) = ranges.pop() {
            let offer = if range.len() == batch.len() {
                self.offer(batch).await?
            } else {
                self.offer(&part(batch, &range)).await?
            };
            match offer {
                Offer::Taken => {
                    Shared::count(&self.shared.counters.delivered_spans, range.len() as u64);
                    Shared::count(&self.shared.counters.delivered_batches, 1);
                }
                Offer::Refused(reason) if range.len() == 1 => refused.push((range.start, reason)),
                Offer::Refused(_) => {
                    let middle = range.start + range.len() / 2;
                    ranges.push(middle..range.end);
                    ranges.push(range.start..middle);
                }
            }
        }
        Ok(refused)
    }

    /// Offers spans until the backend takes or refuses them.
    async fn offer(&mut self, spans: &SpanBatch) -> Result<Offer, Stop> {
        loop {
            let shared = Arc::clone(&self.shared);
            let limit = shared.config.attempt_timeout;
            let outcome = tokio::select! {
                outcome = timeout(limit, shared.sink.accept(spans)) => outcome,
                () = shared.reached(Mode::Stopped) => return Err(Stop),
            };
            let error = match outcome {
                Ok(Ok(())) => {
                    self.backend_answers();
                    return Ok(Offer::Taken);
                }
                Ok(Err(
                    error @ (StorageError::Invalid(_)
                    | StorageError::Unsupported(_)
                    | StorageError::Corrupt(_)),
                )) => {
                    self.backend_answers();
                    return Ok(Offer::Refused(error.to_string()));
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {} s", limit.as_secs_f64()),
            };
            self.pause(&error).await?;
        }
    }

    /// After a success or a refusal: the backend is there.
    fn backend_answers(&mut self) {
        self.backoff.reset();
        if let Some((since_ms, error)) = self.shared.outage.lock().take() {
            let lasted_ms = (self.shared.config.now)().saturating_sub(since_ms);
            if self.outages.end() {
                let spans = self.shared.depth.borrow().spans;
                tracing::info!(
                    spans,
                    lasted_ms,
                    error,
                    "the backend takes what was accepted meanwhile"
                );
            }
        }
    }

    /// Waits before the next attempt, longer from failure to failure. A spool that is to end waits no more.
    async fn pause(&mut self, error: &str) -> Result<(), Stop> {
        Shared::count(&self.shared.counters.retries, 1);
        let now_ms = (self.shared.config.now)();
        {
            let mut outage = self.shared.outage.lock();
            let since_ms = outage.as_ref().map_or(now_ms, |outage| outage.0);
            *outage = Some((since_ms, error.to_owned()));
        }
        if self.outages.is_due() {
            let spans = self.shared.depth.borrow().spans;
            tracing::warn!(error, spans, "spans cannot be delivered and wait on disk");
        }
        self.save_checkpoint().await;
        if self.shared.mode() >= Mode::Draining {
            return Err(Stop);
        }
        let pause = self.backoff.pause();
        tokio::select! {
            () = sleep(pause) => {}
            // One attempt more, and no pause after it.
            () = self.shared.reached(Mode::Draining) => {}
        }
        Ok(())
    }

    async fn put_spans_aside(&self, batch: &Batch, refused: Vec<(usize, String)>) -> Result<(), NotPutAside> {
        if refused.is_empty() {
            return Ok(());
        }
        let count = refused.len() as u64;
        let first_reason = refused[0].1.clone();
        let spans: Vec<(Span, String)> = refused
            .into_iter()
            .map(|(index, reason)| (batch.spans.get(index).to_span(), reason))
            .collect();
        let at = batch.first;
        self.put_aside(move |shared| shared.refused.put_spans(at, &spans))
            .await?;
        Shared::count(&self.shared.counters.refused_spans, count);
        tracing::error!(
            spans = count,
            position = at.as_u64(),
            first_reason,
            "the backend can never take some spans, which are put aside"
        );
        Ok(())
    }

    async fn put_record_aside(&mut self, record: Record, reason: String, end: Position) -> Result<(), Stop> {
        let at = record.position;
        let spans = crate::record::decode_head(&record.payload).map_or(0, |(head, _)| u64::from(head.spans));
        let payload: Arc<[u8]> = record.payload.into();
        loop {
            let (payload, why) = (Arc::clone(&payload), reason.clone());
            match self
                .put_aside(move |shared| shared.refused.put_record(at, &payload, &why))
                .await
            {
                Ok(()) => break,
                Err(error) => self.pause(&error.to_string()).await?,
            }
        }
        Shared::count(&self.shared.counters.refused_spans, spans);
        tracing::error!(
            position = at.as_u64(),
            reason,
            "a record cannot be read and is put aside"
        );
        self.let_go(spans, 1, end).await;
        Ok(())
    }

    async fn put_aside(
        &self,
        put: impl FnOnce(&Shared) -> Result<(), NotPutAside> + Send + 'static,
    ) -> Result<(), NotPutAside> {
        let shared = Arc::clone(&self.shared);
        let put = tokio::task::spawn_blocking(move || put(&shared));
        put.await
            .unwrap_or_else(|error| Err(NotPutAside::Disk(std::io::Error::other(error))))
    }

    async fn skip_damaged(&mut self) -> Result<(), Stop> {
        match self.with_queue(Queue::skip_damaged).await {
            Ok(position) => {
                Shared::count(&self.shared.counters.damaged, 1);
                self.due = Some(position);
                Ok(())
            }
            Err(error) => self.pause(&format!("the spool cannot be read: {error}")).await,
        }
    }

    /// Spans need not be kept any longer.
    async fn let_go(&mut self, spans: u64, records: u64, end: Position) {
        self.due = Some(end);
        if self.last_checkpoint.elapsed() >= CHECKPOINT_INTERVAL {
            self.save_checkpoint().await;
        }
        self.shared.delivered(spans, records);
    }

    /// Lets the journal go of what was delivered. A failure costs another delivery of it, after a restart.
    async fn save_checkpoint(&mut self) {
        let Some(position) = self.due.take() else { return };
        self.last_checkpoint = Instant::now();
        let shared = Arc::clone(&self.shared);
        let saved = tokio::task::spawn_blocking(move || shared.journal.set_checkpoint(position)).await;
        if let Ok(Err(error)) = saved {
            self.due = Some(position);
            if self.checkpoints.is_due() {
                tracing::warn!(%error, "what was delivered cannot be let go");
            }
        }
    }
}

/// Says when something that lasts is to be logged.
#[derive(Debug, Default)]
struct Rarely {
    last: Option<Instant>,
}

impl Rarely {
    fn is_due(&mut self) -> bool {
        let due = self.last.is_none_or(|last| last.elapsed() >= LOG_INTERVAL);
        if due {
            self.last = Some(Instant::now());
        }
        due
    }

    /// It is over. Whether it was logged.
    fn end(&mut self) -> bool {
        self.last.take().is_some()
    }
}

/// Some spans of a batch.
fn part(batch: &SpanBatch, range: &Range<usize>) -> SpanBatch {
    let mut part = batch.clone();
    let mut indices = 0..batch.len();
    part.retain(|_| indices.next().is_some_and(|index| range.contains(&index)));
    part
}

/// Tells of a delivery that ends by a panic.
struct DiedGuard(Arc<Shared>);

impl Drop for DiedGuard {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        self.0.died.store(true, Ordering::Release);
        tracing::error!("the spool's delivery ended: spans are kept on disk until the next start");
    }
}

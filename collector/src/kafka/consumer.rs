//! One consumer of the group on a thread of its own: polls, pauses, commits, and starts again after failures.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::BorrowedMessage;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::delivery::Taken;
use super::partition::Partition;
use super::state::StreamState;
use super::watchdog::Watchdog;
use super::watcher::Watcher;
use super::{KafkaError, LEAVE_TIME, Shared};
use crate::Transport;
use crate::retry::Backoff;

/// How long one poll waits for a message: how soon a stop, a pause or a resumption is noticed.
const POLL: Duration = Duration::from_millis(100);

/// A store that is only slow gets so long before the consumer is paused, which throws away what was read ahead.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often offsets are committed: what comes again after a crash.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// First and longest wait before a consumer that failed is made again.
const RESTART_FIRST: Duration = Duration::from_secs(1);
const RESTART_LONGEST: Duration = Duration::from_secs(300);

/// One that worked for so long was no failure from its start on.
const RESTART_FORGOTTEN: Duration = Duration::from_secs(600);

/// A consumer and, when that fails, the next.
pub(super) struct Stream {
    shared: Arc<Shared>,
    state: Arc<StreamState>,
    number: usize,
    runtime: Handle,
    consumer: BaseConsumer<Watcher>,
}

/// Why a consumer ended.
enum End {
    Stopped,
    Failed(String),
}

impl Stream {
    /// Makes the first consumer, so that a configuration that cannot work is found before anything runs.
    pub(super) fn new(shared: Arc<Shared>, number: usize, runtime: Handle) -> Result<Self, KafkaError> {
        let state = Arc::clone(&shared.streams[number]);
        let consumer = subscribe(&shared, &state)?;
        Ok(Self {
            shared,
            state,
            number,
            runtime,
            consumer,
        })
    }

    /// Consumes on a thread of its own. The answer is closed when it has ended and left the group.
    pub(super) fn start(self) -> Result<oneshot::Receiver<()>, KafkaError> {
        let (ends, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name(format!("kafka-{}", self.number));
        let run = move || {
            self.run();
            drop(ends);
        };
        match thread.spawn(run) {
            Ok(_) => Ok(ended),
            Err(error) => Err(KafkaError(format!("cannot start a thread: {error}"))),
        }
    }

    fn run(self) {
        let Self {
            shared,
            state,
            runtime,
            consumer,
            ..
        } = self;
        let mut next = Some(consumer);
        let mut backoff = Backoff::new(RESTART_FIRST, RESTART_LONGEST);
        loop {
            let began = Instant::now();
            let end = match next.take().map_or_else(|| subscribe(&shared, &state), Ok) {
                Ok(consumer) => Session::new(&shared, &state, &runtime, consumer).run(),
                Err(error) => End::Failed(error.to_string()),
            };
            let End::Failed(reason) = end else { return };
            tracing::warn!(reason, "Kafka: a consumer failed and is started again");
            state.trouble(reason);
            state.restarting(true);
            shared.counts.restarts.add(1);
            if began.elapsed() > RESTART_FORGOTTEN {
                backoff = Backoff::new(RESTART_FIRST, RESTART_LONGEST);
            }
            if shared.stop.wait(backoff.next()) {
                return;
            }
        }
    }
}

fn subscribe(shared: &Arc<Shared>, state: &Arc<StreamState>) -> Result<BaseConsumer<Watcher>, KafkaError> {
    let watcher = Watcher::new(Arc::clone(shared), Arc::clone(state));
    let consumer: BaseConsumer<Watcher> = shared.config.consumer().create_with_context(watcher)?;
    let topics: Vec<&str> = shared.config.topics.iter().map(String::as_str).collect();
    consumer.subscribe(&topics)?;
    Ok(consumer)
}

/// One consumer from its first poll to its last.
struct Session<'a> {
    shared: &'a Arc<Shared>,
    state: &'a Arc<StreamState>,
    runtime: &'a Handle,
    consumer: BaseConsumer<Watcher>,
    watchdog: Watchdog,
    paused: Option<Instant>,
    /// A partition has as many messages open as it may.
    crowded: bool,
    committed: Instant,
}

impl<'a> Session<'a> {
    fn new(
        shared: &'a Arc<Shared>,
        state: &'a Arc<StreamState>,
        runtime: &'a Handle,
        consumer: BaseConsumer<Watcher>,
    ) -> Self {
        let now = Instant::now();
        state.polled(now);
        Self {
            shared,
            state,
            runtime,
            consumer,
            watchdog: Watchdog::new(now),
            paused: None,
            crowded: false,
            committed: now,
        }
    }

    fn run(mut self) -> End {
        let end = loop {
            if self.shared.stop.deadline().is_some() {
                break End::Stopped;
            }
            let now = Instant::now();
            self.state.polled(now);
            self.steer(now);
            self.commit_if_due(now);
            if self.paused.is_none()
                && let Some(reason) =
                    self.watchdog
                        .check(&self.consumer, self.state, &self.shared.config, now)
            {
                break End::Failed(reason);
            }
            match self.consumer.poll(POLL) {
                Some(Ok(message)) => {
                    let partition = self.take(&message);
                    self.crowded |= partition.is_full();
                    self.watchdog.fed(now);
                }
                // Errors are told to the watcher, and librdkafka goes on after most.
                Some(Err(_)) => {
                    if let Some((_, words)) = self.consumer.client().fatal_error() {
                        self.let_go();
                        break End::Failed(words);
                    }
                }
                None => {}
            }
        };
        self.close();
        end
    }

    /// Hands a message to the runtime, or skips it where nothing is in it.
    fn take(&self, message: &BorrowedMessage<'_>) -> Arc<Partition> {
        let counts = &self.shared.counts;
        let watcher = self.consumer.context();
        let partition = watcher.partition(message.topic(), message.partition());
        if self.paused.is_some() {
            // It was assigned, or could not be paused, in between.
            watcher.pause(&self.consumer, std::slice::from_ref(&partition));
        }
        let skipped = match message.payload() {
            Some([]) => &counts.skipped_empty,
            None => &counts.skipped_null,
            Some(value) => {
                let taken = Taken::new(self.shared, Arc::clone(&partition), message, value);
                self.runtime.spawn(taken.deliver());
                return partition;
            }
        };
        skipped.add(1);
        self.shared.collector.metrics().message(Transport::Kafka);
        partition.finish(partition.begin(message.offset()));
        partition
    }

    /// Pauses while the store takes nothing or too much is on its way, and resumes afterwards. Polling goes on:
    /// who does not poll loses its partitions.
    fn steer(&mut self, now: Instant) {
        let Shared {
            in_flight, pressure, ..
        } = &**self.shared;
        match self.paused {
            None if pressure.is_high() => self.pause(now),
            None if self.crowded || !in_flight.wait_for_room(PATIENCE) => self.pause(now),
            Some(since) if !pressure.is_high() && in_flight.is_half_empty() && !self.is_crowded() => {
                self.resume(since, now);
            }
            _ => {}
        }
    }

    /// True if a partition has as many messages open as it may.
    fn is_crowded(&self) -> bool {
        self.state
            .partitions()
            .iter()
            .any(|partition| partition.is_full())
    }

    fn pause(&mut self, now: Instant) {
        let watcher = self.consumer.context();
        watcher.paused.store(true, Ordering::Relaxed);
        watcher.pause(&self.consumer, &self.state.partitions());
        self.paused = Some(now);
        self.state.paused(self.paused);
        tracing::debug!("Kafka: paused until the store takes spans");
    }

    fn resume(&mut self, since: Instant, now: Instant) {
        let watcher = self.consumer.context();
        watcher.paused.store(false, Ordering::Relaxed);
        watcher.resume(&self.consumer, &self.state.partitions());
        self.paused = None;
        self.crowded = false;
        self.state.paused(None);
        let paused = now.saturating_duration_since(since);
        self.shared.counts.paused_ms.add(paused.as_millis() as u64);
        self.watchdog.fed(now);
        tracing::debug!("Kafka: resumed");
    }

    /// After a fatal error: hears that its partitions are gone, so that they are not committed any more.
    fn let_go(&self) {
        let deadline = Instant::now() + LEAVE_TIME;
        while !self.state.assignment.lock().is_empty() && Instant::now() < deadline {
            // Messages that come now were never taken: the next consumer reads them again.
            drop(self.consumer.poll(POLL));
        }
    }

    fn commit_if_due(&mut self, now: Instant) {
        if now.saturating_duration_since(self.committed) >= COMMIT_INTERVAL {
            self.committed = now;
            let partitions = self.state.partitions();
            self.consumer
                .context()
                .commit(&self.consumer, &partitions, CommitMode::Async);
        }
    }

    /// Waits for what was taken, commits it and leaves the group: dropping the consumer gives up its partitions,
    /// which commits them once more if anything is left to commit.
    fn close(self) {
        let partitions: Vec<Arc<Partition>> = self.state.partitions();
        if let Some(deadline) = self.shared.stop.deadline() {
            let all = partitions.iter().all(|partition| partition.wait_idle(deadline));
            if !all {
                tracing::warn!("Kafka: messages taken could not be stored in time: they will be read again");
            }
        }
        if let Some(since) = self.paused {
            self.shared
                .counts
                .paused_ms
                .add(since.elapsed().as_millis() as u64);
            self.state.paused(None);
        }
        if self.consumer.client().fatal_error().is_some() {
            // librdkafka cannot end a consumer after a fatal error: it waits for ever, and busily. It stays, idle;
            // such errors are rare, and restarts more and more so.
            std::mem::forget(self.consumer);
        } else {
            drop(self.consumer);
        }
        partitions.iter().for_each(|partition| partition.lose());
        self.state.assignment.lock().clear();
    }
}

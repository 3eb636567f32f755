//! What the consumers count and know about themselves, for health and figures.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::partition::Partition;
use crate::retry::Seldom;

/// Figures are shown for so many partitions, those with the most lag; the others are in the sums only.
const PARTITIONS_SHOWN_MAX: usize = 512;

/// A cluster whose brokers were silent for so long does not answer: fetches and heartbeats come more often.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// A consumer polls several times a second; one that did not for so long is stuck.
const POLL_PAUSE_MAX: Duration = Duration::from_secs(60);

/// Counts since the start, of all consumers. Relaxed atomics: each number stands alone.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) skipped_null: Count,
    pub(super) skipped_empty: Count,
    pub(super) put_aside: Count,
    pub(super) dead_lettered: Count,
    pub(super) dead_letter_failures: Count,
    pub(super) retries: Count,
    pub(super) commits: Count,
    pub(super) commit_failures: Count,
    pub(super) rebalances: Count,
    pub(super) restarts: Count,
    pub(super) paused_ms: Count,
}

/// A number that goes up.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The partitions that a consumer has now, by topic and number.
pub(super) type Assignment = HashMap<Arc<str>, HashMap<i32, Arc<Partition>>>;

/// What one consumer knows about itself, whichever of its incarnations it is.
#[derive(Debug)]
pub(super) struct StreamState {
    pub(super) assignment: Mutex<Assignment>,
    condition: Mutex<Condition>,
    said: Seldom,
}

/// How a consumer is.
#[derive(Debug)]
struct Condition {
    polled: Instant,
    /// When a broker last said anything.
    answered: Option<Instant>,
    paused: Option<Instant>,
    /// What went wrong since it last went well.
    trouble: Option<String>,
    /// It is only that a topic is not there yet.
    waiting: bool,
    /// The consumer is gone, and is made again.
    restarting: bool,
}

impl StreamState {
    pub(super) fn new() -> Self {
        Self {
            assignment: Mutex::default(),
            condition: Mutex::new(Condition {
                polled: Instant::now(),
                answered: None,
                paused: None,
                trouble: None,
                waiting: false,
                restarting: false,
            }),
            said: Seldom::default(),
        }
    }

    /// All partitions that it has.
    pub(super) fn partitions(&self) -> Vec<Arc<Partition>> {
        let assignment = self.assignment.lock();
        assignment
            .values()
            .flat_map(|numbers| numbers.values().cloned())
            .collect()
    }

    pub(super) fn polled(&self, now: Instant) {
        self.condition.lock().polled = now;
    }

    /// A broker said something at that time.
    pub(super) fn answered(&self, at: Instant) {
        let mut condition = self.condition.lock();
        condition.answered = condition.answered.max(Some(at));
    }

    /// No broker can be reached.
    pub(super) fn unreachable(&self) {
        self.condition.lock().answered = None;
    }

    pub(super) fn paused(&self, since: Option<Instant>) {
        self.condition.lock().paused = since;
    }

    pub(super) fn restarting(&self, restarting: bool) {
        self.condition.lock().restarting = restarting;
    }

    /// Remembers what went wrong, for health, and logs it once in a while.
    pub(super) fn trouble(&self, what: String) {
        if self.said.is_due(Instant::now()) {
            tracing::warn!(reason = what, "Kafka: {TROUBLE}");
        } else {
            tracing::debug!(reason = what, "Kafka: {TROUBLE}");
        }
        let mut condition = self.condition.lock();
        condition.trouble = Some(what);
        condition.waiting = false;
    }

    /// A topic is not there yet, which is no fault of the cluster's.
    pub(super) fn waiting(&self, what: String) {
        self.trouble(what);
        self.condition.lock().waiting = true;
    }

    /// It consumes.
    pub(super) fn well(&self) {
        let mut condition = self.condition.lock();
        condition.trouble = None;
        condition.restarting = false;
    }

    /// True if the brokers answer.
    pub(super) fn is_answered(&self, now: Instant) -> bool {
        self.condition.lock().is_answered(now)
    }

    /// Why it does not work, if it does not.
    fn error(&self, now: Instant) -> Option<String> {
        let idle = self.assignment.lock().is_empty();
        let condition = self.condition.lock();
        let because = |what: &str| match &condition.trouble {
            Some(trouble) => format!("{what}: {trouble}"),
            None => what.to_owned(),
        };
        let pause = now.saturating_duration_since(condition.polled);
        if condition.restarting {
            return Some(because("the consumer failed and is started again"));
        }
        if pause > POLL_PAUSE_MAX {
            return Some(because(&format!("the consumer hangs for {} s", pause.as_secs())));
        }
        if !condition.is_answered(now) {
            return Some(because("no broker answers"));
        }
        let left_out = idle && condition.trouble.is_some() && !condition.waiting;
        left_out.then(|| because("no partitions are assigned"))
    }
}

const TROUBLE: &str = "the consumer has a problem; it goes on trying";

impl Condition {
    fn is_answered(&self, now: Instant) -> bool {
        self.answered
            .is_some_and(|at| now.saturating_duration_since(at) <= SILENCE_MAX)
    }
}

/// How the collector is, for `/health`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KafkaHealth {
    /// Why it does not work, if it does not.
    pub error: Option<String>,
    /// What it reads, as `topic-partition`.
    pub assigned: Vec<String>,
    /// Messages in the log that are not stored yet.
    pub lag: u64,
    /// Nothing is read because the store takes nothing, or because too much is on its way.
    pub paused: bool,
    /// What went wrong last and was not followed by success.
    pub trouble: Option<String>,
}

/// What was counted since the start, and what is measured now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KafkaStats {
    /// Messages without a value (tombstones).
    pub skipped_null: u64,
    /// Messages with a value of no bytes.
    pub skipped_empty: u64,
    /// Messages that can never be stored, counted and left in their topic.
    pub put_aside: u64,
    /// Messages that can never be stored, delivered to the topic for them.
    pub dead_lettered: u64,
    /// Dead letters that the broker did not take; they are sent again.
    pub dead_letter_failures: u64,
    /// Times that a message was offered to the store again.
    pub retries: u64,
    /// Commits of offsets.
    pub commits: u64,
    /// Commits that failed; they are made again.
    pub commit_failures: u64,
    /// Changes of the assignment.
    pub rebalances: u64,
    /// Consumers made again after they failed or stalled.
    pub restarts: u64,
    /// Time in which nothing was read, of all consumers together.
    pub paused: Duration,
    /// Partitions that are ours now.
    pub assigned: usize,
    /// Messages in the log that are not stored yet.
    pub lag: u64,
    /// The same of each partition, at most 512: those with the most.
    pub lags: Vec<PartitionLag>,
}

/// How far behind one partition is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionLag {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// Messages in its log that are not stored yet.
    pub messages: u64,
}

/// How all consumers together are.
pub(super) fn health(streams: &[Arc<StreamState>]) -> KafkaHealth {
    let now = Instant::now();
    let partitions: Vec<_> = streams.iter().flat_map(|stream| stream.partitions()).collect();
    let mut assigned: Vec<_> = partitions
        .iter()
        .map(|partition| (&*partition.topic, partition.number))
        .collect();
    assigned.sort_unstable();
    KafkaHealth {
        error: streams.iter().find_map(|stream| stream.error(now)),
        assigned: assigned
            .iter()
            .map(|(topic, number)| format!("{topic}-{number}"))
            .collect(),
        lag: partitions.iter().filter_map(|partition| partition.lag()).sum(),
        paused: streams
            .iter()
            .any(|stream| stream.condition.lock().paused.is_some()),
        trouble: streams
            .iter()
            .find_map(|stream| stream.condition.lock().trouble.clone()),
    }
}

/// What all consumers together counted.
pub(super) fn stats(counts: &Counts, streams: &[Arc<StreamState>]) -> KafkaStats {
    let now = Instant::now();
    let partitions: Vec<_> = streams.iter().flat_map(|stream| stream.partitions()).collect();
    let mut lags: Vec<PartitionLag> = partitions
        .iter()
        .filter_map(|partition| {
            Some(PartitionLag {
                topic: partition.topic.to_string(),
                partition: partition.number,
                messages: partition.lag()?,
            })
        })
        .collect();
    let lag = lags.iter().map(|partition| partition.messages).sum();
    if lags.len() > PARTITIONS_SHOWN_MAX {
        lags.select_nth_unstable_by_key(PARTITIONS_SHOWN_MAX, |lag| std::cmp::Reverse(lag.messages));
        lags.truncate(PARTITIONS_SHOWN_MAX);
    }
    lags.sort_unstable_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
    let pausing = streams.iter().filter_map(|stream| stream.condition.lock().paused);
    let paused: Duration = pausing.map(|since| now.saturating_duration_since(since)).sum();
    KafkaStats {
        skipped_null: counts.skipped_null.get(),
        skipped_empty: counts.skipped_empty.get(),
        put_aside: counts.put_aside.get(),
        dead_lettered: counts.dead_lettered.get(),
        dead_letter_failures: counts.dead_letter_failures.get(),
        retries: counts.retries.get(),
        commits: counts.commits.get(),
        commit_failures: counts.commit_failures.get(),
        rebalances: counts.rebalances.get(),
        restarts: counts.restarts.get(),
        paused: Duration::from_millis(counts.paused_ms.get()) + paused,
        assigned: partitions.len(),
        lag,
        lags,
    }
}

//! Finds consumers that stopped without an error: librdkafka and its wrappers have had such bugs, after rebalances
//! above all. A consumer that is only idle looks the same from outside, so the broker is asked, and asked twice.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};

use super::KafkaConfig;
use super::state::StreamState;
use super::watcher::Watcher;

/// How long nothing may come before the broker is asked.
const INTERVAL: Duration = Duration::from_secs(60);

/// How long each question to the broker may take.
const ASK: Duration = Duration::from_secs(2);

/// How many partitions are asked for at most: each question is one round trip on the thread that polls.
const PARTITIONS_ASKED_MAX: usize = 64;

/// Watches one consumer.
pub(super) struct Watchdog {
    /// When a message came, or the broker was asked.
    last: Instant,
    /// What was wrong when the broker was asked; a second time in a row is a stall.
    suspicion: Option<Suspicion>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suspicion {
    /// There are messages that do not come.
    Starving,
    /// There are partitions for every member, but not one for this.
    Unassigned,
}

impl Watchdog {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            last: now,
            suspicion: None,
        }
    }

    /// A message came, or none could.
    pub(super) fn fed(&mut self, now: Instant) {
        self.last = now;
        self.suspicion = None;
    }

    /// Why the consumer is to be made again, if it is.
    pub(super) fn check(
        &mut self,
        consumer: &BaseConsumer<Watcher>,
        state: &StreamState,
        config: &KafkaConfig,
        now: Instant,
    ) -> Option<String> {
        if now.saturating_duration_since(self.last) < INTERVAL {
            return None;
        }
        self.last = now;
        // Where no broker answers, another consumer would not be answered either.
        let suspicion = if state.is_answered(now) {
            suspect(consumer, state, config)
        } else {
            None
        };
        self.judge(suspicion)
    }

    fn judge(&mut self, suspicion: Option<Suspicion>) -> Option<String> {
        let before = std::mem::replace(&mut self.suspicion, suspicion);
        let stalled = suspicion.filter(|_| suspicion == before)?;
        self.suspicion = None;
        Some(match stalled {
            Suspicion::Starving => "messages are there and do not come".to_owned(),
            Suspicion::Unassigned => "no partition is assigned although there are enough".to_owned(),
        })
    }
}

fn suspect(consumer: &BaseConsumer<Watcher>, state: &StreamState, config: &KafkaConfig) -> Option<Suspicion> {
    let partitions = state.partitions();
    if partitions.is_empty() {
        return is_left_out(consumer, config).then_some(Suspicion::Unassigned);
    }
    for partition in partitions.iter().take(PARTITIONS_ASKED_MAX) {
        // One answer that does not come is enough to wait for.
        let (_, end) = consumer
            .fetch_watermarks(&partition.topic, partition.number, ASK)
            .ok()?;
        if partition.next_fetched().is_some_and(|next| next < end) {
            return Some(Suspicion::Starving);
        }
    }
    None
}

/// True if the group is settled and has no more members than a topic has partitions: then every assignor gives
/// every member one.
fn is_left_out(consumer: &BaseConsumer<Watcher>, config: &KafkaConfig) -> bool {
    let Ok(groups) = consumer.fetch_group_list(Some(&config.group_id), ASK) else {
        return false;
    };
    let settled = groups.groups().iter().find(|group| group.state() == "Stable");
    let Some(members) = settled.map(|group| group.members().len()) else {
        return false;
    };
    config.topics.iter().any(|topic| {
        let metadata = consumer.fetch_metadata(Some(topic), ASK);
        let topics = metadata.as_ref().map_or(&[][..], |metadata| metadata.topics());
        topics
            .iter()
            .any(|topic| topic.partitions().len() >= members.max(1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_suspicion_twice_in_a_row_is_a_stall() {
        use Suspicion::{Starving, Unassigned};
        let mut watchdog = Watchdog::new(Instant::now());
        let stalls = [
            Some(Starving),
            None,
            Some(Starving),
            Some(Unassigned),
            Some(Unassigned),
            Some(Unassigned),
        ]
        .map(|suspicion| watchdog.judge(suspicion).is_some());
        assert_eq!(stalls, [false, false, false, false, true, false]);
    }

    #[test]
    fn a_message_ends_the_suspicion() {
        let now = Instant::now();
        let mut watchdog = Watchdog::new(now);
        assert!(watchdog.judge(Some(Suspicion::Starving)).is_none());
        watchdog.fed(now);
        assert!(watchdog.judge(Some(Suspicion::Starving)).is_none());
    }
}

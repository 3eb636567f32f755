//! librdkafka's callbacks, all on the thread that polls: rebalances, commits, statistics, errors.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::Shared;
use super::partition::Partition;
use super::state::StreamState;

/// Whoever gets a partition after us would read again what we have not stored, so it is worth a wait; the group
/// waits with us.
const REVOKE_WAIT: Duration = Duration::from_secs(5);

/// What one consumer's callbacks know.
pub(super) struct Watcher {
    shared: Arc<Shared>,
    stream: Arc<StreamState>,
    /// What is assigned from now on is paused too.
    pub(super) paused: AtomicBool,
}

impl Watcher {
    pub(super) fn new(shared: Arc<Shared>, stream: Arc<StreamState>) -> Self {
        Self {
            shared,
            stream,
            paused: AtomicBool::new(false),
        }
    }

    /// The partition of a message; it was assigned before.
    pub(super) fn partition(&self, topic: &str, number: i32) -> Arc<Partition> {
        let mut assignment = self.stream.assignment.lock();
        let known = assignment.get(topic).and_then(|numbers| numbers.get(&number));
        if let Some(partition) = known {
            return Arc::clone(partition);
        }
        let topic = assignment
            .get_key_value(topic)
            .map_or_else(|| Arc::from(topic), |(topic, _)| Arc::clone(topic));
        let partition = Arc::new(Partition::new(Arc::clone(&topic), number));
        assignment
            .entry(topic)
            .or_default()
            .insert(number, Arc::clone(&partition));
        partition
    }

    /// Commits what is done and was not committed yet. Of commits that are not waited for, librdkafka tells only
    /// failures, in its log, and the statistics confirm the others.
    pub(super) fn commit(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &[Arc<Partition>],
        mode: CommitMode,
    ) {
        let now = Instant::now();
        let mut offsets = TopicPartitionList::new();
        for partition in partitions {
            let Some(offset) = partition.to_commit(now) else {
                continue;
            };
            // It fails for offsets that no partition has.
            if offsets
                .add_partition_offset(&partition.topic, partition.number, Offset::Offset(offset))
                .is_err()
            {
                partition.not_committed();
            }
        }
        if offsets.count() == 0 {
            return;
        }
        match consumer.commit(&offsets, mode) {
            Ok(()) => self.shared.counts.commits.add(1),
            Err(error) => self.commit_failed(&error.to_string()),
        }
    }

    /// All are committed again: which of them failed is not told.
    fn commit_failed(&self, reason: &str) {
        self.shared.counts.commit_failures.add(1);
        self.stream
            .trouble(format!("offsets are not committed yet: {reason}"));
        let partitions = self.stream.partitions();
        partitions.iter().for_each(|partition| partition.not_committed());
    }

    /// Those of a list that are ours.
    fn known(&self, list: &TopicPartitionList) -> Vec<Arc<Partition>> {
        let assignment = self.stream.assignment.lock();
        let known = list.elements().into_iter().filter_map(|element| {
            let numbers = assignment.get(element.topic())?;
            numbers.get(&element.partition()).cloned()
        });
        known.collect()
    }

    /// Before partitions go to another member: what was taken of them is stored and committed, as far as that
    /// can be waited for.
    fn give_up(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let partitions = self.known(list);
        // Somebody has them already where they were taken from us without asking.
        let ours = !consumer.assignment_lost();
        if ours {
            let wait = Instant::now() + REVOKE_WAIT;
            let deadline = self.shared.stop.deadline().map_or(wait, |stop| stop.min(wait));
            let all = partitions.iter().all(|partition| partition.wait_idle(deadline));
            if !all {
                tracing::info!(
                    "Kafka: partitions are given up with messages that are not stored: they will be read again"
                );
            }
            // Also what was asked to be committed before, which may not be yet.
            partitions.iter().for_each(|partition| partition.not_committed());
            self.commit(consumer, &partitions, CommitMode::Sync);
        }
        // librdkafka would keep them paused if they came back.
        self.resume(consumer, &partitions);
        let mut assignment = self.stream.assignment.lock();
        for partition in &partitions {
            partition.lose();
            if let Some(numbers) = assignment.get_mut(&partition.topic) {
                numbers.remove(&partition.number);
            }
        }
        assignment.retain(|_, numbers| !numbers.is_empty());
    }

    /// Partitions are ours from now on.
    fn take_over(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        for element in list.elements() {
            self.partition(element.topic(), element.partition());
        }
        if list.count() > 0 {
            self.stream.answered(Instant::now());
            self.stream.well();
        }
        if self.paused.load(Ordering::Relaxed) {
            self.pause(consumer, &self.known(list));
        }
    }

    /// Pauses those that are not paused yet.
    pub(super) fn pause(&self, consumer: &BaseConsumer<Self>, partitions: &[Arc<Partition>]) {
        let list = list_of(
            partitions
                .iter()
                .filter(|partition| !partition.paused.load(Ordering::Relaxed)),
        );
        match consumer.pause(&list) {
            Ok(()) => partitions
                .iter()
                .for_each(|partition| partition.paused.store(true, Ordering::Relaxed)),
            Err(error) => self
                .stream
                .trouble(format!("partitions cannot be paused: {error}")),
        }
    }

    /// Resumes those that are paused.
    pub(super) fn resume(&self, consumer: &BaseConsumer<Self>, partitions: &[Arc<Partition>]) {
        let list = list_of(
            partitions
                .iter()
                .filter(|partition| partition.paused.load(Ordering::Relaxed)),
        );
        if list.count() == 0 {
            return;
        }
        match consumer.resume(&list) {
            Ok(()) => partitions
                .iter()
                .for_each(|partition| partition.paused.store(false, Ordering::Relaxed)),
            Err(error) => self
                .stream
                .trouble(format!("partitions cannot be resumed: {error}")),
        }
    }
}

fn list_of<'a>(partitions: impl Iterator<Item = &'a Arc<Partition>>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(&partition.topic, partition.number);
    }
    list
}

impl ConsumerContext for Watcher {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.shared.counts.rebalances.add(1);
        match rebalance {
            Rebalance::Revoke(list) => {
                tracing::info!(partitions = names(list), "Kafka: partitions go to other members");
                self.give_up(consumer, list);
            }
            Rebalance::Assign(list) => {
                tracing::info!(partitions = names(list), "Kafka: partitions are assigned");
            }
            Rebalance::Error(error) => self.stream.trouble(error.to_string()),
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(list) = rebalance {
            self.take_over(consumer, list);
        }
    }
}

impl ClientContext for Watcher {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        if facility == "COMMITFAIL" {
            self.commit_failed(text);
        }
        log(level, facility, text);
    }

    fn stats(&self, statistics: Statistics) {
        let now = Instant::now();
        for broker in statistics.brokers.values() {
            let silence = u64::try_from(broker.rxidle).ok().map(Duration::from_micros);
            if let Some(at) = silence
                .filter(|_| broker.state == "UP")
                .and_then(|silence| now.checked_sub(silence))
            {
                self.stream.answered(at);
            }
        }
        let partitions = self.stream.partitions();
        for partition in &partitions {
            let told = statistics.topics.get(&*partition.topic);
            if let Some(told) = told.and_then(|topic| topic.partitions.get(&partition.number)) {
                let begin = if told.committed_offset >= 0 {
                    told.committed_offset
                } else {
                    told.lo_offset
                };
                partition.watermarks(told.hi_offset, begin, told.next_offset);
                partition.confirm(told.committed_offset, now);
            }
        }
        // A member that is settled without partitions is a spare one.
        let group = statistics.cgrp.as_ref();
        let settled = group.is_some_and(|group| group.state == "up" && group.join_state == "steady");
        if self.stream.is_answered(now) && (settled || !partitions.is_empty()) {
            self.stream.well();
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let told = format!("{reason} ({})", code(&error));
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                self.stream.waiting(told);
            }
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                self.stream.unreachable();
                self.stream.trouble(told);
            }
            _ => self.stream.trouble(told),
        }
    }
}

/// librdkafka's short name of an error.
fn code(error: &KafkaError) -> String {
    error
        .rdkafka_error_code()
        .map_or_else(|| error.to_string(), |code| format!("{code:?}"))
}

/// What librdkafka logs. What went wrong is told by its errors as well, which are logged less often.
fn log(level: RDKafkaLogLevel, facility: &str, text: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(target: "librdkafka", facility, "{text}");
        }
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning if facility == "CONFWARN" => {
            tracing::warn!(target: "librdkafka", facility, "{text}");
        }
        _ => tracing::debug!(target: "librdkafka", facility, "{text}"),
    }
}

/// `topic-partition`, the first few.
fn names(list: &TopicPartitionList) -> String {
    const SHOWN_MAX: usize = 50;
    let elements = list.elements();
    let mut names: Vec<String> = elements
        .iter()
        .take(SHOWN_MAX)
        .map(|element| format!("{}-{}", element.topic(), element.partition()))
        .collect();
    if elements.len() > SHOWN_MAX {
        names.push(format!("and {} more", elements.len() - SHOWN_MAX));
    }
    names.join(", ")
}

//! The messages of one channel: many on their way to the store at one time, answered in their order.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::FutureExt;
use futures_util::stream::{FuturesOrdered, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicNackOptions};
use lapin::{Channel, Consumer};
use tokio::sync::watch;

use super::Shared;
use super::connection::stopped;
use crate::retry::Backoff;
use crate::{Encoding, Expected, InFlight, Limits, ReadBody, Refusal, Transport};

/// First and longest wait before a message is offered to the store again.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LONGEST: Duration = Duration::from_secs(2);

/// What queues hold: lists in any of Zipkin's formats.
const ENCODING: Encoding = Encoding {
    expected: Expected::List,
    compression: None,
};

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Stored,
    /// It can never be stored.
    Never,
    /// The server stops before it was stored.
    Kept,
}

/// A message whose answer is known.
struct Done {
    tag: u64,
    outcome: Outcome,
    _unanswered: Unanswered,
}

/// Counts a message as unanswered until it is dropped.
struct Unanswered(Arc<Shared>);

impl Unanswered {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.unanswered.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(shared))
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.unanswered.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Consumes until it is told to stop and all messages are answered, or the channel fails.
pub(super) async fn run(
    shared: Arc<Shared>,
    channel: Channel,
    mut consumer: Consumer,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), String> {
    let mut on_the_way = FuturesOrdered::new();
    let mut draining = false;
    let mut answers = Answers::default();
    loop {
        tokio::select! {
            Some(first) = on_the_way.next(), if !on_the_way.is_empty() => {
                let mut done = vec![first];
                // Whatever else is ready goes with the same answer.
                while let Some(Some(next)) = on_the_way.next().now_or_never() {
                    done.push(next);
                }
                for answer in answers.to(&done) {
                    send(&channel, answer).await.map_err(|error| error.to_string())?;
                }
            }
            delivery = consumer.next(), if !draining => match delivery {
                Some(Ok(delivery)) => {
                    on_the_way.push_back(take(Unanswered::new(&shared), delivery, stopping.clone()));
                }
                Some(Err(error)) => return Err(error.to_string()),
                None => return Err(format!("the broker ended the consumer of {}", shared.config.queue)),
            },
            () = stopped(&mut stopping), if !draining => {
                draining = true;
                let cancel = channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
                cancel.await.map_err(|error| error.to_string())?;
            }
            else => return Ok(()),
        }
    }
}

/// Takes a message to the store, however long that takes.
async fn take(unanswered: Unanswered, delivery: Delivery, mut stopping: watch::Receiver<bool>) -> Done {
    let shared = &unanswered.0;
    let body = Whole::new(delivery.data, shared.collector.limits());
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_LONGEST);
    let outcome = loop {
        // Asked for before it is offered, so that none is missed.
        let taken = shared.taken.notified();
        let offered = shared
            .collector
            .offer(Transport::RabbitMq, ENCODING, body.clone());
        match offered.await {
            Ok(_) => {
                shared.taken.notify_waiters();
                break Outcome::Stored;
            }
            Err(refusal) if refusal.is_final() => {
                put_aside(shared, &refusal);
                break Outcome::Never;
            }
            Err(_) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next()) => {}
            // The store takes messages again: who waits longest need not hold up those behind it.
            () = taken => {}
            () = stopped(&mut stopping) => break Outcome::Kept,
        }
        shared.retries.fetch_add(1, Ordering::Relaxed);
    };
    Done {
        tag: delivery.delivery_tag,
        outcome,
        _unanswered: unanswered,
    }
}

fn put_aside(shared: &Shared, refusal: &Refusal) {
    shared.put_aside.fetch_add(1, Ordering::Relaxed);
    if shared.told.is_due(Instant::now()) {
        tracing::warn!(
            queue = shared.config.queue,
            reason = %refusal,
            "RabbitMQ: a message is not spans and is refused; the next minute's are only counted"
        );
    }
}

/// A message that is here whole, where the collector bounds what it reads bit by bit.
#[derive(Clone)]
struct Whole {
    bytes: Bytes,
    bytes_max: usize,
}

impl Whole {
    fn new(bytes: Vec<u8>, limits: &Limits) -> Self {
        Self {
            bytes: Bytes::from(bytes),
            // It is reserved twice, as received and as decoded: what needs more room than there ever is would be
            // held back for ever.
            bytes_max: limits.body_bytes_max.min(limits.bytes_in_flight_max / 2),
        }
    }
}

impl ReadBody for Whole {
    async fn read(self, in_flight: &mut InFlight) -> Result<Bytes, Refusal> {
        if self.bytes.len() > self.bytes_max {
            return Err(Refusal::body_too_long(self.bytes_max));
        }
        self.bytes.read(in_flight).await
    }
}

/// What the broker is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// This message and all before it that are not answered are stored.
    AckUpTo(u64),
    /// This message is stored.
    Ack(u64),
    /// This message is not wanted, and not to be delivered again.
    Nack(u64),
}

/// Answers the messages of one channel, in their order.
#[derive(Debug, Default)]
struct Answers {
    /// A message before was kept, so no answer may speak of all before.
    kept: bool,
}

impl Answers {
    /// As few as say it: neighbours that are stored are told of at once.
    fn to(&mut self, done: &[Done]) -> Vec<Answer> {
        let mut answers = Vec::new();
        for &Done { tag, outcome, .. } in done {
            match outcome {
                Outcome::Stored if self.kept => answers.push(Answer::Ack(tag)),
                Outcome::Stored => match answers.last_mut() {
                    Some(Answer::AckUpTo(last)) => *last = tag,
                    _ => answers.push(Answer::AckUpTo(tag)),
                },
                Outcome::Never => answers.push(Answer::Nack(tag)),
                Outcome::Kept => self.kept = true,
            }
        }
        answers
    }
}

async fn send(channel: &Channel, answer: Answer) -> lapin::Result<()> {
    match answer {
        Answer::AckUpTo(tag) => channel.basic_ack(tag, BasicAckOptions { multiple: true }).await,
        Answer::Ack(tag) => channel.basic_ack(tag, BasicAckOptions { multiple: false }).await,
        Answer::Nack(tag) => {
            let refuse = BasicNackOptions {
                multiple: false,
                requeue: false,
            };
            channel.basic_nack(tag, refuse).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(outcomes: &[&[(u64, Outcome)]]) -> Vec<Vec<Answer>> {
        let shared = super::super::tests::shared();
        let mut answers = Answers::default();
        let mut all = Vec::new();
        for outcomes in outcomes {
            let done: Vec<Done> = outcomes
                .iter()
                .map(|&(tag, outcome)| Done {
                    tag,
                    outcome,
                    _unanswered: Unanswered::new(&shared),
                })
                .collect();
            all.push(answers.to(&done));
        }
        assert_eq!(shared.unanswered.load(Ordering::Relaxed), 0);
        all
    }

    #[test]
    fn neighbours_that_are_stored_are_acknowledged_at_once() {
        use Outcome::{Never, Stored};
        assert_eq!(
            answers(&[
                &[(1, Stored), (2, Stored), (3, Never), (4, Stored)],
                &[(5, Never), (6, Never)],
                &[(7, Stored), (8, Stored)],
            ]),
            [
                vec![Answer::AckUpTo(2), Answer::Nack(3), Answer::AckUpTo(4)],
                vec![Answer::Nack(5), Answer::Nack(6)],
                vec![Answer::AckUpTo(8)],
            ]
        );
    }

    #[test]
    fn a_message_that_is_kept_is_never_acknowledged_with_those_behind_it() {
        use Outcome::{Kept, Never, Stored};
        assert_eq!(
            answers(&[
                &[(1, Stored), (2, Kept), (3, Stored), (4, Stored)],
                &[(5, Stored), (6, Never)],
            ]),
            [
                vec![Answer::AckUpTo(1), Answer::Ack(3), Answer::Ack(4)],
                vec![Answer::Ack(5), Answer::Nack(6)],
            ]
        );
    }
}

//! One message on its way to the store: tried until it is there, or put aside if it never can be.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::Message as _;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, OwnedHeaders};

use super::Shared;
use super::partition::{Partition, Ticket};
use crate::retry::Backoff;
use crate::{Encoding, Expected, Refusal, Transport};

/// First and longest wait before a message is offered to the store again. All of them wait for the last one, so the
/// longest is short: reading what is in flight once a second costs little.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LONGEST: Duration = Duration::from_secs(1);

/// What topics hold: lists in any of Zipkin's formats, and single thrift spans.
const ENCODING: Encoding = Encoding {
    expected: Expected::ListOrSpan,
    compression: None,
};

/// A message taken from a partition. Its bytes count as in flight until it is dropped.
pub(super) struct Taken {
    pub(super) shared: Arc<Shared>,
    pub(super) partition: Arc<Partition>,
    pub(super) offset: i64,
    pub(super) value: Bytes,
    /// Key and headers, where a dead letter would need them.
    pub(super) envelope: Option<Envelope>,
    ticket: Ticket,
}

/// What is beside the value of a message.
pub(super) struct Envelope {
    pub(super) key: Option<Box<[u8]>>,
    pub(super) headers: Option<OwnedHeaders>,
}

impl Taken {
    /// Copies what is needed: librdkafka's memory is free again when this returns.
    pub(super) fn new(
        shared: &Arc<Shared>,
        partition: Arc<Partition>,
        message: &BorrowedMessage<'_>,
        value: &[u8],
    ) -> Self {
        let envelope = shared.dead_letters.as_ref().map(|_| Envelope {
            key: message.key().map(Box::from),
            headers: message.headers().map(BorrowedHeaders::detach),
        });
        shared.in_flight.add(value.len());
        Self {
            shared: Arc::clone(shared),
            offset: message.offset(),
            ticket: partition.begin(message.offset()),
            partition,
            value: Bytes::copy_from_slice(value),
            envelope,
        }
    }

    /// Stores it, however long that takes. Ends early only where another consumer will read it again.
    pub(super) async fn deliver(self) {
        match self.store().await {
            Outcome::Stored => self.done(),
            Outcome::Never(refusal) => self.put_aside(&refusal).await,
            Outcome::Lost => {}
        }
    }

    async fn store(&self) -> Outcome {
        let Shared {
            collector,
            counts,
            pressure,
            ..
        } = &*self.shared;
        if let Some(refusal) = self.too_long() {
            collector.metrics().message(Transport::Kafka);
            collector.metrics().refused(Transport::Kafka, &refusal);
            return Outcome::Never(refusal);
        }
        let mut retrying = None;
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_LONGEST);
        loop {
            match collector
                .offer(Transport::Kafka, ENCODING, self.value.clone())
                .await
            {
                Ok(_) => return Outcome::Stored,
                Err(refusal) if refusal.is_final() => return Outcome::Never(refusal),
                Err(_) => retrying.get_or_insert_with(|| pressure.enter()),
            };
            tokio::time::sleep(backoff.next()).await;
            if self.partition.is_lost() {
                return Outcome::Lost;
            }
            counts.retries.add(1);
        }
    }

    /// The collector bounds what it reads bit by bit; this is here whole. What needs more room than there ever is
    /// would be refused for ever.
    fn too_long(&self) -> Option<Refusal> {
        let limits = self.shared.collector.limits();
        let bytes_max = limits.body_bytes_max.min(limits.bytes_in_flight_max / 2);
        (self.value.len() > bytes_max).then(|| Refusal::body_too_long(bytes_max))
    }

    /// It can never be stored. That is told, and it goes to the topic for such messages, if there is one.
    async fn put_aside(self, refusal: &Refusal) {
        if self.shared.told.is_due(Instant::now()) {
            tracing::warn!(
                topic = &*self.partition.topic,
                partition = self.partition.number,
                offset = self.offset,
                reason = %refusal,
                "Kafka: a message is not spans and is put aside; the next minute's are only counted"
            );
        }
        let Some(dead_letters) = &self.shared.dead_letters else {
            self.shared.counts.put_aside.add(1);
            return self.done();
        };
        if dead_letters.send(&self, refusal).await {
            self.done();
        }
    }

    fn done(&self) {
        self.partition.finish(self.ticket);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // It would bring down whoever tries it again.
            tracing::error!(
                topic = &*self.partition.topic,
                partition = self.partition.number,
                offset = self.offset,
                "Kafka: a message made its reader fail, which is a bug, and is put aside"
            );
            self.shared.counts.put_aside.add(1);
            self.done();
        }
        self.shared.in_flight.remove(self.value.len());
    }
}

/// What became of a message.
enum Outcome {
    Stored,
    /// It can never be stored.
    Never(Refusal),
    /// Its partition belongs to somebody else.
    Lost,
}

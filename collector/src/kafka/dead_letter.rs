//! Messages that can never be stored, sent whole to a topic of their own.

use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError as Error, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::delivery::Taken;
use super::{KafkaConfig, KafkaError};
use crate::Refusal;
use crate::retry::{Backoff, Seldom};

/// First and longest wait before a dead letter is sent again.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LONGEST: Duration = Duration::from_secs(10);

/// Sends messages aside.
pub(super) struct DeadLetters {
    producer: FutureProducer<ProducerWatcher>,
    topic: String,
    told: Seldom,
}

/// Logs what the producer says.
struct ProducerWatcher;

impl ClientContext for ProducerWatcher {
    /// Properties of consumers, which it warns of, are no mistake here; what else goes wrong is an error as well.
    fn log(&self, _: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::debug!(target: "librdkafka", facility, "{text}");
    }

    fn error(&self, error: Error, reason: &str) {
        tracing::debug!(%error, reason, "Kafka: the producer of dead letters has a problem");
    }
}

impl DeadLetters {
    /// `None` where there is no topic for them.
    ///
    /// # Errors
    /// What librdkafka says of a configuration that cannot work.
    pub(super) fn new(config: &KafkaConfig) -> Result<Option<Self>, KafkaError> {
        let Some(topic) = config.dead_letter_topic.clone() else {
            return Ok(None);
        };
        Ok(Some(Self {
            producer: config.producer().create_with_context(ProducerWatcher)?,
            topic,
            told: Seldom::default(),
        }))
    }

    /// Sends a message until the broker has it; then it is done with. False if its partition was lost before.
    pub(super) async fn send(&self, message: &Taken, refusal: &Refusal) -> bool {
        let counts = &message.shared.counts;
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_LONGEST);
        loop {
            let error = match self.try_send(message, refusal).await {
                Ok(()) => {
                    counts.dead_lettered.add(1);
                    return true;
                }
                Err(error) => error,
            };
            counts.dead_letter_failures.add(1);
            self.tell(message, &error);
            if is_too_large(&error) {
                // It would be refused for ever, and stays where it is.
                counts.put_aside.add(1);
                return true;
            }
            tokio::time::sleep(backoff.next()).await;
            if message.partition.is_lost() {
                return false;
            }
        }
    }

    async fn try_send(&self, message: &Taken, refusal: &Refusal) -> Result<(), Error> {
        let envelope = message.envelope.as_ref();
        let mut record = FutureRecord::<[u8], [u8]>::to(&self.topic)
            .payload(&message.value)
            .headers(headers(message, refusal));
        if let Some(key) = envelope.and_then(|envelope| envelope.key.as_deref()) {
            record = record.key(key);
        }
        let delivery = self.producer.send_result(record).map_err(|(error, _)| error)?;
        match delivery.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err((error, _))) => Err(error),
            Err(_) => Err(Error::Canceled),
        }
    }

    fn tell(&self, message: &Taken, error: &Error) {
        if self.told.is_due(std::time::Instant::now()) {
            tracing::warn!(
                topic = self.topic,
                of_topic = &*message.partition.topic,
                of_partition = message.partition.number,
                of_offset = message.offset,
                %error,
                "Kafka: a dead letter cannot be delivered"
            );
        }
    }
}

fn is_too_large(error: &Error) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize)
    )
}

/// Those that it came with, and where it came from and why it is here.
fn headers(message: &Taken, refusal: &Refusal) -> OwnedHeaders {
    let original = message
        .envelope
        .as_ref()
        .and_then(|envelope| envelope.headers.clone());
    let ours = [
        ("tracehound.topic", message.partition.topic.to_string()),
        ("tracehound.partition", message.partition.number.to_string()),
        ("tracehound.offset", message.offset.to_string()),
        ("tracehound.reason", refusal.to_string()),
    ];
    ours.iter()
        .fold(original.unwrap_or_default(), |headers, (name, value)| {
            let value = Some(value);
            headers.insert(Header { key: name, value })
        })
}

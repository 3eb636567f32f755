//! Kafka: records of topics, stored before they are committed (`zipkin.md` 7.2).
//!
//! ```text
//!             ┌────────── one thread a consumer ──────────┐   ┌──── tasks of the runtime ────┐
//! broker ─▶ poll ─▶ partition's ledger ─▶ in flight? ─▶ spawn ─▶ Collector::offer ─▶ ledger: done
//!             │              ▲                                       │        │
//!             │              └───── commit, every second ◀── contiguous       └─ never ─▶ dead letter
//!             └─ pause while the store takes nothing ◀──── not now: tried again
//! ```
//!
//! The promise is at least once: an offset is committed when its message and all before it in the partition are
//! durably stored, or put aside on purpose. Storing a span twice is harmless, so what comes again after a crash
//! costs time and nothing else. A store that takes nothing pauses the consumers, which stay in the group.
//!
//! - `config`: what librdkafka is told, and what it must not be told.
//! - `consumer`: the thread that polls, pauses, commits, and starts again after failures.
//! - `watcher`: librdkafka's callbacks: rebalances, statistics, errors.
//! - `watchdog`: finds consumers that stopped without an error.
//! - `delivery`, `dead_letter`: one message on its way to the store, or aside.
//! - `partition`, `flow`, `state`: what is done, how much is on its way, how it all is.

mod config;
mod consumer;
mod dead_letter;
mod delivery;
mod flow;
mod partition;
mod state;
mod watchdog;
mod watcher;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::retry::Seldom;
use crate::{Collector, Transport};

pub use config::{KafkaConfig, check_property};
pub use state::{KafkaHealth, KafkaStats, PartitionLag};

use consumer::Stream;
use dead_letter::DeadLetters;
use flow::{InFlight, Pressure, Stop};
use state::{Counts, StreamState};

/// Beyond the time given, a consumer that ends has so long to leave its group.
const LEAVE_TIME: Duration = Duration::from_secs(5);

/// Why Kafka cannot be consumed as it is configured: librdkafka's words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct KafkaError(String);

/// Consumes topics until it is stopped.
#[derive(Debug)]
pub struct KafkaCollector {
    shared: Arc<Shared>,
    /// Each is closed when its consumer has ended.
    ended: Vec<oneshot::Receiver<()>>,
}

/// What all consumers have in common.
struct Shared {
    collector: Arc<Collector>,
    config: KafkaConfig,
    in_flight: InFlight,
    pressure: Pressure,
    counts: Counts,
    dead_letters: Option<DeadLetters>,
    /// Of messages put aside.
    told: Seldom,
    stop: Stop,
    streams: Vec<Arc<StreamState>>,
}

impl KafkaCollector {
    /// Starts the consumers. Brokers that are away are waited for. Messages are stored by tasks of `runtime`.
    ///
    /// # Errors
    /// What librdkafka says of a configuration that cannot work.
    pub fn start(
        config: KafkaConfig,
        collector: Arc<Collector>,
        runtime: Handle,
    ) -> Result<Self, KafkaError> {
        let limits = *collector.limits();
        collector.metrics().expect(Transport::Kafka);
        let dead_letters = DeadLetters::new(&config)?;
        let shared = Arc::new(Shared {
            // Half of the messages and an eighth of the bytes, since decoding needs as much again: other
            // transports need room too, and what is refused for want of room pauses everything.
            in_flight: InFlight::new(
                (limits.requests_in_flight_max / 2).max(1),
                (limits.bytes_in_flight_max / 8).max(1),
            ),
            pressure: Pressure::default(),
            counts: Counts::default(),
            dead_letters,
            told: Seldom::default(),
            stop: Stop::default(),
            streams: (0..config.streams)
                .map(|_| Arc::new(StreamState::new()))
                .collect(),
            collector,
            config,
        });
        let streams: Result<Vec<Stream>, KafkaError> = (0..shared.streams.len())
            .map(|number| Stream::new(Arc::clone(&shared), number, runtime.clone()))
            .collect();
        let ended: Result<_, KafkaError> = streams?.into_iter().map(Stream::start).collect();
        Ok(Self {
            shared,
            ended: ended?,
        })
    }

    /// How it is. Does not wait for a broker.
    pub fn health(&self) -> KafkaHealth {
        self.monitor().health()
    }

    /// What it counted.
    pub fn stats(&self) -> KafkaStats {
        self.monitor().stats()
    }

    /// For who asks how it is while another stops it.
    pub fn monitor(&self) -> KafkaMonitor {
        KafkaMonitor {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Takes nothing more, waits at most so long until what was taken is stored, commits it, and leaves the group.
    /// False if that took longer: what was not committed is then read again, by whoever reads next.
    pub async fn stop(self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        self.shared.stop.ask(deadline);
        let all = async {
            for ended in self.ended {
                // An error is how the end is told.
                let _ = ended.await;
            }
        };
        let last = tokio::time::Instant::from_std(deadline + LEAVE_TIME);
        let ended = tokio::time::timeout_at(last, all).await.is_ok();
        let partitions = self.shared.streams.iter().flat_map(|stream| stream.partitions());
        // What is still being tried need not be.
        partitions.for_each(|partition| partition.lose());
        ended
    }
}

/// Tells how a [`KafkaCollector`] is.
#[derive(Clone, Debug)]
pub struct KafkaMonitor {
    shared: Arc<Shared>,
}

impl KafkaMonitor {
    /// As [`KafkaCollector::health`].
    pub fn health(&self) -> KafkaHealth {
        state::health(&self.shared.streams)
    }

    /// As [`KafkaCollector::stats`].
    pub fn stats(&self) -> KafkaStats {
        state::stats(&self.shared.counts, &self.shared.streams)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl From<rdkafka::error::KafkaError> for KafkaError {
    fn from(error: rdkafka::error::KafkaError) -> Self {
        use rdkafka::error::KafkaError::{ClientConfig, ClientCreation};
        Self(match error {
            // Its value may be a secret.
            ClientConfig(_, words, name, _) => format!("{name}: {words}"),
            ClientCreation(words) => words,
            other => other.to_string(),
        })
    }
}

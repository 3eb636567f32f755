//! Spans from a RabbitMQ queue (`zipkin.md` 7.4): lists in any of Zipkin's formats.
//!
//! ```text
//! connection ─▶ channel of each consumer ─▶ Collector::offer ─▶ stored ─────────────▶ ack, many at once
//!      ▲                                         │      ▲       not spans ──────────▶ nack, not put back
//!      └── all addresses, with backoff           └──────┘       not now: held, tried again, no answer
//! ```
//!
//! A message is acknowledged when the store has its spans, never before: what the broker was told is on disk
//! here, and what it was not told it delivers again. Nothing is put back into the queue by us, so nothing goes
//! round in circles: while the store is full or down, messages wait where they are, and the prefetch bounds how
//! many that is. What can never be stored is refused, which lets the broker's policy have it as a dead letter.

mod config;
mod connection;
mod consumer;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::retry::Seldom;
use crate::{Collector, Transport};

pub use config::{Address, RabbitMqConfig};

/// Consumes a queue until it is stopped, connected or trying to be.
#[derive(Debug)]
pub struct RabbitMqCollector {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Tells how a [`RabbitMqCollector`] is.
#[derive(Clone, Debug)]
pub struct RabbitMqMonitor {
    shared: Arc<Shared>,
}

/// How often things happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RabbitMqStats {
    /// Connections made.
    pub connections: u64,
    /// Times a message was offered to the store again.
    pub retries: u64,
    /// Messages refused for good.
    pub put_aside: u64,
    /// Messages delivered and not answered yet, now.
    pub unanswered: u64,
}

/// What the task and its owner both know.
#[derive(Debug)]
struct Shared {
    config: RabbitMqConfig,
    collector: Arc<Collector>,
    /// Why it does not consume, if it does not.
    trouble: Mutex<Option<String>>,
    connections: AtomicU64,
    retries: AtomicU64,
    put_aside: AtomicU64,
    unanswered: AtomicU64,
    /// Told whenever the store took a message.
    taken: Notify,
    /// Of messages put aside.
    told: Seldom,
}

impl RabbitMqCollector {
    /// Starts to consume. A broker that is away is waited for.
    ///
    /// Must be called within a tokio runtime.
    pub fn start(config: RabbitMqConfig, collector: Arc<Collector>) -> Self {
        collector.metrics().expect(Transport::RabbitMq);
        let shared = Arc::new(Shared::new(config, collector));
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn(connection::keep(Arc::clone(&shared), stopping));
        Self { shared, stop, task }
    }

    /// For who asks how it is while another stops it.
    pub fn monitor(&self) -> RabbitMqMonitor {
        RabbitMqMonitor {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Lets no more messages in, answers those there are as they are stored, and closes the connection; what is
    /// not stored by then, or when the time is over, the broker delivers again.
    pub async fn stop(self, within: Duration) {
        self.stop.send_replace(true);
        let abort = self.task.abort_handle();
        if tokio::time::timeout(within, self.task).await.is_err() {
            tracing::warn!("RabbitMQ: messages are not stored in time, the broker will deliver them again");
            abort.abort();
        }
        self.shared.set_trouble(Some("stopped".to_owned()));
    }
}

impl RabbitMqMonitor {
    /// Why it does not consume, or `None` where it does. Does not wait for a broker.
    pub fn trouble(&self) -> Option<String> {
        self.shared.trouble().clone()
    }

    /// What it counted.
    pub fn stats(&self) -> RabbitMqStats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        RabbitMqStats {
            connections: read(&self.shared.connections),
            retries: read(&self.shared.retries),
            put_aside: read(&self.shared.put_aside),
            unanswered: read(&self.shared.unanswered),
        }
    }
}

impl Shared {
    fn new(config: RabbitMqConfig, collector: Arc<Collector>) -> Self {
        Self {
            config,
            collector,
            trouble: Mutex::new(Some("not connected yet".to_owned())),
            connections: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            put_aside: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            taken: Notify::new(),
            told: Seldom::default(),
        }
    }

    fn trouble(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble() = trouble;
    }
}

#[cfg(test)]
mod tests {
    use model::SpanBatch;
    use storage::{BoxFuture, SpanSink};

    use super::*;
    use crate::{Limits, Sampler};

    struct NoSink;

    impl SpanSink for NoSink {
        fn accept<'a>(&'a self, _: &'a SpanBatch) -> BoxFuture<'a, storage::Result<()>> {
            Box::pin(async { Ok(()) })
        }
    }

    /// Of a consumer that was never started.
    pub(super) fn shared() -> Arc<Shared> {
        let collector = Collector::new(Arc::new(NoSink), Sampler::ALL, Limits::default());
        Arc::new(Shared::new(config::tests::config(), Arc::new(collector)))
    }

    #[tokio::test]
    async fn a_broker_that_is_away_is_told_and_waited_for_until_the_stop() {
        // Nobody listens on a port that was just free.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let config = RabbitMqConfig {
            addresses: vec![format!("127.0.0.1:{port}").parse().unwrap()],
            ..config::tests::config()
        };
        let collector = Arc::clone(&shared().collector);
        let rabbitmq = RabbitMqCollector::start(config, collector);
        let monitor = rabbitmq.monitor();
        let expected = format!("cannot connect to 127.0.0.1:{port}");
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while !monitor
            .trouble()
            .is_some_and(|trouble| trouble.starts_with(&expected))
        {
            assert!(std::time::Instant::now() < deadline, "{:?}", monitor.trouble());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        rabbitmq.stop(Duration::from_secs(20)).await;
        assert_eq!(monitor.trouble().as_deref(), Some("stopped"));
        assert_eq!(monitor.stats(), RabbitMqStats::default());
    }
}

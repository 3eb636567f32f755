//! Ways in that are not routes of a port: consumers of brokers, and protocols that are not HTTP.

use std::sync::Arc;
use std::time::Duration;

use collector::Collector;
use storage::BoxFuture;

use crate::config::Config;
use crate::http::{Component, FigureSource, HealthCheck};

#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;
mod scribe;

/// A way in that runs until it is stopped.
pub(crate) struct Intake {
    /// As `/health` shows it.
    pub(crate) name: String,
    pub(crate) health: HealthCheck,
    /// For `/prometheus`.
    pub(crate) figures: FigureSource,
    pub(crate) stop: StopIntake,
}

/// Takes nothing more, and is done when what was taken is stored, or after the time given.
pub(crate) type StopIntake = Box<dyn FnOnce(Duration) -> BoxFuture<'static, ()> + Send>;

/// Every way in that was asked for, running.
pub(crate) struct Intakes {
    running: Vec<Intake>,
}

impl Intakes {
    /// Starts those that the configuration asks for.
    ///
    /// # Errors
    /// Where one cannot be started as it is configured. A broker that is away is none: it is waited for.
    pub(crate) fn start(config: &Config, collector: &Arc<Collector>) -> anyhow::Result<Self> {
        let mut running = Vec::new();
        if let Some(scribe) = &config.scribe {
            running.push(scribe::start(scribe, &config.server, collector)?);
        }
        #[cfg(feature = "kafka")]
        if let Some(kafka) = &config.kafka {
            running.push(kafka::start(kafka, collector)?);
        }
        #[cfg(feature = "rabbitmq")]
        if let Some(rabbitmq) = &config.rabbitmq {
            running.push(rabbitmq::start(rabbitmq, collector));
        }
        Ok(Self { running })
    }

    /// What `/health` shows of them.
    pub(crate) fn components(&self) -> impl Iterator<Item = Component> {
        self.running.iter().map(|intake| Component {
            name: intake.name.clone(),
            health: Arc::clone(&intake.health),
        })
    }

    /// What `/prometheus` shows of them.
    pub(crate) fn figures(&self) -> impl Iterator<Item = FigureSource> {
        self.running.iter().map(|intake| Arc::clone(&intake.figures))
    }

    /// Stops them all at once.
    pub(crate) async fn stop(self, within: Duration) {
        let stopping: Vec<_> = self
            .running
            .into_iter()
            .map(|intake| tokio::spawn((intake.stop)(within)))
            .collect();
        for intake in stopping {
            if let Err(failure) = intake.await {
                tracing::error!(%failure, "a way in failed while it was stopped");
            }
        }
    }
}

//! RabbitMQ, where a queue is read.

use std::sync::Arc;

use collector::Collector;
use collector::rabbitmq::{RabbitMqCollector, RabbitMqConfig, RabbitMqStats};
use storage::BoxFuture;

use super::Intake;
use crate::http::FigureKind::{Counter, Gauge};
use crate::http::{FigureRow, Health, figures};

#[rustfmt::skip]
const FIGURES: &[FigureRow<RabbitMqStats>] = &[
    ("tracehound_rabbitmq_connections", "Connections made to RabbitMQ", Counter, |stats| stats.connections as f64),
    ("tracehound_rabbitmq_put_aside", "Messages refused for good: dead letters where the broker has a policy for them", Counter, |stats| stats.put_aside as f64),
    ("tracehound_rabbitmq_retries", "Times a message was offered to the store again", Counter, |stats| stats.retries as f64),
    ("tracehound_rabbitmq_unanswered", "Messages delivered and not answered yet", Gauge, |stats| stats.unanswered as f64),
];

/// Consumes. A broker that is away is waited for.
pub(super) fn start(config: &RabbitMqConfig, collector: &Arc<Collector>) -> Intake {
    let name = config.display_name();
    let rabbitmq = RabbitMqCollector::start(config.clone(), Arc::clone(collector));
    let (asked, counted) = (rabbitmq.monitor(), rabbitmq.monitor());
    Intake {
        name,
        health: Arc::new(move || {
            let health = Health {
                error: asked.trouble(),
                ..Health::default()
            };
            Box::pin(async move { health }) as BoxFuture<'static, Health>
        }),
        figures: Arc::new(move || figures(FIGURES, &counted.stats())),
        stop: Box::new(move |within| Box::pin(rabbitmq.stop(within))),
    }
}

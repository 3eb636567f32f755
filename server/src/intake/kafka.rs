//! Kafka, where topics are read.

use std::sync::Arc;

use anyhow::Context;
use collector::Collector;
use collector::kafka::{KafkaCollector, KafkaConfig, KafkaHealth, KafkaStats};
use serde_json::{Map, Value};
use storage::BoxFuture;
use tokio::runtime::Handle;

use super::Intake;
use crate::http::FigureKind::{Counter, Gauge};
use crate::http::{Figure, FigureRow, Health, figures};

#[rustfmt::skip]
const FIGURES: &[FigureRow<KafkaStats>] = &[
    ("tracehound_kafka_assigned_partitions", "Partitions that this server reads", Gauge, |stats| stats.assigned as f64),
    ("tracehound_kafka_lag_messages", "Messages in these partitions that are not stored yet", Gauge, |stats| stats.lag as f64),
    ("tracehound_kafka_dead_lettered", "Messages that can never be stored, delivered to KAFKA_DEAD_LETTER_TOPIC", Counter, |stats| stats.dead_lettered as f64),
    ("tracehound_kafka_dead_letter_failures", "Dead letters that the broker did not take; they are sent again", Counter, |stats| stats.dead_letter_failures as f64),
    ("tracehound_kafka_put_aside", "Messages that can never be stored, left where they are", Counter, |stats| stats.put_aside as f64),
    ("tracehound_kafka_retries", "Times a message was offered to the store again", Counter, |stats| stats.retries as f64),
    ("tracehound_kafka_paused_seconds", "Time in which consumers did not read, because the store took nothing", Counter, |stats| stats.paused.as_secs_f64()),
    ("tracehound_kafka_rebalances", "Times that partitions came or went", Counter, |stats| stats.rebalances as f64),
    ("tracehound_kafka_restarts", "Consumers started again after they failed or stalled", Counter, |stats| stats.restarts as f64),
    ("tracehound_kafka_commits", "Commits of offsets", Counter, |stats| stats.commits as f64),
    ("tracehound_kafka_commit_failures", "Commits of offsets that failed; they are made again", Counter, |stats| stats.commit_failures as f64),
];

/// Consumes. Brokers that are away are waited for.
///
/// # Errors
/// What librdkafka says of a configuration that cannot work.
pub(super) fn start(config: &KafkaConfig, collector: &Arc<Collector>) -> anyhow::Result<Intake> {
    let name = display_name(config);
    let kafka = KafkaCollector::start(config.clone(), Arc::clone(collector), Handle::current())
        .context("cannot consume from Kafka")?;
    let (asked, counted) = (kafka.monitor(), kafka.monitor());
    Ok(Intake {
        name,
        health: Arc::new(move || {
            let health = health(asked.health());
            Box::pin(async move { health }) as BoxFuture<'static, Health>
        }),
        figures: Arc::new(move || kafka_figures(&counted.stats())),
        stop: Box::new(move |within| {
            Box::pin(async move {
                if !kafka.stop(within).await {
                    tracing::warn!("Kafka: consumers did not end in time and are given up");
                }
            })
        }),
    })
}

/// As Zipkin names this component.
fn display_name(config: &KafkaConfig) -> String {
    let KafkaConfig {
        bootstrap_servers,
        topics,
        ..
    } = config;
    let topics = topics.join(",");
    format!("KafkaCollector{{bootstrapServers={bootstrap_servers}, topic={topics}}}")
}

fn health(health: KafkaHealth) -> Health {
    let mut details = Map::new();
    details.insert("assigned".to_owned(), health.assigned.into());
    details.insert("lag".to_owned(), health.lag.into());
    details.insert("paused".to_owned(), health.paused.into());
    if let Some(trouble) = health.trouble {
        details.insert("trouble".to_owned(), Value::String(trouble));
    }
    Health {
        error: health.error,
        details,
    }
}

fn kafka_figures(stats: &KafkaStats) -> Vec<Figure> {
    let mut all = figures(FIGURES, stats);
    let skipped = [("null", stats.skipped_null), ("empty", stats.skipped_empty)];
    all.extend(skipped.map(|(value, messages)| Figure {
        name: "tracehound_kafka_skipped",
        help: "Messages without a value, or with an empty one",
        kind: Counter,
        labels: vec![("value", value.to_owned())],
        value: messages as f64,
    }));
    all.extend(stats.lags.iter().map(|lag| Figure {
        name: "tracehound_kafka_lag",
        help: "Messages in a partition that are not stored yet; of at most 512 partitions, those with the most",
        kind: Gauge,
        labels: vec![
            ("topic", lag.topic.clone()),
            ("partition", lag.partition.to_string()),
        ],
        value: lag.messages as f64,
    }));
    all
}

//! Scribe, on a port of its own.

use std::sync::Arc;

use anyhow::Context;
use collector::Collector;
use collector::scribe::{ScribeCollector, ScribeStats};
use storage::BoxFuture;

use super::Intake;
use crate::config::{ScribeConfig, ServerConfig};
use crate::http::FigureKind::{Counter, Gauge};
use crate::http::{FigureRow, Health, figures, listen};

#[rustfmt::skip]
const FIGURES: &[FigureRow<ScribeStats>] = &[
    ("tracehound_scribe_connections", "Connections of Scribe served now", Gauge, |stats| stats.connections as f64),
    ("tracehound_scribe_ignored", "Entries of other categories than SCRIBE_CATEGORY", Counter, |stats| stats.ignored as f64),
];

/// Listens and serves.
///
/// # Errors
/// Where the port cannot be had.
pub(super) fn start(
    config: &ScribeConfig,
    server: &ServerConfig,
    collector: &Arc<Collector>,
) -> anyhow::Result<Intake> {
    let listener = listen(server.listen, config.port).context("COLLECTOR_PORT is where Scribe is served")?;
    let port = listener
        .local_addr()
        .context("cannot tell the port of Scribe")?
        .port();
    let scribe = ScribeCollector::start(
        listener,
        collector::scribe::ScribeConfig {
            category: config.category.clone(),
            connections_max: server.connections_max,
            idle_timeout: collector::scribe::IDLE_TIMEOUT,
            answer_timeout: server.answer_timeout,
        },
        Arc::clone(collector),
    );
    tracing::info!(port, category = config.category, "Scribe: ready");
    let (asked, counted) = (scribe.monitor(), scribe.monitor());
    Ok(Intake {
        name: format!("ScribeCollector{{port={port}, category={}}}", config.category),
        health: Arc::new(move || {
            let error = (!asked.is_listening()).then(|| "server not running".to_owned());
            let health = Health {
                error,
                ..Health::default()
            };
            Box::pin(async move { health }) as BoxFuture<'static, Health>
        }),
        figures: Arc::new(move || figures(FIGURES, &counted.stats())),
        stop: Box::new(move |within| Box::pin(scribe.stop(within))),
    })
}

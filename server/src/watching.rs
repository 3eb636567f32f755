//! Watches rollouts while they go on, delivers what happens to webhooks, and shows how that goes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use collector::{Collector, Transport};
use regression::Reports;
use regression::watch::{
    EventLimits, EventStats, Events, Watch, WatchOptions, WatchSources, WatchStats, WatchedDeployment,
    WebhookOptions, WebhookStats, Webhooks,
};

use crate::config::WatchConfig;
use crate::http::FigureKind::{Counter, Gauge};
use crate::http::{Figure, FigureKind, FigureSource, Timing};
use crate::webhook;
use crate::wiring::now_ms;

/// Deployments that metrics show, five series each.
const DEPLOYMENTS_SHOWN_MAX: usize = 32;

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Watching {
    /// `None` where nothing is asked of deployments.
    reports: Option<Arc<Reports>>,
    events: Events,
    running: Option<(Watch, Webhooks)>,
}

impl Watching {
    /// Watches from now on, unless the configuration has it otherwise: then nobody can listen.
    ///
    /// # Errors
    /// Where webhooks cannot be used as they are configured.
    pub(crate) fn start(
        config: &WatchConfig,
        reports: Option<Arc<Reports>>,
        collector: &Arc<Collector>,
    ) -> anyhow::Result<Self> {
        let Some(asked) = reports.as_ref().filter(|_| config.enabled) else {
            return Ok(Self {
                reports,
                events: Events::none(),
                running: None,
            });
        };
        let limits = EventLimits {
            listeners_max: config.listeners_max,
            ..EventLimits::default()
        };
        let events = Events::new(now_ms(), limits);
        let options = WebhookOptions {
            secret: webhook::secret(config)?,
            ..WebhookOptions::default()
        };
        let targets = webhook::targets(&config.webhooks)?;
        let webhooks = Webhooks::start(targets, options, &events, Arc::new(now_ms));
        let counted = Arc::clone(collector);
        let spans_taken = Arc::new(move || spans_taken(&counted));
        let options = WatchOptions {
            deployments_max: config.deployments_max,
            share: config.share,
            monitor_ms: asked.settings().options.monitor_ms,
            ..WatchOptions::default()
        };
        let watch = Watch::start(WatchSources::new(asked, spans_taken), options, events.clone());
        Ok(Self {
            reports,
            events,
            running: Some((watch, webhooks)),
        })
    }

    /// The rollout API.
    pub(crate) fn router(&self) -> Option<Router> {
        let reports = Arc::clone(self.reports.as_ref()?);
        Some(regression::http::router(reports, self.events.clone()))
    }

    /// For `/prometheus`.
    pub(crate) fn figures(&self) -> Option<FigureSource> {
        let (watch, webhooks) = self.running.as_ref()?;
        let (events, watch, webhooks) = (self.events.clone(), watch.monitor(), webhooks.monitor());
        Some(Arc::new(move || {
            let stats = watch.stats();
            let shown = &stats.deployments[..stats.deployments.len().min(DEPLOYMENTS_SHOWN_MAX)];
            let mut figures = watch_figures(&stats);
            figures.extend(deployment_figures(shown));
            figures.extend(event_figures(&events.stats()));
            figures.extend(webhook_figures(&webhooks.stats()));
            figures
        }))
    }

    /// For the same.
    pub(crate) fn timing(&self) -> Option<Timing> {
        let (watch, _) = self.running.as_ref()?;
        Some(Timing {
            name: "tracehound_watch_report",
            help: "Time that a report of a watched rollout took, the wait for its turn included",
            histogram: watch.monitor().report_time(),
        })
    }

    /// Lets go of who listens: a connection that is told events ends only with them.
    pub(crate) fn close(&self) {
        self.events.close();
    }

    /// Watches no more. Webhooks have as long to be told what there is.
    pub(crate) async fn stop(self, within: Duration) {
        self.close();
        if let Some((watch, webhooks)) = self.running {
            watch.stop().await;
            webhooks.stop(within).await;
        }
    }
}

fn spans_taken(collector: &Collector) -> u64 {
    let metrics = collector.metrics();
    let spans = |transport| metrics.snapshot(transport).spans;
    Transport::ALL.into_iter().map(spans).sum()
}

/// A number without labels.
fn plain(name: &'static str, help: &'static str, kind: FigureKind, value: f64) -> Figure {
    Figure {
        name,
        help,
        kind,
        labels: Vec::new(),
        value,
    }
}

#[rustfmt::skip]
fn watch_figures(stats: &WatchStats) -> Vec<Figure> {
    vec![
        plain("tracehound_watch_deployments", "Rollouts that are watched", Gauge, stats.watched as f64),
        plain("tracehound_watch_waiting", "Rollouts that go on and are not watched, because there are more than WATCH_DEPLOYMENTS_MAX", Gauge, stats.unwatched as f64),
        plain("tracehound_watch_failures", "Reports of watched rollouts that could not be made", Counter, stats.failures as f64),
        plain("tracehound_watch_skipped", "Reports of watched rollouts that were not made because no span had come", Counter, stats.skipped as f64),
    ]
}

/// Who a figure is about.
fn labels(deployment: &WatchedDeployment) -> Vec<(&'static str, String)> {
    vec![
        ("service", deployment.service_name.clone()),
        ("version", deployment.version.clone()),
        ("environment", deployment.environment.clone().unwrap_or_default()),
    ]
}

/// Name, help, one further label, and what it is of a deployment.
type DeploymentRow = (
    &'static str,
    &'static str,
    fn(&WatchedDeployment) -> Option<(Option<(&'static str, String)>, f64)>,
);

const DEPLOYMENT_FIGURES: [DeploymentRow; 5] = [
    (
        "tracehound_deployment_verdict",
        "1 for the verdict that a watched deployment has now",
        |deployment| Some((Some(("verdict", word(&deployment.standing.verdict))), 1.0)),
    ),
    (
        "tracehound_deployment_decision",
        "1 for what should be done with a watched deployment now",
        |deployment| Some((Some(("decision", word(&deployment.standing.decision))), 1.0)),
    ),
    (
        "tracehound_deployment_score",
        "Score of a watched deployment, 0 to 100, once it has one",
        |deployment| deployment.standing.score.map(|score| (None, score)),
    ),
    (
        "tracehound_deployment_effect_microseconds",
        "Contribution of the largest finding of a watched deployment to the mean of its entry operation",
        |deployment| deployment.effect.map(|effect| (None, effect.micros as f64)),
    ),
    (
        "tracehound_deployment_effect_ratio",
        "The same as a share of the mean that the entry operation had before",
        |deployment| Some((None, deployment.effect?.relative?)),
    ),
];

/// As the API writes it.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

fn deployment_figures(deployments: &[WatchedDeployment]) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (name, help, value) in DEPLOYMENT_FIGURES {
        for deployment in deployments {
            let Some((label, value)) = value(deployment) else {
                continue;
            };
            let mut labels = labels(deployment);
            labels.extend(label);
            figures.push(Figure {
                name,
                help,
                kind: Gauge,
                labels,
                value,
            });
        }
    }
    figures
}

fn event_figures(stats: &EventStats) -> Vec<Figure> {
    let sent = stats.sent.iter().map(|(kind, count)| Figure {
        name: "tracehound_deployment_events",
        help: "Events of deployments, by what happened",
        kind: Counter,
        labels: vec![("event", kind.name().to_owned())],
        value: *count as f64,
    });
    #[rustfmt::skip]
    let listeners = [
        plain("tracehound_event_listeners", "Listeners to server-sent events now", Gauge, stats.listeners as f64),
        plain("tracehound_event_listeners_refused", "Listeners turned away because there were EVENT_LISTENERS_MAX", Counter, stats.listeners_refused as f64),
        plain("tracehound_events_missed", "Events that were gone before a listener or a webhook read them, each counted for each of them", Counter, stats.missed as f64),
    ];
    sent.chain(listeners).collect()
}

fn webhook_figures(stats: &[WebhookStats]) -> Vec<Figure> {
    let mut figures = Vec::new();
    for target in stats {
        let outcomes = [
            ("delivered", target.delivered),
            ("retried", target.retried),
            ("refused", target.refused),
            ("given_up", target.given_up),
            ("missed", target.missed),
        ];
        figures.extend(outcomes.map(|(outcome, count)| Figure {
            name: "tracehound_webhook_deliveries",
            help: "Attempts to deliver events to a webhook, by what became of them",
            kind: Counter,
            labels: vec![("target", target.target.clone()), ("outcome", outcome.to_owned())],
            value: count as f64,
        }));
    }
    figures.extend(stats.iter().map(|target| Figure {
        name: "tracehound_webhook_pending",
        help: "Events that a webhook is still to be told",
        kind: Gauge,
        labels: vec![("target", target.target.clone())],
        value: target.pending as f64,
    }));
    figures
}

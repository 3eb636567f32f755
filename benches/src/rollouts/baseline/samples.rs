//! The spans of a scenario as a table of durations: operation, minute, own time, version.

use std::collections::HashMap;

use model::{Kind, Span, SpanTree, Timeline};

use super::super::scenario::{Deployment, Scenario};
use super::super::truth::Operation;

const MINUTE_MICROS: u64 = 60_000_000;

/// Which version served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Old,
    New,
}

/// A span.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) operation: usize,
    pub(super) trace: usize,
    pub(super) timestamp: u64,
    /// Since the first span of the scenario.
    pub(super) minute: usize,
    pub(super) duration: f64,
    pub(super) own: f64,
    pub(super) is_error: bool,
    pub(super) is_entry: bool,
    /// The version of its service, where that is deployed and known.
    pub(super) side: Option<Side>,
}

/// All spans with a service, a name, a time and a duration.
#[derive(Debug)]
pub(super) struct Samples {
    pub(super) operations: Vec<Operation>,
    /// The deployment of each operation's service.
    pub(super) deployments: Vec<Option<usize>>,
    pub(super) rows: Vec<Sample>,
    pub(super) minutes: usize,
    begin: u64,
}

impl Samples {
    pub(super) fn of(scenario: &Scenario) -> Self {
        let mut numbers: HashMap<(&str, &str, Option<Kind>), usize> = HashMap::new();
        let mut samples = Self {
            operations: Vec::new(),
            deployments: Vec::new(),
            rows: Vec::with_capacity(scenario.spans()),
            minutes: 0,
            begin: scenario
                .traces
                .iter()
                .flatten()
                .filter_map(|span| span.timestamp)
                .min()
                .unwrap_or(0),
        };
        let mut tree = SpanTree::default();
        let mut timeline = Timeline::default();
        for (trace, spans) in scenario.traces.iter().enumerate() {
            tree.rebuild(spans);
            timeline.rebuild(spans, &tree);
            for (index, span) in spans.iter().enumerate() {
                let (Some(service), Some(timestamp), Some(duration)) =
                    (span.local_service_name(), span.timestamp, span.duration)
                else {
                    continue;
                };
                let name = span.name.as_deref().unwrap_or("");
                let operation = *numbers.entry((service, name, span.kind)).or_insert_with(|| {
                    samples.operations.push(Operation::new(service, name, span.kind));
                    let is_of = |deployment: &Deployment| deployment.service_name == service;
                    samples
                        .deployments
                        .push(scenario.deployments.iter().position(is_of));
                    samples.operations.len() - 1
                });
                let minute = ((timestamp - samples.begin) / MINUTE_MICROS) as usize;
                samples.minutes = samples.minutes.max(minute + 1);
                let deployed = samples.deployments[operation];
                samples.rows.push(Sample {
                    operation,
                    trace,
                    timestamp,
                    minute,
                    duration: duration as f64,
                    own: timeline.self_time(index).unwrap_or(0) as f64,
                    is_error: span.is_error(),
                    is_entry: timeline.entry() == Some(index),
                    side: deployed.and_then(|number| side(&scenario.deployments[number], span, timestamp)),
                });
            }
        }
        samples
    }

    /// The minute of a moment, microseconds since the epoch.
    pub(super) fn minute(&self, moment: u64) -> usize {
        (moment.saturating_sub(self.begin) / MINUTE_MICROS) as usize
    }

    /// What a deployed service answered.
    pub(super) fn served_by(&self, deployment: usize) -> impl Iterator<Item = &Sample> + Clone {
        self.rows.iter().filter(move |row| {
            self.deployments[row.operation] == Some(deployment)
                && self.operations[row.operation].span_kind == Some(Kind::Server)
        })
    }
}

/// By tag, declared instance, or declared window.
fn side(deployment: &Deployment, span: &Span, timestamp: u64) -> Option<Side> {
    let tags = ["service.version", "version", "app.version"];
    if let Some(version) = tags.iter().find_map(|tag| span.tag(tag)) {
        return if version == deployment.version {
            Some(Side::New)
        } else if version == deployment.previous_version {
            Some(Side::Old)
        } else {
            None
        };
    }
    let endpoint = span.local_endpoint.as_ref();
    let switched = deployment.instances.iter().find(|instance| {
        endpoint.is_some_and(|endpoint| endpoint.ip.v4 == Some(instance.ip) && endpoint.port == instance.port)
    });
    match switched {
        Some(instance) if instance.switched <= timestamp => Some(Side::New),
        Some(_) => Some(Side::Old),
        None if timestamp < deployment.start => Some(Side::Old),
        None if deployment.end.is_some_and(|end| timestamp >= end) => Some(Side::New),
        None => None,
    }
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The unbiased variance; 0 of fewer than two.
pub(super) fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    squares / (values.len().max(2) - 1) as f64
}

/// How far two means are apart, in standard errors, after Welch; positive where the second is larger.
pub(super) fn welch(before: &[f64], after: &[f64]) -> f64 {
    let error =
        (variance(before) / before.len().max(1) as f64 + variance(after) / after.len().max(1) as f64).sqrt();
    if error > 0.0 {
        (mean(after) - mean(before)) / error
    } else {
        0.0
    }
}

/// Nearest rank; sorts. 0 without values.
pub(super) fn quantile(values: &mut [f64], q: f64) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let rank = ((values.len() as f64 * q).ceil() as usize).clamp(1, values.len()) - 1;
    *values.select_nth_unstable_by(rank, f64::total_cmp).1
}

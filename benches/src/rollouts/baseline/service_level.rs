//! Service levels before and after, each deployed service by itself, as Coroot's deployment tracking: availability and
//! a latency threshold, both with an objective that held before and does not after.

use super::super::judge::{Analysis, Judged, Judgement};
use super::super::scenario::Scenario;
use super::samples::{Sample, Samples, mean, quantile};
use super::{finding, regressed, unchanged};

/// Compares service levels.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServiceLevel;

/// Of the requests: that are answered, and in time.
const OBJECTIVE: f64 = 0.99;
/// Bounds of its histograms, microseconds; the threshold is the first that the objective was met with before.
const BOUNDS: [f64; 11] = [5e3, 1e4, 2.5e4, 5e4, 1e5, 2.5e5, 5e5, 1e6, 2.5e6, 5e6, 1e7];
const REQUESTS_MIN: usize = 30;

impl Analysis for ServiceLevel {
    fn name(&self) -> &'static str {
        "service level before and after (Coroot-like)"
    }

    fn judge(&mut self, scenario: &Scenario) -> Judgement {
        let samples = Samples::of(scenario);
        let mut judgement = Judgement::unknown(scenario);
        for (number, deployment) in scenario.deployments.iter().enumerate() {
            let end = deployment.end.unwrap_or(deployment.start);
            let served = samples.served_by(number);
            let before: Vec<&Sample> = served
                .clone()
                .filter(|row| row.timestamp < deployment.start)
                .collect();
            let after: Vec<&Sample> = served.filter(|row| row.timestamp >= end).collect();
            judgement.deployments[number] = if before.len() < REQUESTS_MIN || after.len() < REQUESTS_MIN {
                Judged::UNKNOWN
            } else if is_missed(&before, &after) {
                let change = mean(&durations(&after)) - mean(&durations(&before));
                let slowest = slowest(&samples, &before, &after);
                judgement.findings.push(finding(
                    number,
                    samples.operations[slowest].clone(),
                    change.max(1.0),
                ));
                regressed(None)
            } else {
                unchanged(None)
            };
        }
        judgement
            .findings
            .sort_by(|a, b| b.contribution.total_cmp(&a.contribution));
        judgement
    }
}

/// An objective that was met is not any more.
fn is_missed(before: &[&Sample], after: &[&Sample]) -> bool {
    let usual = quantile(&mut durations(before), OBJECTIVE);
    let threshold = BOUNDS
        .into_iter()
        .find(|bound| *bound >= usual)
        .unwrap_or(f64::INFINITY);
    let share = |rows: &[&Sample], is_good: &dyn Fn(&Sample) -> bool| {
        rows.iter().filter(|row| is_good(row)).count() as f64 / rows.len() as f64
    };
    let in_time = |row: &Sample| row.duration <= threshold;
    let available = |row: &Sample| !row.is_error;
    [&in_time as &dyn Fn(&Sample) -> bool, &available]
        .into_iter()
        .any(|is_good| share(before, is_good) >= OBJECTIVE && share(after, is_good) < OBJECTIVE)
}

fn durations(rows: &[&Sample]) -> Vec<f64> {
    rows.iter().map(|row| row.duration).collect()
}

/// The operation of the service whose mean grew most: the tool itself names none.
fn slowest(samples: &Samples, before: &[&Sample], after: &[&Sample]) -> usize {
    let mean_of = |rows: &[&Sample], operation: usize| {
        let of: Vec<f64> = rows
            .iter()
            .filter(|row| row.operation == operation)
            .map(|row| row.duration)
            .collect();
        mean(&of)
    };
    let growth = |operation: &usize| mean_of(after, *operation) - mean_of(before, *operation);
    let mut operations: Vec<usize> = after.iter().map(|row| row.operation).collect();
    operations.sort_unstable();
    operations.dedup();
    operations
        .into_iter()
        .max_by(|a, b| growth(a).total_cmp(&growth(b)))
        .unwrap_or(samples.operations.len() - 1)
}

//! Kayenta's judge (Netflix ACA) on three metrics of the deployed service by minute: p50, p95 and the share of errors.
//! Mann-Whitney with a 98 % interval, a tolerance of a quarter of the shift itself, and a score that counts passes.

use super::super::judge::{Analysis, Judged, Judgement};
use super::super::scenario::{Deployment, Scenario};
use super::super::truth::{Cause, Decision, Verdict};
use super::samples::{Samples, Side, mean, quantile};
use super::{finding, regressed, unchanged};

/// Judges metrics, not traces.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kayenta;

/// Of a normal distribution, two-sided 98 %.
const Z: f64 = 2.326_348;
/// Of the shift that is estimated.
const TOLERANCE: f64 = 0.25;
const PASS: f64 = 90.0;
const MARGINAL: f64 = 75.0;
/// Minutes in which both versions served, for a comparison in the same minutes.
const COMMON_MINUTES_MIN: usize = 5;

/// A metric by minute, of the old version and of the new one.
type Metric = [Vec<f64>; 2];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    High,
    Low,
    Pass,
    NoData,
}

impl Analysis for Kayenta {
    fn name(&self) -> &'static str {
        "canary judge on metrics (Kayenta)"
    }

    fn judge(&mut self, scenario: &Scenario) -> Judgement {
        let samples = Samples::of(scenario);
        let mut judgement = Judgement::unknown(scenario);
        for (number, deployment) in scenario.deployments.iter().enumerate() {
            let metrics = metrics(&samples, number, deployment);
            let classes = metrics
                .each_ref()
                .map(|[control, experiment]| classify(control, experiment));
            let Some(score) = score(&classes) else { continue };
            judgement.deployments[number] = if score < MARGINAL {
                regressed(Some(score))
            } else if score < PASS {
                Judged {
                    verdict: Verdict::InsufficientData,
                    decision: Decision::Wait,
                    score: Some(score),
                }
            } else {
                unchanged(Some(score))
            };
            if score < MARGINAL {
                let mut found = finding(
                    number,
                    busiest(&samples, number),
                    shift(&metrics[0]).max(shift(&metrics[1])),
                );
                if classes[2] == Class::High {
                    found.cause = Cause::Errors;
                }
                judgement.findings.push(found);
            }
        }
        judgement
            .findings
            .sort_by(|a, b| b.contribution.total_cmp(&a.contribution));
        judgement
    }
}

/// p50, p95 and the share of errors.
fn metrics(samples: &Samples, number: usize, deployment: &Deployment) -> [Metric; 3] {
    let mut minutes = vec![[Vec::new(), Vec::new()]; samples.minutes];
    let mut errors = vec![[0.0; 2]; samples.minutes];
    for row in samples.served_by(number) {
        if let Some(side) = row.side {
            let side = usize::from(side == Side::New);
            minutes[row.minute][side].push(row.duration);
            errors[row.minute][side] += f64::from(u8::from(row.is_error));
        }
    }
    let is_common = |minute: &[Vec<f64>; 2]| minute.iter().all(|side| !side.is_empty());
    let is_concurrent = minutes.iter().filter(|minute| is_common(minute)).count() >= COMMON_MINUTES_MIN;
    let (start, end) = (
        samples.minute(deployment.start),
        samples.minute(deployment.end.unwrap_or(deployment.start)),
    );
    let mut metrics: [Metric; 3] = Default::default();
    for (number, (minute, errors)) in minutes.iter_mut().zip(&errors).enumerate() {
        let is_used = |side: usize| if side == 0 { number < start } else { number > end };
        let is_common = is_common(minute);
        for side in 0..2 {
            if minute[side].is_empty() || !(if is_concurrent { is_common } else { is_used(side) }) {
                continue;
            }
            let share = errors[side] / minute[side].len() as f64;
            metrics[0][side].push(quantile(&mut minute[side], 0.5));
            metrics[1][side].push(quantile(&mut minute[side], 0.95));
            metrics[2][side].push(share);
        }
    }
    metrics
}

/// An increase is bad, a decrease is not.
fn classify(control: &[f64], experiment: &[f64]) -> Class {
    if control.is_empty() || experiment.is_empty() {
        return Class::NoData;
    }
    let (low, estimate, high) = location_shift(control, experiment);
    if low > TOLERANCE * estimate.abs() && mean(experiment) >= mean(control) {
        Class::High
    } else if high < -TOLERANCE * estimate.abs() {
        Class::Low
    } else {
        Class::Pass
    }
}

/// Hodges-Lehmann with its interval: order statistics of all differences, at the ranks where Mann-Whitney's statistic
/// is as far from its mean as the confidence asks for.
fn location_shift(control: &[f64], experiment: &[f64]) -> (f64, f64, f64) {
    let mut differences: Vec<f64> = experiment
        .iter()
        .flat_map(|new| control.iter().map(move |old| new - old))
        .collect();
    differences.sort_unstable_by(f64::total_cmp);
    let pairs = differences.len() as f64;
    let deviation = (pairs * (control.len() + experiment.len() + 1) as f64 / 12.0).sqrt();
    let at = |rank: f64| differences[(rank.round().max(0.0) as usize).min(differences.len() - 1)];
    let low = at(pairs / 2.0 - Z * deviation);
    let high = at(pairs / 2.0 + Z * deviation - 1.0);
    let middle = differences.len() / 2;
    let estimate = (differences[middle] + differences[(differences.len() - 1) / 2]) / 2.0;
    (low, estimate, high)
}

/// Passes a hundred metrics with data. Half of the metrics without data are 0; metrics that all lack it are none.
fn score(classes: &[Class]) -> Option<f64> {
    let count = |class: Class| classes.iter().filter(|found| **found == class).count();
    let missing = count(Class::NoData);
    if missing == classes.len() {
        return None;
    }
    if 2 * missing >= classes.len() {
        return Some(0.0);
    }
    // An improvement is no failure here: the direction is an increase.
    let passed = count(Class::Pass) + count(Class::Low);
    Some((10_000.0 * passed as f64 / (classes.len() - missing) as f64).round() / 100.0)
}

fn shift([control, experiment]: &Metric) -> f64 {
    (mean(experiment) - mean(control)).max(1.0)
}

/// The judge names no operation: the one that most requests were for.
fn busiest(samples: &Samples, number: usize) -> super::Operation {
    let mut counts = vec![0; samples.operations.len()];
    for row in samples.served_by(number) {
        counts[row.operation] += 1;
    }
    let busiest = (0..counts.len())
        .max_by_key(|&operation| counts[operation])
        .unwrap_or(0);
    samples.operations[busiest].clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_counts_passes() {
        assert_eq!(score(&[Class::Pass, Class::Pass, Class::High]), Some(66.67));
        assert_eq!(score(&[Class::Pass, Class::NoData, Class::NoData]), Some(0.0));
        assert_eq!(score(&[Class::NoData; 3]), None);
    }

    #[test]
    fn a_shift_is_high_only_where_its_interval_stays_away_from_nothing() {
        let control: Vec<f64> = (0..20).map(f64::from).collect();
        let shifted: Vec<f64> = control.iter().map(|value| value + 15.0).collect();
        assert_eq!(classify(&control, &control), Class::Pass);
        assert_eq!(classify(&control, &shifted), Class::High);
        assert_eq!(classify(&shifted, &control), Class::Low);
        let (low, estimate, high) = location_shift(&control, &shifted);
        assert_eq!(estimate, 15.0);
        // 105 of the 400 differences are below 10, 120 are not above it, and the interval begins at the 114th: the
        // deviation is √(400 · 41 / 12) = 36.97, and 200 - 2.326 · 36.97 = 114.0.
        assert_eq!((low, high), (10.0, 20.0));
    }
}

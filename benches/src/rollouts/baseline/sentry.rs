//! Largest change of p95, in two stages, as Sentry's endpoint regressions: a change point in an endpoint's p95 that is
//! tested and still there at the end, then the span whose p95 of own time changed most.

use super::super::judge::{Analysis, Judged, Judgement};
use super::super::scenario::Scenario;
use super::samples::{Samples, mean, quantile, variance, welch};
use super::{finding, regressed, unchanged};

/// Finds change points of endpoints, then ranks spans.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sentry;

/// Spans of an endpoint in a minute that make a bucket, and buckets that make a series.
const BUCKET_SPANS_MIN: usize = 5;
const BUCKETS_MIN: usize = 12;
/// χ² with two degrees of freedom at 0.01.
const LIKELIHOOD_RATIO_MIN: f64 = 9.210;
/// Student's t at 0.01, two-sided, with some 25 degrees of freedom.
const T_MIN: f64 = 2.79;
/// Relative, of the p95.
const CHANGE_MIN: f64 = 0.10;
/// A change point before this is none.
const INDEX_MIN: usize = 5;
const ROUNDS_MAX: usize = 10;
/// Share of the buckets at the end that must still be high.
const TAIL: f64 = 0.25;

impl Analysis for Sentry {
    fn name(&self) -> &'static str {
        "p95 change in two stages (Sentry-like)"
    }

    fn judge(&mut self, scenario: &Scenario) -> Judgement {
        let samples = Samples::of(scenario);
        let mut judgement = Judgement {
            deployments: vec![unchanged(None); scenario.deployments.len()],
            findings: Vec::new(),
        };
        let entries: Vec<usize> = {
            let mut entries: Vec<usize> = samples
                .rows
                .iter()
                .filter(|row| row.is_entry)
                .map(|row| row.operation)
                .collect();
            entries.sort_unstable();
            entries.dedup();
            entries
        };
        let mut seen = 0;
        for entry in entries {
            let Some(series) = series(&samples, entry) else {
                continue;
            };
            seen += 1;
            let Some(minute) = change_point(&series) else {
                continue;
            };
            if let Some((operation, change)) = worst_span(&samples, minute)
                && let Some(deployment) = samples.deployments[operation]
            {
                judgement.deployments[deployment] = regressed(None);
                judgement
                    .findings
                    .push(finding(deployment, samples.operations[operation].clone(), change));
            }
        }
        if seen == 0 {
            judgement.deployments.fill(Judged::UNKNOWN);
        }
        judgement
            .findings
            .sort_by(|a, b| b.contribution.total_cmp(&a.contribution));
        judgement
    }
}

/// The p95 of an endpoint by minute.
fn series(samples: &Samples, entry: usize) -> Option<Vec<(usize, f64)>> {
    let mut buckets = vec![Vec::new(); samples.minutes];
    for row in samples
        .rows
        .iter()
        .filter(|row| row.is_entry && row.operation == entry)
    {
        buckets[row.minute].push(row.duration);
    }
    let full = buckets
        .iter_mut()
        .enumerate()
        .filter(|(_, bucket)| bucket.len() >= BUCKET_SPANS_MIN);
    let series: Vec<(usize, f64)> = full
        .map(|(minute, bucket)| (minute, quantile(bucket, 0.95)))
        .collect();
    (series.len() >= BUCKETS_MIN).then_some(series)
}

/// The minute from which on a series is higher, if it is.
fn change_point(series: &[(usize, f64)]) -> Option<usize> {
    let values: Vec<f64> = series.iter().map(|(_, value)| *value).collect();
    let mut split = values.len() / 2;
    for _ in 0..ROUNDS_MAX {
        let middle = (mean(&values[..split]) + mean(&values[split..])) / 2.0;
        let mut sum = 0.0;
        let sums: Vec<f64> = values
            .iter()
            .map(|value| {
                sum += value - middle;
                sum
            })
            .collect();
        // Where the sum is least, values turn from below the middle to above it.
        let least = (0..values.len() - 1).min_by(|&a, &b| sums[a].total_cmp(&sums[b]))?;
        if least + 1 == split {
            break;
        }
        split = least + 1;
    }
    let (before, after) = values.split_at(split);
    if split <= INDEX_MIN || after.len() < 2 {
        return None;
    }
    let all = values.len() as f64;
    let within =
        (variance(before) * (before.len() - 1) as f64 + variance(after) * (after.len() - 1) as f64) / all;
    let whole = variance(&values) * (all - 1.0) / all;
    let ratio = all * (whole / within.max(1e-9)).ln();
    let threshold = mean(before) * (1.0 + CHANGE_MIN);
    let tail = &after[after.len() - ((after.len() as f64 * TAIL).ceil() as usize)..];
    let is_real = ratio > LIKELIHOOD_RATIO_MIN
        && welch(before, after) > T_MIN
        && mean(after) > threshold
        && mean(tail) > threshold;
    is_real.then(|| series[split].0)
}

/// The operation whose p95 of own time grew most at a minute.
fn worst_span(samples: &Samples, minute: usize) -> Option<(usize, f64)> {
    let mut before = vec![Vec::new(); samples.operations.len()];
    let mut after = before.clone();
    for row in &samples.rows {
        let side = if row.minute < minute {
            &mut before
        } else {
            &mut after
        };
        side[row.operation].push(row.own);
    }
    let change = |operation: usize, before: &mut [f64], after: &mut [f64]| {
        let change = quantile(after, 0.95) - quantile(before, 0.95);
        (!before.is_empty() && !after.is_empty()).then_some((operation, change))
    };
    let sides = before.iter_mut().zip(&mut after).enumerate();
    sides
        .filter_map(|(operation, (before, after))| change(operation, before, after))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .filter(|(_, change)| *change > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_found_where_it_is_and_noise_is_none() {
        let noise = |minute: usize| (minute * 7 % 5) as f64;
        let level: Vec<(usize, f64)> = (0..30).map(|minute| (minute, 100.0 + noise(minute))).collect();
        assert_eq!(change_point(&level), None);
        let step = |&(minute, value): &(usize, f64)| (minute, value + if minute >= 18 { 40.0 } else { 0.0 });
        assert_eq!(
            change_point(&level.iter().map(step).collect::<Vec<_>>()),
            Some(18)
        );
        let passing = |&(minute, value): &(usize, f64)| {
            (
                minute,
                value + if (18..22).contains(&minute) { 40.0 } else { 0.0 },
            )
        };
        assert_eq!(change_point(&level.iter().map(passing).collect::<Vec<_>>()), None);
    }
}

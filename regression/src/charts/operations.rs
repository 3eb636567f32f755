//! Operations beside what they were in the window before: `GET /operations`.

use schemars::JsonSchema;
use serde::Serialize;
use storage::{
    Completeness, OperationName, OperationWindows, UnitSums, WindowLatencies, WindowQuery, WindowSums,
};

use super::Minutes;
use crate::report::Operation;
use crate::sources::Sources;
use crate::statistics::{
    Arms, DesignEffect, Histogram, Interval, Proportion, RatioSums, proportion_difference,
    quantile_difference, ratio_difference,
};

/// Operations that are told apart while they are counted.
const OPERATIONS_MAX: usize = 20_000;
/// Of the intervals of changes: of a hundred rows without a change, one is called significant.
const LEVEL: f64 = 0.99;

/// The operations of a window.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperationList {
    /// Epoch milliseconds.
    start_ts: u64,
    /// Epoch milliseconds.
    end_ts: u64,
    /// Of the window before, which is as long and ends where this one begins.
    before_start_ts: u64,
    /// The most called first.
    operations: Vec<OperationRow>,
    /// Spans of operations that are not in the list; absent where all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<LeftOutOperations>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct LeftOutOperations {
    /// How many; where they are more than could be told apart, at least so many.
    operations: u64,
    /// Their spans in the window.
    count: u64,
}

/// An operation. Durations are microseconds, of spans that have one; absent where none has.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct OperationRow {
    #[serde(flatten)]
    operation: Operation,
    /// Spans.
    count: u64,
    /// Those that failed.
    errors: u64,
    /// Spans a second.
    rate: f64,
    /// Share that failed; absent without spans.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p50: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p90: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p95: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p99: Option<u64>,
    /// Of what it takes by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    self_time_mean: Option<f64>,
    /// Spans a trace that has any, minute by minute and version by version; absent without spans.
    #[serde(skip_serializing_if = "Option::is_none")]
    calls_per_trace: Option<f64>,
    /// Spans in the window before.
    before_count: u64,
    /// Against the window before; what cannot be compared is absent.
    change: RowChange,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct RowChange {
    #[serde(skip_serializing_if = "Option::is_none")]
    p95: Option<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean: Option<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_rate: Option<Change>,
}

/// Of a figure against the window before; 99 % intervals where there is enough to tell.
#[derive(Debug, Serialize, JsonSchema)]
struct Change {
    /// In the unit of the figure.
    difference: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    low: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    high: Option<f64>,
    /// Of the window before; absent where that was 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    relative: Option<f64>,
    /// Whether chance is no explanation; absent where there is too little to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    significant: Option<bool>,
}

impl Change {
    fn of(before: f64, now: f64, interval: Option<Interval>) -> Self {
        Self {
            difference: now - before,
            low: interval.map(|interval| interval.low),
            high: interval.map(|interval| interval.high),
            relative: (before > 0.0).then(|| (now - before) / before),
            significant: interval.map(|interval| !interval.contains(0.0)),
        }
    }
}

/// The operations of a service, or of all, at most `limit`, in the minutes that a window touches: epoch milliseconds and
/// milliseconds.
///
/// # Errors
/// Where the store cannot answer.
pub async fn operations(
    sources: &Sources,
    service_name: Option<&str>,
    (end_ts, lookback): (u64, u64),
    limit: usize,
) -> storage::Result<(OperationList, Completeness)> {
    let minutes = Minutes::of_window(end_ts, lookback);
    let query = WindowQuery {
        windows: [minutes, minutes.before()]
            .map(|window| window.first..=window.last)
            .to_vec(),
        service_name: service_name.map(str::to_owned),
        operations_max: OPERATIONS_MAX,
        ..WindowQuery::default()
    };
    let latencies = sources.latency.windows(&query).await?;
    let completeness = latencies.completeness.clone();
    Ok((
        OperationList::new(latencies, minutes, limit, (sources.now)()),
        completeness,
    ))
}

impl OperationList {
    /// Of the window and the one before.
    fn new(latencies: WindowLatencies, minutes: Minutes, limit: usize, now: u64) -> Self {
        let beyond = latencies.calls_beyond.first().copied().unwrap_or(0);
        let arms_of = |OperationWindows { operation, windows }| {
            let mut windows = windows.into_iter();
            let candidate = windows.next().unwrap_or_default();
            let baseline = windows.next().unwrap_or_default();
            (operation, Arms { baseline, candidate })
        };
        let mut operations: Vec<_> = latencies.operations.into_iter().map(arms_of).collect();
        // Those that are gone are listed, too: last. Equal ones stay in the order of their names.
        operations.sort_by_key(|(_, arms)| std::cmp::Reverse((arms.candidate.calls, arms.baseline.calls)));
        let rest = operations.split_off(limit.min(operations.len()));
        let left_out = LeftOutOperations {
            operations: rest.len() as u64 + u64::from(beyond > 0),
            count: rest.iter().map(|(_, arms)| arms.candidate.calls).sum::<u64>() + beyond,
        };
        let end_ts = minutes.end_ts().min(now.max(minutes.start_ts() + 1_000));
        let seconds = (end_ts - minutes.start_ts()) as f64 / 1_000.0;
        Self {
            start_ts: minutes.start_ts(),
            end_ts: minutes.end_ts(),
            before_start_ts: minutes.before().start_ts(),
            operations: operations
                .iter()
                .map(|(operation, arms)| row(operation, arms, seconds))
                .collect(),
            left_out: (left_out.operations > 0).then_some(left_out),
        }
    }
}

fn error_rate(sums: &WindowSums) -> Option<f64> {
    (sums.calls > 0).then(|| sums.errors as f64 / sums.calls as f64)
}

/// By how much the mean of minutes varies more than it would if values were independent.
fn design_effect_of_means(sums: &WindowSums) -> Option<DesignEffect> {
    let (mean, count) = (sums.durations.mean()?, sums.durations.count() as f64);
    let squares: f64 = sums
        .durations
        .buckets()
        .map(|bucket| {
            let middle = f64::midpoint(bucket.lower as f64, bucket.upper as f64);
            bucket.count as f64 * (middle - mean).powi(2)
        })
        .sum();
    let independent = squares / count / count;
    Some(design_effect(
        ratio_sums(&sums.duration_units).variance()?,
        independent,
    ))
}

/// The same of failures.
fn design_effect_of_failures(sums: &WindowSums) -> Option<DesignEffect> {
    let share = error_rate(sums)?;
    let independent = share * (1.0 - share) / sums.calls as f64;
    Some(design_effect(
        ratio_sums(&sums.error_units).variance()?,
        independent,
    ))
}

/// Values of the same minute and version resemble each other, so these are the units of a ratio.
fn ratio_sums(sums: &UnitSums) -> RatioSums {
    RatioSums {
        units: sums.units as f64,
        numerator: sums.numerator as f64,
        numerator_squares: sums.numerator_squares as f64,
        denominator: sums.denominator as f64,
        denominator_squares: sums.denominator_squares as f64,
        products: sums.products as f64,
    }
}

fn design_effect(between_minutes: f64, independent: f64) -> DesignEffect {
    if independent > 0.0 {
        DesignEffect::new(between_minutes / independent)
    } else {
        DesignEffect::NONE
    }
}

fn row(name: &OperationName, arms: &Arms<WindowSums>, seconds: f64) -> OperationRow {
    let now = &arms.candidate;
    let quantile = |q| now.durations.quantile(q);
    OperationRow {
        operation: Operation {
            service_name: name.service_name.clone(),
            span_name: name.span_name.clone(),
            span_kind: name.kind.map(|kind| kind.as_str().to_owned()),
        },
        count: now.calls,
        errors: now.errors,
        rate: now.calls as f64 / seconds,
        error_rate: error_rate(now),
        mean: now.durations.mean(),
        p50: quantile(0.5),
        p90: quantile(0.9),
        p95: quantile(0.95),
        p99: quantile(0.99),
        self_time_mean: (now.self_time_count > 0)
            .then(|| now.self_time_sum as f64 / now.self_time_count as f64),
        calls_per_trace: (now.traces > 0).then(|| now.calls as f64 / now.traces as f64),
        before_count: arms.baseline.calls,
        change: change(arms),
    }
}

fn change(arms: &Arms<WindowSums>) -> RowChange {
    let (before, now) = (&arms.baseline, &arms.candidate);
    let means = before.durations.mean().zip(now.durations.mean());
    let p95s = before.durations.quantile(0.95).zip(now.durations.quantile(0.95));
    let rates = error_rate(before).zip(error_rate(now));
    RowChange {
        p95: p95s.map(|(before, now)| Change::of(before as f64, now as f64, p95_interval(arms))),
        mean: means.map(|(before, now)| {
            let both = arms.as_ref().map(|sums| ratio_sums(&sums.duration_units));
            Change::of(before, now, ratio_difference(&[both], LEVEL, DesignEffect::NONE))
        }),
        error_rate: rates.map(|(before, now)| Change::of(before, now, error_interval(arms))),
    }
}

fn p95_interval(arms: &Arms<WindowSums>) -> Option<Interval> {
    let effects = arms.as_ref().map(design_effect_of_means);
    let (Some(before), Some(now)) = (effects.baseline, effects.candidate) else {
        return None;
    };
    let effect = if before > now { before } else { now };
    let values = arms.as_ref().map(|sums| Histogram::from(&sums.durations));
    quantile_difference(values.as_ref(), 0.95, LEVEL, effect)
}

fn error_interval(arms: &Arms<WindowSums>) -> Option<Interval> {
    let effects = arms.as_ref().map(design_effect_of_failures);
    let (Some(before), Some(now)) = (effects.baseline, effects.candidate) else {
        return None;
    };
    let effect = if before > now { before } else { now };
    let shares = arms.as_ref().map(|sums| Proportion::new(sums.errors, sums.calls));
    proportion_difference(&[shares], LEVEL, effect)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_no_row_is_counted() {
        let operation = |span_name: &str, calls| OperationWindows {
            operation: OperationName {
                span_name: span_name.to_owned(),
                ..OperationName::default()
            },
            windows: vec![
                WindowSums {
                    calls,
                    ..WindowSums::default()
                },
                WindowSums::default(),
            ],
        };
        let latencies = WindowLatencies {
            operations: vec![operation("a", 1), operation("b", 5), operation("c", 3)],
            calls_beyond: vec![7, 2],
            ..WindowLatencies::default()
        };
        let minutes = Minutes { first: 60, last: 119 };
        let left_out = |limit, latencies: &WindowLatencies| {
            let list = OperationList::new(latencies.clone(), minutes, limit, 0);
            let rows = list.operations.len();
            (
                rows,
                list.left_out
                    .map(|left_out| (left_out.operations, left_out.count)),
            )
        };
        assert_eq!(left_out(2, &latencies), (2, Some((2, 8))));
        assert_eq!(left_out(3, &latencies), (3, Some((1, 7))));
        let all = WindowLatencies {
            calls_beyond: vec![0, 0],
            ..latencies
        };
        assert_eq!(left_out(3, &all), (3, None));
    }
}

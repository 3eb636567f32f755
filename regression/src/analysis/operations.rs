//! The operations of the deployed service, and those that traces entered by, side by side.

use model::{OperationNumber, Sketch};

use crate::report::{Classification, OperationComparison, OperationSide, Shift};
use crate::statistics::{Arms, DesignEffect, Histogram, rank_test, shift};

use super::cause::Sizes;
use super::names::operation_json;
use super::side::Side;
use super::study::Study;

/// Operations whose distributions are compared; of more, only the counts are given.
const COMPARED_MAX: usize = 50;
/// Spans a side that can be compared.
const SPANS_MIN: u64 = 8;

/// What is counted of an operation on one side.
#[derive(Clone, Debug, Default)]
struct Counted {
    calls: u64,
    errors: u64,
    own: u64,
    traces: u64,
    last_trace: Option<u32>,
    buckets: Vec<(u64, u64)>,
}

/// By service and name; the most called, and how many others there are.
pub(super) fn operations(study: &Study<'_>, sizes: &Sizes<'_>) -> (Vec<OperationComparison>, u64) {
    let shown = shown(study);
    let mut counted: Vec<Option<Arms<Counted>>> =
        shown.iter().map(|shown| shown.then(Arms::default)).collect();
    for compared in &study.comparison.all {
        let trace = &study.traces.all()[compared.trace as usize];
        for (node, sums) in study.traces.calls_of(trace) {
            let operation = study.traces.calls()[node as usize].operation;
            let Some(arms) = &mut counted[operation as usize] else {
                continue;
            };
            let side = compared.side.of_mut(arms);
            side.calls += u64::from(sums.calls);
            side.errors += u64::from(sums.failed);
            side.own = side.own.saturating_add(sums.self_micros);
            if side.last_trace != Some(compared.trace) {
                side.last_trace = Some(compared.trace);
                side.traces += 1;
            }
            let calls = u64::from(sums.calls.max(1));
            side.buckets.push((sums.duration_micros / calls, calls));
        }
    }
    let mut numbers: Vec<OperationNumber> = (0..counted.len() as OperationNumber)
        .filter(|&number| {
            counted[number as usize]
                .as_ref()
                .is_some_and(|arms| arms.baseline.calls + arms.candidate.calls > 0)
        })
        .collect();
    let calls = |number: &OperationNumber| {
        let arms = counted[*number as usize].as_ref();
        arms.map_or(0, |arms| arms.baseline.calls + arms.candidate.calls)
    };
    numbers.sort_by_key(|number| (std::cmp::Reverse(calls(number)), *number));
    let beyond = numbers.len().saturating_sub(sizes.options.operations_max);
    numbers.truncate(sizes.options.operations_max);
    let mut compared: Vec<OperationComparison> = numbers
        .iter()
        .enumerate()
        .filter_map(|(place, &number)| {
            let arms = counted[number as usize].take()?;
            Some(comparison(study, sizes, number, arms, place < COMPARED_MAX))
        })
        .collect();
    compared.sort_by(|a, b| a.operation.cmp(&b.operation));
    (compared, beyond as u64)
}

fn shown(study: &Study<'_>) -> Vec<bool> {
    let operations = study.traces.table.operations().iter().enumerate();
    operations
        .map(|(number, operation)| {
            let is_own = study.service.is_none_or(|service| operation.service == service);
            let requests = study.comparison.entries[number].requests;
            is_own || requests.baseline + requests.candidate > 0
        })
        .collect()
}

fn comparison(
    study: &Study<'_>,
    sizes: &Sizes<'_>,
    number: OperationNumber,
    arms: Arms<Counted>,
    is_tested: bool,
) -> OperationComparison {
    let arms = arms.map(|counted| {
        let mut sketch = Sketch::new();
        let mut values = counted.buckets.clone();
        values.sort_unstable();
        for same in values.chunk_by(|one, next| one.0 == next.0) {
            sketch.record_many(same[0].0, same.iter().map(|(_, calls)| calls).sum());
        }
        (counted, sketch)
    });
    let histograms = arms.as_ref().map(|(_, sketch)| Histogram::from(sketch));
    let enough = histograms.baseline.count().min(histograms.candidate.count()) >= SPANS_MIN;
    let strata = [histograms];
    let test = (is_tested && enough)
        .then(|| rank_test(&strata, DesignEffect::NONE))
        .flatten();
    let mean = arms.baseline.1.mean().unwrap_or(0.0).max(1.0);
    let moved = test
        .and_then(|_| shift(&strata, sizes.options.level, DesignEffect::NONE))
        .map(|found| Shift {
            estimate: found.estimate.round() as i64,
            low: found.low.round() as i64,
            high: found.high.round() as i64,
            relative: found.estimate / mean,
            relative_low: found.low / mean,
            relative_high: found.high / mean,
        });
    let classification = match (&test, &moved) {
        (Some(test), Some(moved)) => {
            let is_real = test.p_value <= sizes.options.false_discovery_rate;
            let is_large = moved.relative.abs() >= sizes.min_relative();
            match (is_real && is_large, moved.estimate > 0) {
                (true, true) => Classification::High,
                (true, false) => Classification::Low,
                (false, _) => Classification::Pass,
            }
        }
        _ => Classification::NoData,
    };
    OperationComparison {
        operation: operation_json(study.traces, number),
        baseline: side(&arms.baseline),
        candidate: side(&arms.candidate),
        shift: moved,
        p_value: test.map(|test| test.p_value),
        effect_size: test.map(|test| test.effect),
        classification,
    }
}

fn side((counted, sketch): &(Counted, Sketch)) -> OperationSide {
    let quantile = |q: f64| sketch.quantile(q).unwrap_or(0);
    OperationSide {
        count: counted.calls,
        errors: counted.errors,
        mean: sketch.mean().unwrap_or(0.0).round() as u64,
        p50: quantile(0.5),
        p90: quantile(0.9),
        p95: quantile(0.95),
        p99: quantile(0.99),
        self_time_mean: (counted.own as f64 / counted.calls.max(1) as f64).round() as u64,
        calls_per_trace: counted.calls as f64 / counted.traces.max(1) as f64,
        histogram: sketch
            .buckets()
            .map(|bucket| (bucket.upper, bucket.count))
            .collect(),
    }
}

/// The side that has a number of spans of its own.
pub(super) fn spans(study: &Study<'_>, wanted: Side) -> u64 {
    let of_side = study
        .comparison
        .all
        .iter()
        .filter(|compared| compared.side == wanted);
    of_side
        .flat_map(|compared| &study.traces.all()[compared.trace as usize].profile.calls)
        .map(|sums| u64::from(sums.calls))
        .sum()
}

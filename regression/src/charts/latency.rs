//! A service, or an operation of it, over time: `GET /latency`.

use std::collections::BTreeMap;

use model::{Kind, Sketch};
use schemars::JsonSchema;
use serde::Serialize;
use storage::{Completeness, OperationLatency};

use super::histogram;
use super::{BySide, CallSide, MINUTE_MS, Minutes, for_each_latency};
use crate::sources::Sources;

/// Steps of an answer.
pub(super) const POINTS_MAX: u64 = 2_000;
/// Steps of an answer that says how durations are spread in each.
pub(super) const SPREAD_POINTS_MAX: u64 = 500;
/// Versions that have a series of their own: those with the most requests.
pub(super) const SERIES_MAX: usize = 20;
/// Versions that are told apart while they are counted; where a tag is different for every request, the rest are
/// counted as one.
const VERSIONS_MAX: usize = 1_000;
/// Steps of versions that are held while they are counted; of long charts fewer versions are told apart.
const VERSION_STEPS_MAX: u64 = 100_000;

/// What a chart is asked for.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) service_name: String,
    pub(super) span_name: Option<String>,
    /// Of this kind only; the requests of the service without it.
    pub(super) kind: Option<Kind>,
    /// Whole steps.
    pub(super) minutes: Minutes,
    /// At least 1.
    pub(super) step_minutes: u64,
    /// A series a version.
    pub(super) is_by_version: bool,
    /// With how durations are spread in each step.
    pub(super) has_histogram: bool,
    /// Epoch milliseconds: of a step that is not over, the rate is of the time that it had.
    pub(super) now: u64,
}

impl Question {
    /// The steps that a window touches, from multiples of the step on, so that points stay where they are as time goes on.
    ///
    /// # Errors
    /// More points than that; what to do, in words.
    pub(super) fn steps(window: Minutes, step_minutes: u64, points_max: u64) -> Result<Minutes, String> {
        let first = window.first - window.first % step_minutes;
        let points = (window.last - first) / step_minutes + 1;
        if points > points_max {
            let least = window.count().div_ceil(points_max - 1);
            return Err(format!(
                "step: the window has {points} steps, more than {points_max}; at least {} would do",
                least * MINUTE_MS
            ));
        }
        Ok(Minutes {
            first,
            last: first + points * step_minutes - 1,
        })
    }

    /// How many versions are told apart while they are counted.
    fn versions_max(&self) -> usize {
        let steps = (self.minutes.count() / self.step_minutes).max(1);
        ((VERSION_STEPS_MAX / steps) as usize).clamp(SERIES_MAX, VERSIONS_MAX)
    }

    fn is_about(&self, row: &OperationLatency) -> bool {
        let is_named = |wanted: &String| *wanted == row.operation.span_name;
        self.span_name.as_ref().is_none_or(is_named)
            && self.kind.is_none_or(|kind| row.operation.kind == Some(kind))
    }
}

/// Requests over time.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LatencyChart {
    service_name: String,
    /// All of the service without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    span_name: Option<String>,
    /// When the first step begins, epoch milliseconds.
    start_ts: u64,
    /// When the last step is over, epoch milliseconds.
    end_ts: u64,
    /// Milliseconds.
    step: u64,
    /// Which spans tell the requests: those that answer; of a service that has none, local ones, else its own calls.
    side: CallSide,
    /// The versions with the most requests, the most first; without versions, one.
    series: Vec<Series>,
    /// Versions that are in no series; absent where all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<LeftOutVersions>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Series {
    /// As spans bear it; absent where they bear none, and of a series of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// Every step of the window.
    points: Vec<Point>,
}

/// A step. Durations are microseconds, of requests that have one; absent where none has.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Point {
    /// When it begins, epoch milliseconds.
    start_ts: u64,
    /// Requests.
    count: u64,
    /// Those that failed.
    errors: u64,
    /// Requests a second.
    rate: f64,
    /// Share that failed; absent without requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p50: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p90: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p95: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p99: Option<u64>,
    /// How durations are spread: the greatest duration of a bin, and how many are in it. Only bins that have any,
    /// ascending, four an octave; absent unless asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    histogram: Option<Vec<(u64, u64)>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct LeftOutVersions {
    /// How many; where they are more than could be told apart, at least so many.
    versions: u64,
    /// Their requests.
    count: u64,
}

/// Answers a question.
///
/// # Errors
/// Where the store cannot.
pub(super) async fn chart(
    sources: &Sources,
    question: &Question,
) -> storage::Result<(LatencyChart, Completeness)> {
    let mut sums = BySide::<VersionSums>::default();
    let service_name = Some(question.service_name.as_str());
    let add = |row: OperationLatency| {
        if question.is_about(&row) {
            sums.of_kind(row.operation.kind).add(question, &row);
        }
    };
    let completeness =
        for_each_latency(sources.latency.as_ref(), question.minutes, service_name, add).await?;
    let (side, sums) = sums.requests(|side| side.versions.is_empty());
    let (series, left_out) = sums.finish(question);
    let chart = LatencyChart {
        service_name: question.service_name.clone(),
        span_name: question.span_name.clone(),
        start_ts: question.minutes.start_ts(),
        end_ts: question.minutes.end_ts(),
        step: question.step_minutes * MINUTE_MS,
        side,
        series,
        left_out,
    };
    Ok((chart, completeness))
}

/// Sums of a version in a step.
#[derive(Debug, Default)]
struct StepSums {
    count: u64,
    errors: u64,
    durations: Sketch,
}

/// By version, by step; of a chart without versions, all are the version without a name.
#[derive(Debug, Default)]
struct VersionSums {
    versions: BTreeMap<String, BTreeMap<u64, StepSums>>,
    beyond: u64,
}

impl VersionSums {
    fn add(&mut self, question: &Question, row: &OperationLatency) {
        let version = if question.is_by_version {
            row.version.as_str()
        } else {
            ""
        };
        if !self.versions.contains_key(version) {
            if self.versions.len() >= question.versions_max() {
                self.beyond += row.calls;
                return;
            }
            self.versions.insert(version.to_owned(), BTreeMap::new());
        }
        let Some(steps) = self.versions.get_mut(version) else {
            return;
        };
        let step = (row.minute - question.minutes.first) / question.step_minutes;
        let sums = steps.entry(step).or_default();
        sums.count += row.calls;
        sums.errors += row.errors;
        sums.durations.merge(&row.durations);
    }

    fn finish(self, question: &Question) -> (Vec<Series>, Option<LeftOutVersions>) {
        let mut versions: Vec<_> = self
            .versions
            .into_iter()
            .map(|(version, steps)| {
                let requests: u64 = steps.values().map(|sums| sums.count).sum();
                (requests, version, steps)
            })
            .collect();
        versions.sort_by(|a, b| (b.0, &a.1).cmp(&(a.0, &b.1)));
        let rest = versions.split_off(SERIES_MAX.min(versions.len()));
        let left_out = LeftOutVersions {
            versions: rest.len() as u64 + u64::from(self.beyond > 0),
            count: rest.iter().map(|(requests, ..)| requests).sum::<u64>() + self.beyond,
        };
        if versions.is_empty() && !question.is_by_version {
            versions.push((0, String::new(), BTreeMap::new()));
        }
        let series = versions
            .into_iter()
            .map(|(_, version, steps)| series(question, version, &steps));
        (series.collect(), (left_out.versions > 0).then_some(left_out))
    }
}

fn series(question: &Question, version: String, steps: &BTreeMap<u64, StepSums>) -> Series {
    let none = StepSums::default();
    let points = question.minutes.count() / question.step_minutes;
    Series {
        version: Some(version).filter(|version| !version.is_empty()),
        points: (0..points)
            .map(|step| point(question, step, steps.get(&step).unwrap_or(&none)))
            .collect(),
    }
}

fn point(question: &Question, step: u64, sums: &StepSums) -> Point {
    let length = question.step_minutes * MINUTE_MS;
    let start_ts = question.minutes.start_ts() + step * length;
    let millis = match question.now.checked_sub(start_ts) {
        // At least a second: of a moment, a rate says nothing.
        Some(passed) => passed.clamp(1_000, length),
        None => length,
    };
    let quantile = |q| sums.durations.quantile(q);
    Point {
        start_ts,
        count: sums.count,
        errors: sums.errors,
        rate: sums.count as f64 * 1_000.0 / millis as f64,
        error_rate: (sums.count > 0).then(|| sums.errors as f64 / sums.count as f64),
        mean: sums.durations.mean().map(|mean| mean.round() as u64),
        p50: quantile(0.5),
        p90: quantile(0.9),
        p95: quantile(0.95),
        p99: quantile(0.99),
        histogram: question.has_histogram.then(|| histogram::bins(&sums.durations)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_steps_a_chart_has_the_fewer_versions_are_told_apart() {
        let versions = |steps: u64| {
            let question = Question {
                service_name: String::new(),
                span_name: None,
                kind: None,
                minutes: Minutes {
                    first: 0,
                    last: 5 * steps - 1,
                },
                step_minutes: 5,
                is_by_version: true,
                has_histogram: false,
                now: 0,
            };
            question.versions_max() as u64
        };
        assert_eq!(
            [versions(1), versions(100), versions(POINTS_MAX)],
            [1_000, 1_000, 50]
        );
        assert!((1..=POINTS_MAX).all(|steps| versions(steps) * steps <= VERSION_STEPS_MAX));
    }
}

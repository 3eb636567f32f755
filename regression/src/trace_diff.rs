//! Two traces side by side: what is in one only, what is in both and by how much it changed.
//!
//! Both entry spans are cut along their critical paths into pieces that add up to their durations exactly, so the
//! changes of the pieces add up to the difference of the durations, whatever is wrong with either trace. Clocks are
//! aligned first, as the analysis of deployments does it.

mod align;
pub(crate) mod http;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

use model::{
    ArrangedTrace, CriticalPath, OperationNumber, ProfileTable, Span, SpanTree, Timeline, TraceProfiler,
    merge,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::report::Operation;

use align::{Aligned, Side, align};

/// Spans of a trace, once joined, that can be compared: an answer of twice as many rows has some megabytes.
pub(crate) const DIFF_SPANS_MAX: usize = 20_000;
/// Operations of both traces: their own and what they call, at most two a span.
const OPERATIONS_MAX: usize = 4 * DIFF_SPANS_MAX + 1;

/// What differs between two traces. Durations and changes are microseconds; a change is the candidate's less the
/// baseline's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TraceDiff {
    /// The one that is compared against.
    pub(crate) baseline: TraceSide,
    /// The one that is compared.
    pub(crate) candidate: TraceSide,
    /// Of the entry span's duration; a trace without times counts as 0.
    pub(crate) change: i64,
    /// Where it is: the three add up to `change`.
    pub(crate) totals: Totals,
    /// By operation, the greatest change of critical-path time first; these add up to `change`, too.
    pub(crate) operations: Vec<OperationDiff>,
    /// All spans of both, each once, in the order of a walk down the trees.
    pub(crate) spans: Vec<SpanDiff>,
}

/// One of the traces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TraceSide {
    /// The longest identifier that a span of it has.
    pub(crate) trace_id: String,
    /// Of its entry span; absent where no span has times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) duration: Option<u64>,
    /// Spans, once pieces are joined.
    pub(crate) span_count: usize,
    /// Reported time outside the parents, which cannot be true: above a high share of the duration, where time went
    /// is not to be trusted.
    pub(crate) cut_micros: u64,
}

/// Change of critical-path time by where spans are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Totals {
    /// Of spans in both.
    pub(crate) both: i64,
    /// Of spans that only the baseline has; never positive.
    pub(crate) baseline_only: i64,
    /// Of spans that only the candidate has; never negative.
    pub(crate) candidate_only: i64,
}

/// An operation in both traces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OperationDiff {
    /// Which.
    #[serde(flatten)]
    pub(crate) operation: Operation,
    /// Spans in the baseline.
    pub(crate) baseline_count: u64,
    /// Spans in the candidate.
    pub(crate) candidate_count: u64,
    /// Change of its time on the critical path.
    pub(crate) path_time_change: i64,
}

/// A span of one trace, or a pair of both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SpanDiff {
    /// Index of the row above; absent at the top.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<u32>,
    /// How many rows are above.
    pub(crate) depth: u32,
    /// What it does.
    #[serde(flatten)]
    pub(crate) operation: Operation,
    /// Where it is.
    #[serde(rename = "in")]
    pub(crate) presence: Presence,
    /// The baseline's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) baseline: Option<SpanTimes>,
    /// The candidate's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) candidate: Option<SpanTimes>,
    /// Where both have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) duration_change: Option<i64>,
    /// Where both have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) self_time_change: Option<i64>,
    /// Its part of the change of the entry span's duration; a side where it is missing counts as 0.
    pub(crate) path_time_change: i64,
}

/// Which traces have a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Presence {
    /// Both do.
    Both,
    /// The baseline does.
    Baseline,
    /// The candidate does.
    Candidate,
}

/// A span in one trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SpanTimes {
    /// Its identifier.
    pub(crate) id: String,
    /// As it was reported; absent where it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) duration: Option<u64>,
    /// In which no child ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) self_time: Option<u64>,
    /// On the critical path, what is below left out.
    pub(crate) path_time: u64,
    /// Whether it failed.
    pub(crate) error: bool,
}

/// Why two traces cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManySpans {
    /// `baseline` or `candidate`.
    pub(crate) side: &'static str,
    /// How many it has.
    pub(crate) spans: usize,
}

/// Compares two traces: all spans of each, raw, in any order.
///
/// # Errors
/// [`TooManySpans`] of the first that has more than [`DIFF_SPANS_MAX`].
pub(crate) fn diff(baseline: &[Span], candidate: &[Span]) -> Result<TraceDiff, TooManySpans> {
    let mut table = ProfileTable::new(OPERATIONS_MAX);
    let baseline = TimedTrace::of("baseline", baseline, &mut table)?;
    let candidate = TimedTrace::of("candidate", candidate, &mut table)?;
    let rows = align(baseline.aligned_by(), candidate.aligned_by());
    let mut totals = Totals::default();
    let mut operations = OperationSums::default();
    let spans: Vec<SpanDiff> = rows
        .iter()
        .map(|row| {
            let (number, span) = span_diff(*row, &baseline, &candidate, &table);
            match span.presence {
                Presence::Both => totals.both += span.path_time_change,
                Presence::Baseline => totals.baseline_only += span.path_time_change,
                Presence::Candidate => totals.candidate_only += span.path_time_change,
            }
            operations.add(number, row, span.path_time_change);
            span
        })
        .collect();
    Ok(TraceDiff {
        change: change(
            baseline.duration.unwrap_or_default(),
            candidate.duration.unwrap_or_default(),
        ),
        baseline: baseline.side(),
        candidate: candidate.side(),
        totals,
        operations: operations.finish(&table),
        spans,
    })
}

/// Microseconds of spans fit a signed number, and so does their difference.
fn change(baseline: u64, candidate: u64) -> i64 {
    (candidate as i64).wrapping_sub(baseline as i64)
}

/// A trace whose spans are joined, arranged, and cut along the critical path.
struct TimedTrace<'a> {
    spans: Vec<Cow<'a, Span>>,
    tree: SpanTree,
    timeline: Timeline,
    operations: Vec<OperationNumber>,
    path_micros: Vec<u64>,
    duration: Option<u64>,
}

impl<'a> TimedTrace<'a> {
    fn of(side: &'static str, spans: &'a [Span], table: &mut ProfileTable) -> Result<Self, TooManySpans> {
        let trace_id = spans.iter().map(|span| span.trace_id).max();
        let spans = merge(spans);
        if spans.len() > DIFF_SPANS_MAX {
            return Err(TooManySpans {
                side,
                spans: spans.len(),
            });
        }
        let tree = SpanTree::build(&spans);
        let mut timeline = Timeline::build(&spans, &tree);
        let facts: Vec<_> = spans.iter().map(|span| table.facts(span, &[])).collect();
        let trace = ArrangedTrace {
            spans: &spans,
            tree: &tree,
            timeline: &mut timeline,
            facts: &facts,
        };
        let mut profiler = TraceProfiler::default();
        let profile = trace_id.and_then(|trace_id| profiler.profile(trace_id, 0, trace));
        let duration = profile.and_then(|profile| profile.entry.duration);
        let mut path_micros = vec![0; spans.len()];
        for piece in CriticalPath::of(&timeline).iter().flat_map(CriticalPath::pieces) {
            path_micros[piece.span] += piece.interval.duration();
        }
        Ok(Self {
            operations: facts.iter().map(|facts| facts.operation).collect(),
            spans,
            tree,
            timeline,
            path_micros,
            duration,
        })
    }

    fn aligned_by(&self) -> Side<'_> {
        Side {
            tree: &self.tree,
            operations: &self.operations,
        }
    }

    fn side(&self) -> TraceSide {
        // Joined spans all have the longest identifier.
        let trace_id = self.spans.first().map(|span| span.trace_id.to_string());
        TraceSide {
            trace_id: trace_id.unwrap_or_default(),
            duration: self.duration,
            span_count: self.spans.len(),
            cut_micros: self.timeline.cut().cut_micros,
        }
    }

    fn times(&self, index: usize) -> SpanTimes {
        let span = &self.spans[index];
        SpanTimes {
            id: span.id.to_string(),
            duration: span.duration,
            self_time: self.timeline.self_time(index),
            path_time: self.path_micros[index],
            error: span.is_error(),
        }
    }
}

fn span_diff(
    row: Aligned,
    baseline: &TimedTrace<'_>,
    candidate: &TimedTrace<'_>,
    table: &ProfileTable,
) -> (OperationNumber, SpanDiff) {
    let sides = [(baseline, row.baseline), (candidate, row.candidate)];
    let [before, after] = sides.map(|(trace, index)| index.map(|index| trace.times(index)));
    let numbers = sides.map(|(trace, index)| index.map(|index| trace.operations[index]));
    let number = numbers[0].or(numbers[1]).unwrap_or_default();
    let both = |of: fn(&SpanTimes) -> Option<u64>| {
        let values = before.as_ref().and_then(of).zip(after.as_ref().and_then(of));
        values.map(|(before, after)| change(before, after))
    };
    let path_time = |side: &Option<SpanTimes>| side.as_ref().map_or(0, |times| times.path_time);
    let span = SpanDiff {
        parent: row.parent,
        depth: row.depth,
        operation: named(number, table),
        presence: match (row.baseline, row.candidate) {
            (Some(_), Some(_)) => Presence::Both,
            (_, None) => Presence::Baseline,
            (None, _) => Presence::Candidate,
        },
        duration_change: both(|times| times.duration),
        self_time_change: both(|times| times.self_time),
        path_time_change: change(path_time(&before), path_time(&after)),
        baseline: before,
        candidate: after,
    };
    (number, span)
}

fn named(number: OperationNumber, table: &ProfileTable) -> Operation {
    let operation = table
        .operations()
        .get(number as usize)
        .copied()
        .unwrap_or_default();
    Operation {
        service_name: table.name(operation.service).to_owned(),
        span_name: table.name(operation.span_name).to_owned(),
        span_kind: operation.kind.map(|kind| kind.as_str().to_owned()),
    }
}

/// Sums by operation, by its number.
#[derive(Default)]
struct OperationSums(BTreeMap<OperationNumber, (u64, u64, i64)>);

impl OperationSums {
    fn add(&mut self, number: OperationNumber, row: &Aligned, change: i64) {
        let sums = self.0.entry(number).or_default();
        sums.0 += u64::from(row.baseline.is_some());
        sums.1 += u64::from(row.candidate.is_some());
        sums.2 += change;
    }

    fn finish(self, table: &ProfileTable) -> Vec<OperationDiff> {
        let sums = self.0.into_iter();
        let mut operations: Vec<OperationDiff> = sums
            .map(
                |(number, (baseline_count, candidate_count, change))| OperationDiff {
                    operation: named(number, table),
                    baseline_count,
                    candidate_count,
                    path_time_change: change,
                },
            )
            .collect();
        operations.sort_by(|a, b| {
            let greatest = b.path_time_change.abs().cmp(&a.path_time_change.abs());
            greatest.then_with(|| a.operation.cmp(&b.operation))
        });
        operations
    }
}

//! What the analysis says of a deployment, in the words of the rollout API: this is the report, byte for byte.
//!
//! Fields that are not set are absent. Times that end in `ts` are epoch milliseconds; durations and changes of durations
//! are microseconds. Everything is in an order that the spans alone decide, so the same spans give the same bytes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use storage::Completeness;

/// The answer about a deployment, or about two populations that were compared without one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What was judged; absent where two populations were compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<DeploymentJson>,
    /// What became of it.
    pub verdict: Verdict,
    /// What a pipeline should do.
    pub decision: Decision,
    /// 0 to 100; absent where half of the weight or more has no data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Kayenta's counting of the same checks, for comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kayenta_score: Option<f64>,
    /// How sure the verdict is, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// How the populations were chosen; absent where there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub design: Option<Design>,
    /// What is missing for a verdict, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// What was there before.
    pub baseline: Population,
    /// What is judged.
    pub candidate: Population,
    /// Worst first.
    pub findings: Vec<Finding>,
    /// Entry operations, the one that lost the most time first.
    pub change: Vec<EntryChange>,
    /// What could have been seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<Power>,
    /// How the score came about.
    pub checks: Vec<Check>,
    /// The operations of the deployed service and the entry operations.
    pub operations: Vec<OperationComparison>,
    /// Objectives of the service.
    pub slo: Vec<SloState>,
    /// Traces that were left out, and how much time could not be true.
    pub left_out: LeftOut,
    /// What these lists have no room for; absent where everything is in them.
    #[serde(default, skip_serializing_if = "Omitted::is_nothing")]
    pub omitted: Omitted,
    /// `complete`, or why not everything that is stored was considered.
    pub completeness: String,
}

impl Report {
    /// Whether everything that is stored was considered.
    pub fn completeness(&self) -> Completeness {
        match self.completeness.as_str() {
            "complete" => Completeness::Complete,
            reason => Completeness::Partial(reason.to_owned()),
        }
    }

    /// Whether everything was considered that something is made of which is added to it.
    pub(crate) fn add_completeness(&mut self, added: Completeness) {
        if let Completeness::Partial(reasons) = self.completeness().and(added) {
            self.completeness = reasons;
        }
    }
}

/// A deployment as the API answers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct DeploymentJson(
    #[schemars(with = "crate::deployments::DeploymentJson<'static>")]
    pub  serde_json::Map<String, serde_json::Value>,
);

/// What became of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Something became slower or fails more.
    Regressed,
    /// Something became faster or fails less, and nothing the other way.
    Improved,
    /// Nothing that matters changed, and it would have been seen.
    Unchanged,
    /// It cannot be said yet.
    InsufficientData,
}

/// What a pipeline should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Go on.
    Continue,
    /// Take it back.
    Rollback,
    /// Ask again later.
    Wait,
}

/// How the two populations were chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Design {
    /// Both versions in the same minutes.
    Concurrent,
    /// The previous version before, the new one after.
    BeforeAfter,
}

/// The traces of one side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Population {
    /// Which version served them; absent where none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// From when on.
    pub start_ts: u64,
    /// Until when.
    pub end_ts: u64,
    /// How many.
    pub traces: u64,
    /// Spans in them.
    pub spans: u64,
}

/// An operation by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// Who.
    pub service_name: String,
    /// What.
    pub span_name: String,
    /// `CLIENT`, `SERVER`, `PRODUCER`, `CONSUMER`; absent for local work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_kind: Option<String>,
}

/// Something that changed, where it began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What changed.
    pub kind: FindingKind,
    /// What changed its behaviour.
    pub origin: Operation,
    /// Why.
    pub cause: Cause,
    /// What it calls, where the cause is about a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callee: Option<Operation>,
    /// Where it costs the most.
    pub entry: Operation,
    /// Of the entry operation's mean, microseconds; negative for an improvement. Of errors: 0.
    pub contribution: i64,
    /// 95 % interval.
    pub contribution_low: i64,
    /// 95 % interval.
    pub contribution_high: i64,
    /// Share of the entry operation's change within strata, where that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contribution_ratio: Option<f64>,
    /// Of errors: change of the share of requests that fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_rate_change: Option<f64>,
    /// One sentence.
    pub summary: String,
    /// Entry operations that suffer, worst first.
    pub victims: Vec<Victim>,
    /// Traces that show it.
    pub exemplars: Exemplars,
    /// After correction for many comparisons.
    pub p_value: f64,
    /// Whether the deployment did it.
    pub caused_by_deployment: bool,
    /// What else explains it, where it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
    /// The other deployment, where one explains it, or cannot be told from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<String>,
    /// The instance, where one explains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Time.
    Latency,
    /// Failures.
    Errors,
}

/// Why something changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The operation itself takes longer.
    SelfTime,
    /// It calls something more often.
    MoreCalls,
    /// It calls one after the other what it called side by side.
    SerializedCalls,
    /// It calls something that it never called.
    NewCall,
    /// It calls again what failed.
    Retries,
    /// It asks something heavier of what it calls.
    SlowerCallee,
    /// Its calls wait before they are answered.
    Queueing,
    /// It fails.
    Errors,
}

/// What explains a change that the deployment did not cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Explanation {
    /// More requests.
    Load,
    /// Other requests.
    MixShift,
    /// Another deployment did it.
    OtherDeployment,
    /// What is called is slow for everybody.
    CalleeDegraded,
    /// One instance alone.
    BadInstance,
    /// New instances, until they are warm.
    WarmUp,
    /// It went away.
    Transient,
    /// It cannot be told from something else that changed.
    Confounded,
}

/// An entry operation that suffers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Victim {
    /// Which.
    #[serde(flatten)]
    pub operation: Operation,
    /// Of its mean, microseconds.
    pub change: i64,
}

/// Traces that show a finding: identifiers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Exemplars {
    /// As it was.
    pub baseline: Vec<String>,
    /// As it is.
    pub candidate: Vec<String>,
}

/// How the mean of an entry operation changed, microseconds: `total = within + mix_shift`, `within = explained +
/// remainder`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EntryChange {
    /// Which.
    pub entry: Operation,
    /// Requests of both sides.
    pub requests: Sides,
    /// The whole.
    pub total: i64,
    /// At the same mix of requests.
    pub within: i64,
    /// By other requests.
    pub mix_shift: i64,
    /// By findings.
    pub explained: i64,
    /// By nothing that was found.
    pub remainder: i64,
}

/// A count of either side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sides {
    /// Of the baseline.
    pub baseline: u64,
    /// Of the candidate.
    pub candidate: u64,
}

/// What the comparison could have seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Power {
    /// The smallest relative change that would have been found with 95 % power.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smallest_relative: Option<f64>,
    /// Requests a side that are missing for the size that matters; absent where no number would do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_missing: Option<u64>,
}

/// A part of the score: `score = 100 · Σ weight · grade / Σ weight` over checks with data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// `latency`, `errors`, `structure` or `entries`.
    pub group: String,
    /// What was looked at.
    pub name: String,
    /// Of 100.
    pub weight: f64,
    /// 0 to 1; absent without data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grade: Option<f64>,
    /// Sets the score to 0.
    pub critical: bool,
    /// What was found, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An operation on both sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperationComparison {
    /// Which.
    #[serde(flatten)]
    pub operation: Operation,
    /// As it was.
    pub baseline: OperationSide,
    /// As it is.
    pub candidate: OperationSide,
    /// Of its durations, microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift: Option<Shift>,
    /// That nothing changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
    /// Probability that a candidate's value is above a baseline's, ties half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect_size: Option<f64>,
    /// Of its durations.
    pub classification: Classification,
}

/// An operation on one side; durations in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperationSide {
    /// Spans.
    pub count: u64,
    /// That failed.
    pub errors: u64,
    /// Of durations.
    pub mean: u64,
    /// Of durations.
    pub p50: u64,
    /// Of durations.
    pub p90: u64,
    /// Of durations.
    pub p95: u64,
    /// Of durations.
    pub p99: u64,
    /// Mean of what it takes by itself.
    pub self_time_mean: u64,
    /// Spans a trace that has any.
    pub calls_per_trace: f64,
    /// Upper bounds of buckets, and how many durations are in each.
    pub histogram: Vec<(u64, u64)>,
}

/// By how much durations moved, microseconds and relative, with 95 % intervals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shift {
    /// Microseconds.
    pub estimate: i64,
    /// Microseconds.
    pub low: i64,
    /// Microseconds.
    pub high: i64,
    /// Of the baseline's mean.
    pub relative: f64,
    /// Of the baseline's mean.
    pub relative_low: f64,
    /// Of the baseline's mean.
    pub relative_high: f64,
}

/// What a comparison came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Classification {
    /// Significantly and considerably more.
    High,
    /// Significantly and considerably less.
    Low,
    /// Neither.
    Pass,
    /// Too little to say.
    #[serde(rename = "nodata")]
    NoData,
}

/// An objective of the deployed service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SloState {
    /// Which.
    pub name: String,
    /// Share of good requests that is promised.
    pub objective: f64,
    /// Share of the budget that is left in the window; negative once it is overspent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_remaining: Option<f64>,
    /// Over the last hour: 1 spends the budget exactly over the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burn_rate: Option<f64>,
    /// Share of the budget that this deployment spent: bad requests above the baseline's rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent_by_deployment: Option<f64>,
    /// Whether this deployment spends the budget fast: of its requests while it was live, the burn rates of the last hour
    /// and of the last five minutes are 14.4 and more, at least five are bad, and it surely fails more often than what
    /// served before it and beside it.
    #[serde(default)]
    pub fast_burn: bool,
}

/// How many entries of the lists of a report are not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Omitted {
    /// The last ones.
    pub findings: u64,
    /// Entry operations that lost least.
    pub change: u64,
    /// Those that cost least of the score.
    pub checks: u64,
    /// The least called.
    pub operations: u64,
}

impl Omitted {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// What was not compared, traces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// Served by both versions.
    pub both_versions: u64,
    /// Served by no version that is known.
    pub unknown_version: u64,
    /// Of instances that were not warm yet.
    pub warm_up: u64,
    /// Beyond the sample.
    pub not_sampled: u64,
    /// Of minutes in which one side only served, or of strata of one side only.
    pub not_comparable: u64,
    /// Reported time that could not be true, microseconds.
    pub cut_micros: u64,
}

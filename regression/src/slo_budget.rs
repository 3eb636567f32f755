//! Error budgets: how much of what an objective allows is spent, how fast, and by which deployment.
//!
//! `minutes.rs` counts good and bad requests in windows, from the sums of the store; `statuses.rs` reads the spans that
//! these cannot judge; `burn.rs` makes burn rates and alerts of them; `spent.rs` says what a deployment cost.

mod burn;
pub(crate) mod http;
mod minutes;
mod spent;
mod statuses;
#[cfg(test)]
mod tests;

use model::{Deployment, Slo};
use schemars::JsonSchema;
use serde::Serialize;
use storage::Completeness;

use crate::charts::{CallSide, Minutes};
use crate::report::{Check, Decision, Report, SloState, Verdict};
use crate::sources::Sources;

use burn::{Alert, BurnRate, alerts, burn_rate, burn_rates};
use minutes::{RequestCounts, count_requests};

pub(crate) use spent::Life;

/// The error budget of an objective. Requests are those of its service, or of its operation there.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Budget {
    /// Of the objective.
    name: String,
    /// The share of good requests that is promised.
    objective: f64,
    window_days: u32,
    /// Epoch milliseconds, a whole minute.
    start_ts: u64,
    /// Epoch milliseconds, the end of a minute.
    end_ts: u64,
    /// Which spans tell the requests: those that answer; of a service that has none, local ones, else its own calls.
    side: CallSide,
    /// Requests that can be judged.
    valid: u64,
    /// Those that are good.
    good: u64,
    /// Those that are not.
    bad: u64,
    counted_by: CountedBy,
    /// Share of good requests; absent without requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    sli: Option<f64>,
    /// How many requests of the window may be bad.
    budget_requests: f64,
    /// Share of the budget that is left, negative once it is overspent; absent without requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_remaining: Option<f64>,
    /// The shortest window first.
    burn_rates: Vec<BurnRate>,
    /// The fastest first.
    alerts: Vec<Alert>,
}

/// What decided whether a request is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CountedBy {
    /// Its duration, by buckets: the threshold is in effect up to 0.8 % higher.
    Duration,
    /// Its HTTP status, or without one the `error` tag.
    HttpStatus,
    /// The same, of the newest requests that failed; of older ones the same share is taken to be bad.
    HttpStatusSampled,
    /// The `error` tag alone: spans could not be searched.
    ErrorTag,
}

/// The budget of an objective at a moment, epoch milliseconds.
///
/// # Errors
/// Where the store cannot answer.
pub(crate) async fn budget(
    sources: &Sources,
    slo: &Slo,
    end_ts: u64,
) -> storage::Result<(Budget, Completeness)> {
    let window = window_of(slo, end_ts);
    let windows: Vec<Minutes> = burn::windows(end_ts).chain([window]).collect();
    let counts = count_requests(sources, slo, &windows, None).await?;
    let whole = counts.sum(window);
    let budget_requests = budget_requests(slo, whole.all);
    let budget = Budget {
        name: slo.name.clone(),
        objective: slo.objective,
        window_days: slo.window_days,
        start_ts: window.start_ts(),
        end_ts: window.end_ts(),
        side: counts.side,
        valid: whole.all.valid,
        good: whole.all.valid - whole.all.bad_requests(),
        bad: whole.all.bad_requests(),
        counted_by: counts.counted_by,
        sli: whole.all.bad_share().map(|share| 1.0 - share),
        budget_requests,
        budget_remaining: remaining(budget_requests, whole.all),
        burn_rates: burn_rates(&counts, slo.objective, end_ts),
        alerts: alerts(&counts, slo.objective, end_ts),
    };
    Ok((budget, counts.completeness))
}

/// The first objective of a service, by name, whose budget is spent at a moment, epoch milliseconds, and whether all
/// requests were considered of those that were looked at.
///
/// # Errors
/// Where the store cannot answer.
pub(crate) async fn first_spent(
    sources: &Sources,
    service_name: &str,
    end_ts: u64,
) -> storage::Result<(Option<String>, Completeness)> {
    let slos = sources.deployments.slos().await?;
    let mut completeness = Completeness::Complete;
    for slo in slos.iter().filter(|slo| slo.service_name == service_name) {
        let (budget, told) = budget(sources, slo, end_ts).await?;
        completeness = completeness.and(told);
        if budget.budget_remaining.is_some_and(|remaining| remaining <= 0.0) {
            return Ok((Some(budget.name), completeness));
        }
    }
    Ok((None, completeness))
}

/// The objectives of the deployed service at a moment, epoch milliseconds, by name, with what the deployment spent of
/// each while it was live.
///
/// # Errors
/// Where the store cannot answer.
pub async fn slo_states(
    sources: &Sources,
    deployment: &Deployment,
    end_ts: u64,
) -> storage::Result<(Vec<SloState>, Completeness)> {
    let slos = sources.deployments.slos().await?;
    let of_service = |slo: &Slo| slo.service_name == deployment.service_name;
    let (mut states, mut completeness) = (Vec::new(), Completeness::Complete);
    let life = Life::of(sources, deployment, end_ts).await?;
    for slo in slos.iter().filter(|slo| of_service(slo)) {
        let (state, told) = slo_state(sources, slo, &deployment.version, life, end_ts).await?;
        states.push(state);
        completeness = completeness.and(told);
    }
    Ok((states, completeness))
}

/// Puts the objectives of its service into the report of a deployment. Where it regressed and spends a budget so fast
/// that the first alert would fire, that is critical: the score is 0, and it is to be taken back. Where they are of a part
/// of the requests only, so is the report.
pub(crate) fn add_objectives(report: &mut Report, (states, completeness): (Vec<SloState>, Completeness)) {
    report.add_completeness(completeness);
    if report.verdict == Verdict::Regressed {
        for state in states.iter().filter(|state| state.fast_burn) {
            report.checks.push(Check {
                group: "entries".to_owned(),
                name: format!("objective {}", state.name),
                weight: 0.0,
                grade: Some(0.0),
                critical: true,
                reason: Some("its error budget is being spent 14.4 times too fast or more".to_owned()),
            });
            report.score = report.score.map(|_| 0.0);
            report.decision = Decision::Rollback;
        }
    }
    report.slo = states;
}

async fn slo_state(
    sources: &Sources,
    slo: &Slo,
    version: &str,
    life: Life,
    end_ts: u64,
) -> storage::Result<(SloState, Completeness)> {
    let window = window_of(slo, end_ts);
    let life = life.within(window);
    let last_hour = Minutes::until(end_ts, burn::HOUR_MINUTES);
    let mut windows: Vec<Minutes> = life.windows().chain([window, last_hour]).collect();
    // Of one that has been live for long, what lies between is not asked.
    let is_near = life.before.last + 1 >= window.first;
    windows.extend(is_near.then_some(life.before));
    let mut counts = count_requests(sources, slo, &windows, Some(version)).await?;
    if !is_near {
        let before = count_requests(sources, slo, &[life.before], Some(version)).await?;
        counts.completeness = counts.completeness.and(before.completeness);
        if before.side == counts.side {
            counts.pieces.extend(before.pieces);
        }
    }
    let whole = counts.sum(window).all;
    let budget_requests = budget_requests(slo, whole);
    let hour = counts.sum(last_hour).all;
    let state = SloState {
        name: slo.name.clone(),
        objective: slo.objective,
        budget_remaining: remaining(budget_requests, whole),
        burn_rate: burn_rate(hour, slo.objective),
        spent_by_deployment: life.spent(&counts, budget_requests),
        fast_burn: life.spends_fast(&counts, slo.objective),
    };
    Ok((state, counts.completeness))
}

fn window_of(slo: &Slo, end_ts: u64) -> Minutes {
    Minutes::until(end_ts, u64::from(slo.window_days) * 24 * 60)
}

/// How many of these requests may be bad.
fn budget_requests(slo: &Slo, counts: RequestCounts) -> f64 {
    (1.0 - slo.objective) * counts.valid as f64
}

fn remaining(budget_requests: f64, counts: RequestCounts) -> Option<f64> {
    (budget_requests > 0.0).then(|| 1.0 - counts.bad / budget_requests)
}

//! What a pipeline should do about a deployment: the decision of its report, under the policy of who asks.

pub(crate) mod http;

use std::sync::Arc;

use model::Deployment;
use schemars::JsonSchema;
use serde::Serialize;
use storage::DeploymentQuery;

use crate::report::{Decision, Finding, Report, SloState, Verdict};
use crate::reports::Reports;

/// Deployments of a service that are looked through for a version, newest first.
const DEPLOYMENTS_MAX: usize = 1_000;

/// Which deployment is asked about.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) service_name: String,
    /// The newest of the service without it.
    pub(crate) version: Option<String>,
    pub(crate) environment: Option<String>,
}

/// What who asks wants.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Policy {
    /// A deployment passes with this score; the decision of the report stands without it.
    pub(crate) min_score: Option<f64>,
    pub(crate) budget: Budget,
}

/// What a spent error budget of the service means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Budget {
    /// Nothing.
    #[default]
    Ignored,
    /// Nothing goes live until there is some again.
    Hold,
    /// The deployment is taken back.
    Rollback,
}

/// The answer.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GateAnswer {
    pub(crate) decision: Decision,
    /// 0 to 100; absent without enough data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) score: Option<f64>,
    pub(crate) verdict: Verdict,
    /// Absent as long as the deployment is neither declared nor seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deployment_id: Option<String>,
    pub(crate) service_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// Why, in a sentence.
    pub(crate) reason: String,
}

impl GateAnswer {
    /// What is answered of a deployment that is not there yet.
    fn unknown(subject: &Subject) -> Self {
        let Subject { service_name, .. } = subject;
        let of = match &subject.version {
            Some(version) => format!("{version} of {service_name}"),
            None => service_name.clone(),
        };
        Self {
            decision: Decision::Wait,
            score: None,
            verdict: Verdict::InsufficientData,
            deployment_id: None,
            service_name: service_name.clone(),
            version: subject.version.clone(),
            reason: format!("no deployment of {of} was declared, and no span of it was seen"),
        }
    }

    fn of(deployment: &Deployment, report: &Report, policy: Policy, default_min_score: f64) -> Self {
        let (decision, reason) = decide(report, policy, default_min_score);
        Self {
            decision,
            score: report.score,
            verdict: report.verdict,
            deployment_id: Some(deployment.id.clone()),
            service_name: deployment.service_name.clone(),
            version: Some(deployment.version.clone()),
            reason,
        }
    }
}

/// Finds the deployment and asks for its report.
///
/// # Errors
/// Where a source cannot answer, or not in time.
pub(crate) async fn ask(reports: &Reports, subject: &Subject, policy: Policy) -> storage::Result<GateAnswer> {
    match find(reports, subject).await? {
        None => Ok(GateAnswer::unknown(subject)),
        Some(deployment) => {
            let report = reports.report(&deployment, None).await?.read()?;
            let min_score = reports.settings().options.min_score;
            Ok(GateAnswer::of(&deployment, &report, policy, min_score))
        }
    }
}

async fn find(reports: &Reports, subject: &Subject) -> storage::Result<Option<Arc<Deployment>>> {
    let query = DeploymentQuery {
        service_name: Some(subject.service_name.clone()),
        environment: subject.environment.clone(),
        limit: DEPLOYMENTS_MAX,
        ..DeploymentQuery::default()
    };
    let newest_first = reports.sources().deployments.deployments(&query).await?;
    let is_wanted = |deployment: &Arc<Deployment>| {
        let wanted = subject.version.as_ref();
        wanted.is_none_or(|version| *version == deployment.version)
    };
    Ok(newest_first.into_iter().find(is_wanted))
}

/// A spent budget counts first, as its owners chose. Else the report decides, unless another score is asked for than it
/// went by: who asks for less tolerates what it would take back, who asks for more does not let pass what the deployment
/// made worse. Nobody is taken back without a finding that the deployment caused.
fn decide(report: &Report, policy: Policy, default_min_score: f64) -> (Decision, String) {
    if let Some(decided) = decide_by_budget(report, policy.budget) {
        return decided;
    }
    let min_score = policy.min_score.unwrap_or(default_min_score);
    let caused = worst_caused(report);
    let decision = match (report.decision, report.score) {
        _ if report.verdict == Verdict::InsufficientData => Decision::Wait,
        (Decision::Rollback | Decision::Wait, Some(score))
            if min_score < default_min_score && score >= min_score =>
        {
            Decision::Continue
        }
        (Decision::Continue, Some(score)) if score < min_score && caused.is_some() => Decision::Rollback,
        (decision, _) => decision,
    };
    let found = caused.map(|finding| finding.summary.clone());
    let nothing = || match report.score {
        Some(score) => {
            format!("the score is {score:.1}, and nothing was found that this deployment made worse")
        }
        None => "nothing was found that this deployment made worse".to_owned(),
    };
    let reason = match decision {
        Decision::Wait => report.missing.clone().or(found).unwrap_or_else(nothing),
        Decision::Rollback | Decision::Continue => found.unwrap_or_else(nothing),
    };
    (decision, reason)
}

fn decide_by_budget(report: &Report, budget: Budget) -> Option<(Decision, String)> {
    let decision = match budget {
        Budget::Ignored => return None,
        Budget::Hold => Decision::Wait,
        Budget::Rollback => Decision::Rollback,
    };
    let is_spent = |slo: &&SloState| slo.budget_remaining.is_some_and(|remaining| remaining <= 0.0);
    let spent = report.slo.iter().find(is_spent)?;
    Some((decision, format!("the error budget of {} is spent", spent.name)))
}

/// The first, and so the worst, of what the deployment made worse.
fn worst_caused(report: &Report) -> Option<&Finding> {
    let is_worse = |finding: &&Finding| {
        finding.contribution > 0 || finding.error_rate_change.is_some_and(|change| change > 0.0)
    };
    let mut caused = report
        .findings
        .iter()
        .filter(|finding| finding.caused_by_deployment);
    caused.find(is_worse)
}

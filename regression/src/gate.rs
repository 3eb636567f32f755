//! What a pipeline should do about a deployment: the decision of its report, under the policy of who asks.

pub(crate) mod http;

use std::sync::Arc;

use model::Deployment;
use schemars::JsonSchema;
use serde::Serialize;
use storage::{Completeness, DeploymentQuery};

use crate::report::{Decision, Finding, Report, Verdict};
use crate::reports::Reports;
use crate::slo_budget::first_spent;

/// Deployments of a service that are looked through for a version, newest first.
const DEPLOYMENTS_MAX: usize = 1_000;

/// Which deployment is asked about.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) service_name: String,
    /// Without it, the newest rollout of the service that is not finished: an earlier one says nothing of the version
    /// that goes live now and was not seen yet.
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
        let reason = match &subject.version {
            Some(version) => format!(
                "no deployment of {version} of {service_name} was declared, and no span of it was seen"
            ),
            None => format!("no rollout of {service_name} goes on that was declared or seen"),
        };
        Self {
            decision: Decision::Wait,
            score: None,
            verdict: Verdict::InsufficientData,
            deployment_id: None,
            service_name: service_name.clone(),
            version: subject.version.clone(),
            reason,
        }
    }

    fn of(deployment: &Deployment, report: &Report, (decision, reason): (Decision, String)) -> Self {
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

/// The answer, and what it was found in.
pub(crate) struct Asked {
    pub(crate) answer: GateAnswer,
    /// There is one if there is a deployment.
    pub(crate) report: Option<Arc<Report>>,
    pub(crate) completeness: Completeness,
}

/// Finds the deployment and asks for its report.
///
/// # Errors
/// Where a source cannot answer, or not in time.
pub(crate) async fn ask(reports: &Reports, subject: &Subject, policy: Policy) -> storage::Result<Asked> {
    let Some(deployment) = find(reports, subject).await? else {
        return Ok(Asked {
            answer: GateAnswer::unknown(subject),
            report: None,
            completeness: reports.sources().spans.completeness(),
        });
    };
    let report = reports.read(&deployment).await?;
    let min_score = reports.settings().options.min_score;
    let (spent, told) = spent(reports, &deployment.service_name, policy.budget).await?;
    let decided = spent.unwrap_or_else(|| decide(&report, policy.min_score, min_score));
    Ok(Asked {
        answer: GateAnswer::of(&deployment, &report, decided),
        completeness: report.completeness().and(told),
        report: Some(report),
    })
}

async fn find(reports: &Reports, subject: &Subject) -> storage::Result<Option<Arc<Deployment>>> {
    let query = DeploymentQuery {
        service_name: Some(subject.service_name.clone()),
        environment: subject.environment.clone(),
        limit: DEPLOYMENTS_MAX,
        ..DeploymentQuery::default()
    };
    let newest_first = reports.sources().deployments.deployments(&query).await?;
    if let Some(version) = &subject.version {
        return Ok(newest_first
            .into_iter()
            .find(|deployment| deployment.version == *version));
    }
    let Some(newest) = newest_first.into_iter().next() else {
        return Ok(None);
    };
    let is_over = reports.finished_at(&newest).await?.is_some();
    Ok((!is_over).then_some(newest))
}

/// The report decides, unless another score is asked for than it went by: who asks for less tolerates what it would take
/// back, who asks for more does not let pass what the deployment made worse. Nobody is taken back without a finding that
/// the deployment caused.
fn decide(report: &Report, min_score: Option<f64>, default_min_score: f64) -> (Decision, String) {
    let min_score = min_score.unwrap_or(default_min_score);
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

/// What a budget that is spent now decides. A report does not tell: its budgets are of the time that it was made.
async fn spent(
    reports: &Reports,
    service_name: &str,
    budget: Budget,
) -> storage::Result<(Option<(Decision, String)>, Completeness)> {
    let decision = match budget {
        Budget::Ignored => return Ok((None, Completeness::Complete)),
        Budget::Hold => Decision::Wait,
        Budget::Rollback => Decision::Rollback,
    };
    let (sources, service_name) = (reports.sources().clone(), service_name.to_owned());
    let work = move || async move { first_spent(&sources, &service_name, (sources.now)()).await };
    let (spent, completeness) = reports.look(work).await?;
    let decided = spent.map(|name| (decision, format!("the error budget of {name} is spent")));
    Ok((decided, completeness))
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::asking::{Api, NOW};
    use crate::report::SloState;
    use crate::reports::tests::{finding, report};

    const STRICT: Option<f64> = Some(95.0);
    const TOLERANT: Option<f64> = Some(50.0);

    fn judged(verdict: Verdict, decision: Decision, score: Option<f64>, is_caused: bool) -> Report {
        Report {
            decision,
            score,
            findings: vec![finding("faster", -9, true), finding("slower", 5_000, is_caused)],
            ..report(verdict)
        }
    }

    #[test]
    fn the_report_decides_unless_another_score_is_asked_for() {
        use Decision::{Continue, Rollback, Wait};
        use Verdict::{InsufficientData, Regressed, Unchanged};
        for (report, min_score, expected) in [
            (judged(Regressed, Rollback, Some(62.5), true), None, Rollback),
            (judged(Regressed, Rollback, Some(62.5), true), TOLERANT, Continue),
            (judged(Regressed, Rollback, Some(40.0), true), TOLERANT, Rollback),
            (judged(Regressed, Wait, Some(80.0), true), None, Wait),
            (judged(Regressed, Wait, Some(80.0), true), TOLERANT, Continue),
            (judged(Unchanged, Continue, Some(93.0), true), None, Continue),
            (judged(Unchanged, Continue, Some(93.0), true), STRICT, Rollback),
            (judged(Unchanged, Continue, Some(93.0), false), STRICT, Continue),
            (judged(InsufficientData, Continue, None, false), None, Wait),
            (judged(InsufficientData, Wait, None, false), TOLERANT, Wait),
        ] {
            assert_eq!(
                decide(&report, min_score, 90.0).0,
                expected,
                "{min_score:?} {report:?}"
            );
        }
        let report = judged(Regressed, Rollback, Some(40.0), true);
        assert_eq!(decide(&report, None, 90.0).1, "slower");
    }

    #[tokio::test]
    async fn a_budget_that_is_spent_now_counts_as_its_owners_chose() {
        let api = Api::new();
        // As it was when the report was kept.
        let mut report = judged(Verdict::Unchanged, Decision::Continue, Some(100.0), false);
        report.slo.push(SloState {
            name: "cart-errors".to_owned(),
            objective: 0.99,
            budget_remaining: Some(-0.2),
            burn_rate: None,
            fast_burn: false,
            spent_by_deployment: None,
        });
        api.keep(&declaration("2.0", 10), report).await;
        let objective =
            json!({"serviceName": "cart", "indicator": "availability", "objective": 0.99, "windowDays": 1});
        api.ask("PUT", "/api/v2/slos/cart-errors", &objective).await;
        let decision = async |policy: &str| {
            let answer = api
                .get(&format!("/api/v2/gate?serviceName=cart&version=2.0{policy}"))
                .await
                .json();
            answer["decision"].as_str().unwrap().to_owned()
        };
        api.keep_trace(1, false).await;
        assert_eq!(decision("&requireBudget=true").await, "continue");
        api.keep_trace(2, true).await;
        assert_eq!(decision("&requireBudget=true").await, "rollback");
        assert_eq!(decision("&requireBudget=hold").await, "wait");
        assert_eq!(decision("").await, "continue");
        let reason = api.get("/api/v2/gate?serviceName=cart&version=2.0&requireBudget=hold");
        assert_eq!(
            reason.await.json()["reason"],
            "the error budget of cart-errors is spent"
        );
    }

    fn declaration(version: &str, hours_ago: u64) -> Value {
        let start = NOW - hours_ago * 3_600_000;
        json!({"serviceName": "cart", "version": version, "startTs": start, "endTs": start + 1_000, "environment": "prod"})
    }

    #[tokio::test]
    async fn the_gate_answers_of_any_deployment_and_of_none() {
        let api = Api::new();
        let bad = judged(Verdict::Regressed, Decision::Rollback, Some(62.5), true);
        let (id, _) = api.keep(&declaration("2.0", 10), bad).await;
        let ask = async |query: &str| api.get(&format!("/api/v2/gate?{query}")).await;
        let found = ask("serviceName=Cart&version=2.0&environment=prod").await;
        let expected = json!({
            "decision": "rollback", "score": 62.5, "verdict": "regressed", "deploymentId": id, "serviceName": "cart",
            "version": "2.0", "reason": "slower",
        });
        assert_eq!((found.status, found.json()), (200, expected));
        let tolerated = ask("serviceName=cart&version=2.0&minScore=60").await.json();
        assert_eq!(tolerated["decision"], "continue");
        for nobody in [
            "serviceName=cart&version=3.0",
            "serviceName=cart&version=2.0&environment=staging",
        ] {
            let answer = ask(nobody).await;
            let told = answer.json();
            assert_eq!(
                (answer.status, &told["decision"]),
                (200, &json!("wait")),
                "{nobody}"
            );
            assert_eq!(told["deploymentId"], Value::Null);
        }
    }

    #[tokio::test]
    async fn the_status_alone_tells_flagger_what_to_do() {
        let api = Api::new();
        let bad = judged(Verdict::Regressed, Decision::Rollback, Some(62.5), true);
        api.keep(&declaration("2.0", 10), bad.clone()).await;
        let good = judged(Verdict::Unchanged, Decision::Continue, Some(100.0), false);
        let flagger = |metadata: Value| json!({"name": "cart", "namespace": "shop", "phase": "Progressing", "metadata": metadata});
        let ask = async |query: &str, body: Value| {
            api.ask("POST", &format!("/api/v2/gate/webhook{query}"), &body)
                .await
                .status
        };
        // What was found of a rollout that is over is not about the one that begins, be it good or bad.
        assert_eq!(ask("", flagger(json!({}))).await, 425);
        assert_eq!(ask("?for=rollback", flagger(json!({}))).await, 409);
        assert_eq!(ask("?version=2.0", flagger(json!({}))).await, 409);
        api.keep(&declaration("2.1", 9), good.clone()).await;
        assert_eq!(ask("", flagger(json!({}))).await, 425);
        assert_eq!(ask("?version=2.1", flagger(json!({}))).await, 200);
        api.keep(&declaration("2.2", 0), bad).await;
        assert_eq!(ask("", flagger(json!({}))).await, 409);
        assert_eq!(ask("?for=rollback", flagger(json!({}))).await, 200);
        assert_eq!(ask("?version=3.0", flagger(json!({}))).await, 425);
        assert_eq!(
            ask("?for=rollback", flagger(json!({"version": "3.0"}))).await,
            409
        );
        assert_eq!(ask("", flagger(json!({"minScore": "60"}))).await, 200);
        let begun = json!({"serviceName": "cart", "version": "2.3", "startTs": NOW, "environment": "prod"});
        api.keep(&begun, good).await;
        assert_eq!(ask("", flagger(json!({}))).await, 200, "the newest");
        assert_eq!(ask("?for=rollback", flagger(json!({}))).await, 409);
        assert_eq!(ask("?serviceName=cart", Value::Null).await, 200);
        let wrong = api
            .ask(
                "POST",
                "/api/v2/gate/webhook",
                &flagger(json!({"minScore": "many"})),
            )
            .await;
        let told = "metadata.minScore: has to be a number from 0 to 100, and is \"many\"";
        assert_eq!((wrong.status, wrong.json()), (400, json!({"error": told})));
        assert_eq!(ask("", json!({})).await, 400);
    }
}

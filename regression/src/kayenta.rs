//! Kayenta's words for our answers: as much of its API as Argo Rollouts' kayenta provider and Spinnaker's remote judge
//! use, so that both can ask here instead.
//!
//! An execution is a question to the gate, and its identifier is the question itself: nothing is kept of it, and a
//! restart loses none. `judge.rs` compares series of values that somebody else measured.

pub(crate) mod http;
mod judge;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fields::{Wrong, check_text};
use crate::gate::{GateAnswer, Policy, Subject};
use crate::report::{Check, Decision, Report};

/// The one configuration there is: identifier and name.
const CONFIG: &str = "tracehound";
/// Bytes of a name in a question.
const NAME_BYTES_MAX: usize = 256;
/// Bytes of an identifier: some names and numbers.
const ID_BYTES_MAX: usize = 4_096;

/// What an execution is to find out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Question {
    service_name: String,
    /// The newest deployment without it.
    version: Option<String>,
    /// Where, if the deployment is there; else it is looked for everywhere.
    location: Option<String>,
    pass: f64,
    marginal: f64,
    /// When it was asked, epoch milliseconds.
    asked_ts: u64,
}

impl Question {
    /// Reads what begins an execution: the first scope says what is judged.
    fn read(application: &str, body: &Value, now: u64, pass: f64, marginal: f64) -> Result<Self, Wrong> {
        let scopes = body.get("scopes").and_then(Value::as_object);
        let scope = scopes.and_then(|scopes| scopes.get("default").or_else(|| scopes.values().next()));
        let experiment = scope.map(|scope| &scope["experimentScope"]);
        let text = |field: &str| {
            let text = experiment.and_then(|experiment| experiment[field].as_str());
            let text = text.filter(|text| !text.is_empty());
            let check = text.map_or(Ok(()), |text| check_text(text, NAME_BYTES_MAX));
            check.map_err(|what| format!("scopes.*.experimentScope.{field}: {what}"))?;
            Ok::<_, Wrong>(text.map(str::to_owned))
        };
        let threshold = |name: &str, default: f64| match body.get("thresholds").and_then(|all| all.get(name))
        {
            None | Some(Value::Null) => Ok(default),
            Some(value) => {
                let score = value.as_f64().filter(|score| (0.0..=100.0).contains(score));
                score.ok_or_else(|| {
                    format!("thresholds.{name}: has to be a number from 0 to 100, and is {value}")
                })
            }
        };
        Ok(Self {
            service_name: application.to_lowercase(),
            version: text("scope")?,
            location: text("location")?,
            pass: threshold("pass", pass)?,
            marginal: threshold("marginal", marginal)?,
            asked_ts: now,
        })
    }

    fn id(&self) -> String {
        let text = serde_json::to_vec(self).unwrap_or_default();
        BASE64_URL_SAFE_NO_PAD.encode(text)
    }

    fn of_id(id: &str) -> Option<Self> {
        let id = Some(id).filter(|id| id.len() <= ID_BYTES_MAX)?;
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(id).ok()?).ok()
    }

    fn subject(&self, environment: Option<&String>) -> Subject {
        Subject {
            service_name: self.service_name.clone(),
            version: self.version.clone(),
            environment: environment.cloned(),
        }
    }

    fn policy(&self) -> Policy {
        Policy {
            min_score: Some(self.pass),
            ..Policy::default()
        }
    }
}

/// How an execution goes.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Execution {
    application: String,
    canary_config_id: &'static str,
    complete: bool,
    /// `running`, `succeeded`, or `terminal` where not enough was seen in time.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<ExecutionResult>,
    /// What the gate says, in our words.
    gate: GateAnswer,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ExecutionResult {
    judge_result: JudgeResult,
}

/// As Kayenta's judges answer.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct JudgeResult {
    judge_name: &'static str,
    results: Vec<MetricResult>,
    group_scores: Vec<GroupScore>,
    score: Score,
}

/// What became of one metric, or of one of our checks.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct MetricResult {
    name: String,
    id: String,
    tags: serde_json::Map<String, Value>,
    /// `Pass`, `High`, `Low` or `Nodata`.
    classification: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    classification_reason: Option<String>,
    groups: Vec<String>,
    /// With `stats` of the values.
    experiment_metadata: serde_json::Map<String, Value>,
    control_metadata: serde_json::Map<String, Value>,
    result_metadata: serde_json::Map<String, Value>,
    critical: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct GroupScore {
    name: String,
    score: f64,
    classification: &'static str,
    classification_reason: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Score {
    /// 0 to 100.
    score: f64,
    /// `Pass`, `Marginal` or `Fail`.
    classification: &'static str,
    classification_reason: String,
}

impl Score {
    fn new(score: f64, pass: f64, marginal: f64, reason: String) -> Self {
        Self {
            score,
            classification: match score {
                _ if score >= pass => "Pass",
                _ if score >= marginal => "Marginal",
                _ => "Fail",
            },
            classification_reason: reason,
        }
    }
}

/// How an execution goes, by what the gate answers: it runs as long as that is to wait, for at most `patience_ms`.
fn execution(
    question: &Question,
    gate: GateAnswer,
    report: Option<&Report>,
    now: u64,
    patience_ms: u64,
) -> Execution {
    let is_over = now.saturating_sub(question.asked_ts) >= patience_ms;
    let judge_result = report.and_then(|report| judge_result(question, &gate, report));
    let status = match (&judge_result, is_over) {
        (Some(_), _) => "succeeded",
        (None, true) => "terminal",
        (None, false) => "running",
    };
    Execution {
        application: question.service_name.clone(),
        canary_config_id: CONFIG,
        complete: status != "running",
        status,
        result: judge_result.map(|judge_result| ExecutionResult { judge_result }),
        gate,
    }
}

/// `None` until there is a decision. Who reads only the score has to come to the same decision: what is not to be taken
/// back passes, also where others made it slow; what is fails.
fn judge_result(question: &Question, gate: &GateAnswer, report: &Report) -> Option<JudgeResult> {
    let Question { pass, marginal, .. } = *question;
    let score = match gate.decision {
        Decision::Wait => return None,
        Decision::Continue => gate.score?.max(pass),
        // Also without a score: what is to be taken back fails.
        Decision::Rollback => gate.score.unwrap_or(0.0).min(marginal - 1.0).max(0.0),
    };
    Some(JudgeResult {
        judge_name: CONFIG,
        results: report.checks.iter().map(metric_of).collect(),
        group_scores: Vec::new(),
        score: Score::new(score, pass, marginal, gate.reason.clone()),
    })
}

fn metric_of(check: &Check) -> MetricResult {
    let classification = match check.grade {
        None => "Nodata",
        Some(_) if check.reason.is_some() => "High",
        Some(_) => "Pass",
    };
    MetricResult {
        name: check.name.clone(),
        id: check.name.clone(),
        tags: serde_json::Map::new(),
        classification,
        classification_reason: check.reason.clone(),
        groups: vec![check.group.clone()],
        experiment_metadata: serde_json::Map::new(),
        control_metadata: serde_json::Map::new(),
        result_metadata: serde_json::Map::new(),
        critical: check.critical,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::asking::{Api, NOW};
    use crate::report::Verdict;
    use crate::reports::tests::{finding, report};

    fn question() -> Question {
        let body = json!({
            "scopes": {"default": {
                "controlScope": {"scope": "1.0", "location": "eu"},
                "experimentScope": {"scope": "2.0", "location": "eu"},
            }},
            "thresholds": {"pass": 95, "marginal": 75},
        });
        Question::read("Cart", &body, NOW, 90.0, 75.0).unwrap()
    }

    fn gate(decision: Decision, score: Option<f64>) -> GateAnswer {
        GateAnswer {
            decision,
            score,
            verdict: Verdict::Regressed,
            deployment_id: Some("a".to_owned()),
            service_name: "cart".to_owned(),
            version: Some("2.0".to_owned()),
            reason: "slow".to_owned(),
        }
    }

    #[test]
    fn a_rollback_without_a_score_fails() {
        let result = judge_result(
            &question(),
            &gate(Decision::Rollback, None),
            &report(Verdict::Regressed),
        )
        .unwrap();
        assert_eq!(serde_json::to_value(&result).unwrap()["score"]["score"], 0.0);
        assert!(
            judge_result(
                &question(),
                &gate(Decision::Continue, None),
                &report(Verdict::Unchanged)
            )
            .is_none()
        );
    }

    #[test]
    fn an_identifier_is_the_question() {
        let question = question();
        assert_eq!((question.service_name.as_str(), question.pass), ("cart", 95.0));
        assert_eq!(question.version.as_deref(), Some("2.0"));
        assert_eq!(Question::of_id(&question.id()), Some(question));
        for wrong in ["", "a", "e30", "\u{e4}", &"e".repeat(10_000)] {
            assert_eq!(Question::of_id(wrong), None, "{wrong}");
        }
        let body = json!({"thresholds": {"pass": 101}});
        let told = "thresholds.pass: has to be a number from 0 to 100, and is 101";
        assert_eq!(
            Question::read("cart", &body, NOW, 90.0, 75.0),
            Err(told.to_owned())
        );
    }

    /// Whether it is complete, and the score.
    fn went(decision: Decision, score: Option<f64>, now: u64) -> (bool, &'static str, Option<f64>) {
        let report = report(Verdict::Regressed);
        let execution = execution(&question(), gate(decision, score), Some(&report), now, 1_000);
        let score = execution.result.map(|result| result.judge_result.score.score);
        (execution.complete, execution.status, score)
    }

    #[test]
    fn the_score_alone_leads_to_the_same_decision() {
        assert_eq!(
            went(Decision::Continue, Some(97.0), NOW),
            (true, "succeeded", Some(97.0))
        );
        assert_eq!(
            went(Decision::Continue, Some(60.0), NOW),
            (true, "succeeded", Some(95.0))
        );
        assert_eq!(
            went(Decision::Rollback, Some(93.0), NOW),
            (true, "succeeded", Some(74.0))
        );
        assert_eq!(
            went(Decision::Rollback, Some(12.5), NOW),
            (true, "succeeded", Some(12.5))
        );
        assert_eq!(went(Decision::Wait, None, NOW + 999), (false, "running", None));
        // Without a score Argo takes the measurement for failed, and neither passes it nor rolls back by it.
        assert_eq!(went(Decision::Wait, None, NOW + 1_000), (true, "terminal", None));
    }

    #[tokio::test]
    async fn argo_finds_the_configuration_begins_an_execution_and_reads_its_score() {
        let api = Api::new();
        let configs = api
            .get("/canaryConfig?application=cart&configurationAccountName=")
            .await
            .json();
        assert_eq!(
            (&configs[0]["id"], &configs[0]["name"]),
            (&json!("tracehound"), &json!("tracehound"))
        );
        let bad = crate::report::Report {
            score: Some(40.0),
            decision: Decision::Rollback,
            findings: vec![finding("cart 2.0 is slow", 5_000, true)],
            ..report(Verdict::Regressed)
        };
        let declared = json!({"serviceName": "cart", "version": "2.0", "startTs": NOW - 36_000_000, "endTs": NOW - 35_000_000});
        api.keep(&declared, bad).await;
        let begin = async |version: &str| {
            let scope = json!({"scope": version, "location": "eu", "step": 60, "start": "", "end": ""});
            let body = json!({"scopes": {"main": {"controlScope": scope, "experimentScope": scope}}, "thresholds": {"pass": 90, "marginal": 75}});
            let begun = api
                .ask(
                    "POST",
                    "/canary/tracehound?application=cart&storageAccountName=a",
                    &body,
                )
                .await;
            assert_eq!(begun.status, 200, "{}", begun.json());
            let id = begun.json()["canaryExecutionId"].as_str().unwrap().to_owned();
            api.get(&format!("/canary/{id}")).await.json()
        };
        let judged = begin("2.0").await;
        assert_eq!(
            (&judged["complete"], &judged["status"]),
            (&json!(true), &json!("succeeded"))
        );
        let score = &judged["result"]["judgeResult"]["score"];
        assert_eq!(
            (&score["score"], &score["classification"]),
            (&json!(40.0), &json!("Fail"))
        );
        assert_eq!(score["classificationReason"], "cart 2.0 is slow");
        let unknown = begin("3.0").await;
        assert_eq!(
            (&unknown["complete"], &unknown["result"]),
            (&json!(false), &Value::Null)
        );
        assert_eq!(api.get("/canary/nonsense").await.status, 404);
        let other = api
            .ask("POST", "/canary/other?application=cart", &json!({}))
            .await;
        assert_eq!(other.status, 404);
    }
}

//! What a report of a rollout costs over a storage: the same scenario of the simulator everywhere.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use serde::Serialize;
use serde_json::Value;

use super::subject::Subject;
use crate::load::Answer;
use crate::rollouts::{Posting, Purpose, Scenario, Seed, cases};

/// Work of its own that takes several times as long: who does not find that finds nothing.
const CASE: &str = "fault/self_time-proportional";
const NUMBER: u64 = 4;
const TRACES_MAX: u64 = 2_000;
const DELIVER_MAX: Duration = Duration::from_secs(300);

/// A report.
#[derive(Debug, Serialize)]
pub(super) struct Reported {
    pub(super) spans: usize,
    /// The first, which nothing is remembered for.
    pub(super) first_ms: f64,
    /// Others for moments of their own, if the first was answered.
    pub(super) again_ms: Vec<f64>,
    /// What the report says, or how else it was answered.
    pub(super) verdict: String,
    /// Whether it blames whom it was.
    pub(super) is_found: bool,
}

/// Posts it and asks once, and so many times again: of these the median counts, and of less than nine, medians of two runs
/// cannot be told apart.
///
/// # Errors
/// Where it is not taken, or there is no report.
pub(super) fn measure(subject: &Subject, again: u64) -> anyhow::Result<Reported> {
    let scenario = scenario()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64;
    let posted = Posting::new(&scenario)
        .asked_at(now)
        .send(subject.server.address())?;
    ensure!(
        subject.drain(DELIVER_MAX)?,
        "the storage does not take the rollout"
    );
    let id = identifier(subject, &scenario)?;
    let ask = |end_ts: u64| -> anyhow::Result<(f64, Answer)> {
        let begin = Instant::now();
        let answer = subject
            .server
            .get(&format!("/api/v2/deployments/{id}/report?endTs={end_ts}"))?;
        Ok((begin.elapsed().as_secs_f64() * 1e3, answer))
    };
    let asked = now / 1_000;
    let (first_ms, answer) = ask(asked)?;
    if answer.status != 200 {
        let said = String::from_utf8_lossy(&answer.body);
        return Ok(Reported {
            spans: posted.spans,
            first_ms,
            again_ms: Vec::new(),
            verdict: format!("{} {}", answer.status, said.trim()),
            is_found: false,
        });
    }
    let others = (1..=again).map(|number| Ok(ask(asked + number)?.0));
    let others = others.collect::<anyhow::Result<Vec<f64>>>()?;
    let report: Value = serde_json::from_slice(&answer.body)?;
    let guilty = &scenario.deployments[0];
    let origin = &report["findings"][0]["origin"]["serviceName"];
    Ok(Reported {
        spans: posted.spans,
        first_ms,
        again_ms: others,
        verdict: report["verdict"].as_str().unwrap_or_default().to_owned(),
        is_found: report["verdict"] == "regressed" && *origin == guilty.service_name,
    })
}

fn scenario() -> anyhow::Result<Scenario> {
    let cases = cases();
    let case = cases.iter().find(|case| case.name == CASE);
    let seed = Seed {
        purpose: Purpose::Tune,
        number: NUMBER,
    };
    case.with_context(|| format!("there is no case {CASE}"))?
        .scenario_of(seed, TRACES_MAX)
}

/// Of the deployment that the scenario is about, declared or inferred.
fn identifier(subject: &Subject, scenario: &Scenario) -> anyhow::Result<String> {
    let deployment = &scenario.deployments[0];
    let answer = subject.server.get(&format!(
        "/api/v2/deployments?limit=1000&serviceName={}",
        deployment.service_name
    ))?;
    let listed: Value = serde_json::from_slice(&answer.body)?;
    let found = listed
        .as_array()
        .into_iter()
        .flatten()
        .find(|listed| listed["version"] == deployment.version)
        .with_context(|| format!("the deployment is not among {listed}"))?;
    Ok(found["id"].as_str().unwrap_or_default().to_owned())
}

//! When nothing more will be learnt of a deployment, and whether a report that was kept is still of it.

use model::Deployment;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::deployments::DeploymentJson;
use crate::report::{self, Decision, Verdict};

/// Spans of a moment are expected to have arrived by then, milliseconds.
const LATE_MS: u64 = 10 * 60_000;

/// Fields of a deployment that decide what is compared. Others may change, and its report is still of it.
const DECISIVE: [&str; 7] = [
    "version",
    "previousVersion",
    "environment",
    "startTs",
    "endTs",
    "rolledBackTs",
    "instances",
];

/// From when on everything has arrived that belongs to a deployment, epoch milliseconds: it was observed for `monitor_ms`
/// after its last instance had switched, or until it was taken back or the next one began. `None` where none of that is
/// known yet.
pub(crate) fn finished_ts(
    deployment: &Deployment,
    successor_ts: Option<u64>,
    monitor_ms: u64,
) -> Option<u64> {
    // Nobody tells the end of an inferred one: it has ended when no further instance switches.
    let last_switch = deployment
        .instances
        .iter()
        .map(|instance| instance.switch_ts)
        .max();
    let inferred_end = last_switch.unwrap_or(deployment.start_ts);
    let end = deployment
        .end_ts
        .or(deployment.is_inferred.then_some(inferred_end));
    let observed = [
        end.map(|end| end.saturating_add(monitor_ms)),
        deployment.rolled_back_ts,
        successor_ts,
    ];
    let observed = observed.into_iter().flatten().min();
    observed.map(|until| until.saturating_add(LATE_MS))
}

/// What a list shows of a report.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    pub(crate) decision: Decision,
    pub(crate) score: Option<f64>,
}

/// The parts of a kept report that are looked at; all others are skipped.
#[derive(Debug, Deserialize)]
struct Kept {
    #[serde(default)]
    deployment: Map<String, Value>,
    verdict: Verdict,
    decision: Decision,
    #[serde(default)]
    score: Option<f64>,
}

/// What a kept report came to, if it is of the deployment as it is now.
pub(super) fn outcome_of(kept: &[u8], deployment: &Deployment) -> Option<Outcome> {
    let kept: Kept = serde_json::from_slice(kept).ok()?;
    let now = describe(deployment).0;
    let is_same = DECISIVE
        .iter()
        .all(|field| kept.deployment.get(*field) == now.get(*field));
    is_same.then_some(Outcome {
        verdict: kept.verdict,
        decision: kept.decision,
        score: kept.score,
    })
}

/// A deployment as a report has it.
pub(super) fn describe(deployment: &Deployment) -> report::DeploymentJson {
    match serde_json::to_value(DeploymentJson::of(deployment)) {
        Ok(Value::Object(fields)) => report::DeploymentJson(fields),
        _ => report::DeploymentJson(Map::new()),
    }
}

#[cfg(test)]
mod tests {
    use model::SwitchedInstance;

    use super::*;

    const HOUR: u64 = 60 * 60_000;
    const START: u64 = 1_732_100_000_000;

    fn started() -> Deployment {
        Deployment {
            start_ts: START,
            ..Deployment::default()
        }
    }

    /// From when on a deployment is finished.
    #[track_caller]
    fn assert_finished_from(deployment: &Deployment, successor: Option<&Deployment>, from: Option<u64>) {
        let successor_ts = successor.map(|successor| successor.start_ts);
        assert_eq!(finished_ts(deployment, successor_ts, HOUR), from);
    }

    #[test]
    fn a_deployment_is_finished_when_it_was_observed() {
        assert_finished_from(&started(), None, None);
        let mut ended = started();
        ended.end_ts = Some(START + 1_000);
        assert_finished_from(&ended, None, Some(START + 1_000 + HOUR + LATE_MS));
        let mut next = started();
        next.start_ts = START + 5_000;
        assert_finished_from(&ended, Some(&next), Some(START + 5_000 + LATE_MS));
        assert_finished_from(&started(), Some(&next), Some(START + 5_000 + LATE_MS));
        let mut taken_back = started();
        taken_back.rolled_back_ts = Some(START + 3_000);
        assert_finished_from(&taken_back, Some(&next), Some(START + 3_000 + LATE_MS));
        let mut inferred = started();
        inferred.is_inferred = true;
        assert_finished_from(&inferred, None, Some(START + HOUR + LATE_MS));
        inferred.instances = vec![SwitchedInstance {
            switch_ts: START + 7_000,
            ip: [10, 0, 0, 1].into(),
            port: None,
        }];
        assert_finished_from(&inferred, None, Some(START + 7_000 + HOUR + LATE_MS));
    }

    #[test]
    fn a_report_is_of_a_deployment_until_that_changes_in_what_decides() {
        let mut deployment = started();
        let mut report = crate::reports::tests::report(Verdict::Improved);
        report.score = Some(100.0);
        report.deployment = Some(describe(&deployment));
        let kept = serde_json::to_vec(&report).unwrap();
        let outcome = outcome_of(&kept, &deployment).unwrap();
        assert_eq!((outcome.verdict, outcome.score), (Verdict::Improved, Some(100.0)));
        deployment.superseded_by = Some("next".to_owned());
        deployment.metadata.insert("why".to_owned(), "because".to_owned());
        assert_eq!(outcome_of(&kept, &deployment), Some(outcome));
        deployment.end_ts = Some(START + 1);
        assert_eq!(outcome_of(&kept, &deployment), None);
        assert_eq!(outcome_of(b"{\"verdict\":", &deployment), None);
    }
}

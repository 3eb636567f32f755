//! What happens to deployments, in the words in which listeners are told of it.

use model::Deployment;
use schemars::JsonSchema;
use serde::Serialize;

use super::standing::Standing;
use crate::report::{Cause, Explanation, Finding, FindingKind, Operation};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// It was declared, or its first span was seen.
    DeploymentBegan,
    /// Its last instance had switched.
    DeploymentEnded,
    /// It was taken back.
    DeploymentRolledBack,
    /// The next one of its service began.
    DeploymentSuperseded,
    /// Its verdict or its decision is another one.
    VerdictChanged,
    /// Its score is another one, by a point or more, and its verdict and its decision are the same.
    ScoreChanged,
    /// Something was found that was not there before.
    NewFinding,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::DeploymentBegan,
        Self::DeploymentEnded,
        Self::DeploymentRolledBack,
        Self::DeploymentSuperseded,
        Self::VerdictChanged,
        Self::ScoreChanged,
        Self::NewFinding,
    ];

    /// As events have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::DeploymentBegan => "deployment_began",
            Self::DeploymentEnded => "deployment_ended",
            Self::DeploymentRolledBack => "deployment_rolled_back",
            Self::DeploymentSuperseded => "deployment_superseded",
            Self::VerdictChanged => "verdict_changed",
            Self::ScoreChanged => "score_changed",
            Self::NewFinding => "new_finding",
        }
    }
}

/// Something that happened to a deployment.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// To the rollout itself.
    Rollout(EventKind),
    /// To what is thought of it.
    Standing { kind: EventKind, previous: Standing },
    /// To what is known of it.
    Finding(Box<FindingJson>),
}

impl Change {
    pub(super) fn kind(&self) -> EventKind {
        match self {
            Self::Rollout(kind) | Self::Standing { kind, .. } => *kind,
            Self::Finding(_) => EventKind::NewFinding,
        }
    }
}

/// An event as it is sent.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventJson<'a> {
    id: &'a str,
    event: EventKind,
    /// When it was noticed, epoch milliseconds.
    event_ts: u64,
    deployment_id: &'a str,
    service_name: &'a str,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'a str>,
    /// What is thought of the deployment now.
    #[serde(flatten)]
    standing: Standing,
    /// What was thought of it before, where that changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<Standing>,
    /// What was found, where something new was.
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<&'a FindingJson>,
}

impl<'a> EventJson<'a> {
    pub(super) fn new(
        id: &'a str,
        event_ts: u64,
        deployment: &'a Deployment,
        standing: Standing,
        change: &'a Change,
    ) -> Self {
        let (previous, finding) = match change {
            Change::Rollout(_) => (None, None),
            Change::Standing { previous, .. } => (Some(*previous), None),
            Change::Finding(finding) => (None, Some(&**finding)),
        };
        Self {
            id,
            event: change.kind(),
            event_ts,
            deployment_id: &deployment.id,
            service_name: &deployment.service_name,
            version: &deployment.version,
            previous_version: deployment.previous_version.as_deref(),
            environment: deployment.environment.as_deref(),
            standing,
            previous,
            finding,
        }
    }
}

/// A finding of a report without what makes it long: its victims, its exemplars.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct FindingJson {
    kind: FindingKind,
    origin: Operation,
    cause: Cause,
    #[serde(skip_serializing_if = "Option::is_none")]
    callee: Option<Operation>,
    entry: Operation,
    contribution: i64,
    contribution_low: i64,
    contribution_high: i64,
    summary: String,
    caused_by_deployment: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation>,
}

impl From<&Finding> for FindingJson {
    fn from(finding: &Finding) -> Self {
        Self {
            kind: finding.kind,
            origin: finding.origin.clone(),
            cause: finding.cause,
            callee: finding.callee.clone(),
            entry: finding.entry.clone(),
            contribution: finding.contribution,
            contribution_low: finding.contribution_low,
            contribution_high: finding.contribution_high,
            summary: finding.summary.clone(),
            caused_by_deployment: finding.caused_by_deployment,
            explanation: finding.explanation,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::report::{Decision, Verdict};

    #[test]
    fn kinds_are_written_by_their_names() {
        for kind in EventKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), json!(kind.name()));
        }
    }

    #[test]
    fn an_event_says_of_whom_it_is_and_what_changed() {
        let deployment = Deployment {
            id: "d1".to_owned(),
            service_name: "checkout".to_owned(),
            version: "2.3.1".to_owned(),
            ..Deployment::default()
        };
        let standing = Standing {
            verdict: Verdict::Regressed,
            decision: Decision::Rollback,
            score: Some(62.5),
        };
        let change = Change::Standing {
            kind: EventKind::VerdictChanged,
            previous: Standing::UNKNOWN,
        };
        let event = EventJson::new("1-2", 7, &deployment, standing, &change);
        let expected: Value = json!({
            "id": "1-2", "event": "verdict_changed", "eventTs": 7, "deploymentId": "d1",
            "serviceName": "checkout", "version": "2.3.1",
            "verdict": "regressed", "decision": "rollback", "score": 62.5,
            "previous": {"verdict": "insufficient_data", "decision": "wait"},
        });
        assert_eq!(serde_json::to_value(&event).unwrap(), expected);
    }
}

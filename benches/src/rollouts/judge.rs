//! The seam: what an analysis answers about a scenario. Ours and those of other tools stand behind it alike.

use serde::Serialize;

use super::scenario::Scenario;
use super::truth::{Cause, Decision, Explanation, Operation, Verdict};

/// Finds out which deployment made things slower or fail more.
pub trait Analysis: Send {
    /// As tables call it.
    fn name(&self) -> &'static str;

    /// Judges every deployment of a scenario by its spans and by what is declared, and never by its truth.
    fn judge(&mut self, scenario: &Scenario) -> Judgement;
}

/// What an analysis says of a scenario.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Judgement {
    /// One for each deployment of the scenario, in their order. Of those that are not declared the analysis knows
    /// nothing unless it found them: then by service and version.
    pub deployments: Vec<Judged>,
    /// Of all deployments, worst first: the answer to "which deployment was it?".
    pub findings: Vec<Finding>,
}

/// What an analysis says of a deployment.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Judged {
    /// See [`Verdict`].
    pub verdict: Verdict,
    /// See [`Decision`].
    pub decision: Decision,
    /// From 0 to 100, where there is one.
    pub score: Option<f64>,
}

impl Judged {
    /// It has nothing to say.
    pub const UNKNOWN: Self = Self {
        verdict: Verdict::InsufficientData,
        decision: Decision::Wait,
        score: None,
    };
}

/// A change that an analysis found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Of which deployment's report it is, by its place in the scenario.
    pub deployment: usize,
    /// What behaves differently.
    pub origin: Operation,
    /// What it calls, where that matters.
    pub callee: Option<Operation>,
    /// Why.
    pub cause: Cause,
    /// Whose requests the contribution is about.
    pub entry: Option<Operation>,
    /// Microseconds of that entry operation's mean, with a 95 % interval; negative for an improvement.
    pub contribution: f64,
    /// See `contribution`.
    pub contribution_low: f64,
    /// See `contribution`.
    pub contribution_high: f64,
    /// Whether the deployment is to blame.
    pub caused_by_deployment: bool,
    /// What else is, where it is not.
    pub explanation: Option<Explanation>,
}

impl Judgement {
    /// Of a scenario of which nothing can be said.
    pub fn unknown(scenario: &Scenario) -> Self {
        Self {
            deployments: vec![Judged::UNKNOWN; scenario.deployments.len()],
            findings: Vec::new(),
        }
    }

    /// Whether a deployment is held responsible for making something worse.
    pub fn blames(&self, deployment: usize) -> bool {
        self.deployments[deployment].decision == Decision::Rollback
            || self.blaming().any(|finding| finding.deployment == deployment)
    }

    /// Whether something that surrounds a deployment is told: neither versions, nor others' deployments, nor a doubt.
    pub fn invents(&self, deployment: usize) -> bool {
        let is_told = |finding: &Finding| {
            finding.deployment == deployment
                && matches!(
                    finding.explanation,
                    Some(
                        Explanation::Load
                            | Explanation::MixShift
                            | Explanation::CalleeDegraded
                            | Explanation::BadInstance
                            | Explanation::WarmUp
                            | Explanation::Transient
                    )
                )
        };
        self.findings.iter().any(is_told)
    }

    /// Findings that hold a deployment responsible for making something worse, worst first.
    pub fn blaming(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| {
            finding.caused_by_deployment && (finding.contribution > 0.0 || finding.cause == Cause::Errors)
        })
    }
}

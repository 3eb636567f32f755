//! What is thought of a deployment at one moment, and what of it is worth telling when it changes.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::event::{Change, EventKind, FindingJson};
use crate::report::{Cause, Decision, Finding, FindingKind, Operation, Report, Verdict};

/// A score that moved by less is the same.
const SCORE_STEP: f64 = 1.0;
/// Findings of one deployment that are told as new; a rollout has a handful.
const FINDINGS_TOLD_MAX: usize = 1_000;

/// The short form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Standing {
    /// See [`Report::verdict`].
    pub verdict: Verdict,
    /// See [`Report::decision`].
    pub decision: Decision,
    /// See [`Report::score`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

impl Standing {
    /// Before the first report.
    pub(super) const UNKNOWN: Self = Self {
        verdict: Verdict::InsufficientData,
        decision: Decision::Wait,
        score: None,
    };

    fn of(report: &Report) -> Self {
        Self {
            verdict: report.verdict,
            decision: report.decision,
            score: report.score,
        }
    }

    /// Which event tells that the standing was `previous` before, if any has to.
    fn change_since(self, previous: Self) -> Option<EventKind> {
        if (self.verdict, self.decision) != (previous.verdict, previous.decision) {
            return Some(EventKind::VerdictChanged);
        }
        let moved = match (self.score, previous.score) {
            (Some(score), Some(previous)) => (score - previous).abs() >= SCORE_STEP,
            (score, previous) => score.is_some() != previous.is_some(),
        };
        moved.then_some(EventKind::ScoreChanged)
    }
}

/// What makes a finding the same one in two reports.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct FindingKey {
    kind: FindingKind,
    origin: Operation,
    cause: Cause,
    callee: Option<Operation>,
    caused_by_deployment: bool,
}

impl FindingKey {
    fn of(finding: &Finding) -> Self {
        Self {
            kind: finding.kind,
            origin: finding.origin.clone(),
            cause: finding.cause,
            callee: finding.callee.clone(),
            caused_by_deployment: finding.caused_by_deployment,
        }
    }
}

/// What listeners were told of a deployment.
#[derive(Debug)]
pub(super) struct Told {
    standing: Standing,
    findings: HashSet<FindingKey>,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            standing: Standing::UNKNOWN,
            findings: HashSet::new(),
        }
    }
}

impl Told {
    /// What is new in a report: the standing first, then each finding once in the life of a deployment, however often
    /// it comes and goes.
    pub(super) fn take(&mut self, report: &Report) -> Vec<Change> {
        let standing = Standing::of(report);
        let mut changes = Vec::new();
        if let Some(kind) = standing.change_since(self.standing) {
            let previous = std::mem::replace(&mut self.standing, standing);
            changes.push(Change::Standing { kind, previous });
        }
        for finding in &report.findings {
            if self.findings.len() == FINDINGS_TOLD_MAX {
                tracing::warn!(
                    findings = FINDINGS_TOLD_MAX,
                    "a deployment has more findings than are told as they come; its report has them all"
                );
                break;
            }
            if self.findings.insert(FindingKey::of(finding)) {
                changes.push(Change::Finding(Box::new(FindingJson::from(finding))));
            }
        }
        changes
    }
}

/// The finding that moved an entry operation the most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// Of the entry operation's mean, microseconds; negative for an improvement.
    pub micros: i64,
    /// Of the mean that the entry operation had; `None` where that is not known.
    pub relative: Option<f64>,
}

impl Effect {
    /// `None` where nothing was found.
    pub(super) fn largest(report: &Report) -> Option<Self> {
        let largest = report
            .findings
            .iter()
            .max_by_key(|finding| finding.contribution.unsigned_abs())?;
        let entry = report
            .operations
            .iter()
            .find(|compared| compared.operation == largest.entry);
        let mean = entry
            .map(|compared| compared.baseline.mean)
            .filter(|mean| *mean > 0);
        Some(Self {
            micros: largest.contribution,
            relative: mean.map(|mean| largest.contribution as f64 / mean as f64),
        })
    }
}

/// What metrics say of a deployment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shown {
    pub(super) standing: Standing,
    pub(super) effect: Option<Effect>,
}

impl Shown {
    pub(super) const UNKNOWN: Self = Self {
        standing: Standing::UNKNOWN,
        effect: None,
    };

    pub(super) fn of(report: &Report) -> Self {
        Self {
            standing: Standing::of(report),
            effect: Effect::largest(report),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{finding, report};
    use super::*;
    use crate::report::{OperationComparison, OperationSide};

    fn kinds(changes: &[Change]) -> Vec<EventKind> {
        changes.iter().map(Change::kind).collect()
    }

    #[test]
    fn only_what_matters_of_a_change_is_told() {
        let mut told = Told::default();
        let waits = report(Verdict::InsufficientData, Decision::Wait, None);
        assert_eq!(told.take(&waits), [], "that is what everybody assumes");
        let scored = report(Verdict::InsufficientData, Decision::Wait, Some(97.0));
        assert_eq!(kinds(&told.take(&scored)), [EventKind::ScoreChanged]);
        let mut score = 97.0;
        for _ in 0..4 {
            score += 0.3;
            let crept = report(Verdict::InsufficientData, Decision::Wait, Some(score));
            let expected: &[EventKind] = match score >= 98.0 {
                true => &[EventKind::ScoreChanged],
                false => &[],
            };
            assert_eq!(kinds(&told.take(&crept)), expected, "{score}");
        }
        let fell = report(Verdict::Regressed, Decision::Rollback, Some(40.0));
        let changes = told.take(&fell);
        assert_eq!(
            kinds(&changes),
            [EventKind::VerdictChanged],
            "one event, not three"
        );
        let Change::Standing { previous, .. } = &changes[0] else {
            panic!("not of the standing: {changes:?}");
        };
        assert_eq!(previous.score, Some(score));
        assert_eq!(told.take(&fell), []);
    }

    #[test]
    fn a_finding_is_told_once_and_again_when_it_is_blamed_on_the_deployment() {
        let mut told = Told::default();
        let mut with = report(Verdict::InsufficientData, Decision::Wait, None);
        with.findings = vec![finding("checkout", 5_000, false)];
        assert_eq!(kinds(&told.take(&with)), [EventKind::NewFinding]);
        let without = report(Verdict::InsufficientData, Decision::Wait, None);
        assert_eq!(told.take(&without), []);
        assert_eq!(told.take(&with), [], "it came back");
        with.findings = vec![finding("checkout", 7_000, true)];
        assert_eq!(kinds(&told.take(&with)), [EventKind::NewFinding]);
    }

    #[test]
    fn findings_that_are_told_are_bounded() {
        let mut told = Told::default();
        let mut many = report(Verdict::InsufficientData, Decision::Wait, None);
        let names = (0..FINDINGS_TOLD_MAX + 50).map(|number| format!("service-{number}"));
        many.findings = names.map(|name| finding(&name, 1, false)).collect();
        assert_eq!(told.take(&many).len(), FINDINGS_TOLD_MAX);
        assert_eq!(told.take(&many), []);
    }

    #[test]
    fn the_largest_effect_is_relative_to_what_its_entry_operation_took() {
        let mut report = report(Verdict::Regressed, Decision::Rollback, None);
        assert_eq!(Effect::largest(&report), None);
        report.findings = vec![finding("checkout", 2_000, true), finding("cart", -6_000, false)];
        let unknown = Effect {
            micros: -6_000,
            relative: None,
        };
        assert_eq!(Effect::largest(&report), Some(unknown));
        let side = |mean| OperationSide {
            mean,
            ..OperationSide::default()
        };
        report.operations = vec![OperationComparison {
            operation: report.findings[1].entry.clone(),
            baseline: side(24_000),
            candidate: side(18_000),
            shift: None,
            p_value: None,
            effect_size: None,
            classification: crate::report::Classification::Low,
        }];
        assert_eq!(Effect::largest(&report).unwrap().relative, Some(-0.25));
    }
}

//! Reports against the memory store: what is kept, what is made, what lists show.

use crate::report::{Decision, LeftOut, Population, Report, Verdict};

/// One without anything found.
pub(crate) fn report(verdict: Verdict) -> Report {
    Report {
        deployment: None,
        verdict,
        decision: Decision::Continue,
        score: None,
        kayenta_score: None,
        confidence: None,
        design: None,
        missing: None,
        baseline: Population::default(),
        candidate: Population::default(),
        findings: Vec::new(),
        change: Vec::new(),
        power: None,
        checks: Vec::new(),
        operations: Vec::new(),
        slo: Vec::new(),
        left_out: LeftOut::default(),
        completeness: "complete".to_owned(),
    }
}

//! What the demo did, what the reports say of it, and whether that is the same.

use crate::fault::Fault;
use crate::tracing_server::{Finding, Operation, Report};

/// An operation by its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// The service.
    pub service: &'static str,
    /// The name of the spans.
    pub span: &'static str,
}

/// What was injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truth {
    /// The version of the origin's service that brought it.
    pub version: &'static str,
    /// The operation that does something else than before.
    pub origin: Named,
    /// What it does, in the words of a report.
    pub cause: &'static str,
    /// Whom it calls otherwise.
    pub callee: Option<Named>,
}

/// What was found of a deployment.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Its identifier.
    pub id: String,
    /// Its service.
    pub service: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The report on it.
    pub report: Report,
}

/// Whether what was found is what was injected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// The one to blame is blamed for what it did, and nobody else for anything; where nobody is to blame, enough was
    /// seen to say so.
    Same,
    /// What is not so, a line each.
    Different(Vec<String>),
    /// Nothing wrong was said, and not everything could be: what is missing, a line each.
    NotEnoughData(Vec<String>),
}

/// What came of a demo.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was injected; `None` where nothing was.
    pub truth: Option<Truth>,
    /// Every deployment. The first is the one that the demo is about.
    pub judged: Vec<Judged>,
    /// Whether both are the same.
    pub agreement: Agreement,
}

impl Named {
    pub(crate) const fn new(service: &'static str, span: &'static str) -> Self {
        Self { service, span }
    }

    fn is(&self, operation: &Operation) -> bool {
        (self.service, self.span) == (operation.service_name.as_str(), operation.span_name.as_str())
    }
}

impl Outcome {
    /// Holds reports against what was injected.
    pub(crate) fn of(fault: Fault, judged: Vec<Judged>) -> Self {
        let truth = fault.truth();
        let (mut wrong, mut missing) = (Vec::new(), Vec::new());
        for (number, judged) in judged.iter().enumerate() {
            let guilt = truth
                .filter(|truth| (truth.origin.service, truth.version) == (judged.service, judged.version));
            match guilt {
                Some(truth) => hold_guilty(&truth, judged, &mut wrong, &mut missing),
                // Of who is deployed beside the one that the demo is about, nobody asks for a verdict.
                None if number > 0 => hold_innocent(judged, &mut wrong, &mut Vec::new()),
                None => hold_innocent(judged, &mut wrong, &mut missing),
            }
        }
        let agreement = match (wrong.is_empty(), missing.is_empty()) {
            (true, true) => Agreement::Same,
            (true, false) => Agreement::NotEnoughData(missing),
            (false, _) => Agreement::Different(wrong),
        };
        Self {
            truth,
            judged,
            agreement,
        }
    }
}

fn hold_guilty(truth: &Truth, judged: &Judged, wrong: &mut Vec<String>, missing: &mut Vec<String>) {
    let report = &judged.report;
    let who = format!("{} {}", judged.service, judged.version);
    let Some(worst) = report.blamed().next() else {
        let said = format!("{who} is to blame, and its verdict is {}", report.verdict);
        match report.verdict.as_str() {
            "insufficient_data" => missing.push(said),
            _ => wrong.push(said),
        }
        return;
    };
    let mut expect = |is_so: bool, what: String| {
        if !is_so {
            wrong.push(what);
        }
    };
    let is_callee = |named: Named| worst.callee.as_ref().is_some_and(|callee| named.is(callee));
    expect(
        report.verdict == "regressed",
        format!("{who} is to blame, and its verdict is {}", report.verdict),
    );
    expect(
        report.decision == "rollback",
        format!("{who} is to blame, and the decision is {}", report.decision),
    );
    expect(
        truth.origin.is(&worst.origin),
        format!("the origin is not {}: {}", text(&truth.origin), worst.summary),
    );
    expect(
        truth.cause == worst.cause,
        format!(
            "the cause is {} and not {}: {}",
            truth.cause, worst.cause, worst.summary
        ),
    );
    expect(
        truth.callee.is_none_or(is_callee),
        format!("the callee is another: {}", worst.summary),
    );
    let elsewhere = |finding: &&Finding| !truth.origin.is(&finding.origin);
    for other in report.blamed().skip(1).filter(elsewhere) {
        expect(
            false,
            format!("{who} is blamed for what it did not do: {}", other.summary),
        );
    }
}

/// A verdict without a finding of the deployment's own.
const HARMLESS: [&str; 2] = ["unchanged", "improved"];

fn hold_innocent(judged: &Judged, wrong: &mut Vec<String>, missing: &mut Vec<String>) {
    let report = &judged.report;
    let who = format!("{} {}", judged.service, judged.version);
    for finding in report.blamed() {
        wrong.push(format!("{who} is innocent, and blamed: {}", finding.summary));
    }
    if report.decision == "rollback" {
        wrong.push(format!("{who} is innocent, and the decision is to roll it back"));
    } else if report.verdict == "insufficient_data" {
        let lacks = report
            .missing
            .as_deref()
            .unwrap_or("its report does not say what");
        missing.push(format!("{who} has not enough data: {lacks}"));
    } else if !HARMLESS.contains(&report.verdict.as_str()) {
        wrong.push(format!(
            "{who} is innocent, and its verdict is {}",
            report.verdict
        ));
    }
}

fn text(named: &Named) -> String {
    format!("{} {}", named.service, named.span)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn finding(span: &str, cause: &str, callee: Option<&str>, caused: bool) -> Value {
        let operation = |service: &str, span: &str| json!({"serviceName": service, "spanName": span});
        json!({
            "origin": operation("inventory", span), "cause": cause,
            "callee": callee.map(|service| operation(service, "get /price")),
            "entry": operation("web", "get /product"), "contribution": 5_000, "contributionLow": 4_000,
            "contributionHigh": 6_000, "summary": "what was found", "causedByDeployment": caused,
        })
    }

    fn report(verdict: &str, decision: &str, findings: &[Value]) -> Report {
        let report =
            json!({"verdict": verdict, "decision": decision, "findings": findings, "operations": []});
        serde_json::from_value(report).unwrap()
    }

    /// What is said of `inventory`, and of `payments`.
    fn agreement(fault: Fault, inventory: Report, payments: Report) -> Agreement {
        let judged = |service, version, report| Judged {
            id: String::new(),
            service,
            version,
            report,
        };
        let judged = vec![
            judged("inventory", "1.4.3", inventory),
            judged("payments", "9.2", payments),
        ];
        Outcome::of(fault, judged).agreement
    }

    fn harmless() -> Report {
        report("unchanged", "continue", &[])
    }

    fn is_different(agreement: &Agreement) -> bool {
        matches!(agreement, Agreement::Different(_))
    }

    #[test]
    fn who_is_to_blame_must_be_blamed_for_what_it_did() {
        let found = |verdict: &str, decision: &str, finding: Value| {
            let report = report(verdict, decision, &[finding]);
            agreement(Fault::MoreCalls, report, harmless())
        };
        let right = || finding("get /stock", "more_calls", Some("pricing"), true);
        assert_eq!(found("regressed", "rollback", right()), Agreement::Same);
        for wrong in [
            found("regressed", "wait", right()),
            found(
                "unchanged",
                "continue",
                finding("get /stock", "more_calls", Some("pricing"), false),
            ),
            found(
                "regressed",
                "rollback",
                finding("post /reserve", "more_calls", Some("pricing"), true),
            ),
            found(
                "regressed",
                "rollback",
                finding("get /stock", "self_time", Some("pricing"), true),
            ),
            found(
                "regressed",
                "rollback",
                finding("get /stock", "more_calls", Some("warehouse"), true),
            ),
            found(
                "regressed",
                "rollback",
                finding("get /stock", "more_calls", None, true),
            ),
        ] {
            assert!(is_different(&wrong), "{wrong:?}");
        }
        let two = [right(), finding("post /reserve", "self_time", None, true)];
        let also_blamed = agreement(
            Fault::MoreCalls,
            report("regressed", "rollback", &two),
            harmless(),
        );
        assert!(is_different(&also_blamed), "{also_blamed:?}");
        let unseen = agreement(
            Fault::MoreCalls,
            report("insufficient_data", "wait", &[]),
            harmless(),
        );
        assert!(matches!(unseen, Agreement::NotEnoughData(_)), "{unseen:?}");
    }

    #[test]
    fn nobody_else_may_be_blamed() {
        let blamed = || {
            report(
                "regressed",
                "rollback",
                &[finding("get /stock", "self_time", None, true)],
            )
        };
        let not_blamed = || {
            report(
                "regressed",
                "wait",
                &[finding("get /stock", "self_time", None, false)],
            )
        };
        let unknown = || report("insufficient_data", "wait", &[]);
        assert_eq!(agreement(Fault::None, harmless(), harmless()), Agreement::Same);
        assert_eq!(agreement(Fault::None, harmless(), unknown()), Agreement::Same);
        let wrong = agreement(Fault::None, blamed(), harmless());
        assert!(is_different(&wrong), "{wrong:?}");
        let wrong = agreement(Fault::None, not_blamed(), harmless());
        assert!(is_different(&wrong), "{wrong:?}");
        let wrong = agreement(Fault::SelfTime, blamed(), blamed());
        assert!(is_different(&wrong), "{wrong:?}");
        let unseen = agreement(Fault::None, unknown(), harmless());
        assert!(matches!(unseen, Agreement::NotEnoughData(_)), "{unseen:?}");
    }
}

//! One sentence for each finding.

use crate::report::{Cause, Explanation};

use super::cause::Suspect;
use super::family::What;
use super::judgement::Judged;
use super::names::{instance_text, operation_text, time_text};
use super::study::Study;

/// What changed, by how much, and what explains it if the deployment does not. `version` is what is judged.
pub(super) fn summary(
    study: &Study<'_>,
    suspect: &Suspect,
    judged: &Judged,
    version: Option<&str>,
) -> String {
    let mut text = what_changed(study, suspect, version);
    if let Some(worst) = suspect.contributions.first() {
        let entry = operation_text(study.traces, worst.entry);
        if suspect.cause != Cause::Errors {
            let mean = study.entry_mean(worst.entry).max(1.0);
            let sign = if worst.micros < 0.0 { "" } else { "+" };
            let share = worst.micros / mean * 100.0;
            text += &format!(
                ": {sign}{} ({sign}{share:.0} %) of {entry}",
                time_text(worst.micros)
            );
        }
    }
    if let Some(explanation) = judged.explanation {
        text += "; ";
        text += &because(study, explanation, judged);
    }
    text
}

fn what_changed(study: &Study<'_>, suspect: &Suspect, version: Option<&str>) -> String {
    let traces = study.traces;
    let origin = operation_text(traces, suspect.origin);
    let who = match version {
        Some(version) if !version.is_empty() => format!("{origin} in {version}"),
        _ => origin,
    };
    let callee = suspect
        .callee
        .map(|callee| operation_text(traces, callee))
        .unwrap_or_default();
    let Some(evidence) = &study.evidence[suspect.member] else {
        return who;
    };
    let (before, after) = (
        evidence.baseline_mean,
        evidence.baseline_mean + evidence.change.estimate,
    );
    let times = || format!("{}, before {}", time_text(after), time_text(before));
    match suspect.cause {
        Cause::SelfTime => match study.members[suspect.member].what.entry() {
            Some(entry) => {
                let entry = operation_text(traces, entry);
                format!("{who} takes {} by itself for requests of {entry}", times())
            }
            None => format!("{who} takes {} by itself", times()),
        },
        Cause::MoreCalls => format!("{who} calls {callee} {after:.1} times a request, before {before:.1}"),
        Cause::NewCall => {
            format!("{who} calls {callee}, which it did not before, {after:.1} times a request")
        }
        Cause::Retries => format!(
            "{who} tries {callee} again after failures: {after:.1} calls a request, before {before:.1}"
        ),
        Cause::SerializedCalls => {
            format!(
                "{who} makes calls one after the other: {} run side by side",
                times()
            )
        }
        Cause::SlowerCallee => format!("{who} waits {} for the answer of {callee}", times()),
        Cause::Queueing => match study.members[suspect.member].what {
            What::IncomingGap { .. } => format!(
                "calls to {who} wait {} before and after it works on them",
                times()
            ),
            _ => format!("calls of {who} to {callee} wait {} beyond the answer", times()),
        },
        Cause::Errors => format!(
            "{who} fails in {:.2} % of its calls, before {:.2} %",
            after * 100.0,
            before * 100.0
        ),
    }
}

fn because(study: &Study<'_>, explanation: Explanation, judged: &Judged) -> String {
    let instance = || {
        judged
            .instance
            .map(|instance| instance_text(study.traces, instance))
            .unwrap_or_default()
    };
    match explanation {
        Explanation::Load => "more requests explain it".to_owned(),
        Explanation::MixShift => "other requests explain it".to_owned(),
        Explanation::OtherDeployment => {
            let id = judged.deployment_id.as_deref().unwrap_or("another");
            format!("the deployment {id} of another service explains it")
        }
        Explanation::CalleeDegraded => "what it calls is slow for others as well".to_owned(),
        Explanation::BadInstance => format!("only the instance {} shows it", instance()),
        Explanation::WarmUp => "only instances that are not warm yet show it".to_owned(),
        Explanation::Transient => "it went away".to_owned(),
        Explanation::Confounded => match &judged.deployment_id {
            Some(id) => {
                format!("it cannot be told from the deployment {id} of the service that alone asks for it")
            }
            None => "it cannot be told from what else changed at the same time".to_owned(),
        },
    }
}

//! What else happened around a rollout, whatever the versions say: other load, other requests, a slow instance, a slow
//! callee, instances that were new. It is looked for in every report, because a comparison of versions cannot show
//! what both have in common, and a small canary allows no comparison at all.
//!
//! What is found is told beside the judgement: it costs nothing, and changes neither score nor verdict nor decision.
//!
//! | explanation | file |
//! | --- | --- |
//! | `load`, `mix_shift` | `requests`; of one entry operation, `paths` |
//! | `callee_degraded` | `callees` |
//! | `bad_instance` | `instances` |
//! | `warm_up`, `transient` | `decays` |

mod callees;
mod decays;
mod instances;
pub(super) mod paths;
mod requests;
mod work;

use model::{NameNumber, OperationNumber};

use crate::report::{Cause, Exemplars, Explanation, Finding, FindingKind};
use crate::statistics::two_sided_p;

use super::names::operation_json;
use super::population::Facts;
use super::traces::Traces;

/// What is looked at: all traces of the deployed service, before the rollout began and since.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene<'a> {
    pub(super) traces: &'a Traces<'a>,
    pub(super) facts: &'a [Facts],
    /// The deployed one.
    pub(super) service: NameNumber,
    /// What others deployed at about the same time.
    pub(super) others: &'a [NameNumber],
    /// When the rollout began, microseconds.
    pub(super) start: u64,
    /// How many traces one of either answer stands for.
    pub(super) weights: [f64; 2],
}

/// Something that happened, before it is told.
#[derive(Clone, Debug)]
struct Event {
    explanation: Explanation,
    origin: OperationNumber,
    /// Standard errors that it is away from nothing.
    z: f64,
    instance: Option<String>,
    summary: String,
}

impl Scene<'_> {
    /// Everything that happened, each explanation at most once.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let rate = requests::Rate::of(self);
        let works = work::works(self);
        let [warm_up, transient] = decays::decays(self, &works);
        let events = [
            instances::bad_instance(self, &works),
            callees::degraded(self),
            warm_up,
            transient,
            rate.as_ref().and_then(|rate| rate.load(self)),
            rate.as_ref().and_then(|rate| requests::mix_shift(self, rate)),
        ];
        events
            .into_iter()
            .flatten()
            .map(|event| event.finding(self.traces))
            .collect()
    }

    /// The name of the deployed service.
    fn service_text(&self) -> &str {
        self.traces.table.name(self.service)
    }

    /// What the service does most often.
    fn main_operation(&self) -> Option<OperationNumber> {
        let mut counts = vec![0u64; self.traces.table.operations().len()];
        for trace in self.traces.all() {
            for (node, sums) in self.traces.calls_of(trace) {
                let operation = self.traces.calls()[node as usize].operation;
                counts[operation as usize] += u64::from(sums.calls);
            }
        }
        let own = (0..counts.len() as OperationNumber)
            .filter(|&operation| self.traces.operation(operation).service == self.service);
        own.max_by_key(|&operation| (counts[operation as usize], std::cmp::Reverse(operation)))
    }
}

impl Event {
    /// As it is reported: beside the judgement, and of no cost.
    fn finding(self, traces: &Traces<'_>) -> Finding {
        let origin = operation_json(traces, self.origin);
        Finding {
            kind: FindingKind::Latency,
            entry: origin.clone(),
            origin,
            cause: Cause::SelfTime,
            callee: None,
            contribution: 0,
            contribution_low: 0,
            contribution_high: 0,
            contribution_ratio: None,
            error_rate_change: None,
            summary: self.summary,
            victims: Vec::new(),
            exemplars: Exemplars::default(),
            p_value: two_sided_p(self.z),
            caused_by_deployment: false,
            explanation: Some(self.explanation),
            deployment_id: None,
            instance: self.instance,
        }
    }
}

/// Adds to findings what is not among them yet: one of the same explanation says more about it, and a callee that is
/// slower by what the deployment asks of it is not degraded.
pub(super) fn add(findings: &mut Vec<Finding>, surroundings: Vec<Finding>) {
    let is_asked_for_more = |known: &Finding, found: &Finding| {
        let callee = known.callee.as_ref().filter(|_| known.caused_by_deployment);
        found.explanation == Some(Explanation::CalleeDegraded)
            && callee.is_some_and(|callee| callee.service_name == found.origin.service_name)
    };
    let is_told = |found: &Finding| {
        let mut known = findings.iter();
        known.any(|known| known.explanation == found.explanation || is_asked_for_more(known, found))
    };
    let new: Vec<Finding> = surroundings.into_iter().filter(|found| !is_told(found)).collect();
    findings.extend(new);
}

//! What changed where the deployment changed nothing: load, weather, a slow day. Only where the two sides are not of
//! the same minutes.

use model::{Callee, NameNumber, OperationNumber};

use crate::report::Design;
use crate::statistics::Arms;

use super::comparison::Comparison;
use super::family::{What, is_call};
use super::sums::StratumSums;
use super::traces::Traces;

/// How much slower what nobody deployed became, as shares.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Controls {
    /// Changes of self times, ascending.
    own: Vec<f64>,
    /// Changes of gaps, ascending.
    gaps: Vec<f64>,
}

/// Who may have changed an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deployed {
    /// Nobody.
    No,
    /// The deployment that is judged, or it cannot be known.
    Judged,
    /// Another one, of this service.
    Other(NameNumber),
}

/// Calls a side that a control has, at least.
const CALLS_MIN: f64 = 100.0;
/// Services that others deployed, whose common change is that of all.
const SERVICES_MIN: usize = 2;
/// Shorter times are too little to tell anything, microseconds.
const MICROS_MIN: f64 = 100.0;

impl Controls {
    /// `deployed` tells who deployed the service of an operation at this time.
    pub(super) fn of(
        traces: &Traces<'_>,
        comparison: &Comparison,
        sums: &[StratumSums],
        deployed: impl Fn(&Traces<'_>, OperationNumber) -> Deployed,
    ) -> Self {
        if comparison.design == Design::Concurrent {
            return Self::default();
        }
        #[derive(Clone, Copy, Default)]
        struct Change {
            calls: Arms<f64>,
            /// Weighted by the candidate's calls, microseconds.
            times: Arms<f64>,
            weight: f64,
        }
        let mut changes = vec![Change::default(); traces.calls().len()];
        for (node, arms) in sums.iter().flat_map(|stratum| &stratum.nodes) {
            let change = &mut changes[*node as usize];
            change.calls.baseline += arms.baseline.calls;
            change.calls.candidate += arms.candidate.calls;
            if arms.baseline.calls > 0.0 && arms.candidate.calls > 0.0 {
                change.times.baseline += arms.candidate.calls * arms.baseline.own / arms.baseline.calls;
                change.times.candidate += arms.candidate.own;
                change.weight += arms.candidate.calls;
            }
        }
        let mut controls = Self::default();
        let mut others: Vec<(NameNumber, f64)> = Vec::new();
        for (call, change) in traces.calls().iter().zip(&changes) {
            let enough = change.calls.baseline.min(change.calls.candidate) >= CALLS_MIN
                && change.times.baseline >= MICROS_MIN * change.weight;
            if !enough {
                continue;
            }
            let relative = change.times.candidate / change.times.baseline - 1.0;
            let (of, is_own_time) = match call.callee {
                Callee::None => ([call.operation; 2], !is_call(traces, call.operation)),
                Callee::Instrumented(callee) => ([call.operation, callee], false),
                Callee::Uninstrumented(callee) => ([call.operation, callee], true),
            };
            match (of.map(|operation| deployed(traces, operation)), is_own_time) {
                ([Deployed::No, Deployed::No], true) => controls.own.push(relative),
                ([Deployed::No, Deployed::No], false) if call.callee != Callee::None => {
                    controls.gaps.push(relative)
                }
                ([Deployed::Other(service), _], true) if call.callee == Callee::None => {
                    others.push((service, relative));
                }
                _ => {}
            }
        }
        if controls.own.is_empty() {
            controls.own.extend(common(others));
        }
        controls.own.sort_by(f64::total_cmp);
        controls.gaps.sort_by(f64::total_cmp);
        controls
    }

    /// What the baseline is multiplied by before a quantity is compared: never below 1, because what became faster
    /// elsewhere is no evidence that this became slower.
    pub(super) fn scale(&self, what: What) -> f64 {
        match what {
            What::OwnTime { .. } | What::CalleeTime(_) => 1.0 + median(&self.own).max(0.0),
            What::OutgoingGap(_) | What::IncomingGap { .. } => {
                1.0 + median(&self.gaps).max(median(&self.own)).max(0.0)
            }
            What::Calls(_) | What::Overlap { .. } | What::Errors { .. } => 1.0,
        }
    }

    /// The greatest change among them, leaving out the most extreme of many.
    pub(super) fn greatest(&self, what: What) -> f64 {
        let of = |changes: &[f64]| {
            let place = changes.len().checked_sub(1 + changes.len() / 8);
            place.map_or(0.0, |place| changes[place].max(0.0))
        };
        match what {
            What::OutgoingGap(_) | What::IncomingGap { .. } => of(&self.gaps).max(of(&self.own)),
            _ => of(&self.own),
        }
    }
}

/// What other services that were deployed have in common, one vote each, however many operations they have: a
/// deployment changes its own service, and weather all of them. Of a single one nobody can tell, and of two the one
/// that changed less tells.
fn common(mut changes: Vec<(NameNumber, f64)>) -> Option<f64> {
    changes.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let of_service = changes.chunk_by(|a, b| a.0 == b.0);
    let of_service = of_service.map(|changes| changes.iter().map(|(_, change)| *change));
    let mut votes: Vec<f64> = of_service
        .map(|changes| median(&changes.collect::<Vec<f64>>()))
        .collect();
    votes.sort_by(f64::total_cmp);
    (votes.len() >= SERVICES_MIN).then(|| votes[(votes.len() - 1) / 2])
}

fn median(ascending: &[f64]) -> f64 {
    let middle = ascending.len() / 2;
    match ascending {
        [] => 0.0,
        _ if ascending.len() % 2 == 1 => ascending[middle],
        _ => f64::midpoint(ascending[middle - 1], ascending[middle]),
    }
}

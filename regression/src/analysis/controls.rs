//! What changed where the deployment changed nothing: load, weather, a slow day. Only where the two sides are not of
//! the same minutes.

use model::{Callee, OperationNumber};

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

/// Calls a side that a control has, at least.
const CALLS_MIN: f64 = 100.0;
/// Shorter times are too little to tell anything, microseconds.
const MICROS_MIN: f64 = 100.0;

impl Controls {
    /// `is_innocent` tells operations that no deployment at this time can have changed.
    pub(super) fn of(
        traces: &Traces<'_>,
        comparison: &Comparison,
        sums: &[StratumSums],
        is_innocent: impl Fn(&Traces<'_>, OperationNumber) -> bool,
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
        for (call, change) in traces.calls().iter().zip(&changes) {
            let enough = change.calls.baseline.min(change.calls.candidate) >= CALLS_MIN
                && change.times.baseline >= MICROS_MIN * change.weight;
            if !enough || !is_innocent(traces, call.operation) {
                continue;
            }
            let relative = change.times.candidate / change.times.baseline - 1.0;
            match call.callee {
                Callee::None if !is_call(traces, call.operation) => controls.own.push(relative),
                Callee::Instrumented(callee) if is_innocent(traces, callee) => controls.gaps.push(relative),
                Callee::Uninstrumented(callee) if is_innocent(traces, callee) => controls.own.push(relative),
                _ => {}
            }
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

fn median(ascending: &[f64]) -> f64 {
    let middle = ascending.len() / 2;
    match ascending {
        [] => 0.0,
        _ if ascending.len() % 2 == 1 => ascending[middle],
        _ => f64::midpoint(ascending[middle - 1], ascending[middle]),
    }
}

//! Sums over the traces of a stratum, of each call on each side.

use crate::statistics::Arms;

use super::comparison::{Compared, Comparison};
use super::traces::{NodeNumber, Traces};

/// What was called in the traces of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sums {
    pub(super) calls: f64,
    /// Microseconds on the critical path.
    pub(super) path: f64,
    /// Microseconds on its own, on the critical path or not.
    pub(super) own: f64,
    /// Microseconds until it was answered, less its own.
    pub(super) answer: f64,
    pub(super) retries: f64,
}

/// Of the traces of a stratum.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct StratumSums {
    pub(super) traces: Arms<u64>,
    /// Of entry spans, microseconds. A few of what spans may say they took are more than 64 bits hold.
    pub(super) durations: Arms<u128>,
    /// Ascending, those that occur.
    pub(super) nodes: Vec<(NodeNumber, Arms<Sums>)>,
}

impl Sums {
    fn less(self, other: Self) -> Self {
        Self {
            calls: (self.calls - other.calls).max(0.0),
            path: (self.path - other.path).max(0.0),
            own: (self.own - other.own).max(0.0),
            answer: (self.answer - other.answer).max(0.0),
            retries: (self.retries - other.retries).max(0.0),
        }
    }
}

impl StratumSums {
    /// Without some of its traces, whose sums are `other`.
    pub(super) fn less(&self, other: &Self) -> Self {
        let mut left = self.clone();
        left.traces.baseline -= other.traces.baseline;
        left.traces.candidate -= other.traces.candidate;
        left.durations.baseline -= other.durations.baseline;
        left.durations.candidate -= other.durations.candidate;
        let mut own = left.nodes.iter_mut();
        for (node, taken) in &other.nodes {
            if let Some((_, arms)) = own.find(|(own, _)| own == node) {
                arms.baseline = arms.baseline.less(taken.baseline);
                arms.candidate = arms.candidate.less(taken.candidate);
            }
        }
        left
    }
}

/// The sums of every stratum of a comparison: one pass over its traces.
pub(super) fn sum(traces: &Traces<'_>, comparison: &Comparison) -> Vec<StratumSums> {
    sum_of(traces, comparison, comparison.compared.iter())
}

/// The same of some of the compared, in their order.
pub(super) fn sum_of<'c>(
    traces: &Traces<'_>,
    comparison: &Comparison,
    compared: impl Iterator<Item = &'c Compared>,
) -> Vec<StratumSums> {
    let mut strata = vec![StratumSums::default(); comparison.strata.len()];
    let mut summing = Summing::of(traces);
    let mut compared = compared.peekable();
    while let Some(first) = compared.next() {
        let stratum = &mut strata[first.stratum as usize];
        summing.add(first, stratum);
        while let Some(next) = compared.next_if(|next| next.stratum == first.stratum) {
            summing.add(next, stratum);
        }
        summing.finish(stratum);
    }
    strata
}

/// Adds traces of one stratum after the other up.
struct Summing<'a> {
    traces: &'a Traces<'a>,
    /// By call.
    sums: Vec<Arms<Sums>>,
    is_met: Vec<bool>,
    met: Vec<NodeNumber>,
}

impl<'a> Summing<'a> {
    fn of(traces: &'a Traces<'a>) -> Self {
        let calls = traces.calls().len();
        Self {
            traces,
            sums: vec![Arms::default(); calls],
            is_met: vec![false; calls],
            met: Vec::new(),
        }
    }

    fn add(&mut self, compared: &Compared, stratum: &mut StratumSums) {
        let trace = &self.traces.all()[compared.trace as usize];
        *compared.side.of_mut(&mut stratum.traces) += 1;
        *compared.side.of_mut(&mut stratum.durations) +=
            u128::from(trace.profile.entry.duration.unwrap_or(0));
        for (node, sums) in self.traces.calls_of(trace) {
            if !self.is_met[node as usize] {
                self.is_met[node as usize] = true;
                self.met.push(node);
            }
            let own = compared.side.of_mut(&mut self.sums[node as usize]);
            own.calls += f64::from(sums.calls);
            own.path += sums.path_micros as f64;
            own.own += sums.self_micros as f64;
            own.answer += sums.duration_micros.saturating_sub(sums.self_micros) as f64;
            own.retries += f64::from(sums.retries);
        }
    }

    fn finish(&mut self, stratum: &mut StratumSums) {
        self.met.sort_unstable();
        for node in self.met.drain(..) {
            self.is_met[node as usize] = false;
            let sums = std::mem::take(&mut self.sums[node as usize]);
            stratum.nodes.push((node, sums));
        }
    }
}

//! Everything that is computed of one comparison before anything is judged.

use std::ops::Range;

use model::{NameNumber, OperationNumber};

use crate::report::Design;
use crate::statistics::Arms;

use super::attribution::{Parts, attribute};
use super::comparison::{Compared, Comparison};
use super::controls::{Controls, Deployed};
use super::evidence::{Evidence, Observed};
use super::family::{Member, Observation, Scale, What, family, observe};
use super::multiplicity::{Corrected, correct};
use super::population::{Chosen, Facts};
use super::sums::{StratumSums, sum};
use super::traces::{NodeNumber, Traces};

/// A comparison with sums, attributions and evidence.
#[derive(Debug)]
pub(super) struct Study<'a> {
    pub(super) traces: &'a Traces<'a>,
    pub(super) service: Option<NameNumber>,
    pub(super) comparison: Comparison,
    pub(super) sums: Vec<StratumSums>,
    /// By stratum, in the order of its sums.
    pub(super) parts: Vec<Vec<Parts>>,
    pub(super) members: Vec<Member>,
    observations: Vec<Vec<Observation>>,
    /// As it was.
    pub(super) evidence: Vec<Option<Evidence>>,
    /// What would be left if everything had changed as what has nothing to do with the deployment.
    pub(super) adjusted: Vec<Option<Evidence>>,
    /// Of `evidence`, made up for the size of the family.
    pub(super) raw: Corrected,
    /// The same of `adjusted`.
    pub(super) left: Corrected,
    pub(super) controls: Controls,
    /// Traces of each call.
    traces_of: Vec<Arms<f64>>,
    /// Microseconds on the critical path of each call, of both sides.
    path_of: Vec<f64>,
}

/// What something did to an entry operation's mean, microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Contribution {
    pub(super) entry: OperationNumber,
    pub(super) micros: f64,
    /// How far the 95 % interval of `micros` extends to either side; `None` where that is not known.
    pub(super) error: Option<f64>,
    /// What all its requests together lost.
    pub(super) total: f64,
}

impl<'a> Study<'a> {
    pub(super) fn of(
        traces: &'a Traces<'a>,
        facts: &[Facts],
        chosen: &Chosen,
        service: Option<NameNumber>,
        false_discovery_rate: f64,
        deployed: impl Fn(&Traces<'_>, OperationNumber) -> Deployed,
    ) -> Self {
        let comparison = Comparison::of(traces, facts, chosen, service);
        let sums = sum(traces, &comparison);
        let parts = sums.iter().map(|sums| attribute(traces, sums)).collect();
        let members = family(traces, service);
        let observations = observe_all(traces, &comparison, &members);
        let controls = Controls::of(traces, &comparison, &sums, deployed);
        let mut traces_of = vec![Arms::<f64>::default(); traces.calls().len()];
        let mut path_of = vec![0.0; traces.calls().len()];
        for (node, arms) in sums.iter().flat_map(|stratum| &stratum.nodes) {
            let sum = &mut traces_of[*node as usize];
            sum.baseline += arms.baseline.calls;
            sum.candidate += arms.candidate.calls;
            path_of[*node as usize] += arms.baseline.path + arms.candidate.path;
        }
        let mut study = Self {
            traces,
            service,
            comparison,
            sums,
            parts,
            members,
            observations,
            evidence: Vec::new(),
            adjusted: Vec::new(),
            raw: Corrected::default(),
            left: Corrected::default(),
            controls,
            traces_of,
            path_of,
        };
        study.weigh(false_discovery_rate);
        study
    }

    fn weigh(&mut self, false_discovery_rate: f64) {
        for number in 0..self.members.len() {
            let elsewhere = self.controls.elsewhere(self.members[number].what);
            let (raw, adjusted) = self.observed(number).evidence(elsewhere);
            self.evidence.push(raw);
            self.adjusted.push(adjusted);
        }
        self.raw = correct(self, &self.evidence, false_discovery_rate);
        self.left = correct(self, &self.adjusted, false_discovery_rate);
    }

    pub(super) fn observed(&self, member: usize) -> Observed<'_> {
        let scale = self.members[member].what.scale();
        Observed {
            traces: self.traces,
            compared: compared_for(&self.comparison, scale),
            blocks: self.comparison.blocks,
            observations: &self.observations[member],
            scale,
            is_concurrent: self.comparison.design == Design::Concurrent,
            is_small: self.comparison.is_small,
        }
    }

    pub(super) fn member_of(&self, what: What) -> Option<usize> {
        self.members
            .binary_search_by_key(&what, |member| member.what)
            .ok()
    }

    /// How often a call was made on either side, in all that is compared.
    pub(super) fn calls_of(&self, node: NodeNumber) -> Arms<f64> {
        self.traces_of[node as usize]
    }

    /// Microseconds on the critical path that calls have, of both sides, in all that is compared.
    pub(super) fn path_of(&self, nodes: &[NodeNumber]) -> f64 {
        let of_node = |&node: &NodeNumber| self.path_of[node as usize];
        nodes.iter().map(of_node).sum()
    }

    /// The same in what entered by one operation.
    pub(super) fn path_in(&self, entry: OperationNumber, nodes: &[NodeNumber]) -> f64 {
        let sums = self.sums[self.strata_of(entry)].iter();
        sums.flat_map(|stratum| &stratum.nodes)
            .filter(|(node, _)| in_nodes(nodes, *node))
            .map(|(_, arms)| arms.baseline.path + arms.candidate.path)
            .sum()
    }

    /// What a member did to each entry operation, the one that lost most first; with what it hid of others.
    pub(super) fn contributions(&self, member: usize) -> Vec<Contribution> {
        let what = self.members[member].what;
        let nodes = self.members[member].nodes();
        match what {
            What::Errors { .. } => self.failures(),
            What::Overlap { operation } => self.contribute(|node, parts| {
                let caller = self.traces.calls()[node as usize].caller;
                (caller == Some(operation)).then_some(parts.below)
            }),
            _ => {
                let mut all =
                    self.contribute(|node, parts| in_nodes(nodes, node).then(|| part_of(what, parts)));
                all.retain(|found| what.entry().is_none_or(|entry| entry == found.entry));
                all
            }
        }
    }

    /// Entry operations by how many more of their requests fail; that costs no time.
    fn failures(&self) -> Vec<Contribution> {
        let entries = self.comparison.entries.iter().enumerate();
        let with_both =
            entries.filter(|(_, totals)| totals.requests.baseline.min(totals.requests.candidate) > 0);
        let mut failures: Vec<Contribution> = with_both
            .map(|(entry, totals)| {
                let share = |failed: u64, requests: u64| failed as f64 / requests as f64;
                let more = share(totals.failed.candidate, totals.requests.candidate)
                    - share(totals.failed.baseline, totals.requests.baseline);
                Contribution {
                    entry: entry as OperationNumber,
                    micros: 0.0,
                    error: None,
                    total: more * totals.requests.candidate as f64,
                }
            })
            .collect();
        failures.sort_by(|a, b| b.total.total_cmp(&a.total).then(a.entry.cmp(&b.entry)));
        failures
    }

    /// Adds up parts of calls, by entry operation.
    fn contribute(&self, part: impl Fn(NodeNumber, &Parts) -> Option<f64>) -> Vec<Contribution> {
        let mut sums: Vec<(OperationNumber, f64)> = Vec::new();
        for ((stratum, sums_of), parts) in self.comparison.strata.iter().zip(&self.sums).zip(&self.parts) {
            let found = sums_of.nodes.iter().zip(parts);
            let micros: f64 = found.filter_map(|((node, _), parts)| part(*node, parts)).sum();
            let total = micros * stratum.traces.candidate as f64;
            // Strata of an entry are one after the other.
            match sums.last_mut().filter(|(entry, _)| *entry == stratum.entry) {
                Some((_, sum)) => *sum += total,
                None => sums.push((stratum.entry, total)),
            }
        }
        let mut contributions: Vec<Contribution> = sums
            .into_iter()
            .map(|(entry, total)| Contribution {
                entry,
                micros: total / self.compared_of(entry).max(1) as f64,
                error: None,
                total,
            })
            .collect();
        sort(&mut contributions);
        contributions
    }

    /// Compared traces of the candidate that entered by an operation.
    pub(super) fn compared_of(&self, entry: OperationNumber) -> u64 {
        let strata = &self.comparison.strata[self.strata_of(entry)];
        strata.iter().map(|stratum| stratum.traces.candidate).sum()
    }

    /// The strata of the traces that entered by an operation.
    pub(super) fn strata_of(&self, entry: OperationNumber) -> Range<usize> {
        let strata = &self.comparison.strata;
        let first = strata.partition_point(|stratum| stratum.entry < entry);
        first..strata.partition_point(|stratum| stratum.entry <= entry)
    }

    /// Mean of an entry operation in the baseline, microseconds.
    pub(super) fn entry_mean(&self, entry: OperationNumber) -> f64 {
        let totals = &self.comparison.entries[entry as usize];
        totals.durations.baseline as f64 / totals.answered.baseline.max(1) as f64
    }
}

/// The one that lost most first.
pub(super) fn sort(contributions: &mut [Contribution]) {
    let total = |contribution: &Contribution| contribution.total.abs();
    contributions.sort_by(|a, b| total(b).total_cmp(&total(a)).then(a.entry.cmp(&b.entry)));
}

/// What of a call's parts is the doing of a member whose call it is.
pub(super) fn part_of(what: What, parts: &Parts) -> f64 {
    match what {
        What::OwnTime { .. } | What::OwnTimeFor { .. } | What::OutgoingGap(_) | What::IncomingGap { .. } => {
            parts.time
        }
        What::CalleeTime(site) if site.is_instrumented => parts.below - parts.time,
        What::CalleeTime(_) => parts.time,
        What::Calls(_) => parts.calls,
        What::Overlap { .. } => parts.share,
        What::Errors { .. } => 0.0,
    }
}

/// Failures are counted among all requests, times among those that were answered.
fn compared_for(comparison: &Comparison, scale: Scale) -> &[Compared] {
    match scale {
        Scale::Share => &comparison.all,
        Scale::Time | Scale::Count => &comparison.compared,
    }
}

fn observe_all(traces: &Traces<'_>, comparison: &Comparison, members: &[Member]) -> Vec<Vec<Observation>> {
    let (shares, others): (Vec<usize>, Vec<usize>) =
        (0..members.len()).partition(|&number| members[number].what.scale() == Scale::Share);
    let mut observations = vec![Vec::new(); members.len()];
    let (parts, others): (Vec<usize>, Vec<usize>) = others
        .into_iter()
        .partition(|&number| members[number].what.entry().is_some());
    for (numbers, scale) in [(shares, Scale::Share), (others, Scale::Time)] {
        let chosen: Vec<&Member> = numbers.iter().map(|&number| &members[number]).collect();
        let observed = observe(traces, compared_for(comparison, scale), &chosen);
        for (number, observed) in numbers.into_iter().zip(observed) {
            observations[number] = observed;
        }
    }
    for number in parts {
        observations[number] = of_entry(traces, comparison, members, members[number].what, &observations);
    }
    observations
}

/// Of what was observed of the own time of an operation, what requests of one entry operation tell.
fn of_entry(
    traces: &Traces<'_>,
    comparison: &Comparison,
    members: &[Member],
    what: What,
    observations: &[Vec<Observation>],
) -> Vec<Observation> {
    let all = What::OwnTime {
        operation: what.operation(),
    };
    let Ok(all) = members.binary_search_by_key(&all, |member| member.what) else {
        return Vec::new();
    };
    let is_its = |found: &&Observation| {
        let compared = &comparison.compared[found.position as usize];
        Some(traces.all()[compared.trace as usize].entry) == what.entry()
    };
    observations[all].iter().filter(is_its).copied().collect()
}

fn in_nodes(nodes: &[NodeNumber], node: NodeNumber) -> bool {
    nodes.binary_search(&node).is_ok()
}

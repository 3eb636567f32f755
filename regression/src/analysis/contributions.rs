//! What findings did to the means of entry operations: less what they hid, and how sure that is.
//!
//! A call that takes longer beside others takes critical time over from them, and brings what is before and behind it
//! onto the critical path: what it costs by itself is more than anybody waits longer for. So what everything else is
//! waited for less or more, although it takes as long as before, is a part of what the finding did.
//!
//! The interval is that of the same number, by the jackknife: the whole is computed again without each of some
//! stretches of time, of either side, so that neither the path of the computation nor what traces of a minute have in
//! common must be known. J. Shao and D. Tu, "The jackknife and bootstrap", 1995, chapter 2.

use model::OperationNumber;

use crate::report::Cause;
use crate::statistics::{Arms, DesignEffect, RatioSums, ratio_difference};

use super::attribution::{Graph, Parts};
use super::cause::{Moved, Suspect};
use super::family::What;
use super::network::Network;
use super::side::Side;
use super::study::{Contribution, Study, part_of, sort};
use super::sums::{StratumSums, sum_of};
use super::traces::NodeNumber;

/// Stretches of time of either side without which everything is computed again.
const STRETCHES: usize = 12;
/// What a stretch has at least, traces.
const STRETCH_MIN: usize = 2;

/// Standard errors that a 95 % interval extends.
const CRITICAL: f64 = 1.96;

/// Makes contributions of those that cost time what is left of them beside each other, with their errors.
pub(super) fn settle(study: &Study<'_>, suspects: &mut [&mut Suspect]) {
    let timed = suspects.iter().enumerate();
    let timed: Vec<usize> = timed
        .filter(|(_, suspect)| suspect.cause != Cause::Errors)
        .map(|(number, _)| number)
        .collect();
    if timed.is_empty() {
        return;
    }
    let claims = Claims::of(study, timed.iter().map(|&number| &*suspects[number]));
    let costs = claims.costs(study.sums.iter().zip(&study.parts));
    let errors = claims.errors(study, &costs);
    for (claim, &number) in timed.iter().enumerate() {
        let only = study.members[suspects[number].member].what.entry();
        let entries = claims.entries.iter().zip(&costs[claim]).zip(&errors[claim]);
        let mut contributions: Vec<Contribution> = entries
            .map(|((&(entry, traces), cost), errors)| {
                let micros = cost.net(errors.as_ref());
                Contribution {
                    entry,
                    micros,
                    error: errors.as_ref().map(|errors| errors.net),
                    total: micros * traces as f64,
                }
            })
            .filter(|found| only.is_none_or(|entry| entry == found.entry))
            .collect();
        sort(&mut contributions);
        suspects[number].contributions = contributions;
        let (cost, errors) = (
            costs[claim][claims.entries.len()],
            &errors[claim][claims.entries.len()],
        );
        suspects[number].whole = Some(Moved {
            micros: cost.net(errors.as_ref()),
            error: errors.as_ref().map(|errors| errors.net),
        });
    }
}

/// What a finding costs an entry operation, microseconds.
#[derive(Clone, Copy, Default)]
struct Cost {
    own: f64,
    /// What else is waited for more, or less: negative.
    hidden: f64,
}

/// How far 95 % intervals extend.
struct Errors {
    hidden: f64,
    /// Of both together.
    net: f64,
}

impl Cost {
    /// What is hidden counts as far as it is more than its error, and neither makes a cost greater nor a gain of it.
    fn net(self, errors: Option<&Errors>) -> f64 {
        let noise = errors.map_or(1.0, |errors| (errors.hidden / CRITICAL / self.hidden).powi(2));
        let hidden = if noise < 1.0 {
            self.hidden * (1.0 - noise)
        } else {
            0.0
        };
        let net = self.own + hidden;
        if self.own > 0.0 {
            net.clamp(0.0, self.own)
        } else {
            net.clamp(self.own, 0.0)
        }
    }
}

/// Which finding claims what of which call.
struct Claims {
    /// By call: the number of a finding, and the member whose cost the call's is.
    roles: Vec<Vec<(usize, What)>>,
    count: usize,
    /// Entry operations that are compared, with the candidate's traces.
    entries: Vec<(OperationNumber, u64)>,
    /// By stratum: the place of its entry, and its share of the candidate's traces of it.
    weights: Vec<(usize, f64)>,
}

/// By finding and entry, and after the entries that of all requests together.
type Costs = Vec<Vec<Cost>>;

impl Claims {
    fn of<'s>(study: &Study<'_>, suspects: impl Iterator<Item = &'s Suspect>) -> Self {
        let network = Network::of(study.traces);
        let mut roles: Vec<Vec<(usize, What)>> = vec![Vec::new(); study.traces.calls().len()];
        let mut count = 0;
        for suspect in suspects {
            for &member in &suspect.members {
                let what = study.members[member].what;
                let mut claim = |node: NodeNumber| roles[node as usize].push((count, what));
                match what {
                    What::Overlap { operation } => network.below(operation).for_each(&mut claim),
                    _ => study.members[member].nodes().iter().copied().for_each(&mut claim),
                }
            }
            count += 1;
        }
        let mut entries: Vec<(OperationNumber, u64)> = Vec::new();
        let mut places = Vec::new();
        for stratum in &study.comparison.strata {
            // Strata are in the order of their entries.
            match entries.last_mut() {
                Some((entry, traces)) if *entry == stratum.entry => *traces += stratum.traces.candidate,
                _ => entries.push((stratum.entry, stratum.traces.candidate)),
            }
            places.push(entries.len() - 1);
        }
        let strata = places.into_iter().zip(&study.comparison.strata);
        let weight = |place: usize, traces: u64| (place, traces as f64 / entries[place].1.max(1) as f64);
        Self {
            roles,
            count,
            weights: strata
                .map(|(place, stratum)| weight(place, stratum.traces.candidate))
                .collect(),
            entries,
        }
    }

    /// From the sums of each stratum and their parts. What is hidden in a stratum is divided among findings by what
    /// they cost there.
    fn costs<'s>(&self, strata: impl Iterator<Item = (&'s StratumSums, &'s Vec<Parts>)>) -> Costs {
        let mut costs = vec![vec![Cost::default(); self.entries.len() + 1]; self.count];
        let mut own = vec![0.0; self.count];
        for ((sums, parts), &(place, weight)) in strata.zip(&self.weights) {
            own.fill(0.0);
            let mut hidden = 0.0;
            let entry = self.entries[place].0;
            for ((node, _), parts) in sums.nodes.iter().zip(parts) {
                let roles = self.roles[*node as usize].iter();
                let mut here = roles
                    .filter(|(_, what)| what.entry().is_none_or(|only| only == entry))
                    .peekable();
                if here.peek().is_none() {
                    hidden += parts.share;
                }
                for &(claim, what) in here {
                    own[claim] += part_of(what, parts);
                }
            }
            let all: f64 = own.iter().map(|own| own.abs()).sum();
            for (costs, own) in costs.iter_mut().zip(&own).filter(|_| all > 0.0) {
                costs[place].own += weight * own;
                costs[place].hidden += weight * hidden * own.abs() / all;
            }
        }
        let all: u64 = self.entries.iter().map(|(_, traces)| traces).sum();
        for costs in &mut costs {
            let mut whole = Cost::default();
            for (cost, (_, traces)) in costs.iter().zip(&self.entries) {
                let share = *traces as f64 / all.max(1) as f64;
                whole.own += share * cost.own;
                whole.hidden += share * cost.hidden;
            }
            costs[self.entries.len()] = whole;
        }
        costs
    }

    /// How far the 95 % intervals of costs extend; `None` where a side is too small to tell.
    fn errors(&self, study: &Study<'_>, whole: &Costs) -> Vec<Vec<Option<Errors>>> {
        let stretches = stretches(study);
        let graphs: Vec<Graph> = study
            .sums
            .iter()
            .map(|sums| Graph::of(study.traces, sums))
            .collect();
        let mut deviations =
            vec![vec![[Arms::<RatioSums>::default(); 2]; self.entries.len() + 1]; self.count];
        for side in [Side::Baseline, Side::Candidate] {
            let count = side.of(&stretches.places).len();
            for stretch in 0..count {
                let costs = self.costs_without(study, &graphs, &stretches, (side, stretch));
                let found = deviations.iter_mut().flatten().zip(costs.iter().flatten());
                for (([hidden, net], cost), whole) in found.zip(whole.iter().flatten()) {
                    let deviation = |whole: f64, cost: f64| (count as f64 - 1.0) * (whole - cost);
                    let of_hidden = deviation(whole.hidden, cost.hidden);
                    side.of_mut(hidden).add(of_hidden, 1.0);
                    side.of_mut(net)
                        .add(of_hidden + deviation(whole.own, cost.own), 1.0);
                }
            }
        }
        let extent = |sums: &Arms<RatioSums>| {
            let interval = ratio_difference(&[*sums], 0.95, DesignEffect::NONE)?;
            Some((interval.high - interval.low) / 2.0)
        };
        let errors = |[hidden, net]: &[Arms<RatioSums>; 2]| {
            Some(Errors {
                hidden: extent(hidden)?,
                net: extent(net)?,
            })
        };
        deviations
            .iter()
            .map(|of_claim| of_claim.iter().map(errors).collect())
            .collect()
    }

    fn costs_without(
        &self,
        study: &Study<'_>,
        graphs: &[Graph],
        stretches: &Stretches,
        (side, stretch): (Side, usize),
    ) -> Costs {
        let compared = &study.comparison.compared;
        let places = side.of(&stretches.places)[stretch].iter();
        let taken = places.map(|&place| &compared[place]);
        let taken = sum_of(study.traces, &study.comparison, taken);
        // Strata that no trace is taken from are as they were.
        let whole = study.sums.iter().zip(&study.parts).zip(graphs);
        let left: Vec<Option<(StratumSums, Vec<Parts>)>> = whole
            .clone()
            .zip(&taken)
            .map(|(((all, _), graph), taken)| {
                let is_less = taken.traces.baseline + taken.traces.candidate > 0;
                let left = is_less.then(|| all.less(taken))?;
                let parts = graph.attribute(&left);
                Some((left, parts))
            })
            .collect();
        let strata = left.iter().zip(whole).map(|(left, (whole, _))| match left {
            Some((sums, parts)) => (sums, parts),
            None => whole,
        });
        self.costs(strata)
    }
}

/// Stretches of time of each side.
struct Stretches {
    /// Of each the places among the compared, ascending.
    places: Arms<Vec<Vec<usize>>>,
}

/// Stretches of as many traces each.
fn stretches(study: &Study<'_>) -> Stretches {
    let compared = &study.comparison.compared;
    let mut stretches = Arms::<Vec<Vec<usize>>>::default();
    for side in [Side::Baseline, Side::Candidate] {
        let mut places: Vec<usize> = (0..compared.len())
            .filter(|&place| compared[place].side == side)
            .collect();
        // Traces are numbered by time.
        places.sort_unstable_by_key(|&place| compared[place].trace);
        let count = (places.len() / STRETCH_MIN).min(STRETCHES);
        let of_side = side.of_mut(&mut stretches);
        of_side.resize(count, Vec::new());
        for (rank, &place) in places.iter().enumerate().filter(|_| count > 0) {
            of_side[rank * count / places.len()].push(place);
        }
        of_side.iter_mut().for_each(|places| places.sort_unstable());
    }
    Stretches { places: stretches }
}

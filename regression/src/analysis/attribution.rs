//! Where the change of an entry operation's mean came from, call by call, so that nothing is left over.
//!
//! The mean time of an entry operation is what its calls cost. With t the time of one call on the critical path, r how
//! often it is made for one of its caller's, and K what everything below an operation costs:
//!
//! ```text
//! K(x) = Σ over calls c made by x: r(c) · (t(c) + K(operation of c))
//! ```
//!
//! K of nothing at all, which calls the entry, is the mean. Of two sides, with bars for the averages of both and w for
//! how often an operation is met at the average rates:
//!
//! ```text
//! ΔK(top) = Σ over calls c: w(caller) · r̄(c) · Δt(c)  +  w(caller) · Δr(c) · (t + K)‾(c)
//! ```
//!
//! which is exact, because every product is split by the averages of its factors. The first part is "each call costs
//! more", the second "more calls", with everything below them.

use crate::statistics::Arms;

use super::sums::{StratumSums, Sums};
use super::traces::{NodeNumber, Traces};

/// What a call did to the mean of the entry operation, microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Parts {
    /// Each call costs more.
    pub(super) time: f64,
    /// There are more of them, with everything below.
    pub(super) calls: f64,
    /// Each call and what is below it cost more: for calls whose callers do not change.
    pub(super) below: f64,
    /// As much of it as before is waited for longer, or no longer because something else runs beside it and takes
    /// longer: a part of `time`.
    pub(super) share: f64,
}

/// Rounds in which what calls itself is followed.
const ROUNDS_MAX: usize = 64;
/// Microseconds that no longer matter.
const SETTLED: f64 = 1e-9;

/// The parts of every call of a stratum, in the order of its sums. Their `time` and `calls` add up to the change of the
/// mean, unless an operation calls itself so deep that it is not followed to the end.
pub(super) fn attribute(traces: &Traces<'_>, sums: &StratumSums) -> Vec<Parts> {
    Graph::of(traces, sums).attribute(sums)
}

/// Two numbers, their average and their difference.
trait Both {
    fn middle(&self) -> f64;
    fn difference(&self) -> f64;
}

impl Both for Arms<f64> {
    fn middle(&self) -> f64 {
        f64::midpoint(self.baseline, self.candidate)
    }

    fn difference(&self) -> f64 {
        self.candidate - self.baseline
    }
}

/// How often a call is made for one of its caller's, and how long it takes.
#[derive(Clone, Copy, Default)]
struct Mean {
    rate: Arms<f64>,
    time: Arms<f64>,
    /// Microseconds by itself, waited for or not.
    own: Arms<f64>,
    /// Of `own`, how much is waited for.
    share: Arms<f64>,
}

/// From an operation to an operation, by their places in the graph.
#[derive(Clone, Copy, Debug)]
struct Edge {
    caller: usize,
    operation: usize,
}

/// Operations of a stratum, and who calls whom; place 0 is what calls the entry.
#[derive(Debug)]
pub(super) struct Graph {
    edges: Vec<Edge>,
    /// Edges by caller: those of place p are `by_caller[starts[p]..starts[p + 1]]`.
    by_caller: Vec<usize>,
    starts: Vec<usize>,
    /// Edges by operation, in their order: those of place p are `by_operation[ends[p - 1]..ends[p]]`.
    by_operation: Vec<usize>,
    ends: Vec<usize>,
    /// Places, callers before what they call, as far as nothing calls itself.
    order: Vec<usize>,
    /// Whether something calls itself, be it by way of others.
    is_round: bool,
}

impl Graph {
    /// Of the calls that a stratum has.
    pub(super) fn of(traces: &Traces<'_>, sums: &StratumSums) -> Self {
        let mut operations: Vec<u32> = sums
            .nodes
            .iter()
            .map(|(node, _)| traces.calls()[*node as usize].operation)
            .collect();
        operations.sort_unstable();
        operations.dedup();
        let place = |operation: u32| operations.binary_search(&operation).map_or(0, |place| place + 1);
        let edge = |node: NodeNumber| {
            let call = traces.calls()[node as usize];
            Edge {
                caller: call.caller.map_or(0, place),
                operation: place(call.operation),
            }
        };
        let edges: Vec<Edge> = sums.nodes.iter().map(|(node, _)| edge(*node)).collect();
        let mut by_caller: Vec<usize> = (0..edges.len()).collect();
        by_caller.sort_by_key(|&edge| edges[edge].caller);
        let starts = (0..operations.len() + 2)
            .map(|place| by_caller.partition_point(|&edge| edges[edge].caller < place))
            .collect();
        let mut by_operation: Vec<usize> = (0..edges.len()).collect();
        by_operation.sort_by_key(|&edge| edges[edge].operation);
        let ends = (0..=operations.len())
            .map(|place| by_operation.partition_point(|&edge| edges[edge].operation <= place))
            .collect();
        let mut graph = Self {
            edges,
            by_caller,
            starts,
            by_operation,
            ends,
            order: Vec::new(),
            is_round: false,
        };
        graph.put_in_order(operations.len() + 1);
        graph
    }

    /// The parts of the calls of a stratum, or of some of its traces: `sums` has the same calls.
    pub(super) fn attribute(&self, sums: &StratumSums) -> Vec<Parts> {
        let means = self.means(sums);
        let costs = self.costs(&means, sums);
        let visits = self.visits(&means, sums);
        let mut parts = Vec::with_capacity(sums.nodes.len());
        for (number, mean) in means.iter().enumerate() {
            let edge = self.edges[number];
            let below = Arms {
                baseline: costs[edge.operation].baseline,
                candidate: costs[edge.operation].candidate,
            };
            let visited = visits[edge.caller];
            let (rate, more) = (mean.rate.middle(), mean.rate.difference());
            let cost = Arms {
                baseline: mean.time.baseline + below.baseline,
                candidate: mean.time.candidate + below.candidate,
            };
            parts.push(Parts {
                time: visited * rate * mean.time.difference(),
                calls: visited * more * cost.middle(),
                below: visited * rate * cost.difference(),
                share: visited * rate * mean.own.middle() * mean.share.difference(),
            });
        }
        parts
    }

    /// The edges of the calls that an operation makes.
    fn made_by(&self, place: usize) -> &[usize] {
        &self.by_caller[self.starts[place]..self.starts[place + 1]]
    }

    /// The edges of the calls of an operation.
    fn calls_of(&self, place: usize) -> &[usize] {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.by_operation[start..self.ends[place]]
    }

    /// Depth first from the top; nothing recurses.
    fn put_in_order(&mut self, places: usize) {
        let mut is_seen = vec![false; places];
        let mut is_finished = vec![false; places];
        let mut finished = Vec::with_capacity(places);
        for top in 0..places {
            if is_seen[top] {
                continue;
            }
            is_seen[top] = true;
            let mut open = vec![(top, 0)];
            while let Some(last) = open.last_mut() {
                let (place, next) = *last;
                last.1 += 1;
                let Some(&edge) = self.made_by(place).get(next) else {
                    finished.push(place);
                    is_finished[place] = true;
                    open.pop();
                    continue;
                };
                let callee = self.edges[edge].operation;
                if !is_seen[callee] {
                    is_seen[callee] = true;
                    open.push((callee, 0));
                } else if !is_finished[callee] {
                    self.is_round = true;
                }
            }
        }
        finished.reverse();
        self.order = finished;
    }

    /// What one side never did is taken as on the other: it then makes no difference but by how often.
    fn means(&self, sums: &StratumSums) -> Vec<Mean> {
        let made = self.made(sums);
        let of_side = |callers: f64, sums: &Sums| {
            let rate = (callers > 0.0).then(|| sums.calls / callers);
            let time = (sums.calls > 0.0).then(|| sums.path / sums.calls);
            let own = (sums.calls > 0.0).then(|| sums.own / sums.calls);
            let share = (sums.own > 0.0).then(|| sums.path / sums.own);
            (rate, time, own, share)
        };
        let mean = |(edge, (_, arms)): (&Edge, &(NodeNumber, Arms<Sums>))| {
            let callers = made[edge.caller];
            let baseline = of_side(callers.baseline, &arms.baseline);
            let candidate = of_side(callers.candidate, &arms.candidate);
            Mean {
                rate: either(baseline.0, candidate.0),
                time: either(baseline.1, candidate.1),
                own: either(baseline.2, candidate.2),
                share: either(baseline.3, candidate.3),
            }
        };
        self.edges.iter().zip(&sums.nodes).map(mean).collect()
    }

    /// What everything below an operation costs on each side. What calls itself so deep that this never settles costs
    /// at most what all traces of the side took together.
    fn costs(&self, means: &[Mean], sums: &StratumSums) -> Vec<Arms<f64>> {
        let mut costs: Vec<Arms<f64>> = vec![Arms::default(); self.order.len()];
        for _ in 0..ROUNDS_MAX {
            let mut moved = 0.0f64;
            for &place in self.order.iter().rev() {
                let mut cost = Arms::<f64>::default();
                for &edge in self.made_by(place) {
                    let below = costs[self.edges[edge].operation];
                    let Mean { rate, time, .. } = means[edge];
                    cost.baseline += rate.baseline * (time.baseline + below.baseline);
                    cost.candidate += rate.candidate * (time.candidate + below.candidate);
                }
                moved = moved
                    .max((cost.baseline - costs[place].baseline).abs())
                    .max((cost.candidate - costs[place].candidate).abs());
                costs[place] = cost;
            }
            if moved < SETTLED || !self.is_round {
                return costs;
            }
        }
        let mut whole = Arms::<f64>::default();
        for (_, arms) in &sums.nodes {
            whole.baseline += arms.baseline.path;
            whole.candidate += arms.candidate.path;
        }
        for cost in &mut costs {
            cost.baseline = cost.baseline.min(whole.baseline);
            cost.candidate = cost.candidate.min(whole.candidate);
        }
        costs
    }

    /// How often an operation is met in a trace, at the average rates. Those of two sides may together be of calls that
    /// call each other more and more: such an operation is met no more often than on the side where it is met most.
    fn visits(&self, means: &[Mean], sums: &StratumSums) -> Vec<f64> {
        let mut visits = vec![0.0; self.order.len()];
        visits[0] = 1.0;
        if !self.is_round {
            for &place in &self.order {
                for &edge in self.calls_of(place) {
                    visits[place] += visits[self.edges[edge].caller] * means[edge].rate.middle();
                }
            }
            return visits;
        }
        for _ in 0..ROUNDS_MAX {
            let mut next = vec![0.0; visits.len()];
            next[0] = 1.0;
            for (edge, mean) in self.edges.iter().zip(means) {
                next[edge.operation] += visits[edge.caller] * mean.rate.middle();
            }
            let settled = visits
                .iter()
                .zip(&next)
                .all(|(old, new): (&f64, &f64)| (old - new).abs() < SETTLED);
            visits = next;
            if settled {
                return visits;
            }
        }
        let made = self.made(sums);
        for (visits, made) in visits.iter_mut().zip(&made) {
            let a_trace = |made: f64, traces: u64| made / traces.max(1) as f64;
            let most = a_trace(made.baseline, sums.traces.baseline)
                .max(a_trace(made.candidate, sums.traces.candidate));
            *visits = visits.min(most);
        }
        visits
    }

    /// How often operations were called on each side.
    fn made(&self, sums: &StratumSums) -> Vec<Arms<f64>> {
        let mut made: Vec<Arms<f64>> = vec![Arms::default(); self.order.len()];
        made[0] = sums.traces.map(|traces| traces as f64);
        for (edge, (_, arms)) in self.edges.iter().zip(&sums.nodes) {
            made[edge.operation].baseline += arms.baseline.calls;
            made[edge.operation].candidate += arms.candidate.calls;
        }
        made
    }
}

fn either(baseline: Option<f64>, candidate: Option<f64>) -> Arms<f64> {
    Arms {
        baseline: baseline.or(candidate).unwrap_or(0.0),
        candidate: candidate.or(baseline).unwrap_or(0.0),
    }
}

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

/// What happened to what nobody deployed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Elsewhere {
    /// What the baseline is multiplied by before a quantity is compared: never below 1, because what became faster
    /// elsewhere is no evidence that this became slower.
    pub(super) scale: f64,
    /// By how much the changes of different things differed, as a share: the standard deviation of what happens to
    /// one for no reason that is known.
    pub(super) spread: f64,
    /// How many things tell the spread.
    pub(super) told_by: usize,
}

/// Controls from which on they tell how much changes differ.
const TELLING_MIN: usize = 4;

impl Elsewhere {
    pub(super) const NOTHING: Self = Self {
        scale: 1.0,
        spread: 0.0,
        told_by: 0,
    };

    /// By the median, and the median distance from it, which some that somebody did change do not move. The spread has
    /// the error of the median in it, whose variance is π/2 times that of a mean.
    fn of(changes: &[f64]) -> Self {
        /// Of a normal distribution, by its median distance.
        const DEVIATION: f64 = 1.4826;
        let middle = median(changes);
        let mut away: Vec<f64> = changes.iter().map(|change| (change - middle).abs()).collect();
        away.sort_by(f64::total_cmp);
        let count = changes.len();
        let is_told = count >= TELLING_MIN;
        let error = (1.0 + std::f64::consts::FRAC_PI_2 / count.max(1) as f64).sqrt();
        Self {
            scale: 1.0 + middle.max(0.0),
            spread: if is_told {
                DEVIATION * median(&away) * error
            } else {
                0.0
            },
            told_by: count,
        }
    }
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

    /// What a quantity has to be compared with.
    pub(super) fn elsewhere(&self, what: What) -> Elsewhere {
        let own = Elsewhere::of(&self.own);
        match what {
            What::OwnTime { .. } | What::OwnTimeFor { .. } | What::CalleeTime(_) => own,
            What::OutgoingGap(_) | What::IncomingGap { .. } => {
                let gaps = Elsewhere::of(&self.gaps);
                let wider = if gaps.spread > own.spread { gaps } else { own };
                Elsewhere {
                    scale: gaps.scale.max(own.scale),
                    ..wider
                }
            }
            What::Calls(_) | What::Overlap { .. } | What::Errors { .. } => Elsewhere::NOTHING,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_elsewhere_is_told_by_the_middle() {
        // One of them is guilty itself.
        let elsewhere = Elsewhere::of(&[-0.02, 0.02, 0.06, 0.10, 0.12, 0.16, 9.0]);
        assert!((elsewhere.scale - 1.10).abs() < 1e-12);
        // Distances of 0, 0.02, 0.04, 0.06, 0.08, 0.12 and 8.9.
        // Times 1.4826, and the root of 1 + π/14.
        let expected = 0.06 * 1.4826 * 1.106_526;
        assert!((elsewhere.spread - expected).abs() < 1e-7, "{elsewhere:?}");
        assert_eq!(elsewhere.told_by, 7);
        let faster = Elsewhere::of(&[-0.3, -0.2, -0.1]);
        assert_eq!(
            (faster.scale, faster.spread),
            (1.0, 0.0),
            "three do not tell how they vary"
        );
    }
}

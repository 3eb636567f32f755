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

    /// What a quantity has to be compared with.
    pub(super) fn elsewhere(&self, what: What) -> Elsewhere {
        let own = Elsewhere::of(&self.own);
        match what {
            What::OwnTime { .. } | What::CalleeTime(_) => own,
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

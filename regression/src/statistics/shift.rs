//! By how much did the values move?

use std::borrow::Borrow;

use super::{
    Arms, DesignEffect, Histogram, Interval,
    distribution::critical,
    rank::{RankSum, TiedArms, comparable},
    search::{below, first},
};

/// The shift of Hodges and Lehmann with its interval: what must be taken from all values of the candidate so that
/// [`super::rank_test`] finds nothing, and the range in which it finds nothing at this `level` (0.95). So the
/// interval excludes 0 exactly if the p-value is below 1 − `level`.
///
/// In one stratum the estimate is the median of all differences between a candidate's and a baseline's value. Of
/// samples by [`Histogram::ln`] it is the logarithm of a ratio; [`Interval::exp`] makes it one.
///
/// `None` if the samples are too small for bounds at this level. It is found by bisection, each step linear in the
/// cells, so no pair is looked at by itself: at most 256 steps.
/// J. L. Hodges and E. L. Lehmann, "Estimates of location based on rank tests", 1963.
pub fn shift<H: Borrow<Histogram>>(
    strata: &[Arms<H>],
    level: f64,
    design_effect: DesignEffect,
) -> Option<Interval> {
    let critical = critical(level)?;
    let strata: Vec<_> = comparable(strata).map(TiedArms::new).collect();
    if strata.is_empty() {
        return None;
    }
    let excess = |shift| RankSum::of(&strata, shift).numerator();
    let z = |shift| RankSum::of(&strata, shift).z(design_effect);
    let low = first(|shift| z(shift) <= critical);
    // Many equal values may carry the statistic from one side to the other at once: the interval is that point.
    let high = below(first(|shift| z(shift) < -critical)).max(low);
    // All shifts between two differences may be as good: the middle.
    let estimate = f64::midpoint(
        first(|shift| excess(shift) <= 0.0),
        first(|shift| excess(shift) < 0.0),
    );
    Interval::new(estimate.clamp(low, high), low, high)
}

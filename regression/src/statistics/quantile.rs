//! Quantiles, how sure they are, and how much they changed.

use super::{
    Arms, DesignEffect, Histogram, Interval,
    distribution::{binomial_at_least, within_unit},
};

/// A quantile with an interval whose bounds are themselves values of the sample, so nothing is assumed about the
/// distribution.
///
/// How many of n values are at most the true quantile is binomial with probability `q`; the bounds are the nearest
/// values that it lies below, and above, with probability at most (1 − `level`)/2 each. With a design effect d it
/// is binomial in n/d, and ranks are counted in d. `None` if the sample is too small to bound this quantile.
pub fn quantile_interval(
    values: &Histogram,
    q: f64,
    level: f64,
    design_effect: DesignEffect,
) -> Option<Interval> {
    let outside = (1.0 - within_unit(level)?) / 2.0;
    let q = within_unit(q)?;
    let count = values.count();
    let factor = design_effect.factor();
    let at_least = |rank: u64| binomial_at_least(rank as f64 / factor, count as f64 / factor, q);
    let low = first_rank(count, |rank| 1.0 - at_least(rank) > outside) - 1;
    let high = first_rank(count, |rank| at_least(rank) <= outside);
    if low == 0 || high > count {
        return None;
    }
    Interval::new(values.quantile(q)?, values.at_rank(low)?, values.at_rank(high)?)
}

/// How much the candidate's quantile is greater than the baseline's. Of samples by [`Histogram::ln`] it is the
/// logarithm of a ratio.
///
/// The two intervals are combined by the squares of their sides (MOVER: G. Y. Zou and A. Donner, "Construction of
/// confidence limits about effect measures", 2008). `None` if one of them cannot be given.
pub fn quantile_difference(
    arms: Arms<&Histogram>,
    q: f64,
    level: f64,
    design_effect: DesignEffect,
) -> Option<Interval> {
    let baseline = quantile_interval(arms.baseline, q, level, design_effect)?;
    let candidate = quantile_interval(arms.candidate, q, level, design_effect)?;
    difference(baseline, candidate)
}

/// The difference of two independent estimates from their intervals, which need not be symmetric.
pub(super) fn difference(baseline: Interval, candidate: Interval) -> Option<Interval> {
    let estimate = candidate.estimate - baseline.estimate;
    Interval::new(
        estimate,
        estimate - (candidate.estimate - candidate.low).hypot(baseline.high - baseline.estimate),
        estimate + (candidate.high - candidate.estimate).hypot(baseline.estimate - baseline.low),
    )
}

/// The least rank from 1 to `count` at which `holds`, which stays true once it is; `count + 1` if at none.
fn first_rank(count: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut least, mut beyond) = (1, count.saturating_add(1));
    while least < beyond {
        let middle = least + (beyond - least) / 2;
        if holds(middle) {
            beyond = middle;
        } else {
            least = middle + 1;
        }
    }
    least
}

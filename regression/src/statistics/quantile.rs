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
    let away = about_upper(outside) * (q * (1.0 - q) * count as f64 * factor).sqrt();
    let (middle, half) = (q * count as f64, factor / 2.0);
    let low = first_rank(count, middle - away + half, |rank| 1.0 - at_least(rank) > outside) - 1;
    let high = first_rank(count, middle + away + half, |rank| at_least(rank) <= outside);
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

/// About the z that is exceeded with `probability` below a half: to begin a search at.
/// M. Abramowitz and I. A. Stegun, "Handbook of mathematical functions", 1964, 26.2.22.
fn about_upper(probability: f64) -> f64 {
    let t = (-2.0 * probability.ln()).sqrt();
    t - (2.30753 + 0.27061 * t) / (1.0 + 0.99229 * t + 0.04481 * t * t)
}

/// The least rank from 1 to `count` at which `holds`, which stays true once it is; `count + 1` if at none. It is looked
/// for around `about`, in steps that double.
fn first_rank(count: u64, about: f64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut least, mut beyond) = (1, count.saturating_add(1));
    if least == beyond {
        return least;
    }
    let begin = (about.ceil() as u64).clamp(1, beyond - 1);
    let is_beyond = holds(begin);
    if is_beyond {
        beyond = begin;
    } else {
        least = begin + 1;
    }
    let mut step = 1;
    while least < beyond {
        let next = if is_beyond {
            beyond.saturating_sub(step).max(least)
        } else {
            least.saturating_add(step - 1).min(beyond - 1)
        };
        let holds = holds(next);
        if holds {
            beyond = next;
        } else {
            least = next + 1;
        }
        if holds != is_beyond {
            break;
        }
        step = step.saturating_mul(2);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_is_found_wherever_it_is_looked_for_first() {
        for count in 0..40 {
            for least in 1..=count + 1 {
                for about in [
                    -1e300,
                    -1.0,
                    0.4,
                    1.0,
                    7.5,
                    20.0,
                    39.0,
                    40.0,
                    41.0,
                    1e300,
                    f64::NAN,
                ] {
                    let found = first_rank(count, about, |rank| rank >= least);
                    assert_eq!(found, least, "of {count}, from {about}");
                }
            }
        }
        for about in [5.0, 1e300] {
            assert_eq!(first_rank(u64::MAX, about, |_| false), u64::MAX);
        }
    }

    #[test]
    fn a_search_begins_where_the_bound_is_about() {
        for (probability, upper) in [(0.025, 1.96), (0.005, 2.576), (1e-6, 4.753)] {
            assert!((about_upper(probability) - upper).abs() < 0.01, "{probability}");
        }
    }
}

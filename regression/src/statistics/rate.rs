//! Did a count change: calls a trace, events a minute?

use std::borrow::Borrow;

use super::{
    Arms, DesignEffect, Histogram, RatioInterval,
    distribution::{binomial_at_least, two_sided_p, within_unit},
    mean::Moments,
    rank::comparable,
    search::first,
};

/// Events, and the time or the number of traces in which they could happen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// How many happened.
    pub events: u64,
    /// In any unit, the same in both arms.
    pub exposure: f64,
}

/// A comparison of two Poisson rates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoissonTest {
    /// Two-sided, exact.
    pub p_value: f64,
    /// The candidate's rate over the baseline's, with an exact interval.
    pub ratio: RatioInterval,
}

/// Compares the mean count of two arms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanScoreTest {
    /// Standard normal if nothing changed; positive if the candidate counts more.
    pub z: f64,
    /// Two-sided.
    pub p_value: f64,
    /// Variance over mean: 1 for Poisson counts, 0 for a count that never varies; `None` if nothing was counted.
    pub dispersion: Option<f64>,
}

/// Compares two rates exactly, where events are independent and only their sums are known: of all events, as many
/// as the candidate has are binomial with its share of the exposure. The two-sided p-value is twice the lesser
/// tail, so it agrees with the interval of Clopper and Pearson that bounds the ratio.
///
/// `None` without events or without exposure in an arm.
/// J. Przyborowski and H. Wilenski, "Homogeneity of results in testing samples from Poisson series", 1940.
pub fn poisson_test(arms: Arms<Rate>, level: f64) -> Option<PoissonTest> {
    let outside = (1.0 - within_unit(level)?) / 2.0;
    let share = within_unit(arms.candidate.exposure / (arms.baseline.exposure + arms.candidate.exposure))?;
    let (baseline, candidate) = (arms.baseline.events as f64, arms.candidate.events as f64);
    let events = baseline + candidate;
    if events <= 0.0 {
        return None;
    }
    let more = binomial_at_least(candidate, events, share);
    let fewer = binomial_at_least(baseline, events, 1.0 - share);
    // What the candidate's share of events would be at this ratio of rates, given by its logarithm.
    let share_at = |log: f64| share / (share + (1.0 - share) * (-log).exp());
    let low = first(|log| binomial_at_least(candidate, events, share_at(log)) >= outside).exp();
    let high = first(|log| binomial_at_least(baseline, events, 1.0 - share_at(log)) < outside).exp();
    let ratio = RatioInterval::new(
        (baseline > 0.0).then(|| candidate / baseline * (1.0 - share) / share),
        if candidate > 0.0 { low } else { 0.0 },
        (baseline > 0.0).then_some(high),
    )?;
    Some(PoissonTest {
        p_value: (2.0 * more.min(fewer)).min(1.0),
        ratio,
    })
}

/// Compares mean counts within strata, whatever their distribution: the score test of a quasi-Poisson rate, whose
/// variance is a multiple of the mean that the data give, and equally the limit of [`super::permutation_test`].
///
/// With x the candidate's mean, X and S² mean and variance of the whole stratum:
///
/// ```text
/// z = Σ m(x − X) / √(Σ S²·nm/N) / √(design effect)
/// ```
///
/// Counts that never varied and now differ are a change like any other, as the variance is that of both arms
/// together.
///
/// `None` if no stratum has two values or more in each arm.
/// N. Mantel, "Chi-square tests with one degree of freedom", 1963.
pub fn mean_score_test<H: Borrow<Histogram>>(
    strata: &[Arms<H>],
    design_effect: DesignEffect,
) -> Option<MeanScoreTest> {
    let (mut excess, mut variance, mut mean, mut any) = (0.0, 0.0, 0.0, false);
    for arms in comparable(strata) {
        any = true;
        let arms = arms.map(Moments::of);
        let whole = arms.baseline.and(arms.candidate);
        let weight = arms.baseline.count * arms.candidate.count / whole.count;
        // m(x̄ − X̄), without the loss of subtracting what contains it.
        excess += weight * (arms.candidate.mean - arms.baseline.mean);
        variance += weight * whole.variance();
        mean += weight * whole.mean;
    }
    let z = if variance > 0.0 {
        excess / (variance * design_effect.factor()).sqrt()
    } else {
        0.0
    };
    any.then(|| MeanScoreTest {
        z,
        p_value: two_sided_p(z),
        dispersion: Some(variance / mean).filter(|part| mean > 0.0 && part.is_finite()),
    })
}

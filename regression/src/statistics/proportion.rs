//! Did a proportion change: errors among requests, requests above a threshold?

use super::{
    Arms, DesignEffect, Interval,
    distribution::{critical, normal_upper, two_sided_p},
    exact::exact_test,
    quantile::difference,
};

/// Hits among a total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proportion {
    hits: u64,
    total: u64,
}

impl Proportion {
    /// More hits than the total are cut to it.
    pub fn new(hits: u64, total: u64) -> Self {
        Self {
            hits: hits.min(total),
            total,
        }
    }

    /// At most the total.
    pub fn hits(self) -> u64 {
        self.hits
    }

    /// How many could have been hits.
    pub fn total(self) -> u64 {
        self.total
    }
}

/// A comparison of proportions within strata.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProportionTest {
    /// Standard normal if nothing changed; positive if the candidate has more hits. Of an exact test it is the z
    /// with the same p-value.
    pub z: f64,
    /// Two-sided.
    pub p_value: f64,
    /// Hits were too few, or too many, for the normal distribution.
    pub exact: bool,
    /// The common difference of the proportions; their ratio is [`super::risk_ratio`].
    pub difference: Interval,
}

/// The sums over strata that a hypergeometric distribution of the candidate's hits gives, margins being fixed.
#[derive(Default)]
struct Margins {
    excess: f64,
    variance: f64,
    // How far the expected sum is from the least and the greatest possible.
    above_least: f64,
    below_greatest: f64,
}

/// The test of Cochran, Mantel and Haenszel, without correction for continuity; the exact conditional test where
/// the rule of Mantel and Fleiss says that it is too coarse: the expected sum of hits is less than 5 from its least
/// or greatest value.
///
/// With a the candidate's hits, K the stratum's, of n baseline and m candidate, N = n + m:
///
/// ```text
/// z = Σ (a − mK/N) / √(Σ nmK(N − K) / (N²(N − 1))) / √(design effect)
/// ```
///
/// `None` if no stratum has both arms.
/// N. Mantel and W. Haenszel, 1959; N. Mantel and J. L. Fleiss, 1980.
pub fn compare_proportions(
    strata: &[Arms<Proportion>],
    level: f64,
    design_effect: DesignEffect,
) -> Option<ProportionTest> {
    const EXPECTED_MIN: f64 = 5.0;

    let difference = proportion_difference(strata, level, design_effect)?;
    let mut sums = Margins::default();
    for arms in comparable(strata) {
        sums.add(arms);
    }
    let too_coarse = sums.above_least.min(sums.below_greatest) < EXPECTED_MIN;
    let exact = too_coarse.then(|| exact_test(strata)).flatten();
    let z = if let Some(exact) = exact {
        normal_upper(exact.p_value / 2.0)?.copysign(sums.excess)
    } else if sums.variance > 0.0 {
        sums.excess / sums.variance.sqrt()
    } else {
        0.0
    };
    let z = z / design_effect.factor().sqrt();
    Some(ProportionTest {
        z,
        p_value: two_sided_p(z),
        exact: exact.is_some(),
        difference,
    })
}

/// The common difference of proportions with the weights of Mantel and Haenszel, w = nm/N, and Newcombe's hybrid
/// score interval for it.
///
/// Each arm has a Wilson interval at its weighted proportion, as of 1/Σ(w²/n) values with weights that sum to 1;
/// the two are combined by the squares of their sides. In one stratum this is Newcombe's method 10. `None` if no
/// stratum has both arms.
/// R. G. Newcombe, "Interval estimation for the difference between independent proportions", 1998; X. Yan and X. G.
/// Su, "Stratified Wilson and Newcombe confidence intervals for multiple binomial proportions", 2010.
pub fn proportion_difference(
    strata: &[Arms<Proportion>],
    level: f64,
    design_effect: DesignEffect,
) -> Option<Interval> {
    let critical = critical(level)?;
    let weight = |arms: Arms<Proportion>| {
        let totals = arms.map(|arm| arm.total as f64);
        totals.baseline * totals.candidate / (totals.baseline + totals.candidate)
    };
    let weights: f64 = comparable(strata).map(weight).sum();
    if weights <= 0.0 {
        return None;
    }
    let mut shares = Arms::<f64>::default();
    let mut variances = Arms::<f64>::default();
    for arms in comparable(strata) {
        let weight = weight(arms) / weights;
        shares.baseline += weight * share(arms.baseline);
        shares.candidate += weight * share(arms.candidate);
        variances.baseline += weight * weight / arms.baseline.total as f64;
        variances.candidate += weight * weight / arms.candidate.total as f64;
    }
    let wilson =
        |share: f64, variance: f64| wilson(share, 1.0 / (variance * design_effect.factor()), critical);
    difference(
        wilson(shares.baseline, variances.baseline),
        wilson(shares.candidate, variances.candidate),
    )
}

/// The strata with something in both arms.
pub(super) fn comparable(strata: &[Arms<Proportion>]) -> impl Iterator<Item = Arms<Proportion>> + '_ {
    strata
        .iter()
        .copied()
        .filter(|arms| arms.baseline.total > 0 && arms.candidate.total > 0)
}

fn share(arm: Proportion) -> f64 {
    arm.hits as f64 / arm.total as f64
}

/// Wilson's score interval of a proportion of `count` values.
fn wilson(share: f64, count: f64, critical: f64) -> Interval {
    let share = share.clamp(0.0, 1.0);
    let square = critical * critical / count;
    let centre = share + square / 2.0;
    let half = critical * (share * (1.0 - share) / count + square / 4.0 / count).sqrt();
    Interval {
        estimate: share,
        low: ((centre - half) / (1.0 + square)).clamp(0.0, share),
        high: ((centre + half) / (1.0 + square)).clamp(share, 1.0),
    }
}

impl Margins {
    fn add(&mut self, arms: Arms<Proportion>) {
        let (n, m) = (arms.baseline.total as f64, arms.candidate.total as f64);
        let (total, hits) = (n + m, arms.baseline.hits as f64 + arms.candidate.hits as f64);
        let expected = m / total * hits;
        self.excess += arms.candidate.hits as f64 - expected;
        self.variance += n / total * (m / total) * hits * ((total - hits) / (total - 1.0));
        self.above_least += expected - (hits - n).max(0.0);
        self.below_greatest += hits.min(m) - expected;
    }
}

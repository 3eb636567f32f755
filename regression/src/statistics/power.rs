//! What a comparison could have seen: the other half of "nothing changed".

use super::{
    Arms, DesignEffect, Histogram,
    distribution::{normal_upper, within_unit},
    rank::{STRATUM_VALUES_MIN, TiedArms},
    search::first,
};

/// No comparison is planned with more than so many times the requests it has.
const GROWTH_MAX: f64 = 1e9;

/// What counts as found: by [`super::rank_test`] at a level, in most of many repetitions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    // How many standard errors the expected statistic must be away from zero.
    needed: f64,
}

/// A stratum of a comparison that is planned, or was made.
#[derive(Clone, Copy, Debug)]
pub struct PlannedStratum<'a> {
    /// How its values vary: the baseline's, by [`Histogram::ln`] if shifts are ratios.
    pub values: &'a Histogram,
    /// How many each arm has.
    pub counts: Arms<u64>,
}

/// Which arms will grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// Both in proportion: versions that serve at the same time.
    Both,
    /// The baseline is over.
    Candidate,
}

impl Detection {
    /// A two-sided p-value below `alpha` (0.05) with probability `power` (0.95); `None` unless both are between 0
    /// and 1.
    pub fn new(alpha: f64, power: f64) -> Option<Self> {
        let needed = normal_upper(within_unit(alpha)? / 2.0)? + normal_upper(1.0 - power)?;
        (needed > 0.0).then_some(Self { needed })
    }

    /// The smallest shift that would have been found; e to this power is a ratio, if the values are logarithms.
    /// `None` if none would, however large.
    ///
    /// It takes the distribution as it is. In a stratum, P is the probability that a shifted value is greater than
    /// another, and p are the shares of tied values:
    ///
    /// ```text
    /// expected z = Σ nm/(N + 1)·(P − ½) / √(Σ nm(1 − Σp³)/(12(N + 1))) / √(design effect)
    /// ```
    ///
    /// G. E. Noether, "Sample size determination for some common nonparametric tests", 1987.
    pub fn smallest_shift(&self, strata: &[PlannedStratum<'_>], design_effect: DesignEffect) -> Option<f64> {
        let plan = Plan::new(strata, design_effect);
        let shift = first(|shift| shift > 0.0 && plan.z(shift, NO_GROWTH) >= self.needed);
        shift.is_finite().then_some(shift)
    }

    /// How many more values of each arm it takes to find this `shift`; 0 if it would be found already. `None` if it
    /// takes more than 10⁹ times as many as there are, or cannot be found while the baseline stays as it is.
    pub fn missing(
        &self,
        shift: f64,
        strata: &[PlannedStratum<'_>],
        design_effect: DesignEffect,
        growth: Growth,
    ) -> Option<Arms<u64>> {
        let plan = Plan::new(strata, design_effect);
        let scale = |by: f64| match growth {
            Growth::Both => Arms {
                baseline: by,
                candidate: by,
            },
            Growth::Candidate => Arms {
                baseline: 1.0,
                candidate: by,
            },
        };
        let by = first(|by| by >= 1.0 && plan.z(shift.abs(), scale(by.min(GROWTH_MAX))) >= self.needed);
        if by.is_nan() || by > GROWTH_MAX {
            return None;
        }
        let scale = scale(by);
        let missing = |by: f64, count: f64| ((by - 1.0) * count).ceil() as u64;
        Some(Arms {
            baseline: missing(scale.baseline, plan.total(|counts| counts.baseline)),
            candidate: missing(scale.candidate, plan.total(|counts| counts.candidate)),
        })
    }
}

const NO_GROWTH: Arms<f64> = Arms {
    baseline: 1.0,
    candidate: 1.0,
};

/// Strata that can be compared, each against itself.
struct Plan<'a> {
    strata: Vec<(TiedArms<'a>, Arms<f64>)>,
    factor: f64,
}

impl<'a> Plan<'a> {
    fn new(strata: &[PlannedStratum<'a>], design_effect: DesignEffect) -> Self {
        let comparable = |stratum: &&PlannedStratum<'a>| {
            stratum.values.count() >= STRATUM_VALUES_MIN
                && stratum.counts.baseline > 0
                && stratum.counts.candidate > 0
        };
        let strata = strata.iter().filter(comparable).map(|stratum| {
            let twice = Arms {
                baseline: stratum.values,
                candidate: stratum.values,
            };
            (TiedArms::new(twice), stratum.counts.map(|count| count as f64))
        });
        Self {
            strata: strata.collect(),
            factor: design_effect.factor(),
        }
    }

    fn total(&self, of: impl Fn(&Arms<f64>) -> f64) -> f64 {
        self.strata.iter().map(|(_, counts)| of(counts)).sum()
    }

    /// The statistic to expect.
    fn z(&self, shift: f64, growth: Arms<f64>) -> f64 {
        let (mut numerator, mut variance) = (0.0, 0.0);
        for (values, counts) in &self.strata {
            let (n, m) = (
                counts.baseline * growth.baseline,
                counts.candidate * growth.candidate,
            );
            let weight = n * m / (n + m + 1.0);
            numerator += weight * values.advantage(-shift);
            variance += weight * values.untied_share() / 12.0;
        }
        if variance > 0.0 {
            numerator / (variance * self.factor).sqrt()
        } else {
            0.0
        }
    }
}

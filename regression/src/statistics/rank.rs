//! Did the values move? Ranks ask it of any distribution, and a few huge values do not drown the answer.

use std::borrow::Borrow;

use super::{Arms, DesignEffect, Histogram, distribution::two_sided_p, histogram::Cell};

/// Fewer values in an arm of a stratum say nothing about it: such strata are left out.
pub(super) const STRATUM_VALUES_MIN: u64 = 2;

/// A stratified rank test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankTest {
    /// Standard normal if nothing changed; positive if the candidate's values are greater.
    pub z: f64,
    /// Two-sided.
    pub p_value: f64,
    /// Probability of superiority: that a value of the candidate is greater than one of the baseline in its
    /// stratum, equal ones counting half. 0.5 is no effect, 1 is all greater.
    pub effect: f64,
    /// How many values were in strata that could be compared.
    pub compared: Arms<u64>,
}

impl RankTest {
    /// The effect from -1 (all less) to 1 (all greater).
    pub fn rank_biserial(&self) -> f64 {
        2.0 * self.effect - 1.0
    }
}

/// Mann-Whitney with tie correction, stratified after van Elteren: strata are weighted by 1/(N+1), which is optimal
/// when the shift is the same in all.
///
/// In a stratum with n baseline and m candidate values, N = n + m, of which t are tied at a value:
///
/// ```text
/// U = #(candidate > baseline) + #(candidate = baseline)/2
/// V = nm/12 · (N + 1 − Σ(t³ − t) / (N(N − 1)))
/// z = Σ (U − nm/2)/(N + 1) / √(Σ V/(N + 1)²) / √(design effect)
/// ```
///
/// `None` if no stratum has two values or more in each arm. Linear in the cells.
/// P. van Elteren, "On the combination of independent two-sample tests of Wilcoxon", 1960.
pub fn rank_test<H: Borrow<Histogram>>(strata: &[Arms<H>], design_effect: DesignEffect) -> Option<RankTest> {
    let mut sum = RankSum::default();
    let mut compared = Arms::default();
    for stratum in comparable(strata) {
        compared.baseline = stratum.baseline.count().saturating_add(compared.baseline);
        compared.candidate = stratum.candidate.count().saturating_add(compared.candidate);
        sum.add(&TiedArms::new(stratum), 0.0);
    }
    let z = sum.z(design_effect);
    (sum.pairs > 0.0).then(|| RankTest {
        z,
        p_value: two_sided_p(z),
        effect: (0.5 + sum.numerator / sum.pairs).clamp(0.0, 1.0),
        compared,
    })
}

/// The strata in which both arms have enough values.
pub(super) fn comparable<H: Borrow<Histogram>>(strata: &[Arms<H>]) -> impl Iterator<Item = Arms<&Histogram>> {
    strata
        .iter()
        .map(|arms| arms.as_ref().map(Borrow::borrow))
        .filter(|arms| arms.baseline.count().min(arms.candidate.count()) >= STRATUM_VALUES_MIN)
}

/// The two arms of a stratum with what does not depend on a shift between them.
pub(super) struct TiedArms<'a> {
    arms: Arms<&'a [Cell]>,
    counts: Arms<f64>,
    // Σ(t³−t) over the values of each arm.
    ties: f64,
}

impl<'a> TiedArms<'a> {
    pub(super) fn new(arms: Arms<&'a Histogram>) -> Self {
        let cells = arms.map(Histogram::cells);
        Self {
            arms: cells,
            counts: arms.map(|histogram| histogram.count() as f64),
            ties: ties(cells.baseline) + ties(cells.candidate),
        }
    }

    /// By how much the probability of superiority is more than a half, if `shift` is taken from all values of the
    /// candidate.
    pub(super) fn advantage(&self, shift: f64) -> f64 {
        self.superiority(shift).0 / (self.counts.baseline * self.counts.candidate) - 0.5
    }

    /// 1 − Σp³ over the baseline, p being the share of a value: by how much ties lessen the variance.
    pub(super) fn untied_share(&self) -> f64 {
        let shares = self
            .arms
            .baseline
            .iter()
            .map(|cell| cell.count as f64 / self.counts.baseline);
        1.0 - shares.map(|share| share.powi(3)).sum::<f64>()
    }

    /// U and the ties across the arms, if `shift` is taken from all values of the candidate.
    fn superiority(&self, shift: f64) -> (f64, f64) {
        let baseline = self.arms.baseline;
        let (mut superior, mut ties) = (0.0, 0.0);
        // How many of the baseline are less than, and not greater than, the value of the candidate.
        let (mut less, mut less_end) = (0.0, 0);
        let (mut not_greater, mut not_greater_end) = (0.0, 0);
        for cell in self.arms.candidate {
            while less_end < baseline.len() && cell.value - baseline[less_end].value > shift {
                less += baseline[less_end].count as f64;
                less_end += 1;
            }
            while not_greater_end < baseline.len() && cell.value - baseline[not_greater_end].value >= shift {
                not_greater += baseline[not_greater_end].count as f64;
                not_greater_end += 1;
            }
            let (count, equal) = (cell.count as f64, not_greater - less);
            superior += count * (less + equal / 2.0);
            // (a+b)³ − (a+b) is this much more than a³ − a and b³ − b.
            ties += 3.0 * count * equal * (count + equal);
        }
        (superior, ties)
    }
}

/// Sums over strata of van Elteren's statistic.
#[derive(Default)]
pub(super) struct RankSum {
    // Σ (U − nm/2)/(N+1).
    numerator: f64,
    variance: f64,
    // Σ nm/(N+1).
    pairs: f64,
}

impl RankSum {
    /// The statistic of all strata after `shift` is taken from the candidates.
    pub(super) fn of(strata: &[TiedArms<'_>], shift: f64) -> Self {
        let mut sum = Self::default();
        for stratum in strata {
            sum.add(stratum, shift);
        }
        sum
    }

    fn add(&mut self, stratum: &TiedArms<'_>, shift: f64) {
        let (superior, ties_across) = stratum.superiority(shift);
        let (n, m) = (stratum.counts.baseline, stratum.counts.candidate);
        let total = n + m;
        let pairs = n * m;
        let ties = (stratum.ties + ties_across) / (total * (total - 1.0));
        let variance = (pairs / 12.0 * (total + 1.0 - ties)).max(0.0);
        self.numerator += (superior - pairs / 2.0) / (total + 1.0);
        self.variance += variance / (total + 1.0) / (total + 1.0);
        self.pairs += pairs / (total + 1.0);
    }

    /// Σ (U − nm/2)/(N+1): zero if strata balance each other but for rounding.
    pub(super) fn numerator(&self) -> f64 {
        const ROUNDING: f64 = 1e-13;
        if self.numerator.abs() > ROUNDING * self.pairs {
            self.numerator
        } else {
            0.0
        }
    }

    /// Zero where nothing varies.
    pub(super) fn z(&self, design_effect: DesignEffect) -> f64 {
        if self.variance > 0.0 {
            self.numerator() / (self.variance * design_effect.factor()).sqrt()
        } else {
            0.0
        }
    }
}

fn ties(cells: &[Cell]) -> f64 {
    cells
        .iter()
        .map(|cell| cell.count as f64)
        .map(|count| count * (count * count - 1.0))
        .sum()
}

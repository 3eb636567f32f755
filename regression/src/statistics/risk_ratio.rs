//! How many times as often: a ratio of proportions with bounds that hold with no hits in an arm.

use super::{
    Arms, DesignEffect, Proportion, RatioInterval, distribution::critical, proportion::comparable,
    search::first,
};

/// Ratios are looked for from e⁻³⁰⁰ to e³⁰⁰.
const LOG_RATIO_MAX: f64 = 300.0;

/// The common ratio of the candidate's proportion to the baseline's, after Mantel and Haenszel, with the stratified
/// score interval of Miettinen and Nurminen.
///
/// With weights w = nm/N the interval holds the ratios R at which
///
/// ```text
/// Σ w(p₁ − R·p₀) / √(Σ w²·V(R)) / √(design effect)
/// ```
///
/// is within the critical values, V being the variance at the proportions that are most likely if R were true, with
/// their N/(N − 1). Its bounds are sound for few hits: with none in the baseline there is no upper bound, but a lower
/// one, which a ratio of logarithms would not have.
///
/// `None` without a hit in a stratum that has both arms.
/// O. Miettinen and M. Nurminen, "Comparative analysis of two rates", 1985.
pub fn risk_ratio(
    strata: &[Arms<Proportion>],
    level: f64,
    design_effect: DesignEffect,
) -> Option<RatioInterval> {
    let critical = critical(level)?;
    let tables: Vec<Table> = comparable(strata).map(Table::new).collect();
    let hits = tables.iter().fold(Arms::<f64>::default(), |sum, table| Arms {
        baseline: sum.baseline + table.weight * table.share_baseline(),
        candidate: sum.candidate + table.weight * table.share_candidate(),
    });
    if hits.baseline + hits.candidate <= 0.0 {
        return None;
    }
    let score = |log: f64| {
        let ratio = log.clamp(-LOG_RATIO_MAX, LOG_RATIO_MAX).exp();
        let (excess, variance) = tables.iter().fold((0.0, 0.0), |(excess, variance), table| {
            (excess + table.excess(ratio), variance + table.variance(ratio))
        });
        if excess == 0.0 {
            0.0
        } else {
            excess / (variance * design_effect.factor()).sqrt()
        }
    };
    // Without hits the bound is beyond every ratio, and not where the search ends.
    let low = (hits.candidate > 0.0).then(|| first(|log| score(log) <= critical).exp());
    let high = (hits.baseline > 0.0).then(|| first(|log| score(log) < -critical).exp());
    let estimate = (hits.baseline > 0.0).then(|| hits.candidate / hits.baseline);
    RatioInterval::new(estimate, low.unwrap_or(0.0), high)
}

/// One stratum.
struct Table {
    hits: Arms<f64>,
    totals: Arms<f64>,
    weight: f64,
}

impl Table {
    fn new(arms: Arms<Proportion>) -> Self {
        let totals = arms.map(|arm| arm.total() as f64);
        Self {
            hits: arms.map(|arm| arm.hits() as f64),
            totals,
            weight: totals.baseline * totals.candidate / (totals.baseline + totals.candidate),
        }
    }

    fn share_baseline(&self) -> f64 {
        self.hits.baseline / self.totals.baseline
    }

    fn share_candidate(&self) -> f64 {
        self.hits.candidate / self.totals.candidate
    }

    fn excess(&self, ratio: f64) -> f64 {
        self.weight * (self.share_candidate() - ratio * self.share_baseline())
    }

    fn variance(&self, ratio: f64) -> f64 {
        let Arms {
            baseline: n,
            candidate: m,
        } = self.totals;
        let total = n + m;
        // The most likely baseline proportion p, if the candidate's is p·ratio: the lesser root of total·ratio·p² −
        // b·p + c.
        let b = ratio * m + self.hits.candidate + n + ratio * self.hits.baseline;
        let c = self.hits.candidate + self.hits.baseline;
        let root = (b * b - 4.0 * total * ratio * c).max(0.0).sqrt();
        let baseline = (2.0 * c / (b + root)).clamp(0.0, 1.0);
        let candidate = (baseline * ratio).clamp(0.0, 1.0);
        let variance = candidate * (1.0 - candidate) / m + ratio * ratio * baseline * (1.0 - baseline) / n;
        self.weight * self.weight * variance * total / (total - 1.0)
    }
}

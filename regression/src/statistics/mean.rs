//! Means and ratios of sums, and how much they changed: what adds up to a contribution in microseconds.

use super::{Arms, DesignEffect, Histogram, Interval, distribution::critical_t};

/// Sums over independent units of a numerator and a denominator, of which the ratio is asked: time and calls of
/// traces for the time of a call, or time and traces of blocks for a mean whose variance is between blocks. Units
/// whose denominator is 1 make it a plain mean.
///
/// Sums merge by adding. They are exact for integers up to 2⁵³; beyond, a variance below 10⁻¹⁰ of the squared mean
/// is lost in rounding.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RatioSums {
    /// How many units.
    pub units: f64,
    /// Σ y.
    pub numerator: f64,
    /// Σ y².
    pub numerator_squares: f64,
    /// Σ x.
    pub denominator: f64,
    /// Σ x².
    pub denominator_squares: f64,
    /// Σ x·y.
    pub products: f64,
}

impl RatioSums {
    /// One unit more.
    pub fn add(&mut self, numerator: f64, denominator: f64) {
        self.merge(&Self {
            units: 1.0,
            numerator,
            numerator_squares: numerator * numerator,
            denominator,
            denominator_squares: denominator * denominator,
            products: numerator * denominator,
        });
    }

    /// The units of another.
    pub fn merge(&mut self, other: &Self) {
        self.units += other.units;
        self.numerator += other.numerator;
        self.numerator_squares += other.numerator_squares;
        self.denominator += other.denominator;
        self.denominator_squares += other.denominator_squares;
        self.products += other.products;
    }

    /// `count` values by their sum and the sum of their squares, of which the mean is asked.
    pub fn of_values(count: f64, sum: f64, squares: f64) -> Self {
        Self {
            units: count,
            numerator: sum,
            numerator_squares: squares,
            denominator: count,
            denominator_squares: count,
            products: sum,
        }
    }

    /// R = Σy / Σx; `None` if the denominators do not sum to more than 0.
    pub fn ratio(&self) -> Option<f64> {
        let ratio = self.numerator / self.denominator;
        (self.denominator > 0.0 && ratio.is_finite()).then_some(ratio)
    }

    /// Variance of the ratio between units: u/(u−1) · Σ(y − R·x)² / (Σx)². Of units with denominator 1 it is s²/u.
    /// `None` below two units.
    /// W. G. Cochran, "Sampling techniques", 1977, chapter 6.
    pub fn variance(&self) -> Option<f64> {
        let ratio = self.ratio()?;
        if self.units < 2.0 {
            return None;
        }
        let residuals =
            self.numerator_squares - 2.0 * ratio * self.products + ratio * ratio * self.denominator_squares;
        let variance =
            self.units / (self.units - 1.0) * residuals.max(0.0) / self.denominator / self.denominator;
        variance.is_finite().then_some(variance)
    }
}

/// The change of a ratio within strata, weighted by the candidate's denominators, that is by its traffic.
///
/// The interval is Student's, with the degrees of freedom of Welch and Satterthwaite, which matter when units are
/// few blocks. Strata with fewer than two units in an arm are left out; `None` if none is left. Nothing that varies
/// is an interval of one point.
pub fn ratio_difference(
    strata: &[Arms<RatioSums>],
    level: f64,
    design_effect: DesignEffect,
) -> Option<Interval> {
    let (mut weights, mut difference) = (0.0, 0.0);
    let (mut variance, mut by_freedom) = (0.0, 0.0);
    for arms in strata {
        let weight = arms.candidate.denominator;
        let parts = arms.as_ref().map(|sums| sums.ratio().zip(sums.variance()));
        let (Some((baseline, of_baseline)), Some((candidate, of_candidate))) =
            (parts.baseline, parts.candidate)
        else {
            continue;
        };
        weights += weight;
        difference += weight * (candidate - baseline);
        for (part, units) in [
            (of_baseline, arms.baseline.units),
            (of_candidate, arms.candidate.units),
        ] {
            let part = weight * weight * part;
            variance += part;
            by_freedom += part * part / (units - 1.0);
        }
    }
    let estimate = difference / weights;
    if variance <= 0.0 {
        return Interval::new(estimate, estimate, estimate);
    }
    let critical = critical_t(level, variance * variance / by_freedom)?;
    let half = critical * (variance * design_effect.factor()).sqrt() / weights;
    Interval::new(estimate, estimate - half, estimate + half)
}

/// Count, mean and sum of squared deviations, which lose nothing however large the mean is.
#[derive(Clone, Copy)]
pub(super) struct Moments {
    pub(super) count: f64,
    pub(super) mean: f64,
    deviations: f64,
}

impl Moments {
    /// Of a sample that is not empty.
    pub(super) fn of(values: &Histogram) -> Self {
        let count = values.count() as f64;
        let sum = |of: &dyn Fn(f64) -> f64| -> f64 {
            values
                .cells()
                .iter()
                .map(|cell| of(cell.value) * cell.count as f64)
                .sum()
        };
        // From a value of the sample, so that a constant is its own mean.
        let origin = values.cells().first().map_or(0.0, |cell| cell.value);
        let mean = origin + sum(&|value| value - origin) / count;
        Self {
            count,
            mean,
            deviations: sum(&|value| (value - mean) * (value - mean)),
        }
    }

    /// Both samples together.
    pub(super) fn and(self, other: Self) -> Self {
        let count = self.count + other.count;
        let apart = other.mean - self.mean;
        Self {
            count,
            mean: self.mean + apart * (other.count / count),
            deviations: self.deviations
                + other.deviations
                + apart * apart * (self.count * other.count / count),
        }
    }

    /// Of one value less than there are; of a single value 0.
    pub(super) fn variance(self) -> f64 {
        self.deviations / (self.count - 1.0).max(1.0)
    }
}

//! A comparison that may be looked at again and again while traffic arrives.

use std::borrow::Borrow;

use super::{
    Arms, DesignEffect, Histogram, Interval, distribution::within_unit, mean::Moments, rank::comparable,
};

/// With fewer values in an arm its variance is too little known for a bound that holds at all times.
const VALUES_MIN: f64 = 40.0;

/// A confidence sequence for a mean: the chance that the true value is ever outside, at any of any number of looks,
/// is at most `alpha`. It is the normal mixture of Robbins, asymptotic as the variance is estimated.
///
/// After n values with standard error s/√n the margin is
///
/// ```text
/// s/√n · √((1 + 1/(nr)) · (ln(nr + 1) − 2 ln α))
/// ```
///
/// narrowest against its peers at the n for which r was chosen, and never wrong at another.
/// S. R. Howard and others, "Time-uniform, nonparametric, nonasymptotic confidence sequences", 2021; I.
/// Waudby-Smith and others, "Time-uniform central limit theory and asymptotic confidence sequences", 2021.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormalMixture {
    alpha: f64,
    rate: f64,
}

/// What one look at the data says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SequenceLook {
    /// The difference of the means.
    pub difference: Interval,
    /// The least `alpha` at which the sequence excludes 0 now; it holds at every look.
    pub p_value: f64,
    /// As many values a side, if both sides had as many, strata were one and values independent.
    pub samples: f64,
}

impl NormalMixture {
    /// Narrowest near `samples` values a side (some hundreds). `None` unless 0 < `alpha` < 1 and `samples` is
    /// positive.
    pub fn new(alpha: f64, samples: f64) -> Option<Self> {
        let deviance = -2.0 * within_unit(alpha)?.ln();
        let rate = (deviance + deviance.ln_1p()) / samples;
        (rate > 0.0 && rate.is_finite()).then_some(Self { alpha, rate })
    }

    /// How far the true mean may be from one of `samples` values with this standard error.
    fn margin(&self, standard_error: f64, samples: f64) -> f64 {
        let growth = samples * self.rate;
        standard_error * ((1.0 + 1.0 / growth) * (growth.ln_1p() - 2.0 * self.alpha.ln())).sqrt()
    }

    /// Looks at the difference of means, meant of logarithms of durations ([`Histogram::ln`]), within strata with
    /// weights nm/N: those by which the information of each look adds to that of the last, so that a baseline which
    /// is complete, and one that grows with the candidate, are both allowed.
    ///
    /// The values must be all that came since the comparison began. `None` while an arm has fewer than 40
    /// independent values.
    pub fn look<H: Borrow<Histogram>>(
        &self,
        strata: &[Arms<H>],
        design_effect: DesignEffect,
    ) -> Option<SequenceLook> {
        let (mut weights, mut difference, mut variance) = (0.0, 0.0, 0.0);
        let mut counts = Arms::<f64>::default();
        for arms in comparable(strata) {
            let arms = arms.map(Moments::of);
            let (n, m) = (arms.baseline.count, arms.candidate.count);
            let weight = n * m / (n + m);
            counts.baseline += n;
            counts.candidate += m;
            weights += weight;
            difference += weight * (arms.candidate.mean - arms.baseline.mean);
            variance += weight * weight * (arms.baseline.variance() / n + arms.candidate.variance() / m);
        }
        let factor = design_effect.factor();
        if counts.baseline.min(counts.candidate) < VALUES_MIN * factor {
            return None;
        }
        let samples = 2.0 * weights / factor;
        let estimate = difference / weights;
        let standard_error = (variance * factor).sqrt() / weights;
        let margin = self.margin(standard_error, samples);
        Some(SequenceLook {
            difference: Interval::new(estimate, estimate - margin, estimate + margin)?,
            p_value: self.p_value(estimate, standard_error, samples),
            samples,
        })
    }

    /// The inverse of the margin: the α at which it equals the estimate.
    fn p_value(&self, estimate: f64, standard_error: f64, samples: f64) -> f64 {
        if estimate == 0.0 {
            return 1.0;
        }
        let growth = samples * self.rate;
        let z = estimate / standard_error;
        let evidence = z * z * growth / (1.0 + growth) - growth.ln_1p();
        (-evidence / 2.0).exp().min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values published with the method, at α = 0.05 and best at 300 values.
    #[test]
    fn margins_are_those_of_the_formula() {
        let mixture = NormalMixture::new(0.05, 300.0).unwrap();
        assert!((mixture.rate - 0.026_454).abs() < 1e-6);
        for (samples, margin) in [
            (10.0, 1.725_171),
            (30.0, 0.703_833),
            (100.0, 0.316_840),
            (300.0, 0.175_238),
            (1000.0, 0.098_263),
        ] {
            let found = mixture.margin(1.0 / f64::sqrt(samples), samples);
            assert!((found - margin).abs() < 1e-6, "{samples}: {found}");
        }
    }

    /// At the margin the p-value is alpha.
    #[test]
    fn p_value_and_margin_are_inverse() {
        let mixture = NormalMixture::new(0.01, 500.0).unwrap();
        for samples in [40.0, 500.0, 1e6] {
            let margin = mixture.margin(0.3, samples);
            assert!((mixture.p_value(margin, 0.3, samples) - 0.01).abs() < 1e-12);
        }
    }
}

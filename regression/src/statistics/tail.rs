//! A regression may live in the slowest requests only, where a test of all of them does not see it.

use std::borrow::Borrow;

use super::{
    Arms, DesignEffect, Histogram, Proportion, ProportionTest, RankTest, compare_proportions, rank_test,
};

/// What happened above a quantile of the baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tail {
    /// Are there more values above it?
    pub share: ProportionTest,
    /// Are those above it greater? `None` if there are too few.
    pub location: Option<RankTest>,
}

/// Compares the parts above the baseline's quantile `q` (0.9 to 0.99) of each stratum. What is equal to the
/// quantile is not above it.
///
/// That the threshold is itself estimated needs no correction: by construction the baseline's share above it hardly
/// varies, and the candidate's varies with it instead, by the amount the test assumes of the baseline's.
pub fn tail<H: Borrow<Histogram>>(
    strata: &[Arms<H>],
    q: f64,
    level: f64,
    design_effect: DesignEffect,
) -> Option<Tail> {
    let above: Vec<Arms<Histogram>> = strata
        .iter()
        .map(|arms| {
            let arms = arms.as_ref().map(Borrow::borrow);
            let threshold = arms.baseline.quantile(q);
            arms.map(|values| {
                threshold
                    .map(|threshold| values.above(threshold))
                    .unwrap_or_default()
            })
        })
        .collect();
    let shares: Vec<Arms<Proportion>> = strata
        .iter()
        .zip(&above)
        .map(|(arms, above)| Arms {
            baseline: Proportion::new(above.baseline.count(), arms.baseline.borrow().count()),
            candidate: Proportion::new(above.candidate.count(), arms.candidate.borrow().count()),
        })
        .collect();
    Some(Tail {
        share: compare_proportions(&shares, level, design_effect)?,
        location: rank_test(&above, design_effect),
    })
}

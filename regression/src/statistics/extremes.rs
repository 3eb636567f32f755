//! The farthest that samples could be apart, given all values together: what a test can find at most.

use std::borrow::Borrow;

use super::distribution::two_sided_p;
use super::rank::comparable;
use super::{Arms, DesignEffect, Histogram};

/// The two ways to divide the values of every stratum between its arms, of as many as they have, by which all of the
/// candidate's are at least as great as the baseline's, and at most.
///
/// Where values are tied, or few, even these are not far from each other.
pub fn extremes<H: Borrow<Histogram>>(strata: &[Arms<H>]) -> [Vec<Arms<Histogram>>; 2] {
    let divided = |is_greater: bool| {
        strata.iter().map(move |arms| {
            let arms = arms.as_ref().map(Borrow::borrow);
            let both = [arms.baseline, arms.candidate];
            let cells = both.iter().flat_map(|arm| arm.cells());
            let pooled: Histogram = cells.map(|cell| (cell.value, cell.count)).collect();
            if is_greater {
                let (baseline, candidate) = divide(&pooled, arms.baseline.count());
                Arms { baseline, candidate }
            } else {
                let (candidate, baseline) = divide(&pooled, arms.candidate.count());
                Arms { baseline, candidate }
            }
        })
    };
    [true, false].map(|is_greater| divided(is_greater).collect())
}

/// So many of the least values, and the rest.
fn divide(values: &Histogram, least: u64) -> (Histogram, Histogram) {
    let mut left = least;
    let counts = values.cells().iter().map(|cell| {
        let taken = cell.count.min(left);
        left -= taken;
        (cell.value, taken, cell.count - taken)
    });
    let counts: Vec<(f64, u64, u64)> = counts.collect();
    let low = counts.iter().map(|&(value, taken, _)| (value, taken));
    let high = counts.iter().map(|&(value, _, rest)| (value, rest));
    (low.collect(), high.collect())
}

/// The p-value of a rank test of samples of these sizes that are apart is at most this, whichever of their values are in
/// which arm. Where values are few or much tied it may be 1 although [`extremes`] are apart; it takes a fraction of their time.
///
/// All candidates at least as great as all of the baseline, of which t at most are the same, make U nm − (t/2)²/2 or more;
/// ties only lessen its variance, nm (N + 1)/12.
pub fn p_value_apart<H: Borrow<Histogram>>(strata: &[Arms<H>], design_effect: DesignEffect) -> f64 {
    let (mut numerator, mut variance) = (0.0, 0.0);
    for arms in comparable(strata) {
        let counts = arms.map(|values| values.count() as f64);
        let (pairs, total) = (
            counts.baseline * counts.candidate,
            counts.baseline + counts.candidate,
        );
        let most = arms.map(|values| values.cells().iter().map(|cell| cell.count).max().unwrap_or(0) as f64);
        let tied = most.baseline + most.candidate;
        numerator += (pairs / 2.0 - tied * tied / 8.0) / (total + 1.0);
        variance += pairs / 12.0 / (total + 1.0);
    }
    if numerator <= 0.0 || variance <= 0.0 {
        return 1.0;
    }
    two_sided_p(numerator / (variance * design_effect.factor()).sqrt())
}

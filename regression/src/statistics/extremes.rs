//! The farthest that samples could be apart, given all values together: what a test can find at most.

use std::borrow::Borrow;

use super::{Arms, Histogram};

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

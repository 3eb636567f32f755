//! A regression may live in the slowest requests only, where a test of all of them does not see it.

use std::borrow::Borrow;

use super::{Arms, Cell, DesignEffect, Histogram, Proportion, ProportionTest, compare_proportions};

/// Has one side more of the values that are above the quantile `q` (0.9 to 0.99) of both sides together, in each stratum?
/// What is equal to the quantile is not above it. `None` where nothing can be compared.
///
/// The quantile is that of both sides: above one of the baseline alone the candidate would have too many by chance where
/// a stratum has few values, and what is slow in one side only would be held against twice as much that is slow in both.
pub fn tail<H: Borrow<Histogram>>(
    strata: &[Arms<H>],
    q: f64,
    level: f64,
    design_effect: DesignEffect,
) -> Option<ProportionTest> {
    let share = |arms: &Arms<H>| {
        let arms = arms.as_ref().map(Borrow::borrow);
        let above = above(arms, q);
        Arms {
            baseline: Proportion::new(above.baseline, arms.baseline.count()),
            candidate: Proportion::new(above.candidate, arms.candidate.count()),
        }
    };
    let shares: Vec<Arms<Proportion>> = strata.iter().map(share).collect();
    compare_proportions(&shares, level, design_effect)
}

/// How many values of each side are above the quantile of both together.
fn above(arms: Arms<&Histogram>, q: f64) -> Arms<u64> {
    let all = arms.baseline.count().saturating_add(arms.candidate.count());
    // As many may be above the least value such that at least the share `q` of all is not greater.
    let most = all.saturating_sub((q.clamp(0.0, 1.0) * all as f64).ceil() as u64);
    let mut left = arms.map(Histogram::cells);
    let mut above = Arms::<u64>::default();
    while !(left.baseline.is_empty() && left.candidate.is_empty()) {
        let value = greatest(left.baseline).max(greatest(left.candidate));
        let equal = Arms {
            baseline: take(&mut left.baseline, value),
            candidate: take(&mut left.candidate, value),
        };
        let passed = [above.baseline, above.candidate, equal.baseline, equal.candidate];
        if passed.into_iter().fold(0, u64::saturating_add) > most {
            break;
        }
        above.baseline = above.baseline.saturating_add(equal.baseline);
        above.candidate = above.candidate.saturating_add(equal.candidate);
    }
    above
}

/// Below everything where nothing is left.
fn greatest(cells: &[Cell]) -> f64 {
    cells.last().map_or(f64::NEG_INFINITY, |cell| cell.value)
}

/// How often the greatest value is `value`; it is no longer there.
fn take(cells: &mut &[Cell], value: f64) -> u64 {
    match cells.split_last() {
        Some((last, others)) if last.value == value => {
            *cells = others;
            last.count
        }
        _ => 0,
    }
}

//! Ranks of few values, exactly: all ways to divide them between the arms are counted.

use std::borrow::Borrow;

use super::distribution::{normal_upper, two_sided_p};
use super::rank::{RankTest, comparable, rank_test};
use super::{Arms, DesignEffect, Histogram};

/// Pairs of a value of either arm, in all strata, beyond which the normal distribution serves.
const PAIRS_MAX: u64 = 400;
/// Sums of ranks that are equal within rounding are equally far from the middle.
const ROUNDING: f64 = 1e-9;

/// The sum of the candidate's midranks over all strata, of which every division of a stratum's values between the arms
/// is as probable, if nothing changed: Wilcoxon's test, with ties, two-sided by the distance from the mean. A design
/// effect divides the z that belongs to the p-value.
///
/// `None` if no stratum has two values or more in each arm, or if there are more than 400 pairs.
/// E. L. Lehmann, "Nonparametrics: statistical methods based on ranks", 1975, chapters 1 and 3.
pub fn exact_rank_test<H: Borrow<Histogram>>(
    strata: &[Arms<H>],
    design_effect: DesignEffect,
) -> Option<RankTest> {
    let mut pairs = 0u64;
    for arms in comparable(strata) {
        let of_stratum = arms.baseline.count().checked_mul(arms.candidate.count())?;
        pairs = pairs
            .checked_add(of_stratum)
            .filter(|&pairs| pairs <= PAIRS_MAX)?;
    }
    let approximate = rank_test(strata, design_effect)?;
    let (mut seen, mut ways) = (0, vec![1.0]);
    for arms in comparable(strata) {
        let ranks = DoubledRanks::of(arms);
        seen += ranks.of_candidate;
        ways = convolved(&ways, &ranks.ways(arms.candidate.count() as usize));
    }
    let all: f64 = ways.iter().sum();
    let by_sum = || {
        ways.iter()
            .enumerate()
            .map(|(sum, ways)| (sum as f64, ways / all))
    };
    let mean: f64 = by_sum().map(|(sum, share)| sum * share).sum();
    let away = seen as f64 - mean;
    let as_far = by_sum().filter(|(sum, _)| (sum - mean).abs() >= away.abs() - ROUNDING * mean);
    let p_value: f64 = as_far.map(|(_, share)| share).sum();
    let z = normal_upper(p_value.min(1.0) / 2.0)?.copysign(away) / design_effect.factor().sqrt();
    Some(RankTest {
        z,
        p_value: two_sided_p(z),
        ..approximate
    })
}

/// Midranks of a stratum, twice: integers.
struct DoubledRanks {
    /// Of every value.
    all: Vec<usize>,
    of_candidate: usize,
}

impl DoubledRanks {
    fn of(arms: Arms<&Histogram>) -> Self {
        let baseline = arms.baseline.cells().iter().map(|cell| (cell, false));
        let candidate = arms.candidate.cells().iter().map(|cell| (cell, true));
        let mut cells: Vec<(f64, usize, bool)> = baseline
            .chain(candidate)
            .map(|(cell, is_candidate)| (cell.value, cell.count as usize, is_candidate))
            .collect();
        cells.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut all, mut of_candidate) = (Vec::new(), 0);
        for tied in cells.chunk_by(|one, next| one.0 == next.0) {
            let count: usize = tied.iter().map(|(_, count, _)| count).sum();
            let rank = 2 * all.len() + count + 1;
            let candidate = tied.iter().filter(|(.., is_candidate)| *is_candidate);
            of_candidate += rank * candidate.map(|(_, count, _)| count).sum::<usize>();
            all.extend(std::iter::repeat_n(rank, count));
        }
        Self { all, of_candidate }
    }

    /// In how many ways so many of the values have each sum of ranks.
    fn ways(&self, chosen: usize) -> Vec<f64> {
        let greatest: usize = self.all.iter().rev().take(chosen).sum();
        // By how many were chosen, then by their sum.
        let mut ways = vec![vec![0.0; greatest + 1]; chosen + 1];
        ways[0][0] = 1.0;
        for &rank in &self.all {
            for count in (1..=chosen).rev() {
                let (fewer, more) = ways.split_at_mut(count);
                for (with, without) in more[0].iter_mut().skip(rank).zip(&fewer[count - 1]) {
                    *with += without;
                }
            }
        }
        ways.pop().unwrap_or_default()
    }
}

/// The ways to come to a sum of two.
fn convolved(one: &[f64], other: &[f64]) -> Vec<f64> {
    let mut joined = vec![0.0; one.len() + other.len() - 1];
    for (at, a) in one.iter().enumerate().filter(|(_, a)| **a > 0.0) {
        for (sum, b) in joined[at..].iter_mut().zip(other) {
            *sum += a * b;
        }
    }
    joined
}

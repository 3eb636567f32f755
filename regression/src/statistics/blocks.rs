//! Values of one minute on one instance resemble each other, so they say less than as many independent ones.

use std::collections::BTreeMap;

use super::{Histogram, Proportion};

/// By how much variances are greater than if all values were independent, at least 1: tests divide their z by its
/// root, and intervals are as much wider.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct DesignEffect(f64);

/// The values of a stratum that belong together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block<'a> {
    /// Which block: the same number in another stratum is the same block.
    pub number: u64,
    /// Its values in this stratum.
    pub values: &'a Histogram,
}

/// Scores of a block, and how many of all values are in it.
#[derive(Clone, Copy, Default)]
struct BlockSum {
    scores: f64,
    count: f64,
}

impl DesignEffect {
    /// Independent values.
    pub const NONE: Self = Self(1.0);

    /// Cut to 1 to 10⁶; what is no number is taken for 10⁶, with which nothing is significant.
    pub fn new(factor: f64) -> Self {
        const FACTOR_MAX: f64 = 1e6;
        if factor.is_nan() {
            Self(FACTOR_MAX)
        } else {
            Self(factor.clamp(1.0, FACTOR_MAX))
        }
    }

    /// At least 1, finite.
    pub fn factor(self) -> f64 {
        self.0
    }

    /// Of the ranks of one arm, for each stratum its blocks. It takes the baseline, so that a step within the
    /// candidate's time is not taken for noise.
    ///
    /// With r = (midrank in the stratum − its mean)/n, summed over the values of block b to S:
    ///
    /// ```text
    /// Σ S² / Σ r² / (1 − Σ (n_b/n)²)
    /// ```
    ///
    /// It is 1 on average when blocks do not matter: the last factor makes up for what centring takes away, as b/(b − 1) does
    /// for blocks of one size.
    ///
    /// `None` with fewer than two blocks. No variation at all is no effect.
    pub fn of_blocks(strata: &[Vec<Block<'_>>]) -> Option<Self> {
        let mut blocks = BTreeMap::<u64, BlockSum>::new();
        let mut squares = 0.0;
        for stratum in strata {
            let pooled: Histogram = stratum
                .iter()
                .flat_map(|block| block.values.cells())
                .map(|cell| (cell.value, cell.count))
                .collect();
            let scores = centred_ranks(&pooled);
            squares += pooled
                .cells()
                .iter()
                .zip(&scores)
                .map(|(cell, score)| cell.count as f64 * score * score)
                .sum::<f64>();
            for block in stratum {
                let sum = blocks.entry(block.number).or_default();
                let mut at = 0;
                for cell in block.values.cells() {
                    at += pooled.cells()[at..].partition_point(|pooled| pooled.value < cell.value);
                    sum.scores += cell.count as f64 * scores[at];
                    sum.count += cell.count as f64;
                }
            }
        }
        let sums: Vec<BlockSum> = blocks.into_values().collect();
        Self::from_sums(&sums, squares)
    }

    /// Of a proportion, whose hits may come in bursts: [`DesignEffect::of_blocks`] with S the block's hits less what
    /// the whole proportion p gives it, and n·p·(1 − p) in place of Σ r².
    pub fn of_proportions(blocks: &[Proportion]) -> Option<Self> {
        let total: f64 = blocks.iter().map(|block| block.total() as f64).sum();
        let hits: f64 = blocks.iter().map(|block| block.hits() as f64).sum();
        if total <= 0.0 {
            return None;
        }
        let share = hits / total;
        let sum = |block: &Proportion| BlockSum {
            scores: block.hits() as f64 - share * block.total() as f64,
            count: block.total() as f64,
        };
        let sums: Vec<BlockSum> = blocks.iter().map(sum).collect();
        Self::from_sums(&sums, total * share * (1.0 - share))
    }

    fn from_sums(blocks: &[BlockSum], squares: f64) -> Option<Self> {
        let total: f64 = blocks.iter().map(|block| block.count).sum();
        let kept = 1.0
            - blocks
                .iter()
                .map(|block| (block.count / total).powi(2))
                .sum::<f64>();
        if total <= 0.0 || kept < f64::EPSILON {
            return None;
        }
        if squares <= 0.0 {
            return Some(Self::NONE);
        }
        let between: f64 = blocks.iter().map(|block| block.scores * block.scores).sum();
        Some(Self::new(between / squares / kept))
    }
}

/// For each cell its midrank less the mean of all ranks, as a share of the count.
fn centred_ranks(pooled: &Histogram) -> Vec<f64> {
    let total = pooled.count() as f64;
    let mut passed = 0.0;
    pooled
        .cells()
        .iter()
        .map(|cell| {
            let count = cell.count as f64;
            let middle = passed + count / 2.0;
            passed += count;
            middle / total - 0.5
        })
        .collect()
}

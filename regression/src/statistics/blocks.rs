//! Values of one minute on one instance resemble each other, so they say less than as many independent ones.

use super::{Cell, Histogram, Proportion};

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
#[derive(Clone, Copy, Debug, Default)]
struct BlockSum {
    scores: f64,
    count: f64,
}

/// A value that a block has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockCell {
    /// In whatever unit the sample is.
    pub value: f64,
    /// The number of the block, from 0.
    pub block: u32,
    /// How often the block has it.
    pub count: u64,
}

/// Adds ranks up by block, stratum by stratum, of values that are sorted already: see [`DesignEffect::of_blocks`].
#[derive(Clone, Debug)]
pub struct BlockRanks {
    /// By number.
    blocks: Vec<BlockSum>,
    squares: f64,
    /// How often the value at hand is in each block, and in which it is.
    counts: Vec<u64>,
    met: Vec<u32>,
}

impl BlockRanks {
    /// Of so many blocks, numbered from 0.
    pub fn new(blocks: usize) -> Self {
        Self {
            blocks: vec![BlockSum::default(); blocks],
            squares: 0.0,
            counts: vec![0; blocks],
            met: Vec::new(),
        }
    }

    /// Adds a stratum: its values, and the same by block, ascending. Linear.
    ///
    /// # Panics
    /// If a block has another number than there are.
    pub fn add(&mut self, values: &Histogram, mut of_blocks: &[BlockCell]) {
        let scores = centred_ranks(values);
        let cells = values.cells().iter().zip(&scores);
        self.squares += cells
            .clone()
            .map(|(cell, score)| cell.count as f64 * score * score)
            .sum::<f64>();
        for (cell, score) in cells {
            let equal = of_blocks.iter().take_while(|part| part.value <= cell.value);
            let (equal, greater) = of_blocks.split_at(equal.count());
            of_blocks = greater;
            for part in equal {
                let count = &mut self.counts[part.block as usize];
                if *count == 0 {
                    self.met.push(part.block);
                }
                *count = count.saturating_add(part.count);
            }
            for block in self.met.drain(..) {
                let count = std::mem::take(&mut self.counts[block as usize]) as f64;
                let sum = &mut self.blocks[block as usize];
                sum.scores += count * score;
                sum.count += count;
            }
        }
    }

    /// See [`DesignEffect::of_blocks`].
    pub fn design_effect(&self) -> Option<DesignEffect> {
        let met: Vec<BlockSum> = self
            .blocks
            .iter()
            .filter(|block| block.count > 0.0)
            .copied()
            .collect();
        DesignEffect::from_sums(&met, self.squares)
    }
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
        let mut numbers: Vec<u64> = strata.iter().flatten().map(|block| block.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut ranks = BlockRanks::new(numbers.len());
        for stratum in strata {
            let cells = stratum.iter().flat_map(|block| {
                let number = numbers.partition_point(|&number| number < block.number) as u32;
                let cells = block.values.cells().iter();
                cells.map(move |&Cell { value, count }| BlockCell {
                    value,
                    block: number,
                    count,
                })
            });
            let mut cells: Vec<BlockCell> = cells.collect();
            cells.sort_unstable_by(|a, b| a.value.total_cmp(&b.value));
            let pooled: Histogram = cells.iter().map(|cell| (cell.value, cell.count)).collect();
            ranks.add(&pooled, &cells);
        }
        ranks.design_effect()
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// As the formula of [`DesignEffect::of_blocks`] says, value by value.
    fn by_the_formula(strata: &[Vec<(u64, f64)>]) -> Option<f64> {
        let mut sums = BTreeMap::<u64, (f64, f64)>::new();
        let (mut squares, mut total) = (0.0, 0.0);
        for values in strata {
            let count = values.len() as f64;
            for &(block, value) in values {
                let less = values.iter().filter(|other| other.1 < value).count() as f64;
                let equal = values.iter().filter(|other| other.1 == value).count() as f64;
                let score = (less + equal / 2.0) / count - 0.5;
                squares += score * score;
                let sum = sums.entry(block).or_default();
                sum.0 += score;
                sum.1 += 1.0;
            }
            total += count;
        }
        let kept = 1.0 - sums.values().map(|sum| (sum.1 / total).powi(2)).sum::<f64>();
        let between: f64 = sums.values().map(|sum| sum.0 * sum.0).sum();
        let factor = if squares > 1e-12 {
            between / squares / kept
        } else {
            1.0
        };
        (kept > 1e-12).then_some(factor.max(1.0))
    }

    proptest! {
        #[test]
        fn ranks_are_added_up_as_the_formula_says(
            strata in prop::collection::vec(prop::collection::vec((0u64..4, 0u8..6), 1..30), 1..4),
        ) {
            let strata: Vec<Vec<(u64, f64)>> = strata
                .into_iter()
                .map(|values| values.into_iter().map(|(block, value)| (block, f64::from(value))).collect())
                .collect();
            let of_block = |values: &Vec<(u64, f64)>, number: u64| -> Histogram {
                values.iter().filter(|value| value.0 == number).map(|value| value.1).collect()
            };
            let histograms: Vec<Vec<Histogram>> = strata
                .iter()
                .map(|values| (0..4).map(|number| of_block(values, number)).collect())
                .collect();
            let blocks: Vec<Vec<Block<'_>>> = histograms
                .iter()
                .map(|all| (0..).zip(all).map(|(number, values)| Block { number, values }).collect())
                .collect();
            let found = DesignEffect::of_blocks(&blocks).map(DesignEffect::factor);
            match (found, by_the_formula(&strata)) {
                (Some(found), Some(expected)) => prop_assert!((found - expected).abs() < 1e-9, "{found} {expected}"),
                (found, expected) => prop_assert_eq!(found, expected),
            }
        }
    }
}

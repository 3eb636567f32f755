//! Did a mean change? Asked of the data alone: in how many random divisions into arms does it change as much?

use std::borrow::Borrow;

use super::{Arms, Histogram, Random, rank::comparable};

/// More rounds are not drawn.
pub const PERMUTATION_ROUNDS_MAX: u32 = 100_000;

/// Of larger samples [`super::mean_score_test`] says the same.
const VALUES_MAX: u64 = 100_000;

/// Sums of the same values in another order are equal within this part.
const ROUNDING: f64 = 1e-9;

/// The two-sided p-value of the difference of means, if in each stratum any division of the values into arms of
/// these sizes were as likely: (1 + as extreme) / (1 + `rounds`), so never 0.
///
/// The same seed gives the same answer. Costs `rounds` times the values of the smaller arms. `None` if no stratum
/// has two values or more in each arm, or with more than 100,000 values.
/// B. Phipson and G. K. Smyth, "Permutation p-values should never be zero", 2010.
pub fn permutation_test<H: Borrow<Histogram>>(strata: &[Arms<H>], rounds: u32, seed: u64) -> Option<f64> {
    let total = comparable(strata)
        .map(|arms| arms.baseline.count().saturating_add(arms.candidate.count()))
        .fold(0, u64::saturating_add);
    if total == 0 || total > VALUES_MAX {
        return None;
    }
    let mut pools: Vec<Pool> = comparable(strata).map(Pool::new).collect();
    let seen: f64 = pools.iter().map(Pool::excess).sum();
    let scale: f64 = pools
        .iter()
        .flat_map(|pool| &pool.values)
        .map(|value| value.abs())
        .sum();
    let threshold = seen.abs() - ROUNDING * scale;
    let rounds = rounds.min(PERMUTATION_ROUNDS_MAX);
    let mut random = Random::new(seed);
    let extreme = (0..rounds)
        .filter(|_| {
            let excess: f64 = pools.iter_mut().map(|pool| pool.draw(&mut random)).sum();
            excess.abs() >= threshold
        })
        .count();
    Some((1 + extreme) as f64 / (1.0 + f64::from(rounds)))
}

/// The values of a stratum less their mean, those of the smaller arm first.
struct Pool {
    values: Vec<f64>,
    smaller: usize,
    // Whether more in the smaller arm is more in the candidate.
    sign: f64,
}

impl Pool {
    fn new(arms: Arms<&Histogram>) -> Self {
        let candidate_is_smaller = arms.candidate.count() < arms.baseline.count();
        let (smaller, larger, sign) = if candidate_is_smaller {
            (arms.candidate, arms.baseline, 1.0)
        } else {
            (arms.baseline, arms.candidate, -1.0)
        };
        let mut values: Vec<f64> = [smaller, larger]
            .into_iter()
            .flat_map(Histogram::cells)
            .flat_map(|cell| std::iter::repeat_n(cell.value, cell.count as usize))
            .collect();
        let mean = values
            .iter()
            .map(|value| value / values.len() as f64)
            .sum::<f64>();
        values.iter_mut().for_each(|value| *value -= mean);
        Self {
            values,
            smaller: smaller.count() as usize,
            sign,
        }
    }

    /// By how much the candidate's sum is more than its part of the whole.
    fn excess(&self) -> f64 {
        self.sign * self.values[..self.smaller].iter().sum::<f64>()
    }

    /// The same of another division: the first steps of a shuffle.
    fn draw(&mut self, random: &mut Random) -> f64 {
        for at in 0..self.smaller {
            let from = at + random.below(self.values.len() - at);
            self.values.swap(at, from);
        }
        self.excess()
    }
}

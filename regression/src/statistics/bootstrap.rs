//! An interval for anything that can be computed from blocks, when no formula gives one.

use super::{Arms, Interval, Random, distribution::within_unit};

/// More rounds are not drawn.
pub const BOOTSTRAP_ROUNDS_MAX: u32 = 10_000;

/// The percentile interval of a statistic over resampled blocks: in each of `rounds` (2,000) as many blocks as each
/// arm has are drawn from it with replacement. The same seed and order of blocks give the same answer.
///
/// Blocks must be independent of each other; with fewer than about ten a side the interval is too narrow, as
/// everything is that has seen so few. Rounds in which the statistic is `None` or not finite are left out. `None`
/// with fewer than two blocks in an arm, or if half of the rounds are left out.
/// B. Efron, "Bootstrap methods: another look at the jackknife", 1979.
pub fn block_bootstrap<B>(
    blocks: Arms<&[B]>,
    statistic: impl Fn(Arms<&[&B]>) -> Option<f64>,
    rounds: u32,
    level: f64,
    seed: u64,
) -> Option<Interval> {
    let outside = (1.0 - within_unit(level)?) / 2.0;
    if blocks.baseline.len().min(blocks.candidate.len()) < 2 {
        return None;
    }
    let mut drawn = blocks.map(|blocks| blocks.iter().collect::<Vec<&B>>());
    let estimate = statistic(drawn.as_ref().map(Vec::as_slice))?;
    let rounds = rounds.min(BOOTSTRAP_ROUNDS_MAX);
    let mut random = Random::new(seed);
    let mut answers: Vec<f64> = (0..rounds)
        .filter_map(|_| {
            for (drawn, all) in [
                (&mut drawn.baseline, blocks.baseline),
                (&mut drawn.candidate, blocks.candidate),
            ] {
                drawn.fill_with(|| &all[random.below(all.len())]);
            }
            statistic(drawn.as_ref().map(Vec::as_slice)).filter(|answer| answer.is_finite())
        })
        .collect();
    if answers.is_empty() || answers.len() * 2 < rounds as usize {
        return None;
    }
    answers.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| answers[(share * (answers.len() - 1) as f64).round() as usize];
    Interval::new(estimate, at(outside), at(1.0 - outside))
}

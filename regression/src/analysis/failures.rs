//! Whether more calls fail: few of them make a share that is far from what it will be, and they come in bursts.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use crate::statistics::{
    Arms, DesignEffect, ErrorProcess, Histogram, Proportion, ProportionTest, compare_proportions,
};

use super::evidence::{Change, Observed};
use super::side::Side;

/// Failures of the side that fails more below which nothing is said.
const FAILURES_MIN: usize = 3;
/// Blocks in which there must be some.
const BLOCKS_MIN: usize = 2;

impl Observed<'_> {
    /// Of values that are above 0 where a call failed: Newcombe's interval, which is never beyond what a share can be,
    /// and a p-value that is exact where failures are few. Fewer than three, or all at one moment, say nothing.
    pub(super) fn change_of_failures(
        &self,
        strata: &[Arms<&Histogram>],
        design_effect: DesignEffect,
    ) -> Option<Change> {
        let shares = shares(strata);
        let ProportionTest {
            difference, p_value, ..
        } = compare_proportions(&shares, 0.95, design_effect)?;
        // With the weights of the difference, which are those of Mantel and Haenszel.
        let (mut failed, mut weights) = (0.0, 0.0);
        for arms in &shares {
            let (n, m) = (arms.baseline.total() as f64, arms.candidate.total() as f64);
            if n > 0.0 && m > 0.0 {
                failed += m / (n + m) * arms.baseline.hits() as f64;
                weights += n * m / (n + m);
            }
        }
        let worse = if difference.estimate > 0.0 {
            Side::Candidate
        } else {
            Side::Baseline
        };
        Some(Change {
            interval: difference,
            baseline: failed / weights,
            p_value: if self.fails_often(|side| side == worse) {
                p_value
            } else {
                1.0
            },
        })
    }

    /// The p-value of failures that are divided like this, if those that there are could be of one side.
    pub(super) fn least_of_failures(&self, strata: &[Arms<Histogram>], design_effect: DesignEffect) -> f64 {
        let test = compare_proportions(&shares(strata), 0.95, design_effect);
        test.filter(|_| self.fails_often(|_| true))
            .map_or(1.0, |test| test.p_value)
    }

    fn fails_often(&self, is_asked: impl Fn(Side) -> bool) -> bool {
        let failures = self.observations.iter().filter(|found| found.numerator > 0.0);
        let of_side = failures
            .map(|found| self.seen(found))
            .filter(|seen| is_asked(seen.side));
        let mut blocks: Vec<u64> = of_side.map(|seen| seen.block).collect();
        let count = blocks.len();
        blocks.sort_unstable();
        blocks.dedup();
        count >= FAILURES_MIN && blocks.len() >= BLOCKS_MIN
    }

    /// Whose the failures of each entry operation are, minute by minute: what holds however often it is asked.
    pub(super) fn followed_failures(&self) -> ErrorProcess {
        #[derive(Clone, Copy, Default)]
        struct Minute {
            requests: u64,
            failed: u64,
        }
        let mut process = ErrorProcess::default();
        for of_stratum in self.by_stratum() {
            let mut minutes = BTreeMap::<u64, Arms<Minute>>::new();
            for found in of_stratum {
                let seen = self.seen(found);
                let minute = seen.side.of_mut(minutes.entry(seen.minute()).or_default());
                minute.requests += 1;
                minute.failed += u64::from(found.numerator > 0.0);
            }
            for Arms { baseline, candidate } in minutes.into_values() {
                let share = candidate.requests as f64 / (baseline.requests + candidate.requests) as f64;
                process.record(candidate.failed, baseline.failed, share);
            }
        }
        process
    }
}

fn shares<H: Borrow<Histogram>>(strata: &[Arms<H>]) -> Vec<Arms<Proportion>> {
    let share = |values: &Histogram| Proportion::new(values.above(0.0).count(), values.count());
    let shares = |arms: &Arms<H>| arms.as_ref().map(|values| share(values.borrow()));
    strata.iter().map(shares).collect()
}

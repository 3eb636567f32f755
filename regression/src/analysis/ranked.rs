//! Observations of a quantity in the order of their values. They are sorted once: multiplying the baseline, as what
//! happened elsewhere asks for, leaves it in order.

use crate::statistics::{Arms, BlockCell, BlockRanks, DesignEffect, Histogram};

use super::evidence::Observed;
use super::family::Observation;
use super::side::Side;

/// See the head of this file. Strata in their order.
#[derive(Debug)]
pub(super) struct Ranked<'a> {
    observed: &'a Observed<'a>,
    /// How many observations either side has.
    pub(super) counts: Arms<u64>,
    strata: Vec<RankedStratum>,
}

#[derive(Debug)]
struct RankedStratum {
    /// Per call, ascending, each with the number of its block.
    baseline: Vec<(f64, u32)>,
    candidate: Histogram,
}

impl<'a> Ranked<'a> {
    pub(super) fn of(observed: &'a Observed<'a>) -> Self {
        let mut counts = Arms::<u64>::default();
        let of_stratum = |observations: &[Observation]| {
            let (baseline, candidate) = observed.sides(observations);
            counts.baseline += baseline.len() as u64;
            counts.candidate += candidate.len() as u64;
            let block = |found: &Observation| observed.compared[found.position as usize].block_number;
            let mut baseline: Vec<(f64, u32)> = baseline
                .iter()
                .map(|found| (found.per_call(), block(found)))
                .collect();
            baseline.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            let value = |found: &Observation| observed.scale.value(found.per_call());
            RankedStratum {
                baseline,
                candidate: candidate.iter().map(value).collect(),
            }
        };
        let strata = observed.by_stratum().map(of_stratum).collect();
        Self {
            observed,
            counts,
            strata,
        }
    }

    /// The values of the baseline times `scale`, by stratum, and how much more their blocks differ than independent
    /// values would.
    pub(super) fn baselines(&self, scale: f64) -> (Vec<Histogram>, DesignEffect) {
        let mut ranks = BlockRanks::new(self.observed.blocks);
        let mut cells: Vec<BlockCell> = Vec::new();
        let of_stratum = |stratum: &RankedStratum| {
            cells.clear();
            cells.extend(stratum.baseline.iter().map(|&(per_call, block)| BlockCell {
                value: self.observed.scale.value(per_call * scale),
                block,
                count: 1,
            }));
            let values: Histogram = cells.iter().map(|cell| cell.value).collect();
            ranks.add(&values, &cells);
            values
        };
        let baselines = self.strata.iter().map(of_stratum).collect();
        (baselines, ranks.design_effect().unwrap_or(DesignEffect::NONE))
    }

    /// Both sides of each stratum, by what [`Self::baselines`] gave.
    pub(super) fn strata<'s>(&'s self, baselines: &'s [Histogram]) -> Vec<Arms<&'s Histogram>> {
        let strata = self.strata.iter().zip(baselines);
        strata
            .map(|(stratum, baseline)| Arms {
                baseline,
                candidate: &stratum.candidate,
            })
            .collect()
    }
}

impl Observed<'_> {
    /// Of a stratum: the baseline comes first.
    pub(super) fn sides<'o>(&self, of_stratum: &'o [Observation]) -> (&'o [Observation], &'o [Observation]) {
        let from = of_stratum.partition_point(|found| self.seen(found).side == Side::Baseline);
        of_stratum.split_at(from)
    }
}

//! Whether a quantity changed, and by how much: within strata, over blocks, in the middle and in the tail.

use crate::statistics::{
    Arms, Block, DesignEffect, Histogram, Interval, Proportion, RatioSums, compare_proportions,
    mean_score_test, rank_test, ratio_difference, tail,
};

use super::comparison::Compared;
use super::family::{Observation, Scale};
use super::population::MINUTE;
use super::side::Side;
use super::traces::Traces;

/// The quantile above which the tail is.
const TAIL: f64 = 0.95;
/// Observations a side below which nothing is said.
const OBSERVATIONS_MIN: u64 = 8;
/// Questions that are asked of a quantity: its middle, its mean, its tail.
const QUESTIONS: f64 = 3.0;

/// What was seen of a quantity.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    pub(super) requests: Arms<u64>,
    /// Per call; of the baseline, weighted by the candidate's traffic.
    pub(super) baseline_mean: f64,
    /// Of the mean per call.
    pub(super) change: Interval,
    /// That nothing changed; the least of what was asked, made up for asking more than once.
    pub(super) p_value: f64,
    pub(super) design_effect: DesignEffect,
}

impl Evidence {
    /// Of the baseline's mean; infinite where there was none.
    pub(super) fn relative(&self) -> f64 {
        ratio(self.change.estimate, self.baseline_mean)
    }
}

pub(super) fn ratio(change: f64, baseline: f64) -> f64 {
    if baseline > 0.0 {
        change / baseline
    } else if change == 0.0 {
        0.0
    } else {
        f64::INFINITY.copysign(change)
    }
}

/// How the mean of a quantity changed between some of its observations.
#[derive(Clone, Copy, Debug)]
pub(super) struct MeanChange {
    pub(super) estimate: f64,
    pub(super) standard_error: f64,
    pub(super) baseline_mean: f64,
    pub(super) observations: Arms<u64>,
}

impl MeanChange {
    pub(super) fn relative(&self) -> f64 {
        ratio(self.estimate, self.baseline_mean)
    }

    /// How many standard errors it is away from `expected`.
    pub(super) fn z(&self, expected: f64) -> f64 {
        if self.standard_error > 0.0 {
            (self.estimate - expected) / self.standard_error
        } else {
            0.0
        }
    }
}

/// The observations of one quantity with what is known of their traces.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observed<'a> {
    pub(super) traces: &'a Traces<'a>,
    pub(super) compared: &'a [Compared],
    pub(super) observations: &'a [Observation],
    pub(super) scale: Scale,
    /// Whether both sides are of the same minutes.
    pub(super) is_concurrent: bool,
}

/// A trace of an observation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// Its number.
    pub(super) trace: u32,
    pub(super) side: Side,
    /// Microseconds.
    pub(super) timestamp: u64,
    pub(super) block: u64,
}

impl Seen {
    pub(super) fn minute(&self) -> u64 {
        self.timestamp / MINUTE
    }

    /// The instance of the block.
    pub(super) fn instance(&self) -> u32 {
        (self.block & 0xff_ffff) as u32
    }
}

impl<'a> Observed<'a> {
    pub(super) fn seen(&self, observation: &Observation) -> Seen {
        let compared = &self.compared[observation.position as usize];
        Seen {
            trace: compared.trace,
            side: compared.side,
            timestamp: self.traces.all()[compared.trace as usize].profile.timestamp,
            block: compared.block,
        }
    }

    fn stratum(&self, observation: &Observation) -> u32 {
        self.compared[observation.position as usize].stratum
    }

    /// Observations of one stratum after the other.
    fn by_stratum(&self) -> impl Iterator<Item = &'a [Observation]> + '_ {
        self.observations
            .chunk_by(|one, next| self.stratum(one) == self.stratum(next))
    }

    /// Looks at all of them. `scale` is what the baseline is multiplied by first: what changed everywhere else.
    pub(super) fn evidence(&self, scale: f64) -> Option<Evidence> {
        let mut strata: Vec<Arms<Histogram>> = Vec::new();
        let mut blocks: Vec<Vec<(u64, Histogram)>> = Vec::new();
        for of_stratum in self.by_stratum() {
            let from = of_stratum.partition_point(|found| self.seen(found).side == Side::Baseline);
            let (baseline, candidate) = of_stratum.split_at(from);
            let value = |observation: &Observation, scale: f64| (self.value(observation, scale), 1);
            strata.push(Arms {
                baseline: baseline.iter().map(|found| value(found, scale)).collect(),
                candidate: candidate.iter().map(|found| value(found, 1.0)).collect(),
            });
            let block = |found: &Observation| self.seen(found).block;
            let of_block = baseline.chunk_by(|one, next| block(one) == block(next));
            blocks.push(
                of_block
                    .map(|same| {
                        (
                            block(&same[0]),
                            same.iter().map(|found| value(found, scale)).collect(),
                        )
                    })
                    .collect(),
            );
        }
        let requests = strata.iter().fold(Arms::<u64>::default(), |sum, arms| Arms {
            baseline: sum.baseline + arms.baseline.count(),
            candidate: sum.candidate + arms.candidate.count(),
        });
        if requests.baseline.min(requests.candidate) < OBSERVATIONS_MIN {
            return None;
        }
        let blocks: Vec<Vec<Block<'_>>> = blocks
            .iter()
            .map(|of_stratum| {
                let block = |(number, values)| Block { number, values };
                of_stratum
                    .iter()
                    .map(|(number, values)| block((*number, values)))
                    .collect()
            })
            .collect();
        let design_effect = DesignEffect::of_blocks(&blocks).unwrap_or(DesignEffect::NONE);
        let (change, baseline_mean) = self.change(scale)?;
        let p_value = self.p_value(&strata, design_effect, &change);
        Some(Evidence {
            requests,
            baseline_mean,
            change,
            p_value,
            design_effect,
        })
    }

    fn value(&self, observation: &Observation, scale: f64) -> f64 {
        let value = observation.numerator / observation.denominator * scale;
        match self.scale {
            Scale::Time => bucketed(value),
            Scale::Count => value,
            Scale::Share => f64::from(u8::from(value > 0.0)),
        }
    }

    fn p_value(&self, strata: &[Arms<Histogram>], design_effect: DesignEffect, change: &Interval) -> f64 {
        match self.scale {
            Scale::Time => {}
            Scale::Count => return mean_score_test(strata, design_effect).map_or(1.0, |test| test.p_value),
            Scale::Share => return share_p_value(strata, design_effect),
        }
        let agrees = |z: f64| z * change.estimate >= 0.0;
        let middle = rank_test(strata, design_effect)
            .filter(|test| agrees(test.z))
            .map_or(1.0, |test| test.p_value);
        let above = tail(strata, TAIL, 0.95, design_effect)
            .filter(|tail| agrees(tail.share.z))
            .map_or(1.0, |tail| tail.share.p_value);
        (middle.min(above) * QUESTIONS).min(1.0)
    }

    /// The change of the mean within strata, weighted by the candidate's calls, with its interval over blocks; and the
    /// baseline's mean with the same weights.
    fn change(&self, scale: f64) -> Option<(Interval, f64)> {
        let mut strata: Vec<Arms<RatioSums>> = Vec::new();
        let (mut baseline, mut weights) = (0.0, 0.0);
        for of_stratum in self.by_stratum() {
            let sums = self.ratio_sums(of_stratum, scale, |seen| Some(seen.side));
            if let Some(mean) = sums.baseline.ratio() {
                baseline += mean * sums.candidate.denominator;
                weights += sums.candidate.denominator;
            }
            strata.push(sums);
        }
        let interval = ratio_difference(&strata, 0.95, DesignEffect::NONE)?;
        Some((interval, if weights > 0.0 { baseline / weights } else { 0.0 }))
    }

    /// Sums of each side over the blocks of a stratum, of what `side` gives a side.
    fn ratio_sums(
        &self,
        of_stratum: &[Observation],
        scale: f64,
        side: impl Fn(&Seen) -> Option<Side>,
    ) -> Arms<RatioSums> {
        let mut sums = Arms::<RatioSums>::default();
        let mut open: Option<(Side, u64, f64, f64)> = None;
        let close = |sums: &mut Arms<RatioSums>, open: Option<(Side, u64, f64, f64)>| {
            if let Some((side, _, numerator, denominator)) = open {
                side.of_mut(sums).add(numerator, denominator);
            }
        };
        for found in of_stratum {
            let seen = self.seen(found);
            let Some(side) = side(&seen) else { continue };
            let scale = if seen.side == Side::Baseline { scale } else { 1.0 };
            match &mut open {
                Some((of, block, numerator, denominator)) if (*of, *block) == (side, seen.block) => {
                    *numerator += found.numerator * scale;
                    *denominator += found.denominator;
                }
                _ => {
                    close(&mut sums, open.take());
                    open = Some((side, seen.block, found.numerator * scale, found.denominator));
                }
            }
        }
        close(&mut sums, open);
        sums
    }

    /// The change of the mean between sides that `side` gives; `None` where no stratum has both.
    pub(super) fn mean_change(&self, side: impl Fn(&Seen) -> Option<Side>) -> Option<MeanChange> {
        let (mut weights, mut estimate, mut baseline, mut variance) = (0.0, 0.0, 0.0, 0.0);
        let mut observations = Arms::default();
        for of_stratum in self.by_stratum() {
            let sums = self.ratio_sums(of_stratum, 1.0, &side);
            let (Some(before), Some(after)) = (sums.baseline.ratio(), sums.candidate.ratio()) else {
                continue;
            };
            let (Some(of_before), Some(of_after)) = (sums.baseline.variance(), sums.candidate.variance())
            else {
                continue;
            };
            let weight = sums.candidate.denominator;
            weights += weight;
            estimate += weight * (after - before);
            baseline += weight * before;
            variance += weight * weight * (of_before + of_after);
            observations.baseline += sums.baseline.denominator as u64;
            observations.candidate += sums.candidate.denominator as u64;
        }
        (weights > 0.0).then(|| MeanChange {
            estimate: estimate / weights,
            standard_error: variance.sqrt() / weights,
            baseline_mean: baseline / weights,
            observations,
        })
    }
}

/// Exact where hits are few.
fn share_p_value(strata: &[Arms<Histogram>], design_effect: DesignEffect) -> f64 {
    let share = |values: &Histogram| Proportion::new(values.above(0.0).count(), values.count());
    let shares: Vec<Arms<Proportion>> = strata.iter().map(|arms| arms.as_ref().map(share)).collect();
    compare_proportions(&shares, 0.95, design_effect).map_or(1.0, |test| test.p_value)
}

/// The middle of its bucket, of 64 an octave: tests are linear in distinct values.
fn bucketed(value: f64) -> f64 {
    /// Of the 52 bits behind the octave, those that are not told apart.
    const LOST: u32 = 52 - 6;
    let bits = value.max(0.0).to_bits();
    f64::from_bits(bits >> LOST << LOST | 1 << (LOST - 1))
}

impl Observed<'_> {
    /// Of each stratum the logarithms of the baseline, and how many values each side has.
    pub(super) fn logarithms(&self) -> Vec<(Histogram, Arms<u64>)> {
        let of_stratum = |observations: &[Observation]| {
            let from = observations.partition_point(|found| self.seen(found).side == Side::Baseline);
            let baseline: Histogram = observations[..from]
                .iter()
                .map(|found| (self.value(found, 1.0), 1))
                .collect();
            let counts = Arms {
                baseline: from as u64,
                candidate: (observations.len() - from) as u64,
            };
            (baseline.ln(), counts)
        };
        self.by_stratum().map(of_stratum).collect()
    }

    /// Both sides of each stratum as values whose mean a sequence can follow: logarithms of times.
    pub(super) fn followed(&self) -> Vec<Arms<Histogram>> {
        let of_stratum = |observations: &[Observation]| {
            let from = observations.partition_point(|found| self.seen(found).side == Side::Baseline);
            let (baseline, candidate) = observations.split_at(from);
            let values = |observations: &[Observation]| {
                let values: Histogram = observations
                    .iter()
                    .map(|found| (self.value(found, 1.0), 1))
                    .collect();
                if self.scale == Scale::Time {
                    values.ln()
                } else {
                    values
                }
            };
            Arms {
                baseline: values(baseline),
                candidate: values(candidate),
            }
        };
        self.by_stratum().map(of_stratum).collect()
    }
}

//! Whether a quantity changed, and by how much: within strata, over blocks, in the middle and in the tail.

use std::borrow::Borrow;

use crate::statistics::{
    Arms, ClusteredDifference, DesignEffect, Histogram, Interval, RankTest, Unit, clustered_difference,
    exact_rank_test, extremes, mean_score_test, p_value_apart, rank_test, tail,
};

use super::comparison::Compared;
use super::controls::Elsewhere;
use super::family::{Observation, Scale};
use super::population::MINUTE;
use super::ranked::Ranked;
use super::side::Side;
use super::traces::Traces;

/// Quantiles above which tails are: what happens to one request in twenty shows above the first, what happens to fewer
/// above the second.
const TAILS: [f64; 2] = [0.95, 0.98];
/// Observations a side below which nothing is said.
const OBSERVATIONS_MIN: u64 = 8;
/// The same where few are compared exactly.
const FEW_OBSERVATIONS_MIN: u64 = 6;
/// What a quantity's chance to be found wrongly is divided into: the question for its middle, and those for its tails,
/// where what is there at all is far from small. That its mean changed is asked besides, which makes no chance greater.
pub(super) const MIDDLE: f64 = 0.8;
const TAIL_PART: f64 = (1.0 - MIDDLE) / TAILS.len() as f64;
/// Less than any level divided by the members of a family.
const SURELY_FOUND: f64 = 1e-12;

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
    /// The least that it could have been, given how many values there are and which are alike.
    pub(super) least_p_value: f64,
    pub(super) design_effect: DesignEffect,
    /// Probability that a value of the candidate is greater than one of the baseline.
    pub(super) superiority: f64,
}

/// How much a quantity changed, and whether.
pub(super) struct Change {
    pub(super) interval: Interval,
    /// Of the baseline, with the same weights.
    pub(super) baseline: f64,
    /// See [`Evidence`].
    pub(super) p_value: f64,
}

impl Evidence {
    /// Whether the mean changed at all, at 95 %.
    pub(super) fn is_sure(&self) -> bool {
        self.change.low > 0.0 || self.change.high < 0.0
    }

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
    /// To hold against quantiles of the normal distribution, however few blocks tell it.
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
    /// How many blocks the comparison has.
    pub(super) blocks: usize,
    pub(super) observations: &'a [Observation],
    pub(super) scale: Scale,
    /// Whether both sides are of the same minutes.
    pub(super) is_concurrent: bool,
    /// So few that they are ranked exactly, and nothing else is asked of them.
    pub(super) is_small: bool,
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

    /// When the block was.
    fn period(&self) -> u64 {
        self.block >> 24
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
    pub(super) fn by_stratum(&self) -> impl Iterator<Item = &'a [Observation]> + '_ {
        self.observations
            .chunk_by(|one, next| self.stratum(one) == self.stratum(next))
    }

    /// Looks at all of them: how much they changed, and how much more than what is elsewhere, beyond what varies there.
    /// What did not grow, or that nothing elsewhere is known of, is the same twice.
    pub(super) fn evidence(&self, elsewhere: Elsewhere) -> (Option<Evidence>, Option<Evidence>) {
        let needed = if self.is_small {
            FEW_OBSERVATIONS_MIN
        } else {
            OBSERVATIONS_MIN
        };
        let ranked = Ranked::of(self);
        if ranked.counts.baseline.min(ranked.counts.candidate) < needed {
            return (None, None);
        }
        let raw = self.evidence_beyond(&ranked, Elsewhere::NOTHING);
        let is_more = raw.as_ref().is_some_and(|raw| raw.change.estimate > 0.0);
        let adjusted = if is_more && elsewhere != Elsewhere::NOTHING {
            self.evidence_beyond(&ranked, elsewhere)
        } else {
            raw.clone()
        };
        (raw, adjusted)
    }

    fn evidence_beyond(&self, ranked: &Ranked<'_>, elsewhere: Elsewhere) -> Option<Evidence> {
        let (baselines, design_effect) = ranked.baselines(elsewhere.scale);
        let strata = ranked.strata(&baselines);
        let ranks = rank_test(&strata, design_effect);
        let change = if self.scale == Scale::Share {
            self.change_of_failures(&strata, design_effect)?
        } else {
            self.change(&strata, design_effect, ranks.as_ref(), elsewhere)?
        };
        Some(Evidence {
            requests: ranked.counts,
            baseline_mean: change.baseline,
            change: change.interval,
            p_value: change.p_value,
            least_p_value: self.least_p_value(&strata, design_effect),
            design_effect,
            superiority: ranks.map_or(0.5, |test| test.effect),
        })
    }

    /// Of what is a time or a number.
    fn change(
        &self,
        strata: &[Arms<&Histogram>],
        design_effect: DesignEffect,
        ranks: Option<&RankTest>,
        elsewhere: Elsewhere,
    ) -> Option<Change> {
        let whole = self.difference(elsewhere.scale, |seen| Some(seen.side))?;
        let varying = whole.and_varies(elsewhere.spread * whole.baseline, elsewhere.told_by);
        let interval = varying.interval(0.95)?;
        let p_value = self.p_value(strata, design_effect, ranks, &interval);
        Some(Change {
            interval,
            baseline: whole.baseline,
            p_value,
        })
    }

    fn value(&self, observation: &Observation) -> f64 {
        self.scale.value(observation.per_call())
    }

    fn p_value(
        &self,
        strata: &[Arms<&Histogram>],
        design_effect: DesignEffect,
        ranks: Option<&RankTest>,
        change: &Interval,
    ) -> f64 {
        if self.scale == Scale::Count {
            return mean_score_test(strata, design_effect).map_or(1.0, |test| test.p_value);
        }
        if self.is_small {
            return ranks_of_few(strata, design_effect, ranks);
        }
        let agrees = |z: f64| z * change.estimate >= 0.0;
        let middle = ranks
            .filter(|test| agrees(test.z))
            .map_or(1.0, |test| test.p_value);
        let above = TAILS.map(|quantile| {
            tail(strata, quantile, 0.95, design_effect)
                .filter(|tail| agrees(tail.z))
                .map_or(1.0, |tail| tail.p_value)
        });
        let above = above.into_iter().fold(1.0, f64::min);
        (middle / MIDDLE).min(above / TAIL_PART).min(1.0)
    }

    /// Of the test for the middle, if all values of one side were beyond the other's.
    fn least_p_value(&self, strata: &[Arms<&Histogram>], design_effect: DesignEffect) -> f64 {
        // What can be found at any level that a family divides into needs no closer look.
        if self.scale == Scale::Time && !self.is_small {
            let apart = p_value_apart(strata, design_effect);
            if apart < SURELY_FOUND {
                return apart;
            }
        }
        let of_times = |strata: &[Arms<Histogram>]| {
            let ranks = rank_test(strata, design_effect);
            if self.is_small {
                return ranks_of_few(strata, design_effect, ranks.as_ref());
            }
            ranks.map_or(1.0, |test| test.p_value)
        };
        let of = |strata: &Vec<Arms<Histogram>>| match self.scale {
            Scale::Count => mean_score_test(strata, design_effect).map_or(1.0, |test| test.p_value),
            Scale::Share => self.least_of_failures(strata, design_effect),
            Scale::Time => of_times(strata),
        };
        extremes(strata).iter().map(of).fold(1.0, f64::min)
    }

    /// The change of the mean between sides that `side` gives; `None` where no stratum has both.
    pub(super) fn mean_change(&self, side: impl Fn(&Seen) -> Option<Side>) -> Option<MeanChange> {
        let found = self.difference(1.0, side)?;
        Some(MeanChange {
            estimate: found.estimate,
            standard_error: found.standard_error(),
            baseline_mean: found.baseline,
            observations: found.denominators.map(|sum| sum as u64),
        })
    }

    /// The change of the mean within strata, weighted by the candidate's calls, between sides that `side` gives.
    /// `scale` is what the baseline is multiplied by.
    fn difference(&self, scale: f64, side: impl Fn(&Seen) -> Option<Side>) -> Option<ClusteredDifference> {
        let units = |observations: &[Observation]| {
            let mut units = Arms::<Vec<Unit>>::default();
            for found in observations {
                let seen = self.seen(found);
                let Some(side) = side(&seen) else { continue };
                let scale = if seen.side == Side::Baseline { scale } else { 1.0 };
                side.of_mut(&mut units).push(Unit {
                    numerator: found.numerator * scale,
                    denominator: found.denominator,
                    place: u64::from(seen.instance()),
                    period: seen.period(),
                });
            }
            units
        };
        let strata: Vec<Arms<Vec<Unit>>> = self.by_stratum().map(units).collect();
        clustered_difference(&strata)
    }
}

impl Scale {
    /// What is ranked of a quantity per call: greater, or the same, where that is greater.
    pub(super) fn value(self, per_call: f64) -> f64 {
        match self {
            Self::Time => bucketed(per_call),
            Self::Count => per_call,
            Self::Share => f64::from(u8::from(per_call > 0.0)),
        }
    }
}

/// Exactly where that can be done, else by `ranks`.
fn ranks_of_few<H: Borrow<Histogram>>(
    strata: &[Arms<H>],
    design_effect: DesignEffect,
    ranks: Option<&RankTest>,
) -> f64 {
    let exact = exact_rank_test(strata, design_effect);
    exact.as_ref().or(ranks).map_or(1.0, |test| test.p_value)
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
        let values =
            |observations: &[Observation]| observations.iter().map(|found| self.value(found)).collect();
        let of_stratum = |observations| {
            let (baseline, candidate) = self.sides(observations);
            let counts = Arms {
                baseline: baseline.len() as u64,
                candidate: candidate.len() as u64,
            };
            let baseline: Histogram = values(baseline);
            (baseline.ln(), counts)
        };
        self.by_stratum().map(of_stratum).collect()
    }

    /// Both sides of each stratum as values whose mean a sequence can follow: logarithms of times.
    pub(super) fn followed(&self) -> Vec<Arms<Histogram>> {
        let values = |observations: &[Observation]| {
            let values: Histogram = observations.iter().map(|found| self.value(found)).collect();
            if self.scale == Scale::Time {
                values.ln()
            } else {
                values
            }
        };
        let of_stratum = |observations| {
            let (baseline, candidate) = self.sides(observations);
            Arms {
                baseline: values(baseline),
                candidate: values(candidate),
            }
        };
        self.by_stratum().map(of_stratum).collect()
    }
}

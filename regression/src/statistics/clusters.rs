//! How much a mean changed where what happens in the same place at the same time resembles each other, whatever stratum
//! it is in, and the time after resembles it too.

use std::ops::Range;

use super::distribution::{critical, critical_t, two_sided_p_t};
use super::{Arms, Interval};

/// Blocks of one size from which on an arm tells how they vary.
const BLOCKS_MIN: f64 = 6.0;
/// How many times the variance of independent units is taken where no arm tells. On real traces whose minutes were as
/// different as they get, 6.8 to 8.6 were measured.
const UNKNOWN_EFFECT: f64 = 8.0;
/// Pairs of neighbouring blocks that tell how much of one is in the next.
const NEIGHBOURS_MIN: usize = 8;
/// More persistence than this is not made up for: then nearly nothing is known.
const PERSISTENCE_MAX: f64 = 0.8;

/// What one unit adds to the two sums of a ratio, and where and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unit {
    /// y.
    pub numerator: f64,
    /// x.
    pub denominator: f64,
    /// Where. Places have nothing in common.
    pub place: u64,
    /// When; the next number is the time after it. Place and period are a block, in every stratum the same.
    pub period: u64,
}

/// How a ratio of sums changed within strata, weighted by the candidate's denominators.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClusteredDifference {
    /// Of the ratio, the candidate's less the baseline's.
    pub estimate: f64,
    /// The baseline's ratio with the same weights.
    pub baseline: f64,
    /// Sums of what was compared.
    pub denominators: Arms<f64>,
    variance: f64,
    freedom: f64,
}

/// Compares Σy/Σx of the arms within strata, weighted by the candidate's Σx, with a variance between blocks.
///
/// A unit moves the estimate, to first order, by e = w·(y − R·x)/Σx, where R and Σx are of its arm and stratum and w
/// is the stratum's weight. With n units of an arm in a stratum, e is made greater by √(n/(n − 1)), for what R takes.
/// For each arm, S being the sum of e over a block, in all strata, and B the number of blocks:
///
/// ```text
/// independent = Σ e²
/// between     = B/(B − 1) · Σ S²
/// r           = mean of S·S′ over neighbouring blocks / mean of S², 0 to 0.8
/// effect      = max(1, between/independent · (1 + r)/(1 − r))
/// variance    = independent · effect
/// ```
///
/// So a stratum with a single block is counted with all the others, and a block that is in many strata counts once. An
/// arm with too few blocks to tell its effect is given the other's, or 8 if neither tells. The degrees of freedom are
/// those of Welch and Satterthwaite, of (Σv)²/Σv² − 1 for an arm whose blocks tell, v being the sum of e² in a block:
/// as many blocks of one size would know as much.
///
/// Strata with fewer than two units in an arm are left out; `None` if none is left or something is not finite.
/// W. G. Cochran, "Sampling techniques", 1977, chapters 6 and 9; K.-Y. Liang and S. L. Zeger, 1986; C. A. Carter, K. T.
/// Schnepel and D. G. Steigerwald, "Asymptotic behavior of a t-test robust to cluster heterogeneity", 2017.
pub fn clustered_difference(strata: &[Arms<Vec<Unit>>]) -> Option<ClusteredDifference> {
    let compared: Vec<(&Arms<Vec<Unit>>, Arms<Sums>)> = strata
        .iter()
        .filter(|arms| arms.baseline.len().min(arms.candidate.len()) >= 2)
        .map(|arms| (arms, arms.as_ref().map(|units| Sums::of(units))))
        .filter(|(_, sums)| sums.baseline.denominator > 0.0 && sums.candidate.denominator > 0.0)
        .collect();
    let weights: f64 = compared.iter().map(|(_, sums)| sums.candidate.denominator).sum();
    let (mut estimate, mut baseline) = (0.0, 0.0);
    let mut denominators = Arms::<f64>::default();
    let mut influences = Arms::<Influences>::default();
    for (units, sums) in compared {
        let weight = sums.candidate.denominator / weights;
        let ratios = sums.map(|sums| sums.numerator / sums.denominator);
        estimate += weight * (ratios.candidate - ratios.baseline);
        baseline += weight * ratios.baseline;
        denominators.baseline += sums.baseline.denominator;
        denominators.candidate += sums.candidate.denominator;
        influences.baseline.add(&units.baseline, sums.baseline, weight);
        influences.candidate.add(&units.candidate, sums.candidate, weight);
    }
    let spreads = influences.map(Influences::spread);
    let of_arms = [
        spreads.baseline.variance(&spreads.candidate),
        spreads.candidate.variance(&spreads.baseline),
    ];
    let variance: f64 = of_arms.iter().map(|(part, _)| part).sum();
    let is_told = weights > 0.0
        && [estimate, baseline, variance]
            .iter()
            .all(|number| number.is_finite());
    is_told.then_some(ClusteredDifference {
        estimate,
        baseline,
        denominators,
        variance,
        freedom: joint_freedom(of_arms).unwrap_or(1.0),
    })
}

impl ClusteredDifference {
    /// The same if it also varies by this standard deviation, which so many others told, for a reason that its own
    /// units do not show.
    pub fn and_varies(self, deviation: f64, others: usize) -> Self {
        let added = deviation * deviation;
        let by_others = (added, others.saturating_sub(1).max(1) as f64);
        Self {
            variance: self.variance + added,
            freedom: joint_freedom([(self.variance, self.freedom), by_others]).unwrap_or(self.freedom),
            ..self
        }
    }

    /// Student's; one point where nothing varies.
    pub fn interval(&self, level: f64) -> Option<Interval> {
        let half = if self.variance > 0.0 {
            critical_t(level, self.freedom)? * self.variance.sqrt()
        } else {
            0.0
        };
        Interval::new(self.estimate, self.estimate - half, self.estimate + half)
    }

    /// That nothing changed; two-sided. 0 or 1 where nothing varies.
    pub fn p_value(&self) -> f64 {
        if self.variance > 0.0 {
            two_sided_p_t(self.estimate / self.variance.sqrt(), self.freedom)
        } else {
            f64::from(u8::from(self.estimate == 0.0))
        }
    }

    /// So large that the quantiles of the normal distribution hold with it at 95 % one-sided, as Student's do with the
    /// root of the variance: few blocks do not know how much they vary.
    pub fn standard_error(&self) -> f64 {
        let quantiles = critical(0.9).zip(critical_t(0.9, self.freedom));
        self.variance.sqrt() * quantiles.map_or(1.0, |(normal, student)| student / normal)
    }
}

/// The degrees of freedom of a sum of two variances with theirs, by the shares of the sum, so that neither the smallest
/// nor the largest are lost; `None` where nothing varies, or without bounds.
/// F. E. Satterthwaite, "An approximate distribution of estimates of variance components", 1946.
fn joint_freedom(of_parts: [(f64, f64); 2]) -> Option<f64> {
    let all: f64 = of_parts.iter().map(|(variance, _)| variance).sum();
    let by_freedom: f64 = of_parts
        .iter()
        .map(|(variance, freedom)| (variance / all).powi(2) / freedom)
        .sum();
    (by_freedom > 0.0).then(|| by_freedom.recip())
}

#[derive(Clone, Copy)]
struct Sums {
    numerator: f64,
    denominator: f64,
}

impl Sums {
    fn of(units: &[Unit]) -> Self {
        Self {
            numerator: units.iter().map(|unit| unit.numerator).sum(),
            denominator: units.iter().map(|unit| unit.denominator).sum(),
        }
    }
}

/// How far the units of an arm move the estimate, with their blocks.
#[derive(Default)]
struct Influences {
    of_units: Vec<f64>,
    /// Units of a block that came one after the other: place and period, and where they are.
    runs: Vec<((u64, u64), Range<usize>)>,
    freedom: f64,
}

/// How the units of an arm vary.
struct Spread {
    /// The variance if they were independent, and its degrees of freedom.
    independent: f64,
    freedom: f64,
    /// By how much it is more, if there are enough blocks to tell, with the degrees of freedom of that.
    effect: Option<(f64, f64)>,
}

impl Influences {
    fn add(&mut self, units: &[Unit], sums: Sums, weight: f64) {
        let count = units.len() as f64;
        let ratio = sums.numerator / sums.denominator;
        let by_deviation = weight / sums.denominator * (count / (count - 1.0)).sqrt();
        self.freedom += count - 1.0;
        for unit in units {
            let deviation = unit.numerator - ratio * unit.denominator;
            let (block, at) = ((unit.place, unit.period), self.of_units.len());
            self.of_units.push(by_deviation * deviation);
            match self.runs.last_mut() {
                Some((last, run)) if *last == block => run.end = at + 1,
                _ => self.runs.push((block, at..at + 1)),
            }
        }
    }

    fn spread(mut self) -> Spread {
        self.runs.sort_unstable_by_key(|(block, run)| (*block, run.start));
        let mut blocks = Blocks::default();
        let mut influences: Vec<f64> = Vec::new();
        for runs in self.runs.chunk_by(|one, next| one.0 == next.0) {
            influences.clear();
            let of_runs = runs.iter().flat_map(|(_, run)| &self.of_units[run.clone()]);
            influences.extend(of_runs);
            // So that sums do not depend on the order of units.
            influences.sort_unstable_by(f64::total_cmp);
            blocks.add(
                runs[0].0,
                influences.iter().sum(),
                influences.iter().map(|influence| influence * influence).sum(),
            );
        }
        Spread {
            independent: blocks.sizes,
            freedom: self.freedom,
            effect: blocks.effect(),
        }
    }
}

/// Sums over the blocks of an arm, in the order of place and period.
#[derive(Default)]
struct Blocks {
    count: f64,
    /// Σ S².
    squares: f64,
    /// Σ v and Σ v².
    sizes: f64,
    size_squares: f64,
    neighbours: usize,
    /// Σ S·S′ over neighbours.
    products: f64,
    last: Option<((u64, u64), f64)>,
}

impl Blocks {
    fn add(&mut self, block: (u64, u64), sum: f64, size: f64) {
        self.count += 1.0;
        self.squares += sum * sum;
        self.sizes += size;
        self.size_squares += size * size;
        if let Some(((place, period), before)) = self.last
            && (place, period.wrapping_add(1)) == block
        {
            self.neighbours += 1;
            self.products += before * sum;
        }
        self.last = Some((block, sum));
    }

    fn effect(&self) -> Option<(f64, f64)> {
        let even = self.sizes * self.sizes / self.size_squares;
        // Also where nothing varies.
        if even.is_nan() || even < BLOCKS_MIN {
            return None;
        }
        let between = self.squares * self.count / (self.count - 1.0);
        let persistence = if self.neighbours >= NEIGHBOURS_MIN {
            (self.products / self.neighbours as f64) / (self.squares / self.count)
        } else {
            0.0
        };
        // Nor where blocks do not vary.
        let persistence = if persistence > 0.0 {
            persistence.min(PERSISTENCE_MAX)
        } else {
            0.0
        };
        let effect = between / self.sizes * (1.0 + persistence) / (1.0 - persistence);
        Some((effect.max(1.0), even - 1.0))
    }
}

impl Spread {
    /// With its degrees of freedom.
    fn variance(&self, other: &Self) -> (f64, f64) {
        let (effect, freedom) = match (self.effect, other.effect) {
            (Some((effect, blocks)), _) => (effect, blocks),
            (None, Some((effect, blocks))) => (effect, self.freedom.min(blocks)),
            (None, None) => (UNKNOWN_EFFECT, self.freedom),
        };
        (self.independent * effect, freedom)
    }
}

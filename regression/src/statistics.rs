//! The statistics of a comparison: pure functions of numbers, without clock, randomness of their own, or I/O.
//!
//! Everything compares two [`Arms`], mostly within strata, so that a change of the mix of requests is not taken for
//! a change of the requests:
//!
//! | question | answered by |
//! | --- | --- |
//! | did the values move? | [`rank_test`], few [`exact_rank_test`], by how much [`shift`] |
//! | did a quantile, or the tail? | [`quantile_difference`], [`tail`] |
//! | did the mean, a ratio, a mean by blocks? | [`RatioSums`], [`ratio_difference`], [`block_bootstrap`] |
//! | the same where strata share blocks, and blocks resemble the next? | [`clustered_difference`] |
//! | did a proportion, such as errors? | [`compare_proportions`], how many times as often [`risk_ratio`] |
//! | did a count, such as calls a trace? | [`mean_score_test`], [`permutation_test`], [`poisson_test`] |
//! | how much less do blocks say than independent values? | [`DesignEffect`] |
//! | which of many? | [`benjamini_hochberg`], [`weighted_benjamini_hochberg`], of those that [`can_be_found`] |
//! | how far apart could they be? | [`extremes`], [`p_value_apart`] |
//! | may I look again and again? | [`NormalMixture`], [`ErrorProcess`] |
//! | what could have been seen? | [`Detection`] |
//!
//! Everything that is answered is a number, never NaN. What cannot be answered (an empty arm, one value and no
//! variance, a level outside 0 to 1) is `None`. Samples without any variation do have an answer where the question
//! does: constants that are equal differ with p-value 1. Results depend on the arguments only, on values and not on
//! their order, and functions that draw at random take a seed.

mod blocks;
mod bootstrap;
mod clusters;
mod distribution;
mod error_process;
mod exact;
mod exact_rank;
mod extremes;
mod histogram;
mod mean;
mod multiple;
mod permutation;
mod power;
mod proportion;
mod quantile;
mod random;
mod rank;
mod rate;
mod risk_ratio;
mod search;
mod sequence;
mod shift;
mod tail;

pub use blocks::{Block, BlockCell, BlockRanks, DesignEffect};
pub use bootstrap::{BOOTSTRAP_ROUNDS_MAX, block_bootstrap};
pub use clusters::{ClusteredDifference, Unit, clustered_difference};
pub use distribution::two_sided_p;
pub use error_process::ErrorProcess;
pub use exact::{ExactTest, exact_test};
pub use exact_rank::exact_rank_test;
pub use extremes::{extremes, p_value_apart};
pub use histogram::{Cell, Histogram};
pub use mean::{RatioSums, ratio_difference};
pub use multiple::{benjamini_hochberg, can_be_found, weighted_benjamini_hochberg};
pub use permutation::{PERMUTATION_ROUNDS_MAX, permutation_test};
pub use power::{Detection, Growth, PlannedStratum};
pub use proportion::{Proportion, ProportionTest, compare_proportions, proportion_difference};
pub use quantile::{quantile_difference, quantile_interval};
pub use random::Random;
pub use rank::{RankTest, rank_test};
pub use rate::{MeanScoreTest, PoissonTest, Rate, mean_score_test, poisson_test};
pub use risk_ratio::risk_ratio;
pub use sequence::{NormalMixture, SequenceLook};
pub use shift::shift;
pub use tail::tail;

/// The two sides of a comparison. Effects are the candidate's against the baseline: positive is more, or slower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arms<T> {
    /// What was there before.
    pub baseline: T,
    /// What is judged.
    pub candidate: T,
}

impl<T> Arms<T> {
    /// Applies `f` to both.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> Arms<U> {
        Arms {
            baseline: f(self.baseline),
            candidate: f(self.candidate),
        }
    }

    /// Both by reference.
    pub fn as_ref(&self) -> Arms<&T> {
        Arms {
            baseline: &self.baseline,
            candidate: &self.candidate,
        }
    }
}

/// An estimate and the bounds of its confidence interval, all finite, `low <= high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The best single guess.
    pub estimate: f64,
    /// The least value that the data do not contradict.
    pub low: f64,
    /// The greatest.
    pub high: f64,
}

impl Interval {
    /// `None` unless all three are finite.
    fn new(estimate: f64, low: f64, high: f64) -> Option<Self> {
        let finite = estimate.is_finite() && low.is_finite() && high.is_finite();
        // -0.0 is nobody's answer.
        finite.then_some(Self {
            estimate: estimate + 0.0,
            low: low + 0.0,
            high: high + 0.0,
        })
    }

    /// True if `value` is within the bounds, both included.
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// From a difference of logarithms to a ratio.
    pub fn exp(self) -> Option<Self> {
        Self::new(self.estimate.exp(), self.low.exp(), self.high.exp())
    }
}

/// A ratio that may have nothing in its denominator: then there is neither an estimate nor an upper bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatioInterval {
    /// The candidate's over the baseline's.
    pub estimate: Option<f64>,
    /// At least 0.
    pub low: f64,
    /// `None` is without bound.
    pub high: Option<f64>,
}

impl RatioInterval {
    /// What is infinite is no estimate and no bound; `None` if even the least value is.
    fn new(estimate: Option<f64>, low: f64, high: Option<f64>) -> Option<Self> {
        low.is_finite().then(|| Self {
            estimate: estimate.filter(|estimate| estimate.is_finite()),
            low,
            high: high.filter(|high| high.is_finite()).map(|high| high.max(low)),
        })
    }
}

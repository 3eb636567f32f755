//! Random samples from known distributions, and whether p-values are even.

use regression::statistics::{Histogram, Random};

/// Draws for a simulation.
pub(crate) struct Draws(Random);

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Random::new(seed))
    }

    /// Evenly from 0 to 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.0.integer() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// By the method of Box and Muller.
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    pub(crate) fn hits(&mut self, total: u64, probability: f64) -> u64 {
        (0..total).filter(|_| self.uniform() < probability).count() as u64
    }

    /// By counting exponential times.
    pub(crate) fn poisson(&mut self, mean: f64) -> f64 {
        let mut time = 0.0;
        let mut events = -1.0;
        while time < mean {
            time -= (1.0 - self.uniform()).ln();
            events += 1.0;
        }
        events
    }

    /// Normal values with this mean and deviation; as logarithms, a time that is never negative.
    pub(crate) fn normals(&mut self, count: usize, mean: f64, deviation: f64) -> Histogram {
        (0..count).map(|_| mean + deviation * self.normal()).collect()
    }
}

/// The test of Kolmogorov and Smirnov that numbers are even between 0 and 1, at 1 %.
#[track_caller]
pub(crate) fn expect_even(mut p_values: Vec<f64>) {
    p_values.sort_unstable_by(f64::total_cmp);
    let count = p_values.len() as f64;
    let distance = p_values
        .iter()
        .enumerate()
        .map(|(at, p)| {
            (p - at as f64 / count)
                .abs()
                .max((p - (at + 1) as f64 / count).abs())
        })
        .fold(0.0, f64::max);
    let critical = 1.63 / count.sqrt();
    assert!(
        distance < critical,
        "distance {distance}, and at most {critical} by chance"
    );
}

/// That something happened in a share of the rounds that is `low` to `high`, or as near as chance allows.
#[track_caller]
pub(crate) fn expect_share(happened: usize, rounds: usize, low: f64, high: f64) {
    let share = happened as f64 / rounds as f64;
    let slack = |at: f64| 3.0 * (at * (1.0 - at) / rounds as f64).sqrt();
    assert!(
        share >= low - slack(low) && share <= high + slack(high),
        "in {share} of the rounds, and not in {low} to {high}"
    );
}

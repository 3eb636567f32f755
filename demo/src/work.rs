//! How long something takes. Mostly sleep, so that slow and fast machines agree; the numbers are drawn from a seed.

use std::hint::black_box;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, LogNormal};

/// Log-normal, perhaps with a part of the requests that takes longer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Work {
    pub(crate) median_ms: f64,
    /// Standard deviation of the logarithm.
    pub(crate) sigma: f64,
    /// What is slow takes so many times as long.
    pub(crate) slow: Option<Slow>,
}

/// The part that takes longer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Slow {
    pub(crate) share: f64,
    pub(crate) times: f64,
}

/// Of a draw, so that one request never blocks an instance.
const MAX: Duration = Duration::from_secs(2);
/// The processor is busy for some ten microseconds: an application does compute a little.
const ROUNDS: u32 = 5_000;

impl Work {
    pub(crate) const fn of(median_ms: f64, sigma: f64) -> Self {
        Self {
            median_ms,
            sigma,
            slow: None,
        }
    }

    pub(crate) const fn slow(self, share: f64, times: f64) -> Self {
        Self {
            slow: Some(Slow { share, times }),
            ..self
        }
    }

    pub(crate) fn draw(&self, random: &mut Xoshiro256PlusPlus) -> Duration {
        let is_slow = self.slow.filter(|slow| random.random_bool(slow.share));
        let times = is_slow.map_or(1.0, |slow| slow.times);
        // Medians and deviations are constants above zero.
        let millis = LogNormal::new(self.median_ms.ln(), self.sigma)
            .map_or(self.median_ms, |distribution| distribution.sample(random));
        Duration::from_secs_f64(millis * times / 1_000.0).min(MAX)
    }
}

/// Computes something that nobody needs.
pub(crate) fn compute() {
    let mixed = (0..ROUNDS).fold(1u64, |sum, round| {
        black_box(sum ^ u64::from(round)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    });
    black_box(mixed);
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn draws(work: Work) -> Vec<f64> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
        let mut draws: Vec<f64> = (0..2_000)
            .map(|_| work.draw(&mut random).as_secs_f64() * 1_000.0)
            .collect();
        draws.sort_by(f64::total_cmp);
        draws
    }

    #[test]
    fn half_of_the_draws_are_below_the_median() {
        let draws = draws(Work::of(20.0, 0.3));
        assert!((19.0..21.0).contains(&draws[1_000]), "{}", draws[1_000]);
        assert!(draws[20] > 8.0 && draws[1_980] < 50.0);
    }

    #[test]
    fn a_slow_part_is_slow_and_as_large_as_it_should_be() {
        let draws = draws(Work::of(10.0, 0.1).slow(0.3, 6.0));
        let slow = draws.iter().filter(|millis| **millis > 30.0).count();
        assert!((540..660).contains(&slow), "{slow}");
    }
}

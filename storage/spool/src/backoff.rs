//! How long to wait before trying again: longer from failure to failure, and never in step with others.

use std::time::Duration;

/// Exponential backoff with full jitter: a pause is anything between nothing and a ceiling that doubles.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    ceiling: Duration,
    random: u64,
}

impl Backoff {
    /// The first ceiling is `min`, none is higher than `max`.
    pub(crate) fn new(min: Duration, max: Duration, seed: u64) -> Self {
        Self {
            min,
            max,
            ceiling: min,
            random: seed,
        }
    }

    /// After a success: the next failure is the first one.
    pub(crate) fn reset(&mut self) {
        self.ceiling = self.min;
    }

    /// The pause after another failure.
    pub(crate) fn pause(&mut self) -> Duration {
        let ceiling = self.ceiling.min(self.max);
        self.ceiling = ceiling.saturating_mul(2).min(self.max);
        ceiling.mul_f64(self.share())
    }

    /// Evenly from 0 to 1, by splitmix64.
    fn share(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_secs(30);

    #[test]
    fn ceilings_double_up_to_the_bound_and_pauses_fill_them() {
        let mut longest = vec![Duration::ZERO; 12];
        let mut sums = vec![Duration::ZERO; 12];
        for seed in 0..400 {
            let mut backoff = Backoff::new(MIN, MAX, seed);
            for (failure, longest) in longest.iter_mut().enumerate() {
                let pause = backoff.pause();
                *longest = pause.max(*longest);
                sums[failure] += pause;
            }
        }
        for (failure, (longest, sum)) in longest.into_iter().zip(sums).enumerate() {
            let ceiling = (MIN * (1 << failure)).min(MAX);
            assert!(longest <= ceiling, "{failure}: {longest:?} of {ceiling:?}");
            assert!(
                longest > ceiling.mul_f64(0.95),
                "{failure}: {longest:?} of {ceiling:?}"
            );
            let mean = sum / 400;
            assert!(
                mean > ceiling.mul_f64(0.4) && mean < ceiling.mul_f64(0.6),
                "{failure}: {mean:?} of {ceiling:?}"
            );
        }
    }

    #[test]
    fn a_success_begins_anew() {
        let mut backoff = Backoff::new(MIN, MAX, 7);
        let pauses: Vec<_> = (0..10).map(|_| backoff.pause()).collect();
        assert!(pauses.iter().any(|pause| *pause > MIN * 8), "{pauses:?}");
        backoff.reset();
        assert!(backoff.pause() <= MIN);
        assert!(backoff.pause() <= MIN * 2);
    }
}

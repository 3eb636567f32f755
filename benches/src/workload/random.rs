//! Seeded randomness that no release of a dependency can change: figures of two years must be comparable.

/// SplitMix64: one multiplication chain a number, all seeds are good.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`, all alike. The bias of the multiplication is below 2⁻⁴⁰ for the bounds in use.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// From 0, included, to 1, not included.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A number below `bound`; the greater `power` is above 1, the more often a small one.
    pub(crate) fn skewed(&mut self, bound: usize, power: f64) -> usize {
        (self.unit().powf(power) * bound as f64) as usize
    }

    /// Latencies are products of many small factors.
    pub(crate) fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * (sigma * self.normal()).exp()
    }

    /// Around 0, with a variance of 1 (Box and Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// How long until the next of many independent events.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// Scatters the bits of a number: what must look random but be the same each time.
pub(crate) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_numbers_of_a_seed_never_change() {
        // From the published reference of SplitMix64 for this seed.
        let mut random = Random::new(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn distributions_have_their_centre_where_they_say() {
        let mut random = Random::new(1);
        let mut mean = |draw: &mut dyn FnMut(&mut Random) -> f64| {
            (0..100_000).map(|_| draw(&mut random)).sum::<f64>() / 100_000.0
        };
        let near = |found: f64, expected: f64| (found / expected - 1.0).abs() < 0.02;
        assert!(near(mean(&mut |random| random.below(101) as f64), 50.0));
        assert!(near(mean(&mut |random| random.exponential(30.0)), 30.0));
        // The mean of a log-normal is its median times e^(σ²/2).
        assert!(near(
            mean(&mut |random| random.log_normal(10.0, 0.5)),
            10.0 * 0.125f64.exp()
        ));
        // The mean of u² is a third.
        assert!(near(mean(&mut |random| random.skewed(3000, 2.0) as f64), 1000.0));
    }
}

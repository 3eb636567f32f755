//! How long things take: distributions with the shapes that latencies have, and what waiting adds under load.

use crate::workload::Random;

/// Of durations, microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Distribution {
    /// A product of many small factors.
    LogNormal { median: f64, sigma: f64 },
    /// A heavy tail above a least duration; the mean exists above a `shape` of 1, the variance above 2.
    Pareto { least: f64, shape: f64 },
    /// Found in a cache or not: two log-normal humps.
    Bimodal {
        fast: f64,
        slow: f64,
        slow_share: f64,
        sigma: f64,
    },
}

/// Nothing takes longer: what a caller would have given up.
const MICROS_MAX: f64 = 30e6;

impl Distribution {
    pub(super) fn draw(&self, random: &mut Random) -> f64 {
        // Always the same number of draws, so that what comes after does not depend on the shape.
        let pick = random.unit();
        let normal = random.normal();
        let drawn = match *self {
            Self::LogNormal { median, sigma } => median * (sigma * normal).exp(),
            Self::Pareto { least, shape } => least * (1.0 - pick).powf(-1.0 / shape),
            Self::Bimodal {
                fast,
                slow,
                slow_share,
                sigma,
            } => (if pick < slow_share { slow } else { fast }) * (sigma * normal).exp(),
        };
        drawn.min(MICROS_MAX)
    }

    /// Microseconds, but for what is cut off at the far end.
    pub(super) fn mean(&self) -> f64 {
        match *self {
            Self::LogNormal { median, sigma } => median * (sigma * sigma / 2.0).exp(),
            Self::Pareto { least, shape } => least * shape / (shape - 1.0),
            Self::Bimodal {
                fast,
                slow,
                slow_share,
                sigma,
            } => (slow * slow_share + fast * (1.0 - slow_share)) * (sigma * sigma / 2.0).exp(),
        }
    }
}

/// A queue with some workers, Poisson arrivals and exponential service, in its steady state (M/M/c).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Queue {
    /// That a request has to wait at all: Erlang's C.
    pub(super) wait_probability: f64,
    /// Of those that wait, as a multiple of the mean service time.
    pub(super) wait_mean: f64,
}

/// A queue beyond this does not come to rest.
const UTILISATION_MAX: f64 = 0.95;

impl Queue {
    pub(super) fn new(workers: u32, utilisation: f64) -> Self {
        let utilisation = utilisation.clamp(0.0, UTILISATION_MAX);
        let offered = utilisation * f64::from(workers);
        // Erlang's B by its recurrence, C from B.
        let blocked = (1..=workers).fold(1.0, |blocked, worker| {
            offered * blocked / (f64::from(worker) + offered * blocked)
        });
        Self {
            wait_probability: blocked / (1.0 - utilisation * (1.0 - blocked)),
            wait_mean: 1.0 / (f64::from(workers) * (1.0 - utilisation)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_mean_that_is_said() {
        let distributions = [
            Distribution::LogNormal {
                median: 5e3,
                sigma: 0.6,
            },
            Distribution::Pareto {
                least: 4e3,
                shape: 3.0,
            },
            Distribution::Bimodal {
                fast: 2e3,
                slow: 2e4,
                slow_share: 0.2,
                sigma: 0.3,
            },
        ];
        for distribution in distributions {
            let mut random = Random::new(7);
            let mean = (0..200_000).map(|_| distribution.draw(&mut random)).sum::<f64>() / 2e5;
            assert!(
                (mean / distribution.mean() - 1.0).abs() < 0.02,
                "{distribution:?}: {mean}"
            );
        }
    }

    #[test]
    fn waiting_is_that_of_erlang() {
        // One worker: a request waits as often as the worker is busy.
        let one = Queue::new(1, 0.5);
        assert!((one.wait_probability - 0.5).abs() < 1e-12);
        assert!((one.wait_mean - 2.0).abs() < 1e-12);
        // Two workers, offered 1 erlang: a third, from the closed form ρ²·2/(1+ρ) at ρ = 0.5.
        assert!((Queue::new(2, 0.5).wait_probability - 1.0 / 3.0).abs() < 1e-12);
        assert!(Queue::new(4, 2.0).wait_mean.is_finite());
    }
}

//! What users ask for, and when: an open loop, so that slow answers do not slow down who asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp1};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::directory::Directory;
use crate::http::Client;
use crate::system::Requests;
use crate::topology::Service;

/// Requests that are not answered yet, beyond which none is made: at the usual rate, those of some seconds.
const IN_FLIGHT_MAX: usize = 1_000;

/// A request that is made so much later than it should be is late: the machine has other things to do, and what takes how
/// long says little of the services.
const LATE: Duration = Duration::from_millis(20);

/// What `web` is asked for, and how often of a hundred times.
const ENDPOINTS: [(Method, &str, u32); 3] = [
    (Method::GET, "/product", 55),
    (Method::POST, "/checkout", 20),
    (Method::GET, "/search", 25),
];

/// A request of a user.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Arrival {
    /// Since the first moment.
    pub(crate) at: Duration,
    /// Its number among [`ENDPOINTS`].
    pub(crate) endpoint: usize,
}

/// Poisson arrivals without an end, the same for the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    random: Xoshiro256PlusPlus,
    per_second: f64,
    seconds: f64,
}

impl Schedule {
    /// `per_second` is above zero.
    pub(crate) fn new(seed: u64, per_second: f64) -> Self {
        Self {
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
            per_second,
            seconds: 0.0,
        }
    }
}

impl Iterator for Schedule {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let gap: f64 = Exp1.sample(&mut self.random);
        self.seconds += gap / self.per_second;
        let total: u32 = ENDPOINTS.iter().map(|(.., share)| share).sum();
        let mut drawn = self.random.random_range(0..total);
        let is_drawn = |(.., share): &(Method, &str, u32)| {
            let is_drawn = drawn < *share;
            drawn = drawn.saturating_sub(*share);
            is_drawn
        };
        Some(Arrival {
            at: Duration::from_secs_f64(self.seconds),
            endpoint: ENDPOINTS.iter().position(is_drawn).unwrap_or(0),
        })
    }
}

/// Makes the requests of a schedule until it is given up; those that are being answered then are given up as well.
pub(crate) async fn run(directory: Arc<Directory>, requests: Arc<Requests>, seed: u64, per_second: f64) {
    let client = Client::new();
    let slots = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
    let mut random = Xoshiro256PlusPlus::seed_from_u64(!seed);
    let mut asking = JoinSet::new();
    let start = Instant::now();
    for arrival in Schedule::new(seed, per_second) {
        sleep_until(start + arrival.at).await;
        if start.elapsed() > arrival.at + LATE {
            count(&requests.late);
        }
        while asking.try_join_next().is_some() {}
        let slot = Arc::clone(&slots).try_acquire_owned();
        let (Ok(slot), Some(web)) = (slot, directory.pick(Service::Web, &mut random)) else {
            count(&requests.skipped);
            continue;
        };
        let (client, requests) = (client.clone(), Arc::clone(&requests));
        let (method, path, _) = ENDPOINTS[arrival.endpoint].clone();
        asking.spawn(async move {
            let answer = client
                .send(web, method, path, HeaderMap::new(), Bytes::new())
                .await;
            count(&requests.answered);
            if !answer.is_ok_and(|answer| answer.status.is_success()) {
                count(&requests.failed);
            }
            drop(slot);
        });
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_is_what_the_seed_says() {
        let arrivals = |seed| -> Vec<Arrival> { Schedule::new(seed, 150.0).take(1_000).collect() };
        assert_eq!(arrivals(7), arrivals(7));
        assert_ne!(arrivals(7), arrivals(8));
    }

    #[test]
    fn arrivals_are_poisson_at_the_rate_and_mixed_as_told() {
        let arrivals: Vec<Arrival> = Schedule::new(1, 150.0).take(15_000).collect();
        let seconds = arrivals.last().unwrap().at.as_secs_f64();
        assert!((97.0..103.0).contains(&seconds), "{seconds}");
        let gaps: Vec<f64> = arrivals
            .windows(2)
            .map(|pair| (pair[1].at - pair[0].at).as_secs_f64() * 150.0)
            .collect();
        // Of exponential gaps the variance is the square of the mean.
        let variance = gaps.iter().map(|gap| (gap - 1.0).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((0.9..1.1).contains(&variance), "{variance}");
        for (number, (_, path, share)) in ENDPOINTS.iter().enumerate() {
            let count = arrivals
                .iter()
                .filter(|arrival| arrival.endpoint == number)
                .count();
            let expected = *share as usize * 150;
            assert!(count.abs_diff(expected) < 250, "{path}: {count}");
        }
    }
}

//! Trying again what cannot be done now, and saying so once in a while.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long to wait before something is tried again: twice as long each time, less a random part so that not all
/// try at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { next: first, longest }
    }

    pub(crate) fn next(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.longest);
        wait / 2 + wait.mul_f64(random_fraction() / 2.0)
    }
}

/// From 0 to 1. The keys of a hash map are random enough to keep retries apart.
fn random_fraction() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0) as f64 / u64::MAX as f64
}

/// Lets something be said once a minute.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    last: Mutex<Option<Instant>>,
}

impl Seldom {
    const INTERVAL: Duration = Duration::from_secs(60);

    /// True if it was not said for a minute; it now is.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| now.saturating_duration_since(last) >= Self::INTERVAL);
        if due {
            *last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_never_less_than_half() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(100), ms(350));
        for expected in [100, 200, 350, 350] {
            let wait = backoff.next();
            assert!(wait >= ms(expected) / 2 && wait <= ms(expected), "{wait:?}");
        }
    }

    #[test]
    fn is_said_once_a_minute() {
        let (seldom, begin) = (Seldom::default(), Instant::now());
        let said = [0, 1, 59, 60, 61].map(|seconds| seldom.is_due(begin + Duration::from_secs(seconds)));
        assert_eq!(said, [true, false, false, true, false]);
    }
}

//! How long something takes, counted in fixed buckets: cheap enough for every message.
//!
//! It lives here because what is timed is on both sides of the contract: a collector times its sinks, a store its
//! journal. Nothing here knows how metrics are written; whoever does asks for a [`DurationSnapshot`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many bounds there are; one bucket more is for what is longer than all of them.
const BOUNDS: usize = 19;

/// The longest duration that each bucket but the last counts, ascending: from a small body in memory to a disk that
/// hangs.
const BOUNDS_US: [u64; BOUNDS] = [
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// Counts durations. Recording is two additions to relaxed atomics, without a lock; 168 bytes.
#[derive(Debug, Default)]
pub struct DurationHistogram {
    counts: [AtomicU64; BOUNDS + 1],
    sum_ns: AtomicU64,
}

/// The counts at one moment. Something recorded meanwhile may be in the counts and not yet in the sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DurationSnapshot {
    /// By bucket, not cumulative.
    counts: [u64; BOUNDS + 1],
    sum: Duration,
}

impl DurationHistogram {
    /// Counts one. The sum holds 584 years of them.
    pub fn record(&self, duration: Duration) {
        let bucket = BOUNDS_US.partition_point(|&bound_us| Duration::from_micros(bound_us) < duration);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn snapshot(&self) -> DurationSnapshot {
        DurationSnapshot {
            counts: std::array::from_fn(|bucket| self.counts[bucket].load(Ordering::Relaxed)),
            sum: Duration::from_nanos(self.sum_ns.load(Ordering::Relaxed)),
        }
    }
}

impl DurationSnapshot {
    /// The longest duration of each bucket, ascending, and how many fell into it; `None` is the last, which has no
    /// bound.
    pub fn buckets(&self) -> impl ExactSizeIterator<Item = (Option<Duration>, u64)> + '_ {
        self.counts.iter().enumerate().map(|(bucket, &count)| {
            let bound = BOUNDS_US.get(bucket).copied().map(Duration::from_micros);
            (bound, count)
        })
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together.
    pub fn sum(&self) -> Duration {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(durations: &[Duration]) -> DurationSnapshot {
        let histogram = DurationHistogram::default();
        for &duration in durations {
            histogram.record(duration);
        }
        histogram.snapshot()
    }

    fn bound_of(duration: Duration) -> Option<Duration> {
        let snapshot = of(&[duration]);
        let mut filled = snapshot.buckets().filter(|bucket| bucket.1 > 0);
        let (bound, count) = filled.next().unwrap();
        assert_eq!((count, filled.next()), (1, None), "{duration:?}");
        bound
    }

    #[test]
    fn a_duration_is_counted_in_the_first_bucket_that_holds_it() {
        let us = Duration::from_micros;
        assert_eq!(bound_of(Duration::ZERO), Some(us(10)));
        assert_eq!(bound_of(us(10)), Some(us(10)));
        assert_eq!(bound_of(Duration::from_nanos(10_001)), Some(us(25)));
        assert_eq!(bound_of(us(999)), Some(us(1_000)));
        assert_eq!(bound_of(us(10_000_000)), Some(us(10_000_000)));
        assert_eq!(bound_of(us(10_000_001)), None);
    }

    #[test]
    fn count_and_sum_are_of_all() {
        let snapshot = of(&[
            Duration::from_millis(3),
            Duration::from_secs(20),
            Duration::from_nanos(7),
        ]);
        assert_eq!(snapshot.count(), 3);
        assert_eq!(snapshot.sum(), Duration::from_nanos(20_003_000_007));
        assert_eq!(DurationSnapshot::default().count(), 0);
    }

    #[test]
    fn buckets_ascend_and_end_without_a_bound() {
        let bounds: Vec<_> = of(&[]).buckets().map(|bucket| bucket.0).collect();
        let (last, bounded) = bounds.split_last().unwrap();
        assert_eq!(*last, None);
        assert!(bounded.iter().all(Option::is_some) && bounded.is_sorted());
        assert_eq!(bounded.len(), BOUNDS);
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        const EACH: u64 = 10_000;
        let histogram = DurationHistogram::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..EACH).for_each(|n| histogram.record(Duration::from_micros(n))));
            }
        });
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.count(), 4 * EACH);
        assert_eq!(snapshot.sum(), Duration::from_micros(4 * (0..EACH).sum::<u64>()));
    }
}

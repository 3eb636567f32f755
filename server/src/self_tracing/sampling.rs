//! Which requests are traced whose senders did not decide.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use collector::Sampler;
use model::TraceId;

use crate::config::SelfSampling;

/// From so many a second on, the bound is spread over the tenths of a second: the first burst is not to take all.
const SPREAD_FROM: u32 = 10;

/// Decides, a trace.
#[derive(Debug)]
pub(super) enum TraceSampler {
    Share(Sampler),
    PerSecond(RateLimit),
}

impl TraceSampler {
    pub(super) fn new(sampling: SelfSampling) -> Self {
        match sampling {
            SelfSampling::Share(sampler) => Self::Share(sampler),
            SelfSampling::PerSecond(limit) => Self::PerSecond(RateLimit::new(limit, Instant::now())),
        }
    }

    pub(super) fn keeps(&self, trace_id: TraceId) -> bool {
        match self {
            Self::Share(sampler) => sampler.keeps(trace_id, false),
            Self::PerSecond(limit) => limit.take(Instant::now()),
        }
    }
}

/// At most so many in each second since its begin.
#[derive(Debug)]
pub(super) struct RateLimit {
    limit: u32,
    begin: Instant,
    /// The second in the upper half, and how many were taken in it in the lower.
    taken: AtomicU64,
}

impl RateLimit {
    fn new(limit: NonZeroU32, begin: Instant) -> Self {
        Self {
            limit: limit.get(),
            begin,
            taken: AtomicU64::new(0),
        }
    }

    /// True, and counted, unless that would be one too many.
    fn take(&self, now: Instant) -> bool {
        let since = now.duration_since(self.begin);
        let second = since.as_secs() & u64::from(u32::MAX);
        let allowed = self.allowed_until(Duration::from_nanos(u64::from(since.subsec_nanos())));
        let taking = |taken: u64| {
            // Another thread may have seen the next second already; this one is part of it then.
            let (of, count) = (taken >> 32, taken & u64::from(u32::MAX));
            let (of, count) = if of < second { (second, 0) } else { (of, count) };
            (count < allowed).then_some(of << 32 | (count + 1))
        };
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, taking)
            .is_ok()
    }

    /// How many may have been taken by this moment of a second.
    fn allowed_until(&self, within: Duration) -> u64 {
        let limit = u64::from(self.limit);
        if self.limit < SPREAD_FROM {
            return limit;
        }
        limit * (within.as_millis() as u64 / 100 + 1) / 10
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(limit: &RateLimit, begin: Instant, at_ms: u64, tries: usize) -> usize {
        let now = begin + Duration::from_millis(at_ms);
        (0..tries).filter(|_| limit.take(now)).count()
    }

    #[test]
    fn a_small_bound_may_be_taken_at_once_and_comes_back_each_second() {
        let begin = Instant::now();
        let limit = RateLimit::new(NonZeroU32::new(3).unwrap(), begin);
        let taken = |at_ms| taken(&limit, begin, at_ms, 10);
        assert_eq!([taken(0), taken(500), taken(999)], [3, 0, 0]);
        assert_eq!([taken(1_000), taken(1_001), taken(7_900)], [3, 0, 3]);
    }

    #[test]
    fn a_large_bound_is_spread_over_the_second_and_what_is_left_is_not_lost() {
        let begin = Instant::now();
        let limit = RateLimit::new(NonZeroU32::new(25).unwrap(), begin);
        let taken = |at_ms| taken(&limit, begin, at_ms, 100);
        assert_eq!([taken(0), taken(99), taken(100), taken(900)], [2, 0, 3, 20]);
        assert_eq!([taken(999), taken(1_000)], [0, 2]);
    }

    #[test]
    fn threads_together_take_no_more_than_the_bound() {
        let begin = Instant::now();
        let limit = RateLimit::new(NonZeroU32::new(1_000).unwrap(), begin);
        let all: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| taken(&limit, begin, 950, 1_000)))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(all, 1_000);
    }
}

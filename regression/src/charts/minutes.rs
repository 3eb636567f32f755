//! Windows in whole minutes, and how a store is asked about long ones.

use storage::{Completeness, LatencyQuery, LatencySource, OperationLatency};

/// Milliseconds of a minute.
pub(crate) const MINUTE_MS: u64 = 60_000;

/// A store is asked for so much at a time, so that what is held of a long window is sums, and not each of its minutes.
const MINUTES_A_QUESTION: u64 = 6 * 60;

/// Minutes since the epoch, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Minutes {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Minutes {
    /// Those that a window touches; epoch milliseconds and milliseconds.
    pub(crate) fn of_window(end_ts: u64, lookback: u64) -> Self {
        Self {
            first: end_ts.saturating_sub(lookback) / MINUTE_MS,
            last: end_ts / MINUTE_MS,
        }
    }

    /// So many, the last of them the one that a moment is in.
    pub(crate) fn until(end_ts: u64, count: u64) -> Self {
        let last = end_ts / MINUTE_MS;
        Self {
            first: (last + 1).saturating_sub(count),
            last,
        }
    }

    /// How many they are.
    pub(crate) fn count(self) -> u64 {
        (self.last + 1).saturating_sub(self.first)
    }

    /// As many, right before these.
    pub(crate) fn before(self) -> Self {
        let first = self.first.saturating_sub(self.count());
        Self {
            first,
            last: self.first.saturating_sub(1),
        }
    }

    /// When they begin, epoch milliseconds.
    pub(crate) fn start_ts(self) -> u64 {
        self.first.saturating_mul(MINUTE_MS)
    }

    /// When they are over, epoch milliseconds.
    pub(crate) fn end_ts(self) -> u64 {
        self.last.saturating_add(1).saturating_mul(MINUTE_MS)
    }
}

/// Gives `visit` what is known of every operation, version and minute of a window, of one service or all; the earlier
/// parts of a long window first, and within a part as [`storage::Latencies`] orders them.
///
/// # Errors
/// Where the store cannot answer.
pub(crate) async fn for_each_latency(
    source: &dyn LatencySource,
    minutes: Minutes,
    service_name: Option<&str>,
    mut visit: impl FnMut(OperationLatency) + Send,
) -> storage::Result<Completeness> {
    let mut completeness = Completeness::Complete;
    let mut first = minutes.first;
    while first <= minutes.last {
        let query = LatencyQuery {
            first_minute: first,
            last_minute: minutes.last.min(first.saturating_add(MINUTES_A_QUESTION - 1)),
            service_name: service_name.map(str::to_owned),
        };
        let latencies = source.latencies(&query).await?;
        latencies.operations.into_iter().for_each(&mut visit);
        completeness = completeness.and(latencies.completeness);
        first = query.last_minute.saturating_add(1);
    }
    Ok(completeness)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_the_minutes_they_touch() {
        let window = Minutes::of_window(10 * MINUTE_MS + 1, 3 * MINUTE_MS);
        assert_eq!(window, Minutes { first: 7, last: 10 });
        assert_eq!((window.start_ts(), window.end_ts()), (420_000, 660_000));
        assert_eq!(
            (window.count(), window.before()),
            (4, Minutes { first: 3, last: 6 })
        );
        assert_eq!(Minutes::until(10 * MINUTE_MS, 5), Minutes { first: 6, last: 10 });
        assert_eq!(Minutes::until(MINUTE_MS, 5), Minutes { first: 0, last: 1 });
    }
}

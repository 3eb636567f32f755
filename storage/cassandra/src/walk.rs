//! All traces of a window, newest first, a stretch of time after the other: whoever looks for the newest is soon done, and
//! whoever looks at all holds few at a time.

use std::collections::HashMap;

use crate::CassandraStore;
use crate::error::Failure;
use crate::index::{Days, Window};
use crate::link::Link;
use crate::rows::{DAY_MS, Key};

/// The first stretch, milliseconds.
const FIRST_MS: u64 = 1_000;
/// Stretches become longer until they have so many rows, and shorter above four times as many.
const ROWS_WANTED: usize = 1_000;
/// A stretch that has more rows is cut: of one service, its part of them, and these at least.
const ROWS_MAX: usize = 40_000;
const ROWS_EACH_MIN: usize = 200;

/// What is left of a window.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    store: &'a CassandraStore,
    link: &'a Link,
    days: Days,
    start: u64,
    /// The end of what is left, included.
    end: u64,
    step: u64,
}

/// Traces that have a span in a stretch of time.
#[derive(Debug)]
pub(crate) struct Stretch {
    /// Its end, included. Milliseconds since the epoch.
    pub(crate) end: u64,
    /// Newest first, each with its newest span there.
    pub(crate) traces: Vec<(Key, u64)>,
}

impl<'a> Walk<'a> {
    /// `days` are those that have something.
    pub(crate) fn new(store: &'a CassandraStore, link: &'a Link, days: &Days, (start, end): Window) -> Self {
        Self {
            store,
            link,
            days: days.clone(),
            start,
            end,
            step: FIRST_MS,
        }
    }

    /// The next stretch, which may have no traces; `None` at the end of the window.
    pub(crate) async fn next(&mut self) -> Result<Option<Stretch>, Failure> {
        while let Some((&bucket, services)) = self.days.last_key_value() {
            let midnight = bucket as u64 * DAY_MS;
            let (first, last) = (midnight.max(self.start), (midnight + DAY_MS - 1).min(self.end));
            if first > last {
                self.days.pop_last();
                continue;
            }
            let from = first.max((last + 1).saturating_sub(self.step));
            let each_max = (ROWS_MAX / services.len().max(1)).max(ROWS_EACH_MIN);
            let rows_max = if from == last { usize::MAX } else { each_max };
            let window = (from, last);
            let entries = self
                .store
                .entries_of_all(self.link, services, bucket, window, rows_max)
                .await;
            let rows = match entries {
                Ok(rows) if rows.iter().all(|rows| rows.read < rows_max) => rows,
                // Also where there is too much in between that is gone.
                Err(failure) if from == last || !failure.is_too_much() => return Err(failure),
                Ok(_) | Err(_) => {
                    self.step = ((last - from + 1) / 8).max(1);
                    continue;
                }
            };
            let count: usize = rows.iter().map(|rows| rows.read).sum();
            self.pace(count);
            match from.checked_sub(1) {
                Some(end) if from > self.start => self.end = end,
                _ => self.days.clear(),
            }
            return Ok(Some(Stretch {
                end: last,
                traces: newest(rows.into_iter().flat_map(|rows| rows.found)),
            }));
        }
        Ok(None)
    }

    fn pace(&mut self, count: usize) {
        if count < ROWS_WANTED {
            self.step = (self.step * 4).min(DAY_MS);
        } else if count > 4 * ROWS_WANTED {
            self.step = (self.step / 4).max(1);
        }
    }
}

/// Each trace once, with its newest row, newest first.
fn newest(rows: impl Iterator<Item = (Key, u64)>) -> Vec<(Key, u64)> {
    let mut newest: HashMap<Key, u64> = HashMap::new();
    for (key, millis) in rows {
        let known = newest.entry(key).or_insert(millis);
        *known = (*known).max(millis);
    }
    let mut traces: Vec<(Key, u64)> = newest.into_iter().collect();
    traces.sort_unstable_by_key(|&(key, millis)| (std::cmp::Reverse(millis), key));
    traces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_told_once_by_its_newest_span() {
        let rows = [((1, 0), 5), ((2, 0), 4), ((2, 0), 9), ((1, 0), 3)];
        assert_eq!(newest(rows.into_iter()), [((2, 0), 9), ((1, 0), 5)]);
    }
}

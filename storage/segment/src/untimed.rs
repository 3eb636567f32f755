//! Traces of which no span has a timestamp, by their identifiers: no window finds them.
//!
//! In a segment they are the first of the trace table, in the head they are looked for. A trace that has a timestamp
//! elsewhere is left out once it is read whole.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use model::TraceId;
use storage::{Found, StorageError, untimed_after};

use crate::reader::SegmentReader;
use crate::search::{ANSWER_SPANS_MAX, check};
use crate::trace_table::TraceEntry;
use crate::view::Reading;

/// Candidates that are gathered at once, if the answer's limit is not more: their identifiers are in memory.
const CANDIDATES_MIN: usize = 1024;
/// The same at most.
const CANDIDATES_MAX: usize = 1 << 20;

/// See [`storage::SpanSource::untimed`].
pub(crate) fn untimed(
    reading: &mut Reading<'_>,
    after: Option<TraceId>,
    limit: usize,
    strict: bool,
    cancelled: &AtomicBool,
) -> Result<Found, StorageError> {
    let mut traces = Vec::new();
    let mut spans = 0;
    let mut from = Some(after.map_or(0, TraceId::low));
    'gather: while let Some(least) = from {
        let candidates = Candidates::gather(reading, least, limit, cancelled)?;
        for low in candidates.lows {
            check(cancelled)?;
            for trace in untimed_after(reading.spans_unless_too_many(low)?, strict, after) {
                spans += trace.len();
                traces.push(trace);
                if traces.len() == limit || spans >= ANSWER_SPANS_MAX {
                    break 'gather;
                }
            }
        }
        from = candidates.next;
    }
    Ok(Found {
        traces,
        completeness: reading.completeness(),
    })
}

/// The least of the traces that may be untimed, by low identifier.
struct Candidates {
    lows: BTreeSet<u64>,
    most: usize,
    /// Where those begin that there was no room for.
    next: Option<u64>,
}

impl Candidates {
    fn gather(
        reading: &mut Reading<'_>,
        least: u64,
        limit: usize,
        cancelled: &AtomicBool,
    ) -> Result<Self, StorageError> {
        let mut candidates = Self {
            lows: BTreeSet::new(),
            most: limit.clamp(CANDIDATES_MIN, CANDIDATES_MAX),
            next: None,
        };
        for generation in reading.view.generations() {
            generation.for_each(|low, trace| {
                if trace.last == 0 && low >= least {
                    candidates.insert(low);
                }
            });
        }
        for segment in &reading.view.segments {
            check(cancelled)?;
            let found = reading.read(segment, untimed_of)?;
            let found = found.into_iter().filter(|&low| low >= least);
            found.for_each(|low| candidates.insert(low));
        }
        Ok(candidates)
    }

    fn insert(&mut self, low: u64) {
        let has_room = self.lows.len() < self.most || self.lows.last().is_none_or(|&last| low < last);
        if has_room {
            self.lows.insert(low);
        }
        let left_out = if !has_room {
            Some(low)
        } else if self.lows.len() > self.most {
            self.lows.pop_last()
        } else {
            None
        };
        if let Some(low) = left_out.filter(|low| !self.lows.contains(low)) {
            self.next = Some(self.next.map_or(low, |next| next.min(low)));
        }
    }
}

/// Those of a segment: the table begins with them, because it is in the order of traces' first timestamps.
fn untimed_of(segment: &SegmentReader) -> Result<Vec<u64>, StorageError> {
    let mut lows = Vec::new();
    let is_untimed = |entry: &TraceEntry| entry.times.last == 0;
    for entry in segment.entries() {
        match entry? {
            entry if is_untimed(&entry) => lows.push(entry.low),
            _ => break,
        }
    }
    Ok(lows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_stay_and_the_first_that_is_left_out_is_where_to_go_on() {
        for multiplier in [1, 3, 7, 9] {
            let mut candidates = Candidates {
                lows: BTreeSet::new(),
                most: 4,
                next: None,
            };
            for number in 0..20 {
                // Some come twice: a part in the head, another in a segment.
                candidates.insert(number * multiplier % 10);
            }
            assert!(candidates.lows.iter().copied().eq(0..4), "{:?}", candidates.lows);
            assert_eq!(candidates.next, Some(4));
        }
    }
}

//! The trace table: one entry a trace, in the order of the traces' first span. `trace_pages.rs` has its bytes.

use crate::page::ListRef;
use crate::rows::TraceRows;
use model::Span;
use storage_record::bytes::{Cursor, Malformed, Put};

/// The number of a trace in its segment.
pub(crate) type Ordinal = u32;

/// Entries a page of the table holds.
pub(crate) const ENTRIES_PER_PAGE: u32 = 256;

/// What is known of a trace without reading its spans. Times are microseconds since the epoch, 0 when absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TraceEntry {
    pub(crate) low: u64,
    pub(crate) times: TraceTimes,
    pub(crate) span_count: u32,
    pub(crate) error_count: u32,
    /// Where its spans are.
    pub(crate) spans: ListRef,
}

/// When a trace was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TraceTimes {
    /// The least timestamp of a span.
    pub(crate) first: u64,
    /// The greatest timestamp of a span.
    pub(crate) last: u64,
    /// What dependency windows go by ([`model::trace_timestamp`]).
    pub(crate) timestamp: u64,
    /// The end of the last span minus the start of the first, microseconds.
    pub(crate) duration: u64,
}

impl TraceTimes {
    /// The times of a trace, from all its rows.
    pub(crate) fn of_rows(rows: &TraceRows) -> Self {
        let heads = rows.iter().map(|row| row.head);
        Self::of(heads.map(|head| (head.timestamp, head.duration, head.parent_id.is_none())))
    }

    /// The times of a trace, from all its spans.
    pub(crate) fn of_spans(spans: &[Span]) -> Self {
        let times = |span: &Span| (span.timestamp, span.duration, span.parent_id.is_none());
        Self::of(spans.iter().map(times))
    }

    /// From the timestamp and the duration of every span, and whether it has no parent.
    fn of(spans: impl Iterator<Item = (Option<u64>, Option<u64>, bool)>) -> Self {
        let mut times = Self::default();
        let (mut first, mut of_parentless, mut end) = (None, None, 0);
        let least = |least: Option<u64>, time: u64| Some(least.map_or(time, |least| least.min(time)));
        for (timestamp, duration, is_parentless) in spans {
            let Some(timestamp) = timestamp else { continue };
            first = least(first, timestamp);
            if is_parentless {
                of_parentless = least(of_parentless, timestamp);
            }
            times.last = times.last.max(timestamp);
            end = end.max(timestamp.saturating_add(duration.unwrap_or(0)));
        }
        times.first = first.unwrap_or(0);
        // As `model::trace_timestamp` says.
        times.timestamp = of_parentless.or(first).unwrap_or(0);
        times.duration = end.saturating_sub(times.first);
        times
    }

    /// Whether any moment between its first and last span lies in a window, ends included.
    pub(crate) fn touches(&self, (start, end): (u64, u64)) -> bool {
        self.last >= start && self.first <= end && self.last != 0
    }
}

/// The ends of what the entries of one page of the table say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TraceBounds {
    /// The least and greatest timestamp of a span, microseconds since the epoch, 0 where none has one.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The longest trace, microseconds.
    pub(crate) duration: u64,
    /// The most errors of a trace.
    pub(crate) errors: u32,
}

impl TraceBounds {
    pub(crate) fn of(entries: &[TraceEntry]) -> Self {
        let timed = || entries.iter().filter(|entry| entry.times.last != 0);
        Self {
            first: timed().map(|entry| entry.times.first).min().unwrap_or(0),
            last: timed().map(|entry| entry.times.last).max().unwrap_or(0),
            duration: entries
                .iter()
                .map(|entry| entry.times.duration)
                .max()
                .unwrap_or(0),
            errors: entries.iter().map(|entry| entry.error_count).max().unwrap_or(0),
        }
    }

    /// As [`TraceTimes::touches`]: false where it is of none of its traces.
    pub(crate) fn touches(&self, (start, end): (u64, u64)) -> bool {
        self.last >= start && self.first <= end && self.last != 0
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.put_varint(self.first);
        out.put_varint(self.last - self.first);
        out.put_varint(self.duration);
        out.put_varint(u64::from(self.errors));
    }

    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let first = cursor.varint()?;
        Ok(Self {
            first,
            last: first.saturating_add(cursor.varint()?),
            duration: cursor.varint()?,
            errors: u32::try_from(cursor.varint()?).map_err(|_| Malformed("errors beyond 32 bits"))?,
        })
    }
}

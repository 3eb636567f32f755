//! Links of the traces of one generation of the head, each as if it were whole there.
//!
//! What was counted of a trace stays right until it gets another span, so a question counts what came since the last
//! one. The links of whole minutes are kept added up; those of minutes that a window cuts are looked at trace by trace.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use storage::StorageError;

use crate::dependencies::Question;
use crate::head::Generation;
use crate::link_sums::{Counted, LinkSums, Sum};
use crate::rollup::MINUTE;
use crate::rows::TraceRows;
use crate::search::check;
use crate::timed_links::{put_links, visit_links};
use crate::trace_links::TraceLinks;
use crate::trace_table::TraceTimes;
use crate::view::Reading;

/// See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct GenerationLinks {
    /// Of each part the traces, in the order in which they came.
    parts: Vec<Vec<TraceOfHead>>,
    /// The links of all traces, one after the other; some are outdated.
    links: Vec<u8>,
    outdated_bytes: usize,
    /// Calls and errors by minute since the epoch and number of the link.
    minutes: BTreeMap<(u64, u32), (i64, i64)>,
    /// Of traces too large to be counted, by their low identifiers: first and last timestamp, and what is said of them.
    left_out: BTreeMap<u64, (u64, u64, String)>,
}

/// What was counted of a trace.
#[derive(Clone, Copy, Debug, Default)]
struct TraceOfHead {
    /// Microseconds since the epoch, 0 for none: then it counts in no window.
    timestamp: u64,
    /// Where in the links of the generation its own begin.
    links: u32,
    /// How many spans it had.
    spans: u32,
}

/// A trace that has other spans than those that were counted.
struct Changed {
    part: usize,
    index: usize,
    low: u64,
    spans: u32,
    /// Its first and last timestamp.
    times: (u64, u64),
}

impl GenerationLinks {
    /// Memory it takes, roughly.
    pub(crate) fn bytes(&self) -> usize {
        /// An entry of a tree with its share of the nodes.
        const MINUTE_BYTES: usize = 64;
        let traces = self.parts.iter().map(Vec::capacity).sum::<usize>();
        traces * size_of::<TraceOfHead>() + self.links.capacity() + self.minutes.len() * MINUTE_BYTES
    }

    /// Counts what has come since the last time.
    pub(crate) fn update(
        &mut self,
        generation: &Generation,
        reading: &Reading<'_>,
        cancelled: &AtomicBool,
        sums: &LinkSums,
    ) -> Result<(), StorageError> {
        let mut counting = TraceLinks::new(sums);
        let mut rows = TraceRows::default();
        for changed in self.changed(generation) {
            check(cancelled)?;
            self.forget(&changed);
            if let Some(reason) = reading.too_many_spans(changed.low, changed.spans.into()) {
                let (first, last) = changed.times;
                self.left_out.insert(changed.low, (first, last, reason));
                self.note(&changed, changed.spans, 0, &[]);
                continue;
            }
            rows.clear();
            if let Some(mut reading) = generation.rows_of(changed.low) {
                reading.read(usize::MAX, &mut rows);
            }
            let counted = generation.with_shapes(|table| counting.of(&rows, table).map(<[_]>::to_vec));
            // Rows of the head are of its shapes: this process made both.
            debug_assert!(counted.is_ok(), "a row of another table: {counted:?}");
            let counted = counted.unwrap_or_default();
            let timestamp = TraceTimes::of_rows(&rows).timestamp;
            self.note(&changed, rows.len() as u32, timestamp, &counted);
        }
        self.drop_outdated();
        Ok(())
    }

    fn changed(&mut self, generation: &Generation) -> Vec<Changed> {
        self.parts.resize_with(generation.parts(), Vec::new);
        let parts = &mut self.parts;
        let (mut changed, mut index, mut last_part) = (Vec::new(), 0, 0);
        generation.for_each_of_parts(|part, trace| {
            if part != last_part {
                (index, last_part) = (0, part);
            }
            if index == parts[part].len() {
                parts[part].push(TraceOfHead::default());
            }
            let spans = trace.span_count() as u32;
            if parts[part][index].spans != spans {
                changed.push(Changed {
                    part,
                    index,
                    low: trace.low,
                    spans,
                    times: (trace.first, trace.last),
                });
            }
            index += 1;
        });
        changed
    }

    fn note(&mut self, trace: &Changed, spans: u32, timestamp: u64, links: &[Counted]) {
        self.parts[trace.part][trace.index] = TraceOfHead {
            timestamp,
            links: self.links.len() as u32,
            spans,
        };
        put_links(&mut self.links, links);
        self.change_minute(timestamp, links);
    }

    /// Takes a trace out of the sums.
    fn forget(&mut self, trace: &Changed) {
        let known = std::mem::take(&mut self.parts[trace.part][trace.index]);
        self.left_out.remove(&trace.low);
        if known.spans == 0 {
            return;
        }
        let mut links = Vec::new();
        self.outdated_bytes += visit_links(&self.links[known.links as usize..], |counted| {
            links.push(counted.negated());
        });
        self.change_minute(known.timestamp, &links);
    }

    fn change_minute(&mut self, timestamp: u64, links: &[Counted]) {
        if timestamp == 0 {
            return;
        }
        for counted in links {
            let entry = self
                .minutes
                .entry((timestamp / MINUTE, counted.link))
                .or_default();
            entry.0 += i64::from(counted.calls);
            entry.1 += i64::from(counted.errors);
        }
    }

    /// Moves links together when half of them are outdated.
    fn drop_outdated(&mut self) {
        /// Less is not worth the while.
        const OUTDATED_BYTES_MIN: usize = 1 << 20;
        if self.outdated_bytes < OUTDATED_BYTES_MIN.max(self.links.len() / 2) {
            return;
        }
        let old = std::mem::take(&mut self.links);
        self.links.reserve(old.len() - self.outdated_bytes);
        for trace in self.parts.iter_mut().flatten().filter(|trace| trace.spans > 0) {
            let own = &old[trace.links as usize..];
            let bytes = visit_links(own, |_| {});
            trace.links = self.links.len() as u32;
            self.links.extend_from_slice(&own[..bytes]);
        }
        self.outdated_bytes = 0;
    }

    /// Adds the links of all traces in the window.
    pub(crate) fn add(&self, reading: &mut Reading<'_>, question: &Question<'_>, sum: &mut Sum<'_>) {
        let (first, last) = (question.window.0 / MINUTE, question.window.1 / MINUTE);
        if first > last {
            return;
        }
        let touched = self.minutes.range((first, 0)..=(last, u32::MAX));
        for (&(_, link), &(calls, errors)) in touched.filter(|entry| question.is_whole(entry.0.0)) {
            sum.add(Counted::new(link, calls, errors));
        }
        for minute in question.cut_minutes() {
            if self
                .minutes
                .range((minute, 0)..=(minute, u32::MAX))
                .next()
                .is_none()
            {
                continue;
            }
            let is_in = |trace: &&TraceOfHead| {
                trace.timestamp / MINUTE == minute && question.contains(trace.timestamp)
            };
            for trace in self.parts.iter().flatten().filter(is_in) {
                visit_links(&self.links[trace.links as usize..], |counted| sum.add(counted));
            }
        }
        for (first, last, reason) in self.left_out.values() {
            if *last >= question.window.0 && *first <= question.window.1 {
                reading.leave_out(reason);
            }
        }
    }

    /// Takes away what [`GenerationLinks::add`] added of a trace.
    pub(crate) fn subtract(
        &self,
        generation: &Generation,
        low: u64,
        question: &Question<'_>,
        sum: &mut Sum<'_>,
    ) {
        let trace = generation
            .place_of(low)
            .and_then(|(part, index)| self.parts.get(part)?.get(index));
        if let Some(trace) = trace.filter(|trace| trace.timestamp != 0 && question.contains(trace.timestamp))
        {
            visit_links(&self.links[trace.links as usize..], |counted| {
                sum.subtract(counted)
            });
        }
    }
}

//! Dependency links of a window, from rollups where they are whole and from spans where they aren't.
//!
//! A segment's rollup counts every trace as if it were whole there. So for whole minutes of the window the
//! rollups are added up; in minutes that the window cuts, traces are read; and traces that are in several
//! places are taken out part by part and counted once, whole.

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;

use model::{LinkCounts, Span};
use storage::{Dependencies, StorageError};

use crate::reader::SegmentReader;
use crate::rollup::{MINUTE, links_of};
use crate::search::check;
use crate::splits::splits_of;
use crate::view::{Reading, sort_distinct};

/// The links of the traces whose timestamp lies in `window` (microseconds, inclusive). `cancelled` is looked at
/// between traces. A trace of too many spans is left out, and told.
pub(crate) fn dependencies(
    reading: &mut Reading<'_>,
    window: (u64, u64),
    cancelled: &AtomicBool,
) -> Result<Dependencies, StorageError> {
    // The head goes on growing. A trace is looked for in it first, and asked afterwards whether it is split: so one
    // that gets another span meanwhile is either taken out of its segment's rollup and read whole, or neither.
    let mut whole = HashSet::new();
    for generation in reading.view.generations() {
        generation.for_each(|low, _| {
            whole.insert(low);
        });
    }
    let mut in_head = reading.also_in_segments();
    in_head.extend(
        whole
            .iter()
            .copied()
            .filter(|&low| reading.view.is_in_several_generations(low)),
    );
    let mut counts = LinkCounts::new();
    // The span that gives a trace its timestamp is in one of the places that touch the window.
    for segment in reading.view.segments.clone() {
        check(cancelled)?;
        let summary = &segment.footer().summary;
        if summary.last < window.0 || summary.first > window.1 {
            continue;
        }
        let splits = splits_of(reading, &segment)?;
        let mut split: HashSet<u64> = in_head
            .iter()
            .copied()
            .filter(|&low| segment.may_hold(low))
            .collect();
        split.extend(splits.traces.iter().map(|trace| trace.low));
        let question = Question {
            window,
            split: &split,
            cancelled,
        };
        let found = reading.read(&segment, |segment| question.of_segment(segment).map(Some))?;
        if let Some((links, parts)) = found {
            counts.add_all(&links);
            whole.extend(parts);
        }
    }
    let question = Question {
        window,
        split: &in_head,
        cancelled,
    };
    for low in whole {
        check(cancelled)?;
        let spans = reading.spans_unless_too_many(low)?;
        if question.is_asked_for(&spans) {
            counts.add_all(&links_of(&spans));
        }
    }
    Ok(Dependencies {
        links: counts.links(),
        completeness: reading.completeness(),
    })
}

struct Question<'q> {
    window: (u64, u64),
    /// Traces whose parts may be in several places.
    split: &'q HashSet<u64>,
    cancelled: &'q AtomicBool,
}

impl Question<'_> {
    fn contains(&self, timestamp: u64) -> bool {
        (self.window.0..=self.window.1).contains(&timestamp)
    }

    fn is_asked_for(&self, spans: &[Span]) -> bool {
        model::trace_timestamp(spans).is_some_and(|timestamp| self.contains(timestamp))
    }

    /// Whether all of a minute is in the window.
    fn is_whole(&self, minute: u64) -> bool {
        let first = minute.saturating_mul(MINUTE);
        first >= self.window.0 && first.saturating_add(MINUTE - 1) <= self.window.1
    }

    /// The links of a segment's traces but those that are split, and which of those it has a part of.
    fn of_segment(&self, segment: &SegmentReader) -> Result<(LinkCounts, Vec<u64>), StorageError> {
        let mut counts = LinkCounts::new();
        for minute in segment
            .links()?
            .iter()
            .filter(|links| self.is_whole(links.minute))
        {
            counts.add_all(&minute.links);
        }
        let mut parts = Vec::new();
        for &low in self.split.iter().filter(|&&low| segment.may_hold(low)) {
            check(self.cancelled)?;
            let spans = segment.spans_of(low)?;
            if !spans.is_empty() {
                parts.push(low);
            }
            if model::trace_timestamp(&spans).is_some_and(|timestamp| self.is_whole(timestamp / MINUTE)) {
                counts.subtract_all(&links_of(&spans));
            }
        }
        let cut = [self.window.0, self.window.1].map(|end| end / MINUTE);
        let cut = cut.into_iter().filter(|&minute| !self.is_whole(minute));
        let cut: Vec<u64> = cut.collect();
        if cut.is_empty() {
            return Ok((counts, parts));
        }
        for entry in segment.entries() {
            let entry = entry?;
            let timestamp = entry.times.timestamp;
            if self.contains(timestamp)
                && cut.contains(&(timestamp / MINUTE))
                && !self.split.contains(&entry.low)
            {
                check(self.cancelled)?;
                let mut spans = segment.spans(&entry)?;
                sort_distinct(&mut spans);
                counts.add_all(&links_of(&spans));
            }
        }
        Ok((counts, parts))
    }
}

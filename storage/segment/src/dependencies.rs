//! Links between services over a window, from rollups where they serve and from spans where they don't.
//!
//! A segment's rollup counts every trace as if it were whole there. So for whole minutes of the window the
//! rollups are added up; in minutes that the window cuts, traces are read; and traces that are in several
//! places are taken out part by part and counted once, whole.

use std::collections::HashSet;

use model::{DependencyLink, LinkCounts};
use storage::StorageError;

use crate::reader::SegmentReader;
use crate::rollup::{MINUTE, links_of};
use crate::view::{Reading, sort_distinct};

/// The links of the traces whose timestamp lies in `window` (microseconds, inclusive).
pub(crate) fn dependencies(
    reading: &mut Reading<'_>,
    window: (u64, u64),
) -> Result<Vec<DependencyLink>, StorageError> {
    let split = reading.split();
    let mut counts = LinkCounts::new();
    for segment in reading.view.segments.clone() {
        let summary = &segment.footer().summary;
        if summary.last < window.0 || summary.first > window.1 {
            continue;
        }
        if let Some(found) =
            reading.read(&segment, |segment| of_segment(segment, window, &split).map(Some))?
        {
            counts.add_all(&found);
        }
    }
    let mut whole = split;
    for generation in reading.view.generations() {
        generation.for_each(|low, _| {
            whole.insert(low);
        });
    }
    for low in whole {
        let spans = reading.spans_of(low)?;
        if in_window(&spans, window) {
            counts.add_all(&links_of(&spans));
        }
    }
    Ok(counts.links())
}

fn in_window(spans: &[model::Span], window: (u64, u64)) -> bool {
    model::trace_timestamp(spans).is_some_and(|timestamp| (window.0..=window.1).contains(&timestamp))
}

/// The links of a segment's traces but those in `split`.
fn of_segment(
    segment: &SegmentReader,
    window: (u64, u64),
    split: &HashSet<u64>,
) -> Result<LinkCounts, StorageError> {
    let is_whole = |minute: u64| minute * MINUTE >= window.0 && minute * MINUTE + (MINUTE - 1) <= window.1;
    let mut counts = LinkCounts::new();
    for minute in segment.links()?.iter().filter(|minute| is_whole(minute.minute)) {
        counts.add_all(&minute.links);
    }
    for &low in split {
        let spans = segment.spans_of(low)?;
        if model::trace_timestamp(&spans).is_some_and(|timestamp| is_whole(timestamp / MINUTE)) {
            counts.subtract_all(&links_of(&spans));
        }
    }
    let cut = [window.0 / MINUTE, window.1 / MINUTE].map(|minute| (minute, is_whole(minute)));
    if cut.iter().all(|(_, whole)| *whole) {
        return Ok(counts);
    }
    for entry in segment.entries() {
        let entry = entry?;
        let timestamp = entry.times.timestamp;
        let in_cut_minute = cut
            .iter()
            .any(|&(minute, whole)| !whole && timestamp / MINUTE == minute);
        if in_cut_minute && (window.0..=window.1).contains(&timestamp) && !split.contains(&entry.low) {
            let mut spans = segment.spans(&entry)?;
            sort_distinct(&mut spans);
            counts.add_all(&links_of(&spans));
        }
    }
    Ok(counts)
}

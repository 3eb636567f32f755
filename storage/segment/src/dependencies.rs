//! Dependency links of a window, from sums that are kept and never from spans that were read before.
//!
//! Of a segment every trace counts as if it were whole there: whole minutes by its rollup, and traces of the minutes
//! that the window cuts one by one (`segment_links.rs`). What traces that are in several segments make different is
//! found out once and remembered (`split_links.rs`); traces of the head are counted one by one, and taken out of the
//! sums of segments where these have parts of them (`head_links.rs`). A trace, and a part of one, counts when its own
//! timestamp is in the window, so what is added in one place is what is taken away in another.

use std::sync::atomic::AtomicBool;

use storage::{Dependencies, StorageError};

use crate::head_links::add_head;
use crate::link_sums::{LinkSums, Sum};
use crate::reader::SegmentReader;
use crate::rollup::MINUTE;
use crate::search::check;
use crate::segment_links::add_segment;
use crate::split_links::split_sums;
use crate::view::Reading;

/// The links of the traces whose timestamp lies in `window` (microseconds, inclusive). `cancelled` is looked at
/// between traces. A trace of too many spans is left out, and told if it touches the window.
pub(crate) fn dependencies(
    reading: &mut Reading<'_>,
    sums: &LinkSums,
    window: (u64, u64),
    cancelled: &AtomicBool,
) -> Result<Dependencies, StorageError> {
    let question = Question { window, cancelled };
    let mut sum = Sum::new(sums);
    add_head(reading, &question, sums, &mut sum)?;
    let view = reading.view;
    for segment in &view.segments {
        check(cancelled)?;
        add_segment(reading, &question, segment, &mut sum)?;
        add_splits(reading, &question, segment, &mut sum)?;
    }
    Ok(Dependencies {
        links: sum.links(),
        completeness: reading.completeness(),
    })
}

/// What is asked for.
pub(crate) struct Question<'q> {
    pub(crate) window: (u64, u64),
    pub(crate) cancelled: &'q AtomicBool,
}

impl Question<'_> {
    pub(crate) fn contains(&self, timestamp: u64) -> bool {
        (self.window.0..=self.window.1).contains(&timestamp)
    }

    /// Whether all of a minute is in the window.
    pub(crate) fn is_whole(&self, minute: u64) -> bool {
        let (first, last) = moments_of(minute);
        first >= self.window.0 && last <= self.window.1
    }

    /// Minutes of which a part is in the window, but not all: at most the first and the last.
    pub(crate) fn cut_minutes(&self) -> impl Iterator<Item = u64> {
        let (first, last) = (self.window.0 / MINUTE, self.window.1 / MINUTE);
        let both = [Some(first), Some(last).filter(|&last| last != first)];
        both.into_iter()
            .flatten()
            .filter(|&minute| !self.is_whole(minute))
    }
}

/// The first and the last moment of a minute, microseconds since the epoch.
pub(crate) fn moments_of(minute: u64) -> (u64, u64) {
    let first = minute.saturating_mul(MINUTE);
    (first, first.saturating_add(MINUTE - 1))
}

/// Adds what the traces make different whose parts are in a segment and in lower ones.
fn add_splits(
    reading: &mut Reading<'_>,
    question: &Question<'_>,
    segment: &SegmentReader,
    sum: &mut Sum<'_>,
) -> Result<(), StorageError> {
    let splits = split_sums(reading, question, segment, sum.sums())?;
    match splits.range {
        None => {}
        Some((first, last)) if question.contains(first) && question.contains(last) => {
            sum.add_all(&splits.total);
        }
        Some(_) => splits
            .timed
            .visit(|time| question.contains(time), |counted| sum.add(counted)),
    }
    for (first, last, reason) in &splits.left_out {
        if *last >= question.window.0 && *first <= question.window.1 {
            reading.leave_out(reason);
        }
    }
    Ok(())
}

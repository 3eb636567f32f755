//! Dependency links of a window, from rollups where they are whole and from spans where they aren't.
//!
//! A segment's rollup counts every trace as if it were whole there. So for whole minutes of the window the rollups are
//! added up; in minutes that the window cuts, traces are read. What traces that are in several segments make different
//! is found out once and remembered (`split_links.rs`); traces of the head are counted one by one, taken out of the sums
//! of segments where these have parts of them (`head_links.rs`).

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use storage::{Dependencies, StorageError};

use crate::head_links::add_head;
use crate::link_sums::{LinkSums, Minutes, Sum};
use crate::reader::SegmentReader;
use crate::rollup::{MINUTE, links_of};
use crate::search::check;
use crate::split_links::split_sums;
use crate::splits::splits_of;
use crate::view::{Reading, sort_distinct};

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
    let in_head = add_head(reading, &question, sums, &mut sum)?;
    let view = reading.view;
    for segment in &view.segments {
        check(cancelled)?;
        add_segment(reading, &question, segment, &in_head, &mut sum)?;
        add_splits(reading, &question, segment, &in_head, &mut sum)?;
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
        let first = minute.saturating_mul(MINUTE);
        first >= self.window.0 && first.saturating_add(MINUTE - 1) <= self.window.1
    }

    /// Whether a timestamp is in a part of the window that is less than a minute.
    pub(crate) fn is_cut(&self, timestamp: u64) -> bool {
        self.contains(timestamp) && !self.is_whole(timestamp / MINUTE)
    }

    /// Minutes of which a part is in the window, the first and the last.
    fn cut_minutes(&self) -> impl Iterator<Item = u64> {
        let (first, last) = (self.window.0 / MINUTE, self.window.1 / MINUTE);
        let both = [Some(first), Some(last).filter(|&last| last != first)];
        both.into_iter()
            .flatten()
            .filter(|&minute| !self.is_whole(minute))
    }
}

/// Adds the links of a segment's traces; of those that are in other segments, too, as if they were not; of those that
/// are `in_head` in whole minutes only.
fn add_segment(
    reading: &mut Reading<'_>,
    question: &Question<'_>,
    segment: &SegmentReader,
    in_head: &HashSet<u64>,
    sum: &mut Sum<'_>,
) -> Result<(), StorageError> {
    let summary = &segment.footer().summary;
    if summary.last < question.window.0 || summary.first > question.window.1 {
        return Ok(());
    }
    add_minutes(reading, question, segment, sum)?;
    let cut: Vec<u64> = question.cut_minutes().collect();
    if cut.is_empty() {
        return Ok(());
    }
    let splits = splits_of(reading, segment)?;
    let elsewhere: HashSet<u64> = splits.traces.iter().map(|trace| trace.low).collect();
    for minute in cut {
        let first = minute.saturating_mul(MINUTE);
        let part = (first, first.saturating_add(MINUTE - 1));
        for page in (0..)
            .zip(&segment.footer().bounds)
            .filter(|page| page.1.touches(part))
        {
            let entries = reading.read(segment, |segment| segment.entries_of_page(page.0))?;
            for entry in entries {
                let timestamp = entry.times.timestamp;
                let is_asked_for = timestamp / MINUTE == minute && question.contains(timestamp);
                if !is_asked_for || elsewhere.contains(&entry.low) || in_head.contains(&entry.low) {
                    continue;
                }
                check(question.cancelled)?;
                let mut spans = reading.read(segment, |segment| segment.spans(&entry))?;
                sort_distinct(&mut spans);
                sum.named().add_all(&links_of(&spans));
            }
        }
    }
    Ok(())
}

/// Adds a segment's rollup of the whole minutes.
fn add_minutes(
    reading: &mut Reading<'_>,
    question: &Question<'_>,
    segment: &SegmentReader,
    sum: &mut Sum<'_>,
) -> Result<(), StorageError> {
    let known = sum.sums().of_segment(segment.number());
    if let Some(known) = &known {
        match known.range {
            None => return Ok(()),
            Some((first, last)) if question.is_whole(first) && question.is_whole(last) => {
                sum.add(&known.total);
                return Ok(());
            }
            Some(_) => {}
        }
    }
    let links = reading.read(segment, SegmentReader::links)?;
    for minute in links.iter().filter(|links| question.is_whole(links.minute)) {
        sum.named().add_all(&minute.links);
    }
    if known.is_none() && reading.is_undamaged() {
        let mut all = Minutes::default();
        let mut total = model::LinkCounts::new();
        for minute in &links {
            all.note(minute.minute);
            total.add_all(&minute.links);
        }
        all.total = sum.sums().number(&total);
        sum.sums().keep_segment(segment.number(), Arc::new(all));
    }
    Ok(())
}

/// Adds what the traces make different whose parts are in a segment and in lower ones.
fn add_splits(
    reading: &mut Reading<'_>,
    question: &Question<'_>,
    segment: &SegmentReader,
    in_head: &HashSet<u64>,
    sum: &mut Sum<'_>,
) -> Result<(), StorageError> {
    let splits = split_sums(reading, question, segment, sum.sums())?;
    match splits.all.range {
        Some((first, last)) if question.is_whole(first) && question.is_whole(last) => {
            sum.add(&splits.all.total)
        }
        _ => {
            for (minute, links) in &splits.by_minute {
                if question.is_whole(*minute) {
                    sum.add(links);
                }
            }
            for &(low, timestamp) in &splits.traces {
                if timestamp.is_some_and(|timestamp| question.is_cut(timestamp)) && !in_head.contains(&low) {
                    check(question.cancelled)?;
                    sum.named()
                        .add_all(&links_of(&reading.spans_unless_too_many(low)?));
                }
            }
        }
    }
    for (first, last, reason) in &splits.left_out {
        if *last >= question.window.0 && *first <= question.window.1 {
            reading.leave_out(reason);
        }
    }
    Ok(())
}

//! Links of the traces of one segment, each as if it were whole there.
//!
//! A segment that is whole in the window is one sum. Of another the minutes that are whole in it are added, and the
//! traces of the at most two minutes that the window cuts are counted one by one: those in the window, or, where that
//! is less, all of the minute less those outside. What was counted of a page of the trace table is kept.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use storage::StorageError;

use crate::dependencies::{Question, moments_of};
use crate::link_sums::{Counted, LinkSums, Part, SegmentSums, Sum};
use crate::reader::SegmentReader;
use crate::rollup::MINUTE;
use crate::rows::TraceRows;
use crate::search::check;
use crate::timed_links::TimedLinks;
use crate::trace_links::TraceLinks;
use crate::view::Reading;

/// Adds the links of a segment's traces.
pub(crate) fn add_segment(
    reading: &mut Reading<'_>,
    question: &Question<'_>,
    segment: &SegmentReader,
    sum: &mut Sum<'_>,
) -> Result<(), StorageError> {
    let summary = &segment.footer().summary;
    if summary.last < question.window.0 || summary.first > question.window.1 {
        return Ok(());
    }
    let known = match sum.sums().of_segment(segment.number()) {
        Some(known) => known,
        None => read_minutes(reading, segment, sum)?.0,
    };
    let Some((first, last)) = known.minutes else {
        return Ok(());
    };
    if question.is_whole(first) && question.is_whole(last) {
        sum.add_all(&known.total);
        return Ok(());
    }
    let minutes = match sum.sums().timed(segment.number(), Part::Minutes) {
        Some(known) => known,
        None => read_minutes(reading, segment, sum)?.1,
    };
    minutes.visit(|minute| question.is_whole(minute), |counted| sum.add(counted));
    let mut counting = None;
    for minute in question.cut_minutes() {
        let mut cut = Cut {
            question,
            segment,
            minute,
            counting: &mut counting,
        };
        cut.add(reading, &minutes, sum)?;
    }
    Ok(())
}

/// The rollup of a segment: its sums, and the same by minute.
fn read_minutes(
    reading: &mut Reading<'_>,
    segment: &SegmentReader,
    sum: &Sum<'_>,
) -> Result<(Arc<SegmentSums>, Arc<TimedLinks>), StorageError> {
    let sums = sum.sums();
    let mut all = SegmentSums::default();
    let (mut by_minute, mut total) = (TimedLinks::default(), Sum::new(sums));
    let mut of_minute: Vec<Counted> = Vec::new();
    let minutes = reading.read(segment, SegmentReader::links)?;
    for links in &minutes {
        of_minute.clear();
        of_minute.extend(sums.number(&links.links));
        total.add_all(&of_minute);
        by_minute.push(links.minute, &of_minute);
        let (first, last) = all.minutes.unwrap_or((links.minute, links.minute));
        all.minutes = Some((first.min(links.minute), last.max(links.minute)));
    }
    all.total = total.into_counted();
    let (all, by_minute) = (Arc::new(all), Arc::new(by_minute.finish()));
    if reading.is_undamaged() {
        sums.keep_segment(segment.number(), all.clone());
        sums.keep_timed(segment.number(), Part::Minutes, by_minute.clone());
    }
    Ok((all, by_minute))
}

/// A minute of a segment that the window cuts.
struct Cut<'c, 's> {
    question: &'c Question<'c>,
    segment: &'c SegmentReader,
    minute: u64,
    counting: &'c mut Option<TraceLinks<'s>>,
}

impl<'s> Cut<'_, 's> {
    fn add(
        &mut self,
        reading: &mut Reading<'_>,
        minutes: &TimedLinks,
        sum: &mut Sum<'s>,
    ) -> Result<(), StorageError> {
        let (question, minute) = (self.question, self.minute);
        let (first, last) = moments_of(minute);
        let inside = (first.max(question.window.0), last.min(question.window.1));
        let before = inside.0.checked_sub(1).filter(|&end| end >= first);
        let after = inside.1.checked_add(1).filter(|&start| start <= last);
        let outside = [before.map(|end| (first, end)), after.map(|start| (start, last))];
        let pages_inside = self.pages(&[Some(inside)]);
        let pages_outside = self.pages(&outside);
        if pages_outside.len() < pages_inside.len() {
            minutes.visit(|other| other == minute, |counted| sum.add(counted));
            for page in pages_outside {
                let links = self.page(reading, page, sum)?;
                let is_outside = |time: u64| time / MINUTE == minute && !question.contains(time);
                links.visit(is_outside, |counted| sum.subtract(counted));
            }
        } else {
            for page in pages_inside {
                let links = self.page(reading, page, sum)?;
                let is_inside = |time: u64| time / MINUTE == minute && question.contains(time);
                links.visit(is_inside, |counted| sum.add(counted));
            }
        }
        Ok(())
    }

    fn page(
        &mut self,
        reading: &mut Reading<'_>,
        page: u32,
        sum: &Sum<'s>,
    ) -> Result<Arc<TimedLinks>, StorageError> {
        let sums = sum.sums();
        match sums.timed(self.segment.number(), Part::Page(page)) {
            Some(known) => Ok(known),
            None => {
                let counting = self.counting.get_or_insert_with(|| TraceLinks::new(sums));
                links_of_page(reading, self.segment, page, counting, self.question.cancelled)
            }
        }
    }

    /// Pages of the trace table with traces that touch one of these times.
    fn pages(&self, times: &[Option<(u64, u64)>]) -> Vec<u32> {
        let pages = (0..).zip(&self.segment.footer().bounds);
        pages
            .filter(|(_, bounds)| times.iter().flatten().any(|&time| bounds.touches(time)))
            .map(|(page, _)| page)
            .collect()
    }
}

/// Finds out the links of the traces of a page of the trace table, to be kept.
pub(crate) fn warm_page(
    reading: &mut Reading<'_>,
    segment: &SegmentReader,
    page: u32,
    sums: &LinkSums,
    cancelled: &AtomicBool,
) -> Result<(), StorageError> {
    links_of_page(reading, segment, page, &mut TraceLinks::new(sums), cancelled).map(drop)
}

/// The links of the traces of a page of the trace table, by their timestamps; kept.
fn links_of_page(
    reading: &mut Reading<'_>,
    segment: &SegmentReader,
    page: u32,
    counting: &mut TraceLinks<'_>,
    cancelled: &AtomicBool,
) -> Result<Arc<TimedLinks>, StorageError> {
    let mut links = TimedLinks::default();
    let mut rows = TraceRows::default();
    let entries = reading.read(segment, |segment| segment.entries_of_page(page))?;
    for entry in entries.iter().filter(|entry| entry.times.timestamp != 0) {
        check(cancelled)?;
        rows.clear();
        reading.read(segment, |segment| {
            let shapes = segment.rows(entry, &mut rows)?;
            let counted = counting.of(&rows, &shapes.table);
            let counted = counted.map_err(|error| segment.corrupt_spans(entry, error))?;
            links.push(entry.times.timestamp, counted);
            Ok(())
        })?;
    }
    let links = Arc::new(links.finish());
    if reading.is_undamaged() {
        counting
            .sums()
            .keep_timed(segment.number(), Part::Page(page), links.clone());
    }
    Ok(links)
}

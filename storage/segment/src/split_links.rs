//! What traces that are in several segments make different: the links of the whole traces less those of their parts,
//! which the segments' rollups have counted. It is found out once for the traces whose parts are in the same segments.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::Span;
use storage::StorageError;

use crate::dependencies::Question;
use crate::link_sums::{Counted, LinkSums, SplitSums, Sum};
use crate::reader::SegmentReader;
use crate::rollup::links_of;
use crate::search::check;
use crate::splits::{SplitTrace, splits_of};
use crate::timed_links::TimedLinks;
use crate::view::{Reading, View, sort_distinct};

/// Of the traces whose parts are in a segment and in segments of lesser numbers: each trace counts where its last part
/// is.
pub(crate) fn split_sums(
    reading: &mut Reading<'_>,
    question: &Question<'_>,
    segment: &SegmentReader,
    sums: &LinkSums,
) -> Result<Arc<SplitSums>, StorageError> {
    let view = reading.view;
    let known = sums.of_splits(segment.number());
    if let Some(known) = known
        .as_ref()
        .filter(|known| known.version.load(Ordering::Relaxed) == view.version)
    {
        return Ok(known.clone());
    }
    let splits = splits_of(reading, segment)?;
    let traces = splits.traces.iter().filter_map(|trace| {
        let others = others_in(view, trace);
        let is_last = others.iter().all(|other| other.number() < segment.number());
        (is_last && !others.is_empty()).then_some((trace, others))
    });
    let traces: Vec<_> = traces.collect();
    let mut hasher = DefaultHasher::new();
    for (trace, others) in &traces {
        trace.low.hash(&mut hasher);
        others.iter().for_each(|other| other.number().hash(&mut hasher));
    }
    let fingerprint = hasher.finish();
    if let Some(known) = known.filter(|known| known.fingerprint == fingerprint) {
        known.version.store(view.version, Ordering::Relaxed);
        return Ok(known);
    }
    let mut found = Difference::default();
    for (trace, others) in traces {
        check(question.cancelled)?;
        found.add(reading, segment, trace, &others, sums)?;
    }
    Ok(found.keep(reading, segment, sums, fingerprint))
}

/// The segments of the view that have other parts of a trace.
fn others_in<'v>(view: &'v View, trace: &SplitTrace) -> Vec<&'v Arc<SegmentReader>> {
    let others = trace.others.iter();
    others.filter_map(|&(number, _)| view.segment(number)).collect()
}

#[derive(Default)]
struct Difference {
    /// Microseconds since the epoch, of a trace or of a part of one, and what counts then.
    entries: Vec<(u64, Vec<Counted>)>,
    left_out: Vec<(u64, u64, String)>,
}

impl Difference {
    fn add(
        &mut self,
        reading: &mut Reading<'_>,
        segment: &SegmentReader,
        trace: &SplitTrace,
        others: &[&Arc<SegmentReader>],
        sums: &LinkSums,
    ) -> Result<(), StorageError> {
        let low = trace.low;
        let (mut count, mut first, mut last) = (0, u64::MAX, 0);
        let parts = || others.iter().map(|other| other.as_ref()).chain([segment]);
        for part in parts() {
            if let Some((_, entry)) = reading.read(part, |part| part.find_entry(low))? {
                count += u64::from(entry.span_count);
                first = first.min(entry.times.first);
                last = last.max(entry.times.last);
            }
        }
        let too_many = reading.too_many_spans(low, count);
        let mut whole: Vec<Span> = Vec::new();
        for part in parts() {
            let mut spans = reading.read(part, |part| part.spans_of(low))?;
            if let Some(timestamp) = model::trace_timestamp(&spans) {
                let links = sums.number(&links_of(&spans)).into_iter();
                self.entries
                    .push((timestamp, links.map(Counted::negated).collect()));
            }
            if too_many.is_none() {
                whole.append(&mut spans);
            }
        }
        if let Some(reason) = too_many {
            self.left_out.push((first, last, reason));
            return Ok(());
        }
        sort_distinct(&mut whole);
        if let Some(timestamp) = model::trace_timestamp(&whole) {
            self.entries.push((timestamp, sums.number(&links_of(&whole))));
        }
        Ok(())
    }

    fn keep(
        self,
        reading: &Reading<'_>,
        segment: &SegmentReader,
        sums: &LinkSums,
        fingerprint: u64,
    ) -> Arc<SplitSums> {
        let mut total = Sum::new(sums);
        let mut timed = TimedLinks::default();
        for (timestamp, links) in &self.entries {
            total.add_all(links);
            timed.push(*timestamp, links);
        }
        let timestamps = || self.entries.iter().map(|entry| entry.0);
        let found = Arc::new(SplitSums {
            version: reading.view.version.into(),
            fingerprint,
            range: timestamps().min().zip(timestamps().max()),
            total: total.into_counted(),
            timed: timed.finish(),
            left_out: self.left_out,
        });
        if reading.is_undamaged() {
            sums.keep_splits(segment.number(), found.clone());
        }
        found
    }
}

//! What traces that are in several segments make different: the links of the whole traces less those of their parts,
//! which the segments' rollups have counted. It is found out once for the traces whose parts are in the same segments.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::{LinkCounts, Span};
use storage::StorageError;

use crate::dependencies::Question;
use crate::link_sums::{LinkSums, SplitSums};
use crate::reader::SegmentReader;
use crate::rollup::{MINUTE, links_of};
use crate::search::check;
use crate::splits::{SplitTrace, splits_of};
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
        found.add(reading, segment, trace, &others)?;
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
    by_minute: BTreeMap<u64, LinkCounts>,
    sums: SplitSums,
}

impl Difference {
    fn add(
        &mut self,
        reading: &mut Reading<'_>,
        segment: &SegmentReader,
        trace: &SplitTrace,
        others: &[&Arc<SegmentReader>],
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
                let minute = self.by_minute.entry(timestamp / MINUTE).or_default();
                minute.subtract_all(&links_of(&spans));
            }
            if too_many.is_none() {
                whole.append(&mut spans);
            }
        }
        if let Some(reason) = too_many {
            self.sums.left_out.push((first, last, reason));
            return Ok(());
        }
        sort_distinct(&mut whole);
        let timestamp = model::trace_timestamp(&whole);
        if let Some(timestamp) = timestamp {
            let minute = self.by_minute.entry(timestamp / MINUTE).or_default();
            minute.add_all(&links_of(&whole));
        }
        self.sums.traces.push((low, timestamp));
        Ok(())
    }

    fn keep(
        mut self,
        reading: &Reading<'_>,
        segment: &SegmentReader,
        sums: &LinkSums,
        fingerprint: u64,
    ) -> Arc<SplitSums> {
        let mut total = LinkCounts::new();
        for (minute, links) in &self.by_minute {
            self.sums.all.note(*minute);
            total.add_all(links);
            self.sums.by_minute.push((*minute, sums.number(links)));
        }
        self.sums.all.total = sums.number(&total);
        self.sums.fingerprint = fingerprint;
        self.sums.version = reading.view.version.into();
        let found = Arc::new(self.sums);
        if reading.is_undamaged() {
            sums.keep_splits(segment.number(), found.clone());
        }
        found
    }
}

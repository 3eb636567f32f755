//! Links of the traces of the head. What was counted for a trace is remembered until it gets another span.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use model::Span;
use storage::StorageError;

use crate::dependencies::Question;
use crate::link_sums::{Counted, HeadLinks, LinkSums, Sum};
use crate::rollup::{MINUTE, links_of};
use crate::search::check;
use crate::view::Reading;

/// What the head has of a trace.
#[derive(Default)]
struct InHead {
    spans: u64,
    touches: bool,
}

/// Adds the links of all traces of the head, and takes away what the sums of segments have of them. Gives those that
/// segments may have spans of, too.
pub(crate) fn add_head(
    reading: &mut Reading<'_>,
    question: &Question<'_>,
    sums: &LinkSums,
    sum: &mut Sum<'_>,
) -> Result<HashSet<u64>, StorageError> {
    // The head goes on growing. A trace is looked for in it first, and asked afterwards whether segments have it, too:
    // so one that gets another span meanwhile is either taken out of the sums of segments and read whole, or neither.
    let mut traces: HashMap<u64, InHead> = HashMap::new();
    for generation in reading.view.generations() {
        generation.for_each(|low, trace| {
            let known = traces.entry(low).or_default();
            known.spans += trace.span_count() as u64;
            known.touches |= trace.last >= question.window.0 && trace.first <= question.window.1;
        });
    }
    let in_segments = reading.also_in_segments();
    for &low in &in_segments {
        traces.entry(low).or_default();
    }
    let known = sums.take_head();
    let mut remembered = HashMap::with_capacity_and_hasher(traces.len(), known.hasher().clone());
    for (low, mut trace) in traces {
        check(question.cancelled)?;
        let in_segments = in_segments.contains(&low);
        if in_segments {
            trace.touches |= reading.segments_touch(low, question.window)?;
        }
        if !trace.touches {
            continue;
        }
        let version = if in_segments { reading.view.version } else { 0 };
        match known.get(&low) {
            Some(known) if (known.spans, known.version) == (trace.spans, version) => {
                add(question, known, sum);
                remembered.insert(low, known.clone());
            }
            _ => {
                let (counted, is_whole) = count(reading, sums, low, trace.spans, version)?;
                add(question, &counted, sum);
                if is_whole {
                    remembered.insert(low, counted);
                }
            }
        }
    }
    sums.keep_head(remembered);
    Ok(in_segments)
}

fn add(question: &Question<'_>, trace: &HeadLinks, sum: &mut Sum<'_>) {
    if trace
        .timestamp
        .is_some_and(|timestamp| question.contains(timestamp))
    {
        sum.add(&trace.links);
    }
    if let Some((timestamp, links)) = &trace.in_segments
        && question.is_whole(timestamp / MINUTE)
    {
        sum.subtract(links);
    }
}

/// Counts the links of a trace; tells whether all its spans could be read, and else why not.
fn count(
    reading: &mut Reading<'_>,
    sums: &LinkSums,
    low: u64,
    spans_in_head: u64,
    version: u64,
) -> Result<(HeadLinks, bool), StorageError> {
    let counted = |spans: &[Span]| -> Arc<[Counted]> { sums.number(&links_of(spans)).into() };
    let mut in_segments = None;
    if version != 0 {
        let spans = reading.spans_in_segments(low)?;
        in_segments = model::trace_timestamp(&spans).map(|timestamp| (timestamp, counted(&spans)));
    }
    let (spans, is_whole) = match reading.spans_of(low) {
        Err(StorageError::Unsupported(reason)) => {
            reading.leave_out(&reason);
            (Vec::new(), false)
        }
        other => (other?, reading.is_undamaged()),
    };
    let links = HeadLinks {
        spans: spans_in_head,
        version,
        timestamp: model::trace_timestamp(&spans),
        links: counted(&spans),
        in_segments,
    };
    Ok((links, is_whole))
}

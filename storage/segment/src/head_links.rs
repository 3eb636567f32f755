//! Links of the traces of the head. What was counted of a trace is remembered until it gets another span.
//!
//! Of a generation every trace counts as if it were whole there, as in a segment. For a trace in several places what is
//! counted of its parts is taken away, and what the whole one has is added.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use foldhash::fast::RandomState;
use storage::StorageError;

use crate::dependencies::Question;
use crate::generation_links::GenerationLinks;
use crate::head::Generation;
use crate::link_sums::{Counted, LinkSums, Sum};
use crate::rollup::links_of;
use crate::search::check;
use crate::view::Reading;

/// Memory for what is known of a generation: the links of some million traces.
const KNOWN_BYTES_MAX: usize = 24 << 20;
/// Traces in several places of which the links are remembered.
const SCATTERED_MAX: usize = 100_000;

/// What is remembered of the head between questions.
#[derive(Debug, Default)]
pub(crate) struct KnownHead {
    generations: Vec<(Weak<Generation>, GenerationLinks)>,
    /// Traces in several places, by their low identifiers.
    scattered: HashMap<u64, Whole, RandomState>,
}

/// The links of a trace that is in several places.
#[derive(Clone, Debug)]
struct Whole {
    /// How many spans of it there were in the head.
    spans: u64,
    /// The version of the view.
    version: u64,
    /// Microseconds since the epoch.
    timestamp: Option<u64>,
    links: Arc<[Counted]>,
    /// What the segments' sums have of it, with its timestamp there.
    in_segments: Option<(u64, Arc<[Counted]>)>,
}

/// Adds the links of all traces of the head, and takes away what the sums of segments have of them.
pub(crate) fn add_head(
    reading: &mut Reading<'_>,
    question: &Question<'_>,
    sums: &LinkSums,
    sum: &mut Sum<'_>,
) -> Result<(), StorageError> {
    let mut known = sums.head();
    let counted = known.add(reading, question, sums, sum);
    // What was counted before an error is right, too.
    known
        .generations
        .retain(|(_, links)| links.bytes() <= KNOWN_BYTES_MAX);
    if known.scattered.len() > SCATTERED_MAX {
        known.scattered = HashMap::default();
    }
    counted
}

impl KnownHead {
    fn add(
        &mut self,
        reading: &mut Reading<'_>,
        question: &Question<'_>,
        sums: &LinkSums,
        sum: &mut Sum<'_>,
    ) -> Result<(), StorageError> {
        // The head goes on growing. A trace is looked for in it first, and asked afterwards where else it is: so one
        // that gets another span meanwhile is either taken out of the sums of other places and read whole, or neither.
        let view = reading.view;
        self.generations
            .retain(|(generation, _)| generation.strong_count() > 0);
        for generation in view.generations() {
            let links = self.of_generation(generation);
            links.update(generation, reading, question.cancelled, sums)?;
            links.add(reading, question, sum);
        }
        let in_segments = reading.also_in_segments();
        let mut scattered = view.in_several_generations();
        scattered.extend(&in_segments);
        self.scattered.retain(|low, _| scattered.contains(low));
        for low in scattered {
            check(question.cancelled)?;
            self.add_scattered(reading, question, (low, &in_segments), sum)?;
        }
        Ok(())
    }

    fn of_generation(&mut self, generation: &Arc<Generation>) -> &mut GenerationLinks {
        let is_it = |known: &(Weak<Generation>, _)| std::ptr::eq(known.0.as_ptr(), Arc::as_ptr(generation));
        let index = self.generations.iter().position(is_it).unwrap_or_else(|| {
            self.generations
                .push((Arc::downgrade(generation), GenerationLinks::default()));
            self.generations.len() - 1
        });
        &mut self.generations[index].1
    }

    fn add_scattered(
        &mut self,
        reading: &mut Reading<'_>,
        question: &Question<'_>,
        (low, in_segments): (u64, &HashSet<u64>),
        sum: &mut Sum<'_>,
    ) -> Result<(), StorageError> {
        let view = reading.view;
        let (mut spans, mut touches) = (0, false);
        for generation in view.generations() {
            self.of_generation(generation)
                .subtract(generation, low, question, sum);
            generation.with_trace(low, |trace| {
                spans += trace.span_count() as u64;
                touches |= trace.last >= question.window.0 && trace.first <= question.window.1;
            });
        }
        let in_segments = in_segments.contains(&low);
        if in_segments && !touches {
            touches = reading.segments_touch(low, question.window)?;
        }
        if !touches {
            return Ok(());
        }
        let is_right = |known: &&Whole| (known.spans, known.version) == (spans, view.version);
        if let Some(known) = self.scattered.get(&low).filter(is_right) {
            known.add(question, sum);
            return Ok(());
        }
        let (whole, is_whole) = count(reading, sum.sums(), (low, in_segments), spans)?;
        whole.add(question, sum);
        if is_whole {
            self.scattered.insert(low, whole);
        }
        Ok(())
    }
}

impl Whole {
    fn add(&self, question: &Question<'_>, sum: &mut Sum<'_>) {
        if self
            .timestamp
            .is_some_and(|timestamp| question.contains(timestamp))
        {
            sum.add_all(&self.links);
        }
        if let Some((timestamp, links)) = &self.in_segments
            && question.contains(*timestamp)
        {
            links.iter().for_each(|&counted| sum.subtract(counted));
        }
    }
}

/// Counts the links of a trace; tells whether all its spans could be read.
fn count(
    reading: &mut Reading<'_>,
    sums: &LinkSums,
    (low, in_segments): (u64, bool),
    spans_in_head: u64,
) -> Result<(Whole, bool), StorageError> {
    let counted = |spans: &[model::Span]| -> Arc<[Counted]> { sums.number(&links_of(spans)).into() };
    let mut of_segments = None;
    if in_segments {
        let spans = reading.spans_in_segments(low)?;
        of_segments = model::trace_timestamp(&spans).map(|timestamp| (timestamp, counted(&spans)));
    }
    let (spans, is_whole) = match reading.spans_of(low) {
        Err(StorageError::Unsupported(reason)) => {
            reading.leave_out(&reason);
            (Vec::new(), false)
        }
        other => (other?, reading.is_undamaged()),
    };
    let whole = Whole {
        spans: spans_in_head,
        version: reading.view.version,
        timestamp: model::trace_timestamp(&spans),
        links: counted(&spans),
        in_segments: of_segments,
    };
    Ok((whole, is_whole))
}

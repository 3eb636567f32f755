//! What the store consists of at one moment: generations and segments.
//!
//! A view never changes; sealing, compaction and retention put another one in its place. A query reads from the
//! view it began with, so nothing disturbs it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use model::{Span, TraceId};
use storage::{Completeness, StorageError};

use crate::head::Generation;
use crate::names::Names;
use crate::reader::SegmentReader;

/// See the head of this file.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Takes spans.
    pub(crate) active: Arc<Generation>,
    /// Take no more spans and are on their way into a segment.
    pub(crate) frozen: Vec<Arc<Generation>>,
    /// Newest last span first.
    pub(crate) segments: Vec<Arc<SegmentReader>>,
    /// The names of all segments together.
    names: Arc<Names>,
    /// Low identifiers of traces that have spans in more than one segment, and of some that had.
    pub(crate) stragglers: Arc<HashSet<u64>>,
    /// Segments that cannot be read, with the reason.
    pub(crate) set_aside: BTreeMap<u64, String>,
}

impl View {
    /// A view without segments.
    pub(crate) fn of(active: Arc<Generation>) -> Self {
        Self {
            active,
            frozen: Vec::new(),
            segments: Vec::new(),
            names: Arc::default(),
            stragglers: Arc::default(),
            set_aside: BTreeMap::new(),
        }
    }

    /// Generations, the active one first.
    pub(crate) fn generations(&self) -> impl Iterator<Item = &Arc<Generation>> {
        std::iter::once(&self.active).chain(&self.frozen)
    }

    /// The same without some segments, damaged or not, and with others.
    pub(crate) fn with_segments(&self, without: &[u64], with: Vec<Arc<SegmentReader>>) -> Self {
        let mut changed = self.clone();
        let new = if without.is_empty() {
            with.clone()
        } else {
            changed
                .segments
                .retain(|segment| !without.contains(&segment.number()));
            changed.set_aside.retain(|number, _| !without.contains(number));
            // What the names and stragglers of the others are is not known from those of all.
            changed.names = Arc::default();
            changed.stragglers = Arc::default();
            changed.segments.iter().chain(&with).cloned().collect()
        };
        let names = Arc::make_mut(&mut changed.names);
        new.iter().for_each(|segment| names.add(segment.names()));
        let stragglers = Arc::make_mut(&mut changed.stragglers);
        new.iter()
            .for_each(|segment| stragglers.extend(segment.stragglers()));
        changed.segments.extend(with);
        changed
            .segments
            .sort_by_key(|segment| std::cmp::Reverse(segment.footer().summary.last));
        changed
    }

    /// Gathers some of all names there are, sorted and distinct.
    pub(crate) fn names(&self, choose: impl Fn(&Names, &mut BTreeSet<String>)) -> Vec<String> {
        let mut chosen = BTreeSet::new();
        choose(&self.names, &mut chosen);
        for generation in self.generations() {
            generation.with_names(|names| choose(names, &mut chosen));
        }
        chosen.into_iter().collect()
    }
}

/// One question being answered from a view. Notes the segments that turn out to be damaged and goes on
/// without them.
#[derive(Debug)]
pub(crate) struct Reading<'v> {
    pub(crate) view: &'v View,
    spans_max: u64,
    damaged: BTreeMap<u64, String>,
    /// Why a trace was left out of the answer.
    left_out: Option<String>,
}

impl<'v> Reading<'v> {
    /// `spans_max`: see [`Limits::trace_spans_max`](crate::config::Limits).
    pub(crate) fn new(view: &'v View, spans_max: u64) -> Self {
        Self {
            view,
            spans_max,
            damaged: BTreeMap::new(),
            left_out: None,
        }
    }

    /// Reads from a segment; `T::default()` where it is damaged.
    pub(crate) fn read<T: Default>(
        &mut self,
        segment: &SegmentReader,
        read: impl FnOnce(&SegmentReader) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        if self.damaged.contains_key(&segment.number()) {
            return Ok(T::default());
        }
        match read(segment) {
            Err(StorageError::Corrupt(reason)) => {
                self.damaged.insert(segment.number(), reason);
                Ok(T::default())
            }
            other => other,
        }
    }

    /// All spans stored with a low identifier, exact duplicates once, by time.
    ///
    /// # Errors
    /// [`StorageError::Unsupported`] where there are more than [`Limits::trace_spans_max`](crate::config::Limits).
    pub(crate) fn spans_of(&mut self, low: u64) -> Result<Vec<Span>, StorageError> {
        let view = self.view;
        let holding: Vec<_> = view
            .segments
            .iter()
            .filter(|segment| segment.may_hold(low))
            .collect();
        let mut count: u64 = view
            .generations()
            .map(|generation| generation.span_count(low))
            .sum();
        for segment in &holding {
            count += self.read(segment, |segment| segment.span_count(low))?;
        }
        let most = self.spans_max;
        if count > most {
            return Err(StorageError::Unsupported(format!(
                "the trace with the low identifier {low:016x} has {count} spans, more than the {most} that can be \
                 answered"
            )));
        }
        let mut spans = Vec::new();
        for generation in view.generations() {
            spans.extend(generation.spans_of(low));
        }
        for segment in holding {
            spans.extend(self.read(segment, |segment| segment.spans_of(low))?);
        }
        sort_distinct(&mut spans);
        Ok(spans)
    }

    /// As [`Reading::spans_of`], for answers over many traces: one that is too large is left out, and told.
    pub(crate) fn spans_unless_too_many(&mut self, low: u64) -> Result<Vec<Span>, StorageError> {
        match self.spans_of(low) {
            Err(StorageError::Unsupported(reason)) => {
                self.left_out.get_or_insert(reason);
                Ok(Vec::new())
            }
            other => other,
        }
    }

    /// Low identifiers of traces in the head that may have spans elsewhere, too: what is said of a part of such a
    /// trace says nothing of the whole. Those in several segments are [`View::stragglers`].
    pub(crate) fn split_in_head(&self) -> HashSet<u64> {
        let segments = &self.view.segments;
        let end = segments.iter().map(|segment| segment.number() + 1).max();
        let may_hold = |low, from| {
            segments
                .iter()
                .any(|segment| segment.number() >= from && segment.may_hold(low))
        };
        let mut split = HashSet::new();
        for generation in self.view.generations() {
            split.extend(generation.also_in(end.unwrap_or(0), may_hold));
        }
        if !self.view.frozen.is_empty() {
            let mut seen = HashSet::new();
            for generation in self.view.generations() {
                generation.for_each(|low, _| {
                    if !seen.insert(low) {
                        split.insert(low);
                    }
                });
            }
        }
        split
    }

    /// Whether every segment could be read that was asked.
    pub(crate) fn is_undamaged(&self) -> bool {
        self.damaged.is_empty()
    }

    /// Segments that turned out to be damaged, with the reason.
    pub(crate) fn into_damaged(self) -> BTreeMap<u64, String> {
        self.damaged
    }

    /// Whether everything could be read.
    pub(crate) fn completeness(&self) -> Completeness {
        match self.view.set_aside.values().chain(self.damaged.values()).next() {
            None => self
                .left_out
                .clone()
                .map_or(Completeness::Complete, Completeness::Partial),
            Some(reason) => {
                let count = self.view.set_aside.len() + self.damaged.len();
                Completeness::Partial(format!("{count} damaged segment(s) set aside, {reason}"))
            }
        }
    }
}

/// Sorts spans by time and drops exact duplicates.
pub(crate) fn sort_distinct(spans: &mut Vec<Span>) {
    spans.sort_unstable_by(|a, b| a.timestamp.cmp(&b.timestamp).then_with(|| a.cmp(b)));
    spans.dedup();
}

/// Spans by their full identifier, in the order of first sight; one group where identifiers are not compared in
/// full.
pub(crate) fn group(spans: Vec<Span>, strict: bool) -> Vec<Vec<Span>> {
    if !strict || spans.windows(2).all(|pair| pair[0].trace_id == pair[1].trace_id) {
        return if spans.is_empty() { Vec::new() } else { vec![spans] };
    }
    let mut groups: BTreeMap<TraceId, Vec<Span>> = BTreeMap::new();
    for span in spans {
        groups.entry(span.trace_id).or_default().push(span);
    }
    groups.into_values().collect()
}

//! What the store consists of at one moment: generations and segments.
//!
//! A view never changes; sealing, compaction and retention put another one in its place. A query reads from the
//! view it began with, so nothing disturbs it.

use std::collections::{BTreeMap, HashSet};
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
    pub(crate) names: Arc<Names>,
    /// Segments that cannot be read, with the reason.
    pub(crate) set_aside: BTreeMap<u64, String>,
}

impl View {
    /// Generations, the active one first.
    pub(crate) fn generations(&self) -> impl Iterator<Item = &Arc<Generation>> {
        std::iter::once(&self.active).chain(&self.frozen)
    }

    /// The same with other segments; sorts them and gathers their names.
    pub(crate) fn with_segments(&self, mut segments: Vec<Arc<SegmentReader>>) -> Self {
        segments.sort_by_key(|segment| std::cmp::Reverse(segment.footer().summary.last));
        let mut names = Names::default();
        segments.iter().for_each(|segment| names.add(segment.names()));
        Self {
            segments,
            names: Arc::new(names),
            ..self.clone()
        }
    }

    /// All names there are.
    pub(crate) fn all_names(&self) -> Names {
        let mut names = (*self.names).clone();
        self.generations()
            .for_each(|generation| generation.add_names(&mut names));
        names
    }
}

/// One question being answered from a view. Notes the segments that turn out to be damaged and goes on
/// without them.
#[derive(Debug)]
pub(crate) struct Reading<'v> {
    pub(crate) view: &'v View,
    damaged: BTreeMap<u64, String>,
}

impl<'v> Reading<'v> {
    pub(crate) fn new(view: &'v View) -> Self {
        Self {
            view,
            damaged: BTreeMap::new(),
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
    pub(crate) fn spans_of(&mut self, low: u64) -> Result<Vec<Span>, StorageError> {
        let view = self.view;
        let mut spans = Vec::new();
        for generation in view.generations() {
            spans.extend(generation.spans_of(low));
        }
        for segment in view.segments.iter().filter(|segment| segment.may_hold(low)) {
            spans.extend(self.read(segment, |segment| segment.spans_of(low))?);
        }
        sort_distinct(&mut spans);
        Ok(spans)
    }

    /// Low identifiers of traces whose spans may be in more than one place, as far as the segments and the head
    /// know: what is said of a part of such a trace says nothing of the whole.
    pub(crate) fn split(&self) -> HashSet<u64> {
        let mut split: HashSet<u64> = self
            .view
            .segments
            .iter()
            .flat_map(|segment| segment.stragglers())
            .copied()
            .collect();
        let mut seen = HashSet::new();
        for generation in self.view.generations() {
            generation.for_each(|low, _| {
                if !seen.insert(low) || self.view.segments.iter().any(|segment| segment.may_hold(low)) {
                    split.insert(low);
                }
            });
        }
        split
    }

    /// Segments that turned out to be damaged, with the reason.
    pub(crate) fn into_damaged(self) -> BTreeMap<u64, String> {
        self.damaged
    }

    /// Whether everything could be read.
    pub(crate) fn completeness(&self) -> Completeness {
        match self.view.set_aside.values().chain(self.damaged.values()).next() {
            None => Completeness::Complete,
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

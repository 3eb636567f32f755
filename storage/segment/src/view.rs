//! What the store consists of at one moment: generations and segments.
//!
//! A view never changes; sealing, compaction and retention put another one in its place. A query reads from the
//! view it began with, so nothing disturbs it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use model::{Span, TraceId};
use storage::{Completeness, StorageError};

use crate::head::{Asking, Generation};
use crate::known_names::KnownNames;
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
    /// The number of each segment and its index, by number.
    places: Vec<(u64, usize)>,
    /// The names of all segments together.
    names: Arc<KnownNames>,
    /// Segments that were written when others had spans of some of their traces, by number.
    pub(crate) with_stragglers: Vec<Arc<SegmentReader>>,
    /// Greater where the segments are others.
    pub(crate) version: u64,
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
            places: Vec::new(),
            names: Arc::default(),
            with_stragglers: Vec::new(),
            version: 1,
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
        let is_gone = |number: u64| without.contains(&number);
        let (gone, stay): (Vec<_>, Vec<_>) = std::mem::take(&mut changed.segments)
            .into_iter()
            .partition(|segment| is_gone(segment.number()));
        changed.segments = stay;
        changed.set_aside.retain(|&number, _| !is_gone(number));
        changed.change_names(&gone, &with);
        changed.segments.extend(with);
        changed
            .segments
            .sort_by_key(|segment| std::cmp::Reverse(segment.footer().summary.last));
        let numbers = changed.segments.iter().map(|segment| segment.number());
        changed.places = numbers.zip(0..).collect();
        changed.places.sort_unstable();
        let with_stragglers = changed
            .segments
            .iter()
            .filter(|segment| !segment.stragglers().is_empty());
        changed.with_stragglers = with_stragglers.cloned().collect();
        changed.with_stragglers.sort_by_key(|segment| segment.order());
        changed.version += 1;
        changed
    }

    fn change_names(&mut self, gone: &[Arc<SegmentReader>], new: &[Arc<SegmentReader>]) {
        let names = Arc::make_mut(&mut self.names);
        let of_gone: Result<Vec<_>, _> = gone.iter().map(|segment| segment.names()).collect();
        let again = match of_gone {
            Ok(of_gone) if names.is_exact() || gone.is_empty() => {
                of_gone.iter().for_each(|gone| names.subtract(gone));
                &[][..]
            }
            _ => {
                *names = KnownNames::default();
                &self.segments[..]
            }
        };
        for segment in again.iter().chain(new) {
            match segment.names() {
                Ok(new) => names.add(&new),
                // It could be read when the segment was opened; a search will set the segment aside.
                Err(error) => tracing::warn!(%error, "the names of a segment cannot be read"),
            }
        }
    }

    /// A segment by its number.
    pub(crate) fn segment(&self, number: u64) -> Option<&Arc<SegmentReader>> {
        let place = self.places.binary_search_by_key(&number, |place| place.0).ok()?;
        self.segments.get(self.places[place].1)
    }

    /// Low identifiers of traces that more than one generation has spans of, and perhaps of some that had.
    pub(crate) fn in_several_generations(&self) -> HashSet<u64> {
        let newer = (0..self.frozen.len()).map(|index| (&self.frozen[index], &self.frozen[..index]));
        newer
            .chain([(&self.active, &self.frozen[..])])
            .flat_map(|(generation, older)| generation.also_in_older(older))
            .collect()
    }

    /// Every segment's place in the order of opening is less, and that of every segment to come is not.
    pub(crate) fn segments_end(&self) -> u64 {
        let orders = self.segments.iter().map(|segment| segment.order() + 1);
        orders.max().unwrap_or(0)
    }

    /// Gathers some of all names there are, sorted and distinct.
    pub(crate) fn names(&self, choose: impl Fn(&Names, &mut BTreeSet<String>)) -> Vec<String> {
        let mut chosen = BTreeSet::new();
        choose(self.names.names(), &mut chosen);
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
        let holding = self.holding(low);
        let in_head = view.generations().map(|generation| generation.span_count(low));
        let count = in_head.sum::<u64>() + self.count_in(&holding, low)?;
        if let Some(reason) = self.too_many_spans(low, count) {
            return Err(StorageError::Unsupported(reason));
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

    /// All spans that segments have with a low identifier, as [`Reading::spans_of`]; none where there are too many.
    pub(crate) fn spans_in_segments(&mut self, low: u64) -> Result<Vec<Span>, StorageError> {
        let holding = self.holding(low);
        let mut spans = Vec::new();
        if self.count_in(&holding, low)? <= self.spans_max {
            for segment in holding {
                spans.extend(self.read(segment, |segment| segment.spans_of(low))?);
            }
        }
        sort_distinct(&mut spans);
        Ok(spans)
    }

    /// Whether a segment has spans of a trace that touches the window.
    pub(crate) fn segments_touch(&mut self, low: u64, window: (u64, u64)) -> Result<bool, StorageError> {
        for segment in self.holding(low) {
            let found = self.read(segment, |segment| segment.find_entry(low))?;
            if found.is_some_and(|(_, entry)| entry.times.touches(window)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Segments that may hold a trace.
    fn holding(&self, low: u64) -> Vec<&'v Arc<SegmentReader>> {
        let segments = self.view.segments.iter();
        segments.filter(|segment| segment.may_hold(low)).collect()
    }

    fn count_in(&mut self, segments: &[&Arc<SegmentReader>], low: u64) -> Result<u64, StorageError> {
        let mut count = 0;
        for segment in segments {
            count += self.read(segment, |segment| segment.span_count(low))?;
        }
        Ok(count)
    }

    /// Why a trace of so many spans is not answered; nothing where it is.
    pub(crate) fn too_many_spans(&self, low: u64, count: u64) -> Option<String> {
        let most = self.spans_max;
        (count > most).then(|| {
            format!(
                "the trace with the low identifier {low:016x} has {count} spans, more than the {most} that can be \
                 answered"
            )
        })
    }

    /// Tells why a trace is not in the answer.
    pub(crate) fn leave_out(&mut self, reason: &str) {
        self.left_out.get_or_insert_with(|| reason.to_owned());
    }

    /// As [`Reading::spans_of`], for answers over many traces: one that is too large is left out, and told.
    pub(crate) fn spans_unless_too_many(&mut self, low: u64) -> Result<Vec<Span>, StorageError> {
        match self.spans_of(low) {
            Err(StorageError::Unsupported(reason)) => {
                self.leave_out(&reason);
                Ok(Vec::new())
            }
            other => other,
        }
    }

    /// Low identifiers of traces in the head that segments may have spans of, too: what is said of a part of such a
    /// trace says nothing of the whole. Those in several segments are told by [`splits_of`](crate::splits::splits_of).
    pub(crate) fn also_in_segments(&self) -> HashSet<u64> {
        let ask = |asking: &mut [Asking]| {
            for segment in &self.view.segments {
                let order = segment.order();
                for asking in asking.iter_mut() {
                    if asking.from <= order && !asking.is_there {
                        asking.is_there = segment.may_hold(asking.low);
                    }
                }
            }
        };
        let end = self.view.segments_end();
        let generations = self.view.generations();
        generations
            .flat_map(|generation| generation.also_in(end, ask))
            .collect()
    }

    /// Whether every segment could be read that was asked.
    pub(crate) fn is_undamaged(&self) -> bool {
        self.damaged.is_empty()
    }

    /// For a part of the question that is answered beside others; [`Reading::join`] takes back what it found.
    pub(crate) fn part(&self) -> Self {
        Self {
            damaged: self.damaged.clone(),
            ..Self::new(self.view, self.spans_max)
        }
    }

    /// Takes what a part of the question found out about segments and traces.
    pub(crate) fn join(&mut self, part: Self) {
        self.damaged.extend(part.damaged);
        self.left_out = self.left_out.take().or(part.left_out);
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

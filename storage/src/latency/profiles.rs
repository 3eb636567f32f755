//! Profiles of a population: which traces, how many of them, in which order.

use model::{
    ArrangedTrace, OperationNumber, ProfileTable, Renumbering, Span, SpanTree, Timeline, TraceId,
    TraceProfile, TraceProfiler, merge, trace_timestamp,
};

use super::OperationName;
use crate::Completeness;

/// Operations, and instances, that an answer names; see [`ProfileTable`].
const ENTRIES_MAX: usize = 1 << 20;

/// Profiles that are gathered before the sample is drawn anew, if the limit is not more.
const SAMPLE_MIN: usize = 1024;

/// Which traces are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileQuery {
    /// The first and the last timestamp ([`trace_timestamp`]), both included, microseconds since the epoch.
    pub window: (u64, u64),
    /// Traces in which this service took part: some span is local to it.
    pub service_name: Option<String>,
    /// Traces that entered by this operation.
    pub entry: Option<OperationName>,
    /// At most so many; of more, a sample that `seed` decides, and nothing else.
    pub limit: usize,
    /// Decides which traces are in the sample.
    pub seed: u64,
}

impl ProfileQuery {
    /// Whether it asks for traces of this time.
    pub fn contains(&self, timestamp: u64) -> bool {
        (self.window.0..=self.window.1).contains(&timestamp)
    }

    /// Where a trace stands in the lot: of too many, those that stand first are answered.
    fn lot(&self, trace_id: TraceId) -> u64 {
        let mixed = (trace_id.low() ^ self.seed).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ mixed >> 32).wrapping_mul(0x94d0_49bb_1331_11eb)
    }
}

/// Profiles of the traces of a population.
#[derive(Clone, Debug)]
pub struct Profiles {
    /// What their numbers are of, in the order of texts: the same spans give the same numbers, wherever they were.
    pub table: ProfileTable,
    /// By timestamp, then by identifier. The identifier is the greatest that a span of the trace has.
    pub profiles: Vec<TraceProfile>,
    /// How many traces there are, of which these are a sample.
    pub matched: u64,
    /// Whether every trace of the window was looked at.
    pub completeness: Completeness,
}

/// Gathers the answer to a [`ProfileQuery`] in memory that its limit bounds.
#[derive(Debug)]
pub struct ProfileCollector<'q> {
    query: &'q ProfileQuery,
    table: ProfileTable,
    /// Their calls are in no order until the end.
    profiles: Vec<TraceProfile>,
    matched: u64,
    /// Who stands beyond this in the lot is not in the sample.
    lot_max: u64,
    profiler: TraceProfiler,
}

/// A table that profiles come with: what a query asks for in its numbers, and what these are in the answer.
#[derive(Debug)]
pub struct ProfileSource {
    renumbering: Renumbering,
    /// Of each operation, whether it is local to the service.
    of_service: Option<Vec<bool>>,
    entry: Option<Option<OperationNumber>>,
}

impl ProfileSource {
    fn new(query: &ProfileQuery, table: &ProfileTable, renumbering: Renumbering) -> Self {
        let of_service = query.service_name.as_deref().map(|wanted| {
            let operations = table.operations().iter();
            operations
                .map(|operation| table.name(operation.service) == wanted)
                .collect()
        });
        let entry = query.entry.as_ref().map(|wanted| {
            let is_it = |number: &usize| {
                let operation = &table.operations()[*number];
                operation.kind == wanted.kind
                    && table.name(operation.service) == wanted.service_name
                    && table.name(operation.span_name) == wanted.span_name
            };
            (0..table.operations().len())
                .find(is_it)
                .map(|number| number as OperationNumber)
        });
        Self {
            renumbering,
            of_service,
            entry,
        }
    }

    /// Whether the query can ask for a profile of this table.
    pub fn is_asked_for(&self) -> bool {
        let is_there = |of_service: &Vec<bool>| of_service.contains(&true);
        self.of_service.as_ref().is_none_or(is_there) && self.entry != Some(None)
    }

    /// Whether the query asks for a profile.
    fn has(&self, profile: &TraceProfile) -> bool {
        let takes_part = |of_service: &Vec<bool>| {
            let operations = profile.calls.iter().map(|sums| sums.place.call.operation);
            let mut is_local = operations.map(|operation| of_service.get(operation as usize).copied());
            is_local.any(|is_local| is_local == Some(true))
        };
        self.of_service.as_ref().is_none_or(takes_part)
            && self
                .entry
                .is_none_or(|entry| entry == Some(profile.entry.operation))
    }
}

impl<'q> ProfileCollector<'q> {
    /// Has no profiles.
    pub fn new(query: &'q ProfileQuery) -> Self {
        Self {
            query,
            table: ProfileTable::new(ENTRIES_MAX),
            profiles: Vec::new(),
            matched: 0,
            lot_max: u64::MAX,
            profiler: TraceProfiler::default(),
        }
    }

    /// Makes a table known whose profiles are to be added.
    pub fn source(&mut self, table: &ProfileTable) -> ProfileSource {
        ProfileSource::new(self.query, table, self.table.absorb(table))
    }

    /// Adds a profile, its calls in any order, if the query asks for it. One with the timestamp 0, which is none, is in no window.
    pub fn add(&mut self, source: &ProfileSource, profile: &TraceProfile) {
        let is_in_window = profile.timestamp != 0 && self.query.contains(profile.timestamp);
        if !is_in_window || !source.has(profile) {
            return;
        }
        self.matched += 1;
        if self.query.lot(profile.trace_id) > self.lot_max || self.query.limit == 0 {
            return;
        }
        let mut profile = profile.clone();
        profile.translate(&source.renumbering);
        self.profiles.push(profile);
        if self.profiles.len() >= self.query.limit.saturating_mul(2).max(SAMPLE_MIN) {
            self.thin_out();
        }
    }

    /// Adds a trace: all its spans, in any order, raw, distinct. The version of a span is the first of `version_tags`
    /// that it bears. One without a timestamp is in no window.
    pub fn add_spans(&mut self, spans: &[Span], version_tags: &[String]) {
        let timestamp = trace_timestamp(spans).filter(|&timestamp| self.query.contains(timestamp));
        let trace_id = spans.iter().map(|span| span.trace_id).max();
        let (Some(timestamp), Some(trace_id)) = (timestamp, trace_id) else {
            return;
        };
        let spans = merge(spans);
        let mut table = ProfileTable::new(ENTRIES_MAX);
        let facts: Vec<_> = spans.iter().map(|span| table.facts(span, version_tags)).collect();
        let tree = SpanTree::build(&spans);
        let mut timeline = Timeline::build(&spans, &tree);
        let trace = ArrangedTrace {
            spans: &spans,
            tree: &tree,
            timeline: &mut timeline,
            facts: &facts,
        };
        let mut profiler = std::mem::take(&mut self.profiler);
        if let Some(profile) = profiler.profile(trace_id, timestamp, trace) {
            let source = self.source(&table);
            self.add(&source, profile);
        }
        self.profiler = profiler;
    }

    /// Adds what another collector of the same query gathered, of other traces.
    pub fn join(&mut self, other: Self) {
        let renumbering = self.table.absorb(&other.table);
        self.matched += other.matched;
        self.lot_max = self.lot_max.min(other.lot_max);
        self.profiles.reserve(other.profiles.len());
        for mut profile in other.profiles {
            profile.translate(&renumbering);
            self.profiles.push(profile);
        }
        self.thin_out();
    }

    /// The answer.
    pub fn finish(mut self, completeness: Completeness) -> Profiles {
        self.thin_out();
        let table = self.table.canonical(&mut self.profiles);
        self.profiles
            .sort_unstable_by_key(|profile| (profile.timestamp, profile.trace_id));
        Profiles {
            table,
            profiles: self.profiles,
            matched: self.matched,
            completeness,
        }
    }

    /// Leaves no more than the limit.
    fn thin_out(&mut self) {
        let limit = self.query.limit;
        if self.profiles.len() <= limit {
            return;
        }
        let query = self.query;
        let key = |profile: &TraceProfile| (query.lot(profile.trace_id), profile.trace_id);
        self.profiles.select_nth_unstable_by_key(limit, key);
        self.lot_max = query.lot(self.profiles[limit].trace_id);
        self.profiles.truncate(limit);
    }
}

//! From a query to its traces: candidates by Zipkin's indexes, newest first, of which the definition chooses.
//!
//! Where few documents meet one of the conditions, their traces are the candidates. Otherwise all traces of the window
//! are, a slice after the other, until the answer is decided.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use model::{Span, TraceId};
use storage::{BestTraces, Completeness, Found, Result, TraceQuery};

use crate::ElasticsearchStore;
use crate::conditions::Conditions;
use crate::scan::TRACES_A_READ;
use crate::slices::{Slices, within};

/// Traces that a search looks at; beyond it an answer is partial.
const CANDIDATES_MAX: usize = 100_000;
/// A condition that not more documents meet is asked for first.
const RARE_DOCUMENTS_MAX: u64 = 20_000;

impl ElasticsearchStore {
    /// See [`storage::SpanSource::search`].
    pub(crate) async fn find(&self, query: &TraceQuery) -> Result<Found> {
        self.fresh().await?;
        let conditions = Conditions::of(query);
        let mut search = Search {
            store: self,
            query,
            conditions: &conditions,
            best: BestTraces::new(query, self.is_strict()),
            seen: HashSet::new(),
        };
        if let Some((condition, documents)) = self.rarest(query.window(), &conditions).await?
            && documents <= RARE_DOCUMENTS_MAX
        {
            let max = RARE_DOCUMENTS_MAX as usize;
            let ids = self.traces_with(query.window(), &condition, max).await?;
            search.look_at(ids).await?;
            return Ok(search.best.into_found());
        }
        search.look_at_all().await
    }

    /// What one trace has in common: of an identifier, or of what stands for it in an index.
    fn key_of(&self, id: &str) -> Option<(u64, u64)> {
        TraceId::parse(id).ok().map(|trace_id| self.key(trace_id))
    }
}

struct Search<'a> {
    store: &'a ElasticsearchStore,
    query: &'a TraceQuery,
    conditions: &'a Conditions,
    best: BestTraces<'a>,
    /// Those that were looked at.
    seen: HashSet<(u64, u64)>,
}

impl Search<'_> {
    async fn look_at_all(mut self) -> Result<Found> {
        let mut slices = Slices::of(self.query.window());
        while let Some(slice) = slices.next(self.store).await? {
            if self.best.is_decided(slice.1) {
                break;
            }
            let indexes = self.store.indexes_of(slice);
            let max = CANDIDATES_MAX;
            let (ids, is_all) = self
                .store
                .values(&indexes, "traceId", &within(slice), max)
                .await?;
            self.look_at(ids).await?;
            if !is_all || self.seen.len() > CANDIDATES_MAX {
                let mut found = self.best.into_found();
                found.completeness =
                    Completeness::Partial(format!("only the newest {CANDIDATES_MAX} traces were looked at"));
                return Ok(found);
            }
        }
        Ok(self.best.into_found())
    }

    /// Considers the traces of identifiers that were not looked at yet.
    async fn look_at(&mut self, mut ids: Vec<String>) -> Result<()> {
        let store = self.store;
        let mut new = HashSet::new();
        ids.retain(|id| {
            let key = store.key_of(id);
            let is_new = key.is_some_and(|key| !self.seen.contains(&key));
            new.extend(key.filter(|_| is_new));
            is_new
        });
        self.seen.extend(new);
        // Whole and half of an identifier stand for one trace where these are not compared in full.
        let mut newest: BTreeMap<(u64, u64), (u64, Vec<String>)> = BTreeMap::new();
        for ids in ids.chunks(store.together(self.conditions)) {
            let meeting = store.meeting(ids, self.query.window(), self.conditions).await?;
            for (id, timestamp) in meeting {
                let Some(key) = store.key_of(&id) else { continue };
                let trace = newest.entry(key).or_default();
                trace.0 = trace.0.max(timestamp);
                trace.1.push(id);
            }
        }
        let mut newest: Vec<(u64, Vec<String>)> = newest.into_values().collect();
        newest.sort_unstable_by_key(|trace| std::cmp::Reverse(trace.0));
        for traces in newest.chunks(TRACES_A_READ) {
            if traces
                .first()
                .is_some_and(|newest| self.best.is_decided(newest.0))
            {
                return Ok(());
            }
            let ids = traces.iter().flat_map(|trace| trace.1.iter().cloned());
            let mut loaded: BTreeMap<(u64, u64), Vec<Span>> = BTreeMap::new();
            for span in store.load(ids.collect()).await? {
                loaded.entry(store.key(span.trace_id)).or_default().push(span);
            }
            loaded
                .into_values()
                .for_each(|trace| self.best.consider(Arc::new(trace)));
        }
        Ok(())
    }
}

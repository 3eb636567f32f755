//! The traces that a search answers, chosen from candidates as they come.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use model::{Span, TraceId};

use crate::{Completeness, Found, Order, TracePosition, TraceQuery};

/// The best matches so far, at most as many as the query's limit.
#[derive(Debug)]
pub struct BestTraces<'a> {
    query: &'a TraceQuery,
    strict: bool,
    // The worst on top, each with its number of arrival.
    best: BinaryHeap<Reverse<(TracePosition, usize)>>,
    matches: BTreeMap<usize, Arc<Vec<Span>>>,
    arrived: usize,
}

impl<'a> BestTraces<'a> {
    /// None yet. `strict`: traces that differ in any bit of their identifier are different.
    pub fn new(query: &'a TraceQuery, strict: bool) -> Self {
        Self {
            query,
            strict,
            best: BinaryHeap::new(),
            matches: BTreeMap::new(),
            arrived: 0,
        }
    }

    /// Whether no trace whose timestamps in the window are at most `bound` can be in the answer.
    pub fn is_decided(&self, bound: u64) -> bool {
        self.query.order() == Order::Newest
            && self.best.len() >= self.query.limit()
            && self
                .best
                .peek()
                .is_some_and(|Reverse((worst, _))| worst.rank.0 > bound)
    }

    /// Takes the traces among spans of the same low 64 bits that match: one, or with strict identifiers one
    /// for each of them.
    pub fn consider(&mut self, spans: Arc<Vec<Span>>) {
        let one = spans.windows(2).all(|pair| pair[0].trace_id == pair[1].trace_id);
        if one || !self.strict {
            self.consider_trace(spans);
            return;
        }
        let mut by_id: BTreeMap<TraceId, Vec<Span>> = BTreeMap::new();
        for span in spans.iter() {
            by_id.entry(span.trace_id).or_default().push(span.clone());
        }
        for trace in by_id.into_values() {
            self.consider_trace(Arc::new(trace));
        }
    }

    fn consider_trace(&mut self, trace: Arc<Vec<Span>>) {
        if !self.query.matches(&trace) {
            return;
        }
        self.best
            .push(Reverse((self.query.position(&trace), self.arrived)));
        self.matches.insert(self.arrived, trace);
        self.arrived += 1;
        if self.best.len() > self.query.limit()
            && let Some(Reverse((_, worst))) = self.best.pop()
        {
            self.matches.remove(&worst);
        }
    }

    /// The matches in the query's order.
    pub fn into_found(mut self) -> Found {
        // Ascending order of `Reverse` is descending order of positions.
        let order = self.best.into_sorted_vec();
        let traces = order
            .into_iter()
            .filter_map(|Reverse((_, arrived))| self.matches.remove(&arrived));
        Found {
            traces: traces.map(Arc::unwrap_or_clone).collect(),
            completeness: Completeness::Complete,
        }
    }
}

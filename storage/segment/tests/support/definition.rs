//! What a store must answer, said of a list of spans.

use std::collections::BTreeMap;

use model::{DependencyLink, Span};
use storage::{DependencyQuery, SpanSource, TraceQuery, TraceQueryBuilder};
use storage_segment::SegmentStore;

/// The definition: all spans ever stored, each once.
#[derive(Default)]
pub(crate) struct Definition(Vec<Span>);

impl Definition {
    /// Adds spans, those that are new.
    pub(crate) fn store(&mut self, spans: &[Span]) {
        for span in spans {
            if !self.0.contains(span) {
                self.0.push(span.clone());
            }
        }
    }

    /// Spans by a key, as the store answers them.
    pub(crate) fn groups<K: Ord>(&self, key: impl Fn(&Span) -> K) -> Vec<Vec<Span>> {
        let mut groups: BTreeMap<K, Vec<Span>> = BTreeMap::new();
        for span in &self.0 {
            groups.entry(key(span)).or_default().push(span.clone());
        }
        groups.into_values().map(sorted).collect()
    }

    /// Every trace that matches, best first.
    pub(crate) fn search(&self, query: &TraceQuery, strict: bool) -> Vec<Vec<Span>> {
        let key = |span: &Span| {
            if strict {
                (span.trace_id.high(), span.trace_id.low())
            } else {
                (0, span.trace_id.low())
            }
        };
        let mut found = self.groups(key);
        found.retain(|trace| query.matches(trace));
        found.sort_by_key(|trace| std::cmp::Reverse(query.position(trace)));
        found
    }

    /// Sorted.
    pub(crate) fn dependencies(&self, query: DependencyQuery) -> Vec<DependencyLink> {
        let (start, end) = query.window();
        let mut linker = model::DependencyLinker::new();
        for trace in self.groups(|span| span.trace_id.low()) {
            if model::trace_timestamp(&trace).is_some_and(|timestamp| (start..=end).contains(&timestamp)) {
                linker.put_trace(&trace);
            }
        }
        let mut links = linker.links();
        links.sort();
        links
    }
}

/// In the order in which a store answers a trace.
pub(crate) fn sorted(mut trace: Vec<Span>) -> Vec<Span> {
    // As the store answers: which of several roots is the first decides what a trace's timestamp is.
    trace.sort_by(|a, b| a.timestamp.cmp(&b.timestamp).then_with(|| a.cmp(b)));
    trace
}

/// Asks a store for a page and the one after it, and compares what it answers.
pub(crate) async fn check_search(
    store: &SegmentStore,
    definition: &Definition,
    asked: TraceQueryBuilder,
    strict: bool,
) {
    let query = asked.clone().build().expect("a valid query");
    let last = check_page(store, definition, &query, strict).await;
    if let Some(last) = last {
        let after = Some(query.position(&last));
        let next = TraceQueryBuilder { after, ..asked };
        check_page(store, definition, &next.build().expect("a valid query"), strict).await;
    }
}

/// Gives the last trace of the page.
async fn check_page(
    store: &SegmentStore,
    definition: &Definition,
    query: &TraceQuery,
    strict: bool,
) -> Option<Vec<Span>> {
    let found = store.search(query).await.expect("a search").traces;
    let found: Vec<_> = found.into_iter().map(sorted).collect();
    let mut expected = definition.search(query, strict);
    expected.truncate(query.limit());
    assert_eq!(found, expected, "{query:?}");
    expected.pop()
}

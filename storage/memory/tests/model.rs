//! Random spans and random questions: the store answers as a list of spans that is searched from end to end.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use model::{Annotation, DependencyLink, DependencyLinker, Endpoint, Kind, Span, SpanBatch, SpanId, TraceId};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use storage::contract::fixtures::sorted;
use storage::{DependencyQuery, Order, SpanSink, SpanSource, StoreOptions, TraceQuery, TraceQueryBuilder};
use storage_memory::{MemoryConfig, MemoryStore};

/// What the store must be equal to.
struct Model {
    strict: bool,
    spans_max: usize,
    /// In order of arrival.
    spans: Vec<Span>,
}

impl Model {
    fn accept(&mut self, batch: &SpanBatch) {
        for span in batch.iter().map(|span| span.to_span()) {
            if !self.spans.contains(&span) {
                self.spans.push(span);
            }
        }
        while self.spans.len() > self.spans_max {
            let by_low = self.grouped(|span| (0, span.trace_id.low()));
            let age = |spans: &[Span]| spans.iter().filter_map(|span| span.timestamp).min().unwrap_or(0);
            let oldest = by_low
                .iter()
                .map(|(key, spans)| (age(spans), key.1))
                .min()
                .map(|oldest| oldest.1);
            self.spans.retain(|span| Some(span.trace_id.low()) != oldest);
        }
    }

    fn grouped(&self, key: impl Fn(&Span) -> (u64, u64)) -> BTreeMap<(u64, u64), Vec<Span>> {
        let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for span in &self.spans {
            groups.entry(key(span)).or_default().push(span.clone());
        }
        groups
    }

    /// What identifies the trace of a span.
    fn key(&self, trace_id: TraceId) -> (u64, u64) {
        (if self.strict { trace_id.high() } else { 0 }, trace_id.low())
    }

    fn trace(&self, trace_id: TraceId) -> Vec<Span> {
        let mut groups = self.grouped(|span| self.key(span.trace_id));
        sorted(groups.remove(&self.key(trace_id)).unwrap_or_default())
    }

    fn matches(&self, query: &TraceQuery) -> Vec<Vec<Span>> {
        let groups = self.grouped(|span| self.key(span.trace_id));
        groups
            .into_values()
            .filter(|trace| query.matches(trace))
            .collect()
    }

    fn links(&self, query: DependencyQuery) -> Vec<DependencyLink> {
        let (start, end) = query.window();
        let mut linker = DependencyLinker::new();
        for trace in self.grouped(|span| (0, span.trace_id.low())).values() {
            if model::trace_timestamp(trace).is_some_and(|timestamp| (start..=end).contains(&timestamp)) {
                linker.put_trace(trace);
            }
        }
        let mut links = linker.links();
        links.sort();
        links
    }

    fn names<'a>(&'a self, name: impl Fn(&'a Span) -> Option<&'a str>) -> Vec<String> {
        let names: BTreeSet<_> = self.spans.iter().filter_map(name).collect();
        names.into_iter().map(str::to_owned).collect()
    }
}

fn service() -> impl Strategy<Value = Option<String>> {
    of(select(vec!["a", "b", "c"]).prop_map(str::to_owned))
}

/// Most of them fall into one shard, so that what they share there must be told apart, too.
const LOWS: [u64; 5] = [1, 2, 1 + 34, 1 + 55, 1 + 89];

fn trace_id() -> impl Strategy<Value = TraceId> {
    (0..3u64, select(LOWS.to_vec())).prop_map(|(high, low)| TraceId::new(high, low).unwrap())
}

/// From one to 20 seconds after the epoch: on the bounds of windows and on either side of them, within the reach
/// of one place and far beyond.
fn timestamp() -> impl Strategy<Value = u64> {
    (1..20u64, select(vec![0, 1, 999, 1_000, 64_000, 70_000, 999_999]))
        .prop_map(|(second, rest)| second * 1_000_000 + rest)
}

fn tags() -> impl Strategy<Value = Vec<(String, String)>> {
    let key = select(vec!["error", "x", "y"]).prop_map(str::to_owned);
    btree_map(key, select(vec!["", "1", "2"]).prop_map(str::to_owned), 0..3)
        .prop_map(|tags| tags.into_iter().collect())
}

fn span() -> impl Strategy<Value = Span> {
    let identifiers = (trace_id(), of(0..5u64), 0..5u64, any::<bool>());
    let kind = of(select(vec![
        Kind::Client,
        Kind::Server,
        Kind::Producer,
        Kind::Consumer,
    ]));
    let times = (of(timestamp()), of(1..2_000_000u64));
    let names = (of(select(vec!["get", "put", "all"])), service(), service());
    let annotation = of(select(vec!["error", "x", "z"]));
    (identifiers, kind, times, names, tags(), annotation).prop_map(
        |((trace_id, parent_id, id, shared), kind, times, (name, local, remote), tags, annotation)| {
            let endpoint = |service_name| {
                Endpoint {
                    service_name,
                    ..Endpoint::default()
                }
                .into_option()
            };
            let annotations = annotation.map(|value| Annotation {
                timestamp: 5,
                value: value.to_owned(),
            });
            Span {
                trace_id,
                parent_id: parent_id.map(SpanId::new),
                id: SpanId::new(id),
                kind,
                name: name.map(str::to_owned),
                timestamp: times.0,
                duration: times.1,
                local_endpoint: endpoint(local),
                remote_endpoint: endpoint(remote),
                annotations: annotations.into_iter().collect(),
                tags,
                debug: false,
                shared,
            }
        },
    )
}

fn query() -> impl Strategy<Value = TraceQueryBuilder> {
    let names = (
        service(),
        service(),
        of(select(vec!["get", "put", "all"]).prop_map(str::to_owned)),
    );
    let annotation_query = of(select(vec![
        "error",
        "x=1",
        "y",
        "x and y=2",
        "z",
        "error=1 and z",
    ]));
    let text = of(select(vec!["web", "x", "/[12]/", "put e*"]).prop_map(str::to_owned));
    let window = (900..21_000i64, 1..21_000i64);
    let order = select(vec![Order::Newest, Order::Newest, Order::Slowest, Order::Errors]);
    let durations = of((1..2_000_000i64, of(0..1_000_000i64)));
    (names, (annotation_query, text), window, 1..8i64, order, durations).prop_map(
        |(
            (service_name, remote_service_name, span_name),
            (annotation_query, text),
            window,
            limit,
            order,
            durations,
        )| {
            TraceQueryBuilder {
                service_name,
                remote_service_name,
                span_name,
                annotation_query: annotation_query.map(str::to_owned),
                text,
                min_duration: durations.map(|durations| durations.0),
                max_duration: durations.and_then(|(min, more)| Some(min + more?)),
                end_ts: window.0,
                lookback: window.1,
                limit,
                order,
                after: None,
            }
        },
    )
}

/// The same places in the same order, and each of them a trace that matches.
fn assert_found(model: &Model, query: &TraceQuery, found: &[Vec<Span>]) {
    let matches = model.matches(query);
    let mut expected: Vec<_> = matches.iter().map(|trace| query.position(trace)).collect();
    expected.sort_unstable_by(|a, b| b.cmp(a));
    expected.truncate(query.limit());
    let places: Vec<_> = found.iter().map(|trace| query.position(trace)).collect();
    assert_eq!(places, expected, "{query:?}");
    let matches: BTreeMap<_, _> = matches
        .into_iter()
        .map(|trace| (model.key(trace[0].trace_id), sorted(trace)))
        .collect();
    let keys: BTreeSet<_> = found.iter().map(|trace| model.key(trace[0].trace_id)).collect();
    assert_eq!(keys.len(), found.len(), "a trace was found twice: {query:?}");
    for trace in found {
        assert_eq!(
            Some(&sorted(trace.clone())),
            matches.get(&model.key(trace[0].trace_id)),
            "{query:?}"
        );
    }
}

async fn assert_names(model: &Model, store: &MemoryStore) {
    assert_eq!(
        store.service_names().await.unwrap(),
        model.names(Span::local_service_name)
    );
    for service in ["a", "b", "c"] {
        let local = |span: &Span| span.local_service_name() == Some(service);
        let expected = model.names(|span| span.name.as_deref().filter(|_| local(span)));
        assert_eq!(store.span_names(service).await.unwrap(), expected);
        let expected = model.names(|span| span.remote_service_name().filter(|_| local(span)));
        assert_eq!(store.remote_service_names(service).await.unwrap(), expected);
    }
}

async fn assert_equal(model: &Model, store: &MemoryStore, queries: &[TraceQueryBuilder]) {
    assert_eq!(store.span_count(), model.spans.len());
    for (high, low) in (0..3).flat_map(|high| LOWS.map(|low| (high, low))) {
        let trace_id = TraceId::new(high, low).unwrap();
        assert_eq!(
            sorted(store.trace(trace_id).await.unwrap()),
            model.trace(trace_id)
        );
    }
    assert_names(model, store).await;
    for builder in queries {
        let query = builder.clone().build().unwrap();
        let found = store.search(&query).await.unwrap();
        assert_found(model, &query, &found.traces);
        let window = DependencyQuery::new(builder.end_ts, builder.lookback).unwrap();
        let mut links = store.dependencies(window).await.unwrap().links;
        links.sort();
        assert_eq!(links, model.links(window));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_as_a_list_of_spans_does(
        strict in any::<bool>(),
        spans_max in select(vec![4, 20, 1000]),
        batches in vec(vec(span(), 0..12), 1..6),
        queries in vec(query(), 1..12),
    ) {
        let options = StoreOptions { strict_trace_id: strict, ..StoreOptions::default() };
        let store = MemoryStore::new(MemoryConfig { options, spans_max });
        let mut model = Model { strict, spans_max, spans: Vec::new() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            for spans in &batches {
                let mut batch = SpanBatch::new();
                spans.iter().for_each(|span| batch.push_span(span));
                store.accept(&batch).await.unwrap();
                model.accept(&batch);
                assert_equal(&model, &store, &queries).await;
            }
        });
    }
}

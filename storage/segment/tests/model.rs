//! The segment store against a list of spans: whatever is stored, sealed, joined and restarted in whatever order,
//! it answers as the definition says.

use std::sync::Arc;

use model::{Annotation, Endpoint, Kind, Span, SpanBatch, SpanId, TraceId};
use proptest::prelude::*;
use storage::{Completeness, DependencyQuery, Order, SpanSink, SpanSource, StoreOptions, TraceQueryBuilder};
use storage_segment::SegmentStore;

#[path = "support/definition.rs"]
mod definition;
mod support;

use definition::{Definition, check_search, sorted};

/// Milliseconds; spans begin within two hours after it.
const START: u64 = 1_600_000_000_000;

#[derive(Clone, Debug)]
enum Step {
    Store(Vec<Span>),
    Seal,
    Restart,
    Search(Box<TraceQueryBuilder>),
    Dependencies(i64, i64),
}

fn pick(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(texts).prop_map(str::to_owned)
}

fn endpoint() -> impl Strategy<Value = Option<Endpoint>> {
    let name = prop::option::weighted(0.9, pick(&["web", "cart", "pay"]));
    (name, 0u16..2).prop_map(|(service_name, port)| {
        Endpoint {
            service_name,
            port,
            ..Endpoint::default()
        }
        .into_option()
    })
}

prop_compose! {
    fn span()(
        ids in (0u64..2, 1u64..8, prop::option::of(1u64..5), 1u64..5), kind in 0u64..5,
        name in prop::option::of(pick(&["get", "put"])),
        // Often on a whole minute, where windows and rollups meet.
        timestamp in prop::option::weighted(0.9, prop_oneof![(0..120u64).prop_map(|minute| minute * 60_000_000), 0..7_200_000_000u64]),
        duration in prop::option::of(1..5_000_000u64), local in endpoint(), remote in endpoint(),
        annotation in prop::option::weighted(0.3, pick(&["error", "ws", "x"])),
        tags in prop::collection::btree_map(pick(&["error", "a", "b"]), prop_oneof![pick(&["1", "2", ""]), "[0-9]{3}", "Key[0-9]{2} of [a-c]{1,2}[0-9]?"], 0..3),
        shared in any::<bool>(),
    ) -> Span {
        let (high, low, parent, id) = ids;
        let kind = Kind::from_number(kind);
        let timestamp = timestamp.map(|offset| START * 1000 + offset);
        Span {
            trace_id: TraceId::new(high, low).expect("low is not zero"),
            parent_id: parent.filter(|&parent| parent != id).map(SpanId::new),
            id: SpanId::new(id),
            kind,
            name,
            timestamp,
            duration,
            local_endpoint: local,
            remote_endpoint: remote,
            annotations: annotation.into_iter().map(|value| Annotation { timestamp: START * 1000, value }).collect(),
            tags: tags.into_iter().collect(),
            debug: false,
            shared: shared && kind != Some(Kind::Client),
        }
    }
}

fn window() -> impl Strategy<Value = (i64, i64)> {
    let instant = prop_oneof![(0i64..121).prop_map(|minute| minute * 60_000), 0i64..7_300_000];
    (instant, prop_oneof![1i64..7_300_000, Just(1)])
        .prop_map(|(end, lookback)| (START as i64 + end, lookback))
}

/// Words, phrases, prefixes and patterns of what spans have, and of what they have not.
fn text() -> impl Strategy<Value = String> {
    let word = pick(&[
        "web", "get", "error", "ws", "of", "1", "none", "a", "bb", "key", "KE*", "key1*", "o*", "1*", "a*",
    ]);
    let varying =
        "(key[0-9]{2}|[0-9]{3}|\"of [ab][0-9]?\"|key[0-9][0-9] of|[a-c][0-9]|/y[0-9]1 of/|/\\^[12]/)";
    prop::collection::vec(prop_oneof![word, varying], 1..3).prop_map(|parts| parts.join(" "))
}

prop_compose! {
    fn query()(
        service_name in prop::option::of(pick(&["web", "cart", "pay", "none"])),
        remote_service_name in prop::option::weighted(0.2, pick(&["web", "cart"])),
        span_name in prop::option::weighted(0.3, pick(&["get", "put", "none"])),
        annotation_query in prop::option::weighted(0.4, pick(&["error", "a=1", "a", "ws and b=2", "a=123", "b= "])),
        text in prop::option::weighted(0.4, text()),
        durations in prop::option::weighted(0.3, (1i64..3_000_000, prop::option::of(0i64..3_000_000))),
        window in window(), limit in 1i64..6, order in prop::sample::select(&[Order::Newest, Order::Slowest, Order::Errors]),
    ) -> TraceQueryBuilder {
        let (end_ts, lookback) = window;
        let (min_duration, max_duration) = match durations {
            None => (None, None),
            Some((min, more)) => (Some(min), more.map(|more| min + more)),
        };
        TraceQueryBuilder {
            service_name, remote_service_name, span_name, annotation_query, text, min_duration, max_duration, end_ts, lookback, limit, order, after: None,
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(span(), 1..8).prop_map(Step::Store),
        2 => Just(Step::Seal),
        1 => Just(Step::Restart),
        6 => query().prop_map(|query| Step::Search(Box::new(query))),
        3 => window().prop_map(|(end_ts, lookback)| Step::Dependencies(end_ts, lookback)),
    ]
}

fn run(steps: Vec<Step>, options: StoreOptions) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let open = || SegmentStore::open(support::config(directory.path(), options.clone())).expect("a store");
    let mut store: Arc<SegmentStore> = open();
    let mut definition = Definition::default();
    for step in steps {
        match step {
            Step::Store(spans) => {
                let mut batch = SpanBatch::new();
                spans.iter().for_each(|span| batch.push_span(span));
                runtime.block_on(store.accept(&batch)).expect("room");
                definition.store(&spans);
            }
            Step::Seal => store.seal_all().expect("a segment"),
            Step::Restart => {
                drop(store);
                store = open();
            }
            Step::Search(query) => {
                runtime.block_on(check_search(&store, &definition, *query, options.strict_trace_id));
            }
            Step::Dependencies(end_ts, lookback) => {
                let query = DependencyQuery::new(end_ts, lookback).expect("a valid query");
                let found = runtime.block_on(store.dependencies(query)).expect("links");
                assert_eq!(found.completeness, Completeness::Complete);
                let mut links = found.links;
                links.sort();
                assert_eq!(links, definition.dependencies(query), "in {query:?}");
            }
        }
    }
    store.verify().expect("every byte as it was written");
    for trace in definition.groups(|span| span.trace_id.low()) {
        let mut found = Vec::new();
        let mut ids: Vec<_> = trace.iter().map(|span| span.trace_id).collect();
        ids.sort();
        ids.dedup_by_key(|id| {
            if options.strict_trace_id {
                (id.high(), id.low())
            } else {
                (0, id.low())
            }
        });
        for id in ids {
            found.extend(runtime.block_on(store.trace(id)).expect("a trace"));
        }
        assert_eq!(sorted(found), trace);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn answers_as_the_definition(steps in prop::collection::vec(step(), 1..24), strict in any::<bool>()) {
        run(steps, StoreOptions { strict_trace_id: strict, ..StoreOptions::default() });
    }
}

//! Many of everything: Zipkin's `ITSpanStoreHeavy` and `ITDependenciesHeavy`, and what it does not try.

use std::collections::HashSet;

use super::fixtures::{Build, DAY, at, bare_span, link, query, query_of, span, today, trace_id};
use super::{Case, Subject, case};
use crate::TraceQueryBuilder;
use model::{Kind, Span};

pub(super) const SPAN_STORE_CASES: &[Case] = &[case!(trace_with_many_spans), case!(get_traces_many_traces)];

pub(super) const DEPENDENCIES_CASES: &[Case] = &[case!(many_links)];

pub(super) const CASES: &[Case] = &[
    case!(a_hundred_thousand_spans_in_one_trace),
    case!(many_names),
    case!(what_is_old_or_seldom_among_many),
];

async fn trace_with_many_spans(subject: Subject) {
    let mut trace = vec![span(trace_id(1), 1)];
    trace.extend((2..=101).map(|id| span(trace_id(1), id).child_of(1)));
    subject.accept(&trace).await;
    assert_eq!(subject.search(query()).await, [trace.clone()]);
    assert_eq!(subject.trace(trace_id(1)).await, trace);
}

async fn get_traces_many_traces(subject: Subject) {
    const TRACES: u64 = 1000;
    let spans: Vec<_> = (1..=TRACES).map(|low| span(trace_id(low), low)).collect();
    for batch in spans.chunks(100) {
        subject.accept(batch).await;
    }
    let limited = |limit: u64| TraceQueryBuilder {
        limit: limit as i64,
        ..query_of("frontend")
    };
    let newest_first: Vec<_> = (1..=TRACES).rev().map(trace_id).collect();
    assert_eq!(subject.found(limited(TRACES)).await, newest_first);
    assert_eq!(subject.found(limited(TRACES + 1)).await, newest_first);
    assert_eq!(subject.found(limited(10)).await, newest_first[..10]);
    let named = TraceQueryBuilder {
        span_name: Some("get".to_owned()),
        ..limited(TRACES)
    };
    assert_eq!(subject.found(named).await.len(), TRACES as usize);
}

async fn many_links(subject: Subject) {
    const SERVICES: u64 = 256;
    // Every one of them is called in two traces.
    let mut spans = Vec::new();
    for low in 1..=2 * SERVICES {
        let callee = format!("service-{:03}", low % SERVICES);
        spans.push(span(trace_id(low), 1).of_kind(Kind::Client).remote(&callee));
    }
    subject.accept(&spans).await;
    let expected: Vec<_> = (0..SERVICES)
        .map(|n| link("frontend", &format!("service-{n:03}"), 2))
        .collect();
    assert_eq!(subject.links(today() + DAY, DAY).await, expected);
}

/// A store that looks at the newest first has to go on to the oldest, whatever else meets a part of the conditions.
async fn what_is_old_or_seldom_among_many(subject: Subject) {
    const TRACES: u64 = 2200;
    let traces: Vec<_> = (1..=TRACES).map(one_of_many).collect();
    for batch in traces.chunks(100) {
        subject.accept(&batch.concat()).await;
    }
    let colored = |color: &str, limit: i64| TraceQueryBuilder {
        annotation_query: Some(format!("color={color}")),
        limit,
        ..query_of("frontend")
    };
    assert_eq!(subject.found(colored("red", 10)).await, [1].map(trace_id));
    let newest = [TRACES, TRACES - 1, TRACES - 2].map(trace_id);
    assert_eq!(subject.found(colored("blue", 3)).await, newest);
    let named = |service: &str, name: &str| TraceQueryBuilder {
        span_name: Some(name.to_owned()),
        ..query_of(service)
    };
    assert_eq!(subject.found(named("backend", "seldom")).await, [2].map(trace_id));
    // Every trace has both, no span has.
    assert_eq!(subject.found(named("frontend", "query")).await, []);
}

/// Of 300 that begin at the same time. The first is red, the second has a name of its own, the others are alike.
fn one_of_many(low: u64) -> Vec<Span> {
    let (color, name) = match low {
        1 => ("red", "query"),
        2 => ("blue", "seldom"),
        _ => ("blue", "query"),
    };
    let begin = at(1 + low / 300);
    let root = span(trace_id(low), 1).at(begin).tag("color", color);
    let child = span(trace_id(low), 2).child_of(1).local("backend");
    vec![root, child.named(name).at(begin)]
}

async fn a_hundred_thousand_spans_in_one_trace(subject: Subject) {
    const SPANS: u64 = 100_000;
    let child = |id: u64| {
        let child = bare_span(trace_id(1), id).child_of(1).named("child").lasting(1);
        child
            .at(at(1_000_000 + id))
            .local(if id.is_multiple_of(2) { "even" } else { "odd" })
    };
    let root = span(trace_id(1), 1).named("root");
    subject.accept(std::slice::from_ref(&root)).await;
    let children: Vec<_> = (2..=SPANS).map(child).collect();
    for batch in children.chunks(1000) {
        subject.accept(batch).await;
    }
    // Once more: duplicates must not make it quadratic, either.
    subject.accept(&children[..10_000]).await;
    let trace = subject.trace(trace_id(1)).await;
    assert_eq!(trace.len(), SPANS as usize);
    assert_eq!(
        trace.iter().map(|span| span.id).collect::<HashSet<_>>().len(),
        SPANS as usize
    );
    // The root and its children meet the conditions of their services; the trace is found whole.
    let found = subject
        .search(TraceQueryBuilder {
            span_name: Some("child".to_owned()),
            ..query_of("odd")
        })
        .await;
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [SPANS as usize]);
    assert_eq!(
        subject
            .found(TraceQueryBuilder {
                span_name: Some("root".to_owned()),
                ..query_of("even")
            })
            .await,
        []
    );
    assert_eq!(subject.service_names().await, ["even", "frontend", "odd"]);
}

async fn many_names(subject: Subject) {
    const NAMES: u64 = 2000;
    let names: Vec<_> = (0..NAMES).map(|number| format!("name-{number:04}")).collect();
    let spans: Vec<_> = (1..)
        .zip(&names)
        .flat_map(|(low, name)| {
            // A service of its own, and an operation of a busy one.
            [
                span(trace_id(low), low).local(name),
                span(trace_id(low), low + NAMES).local("busy").named(name),
            ]
        })
        .collect();
    for batch in spans.chunks(500) {
        subject.accept(batch).await;
    }
    assert_eq!(subject.span_names("busy").await, names);
    let mut services = names;
    services.insert(0, "busy".to_owned());
    assert_eq!(subject.service_names().await, services);
    assert_eq!(subject.found(query_of("name-0007")).await, [trace_id(8)]);
}

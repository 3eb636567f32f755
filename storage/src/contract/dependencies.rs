//! Zipkin's `ITDependencies`: links between services (`zipkin.md` 4.5) over a window (`zipkin.md` 5.6).

use model::{DependencyLink, Kind, Span, TraceId};

use super::fixtures::{
    Build, DAY, at, bare_span, endpoint, link, links_of_traces, long_trace_id, shifted, span, today,
    trace_id, whole_trace,
};
use super::{Case, Subject, case};
use crate::DependencyQuery;

pub(super) const CASES: &[Case] = &[
    case!(get_dependencies),
    case!(get_dependencies_links_mixed_trace_id),
    case!(replay_overwrites),
    case!(empty),
    case!(get_dependencies_all_instrumented),
    case!(dependencies_loopback),
    case!(dependencies_headless_trace),
    case!(looks_back_indefinitely),
    case!(end_ts_inside_the_trace),
    case!(end_time_before_data),
    case!(lookback_after_data),
    case!(end_ts_and_lookback_must_be_positive),
    case!(can_search_for_intervals_besides_today),
    case!(not_instrumented_client_and_server),
    case!(instrumented_client_and_server),
    case!(instrumented_producer_and_consumer),
    case!(missing_intermediate_span),
    case!(span_kind_is_not_required_when_endpoints_are_present),
    case!(unnamed_endpoints_are_skipped),
    case!(intermediate_spans),
    case!(duplicate_address),
    case!(oneway),
    case!(oneway_no_client),
    case!(annotation_named_error_isnt_error),
];

fn id() -> TraceId {
    trace_id(1)
}

/// A span of [`id`], `number` milliseconds after midnight.
fn numbered(number: u64) -> Span {
    bare_span(id(), number).at(at(number * 1000)).lasting(1000)
}

fn client(number: u64, from: &str, to: &str) -> Span {
    numbered(number).of_kind(Kind::Client).local(from).remote(to)
}

fn server(number: u64, service: &str) -> Span {
    numbered(number).of_kind(Kind::Server).local(service)
}

/// The links of the day of all spans stored.
async fn links(subject: &Subject) -> Vec<DependencyLink> {
    subject.links(today() + DAY - 1, DAY - 1).await
}

async fn assert_links(subject: &Subject, spans: &[Span], expected: &[DependencyLink]) {
    subject.accept(spans).await;
    assert_eq!(links(subject).await, expected);
}

async fn get_dependencies(subject: Subject) {
    assert_links(&subject, &whole_trace(id()), &links_of_traces(1)).await;
    assert_links(&subject, &whole_trace(trace_id(2)), &links_of_traces(2)).await;
}

async fn get_dependencies_links_mixed_trace_id(subject: Subject) {
    // Half of the services know the identifier's lower half only. Strict or not, it is one trace.
    let mut trace = whole_trace(long_trace_id(9, 1));
    trace[2].trace_id = id();
    trace[3].trace_id = id();
    assert_links(&subject, &trace, &links_of_traces(1)).await;
}

async fn replay_overwrites(subject: Subject) {
    for _ in 0..3 {
        assert_links(&subject, &whole_trace(id()), &links_of_traces(1)).await;
    }
}

async fn empty(subject: Subject) {
    assert_eq!(links(&subject).await, []);
}

async fn get_dependencies_all_instrumented(subject: Subject) {
    let trace = [
        server(1, "frontend"),
        client(2, "frontend", "backend").child_of(1),
        server(2, "backend").child_of(1).shared().remote("frontend"),
        client(3, "backend", "db").child_of(2),
        server(3, "db").child_of(2).shared().remote("backend"),
    ];
    assert_links(
        &subject,
        &trace,
        &[link("backend", "db", 1), link("frontend", "backend", 1)],
    )
    .await;
}

async fn dependencies_loopback(subject: Subject) {
    let trace = [
        server(1, "frontend"),
        client(2, "frontend", "frontend").child_of(1),
        server(2, "frontend").child_of(1).shared().remote("frontend"),
    ];
    assert_links(&subject, &trace, &[link("frontend", "frontend", 1)]).await;
}

async fn dependencies_headless_trace(subject: Subject) {
    // Only what backend reported: the spans above it are missing.
    assert_links(&subject, &whole_trace(id())[2..], &links_of_traces(1)).await;
}

async fn looks_back_indefinitely(subject: Subject) {
    subject.accept(&whole_trace(id())).await;
    assert_eq!(
        subject.links(today() + DAY, today() + DAY).await,
        links_of_traces(1)
    );
}

async fn end_ts_inside_the_trace(subject: Subject) {
    // Every span of a trace that has begun counts, 50 ms before its last one began, too.
    subject.accept(&whole_trace(id())).await;
    assert_eq!(subject.links(today() + 50, DAY).await, links_of_traces(1));
}

async fn end_time_before_data(subject: Subject) {
    subject.accept(&whole_trace(id())).await;
    assert_eq!(links(&subject).await, links_of_traces(1));
    assert_eq!(subject.links(today() - DAY, DAY).await, []);
}

async fn lookback_after_data(subject: Subject) {
    subject
        .accept(&shifted(whole_trace(id()), -2 * DAY as i64 * 1000))
        .await;
    assert_eq!(links(&subject).await, []);
    assert_eq!(subject.links(today() + DAY, 4 * DAY).await, links_of_traces(1));
}

async fn end_ts_and_lookback_must_be_positive(subject: Subject) {
    // Refused when asked, whatever is stored.
    subject.accept(&whole_trace(id())).await;
    let error = |end_ts, lookback| DependencyQuery::new(end_ts, lookback).map_err(|error| error.to_string());
    assert_eq!(error(0, 1), Err("endTs <= 0".to_owned()));
    assert_eq!(error(-1, 1), Err("endTs <= 0".to_owned()));
    assert_eq!(error(1, 0), Err("lookback <= 0".to_owned()));
    assert_eq!(error(1, -1), Err("lookback <= 0".to_owned()));
    assert_eq!(links(&subject).await, links_of_traces(1));
}

async fn can_search_for_intervals_besides_today(subject: Subject) {
    subject.accept(&whole_trace(id())).await;
    subject
        .accept(&shifted(whole_trace(trace_id(2)), -(DAY as i64) * 1000))
        .await;
    subject
        .accept(&shifted(whole_trace(trace_id(3)), -(DAY as i64) * 1000))
        .await;
    let of_day = |day_end: u64| subject.links(day_end - 1, DAY - 1);
    assert_eq!(of_day(today() + DAY).await, links_of_traces(1));
    assert_eq!(of_day(today()).await, links_of_traces(2));
    assert_eq!(of_day(today() - DAY).await, []);
    assert_eq!(subject.links(today() + DAY, 2 * DAY).await, links_of_traces(3));
}

async fn not_instrumented_client_and_server(subject: Subject) {
    let trace = [
        server(1, "app").remote("browser"),
        client(2, "app", "mysql").child_of(1),
    ];
    assert_links(
        &subject,
        &trace,
        &[link("app", "mysql", 1), link("browser", "app", 1)],
    )
    .await;
}

async fn instrumented_client_and_server(subject: Subject) {
    let shared = [
        client(1, "frontend", "app"),
        server(1, "app").shared().remote("frontend"),
    ];
    assert_links(&subject, &shared, &[link("frontend", "app", 1)]).await;
    // And with a span for each half, where the server does not know who called.
    let apart = [client(1, "frontend", "app"), server(2, "app").child_of(1)];
    let apart = apart.map(|span| Span {
        trace_id: trace_id(2),
        ..span
    });
    assert_links(&subject, &apart, &[link("frontend", "app", 2)]).await;
}

async fn instrumented_producer_and_consumer(subject: Subject) {
    let trace = [
        numbered(1)
            .of_kind(Kind::Producer)
            .local("orders")
            .remote("kafka"),
        numbered(2)
            .child_of(1)
            .of_kind(Kind::Consumer)
            .local("billing")
            .remote("kafka"),
        // Without a broker there is no link, not even to the producer.
        numbered(3).child_of(1).of_kind(Kind::Consumer).local("audit"),
    ];
    assert_links(
        &subject,
        &trace,
        &[link("kafka", "billing", 1), link("orders", "kafka", 1)],
    )
    .await;
}

async fn missing_intermediate_span(subject: Subject) {
    let trace = [server(1, "frontend"), client(3, "frontend", "app").child_of(2)];
    assert_links(&subject, &trace, &[link("frontend", "app", 1)]).await;
}

async fn span_kind_is_not_required_when_endpoints_are_present(subject: Subject) {
    let trace = [
        numbered(1).local("frontend").remote("app"),
        // One name alone says nothing.
        numbered(2).child_of(1).local("frontend"),
    ];
    assert_links(&subject, &trace, &[link("frontend", "app", 1)]).await;
}

async fn unnamed_endpoints_are_skipped(subject: Subject) {
    let unnamed = model::Endpoint {
        service_name: None,
        ..endpoint("anyone")
    };
    let trace = [
        Span {
            remote_endpoint: Some(unnamed.clone()),
            ..server(1, "frontend")
        },
        Span {
            remote_endpoint: Some(unnamed),
            ..client(2, "frontend", "lost").child_of(1)
        },
        client(3, "frontend", "db").child_of(1),
    ];
    assert_links(&subject, &trace, &[link("frontend", "db", 1)]).await;
}

async fn intermediate_spans(subject: Subject) {
    let local = |number: u64, service: &str| numbered(number).local(service);
    let trace = [
        server(1, "frontend"),
        local(2, "frontend").child_of(1),
        client(3, "frontend", "backend").child_of(2),
        server(3, "backend").child_of(2).shared().remote("frontend"),
        local(4, "backend").child_of(3),
        local(5, "backend").child_of(4),
        client(6, "backend", "db").child_of(5),
    ];
    assert_links(
        &subject,
        &trace,
        &[link("backend", "db", 1), link("frontend", "backend", 1)],
    )
    .await;
}

async fn duplicate_address(subject: Subject) {
    // Two services behind one address are two services: links go by name.
    let same = |name: &str| {
        Some(model::Endpoint {
            service_name: Some(name.to_owned()),
            ..endpoint("host")
        })
    };
    let trace = [
        Span {
            local_endpoint: same("app1"),
            remote_endpoint: same("app2"),
            ..client(1, "", "")
        },
        Span {
            local_endpoint: same("app2"),
            remote_endpoint: same("app1"),
            ..server(1, "").shared()
        },
        Span {
            local_endpoint: same("app2"),
            remote_endpoint: same("app3"),
            ..client(2, "", "").child_of(1)
        },
    ];
    assert_links(
        &subject,
        &trace,
        &[link("app1", "app2", 1), link("app2", "app3", 1)],
    )
    .await;
}

async fn oneway(subject: Subject) {
    // Nobody waits for an answer: neither half has a duration.
    let half = |span: Span| Span {
        duration: None,
        ..span
    };
    let trace = [
        half(client(1, "frontend", "backend")),
        half(server(1, "backend").shared()),
    ];
    assert_links(&subject, &trace, &[link("frontend", "backend", 1)]).await;
}

async fn oneway_no_client(subject: Subject) {
    let received = Span {
        duration: None,
        ..server(1, "backend").remote("kafka")
    };
    assert_links(&subject, &[received], &[link("kafka", "backend", 1)]).await;
}

async fn annotation_named_error_isnt_error(subject: Subject) {
    let annotated = client(1, "frontend", "db").annotation("error");
    assert_links(&subject, &[annotated], &[link("frontend", "db", 1)]).await;
    // The tag is, with any value.
    let tagged = Span {
        trace_id: trace_id(2),
        ..client(1, "frontend", "db")
    }
    .tag("error", "");
    let expected = DependencyLink {
        error_count: 1,
        ..link("frontend", "db", 2)
    };
    assert_links(&subject, &[tagged, span(trace_id(3), 3)], &[expected]).await;
}

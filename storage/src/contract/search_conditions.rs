//! Zipkin's `ITSpanStore`: what a search may ask of the spans of a service.

use model::{Kind, Span, TraceId};

use super::fixtures::{Build, at, bare_span, long_trace_id, query, query_of, span, trace_id};
use super::{Case, Subject, case};
use crate::TraceQueryBuilder;

pub(super) const CASES: &[Case] = &[
    case!(get_traces_service_names),
    case!(get_traces_service_names_mixed_trace_id_length),
    case!(get_traces_span_name),
    case!(get_traces_span_name_mixed_trace_id_length),
    case!(get_traces_tags),
    case!(get_traces_min_duration),
    case!(get_traces_late_duration),
    case!(get_traces_max_duration),
    case!(get_traces_duration),
    case!(get_traces_annotation),
    case!(get_traces_multiple_annotations_become_and_filter),
    case!(get_traces_differentiate_on_service_name),
];

fn annotated(service_name: &str, annotation_query: &str) -> TraceQueryBuilder {
    TraceQueryBuilder {
        annotation_query: Some(annotation_query.to_owned()),
        ..query_of(service_name)
    }
}

fn named(service_name: &str, span_name: &str) -> TraceQueryBuilder {
    TraceQueryBuilder {
        span_name: Some(span_name.to_owned()),
        ..query_of(service_name)
    }
}

fn lasting(service_name: &str, min_duration: i64, max_duration: Option<i64>) -> TraceQueryBuilder {
    TraceQueryBuilder {
        min_duration: Some(min_duration),
        max_duration,
        ..query_of(service_name)
    }
}

async fn get_traces_service_names(subject: Subject) {
    finds_by_service_names(&subject, [1, 2, 3].map(trace_id)).await;
}

async fn get_traces_service_names_mixed_trace_id_length(subject: Subject) {
    finds_by_service_names(&subject, [trace_id(1), long_trace_id(9, 2), long_trace_id(9, 3)]).await;
}

async fn finds_by_service_names(subject: &Subject, [one, two, three]: [TraceId; 3]) {
    subject
        .accept(&[
            span(one, 1).remote("backend"),
            span(two, 2).remote("db"),
            span(three, 3).local("backend").remote("db"),
        ])
        .await;
    assert_eq!(subject.found(query_of("frontend")).await, [two, one]);
    assert_eq!(subject.found(query_of("backend")).await, [three]);
    // A service that is only ever called is not found as a caller.
    assert_eq!(subject.found(query_of("db")).await, []);
    assert_eq!(subject.found(query_of("front")).await, []);
    let to = |query, remote: &str| TraceQueryBuilder {
        remote_service_name: Some(remote.to_owned()),
        ..query
    };
    assert_eq!(subject.found(to(query(), "db")).await, [three, two]);
    assert_eq!(subject.found(to(query_of("frontend"), "db")).await, [two]);
    assert_eq!(subject.found(to(query_of("backend"), "backend")).await, []);
}

async fn get_traces_span_name(subject: Subject) {
    finds_by_span_name(&subject, [1, 2, 3].map(trace_id)).await;
}

async fn get_traces_span_name_mixed_trace_id_length(subject: Subject) {
    finds_by_span_name(&subject, [long_trace_id(9, 1), trace_id(2), long_trace_id(8, 3)]).await;
}

async fn finds_by_span_name(subject: &Subject, [one, two, three]: [TraceId; 3]) {
    subject
        .accept(&[
            span(one, 1).named("get").remote("backend"),
            span(two, 2).named("put").remote("backend"),
            span(three, 3).named("get").local("backend").remote("db"),
        ])
        .await;
    assert_eq!(subject.found(named("frontend", "get")).await, [one]);
    assert_eq!(subject.found(named("frontend", "put")).await, [two]);
    assert_eq!(subject.found(named("backend", "put")).await, []);
    assert_eq!(subject.found(named("", "get")).await, [three, one]);
    // Two names that mean any.
    assert_eq!(subject.found(named("frontend", "all")).await, [two, one]);
    assert_eq!(subject.found(named("frontend", "")).await, [two, one]);
    let with_remote = |name, remote: &str| TraceQueryBuilder {
        remote_service_name: Some(remote.to_owned()),
        ..named("frontend", name)
    };
    assert_eq!(subject.found(with_remote("get", "backend")).await, [one]);
    assert_eq!(subject.found(with_remote("get", "db")).await, []);
}

async fn get_traces_tags(subject: Subject) {
    subject
        .accept(&[
            span(trace_id(1), 1).tag("region", "north"),
            span(trace_id(2), 2).tag("region", "south").tag("error", ""),
            // The tag is there, but on another service's span.
            span(trace_id(3), 3),
            span(trace_id(3), 4)
                .child_of(3)
                .local("backend")
                .tag("region", "north"),
        ])
        .await;
    assert_eq!(
        subject.found(annotated("frontend", "region")).await,
        [2, 1].map(trace_id)
    );
    assert_eq!(
        subject.found(annotated("frontend", "region=north")).await,
        [trace_id(1)]
    );
    assert_eq!(subject.found(annotated("frontend", "region=nor")).await, []);
    assert_eq!(subject.found(annotated("frontend", "north")).await, []);
    assert_eq!(
        subject.found(annotated("backend", "region=north")).await,
        [trace_id(3)]
    );
    assert_eq!(
        subject.found(annotated("", "region=north")).await,
        [3, 1].map(trace_id)
    );
    assert_eq!(
        subject
            .found(annotated("frontend", "region=south and error"))
            .await,
        [trace_id(2)]
    );
    assert_eq!(
        subject
            .found(annotated("frontend", "region=north and error"))
            .await,
        []
    );
}

async fn get_traces_min_duration(subject: Subject) {
    let spans: Vec<_> = (1..=3)
        .map(|low| span(trace_id(low), low).lasting(low * 10))
        .collect();
    subject.accept(&spans).await;
    assert_eq!(
        subject.found(lasting("frontend", 1, None)).await,
        [3, 2, 1].map(trace_id)
    );
    assert_eq!(
        subject.found(lasting("frontend", 20, None)).await,
        [3, 2].map(trace_id)
    );
    assert_eq!(subject.found(lasting("frontend", 21, None)).await, [trace_id(3)]);
    assert_eq!(subject.found(lasting("frontend", 31, None)).await, []);
}

async fn get_traces_late_duration(subject: Subject) {
    // A span flushed before it was finished, and again when it was.
    let begun = bare_span(trace_id(1), 1).named("get").at(at(1)).local("frontend");
    subject.accept(std::slice::from_ref(&begun)).await;
    assert_eq!(subject.found(lasting("frontend", 1, None)).await, []);
    subject.accept(&[begun.lasting(500)]).await;
    assert_eq!(subject.found(lasting("frontend", 500, None)).await, [trace_id(1)]);
    assert_eq!(subject.found(lasting("frontend", 501, None)).await, []);
}

async fn get_traces_max_duration(subject: Subject) {
    let spans: Vec<_> = (1..=3)
        .map(|low| span(trace_id(low), low).lasting(low * 10))
        .collect();
    subject.accept(&spans).await;
    assert_eq!(
        subject.found(lasting("frontend", 1, Some(30))).await,
        [3, 2, 1].map(trace_id)
    );
    assert_eq!(
        subject.found(lasting("frontend", 1, Some(29))).await,
        [2, 1].map(trace_id)
    );
    assert_eq!(
        subject.found(lasting("frontend", 20, Some(20))).await,
        [trace_id(2)]
    );
    assert_eq!(subject.found(lasting("frontend", 11, Some(19))).await, []);
}

async fn get_traces_duration(subject: Subject) {
    // Per span of the service, whether it is the root or not; never the whole trace.
    let trace = |low: u64, root: u64, child: u64| {
        let ids = (low * 10, low * 10 + 1);
        [
            span(trace_id(low), ids.0).lasting(root),
            span(trace_id(low), ids.1)
                .child_of(ids.0)
                .local("backend")
                .lasting(child),
        ]
    };
    subject
        .accept(&[trace(1, 100, 50), trace(2, 200, 20)].concat())
        .await;
    assert_eq!(subject.found(lasting("frontend", 150, None)).await, [trace_id(2)]);
    assert_eq!(subject.found(lasting("backend", 50, None)).await, [trace_id(1)]);
    assert_eq!(subject.found(lasting("backend", 100, None)).await, []);
    assert_eq!(subject.found(lasting("", 100, Some(150))).await, [trace_id(1)]);
    assert_eq!(
        subject.found(lasting("backend", 20, Some(20))).await,
        [trace_id(2)]
    );
    assert_eq!(subject.found(lasting("", 300, None)).await, []);
}

async fn get_traces_annotation(subject: Subject) {
    subject
        .accept(&[
            span(trace_id(1), 1).annotation("cache miss"),
            span(trace_id(2), 2),
        ])
        .await;
    assert_eq!(
        subject.found(annotated("frontend", "cache miss")).await,
        [trace_id(1)]
    );
    assert_eq!(subject.found(annotated("frontend", "cache")).await, []);
    // An annotation has no value to compare with.
    assert_eq!(subject.found(annotated("frontend", "cache miss=1")).await, []);
}

async fn get_traces_multiple_annotations_become_and_filter(subject: Subject) {
    let both: Span = span(trace_id(3), 3)
        .annotation("foo")
        .annotation("bar")
        .tag("key", "value");
    subject
        .accept(&[
            span(trace_id(1), 1).annotation("foo"),
            span(trace_id(2), 2).tag("key", "value"),
            both,
        ])
        .await;
    assert_eq!(
        subject.found(annotated("frontend", "foo")).await,
        [3, 1].map(trace_id)
    );
    assert_eq!(
        subject.found(annotated("frontend", "foo and bar")).await,
        [trace_id(3)]
    );
    assert_eq!(
        subject.found(annotated("frontend", "foo and key=value")).await,
        [trace_id(3)]
    );
    assert_eq!(
        subject
            .found(annotated("frontend", "foo and bar and key=other"))
            .await,
        []
    );
}

async fn get_traces_differentiate_on_service_name(subject: Subject) {
    let call = |low: u64, client: &str, server: &str| {
        let half = |service: &str, kind| {
            bare_span(trace_id(low), low)
                .named("get")
                .of_kind(kind)
                .at(at(low))
                .local(service)
        };
        [
            half("app", Kind::Client).annotation(client).tag("side", client),
            half("web", Kind::Server)
                .shared()
                .annotation(server)
                .tag("side", server),
        ]
    };
    subject
        .accept(&[call(1, "here", "there"), call(2, "there", "here")].concat())
        .await;
    assert_eq!(subject.found(query_of("app")).await.len(), 2);
    assert_eq!(subject.found(annotated("app", "here")).await, [trace_id(1)]);
    assert_eq!(subject.found(annotated("app", "side=there")).await, [trace_id(2)]);
    assert_eq!(
        subject.found(annotated("web", "here and side=here")).await,
        [trace_id(2)]
    );
    assert_eq!(subject.found(annotated("web", "here and side=there")).await, []);
}

//! What is sent twice: the same spans, and different ones with the same identifiers.

use super::fixtures::{
    Build, DAY, client_span, links_of_traces, query, query_of, server_span, sorted, span, today, trace_id,
    whole_trace,
};
use super::{Case, Subject, case};
use crate::TraceQueryBuilder;

pub(super) const CASES: &[Case] = &[
    case!(a_batch_sent_again_changes_nothing, RawSpans),
    case!(a_batch_sent_again_with_more_adds_the_rest, RawSpans),
    case!(an_empty_batch_is_accepted),
    case!(conflicting_reports_are_all_kept, RawSpans),
    case!(conflicting_reports_meet_conditions_each),
    case!(equal_spans_of_two_traces_are_two, RawSpans),
    case!(both_halves_of_a_shared_span_are_kept),
];

async fn a_batch_sent_again_changes_nothing(subject: Subject) {
    let trace = sorted(whole_trace(trace_id(1)));
    for _ in 0..3 {
        subject.accept(&[trace.clone(), trace.clone()].concat()).await;
        assert_eq!(subject.trace(trace_id(1)).await, trace);
    }
    assert_eq!(subject.traces(&[trace_id(1)]).await, std::slice::from_ref(&trace));
    assert_eq!(subject.search(query()).await, std::slice::from_ref(&trace));
    assert_eq!(subject.search(query_of("backend")).await, [trace]);
    assert_eq!(subject.service_names().await, ["backend", "frontend"]);
    assert_eq!(subject.links(today() + DAY, DAY).await, links_of_traces(1));
}

async fn a_batch_sent_again_with_more_adds_the_rest(subject: Subject) {
    let trace = sorted(whole_trace(trace_id(1)));
    for end in 1..=trace.len() {
        subject.accept(&trace[..end]).await;
        assert_eq!(subject.trace(trace_id(1)).await, trace[..end]);
    }
}

async fn an_empty_batch_is_accepted(subject: Subject) {
    subject.accept(&[]).await;
    assert_eq!(subject.found(query()).await, []);
    subject.accept(&[span(trace_id(1), 1)]).await;
    subject.accept(&[]).await;
    assert_eq!(subject.found(query()).await, [trace_id(1)]);
}

async fn conflicting_reports_are_all_kept(subject: Subject) {
    // Equal but for one field each.
    let first = span(trace_id(1), 1).tag("attempt", "1");
    let reports = sorted(vec![
        first.clone(),
        first.clone().lasting(7),
        first.clone().named("put"),
        first.clone().local("backend"),
        first.clone().remote("db"),
        first.clone().annotation("late"),
        span(trace_id(1), 1).tag("attempt", "2"),
    ]);
    subject.accept(&reports[..3]).await;
    subject.accept(&reports[2..]).await;
    assert_eq!(subject.trace(trace_id(1)).await, reports);
    assert_eq!(subject.search(query()).await, [reports]);
}

async fn conflicting_reports_meet_conditions_each(subject: Subject) {
    subject
        .accept(&[span(trace_id(1), 1).lasting(10).annotation("first")])
        .await;
    subject
        .accept(&[span(trace_id(1), 1).lasting(20).annotation("second")])
        .await;
    let with = |annotation: &str, min_duration| TraceQueryBuilder {
        annotation_query: Some(annotation.to_owned()),
        min_duration: Some(min_duration),
        ..query_of("frontend")
    };
    assert_eq!(subject.found(with("first", 20)).await, [trace_id(1)]);
    assert_eq!(subject.found(with("first and second", 1)).await, [trace_id(1)]);
    assert_eq!(subject.found(with("first", 21)).await, []);
}

async fn equal_spans_of_two_traces_are_two(subject: Subject) {
    subject
        .accept(&[span(trace_id(1), 5), span(trace_id(2), 5)])
        .await;
    assert_eq!(subject.trace(trace_id(1)).await, [span(trace_id(1), 5)]);
    assert_eq!(subject.trace(trace_id(2)).await, [span(trace_id(2), 5)]);
    assert_eq!(subject.found(query()).await.len(), 2);
}

async fn both_halves_of_a_shared_span_are_kept(subject: Subject) {
    subject.accept(&[server_span(trace_id(1))]).await;
    subject.accept(&[client_span(trace_id(1))]).await;
    assert_eq!(
        subject.trace(trace_id(1)).await,
        [client_span(trace_id(1)), server_span(trace_id(1))]
    );
}

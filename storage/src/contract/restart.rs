//! What a durable store has acknowledged is there after a restart, as it was.

use model::Span;

use super::fixtures::{
    Build, DAY, client_span, links_of_traces, query, query_of, server_span, sorted, span, today, trace_id,
    whole_trace,
};
use super::{Case, Subject, case};
use crate::{StoreOptions, TraceQueryBuilder};

pub(super) const CASES: &[Case] = &[
    case!(an_empty_store_restarts, Durable),
    case!(everything_is_there_after_a_restart, Durable),
    case!(nothing_doubles_from_restart_to_restart, Durable),
    case!(a_straggler_after_a_restart_joins_its_trace, Durable),
    case!(order_and_limit_hold_across_restarts, Durable),
    case!(a_large_store_restarts, Durable),
];

const KEY: &str = "http.method";

pub(super) fn options() -> StoreOptions {
    StoreOptions {
        autocomplete_keys: vec![KEY.to_owned()],
        ..StoreOptions::default()
    }
}

async fn an_empty_store_restarts(subject: Subject) {
    let subject = subject.restart().await.restart().await;
    assert_eq!(subject.found(query()).await, []);
    subject.accept(&[span(trace_id(1), 1)]).await;
    assert_eq!(subject.found(query()).await, [trace_id(1)]);
}

/// Every answer about one [`whole_trace`].
async fn assert_answers(subject: &Subject, trace: &[Span]) {
    let id = trace[0].trace_id;
    assert_eq!(subject.trace(id).await, trace);
    assert_eq!(subject.traces(&[id]).await, [trace]);
    let failed = TraceQueryBuilder {
        annotation_query: Some("error=deadlock".to_owned()),
        ..query_of("backend")
    };
    assert_eq!(subject.search(failed).await, [trace]);
    assert_eq!(subject.service_names().await, ["backend", "frontend"]);
    assert_eq!(subject.span_names("backend").await, ["get /items", "query"]);
    assert_eq!(subject.remote_service_names("backend").await, ["db", "frontend"]);
    assert_eq!(subject.autocomplete_values(KEY).await, ["GET"]);
    assert_eq!(subject.links(today() + DAY, DAY).await, links_of_traces(1));
}

async fn everything_is_there_after_a_restart(subject: Subject) {
    let trace = sorted(whole_trace(trace_id(1)));
    subject.accept(&trace).await;
    assert_answers(&subject, &trace).await;
    let subject = subject.restart().await;
    assert_answers(&subject, &trace).await;
}

async fn nothing_doubles_from_restart_to_restart(mut subject: Subject) {
    let trace = sorted(whole_trace(trace_id(1)));
    for _ in 0..3 {
        // The sender did not hear of the acknowledgement, and sends again.
        subject.accept(&trace).await;
        subject = subject.restart().await;
        assert_answers(&subject, &trace).await;
    }
}

async fn a_straggler_after_a_restart_joins_its_trace(subject: Subject) {
    subject.accept(&[client_span(trace_id(1))]).await;
    let subject = subject.restart().await;
    subject.accept(&[server_span(trace_id(1))]).await;
    let whole = [client_span(trace_id(1)), server_span(trace_id(1))];
    assert_eq!(subject.search(query()).await, std::slice::from_ref(&whole));
    let subject = subject.restart().await;
    for service in ["frontend", "backend"] {
        assert_eq!(
            subject.search(query_of(service)).await,
            std::slice::from_ref(&whole)
        );
    }
}

async fn order_and_limit_hold_across_restarts(mut subject: Subject) {
    // Parts from before and after each restart, not in order of time.
    for low in [2, 4, 1, 3] {
        subject.accept(&[span(trace_id(low), low)]).await;
        subject = subject.restart().await;
    }
    assert_eq!(subject.found(query()).await, [4, 3, 2, 1].map(trace_id));
    let limited = TraceQueryBuilder {
        limit: 2,
        ..query_of("frontend")
    };
    assert_eq!(subject.found(limited).await, [4, 3].map(trace_id));
}

async fn a_large_store_restarts(subject: Subject) {
    const TRACES: u64 = 2000;
    let spans: Vec<_> = (1..=TRACES)
        .flat_map(|low| {
            let service = format!("service-{}", low % 40);
            (0..5).map(move |id| {
                span(trace_id(low), low + id)
                    .local(&service)
                    .tag("n", &low.to_string())
            })
        })
        .collect();
    for batch in spans.chunks(250) {
        subject.accept(batch).await;
    }
    let subject = subject.restart().await;
    for low in [1, TRACES / 2, TRACES] {
        assert_eq!(subject.trace(trace_id(low)).await.len(), 5);
        let tagged = TraceQueryBuilder {
            annotation_query: Some(format!("n={low}")),
            ..query()
        };
        assert_eq!(subject.found(tagged).await, [trace_id(low)]);
    }
    assert_eq!(
        subject
            .found(TraceQueryBuilder {
                limit: 5000,
                ..query()
            })
            .await
            .len() as u64,
        TRACES
    );
    assert_eq!(subject.service_names().await.len(), 40);
}

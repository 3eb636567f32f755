//! Zipkin's `ITTraces`: looking traces up by their identifiers.

use model::Span;

use super::fixtures::{Build, client_span, server_span, sorted, span, trace_id, whole_trace};
use super::{Case, Subject, case};

pub(super) const CASES: &[Case] = &[
    case!(get_trace_returns_empty_on_not_found),
    case!(get_traces_returns_empty_on_not_found),
    case!(get_traces_only_returns_traces_that_match),
    case!(get_trace_differentiates_debug_from_shared),
    case!(get_traces_differentiates_debug_from_shared),
    case!(get_trace_deduplicates, RawSpans),
];

async fn get_trace_returns_empty_on_not_found(subject: Subject) {
    assert_eq!(subject.trace(trace_id(1)).await, []);
    subject.accept(&[span(trace_id(1), 1)]).await;
    assert_eq!(subject.trace(trace_id(1)).await.len(), 1);
    assert_eq!(subject.trace(trace_id(2)).await, []);
}

async fn get_traces_returns_empty_on_not_found(subject: Subject) {
    let none: [Vec<Span>; 0] = [];
    assert_eq!(subject.traces(&[trace_id(1), trace_id(2)]).await, none);
    subject.accept(&[span(trace_id(1), 1)]).await;
    assert_eq!(subject.traces(&[trace_id(1)]).await.len(), 1);
    assert_eq!(subject.traces(&[trace_id(2), trace_id(3)]).await, none);
    assert_eq!(subject.traces(&[]).await, none);
}

async fn get_traces_only_returns_traces_that_match(subject: Subject) {
    let traces: Vec<_> = (1..=3).map(|low| sorted(whole_trace(trace_id(low)))).collect();
    subject.accept(&traces.concat()).await;
    assert_eq!(
        subject.traces(&[1, 3, 4].map(trace_id)).await,
        [traces[0].clone(), traces[2].clone()]
    );
    assert_eq!(subject.traces(&[trace_id(2)]).await, [traces[1].clone()]);
}

/// The two halves of a shared span: a debug client and a server.
fn halves(low: u64) -> [Span; 2] {
    [
        Span {
            debug: true,
            ..client_span(trace_id(low))
        },
        server_span(trace_id(low)),
    ]
}

async fn get_trace_differentiates_debug_from_shared(subject: Subject) {
    subject.accept(&halves(1)).await;
    assert_eq!(subject.trace(trace_id(1)).await, halves(1));
}

async fn get_traces_differentiates_debug_from_shared(subject: Subject) {
    subject.accept(&[halves(1), halves(2)].concat()).await;
    assert_eq!(
        subject.traces(&[1, 2].map(trace_id)).await,
        [halves(1), halves(2)]
    );
}

async fn get_trace_deduplicates(subject: Subject) {
    // Once more in the same batch and in another.
    let once = span(trace_id(1), 1).tag("a", "b").annotation("c");
    subject.accept(&[once.clone(), once.clone()]).await;
    subject.accept(std::slice::from_ref(&once)).await;
    assert_eq!(subject.trace(trace_id(1)).await, [once]);
}

//! Zipkin's `ITStrictTraceIdFalse`: with `STRICT_TRACE_ID=false` the low 64 bits identify a trace (`zipkin.md` 4.2).

use model::{Span, TraceId};

use super::fixtures::{
    Build, client_span, long_trace_id, query, query_of, server_span, sorted, span, trace_id, whole_trace,
};
use super::{Case, Subject, case};
use crate::StoreOptions;

pub(super) const CASES: &[Case] = &[
    case!(get_traces_128_bit_trace_id),
    case!(get_traces_128_bit_trace_id_mixed),
    case!(get_trace_retrieves_by_64_or_128_bit_trace_id),
    case!(get_trace_retrieves_by_64_or_128_bit_trace_id_mixed),
    case!(get_traces_retrieves_by_64_or_128_bit_trace_id),
];

pub(super) fn options() -> StoreOptions {
    StoreOptions {
        strict_trace_id: false,
        ..StoreOptions::default()
    }
}

/// A trace of which the client knows 128 bits and the server 64.
fn mixed_trace() -> [Span; 2] {
    [server_span(trace_id(7)), client_span(long_trace_id(1, 7))]
}

async fn get_traces_128_bit_trace_id(subject: Subject) {
    let trace = sorted(whole_trace(long_trace_id(1, 7)));
    subject.accept(&trace).await;
    assert_eq!(subject.search(query()).await, [trace]);
}

async fn get_traces_128_bit_trace_id_mixed(subject: Subject) {
    subject.accept(&mixed_trace()).await;
    // One trace, whichever half is asked for, and each span with the identifier it came with.
    for query in [query(), query_of("frontend"), query_of("backend")] {
        assert_eq!(subject.search(query).await, [mixed_trace()]);
    }
}

async fn get_trace_retrieves_by_64_or_128_bit_trace_id(subject: Subject) {
    let trace = sorted(whole_trace(long_trace_id(1, 7)));
    subject.accept(&trace).await;
    for id in [long_trace_id(1, 7), trace_id(7), long_trace_id(2, 7)] {
        assert_eq!(subject.trace(id).await, trace, "{id}");
    }
}

async fn get_trace_retrieves_by_64_or_128_bit_trace_id_mixed(subject: Subject) {
    subject.accept(&mixed_trace()).await;
    for id in [long_trace_id(1, 7), trace_id(7)] {
        assert_eq!(subject.trace(id).await, mixed_trace(), "{id}");
    }
}

async fn get_traces_retrieves_by_64_or_128_bit_trace_id(subject: Subject) {
    let spans = [
        span(long_trace_id(1, 7), 1),
        span(long_trace_id(1, 8), 2).named("put"),
    ];
    subject.accept(&spans).await;
    let both: [&[TraceId]; 3] = [
        &[long_trace_id(1, 7), long_trace_id(1, 8)],
        &[trace_id(7), trace_id(8)],
        &[trace_id(7), long_trace_id(1, 8)],
    ];
    for ids in both {
        assert_eq!(
            subject.traces(ids).await,
            spans.chunks(1).collect::<Vec<_>>(),
            "{ids:?}"
        );
    }
    // Two names of one trace.
    assert_eq!(
        subject.traces(&[trace_id(7), long_trace_id(1, 7)]).await,
        [&spans[..1]]
    );
}

//! 64 and 128-bit trace identifiers side by side, and identifiers that look odd.

use model::{Span, TraceId};

use super::fixtures::{
    Build, DAY, at, bare_span, links_of_traces, long_trace_id, query, query_of, sorted, span, today,
    trace_id, whole_trace,
};
use super::{Case, Subject, case};
use crate::TraceQueryBuilder;

pub(super) const CASES: &[Case] = &[
    case!(zero_padded_128_bits_are_64),
    case!(identifiers_from_one_to_all_bits),
    case!(a_span_may_be_number_zero),
    case!(an_identifier_of_high_bits_only),
    case!(strict_traces_of_equal_low_bits_are_matched_apart),
    case!(strict_traces_of_equal_low_bits_count_each_for_the_limit),
];

pub(super) const NOT_STRICT_CASES: &[Case] = &[
    case!(spans_of_equal_low_bits_meet_conditions_together),
    case!(an_identifier_of_high_bits_only),
    case!(zero_padded_128_bits_are_64),
];

/// Traces that share their low 64 bits.
const CLASH: u64 = 7;

async fn zero_padded_128_bits_are_64(subject: Subject) {
    let padded = TraceId::parse("0000000000000000463ac35c9f6413ad").unwrap_or_else(|error| panic!("{error}"));
    let short = trace_id(0x463a_c35c_9f64_13ad);
    subject.accept(&[span(padded, 1)]).await;
    subject.accept(&[span(short, 2).child_of(1)]).await;
    assert_eq!(subject.trace(short).await.len(), 2);
    assert_eq!(subject.trace(padded).await.len(), 2);
    assert_eq!(subject.found(query()).await, [short]);
}

async fn identifiers_from_one_to_all_bits(subject: Subject) {
    let ids = [
        (0, 1),
        (0, u64::MAX),
        (1 << 63, 1),
        (u64::MAX, u64::MAX),
        (0, 1 << 63),
        (1, i64::MAX as u64),
    ];
    let ids = ids.map(|(high, low)| long_trace_id(high, low));
    for (number, id) in (1..).zip(ids) {
        subject
            .accept(&[span(id, number), bare_span(id, u64::MAX - number)])
            .await;
    }
    for id in ids {
        let trace = subject.trace(id).await;
        assert_eq!(
            trace.iter().map(|span| span.trace_id).collect::<Vec<_>>(),
            [id, id]
        );
    }
    assert_eq!(subject.traces(&ids).await.len(), ids.len());
    assert_eq!(subject.found(query()).await.len(), ids.len());
}

async fn a_span_may_be_number_zero(subject: Subject) {
    let trace = [span(trace_id(1), 0), span(trace_id(1), 1)];
    subject.accept(&trace).await;
    assert_eq!(subject.trace(trace_id(1)).await, trace);
}

async fn an_identifier_of_high_bits_only(subject: Subject) {
    let id = long_trace_id(5, 0);
    let trace = sorted(whole_trace(id));
    subject.accept(&trace).await;
    assert_eq!(subject.trace(id).await, trace);
    assert_eq!(subject.search(query()).await, [trace]);
    assert_eq!(subject.links(today() + DAY, DAY).await, links_of_traces(1));
}

/// One trace has the service, the other the tag; a third has both.
fn clashing() -> [Span; 3] {
    [
        span(long_trace_id(1, CLASH), 1).local("frontend"),
        span(long_trace_id(2, CLASH), 2).local("backend").tag("error", ""),
        span(long_trace_id(3, CLASH + 1), 3)
            .local("frontend")
            .tag("error", ""),
    ]
}

async fn strict_traces_of_equal_low_bits_are_matched_apart(subject: Subject) {
    subject.accept(&clashing()).await;
    let failed = |service: &str| TraceQueryBuilder {
        annotation_query: Some("error".to_owned()),
        ..query_of(service)
    };
    assert_eq!(
        subject.found(failed("frontend")).await,
        [long_trace_id(3, CLASH + 1)]
    );
    assert_eq!(subject.found(failed("backend")).await, [long_trace_id(2, CLASH)]);
    // Neither the services nor the names of one are the other's.
    let renamed = TraceQueryBuilder {
        remote_service_name: Some("backend".to_owned()),
        ..query_of("frontend")
    };
    assert_eq!(subject.found(renamed).await, []);
}

async fn strict_traces_of_equal_low_bits_count_each_for_the_limit(subject: Subject) {
    let spans: Vec<_> = (1..=5)
        .map(|high| span(long_trace_id(high, CLASH), high))
        .collect();
    subject.accept(&spans).await;
    let limited = |limit| TraceQueryBuilder { limit, ..query() };
    assert_eq!(
        subject.found(limited(2)).await,
        [5, 4].map(|high| long_trace_id(high, CLASH))
    );
    assert_eq!(subject.found(limited(10)).await.len(), 5);
    let asked = [1, 4, 6].map(|high| long_trace_id(high, CLASH));
    assert_eq!(
        subject.traces(&asked).await,
        [[spans[0].clone()], [spans[3].clone()]]
    );
}

async fn spans_of_equal_low_bits_meet_conditions_together(subject: Subject) {
    let parts = [
        bare_span(long_trace_id(1, CLASH), 1)
            .at(at(1))
            .local("frontend")
            .named("get"),
        bare_span(trace_id(CLASH), 2)
            .child_of(1)
            .local("frontend")
            .tag("error", ""),
    ];
    subject.accept(&parts).await;
    let both = TraceQueryBuilder {
        annotation_query: Some("error".to_owned()),
        span_name: Some("get".to_owned()),
        ..query_of("frontend")
    };
    assert_eq!(subject.search(both).await, [sorted(parts.to_vec())]);
}

//! Traces without a timestamp, which no window finds: all are told, each once, page by page.

use model::{Span, TraceId};

use super::fixtures::{Build, long_trace_id, span, trace_id};
use super::{Case, Subject, case};

pub(super) const CASES: &[Case] = &[
    case!(only_traces_without_a_timestamp_are_told),
    case!(pages_follow_each_other),
    case!(a_straggler_with_a_timestamp_ends_it),
    case!(identifiers_that_share_their_low_half, RawSpans),
];

pub(super) const NOT_STRICT_CASES: &[Case] = &[case!(identifiers_that_share_their_low_half_are_one)];

fn untimed(trace_id: TraceId, id: u64) -> Span {
    Span {
        timestamp: None,
        duration: None,
        ..span(trace_id, id).local("web")
    }
}

async fn only_traces_without_a_timestamp_are_told(subject: Subject) {
    assert_eq!(subject.untimed(None, 10).await, [] as [Vec<Span>; 0]);
    subject
        .accept(&[
            span(trace_id(1), 1),
            untimed(trace_id(2), 1),
            span(trace_id(3), 1),
        ])
        .await;
    subject.accept(&[untimed(trace_id(2), 2)]).await;
    let trace = vec![untimed(trace_id(2), 1), untimed(trace_id(2), 2)];
    assert_eq!(subject.untimed(None, 10).await, [trace]);
}

async fn pages_follow_each_other(subject: Subject) {
    for low in [9, u64::MAX, 4, 7, 2, 1 << 63, 11] {
        subject
            .accept(&[untimed(trace_id(low), 1), span(trace_id(low ^ 1 << 40), 1)])
            .await;
    }
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = subject.untimed(after, 2).await;
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2, "{page:?}");
        after = Some(last[0].trace_id);
        found.extend(page.iter().map(|trace| trace[0].trace_id.low()));
    }
    assert_eq!(found, [2, 4, 7, 9, 11, 1 << 63, u64::MAX]);
}

async fn a_straggler_with_a_timestamp_ends_it(subject: Subject) {
    subject
        .accept(&[untimed(trace_id(1), 1), untimed(trace_id(2), 1)])
        .await;
    subject.accept(&[span(trace_id(1), 2)]).await;
    subject.accept(&[untimed(trace_id(1), 3)]).await;
    assert_eq!(subject.untimed(None, 10).await, [vec![untimed(trace_id(2), 1)]]);
}

async fn identifiers_that_share_their_low_half(subject: Subject) {
    let ids = [(0, 5), (1, 5), (2, 5), (0, 6)].map(|(high, low)| long_trace_id(high, low));
    for trace_id in ids {
        subject.accept(&[untimed(trace_id, 1)]).await;
    }
    let page = |after| subject.untimed(after, 2);
    assert_eq!(
        page(None).await,
        [vec![untimed(ids[0], 1)], vec![untimed(ids[1], 1)]]
    );
    assert_eq!(
        page(Some(ids[1])).await,
        [vec![untimed(ids[2], 1)], vec![untimed(ids[3], 1)]]
    );
    assert_eq!(page(Some(ids[3])).await, [] as [Vec<Span>; 0]);
}

async fn identifiers_that_share_their_low_half_are_one(subject: Subject) {
    let ids = [(0, 5), (1, 5), (0, 6)].map(|(high, low)| long_trace_id(high, low));
    for trace_id in ids {
        subject.accept(&[untimed(trace_id, 1)]).await;
    }
    let first = vec![untimed(ids[0], 1), untimed(ids[1], 1)];
    assert_eq!(subject.untimed(None, 1).await, [first]);
    assert_eq!(subject.untimed(Some(ids[1]), 2).await, [vec![untimed(ids[2], 1)]]);
}

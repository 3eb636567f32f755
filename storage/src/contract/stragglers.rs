//! Spans that arrive long after the rest of their trace, in other batches.

use model::Span;

use super::fixtures::{
    Build, DAY, at, links_of_traces, query, query_of, sorted, span, today, trace_id, whole_trace,
};
use super::{Case, Subject, case};
use crate::TraceQueryBuilder;

pub(super) const CASES: &[Case] = &[
    case!(span_by_span_is_as_good_as_whole),
    case!(a_straggler_brings_what_the_trace_is_found_by),
    case!(a_late_root_decides_when_the_trace_began),
    case!(a_straggler_from_hours_before),
    case!(a_straggler_makes_its_trace_the_newest),
    case!(children_before_parents),
];

/// Traces of others in between, so that a store has a reason to close the one in question.
async fn other_traffic(subject: &Subject, from: u64) {
    let spans: Vec<_> = (from..from + 50)
        .map(|low| span(trace_id(low), low).local("other"))
        .collect();
    subject.accept(&spans).await;
}

async fn span_by_span_is_as_good_as_whole(subject: Subject) {
    let trace = sorted(whole_trace(trace_id(1)));
    for (number, span) in (1..).zip(&trace) {
        subject.accept(std::slice::from_ref(span)).await;
        other_traffic(&subject, 100 * number).await;
    }
    assert_eq!(subject.trace(trace_id(1)).await, trace);
    assert_eq!(subject.traces(&[trace_id(1)]).await, std::slice::from_ref(&trace));
    assert_eq!(subject.search(query_of("backend")).await, [trace]);
    assert_eq!(subject.links(today() + DAY, DAY).await, links_of_traces(1));
}

async fn a_straggler_brings_what_the_trace_is_found_by(subject: Subject) {
    subject.accept(&[span(trace_id(1), 1)]).await;
    other_traffic(&subject, 100).await;
    let failed = TraceQueryBuilder {
        annotation_query: Some("error".to_owned()),
        ..query_of("backend")
    };
    assert_eq!(subject.found(failed.clone()).await, []);
    let straggler = span(trace_id(1), 2)
        .child_of(1)
        .local("backend")
        .remote("db")
        .named("query")
        .tag("error", "");
    subject.accept(&[straggler]).await;
    assert_eq!(
        subject
            .search(failed)
            .await
            .iter()
            .map(Vec::len)
            .collect::<Vec<_>>(),
        [2]
    );
    assert_eq!(subject.span_names("backend").await, ["query"]);
    assert_eq!(subject.remote_service_names("backend").await, ["db"]);
    // Met by the span that came first, and by the one that came last.
    let both = TraceQueryBuilder {
        annotation_query: Some("error".to_owned()),
        min_duration: Some(1),
        ..query()
    };
    assert_eq!(subject.found(both).await, [trace_id(1)]);
}

async fn a_late_root_decides_when_the_trace_began(subject: Subject) {
    // The child's minute is not the root's.
    let minute = 60_000;
    let child = span(trace_id(1), 2).child_of(1).at(at(5 * minute * 1000));
    let root = span(trace_id(1), 1).at(at(minute * 1000));
    let around = |minutes: u64| TraceQueryBuilder {
        end_ts: (today() + minutes * minute + 1000) as i64,
        lookback: 2000,
        ..query_of("frontend")
    };
    subject.accept(std::slice::from_ref(&child)).await;
    assert_eq!(subject.found(around(5)).await, [trace_id(1)]);
    assert_eq!(subject.found(around(1)).await, []);
    subject.accept(std::slice::from_ref(&root)).await;
    assert_eq!(subject.found(around(5)).await, []);
    assert_eq!(subject.search(around(1)).await, [[root, child]]);
}

async fn a_straggler_from_hours_before(subject: Subject) {
    let hour = 3_600_000_000;
    subject.accept(&[span(trace_id(1), 1).at(at(10 * hour))]).await;
    other_traffic(&subject, 100).await;
    subject
        .accept(&[span(trace_id(1), 2).child_of(1).at(at(hour))])
        .await;
    subject
        .accept(&[span(trace_id(1), 3).child_of(1).at(at(20 * hour))])
        .await;
    assert_eq!(subject.trace(trace_id(1)).await.len(), 3);
    // It is where its root is, once, however far its spans are apart.
    let until = |hours: u64| TraceQueryBuilder {
        end_ts: (today() + hours * hour / 1000) as i64,
        lookback: hour as i64 / 1000,
        ..query_of("frontend")
    };
    for (hours, expected) in [(1, 0), (2, 0), (10, 1), (11, 1), (12, 0), (20, 0)] {
        assert_eq!(
            subject.found(until(hours)).await.len(),
            expected,
            "until hour {hours}"
        );
    }
    assert_eq!(subject.found(query_of("frontend")).await, [trace_id(1)]);
}

async fn a_straggler_makes_its_trace_the_newest(subject: Subject) {
    let spans: Vec<_> = (1..=3).map(|low| span(trace_id(low), low)).collect();
    subject.accept(&spans).await;
    assert_eq!(subject.found(query()).await, [3, 2, 1].map(trace_id));
    subject.accept(&[span(trace_id(1), 4).child_of(1)]).await;
    assert_eq!(subject.found(query()).await, [1, 3, 2].map(trace_id));
    let one = TraceQueryBuilder {
        limit: 1,
        ..query_of("frontend")
    };
    assert_eq!(subject.found(one).await, [trace_id(1)]);
}

async fn children_before_parents(subject: Subject) {
    let mut trace: Vec<Span> = (2..=20)
        .map(|id| span(trace_id(1), id).child_of(id - 1))
        .collect();
    trace.insert(0, span(trace_id(1), 1));
    for span in trace.iter().rev() {
        subject.accept(std::slice::from_ref(span)).await;
    }
    assert_eq!(subject.search(query()).await, [trace]);
}

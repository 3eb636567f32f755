//! Which traces' links a dependency window holds.

use model::Span;

use super::fixtures::{DAY, at, links_of_traces, long_trace_id, shifted, today, trace_id, whole_trace};
use super::{Case, Subject, case};

pub(super) const CASES: &[Case] = &[
    case!(bounds_are_inclusive),
    case!(the_root_decides),
    case!(conflicting_reports_count_once, RawSpans),
    case!(traces_of_equal_low_bits_are_one),
    case!(traces_without_time_do_not_count),
];

/// The root of a [`whole_trace`] begins here, milliseconds after midnight.
const ROOT: u64 = 10;

async fn bounds_are_inclusive(subject: Subject) {
    subject.accept(&whole_trace(trace_id(1))).await;
    let root = today() + ROOT;
    assert_eq!(subject.links(root, 1).await, links_of_traces(1));
    assert_eq!(subject.links(root + 5, 5).await, links_of_traces(1));
    assert_eq!(subject.links(root - 1, DAY).await, []);
    assert_eq!(subject.links(root + 5, 4).await, []);
    // A microsecond past the bound.
    subject.accept(&shifted(whole_trace(trace_id(2)), 1)).await;
    assert_eq!(subject.links(root, 1).await, links_of_traces(1));
    assert_eq!(subject.links(root + 1, 1).await, links_of_traces(2));
}

async fn the_root_decides(subject: Subject) {
    // Its children are reported by a clock an hour ahead.
    let mut trace = whole_trace(trace_id(1));
    for child in &mut trace[1..] {
        child.timestamp = child.timestamp.map(|timestamp| timestamp + 3_600_000_000);
    }
    subject.accept(&trace).await;
    assert_eq!(subject.links(today() + ROOT, 1).await, links_of_traces(1));
    assert_eq!(subject.links(today() + 3_600_200, 1000).await, []);
}

async fn conflicting_reports_count_once(subject: Subject) {
    let trace = whole_trace(trace_id(1));
    subject.accept(&trace).await;
    let again: Vec<_> = trace
        .into_iter()
        .map(|span| Span {
            duration: Some(1),
            ..span
        })
        .collect();
    subject.accept(&again).await;
    assert_eq!(subject.links(today() + DAY, DAY).await, links_of_traces(1));
}

async fn traces_of_equal_low_bits_are_one(subject: Subject) {
    // Reported with three lengths and prefixes, as services of different generations do.
    let mut trace = whole_trace(trace_id(1));
    trace[0].trace_id = long_trace_id(1, 1);
    trace[1].trace_id = long_trace_id(2, 1);
    subject.accept(&trace[2..]).await;
    subject.accept(&trace[..2]).await;
    assert_eq!(subject.links(today() + DAY, DAY).await, links_of_traces(1));
}

async fn traces_without_time_do_not_count(subject: Subject) {
    let timeless = whole_trace(trace_id(1)).into_iter().map(|span| Span {
        timestamp: None,
        ..span
    });
    subject.accept(&timeless.collect::<Vec<_>>()).await;
    assert_eq!(subject.links(today() + DAY, today() + DAY).await, []);
    let mut timed = whole_trace(trace_id(1));
    timed.truncate(1);
    timed[0].timestamp = Some(at(0));
    subject.accept(&timed).await;
    assert_eq!(subject.links(today(), 1).await, links_of_traces(1));
}

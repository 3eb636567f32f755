//! Which traces a window holds and in what order (`zipkin.md` 5.1 and 5.3).

use model::Kind;

use super::fixtures::{Build, DAY, at, query, query_of, span, today, trace_id};
use super::{Case, Subject, case};
use crate::TraceQueryBuilder;

pub(super) const CASES: &[Case] = &[
    case!(bounds_are_inclusive_to_the_microsecond),
    case!(a_lookback_beyond_the_epoch_is_everything),
    case!(the_root_decides_not_the_first_span),
    case!(without_a_root_the_first_span_decides),
    case!(a_parentless_span_without_time_does_not_decide),
    case!(newest_goes_by_the_newest_span_in_the_window),
    case!(the_limit_is_taken_after_conditions),
    case!(different_spans_of_a_service_meet_different_conditions),
    case!(several_services_in_one_trace_do_not_help_each_other),
    case!(a_window_of_the_past_is_not_hidden_by_what_came_later),
    case!(what_is_far_behind_the_newest_is_found_by_every_condition),
];

const MILLI: u64 = 1000;
const SECOND: u64 = 1_000_000;

/// From `start` to `end`, milliseconds after midnight.
fn window(start: u64, end: u64) -> TraceQueryBuilder {
    TraceQueryBuilder {
        end_ts: (today() + end) as i64,
        lookback: (end - start) as i64,
        ..query()
    }
}

async fn bounds_are_inclusive_to_the_microsecond(subject: Subject) {
    let times = [
        10 * MILLI - 1,
        10 * MILLI,
        10 * MILLI + 1,
        20 * MILLI - 1,
        20 * MILLI,
        20 * MILLI + 1,
    ];
    let spans: Vec<_> = (1..)
        .zip(times)
        .map(|(low, time)| span(trace_id(low), low).at(at(time)))
        .collect();
    subject.accept(&spans).await;
    assert_eq!(subject.found(window(10, 20)).await, [5, 4, 3, 2].map(trace_id));
    let of_service = TraceQueryBuilder {
        service_name: Some("frontend".to_owned()),
        ..window(10, 20)
    };
    assert_eq!(subject.found(of_service).await, [5, 4, 3, 2].map(trace_id));
}

async fn a_lookback_beyond_the_epoch_is_everything(subject: Subject) {
    subject.accept(&[span(trace_id(1), 1)]).await;
    for lookback in [today() + DAY, today() + 2 * DAY, i64::MAX as u64] {
        let query = TraceQueryBuilder {
            lookback: lookback as i64,
            ..query()
        };
        assert_eq!(subject.found(query).await, [trace_id(1)], "lookback {lookback}");
    }
    assert_eq!(
        subject
            .found(TraceQueryBuilder {
                end_ts: i64::MAX,
                lookback: i64::MAX,
                ..query()
            })
            .await
            .len(),
        1
    );
}

async fn the_root_decides_not_the_first_span(subject: Subject) {
    // A child that, by its own clock, began before its root.
    let root = span(trace_id(1), 1).at(at(30 * SECOND));
    let child = span(trace_id(1), 2).child_of(1).at(at(10 * SECOND));
    subject.accept(&[child, root]).await;
    assert_eq!(subject.found(window(5_000, 15_000)).await, []);
    assert_eq!(subject.found(window(25_000, 35_000)).await, [trace_id(1)]);
}

async fn without_a_root_the_first_span_decides(subject: Subject) {
    let child = |id: u64, seconds: u64| span(trace_id(1), id).child_of(99).at(at(seconds * SECOND));
    subject.accept(&[child(1, 30), child(2, 10), child(3, 20)]).await;
    assert_eq!(subject.found(window(5_000, 15_000)).await, [trace_id(1)]);
    assert_eq!(subject.found(window(25_000, 35_000)).await, []);
    assert_eq!(subject.found(window(15_000, 25_000)).await, []);
}

async fn a_parentless_span_without_time_does_not_decide(subject: Subject) {
    let timeless = model::Span {
        timestamp: None,
        duration: None,
        ..span(trace_id(1), 1)
    };
    let child = span(trace_id(1), 2).child_of(1).at(at(10 * SECOND));
    subject.accept(&[timeless, child]).await;
    assert_eq!(subject.found(window(5_000, 15_000)).await, [trace_id(1)]);
}

async fn newest_goes_by_the_newest_span_in_the_window(subject: Subject) {
    // Trace 1 begins first and ends last; the window sees its spans of seconds 1 and 4, not that of second 9.
    let trace = |low: u64, seconds: &[u64]| {
        let mut spans = vec![span(trace_id(low), 1).at(at(seconds[0] * SECOND))];
        for (id, second) in (2..).zip(&seconds[1..]) {
            spans.push(
                span(trace_id(low), id)
                    .child_of(1)
                    .local("backend")
                    .at(at(second * SECOND)),
            );
        }
        spans
    };
    subject
        .accept(
            &[
                trace(1, &[1, 4, 9]),
                trace(2, &[2, 3]),
                trace(3, &[5]),
                trace(4, &[2, 6, 20]),
            ]
            .concat(),
        )
        .await;
    assert_eq!(subject.found(window(0, 30_000)).await, [4, 1, 3, 2].map(trace_id));
    assert_eq!(subject.found(window(0, 7_000)).await, [4, 3, 1, 2].map(trace_id));
    assert_eq!(subject.found(window(0, 4_500)).await, [1, 2, 4].map(trace_id));
    for (limit, expected) in [(1, vec![1]), (2, vec![1, 2])] {
        let limited = TraceQueryBuilder {
            limit,
            ..window(0, 4_500)
        };
        let expected: Vec<_> = expected.into_iter().map(trace_id).collect();
        assert_eq!(subject.found(limited).await, expected);
    }
    // Of a service or not, all spans of the trace count.
    let of_service = TraceQueryBuilder {
        service_name: Some("frontend".to_owned()),
        ..window(0, 7_000)
    };
    assert_eq!(subject.found(of_service).await, [4, 3, 1, 2].map(trace_id));
}

async fn the_limit_is_taken_after_conditions(subject: Subject) {
    let spans: Vec<_> = (1..=300)
        .map(|low| span(trace_id(low), low).tag("parity", if low % 100 == 0 { "rare" } else { "common" }))
        .collect();
    subject.accept(&spans).await;
    let rare = |limit| TraceQueryBuilder {
        annotation_query: Some("parity=rare".to_owned()),
        limit,
        ..query_of("frontend")
    };
    assert_eq!(subject.found(rare(2)).await, [300, 200].map(trace_id));
    assert_eq!(subject.found(rare(10)).await, [300, 200, 100].map(trace_id));
}

async fn different_spans_of_a_service_meet_different_conditions(subject: Subject) {
    let backend = |id: u64| span(trace_id(1), id).child_of(1).local("backend");
    let trace = [
        span(trace_id(1), 1),
        backend(2).of_kind(Kind::Server).named("put").lasting(5),
        backend(3)
            .of_kind(Kind::Client)
            .named("query")
            .remote("db")
            .lasting(500),
        backend(4).named("parse").tag("format", "json").annotation("slow"),
    ];
    subject.accept(&trace).await;
    let all = TraceQueryBuilder {
        span_name: Some("put".to_owned()),
        remote_service_name: Some("db".to_owned()),
        annotation_query: Some("format=json and slow".to_owned()),
        min_duration: Some(500),
        max_duration: Some(500),
        ..query_of("backend")
    };
    assert_eq!(subject.found(all.clone()).await, [trace_id(1)]);
    // Each of them is needed.
    let lacking = [
        TraceQueryBuilder {
            span_name: Some("get".to_owned()),
            ..all.clone()
        },
        TraceQueryBuilder {
            remote_service_name: Some("backend".to_owned()),
            ..all.clone()
        },
        TraceQueryBuilder {
            annotation_query: Some("format=json and fast".to_owned()),
            ..all.clone()
        },
        TraceQueryBuilder {
            min_duration: Some(499),
            max_duration: Some(499),
            ..all
        },
    ];
    for query in lacking {
        assert_eq!(subject.found(query.clone()).await, [], "{query:?}");
    }
}

async fn several_services_in_one_trace_do_not_help_each_other(subject: Subject) {
    let trace = [
        span(trace_id(1), 1).local("frontend").named("get").lasting(100),
        span(trace_id(1), 2)
            .child_of(1)
            .local("backend")
            .named("put")
            .remote("db")
            .lasting(50)
            .tag("error", ""),
    ];
    subject.accept(&trace).await;
    let queries = [
        (
            TraceQueryBuilder {
                span_name: Some("put".to_owned()),
                ..query_of("frontend")
            },
            0,
        ),
        (
            TraceQueryBuilder {
                remote_service_name: Some("db".to_owned()),
                ..query_of("frontend")
            },
            0,
        ),
        (
            TraceQueryBuilder {
                annotation_query: Some("error".to_owned()),
                ..query_of("frontend")
            },
            0,
        ),
        (
            TraceQueryBuilder {
                min_duration: Some(100),
                ..query_of("backend")
            },
            0,
        ),
        (
            TraceQueryBuilder {
                min_duration: Some(100),
                ..query_of("frontend")
            },
            1,
        ),
        // Without a service any span may.
        (
            TraceQueryBuilder {
                span_name: Some("put".to_owned()),
                min_duration: Some(100),
                annotation_query: Some("error".to_owned()),
                ..query()
            },
            1,
        ),
    ];
    for (query, expected) in queries {
        assert_eq!(subject.found(query.clone()).await.len(), expected, "{query:?}");
    }
}

async fn a_window_of_the_past_is_not_hidden_by_what_came_later(subject: Subject) {
    let spans: Vec<_> = (1..=500)
        .map(|low| span(trace_id(low), low).at(at(low * SECOND)))
        .collect();
    subject.accept(&spans).await;
    let past = TraceQueryBuilder {
        limit: 3,
        ..window(90_000, 100_000)
    };
    assert_eq!(subject.found(past.clone()).await, [100, 99, 98].map(trace_id));
    let of_service = TraceQueryBuilder {
        service_name: Some("frontend".to_owned()),
        ..past
    };
    assert_eq!(subject.found(of_service).await, [100, 99, 98].map(trace_id));
}

/// More traces than any answer has are newer, and like it but for what is asked for.
async fn what_is_far_behind_the_newest_is_found_by_every_condition(subject: Subject) {
    let newer = |low| span(trace_id(low), low).tag("http.method", "GET");
    let old = span(trace_id(1), 1)
        .named("put")
        .remote("db")
        .lasting(5_000_000)
        .tag("order", "4711 a/b:c")
        .tag("http.method", "GET")
        .annotation("ws");
    let spans: Vec<_> = (2..400).map(newer).chain([old]).collect();
    subject.accept(&spans).await;
    let annotated = |annotation_query: &str| TraceQueryBuilder {
        annotation_query: Some(annotation_query.to_owned()),
        ..query()
    };
    let put = TraceQueryBuilder {
        span_name: Some("put".to_owned()),
        ..query_of("frontend")
    };
    for query in [
        annotated("order=4711 a/b:c"),
        annotated("order"),
        annotated("ws"),
        annotated("http.method=GET and order=4711 a/b:c"),
        TraceQueryBuilder {
            remote_service_name: Some("db".to_owned()),
            ..query_of("frontend")
        },
        TraceQueryBuilder {
            min_duration: Some(4_000_000),
            ..query_of("frontend")
        },
        TraceQueryBuilder {
            min_duration: Some(4_000_000),
            end_ts: i64::MAX / 2_000,
            lookback: i64::MAX / 2_000,
            ..put.clone()
        },
        put,
    ] {
        assert_eq!(subject.found(query.clone()).await, [trace_id(1)], "{query:?}");
    }
    assert_eq!(subject.found(query()).await.len(), 100);
}

//! Slowest first and most errors first, over the whole window ([`crate::Order`]).

use model::{Span, TraceId};

use super::fixtures::{Build, at, long_trace_id, query, query_of, span, today, trace_id};
use super::{Case, Subject, case};
use crate::{Order, TraceQueryBuilder};

pub(super) const CASES: &[Case] = &[
    case!(slowest_first, Orders),
    case!(slowest_goes_by_the_whole_trace, Orders),
    case!(slowest_considers_the_whole_window_and_only_that, Orders),
    case!(most_errors_first, Orders),
    case!(errors_are_counted_in_the_whole_trace, Orders),
    case!(ties_go_to_the_newest, Orders),
    case!(orders_keep_to_conditions, Orders),
    case!(pages_have_each_trace_once),
    case!(pages_of_every_order, Orders),
];

fn ordered(order: Order, limit: i64) -> TraceQueryBuilder {
    TraceQueryBuilder {
        order,
        limit,
        ..query()
    }
}

/// A trace of one failing span a number.
fn failing(low: u64, errors: u64) -> Vec<Span> {
    let mut spans = vec![span(trace_id(low), low * 100)];
    spans.extend((1..=errors).map(|id| {
        span(trace_id(low), low * 100 + id)
            .child_of(low * 100)
            .tag("error", "")
    }));
    spans
}

async fn slowest_first(subject: Subject) {
    let durations = [30, 10, 50, 20, 40];
    let spans: Vec<_> = (1..)
        .zip(durations)
        .map(|(low, d)| span(trace_id(low), low).lasting(d))
        .collect();
    subject.accept(&spans).await;
    assert_eq!(
        subject.found(ordered(Order::Slowest, 100)).await,
        [3, 5, 1, 4, 2].map(trace_id)
    );
    assert_eq!(
        subject.found(ordered(Order::Slowest, 2)).await,
        [3, 5].map(trace_id)
    );
    assert_eq!(
        subject.found(ordered(Order::Newest, 2)).await,
        [5, 4].map(trace_id)
    );
}

async fn slowest_goes_by_the_whole_trace(subject: Subject) {
    let spans = [
        span(trace_id(1), 1).at(at(1000)).lasting(500),
        // Shorter spans, far apart: 900 µs from the first begin to the last end.
        span(trace_id(2), 2).at(at(1000)).lasting(100),
        span(trace_id(2), 3).child_of(2).at(at(1700)).lasting(200),
        // A span without a duration ends where it begins: 600 µs.
        span(trace_id(3), 4).at(at(1000)).lasting(1),
        Span {
            duration: None,
            ..span(trace_id(3), 5).child_of(4).at(at(1600))
        },
    ];
    subject.accept(&spans).await;
    assert_eq!(
        subject.found(ordered(Order::Slowest, 100)).await,
        [2, 3, 1].map(trace_id)
    );
}

async fn slowest_considers_the_whole_window_and_only_that(subject: Subject) {
    // The slowest of the window is its oldest; a slower one is outside.
    let spans: Vec<_> = (1..=500)
        .map(|low| span(trace_id(low), low).lasting(if low <= 2 { 900_000 / low } else { 10 }))
        .collect();
    for batch in spans.chunks(50) {
        subject.accept(batch).await;
    }
    assert_eq!(subject.found(ordered(Order::Slowest, 1)).await, [trace_id(1)]);
    let without_the_first = TraceQueryBuilder {
        end_ts: (today() + 1000) as i64,
        lookback: 998,
        ..ordered(Order::Slowest, 1)
    };
    assert_eq!(subject.found(without_the_first).await, [trace_id(2)]);
}

async fn most_errors_first(subject: Subject) {
    subject
        .accept(&[failing(1, 2), failing(2, 0), failing(3, 3), failing(4, 1)].concat())
        .await;
    assert_eq!(
        subject.found(ordered(Order::Errors, 100)).await,
        [3, 1, 4, 2].map(trace_id)
    );
    assert_eq!(
        subject.found(ordered(Order::Errors, 2)).await,
        [3, 1].map(trace_id)
    );
}

async fn errors_are_counted_in_the_whole_trace(subject: Subject) {
    // Of other services, and with any value; an annotation is none.
    let other = span(trace_id(1), 1001)
        .child_of(100)
        .local("backend")
        .tag("error", "false");
    let spans = [
        failing(1, 1),
        vec![other],
        failing(2, 1),
        vec![span(trace_id(2), 2001).annotation("error")],
    ];
    subject.accept(&spans.concat()).await;
    let of_service = TraceQueryBuilder {
        order: Order::Errors,
        ..query_of("frontend")
    };
    assert_eq!(subject.found(of_service).await, [1, 2].map(trace_id));
}

async fn ties_go_to_the_newest(subject: Subject) {
    let spans: Vec<_> = (1..=20).map(|low| span(trace_id(low), low)).collect();
    subject.accept(&spans).await;
    for order in [Order::Slowest, Order::Errors] {
        assert_eq!(
            subject.found(ordered(order, 3)).await,
            [20, 19, 18].map(trace_id),
            "{order:?}"
        );
    }
}

async fn orders_keep_to_conditions(subject: Subject) {
    let spans: Vec<_> = (1..=9)
        .map(|low| {
            span(trace_id(low), low)
                .lasting(100 - low)
                .local(if low % 3 == 0 { "backend" } else { "frontend" })
        })
        .collect();
    subject.accept(&spans).await;
    let slowest = |service: &str| TraceQueryBuilder {
        order: Order::Slowest,
        limit: 2,
        ..query_of(service)
    };
    assert_eq!(subject.found(slowest("backend")).await, [3, 6].map(trace_id));
    let short = TraceQueryBuilder {
        min_duration: Some(1),
        max_duration: Some(95),
        ..slowest("frontend")
    };
    assert_eq!(subject.found(short).await, [5, 7].map(trace_id));
    assert_eq!(subject.found(slowest("db")).await, []);
}

/// What all pages of so many traces have, one after the other.
async fn paged(subject: &Subject, first: &TraceQueryBuilder) -> Vec<TraceId> {
    let query = first.clone().build().expect("a question of a case");
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = subject
            .search(TraceQueryBuilder {
                after,
                ..first.clone()
            })
            .await;
        assert!(page.len() <= query.limit(), "{} traces", page.len());
        let Some(last) = page.last() else { return found };
        after = Some(query.position(last));
        found.extend(page.iter().map(|trace| trace[0].trace_id));
    }
}

/// Their identifiers do not come in the order of the lower halves, which stores find traces by.
fn tied_id(low: u64) -> TraceId {
    long_trace_id(100 - low, low)
}

/// Traces of which many share a time, a duration and a number of errors.
async fn with_ties(subject: &Subject) {
    let spans = (1..=40).map(|low| {
        let span = span(tied_id(low), low).at(at(low / 7)).lasting(10 + low % 3);
        match low % 4 {
            0 => span.tag("error", ""),
            _ => span,
        }
    });
    let spans: Vec<_> = spans.collect();
    // In several batches, the last ones first.
    for batch in spans.rchunks(9) {
        subject.accept(batch).await;
    }
}

async fn expect_pages(subject: &Subject, order: Order) {
    let whole = subject.found(ordered(order, 100)).await;
    assert_eq!(whole.len(), 40);
    for limit in [1, 3, 40] {
        assert_eq!(
            paged(subject, &ordered(order, limit)).await,
            whole,
            "{order:?}, {limit}"
        );
    }
}

async fn pages_have_each_trace_once(subject: Subject) {
    with_ties(&subject).await;
    expect_pages(&subject, Order::Newest).await;
    // Conditions hold on every page.
    let failed = TraceQueryBuilder {
        annotation_query: Some("error".to_owned()),
        ..ordered(Order::Newest, 3)
    };
    let found = paged(&subject, &failed).await;
    assert_eq!(found, [36, 40, 28, 32, 24, 16, 20, 8, 12, 4].map(tied_id));
}

async fn pages_of_every_order(subject: Subject) {
    with_ties(&subject).await;
    for order in [Order::Slowest, Order::Errors] {
        expect_pages(&subject, order).await;
    }
}

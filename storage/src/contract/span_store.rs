//! Zipkin's `ITSpanStore`: writing, reading back and finding, but for conditions (`search_conditions.rs`).

use model::{Kind, Span, TraceId};

use super::fixtures::{
    Build, DAY, at, bare_span, client_span, long_trace_id, query, query_of, server_span, sorted, span, today,
    trace_id, whole_trace,
};
use super::{Case, Subject, case};
use crate::TraceQueryBuilder;

pub(super) const CASES: &[Case] = &[
    case!(all_should_work_when_empty),
    case!(all_should_work_when_no_indexable_data_yet),
    case!(consumer_implements_call_execute),
    case!(consumer_implements_call_submit),
    case!(get_traces_groups_traces_together),
    case!(get_traces_considers_bits_above_64bit),
    case!(get_traces_filtering_matches_most_recent_traces),
    case!(readback_minimal_error_span),
    case!(reads_back_large_values),
    case!(span_with_problematic_data),
    case!(get_traces_absent_when_no_timestamp),
    case!(get_traces_differentiates_debug_from_shared),
    case!(get_traces_limit),
    case!(get_traces_end_ts_and_lookback),
    case!(names_go_lowercase),
    case!(get_traces_end_ts_inside_the_trace),
];

/// Every question that goes by an index.
async fn assert_nothing_is_found(subject: &Subject) {
    let none: [TraceId; 0] = [];
    assert_eq!(subject.found(query()).await, none);
    assert_eq!(subject.found(query_of("frontend")).await, none);
    let by_span_name = TraceQueryBuilder {
        span_name: Some("get".to_owned()),
        ..query_of("frontend")
    };
    assert_eq!(subject.found(by_span_name).await, none);
    let by_tag = TraceQueryBuilder {
        annotation_query: Some("error".to_owned()),
        ..query()
    };
    assert_eq!(subject.found(by_tag).await, none);
    let by_duration = TraceQueryBuilder {
        min_duration: Some(1),
        ..query()
    };
    assert_eq!(subject.found(by_duration).await, none);
    let no_names: [&str; 0] = [];
    assert_eq!(subject.service_names().await, no_names);
    assert_eq!(subject.span_names("frontend").await, no_names);
    assert_eq!(subject.remote_service_names("frontend").await, no_names);
    assert_eq!(subject.links(today() + DAY, 2 * DAY).await, []);
}

async fn all_should_work_when_empty(subject: Subject) {
    assert_nothing_is_found(&subject).await;
    assert_eq!(subject.trace(trace_id(1)).await, []);
    assert_eq!(
        subject.traces(&[trace_id(1), trace_id(2)]).await,
        Vec::<Vec<Span>>::new()
    );
}

async fn all_should_work_when_no_indexable_data_yet(subject: Subject) {
    let bare = bare_span(trace_id(1), 1);
    subject.accept(std::slice::from_ref(&bare)).await;
    assert_nothing_is_found(&subject).await;
    assert_eq!(subject.trace(trace_id(1)).await, [bare]);
}

/// Of Zipkin's call objects what remains is that a write, when it is done, is done, and can be repeated.
async fn consumer_implements_call_execute(subject: Subject) {
    let spans = [span(trace_id(1), 1)];
    subject.accept(&spans).await;
    assert_eq!(subject.trace(trace_id(1)).await, spans);
    subject.accept(&spans).await;
    assert_eq!(subject.found(query()).await, [trace_id(1)]);
    subject.accept(&[span(trace_id(2), 2)]).await;
    assert_eq!(subject.found(query()).await.len(), 2);
}

/// And that it can be done by another task than the one that reads.
async fn consumer_implements_call_submit(subject: Subject) {
    let writers = (1..=4).map(|low| {
        let subject = subject.share();
        tokio::spawn(async move { subject.accept(&[span(trace_id(low), low)]).await })
    });
    for writer in writers.collect::<Vec<_>>() {
        assert!(writer.await.is_ok(), "a writer failed");
    }
    assert_eq!(subject.found(query()).await, [4, 3, 2, 1].map(trace_id));
}

async fn get_traces_groups_traces_together(subject: Subject) {
    // Two traces whose spans alternate in time.
    let first = [span(trace_id(1), 1), span(trace_id(1), 3).child_of(1)];
    let second = [span(trace_id(2), 2), span(trace_id(2), 4).child_of(2)];
    subject
        .accept(&[
            first[0].clone(),
            second[0].clone(),
            first[1].clone(),
            second[1].clone(),
        ])
        .await;
    assert_eq!(subject.search(query()).await, [second, first]);
}

async fn get_traces_considers_bits_above_64bit(subject: Subject) {
    let ids = [trace_id(7), long_trace_id(1, 7), long_trace_id(2, 7)];
    let spans: Vec<_> = (1..).zip(ids).map(|(id, trace_id)| span(trace_id, id)).collect();
    subject.accept(&spans).await;
    for span in &spans {
        assert_eq!(subject.trace(span.trace_id).await, std::slice::from_ref(span));
    }
    let mut found = subject.search(query()).await;
    found.sort_by_key(|trace| trace[0].trace_id);
    assert_eq!(found, spans.chunks(1).collect::<Vec<_>>());
}

async fn get_traces_filtering_matches_most_recent_traces(subject: Subject) {
    // The matching ones are all older than those that do not match.
    let matching = (1..=10).map(|low| span(trace_id(low), low).tag("wanted", "yes"));
    let newer = (11..=30).map(|low| span(trace_id(low), low).tag("wanted", "no"));
    subject.accept(&newer.chain(matching).collect::<Vec<_>>()).await;
    let wanted = |limit| TraceQueryBuilder {
        annotation_query: Some("wanted=yes".to_owned()),
        limit,
        ..query_of("frontend")
    };
    assert_eq!(subject.found(wanted(1)).await, [trace_id(10)]);
    assert_eq!(subject.found(wanted(5)).await, [10, 9, 8, 7, 6].map(trace_id));
    assert_eq!(subject.found(wanted(100)).await.len(), 10);
}

async fn readback_minimal_error_span(subject: Subject) {
    let minimal = bare_span(trace_id(1), 1).tag("error", "");
    subject.accept(std::slice::from_ref(&minimal)).await;
    assert_eq!(subject.trace(trace_id(1)).await, [minimal]);
}

async fn reads_back_large_values(subject: Subject) {
    let long = "a large value, ".repeat(4_000);
    let large = span(trace_id(1), 1)
        .tag("http.request.body", &long)
        .annotation(&long);
    subject.accept(std::slice::from_ref(&large)).await;
    assert_eq!(subject.trace(trace_id(1)).await, std::slice::from_ref(&large));
    assert_eq!(subject.search(query()).await, [[large]]);
}

async fn span_with_problematic_data(subject: Subject) {
    let odd = span(trace_id(1), 1)
        .named("get /\u{1f4a9}?a=\"b\"&c='d'")
        .local("my service")
        .remote("your\tservice")
        .tag("json", r#"{"key":["value",null],"nested":{"\\":"\u0000"}}"#)
        .tag("empty", "")
        .tag(" blanks ", "  ")
        .annotation("first line\r\nsecond line")
        .annotation("\u{2028}\u{feff}");
    subject.accept(std::slice::from_ref(&odd)).await;
    assert_eq!(subject.trace(trace_id(1)).await, std::slice::from_ref(&odd));
    let by_names = TraceQueryBuilder {
        span_name: odd.name.clone(),
        remote_service_name: Some("your\tservice".to_owned()),
        ..query_of("my service")
    };
    assert_eq!(subject.search(by_names).await, [[odd]]);
}

async fn get_traces_absent_when_no_timestamp(subject: Subject) {
    let timeless = bare_span(trace_id(1), 1)
        .named("get")
        .local("frontend")
        .tag("key", "value");
    subject.accept(std::slice::from_ref(&timeless)).await;
    for query in [query(), query_of("frontend")] {
        assert_eq!(subject.found(query).await, []);
    }
    // The client's half brings the time.
    subject
        .accept(&[timeless.of_kind(Kind::Client).at(at(1)).lasting(1)])
        .await;
    assert_eq!(subject.found(query_of("frontend")).await, [trace_id(1)]);
}

async fn get_traces_differentiates_debug_from_shared(subject: Subject) {
    let spans = [
        Span {
            debug: true,
            ..client_span(trace_id(1))
        },
        server_span(trace_id(1)),
    ];
    subject.accept(&spans).await;
    assert_eq!(subject.search(query()).await, [spans]);
}

async fn get_traces_limit(subject: Subject) {
    // Reported from the newest to the oldest, and not at once.
    for low in [3, 2, 1] {
        subject.accept(&[span(trace_id(low), low)]).await;
    }
    let limited = |limit| TraceQueryBuilder {
        limit,
        ..query_of("frontend")
    };
    assert_eq!(subject.found(limited(1)).await, [trace_id(3)]);
    assert_eq!(subject.found(limited(2)).await, [3, 2].map(trace_id));
    assert_eq!(subject.found(limited(3)).await, [3, 2, 1].map(trace_id));
    assert_eq!(subject.found(limited(i64::from(i32::MAX))).await.len(), 3);
}

async fn get_traces_end_ts_and_lookback(subject: Subject) {
    // Spans 1 and 2 milliseconds after midnight.
    subject
        .accept(&[span(trace_id(1), 1), span(trace_id(2), 2)])
        .await;
    let window = |end_ts: u64, lookback: i64| TraceQueryBuilder {
        end_ts: end_ts as i64,
        lookback,
        ..query()
    };
    assert_eq!(subject.found(window(today(), DAY as i64)).await, []);
    assert_eq!(
        subject.found(window(today() + 1, DAY as i64)).await,
        [trace_id(1)]
    );
    assert_eq!(
        subject.found(window(today() + 2, DAY as i64)).await,
        [2, 1].map(trace_id)
    );
    assert_eq!(subject.found(window(today() + 3, 1)).await, [trace_id(2)]);
    assert_eq!(subject.found(window(today() + 3, 2)).await, [2, 1].map(trace_id));
    assert_eq!(subject.found(window(today() + 4, 1)).await, []);
}

async fn names_go_lowercase(subject: Subject) {
    let shouted = bare_span(trace_id(1), 1)
        .named("GET")
        .at(at(1))
        .local("FrontEnd")
        .remote("BACKEND");
    subject.accept(&[shouted]).await;
    assert_eq!(subject.service_names().await, ["frontend"]);
    assert_eq!(subject.span_names("frontend").await, ["get"]);
    assert_eq!(subject.remote_service_names("frontend").await, ["backend"]);
    let asked = TraceQueryBuilder {
        span_name: Some("Get".to_owned()),
        remote_service_name: Some("BackEnd".to_owned()),
        ..query_of("FRONTEND")
    };
    assert_eq!(subject.found(asked).await, [trace_id(1)]);
}

async fn get_traces_end_ts_inside_the_trace(subject: Subject) {
    // The root begins 10 ms after midnight, its last descendant 100 ms after.
    let trace = whole_trace(trace_id(1));
    subject.accept(&trace).await;
    let inside = TraceQueryBuilder {
        end_ts: (today() + 60) as i64,
        lookback: 60,
        ..query()
    };
    assert_eq!(subject.search(inside.clone()).await, [sorted(trace)]);
    let of_the_last = TraceQueryBuilder {
        service_name: Some("backend".to_owned()),
        ..inside
    };
    assert_eq!(subject.found(of_the_last).await, [trace_id(1)]);
}

//! Ours: what `q` finds, in shapes that repeat and in values that never do.

use model::{Span, TraceId};

use super::fixtures::{Build, query, query_of, span, trace_id};
use super::{Case, Subject, case};
use crate::TraceQueryBuilder;

pub(super) const CASES: &[Case] = &[
    case!(text_is_found_in_every_text),
    case!(text_is_found_in_words_of_any_script),
    case!(conditions_may_be_met_by_different_spans),
    case!(conditions_are_met_by_spans_of_the_service),
    case!(phrases_do_not_reach_over_texts),
    case!(prefixes_and_patterns_find_what_begins_and_looks_so),
    case!(values_that_never_repeat_are_found),
    case!(long_texts_are_found_by_any_of_their_words),
    case!(text_goes_with_every_other_condition),
    case!(text_is_found_newest_first),
];

fn text(q: &str) -> TraceQueryBuilder {
    with_text(query(), q)
}

fn with_text(query: TraceQueryBuilder, q: &str) -> TraceQueryBuilder {
    TraceQueryBuilder {
        text: Some(q.to_owned()),
        ..query
    }
}

/// What a store finds must be what the definition finds among all traces.
async fn agrees(subject: &Subject, traces: &[Vec<Span>], query: TraceQueryBuilder) -> usize {
    let parsed = query
        .clone()
        .build()
        .unwrap_or_else(|error| panic!("a case asks a wrong question: {error}"));
    let mut expected: Vec<_> = traces.iter().filter(|trace| parsed.matches(trace)).collect();
    expected.sort_by_key(|trace| std::cmp::Reverse(parsed.rank(trace)));
    let expected: Vec<TraceId> = expected.iter().map(|trace| trace[0].trace_id).collect();
    let limited = &expected[..expected.len().min(parsed.limit())];
    assert_eq!(subject.found(query).await, limited, "{parsed:?}");
    expected.len()
}

async fn text_is_found_in_every_text(subject: Subject) {
    let id = trace_id(1);
    let one = span(id, 1)
        .named("get /cart")
        .remote("Billing-DB")
        .tag("http.path", "/users/7")
        .annotation("cache miss");
    subject
        .accept(&[one, span(trace_id(2), 2).local("backend")])
        .await;
    let queries = [
        "frontend",
        "cart",
        "billing",
        "BILLING-db",
        "path",
        "http.path",
        "/users/7",
        "7",
        "miss",
        "get cache",
        "\"get cart\"",
        "/^cache/",
    ];
    for q in queries {
        assert_eq!(subject.found(text(q)).await, [id], "{q}");
    }
    for q in ["front", "carts", "users7", "8", "/^miss/", "cart nowhere"] {
        assert_eq!(subject.found(text(q)).await, [], "{q}");
    }
    assert_eq!(subject.found(text("")).await.len(), 2);
}

async fn text_is_found_in_words_of_any_script(subject: Subject) {
    let values = [
        "Große Straße",
        "имя Файла",
        "名前 検索",
        "İstanbul",
        "e\u{301}te",
        "x\u{0}y",
        "🦀crab🦀",
        "\u{212a}elvin",
    ];
    let spans: Vec<_> = (1..)
        .zip(values)
        .map(|(id, value)| span(trace_id(id), id).tag("k", value))
        .collect();
    subject.accept(&spans).await;
    let queries = [
        "STRASSE",
        "straße",
        "ФАЙЛА",
        "检索",
        "検索",
        "検*",
        "İstanbul",
        "istanbul",
        "i*",
        "ete",
        "te",
        "x",
        "y",
        "\"x y\"",
        "crab",
        "kelvin",
        "/🦀/",
    ];
    let traces: Vec<_> = spans.into_iter().map(|span| vec![span]).collect();
    let mut found = 0;
    for q in queries {
        found += agrees(&subject, &traces, text(q)).await;
    }
    assert_eq!(found, 12);
}

async fn conditions_may_be_met_by_different_spans(subject: Subject) {
    let (one, two) = (trace_id(1), trace_id(2));
    subject
        .accept(&[
            span(one, 1).tag("message", "connection refused"),
            span(one, 2).child_of(1).tag("message", "timeout"),
            span(two, 3).tag("message", "timeout"),
        ])
        .await;
    assert_eq!(subject.found(text("timeout refused")).await, [one]);
    assert_eq!(subject.found(text("timeout")).await, [two, one]);
    assert_eq!(subject.found(text("timeout \"connection timeout\"")).await, []);
}

async fn conditions_are_met_by_spans_of_the_service(subject: Subject) {
    let (one, two) = (trace_id(1), trace_id(2));
    subject
        .accept(&[
            span(one, 1).tag("message", "timeout"),
            span(two, 2),
            span(two, 3)
                .child_of(2)
                .local("backend")
                .tag("message", "timeout"),
        ])
        .await;
    let of = |service, q| with_text(query_of(service), q);
    assert_eq!(subject.found(of("frontend", "timeout")).await, [one]);
    assert_eq!(subject.found(of("backend", "timeout")).await, [two]);
    assert_eq!(subject.found(of("frontend", "timeout backend")).await, []);
}

async fn phrases_do_not_reach_over_texts(subject: Subject) {
    let id = trace_id(1);
    subject
        .accept(&[span(id, 1).tag("a", "b").tag("c", "d").annotation("e f")])
        .await;
    for q in ["\"a b\"", "\"b c\"", "\"b d\"", "\"d e\"", "a=b"] {
        assert_eq!(subject.found(text(q)).await, [], "{q}");
    }
    assert_eq!(subject.found(text("\"e f\" a b")).await, [id]);
}

async fn prefixes_and_patterns_find_what_begins_and_looks_so(subject: Subject) {
    let traces: Vec<Vec<Span>> = (1..=40u64)
        .map(|id| vec![span(trace_id(id), id).tag("order", &format!("Order{} of user-{id:04}", id * 37))])
        .collect();
    subject.accept(&traces.concat()).await;
    let queries = [
        "order*",
        "order3*",
        "ord*",
        "0*",
        "00*",
        "000*",
        "003*",
        "user-00*",
        "\"of user 001\"*",
        "us*",
        "u*",
        "/Order3\\d+ of/",
        "/user-00[12]/",
        "/^Order/",
        "/0$/",
        "/(?i)ORDER/",
        "orders*",
        "1*",
        "37*",
    ];
    let mut found = 0;
    for q in queries {
        found += agrees(&subject, &traces, text(q)).await;
    }
    assert!(found > 200, "{found}");
}

async fn values_that_never_repeat_are_found(subject: Subject) {
    let traces: Vec<Vec<Span>> = (1..=300u64).map(varied).collect();
    for some in traces.chunks(50) {
        subject.accept(&some.concat()).await;
    }
    let mut found = 0;
    for number in [1u64, 7, 150, 299, 300] {
        let user = number * 7919;
        let hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let queries = [
            format!("{user}"),
            format!("/users/{user}"),
            format!("\"id {user}\""),
            format!("{hash:016x}"),
            format!("{user} select"),
            format!("note{number}"),
            format!("\"note{number} with\""),
            format!("/note{number} /"),
            format!("{hash:016X}x"),
        ];
        for q in queries {
            found += agrees(&subject, &traces, text(&q)).await;
        }
    }
    for q in [
        "users",
        "select",
        "\"where id\"",
        "note*",
        "note2*",
        "notes",
        "/note29[0-9]/",
    ] {
        found += agrees(&subject, &traces, text(q)).await;
    }
    assert!(found > 300, "{found}");
}

/// A trace whose values no other has.
fn varied(number: u64) -> Vec<Span> {
    let id = trace_id(number);
    let user = number * 7919;
    let hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let statement = format!("select * from users where id = {user} and state = 'open'");
    vec![
        span(id, number).tag("http.path", &format!("/users/{user}/cart")),
        span(id, number + 1000)
            .child_of(number)
            .local("backend")
            .tag("db.statement", &statement)
            .tag("correlation", &format!("{hash:016x}"))
            .annotation(&format!("note{number} with words")),
    ]
}

async fn long_texts_are_found_by_any_of_their_words(subject: Subject) {
    let stack = |number: u64| {
        let frames: Vec<_> = (0..3000)
            .map(|frame| format!("at frame{frame}x{number}.call"))
            .collect();
        frames.join("\n")
    };
    let traces: Vec<Vec<Span>> = (1..=3u64)
        .map(|id| {
            let long_word = format!("{}{id}", "w".repeat(2000));
            vec![
                span(trace_id(id), id)
                    .tag("stack", &stack(id))
                    .tag("long", &long_word),
            ]
        })
        .collect();
    subject.accept(&traces.concat()).await;
    let wide = format!("{}*", "w".repeat(256));
    for (q, expected) in [
        ("frame0x1", 1),
        ("frame2999x3", 1),
        ("\"frame7x2 call\"", 1),
        ("\"frame7x2 frame\"*", 0),
        ("frame2*", 3),
        ("call", 3),
        (wide.as_str(), 3),
        ("wwww", 0),
    ] {
        assert_eq!(agrees(&subject, &traces, text(q)).await, expected, "{q}");
    }
}

async fn text_goes_with_every_other_condition(subject: Subject) {
    let traces: Vec<Vec<Span>> = (1..=60u64)
        .map(|id| {
            vec![
                span(trace_id(id), id)
                    .named(["get", "put"][(id % 2) as usize])
                    .remote(["db", "cache"][(id % 3 % 2) as usize])
                    .tag("item", &format!("item {}", id % 10))
                    .lasting(id * 10),
            ]
        })
        .collect();
    subject.accept(&traces.concat()).await;
    let conditions = [
        TraceQueryBuilder {
            span_name: Some("get".to_owned()),
            ..text("6")
        },
        TraceQueryBuilder {
            remote_service_name: Some("db".to_owned()),
            ..text("item")
        },
        TraceQueryBuilder {
            annotation_query: Some("item=item 4".to_owned()),
            ..text("get \"item 4\"")
        },
        TraceQueryBuilder {
            min_duration: Some(100),
            max_duration: Some(400),
            ..text("item 3")
        },
        TraceQueryBuilder {
            limit: 3,
            ..with_text(query_of("frontend"), "it* /[2-5]$/")
        },
    ];
    for query in conditions {
        assert!(agrees(&subject, &traces, query).await > 0);
    }
}

async fn text_is_found_newest_first(subject: Subject) {
    let traces: Vec<Vec<Span>> = (1..=30u64)
        .map(|id| vec![span(trace_id(id), id * 13 % 31).tag("k", if id % 3 == 0 { "rare" } else { "often" })])
        .collect();
    subject.accept(&traces.concat()).await;
    let query = TraceQueryBuilder {
        limit: 4,
        ..text("rare")
    };
    assert_eq!(agrees(&subject, &traces, query).await, 10);
}

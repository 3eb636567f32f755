//! Names, tags and annotations that a store could trip over: all of them are only text.

use std::collections::BTreeSet;

use model::Kind;

use super::fixtures::{Build, DAY, link, query, query_of, span, today, trace_id};
use super::{Case, Subject, case};
use crate::{AnnotationQuery, StoreOptions, TraceQueryBuilder};

pub(super) const CASES: &[Case] = &[
    case!(names_are_only_text),
    case!(long_names_are_only_text),
    case!(tags_and_annotations_are_only_text),
    case!(long_tags_and_annotations_are_only_text),
    case!(autocomplete_values_are_only_text),
    case!(links_between_oddly_named_services),
    case!(links_between_services_with_long_names),
    case!(no_character_separates_a_service_from_a_name),
    case!(case_is_folded_beyond_ascii),
];

const KEY: &str = "odd";

pub(super) fn options() -> StoreOptions {
    StoreOptions {
        autocomplete_keys: vec![KEY.to_owned()],
        ..StoreOptions::default()
    }
}

/// Next to nothing, and what ends a text in some languages.
const BLANKS: [&str; 12] = [
    " ", "\t", "\n", "\r\n", "\0", "\u{1}", "\u{7f}", "\u{a0}", "\u{200b}", "\u{feff}", "\u{2028}",
    "\u{fffd}",
];

/// Quotes, wildcards, and what stores put between words.
const SIGNS: [&str; 27] = [
    "'", "\"", "`", "\\", "%", "_", "*", "?", ".*", "a*", "a%", "a_b", "a=b", "a:b", "a|b", "a/b", "a;b",
    "a&b", "a,b", "a b", "a░b", "░", "░a░", "&amp;", "<b>", "[null]", "a and b",
];

/// What looks like something else.
const DISGUISES: [&str; 19] = [
    "null",
    "nil",
    "true",
    "0",
    "-1",
    "1e9",
    "nan",
    "../../etc/passwd",
    "c:\\con",
    "__proto__",
    "_id",
    "$where",
    "${7*7}",
    "%00",
    "%n%s",
    "';drop table zipkin_spans;--",
    "{\"query\":{\"match_all\":{}}}",
    "\\u0041",
    "http://[::1]:9411/?a=b#c",
];

/// Other scripts, combining and astral characters; the two é are different texts.
const SCRIPTS: [&str; 11] = [
    "é",
    "e\u{301}",
    "ß",
    "ς",
    "имя",
    "名前",
    "اسم",
    "🦀",
    "👩‍👩‍👧",
    "\u{10ffff}",
    "\u{202e}abc",
];

/// Distinct texts, in lower case, none of them empty.
fn short_texts() -> Vec<String> {
    let texts = [&BLANKS[..], &SIGNS, &DISGUISES, &SCRIPTS].concat();
    texts.into_iter().map(str::to_owned).collect()
}

/// As long as no index of a store likes, and equal but for the end.
fn long_texts() -> Vec<String> {
    let long = "long ".repeat(2000);
    vec![format!("{long}a"), format!("{long}b"), "名".repeat(3000)]
}

fn numbered(texts: &[String]) -> impl Iterator<Item = (u64, &String)> {
    (1..).zip(texts)
}

async fn names_are_only_text(subject: Subject) {
    are_names(&subject, &short_texts()).await;
}

async fn long_names_are_only_text(subject: Subject) {
    are_names(&subject, &long_texts()).await;
}

async fn are_names(subject: &Subject, texts: &[String]) {
    for (low, text) in numbered(texts) {
        subject
            .accept(&[span(trace_id(low), low).local(text).named(text).remote(text)])
            .await;
    }
    let all: BTreeSet<_> = texts.iter().cloned().collect();
    assert_eq!(subject.service_names().await, all.into_iter().collect::<Vec<_>>());
    for (low, text) in numbered(texts) {
        assert_eq!(
            subject.found(query_of(text)).await,
            [trace_id(low)],
            "service {text:?}"
        );
        assert_eq!(subject.span_names(text).await, [text.as_str()]);
        assert_eq!(subject.remote_service_names(text).await, [text.as_str()]);
        let by_span_name = TraceQueryBuilder {
            span_name: Some(text.clone()),
            ..query()
        };
        assert_eq!(
            subject.found(by_span_name).await,
            [trace_id(low)],
            "span name {text:?}"
        );
        let by_remote = TraceQueryBuilder {
            remote_service_name: Some(text.clone()),
            ..query_of(text)
        };
        assert_eq!(
            subject.found(by_remote).await,
            [trace_id(low)],
            "remote service {text:?}"
        );
    }
}

async fn tags_and_annotations_are_only_text(subject: Subject) {
    are_tags_and_annotations(&subject, &short_texts()).await;
}

async fn long_tags_and_annotations_are_only_text(subject: Subject) {
    are_tags_and_annotations(&subject, &long_texts()).await;
}

async fn are_tags_and_annotations(subject: &Subject, texts: &[String]) {
    let spans: Vec<_> = numbered(texts)
        .map(|(low, text)| {
            span(trace_id(low), low)
                .tag(text, "value")
                .tag("key", text)
                .annotation(text)
        })
        .collect();
    subject.accept(&spans).await;
    for ((low, text), span) in numbered(texts).zip(&spans) {
        assert_eq!(subject.trace(trace_id(low)).await, std::slice::from_ref(span));
        // Not every text can be asked for: the grammar trims, and knows `=` and ` and `.
        for (asked, key, value) in [
            (text.clone(), text.as_str(), ""),
            (format!("{text}=value"), text.as_str(), "value"),
            (format!("key={text}"), "key", text.as_str()),
        ] {
            if AnnotationQuery::parse(&asked).conditions() != [(key.to_owned(), value.to_owned())] {
                continue;
            }
            let query = TraceQueryBuilder {
                annotation_query: Some(asked.clone()),
                ..query_of("frontend")
            };
            assert_eq!(subject.found(query).await, [trace_id(low)], "{asked:?}");
        }
    }
}

async fn autocomplete_values_are_only_text(subject: Subject) {
    let texts = [short_texts(), long_texts()].concat();
    let spans: Vec<_> = numbered(&texts)
        .map(|(low, text)| span(trace_id(low), low).tag(KEY, text))
        .collect();
    subject.accept(&spans).await;
    subject.accept(&spans).await;
    let all: BTreeSet<_> = texts.into_iter().collect();
    assert_eq!(
        subject.autocomplete_values(KEY).await,
        all.into_iter().collect::<Vec<_>>()
    );
}

async fn links_between_oddly_named_services(subject: Subject) {
    are_linked(&subject, &short_texts()).await;
}

async fn links_between_services_with_long_names(subject: Subject) {
    are_linked(&subject, &long_texts()).await;
}

async fn are_linked(subject: &Subject, texts: &[String]) {
    let spans: Vec<_> = numbered(texts)
        .map(|(low, text)| {
            span(trace_id(low), low)
                .of_kind(Kind::Client)
                .local(text)
                .remote("db")
        })
        .collect();
    subject.accept(&spans).await;
    let mut expected: Vec<_> = texts.iter().map(|text| link(text, "db", 1)).collect();
    expected.sort();
    assert_eq!(subject.links(today() + DAY, DAY).await, expected);
}

async fn no_character_separates_a_service_from_a_name(subject: Subject) {
    let separators = ["/", ":", "|", ",", ";", "=", "\0", "\u{1f}", "░", " ", "."];
    for (low, separator) in (1..).step_by(2).zip(separators) {
        let (left, right) = (format!("a{separator}b"), format!("b{separator}c"));
        subject
            .accept(&[span(trace_id(low), low).local("a").named(&right).remote(&right)])
            .await;
        subject
            .accept(&[span(trace_id(low + 1), low + 1)
                .local(&left)
                .named("c")
                .remote("c")])
            .await;
        let named = |service: &str, name: &str| TraceQueryBuilder {
            span_name: Some(name.to_owned()),
            remote_service_name: Some(name.to_owned()),
            ..query_of(service)
        };
        assert_eq!(
            subject.found(named("a", &right)).await,
            [trace_id(low)],
            "{separator:?}"
        );
        assert_eq!(
            subject.found(named(&left, "c")).await,
            [trace_id(low + 1)],
            "{separator:?}"
        );
        assert_eq!(subject.span_names(&left).await, ["c"], "{separator:?}");
        // Tags: the key `a` with value `b=c` is not the key `a=b` with value `c`.
        subject
            .accept(&[
                span(trace_id(low), low).tag(&left, "c"),
                span(trace_id(low + 1), 1).tag("a", &right),
            ])
            .await;
    }
    let tagged = TraceQueryBuilder {
        annotation_query: Some("a=b/c".to_owned()),
        ..query()
    };
    assert_eq!(subject.found(tagged).await, [trace_id(2)]);
}

async fn case_is_folded_beyond_ascii(subject: Subject) {
    let shouted = span(trace_id(1), 1)
        .local("ÜBER")
        .named("ПОЛУЧИТЬ")
        .remote("ΟΔΟΣ");
    subject.accept(&[shouted]).await;
    assert_eq!(subject.service_names().await, ["über"]);
    assert_eq!(subject.span_names("über").await, ["получить"]);
    assert_eq!(subject.remote_service_names("über").await, ["οδος"]);
    let asked = TraceQueryBuilder {
        span_name: Some("Получить".to_owned()),
        ..query_of("Über")
    };
    assert_eq!(subject.found(asked).await, [trace_id(1)]);
}

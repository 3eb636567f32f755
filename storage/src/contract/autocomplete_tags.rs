//! Zipkin's `ITAutocompleteTags`: values of the tag keys that are configured.

use super::fixtures::{Build, span, trace_id};
use super::{Case, Subject, case};
use crate::StoreOptions;

pub(super) const CASES: &[Case] = &[
    case!(ignores_when_key_not_in_autocomplete_tags),
    case!(get_tags_and_values),
];

pub(super) fn options() -> StoreOptions {
    StoreOptions {
        autocomplete_keys: vec!["http.host".to_owned()],
        ..StoreOptions::default()
    }
}

async fn ignores_when_key_not_in_autocomplete_tags(subject: Subject) {
    subject
        .accept(&[span(trace_id(1), 1)
            .tag("http.host", "a.example")
            .tag("http.method", "GET")])
        .await;
    let none: [&str; 0] = [];
    assert_eq!(subject.autocomplete_values("http.method").await, none);
    assert_eq!(subject.autocomplete_values("http").await, none);
    assert_eq!(subject.autocomplete_values("http.host").await, ["a.example"]);
}

async fn get_tags_and_values(subject: Subject) {
    let host = |low: u64, value: &str| span(trace_id(low), low).tag("http.host", value);
    subject
        .accept(&[host(1, "b.example"), host(2, "a.example"), host(3, "b.example")])
        .await;
    subject
        .accept(&[host(4, "C.example").local("backend"), host(5, "a.example")])
        .await;
    assert_eq!(
        subject.autocomplete_values("http.host").await,
        ["C.example", "a.example", "b.example"]
    );
}

//! Zipkin's `ITSearchEnabledFalse`: with `SEARCH_ENABLED=false` nothing is found, but what is known by name stays.

use super::fixtures::{DAY, links_of_traces, query, query_of, sorted, today, trace_id, whole_trace};
use super::{Case, Subject, case};
use crate::StoreOptions;

pub(super) const CASES: &[Case] = &[
    case!(get_traces_index_data_returns_nothing),
    case!(get_service_names_is_empty),
    case!(get_remote_service_names_is_empty),
    case!(get_span_names_is_empty),
];

const NONE: [&str; 0] = [];

pub(super) fn options() -> StoreOptions {
    StoreOptions {
        search_enabled: false,
        autocomplete_keys: vec!["http.method".to_owned()],
        ..StoreOptions::default()
    }
}

/// Stores a trace, which is then known by its identifier.
async fn store_a_trace(subject: &Subject) {
    let trace = sorted(whole_trace(trace_id(1)));
    subject.accept(&trace).await;
    assert_eq!(subject.trace(trace_id(1)).await, trace);
    assert_eq!(subject.traces(&[trace_id(1)]).await, [trace]);
}

async fn get_traces_index_data_returns_nothing(subject: Subject) {
    store_a_trace(&subject).await;
    assert_eq!(subject.found(query()).await, []);
    assert_eq!(subject.found(query_of("frontend")).await, []);
    assert_eq!(subject.autocomplete_values("http.method").await, NONE);
    assert_eq!(subject.links(today() + DAY, DAY).await, links_of_traces(1));
}

async fn get_service_names_is_empty(subject: Subject) {
    store_a_trace(&subject).await;
    assert_eq!(subject.service_names().await, NONE);
}

async fn get_remote_service_names_is_empty(subject: Subject) {
    store_a_trace(&subject).await;
    assert_eq!(subject.remote_service_names("frontend").await, NONE);
}

async fn get_span_names_is_empty(subject: Subject) {
    store_a_trace(&subject).await;
    assert_eq!(subject.span_names("frontend").await, NONE);
}

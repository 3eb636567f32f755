//! Zipkin's `ITServiceAndSpanNames`: the names to choose from.

use super::fixtures::{Build, at, bare_span, client_span, server_span, span, trace_id};
use super::{Case, Subject, case};

pub(super) const CASES: &[Case] = &[
    case!(get_local_service_names_includes_local_service_name),
    case!(get_local_service_names_no_service_name),
    case!(get_remote_service_names),
    case!(get_remote_service_names_all_returned),
    case!(get_remote_service_names_dedupes),
    case!(get_remote_service_names_no_remote_service_name),
    case!(get_remote_service_names_service_name_goes_lowercase),
    case!(get_span_names),
    case!(get_span_names_does_not_map_name_to_remote_service_name),
    case!(get_span_names_all_returned),
    case!(get_span_names_dedupes),
    case!(get_span_names_no_span_name),
    case!(get_span_names_service_name_goes_lowercase),
];

/// More names than any page or bucket of a store's own is likely to hold.
const MANY: u64 = 50;

const NONE: [&str; 0] = [];

async fn get_local_service_names_includes_local_service_name(subject: Subject) {
    subject
        .accept(&[server_span(trace_id(1)), client_span(trace_id(1)).remote("db")])
        .await;
    assert_eq!(subject.service_names().await, ["backend", "frontend"]);
}

async fn get_local_service_names_no_service_name(subject: Subject) {
    subject
        .accept(&[bare_span(trace_id(1), 1).named("get").at(at(1)).remote("db")])
        .await;
    assert_eq!(subject.service_names().await, NONE);
    assert_eq!(subject.span_names("").await, NONE);
}

async fn get_remote_service_names(subject: Subject) {
    subject
        .accept(&[client_span(trace_id(1)), server_span(trace_id(1))])
        .await;
    assert_eq!(subject.remote_service_names("frontend").await, ["backend"]);
    assert_eq!(subject.remote_service_names("backend").await, ["frontend"]);
    assert_eq!(subject.remote_service_names("db").await, NONE);
}

async fn get_remote_service_names_all_returned(subject: Subject) {
    let remotes: Vec<_> = (0..MANY).map(|number| format!("remote-{number:02}")).collect();
    let spans: Vec<_> = (1..)
        .zip(&remotes)
        .map(|(id, remote)| span(trace_id(id), id).remote(remote))
        .collect();
    subject.accept(&spans).await;
    assert_eq!(subject.remote_service_names("frontend").await, remotes);
}

async fn get_remote_service_names_dedupes(subject: Subject) {
    let spans: Vec<_> = (1..=MANY)
        .map(|id| span(trace_id(id), id).remote("backend"))
        .collect();
    subject.accept(&spans).await;
    assert_eq!(subject.remote_service_names("frontend").await, ["backend"]);
}

async fn get_remote_service_names_no_remote_service_name(subject: Subject) {
    subject.accept(&[span(trace_id(1), 1)]).await;
    assert_eq!(subject.service_names().await, ["frontend"]);
    assert_eq!(subject.remote_service_names("frontend").await, NONE);
}

async fn get_remote_service_names_service_name_goes_lowercase(subject: Subject) {
    subject
        .accept(&[span(trace_id(1), 1).local("FrontEnd").remote("BackEnd")])
        .await;
    assert_eq!(subject.remote_service_names("frontend").await, ["backend"]);
}

async fn get_span_names(subject: Subject) {
    subject
        .accept(&[
            span(trace_id(1), 1).named("get"),
            span(trace_id(1), 2).named("put"),
        ])
        .await;
    subject
        .accept(&[span(trace_id(2), 3).named("query").local("db")])
        .await;
    assert_eq!(subject.span_names("frontend").await, ["get", "put"]);
    assert_eq!(subject.span_names("db").await, ["query"]);
    assert_eq!(subject.span_names("backend").await, NONE);
}

async fn get_span_names_does_not_map_name_to_remote_service_name(subject: Subject) {
    subject.accept(&[client_span(trace_id(1))]).await;
    assert_eq!(subject.span_names("frontend").await, ["get /items"]);
    assert_eq!(subject.span_names("backend").await, NONE);
}

async fn get_span_names_all_returned(subject: Subject) {
    let names: Vec<_> = (0..MANY).map(|number| format!("get /{number:02}")).collect();
    let spans: Vec<_> = (1..)
        .zip(&names)
        .map(|(id, name)| span(trace_id(id), id).named(name))
        .collect();
    subject.accept(&spans).await;
    assert_eq!(subject.span_names("frontend").await, names);
}

async fn get_span_names_dedupes(subject: Subject) {
    let spans: Vec<_> = (1..=MANY).map(|id| span(trace_id(id), id).named("get")).collect();
    subject.accept(&spans).await;
    assert_eq!(subject.span_names("frontend").await, ["get"]);
}

async fn get_span_names_no_span_name(subject: Subject) {
    subject
        .accept(&[bare_span(trace_id(1), 1).at(at(1)).local("frontend")])
        .await;
    assert_eq!(subject.service_names().await, ["frontend"]);
    assert_eq!(subject.span_names("frontend").await, NONE);
}

async fn get_span_names_service_name_goes_lowercase(subject: Subject) {
    subject
        .accept(&[span(trace_id(1), 1).local("FrontEnd").named("GET")])
        .await;
    assert_eq!(subject.span_names("frontend").await, ["get"]);
}

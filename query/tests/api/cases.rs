//! Runs every case of `testdata`, at both prefixes, with GET and with HEAD.

use std::sync::Arc;

use http::Method;
use model::SpanBatch;
use proto::Format;
use query::QueryConfig;
use query::http::router;
use storage::{SpanSink, StoreOptions};
use storage_memory::{MemoryConfig, MemoryStore};

use crate::case::{Case, CaseFile, read_all};
use crate::client::{Reply, call, get};

/// The clock of every case, milliseconds since the epoch.
const NOW: u64 = 1_700_000_000_000;

fn configure(file: &CaseFile) -> QueryConfig {
    let mut config = QueryConfig::new(Arc::new(|| NOW));
    for (name, value) in &file.config {
        match name.as_str() {
            "autocomplete-keys" => config.autocomplete_keys = value.split(',').map(str::to_owned).collect(),
            "search-enabled" => config.search_enabled = value.parse().unwrap(),
            "lookback" => config.lookback_ms = value.parse().unwrap(),
            _ => panic!("{}: no such setting: {name}", file.path.display()),
        }
    }
    config
}

/// Each span is a batch of its own, in the file's order.
async fn store(file: &CaseFile, config: &QueryConfig) -> Arc<MemoryStore> {
    let options = StoreOptions {
        strict_trace_id: true,
        search_enabled: config.search_enabled,
        autocomplete_keys: config.autocomplete_keys.clone(),
        ..StoreOptions::default()
    };
    let store = MemoryStore::new(MemoryConfig {
        options,
        spans_max: 10_000,
    });
    let mut batch = SpanBatch::new();
    proto::decode(Format::JsonV2, file.spans.trim().as_bytes(), &mut batch)
        .unwrap_or_else(|error| panic!("{}: {error}", file.path.display()));
    store.accept(&batch).await.unwrap();
    Arc::new(store)
}

/// What is wrong with an answer; empty if nothing.
fn complaints(case: &Case, reply: &Reply) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut compare = |what: &str, expected: &str, actual: &str| {
        if expected != actual {
            complaints.push(format!("{what}\n    expected {expected}\n    but was  {actual}"));
        }
    };
    compare("status", &case.status.to_string(), reply.status.as_str());
    let content_type = if case.status == 200 {
        "application/json"
    } else {
        "text/plain; charset=utf-8"
    };
    compare("content-type", content_type, reply.header("content-type"));
    for (name, value) in &case.headers {
        compare(name, value, reply.header(name));
    }
    compare("body", &case.body, reply.text());
    complaints
}

#[tokio::test]
async fn every_case_is_answered_as_written() {
    let mut wrong = String::new();
    let mut count = 0;
    for file in read_all() {
        let config = configure(&file);
        let store = store(&file, &config).await;
        for prefix in ["/api/v2", "/zipkin/api/v2"] {
            let router = router(config.clone(), Arc::clone(&store) as _);
            for case in &file.cases {
                count += 1;
                let reply = get(&router, &format!("{prefix}{}", case.target)).await;
                for complaint in complaints(case, &reply) {
                    wrong += &format!(
                        "\n{}: {}: {prefix}{}: {complaint}",
                        file.path.display(),
                        case.title,
                        case.target
                    );
                }
            }
        }
    }
    assert!(count >= 2 * 100, "only {count} cases were found");
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let mut count = 0;
    for file in read_all() {
        let config = configure(&file);
        let router = router(config.clone(), store(&file, &config).await);
        for case in &file.cases {
            let uri = format!("/api/v2{}", case.target);
            let (get, head) = (get(&router, &uri).await, call(&router, Method::HEAD, &uri).await);
            assert_eq!((head.status, &head.headers), (get.status, &get.headers), "{uri}");
            assert!(head.body.is_empty(), "{uri}");
            count += 1;
        }
    }
    assert!(count >= 100, "only {count} cases were found");
}

//! What the routes say of themselves against what they answer.

use std::sync::Arc;

use http::Method;
use model::SpanBatch;
use openapi::check::{assert_described, assert_valid};
use openapi::{Endpoint, Verb};
use proto::Format;
use query::QueryConfig;
use query::http::{endpoints, router};
use serde_json::{Value, json};
use storage::{SpanSink, StoreOptions};
use storage_memory::{MemoryConfig, MemoryStore};

use crate::client::{Reply, send};

/// A trace in which nothing is absent that may be there.
const SPANS: &str = r#"[
  {"traceId":"a","id":"1","kind":"CLIENT","name":"get","timestamp":1700000000000000,"duration":1000,
   "localEndpoint":{"serviceName":"web","ipv4":"10.0.0.1","ipv6":"2001:db8::1","port":80},
   "remoteEndpoint":{"serviceName":"shop"},"tags":{"error":"","version":"7"},"debug":true},
  {"traceId":"a","id":"1","kind":"SERVER","name":"get","timestamp":1699999940000000,"duration":500,"shared":true,
   "localEndpoint":{"serviceName":"shop","ipv4":"10.0.0.2"},
   "annotations":[{"timestamp":1700000000000001,"value":"found"}]},
  {"traceId":"a","id":"2","parentId":"9","localEndpoint":{"serviceName":"shop","ipv4":"10.0.0.2"}},
  {"traceId":"a","id":"3","parentId":"4"},
  {"traceId":"a","id":"4","parentId":"3"},
  {"traceId":"b","id":"1","name":"untimed"}
]"#;

const NOW: u64 = 1_700_000_060_000;

async fn store() -> Arc<MemoryStore> {
    let options = StoreOptions {
        autocomplete_keys: vec!["version".to_owned()],
        ..StoreOptions::default()
    };
    let store = MemoryStore::new(MemoryConfig {
        options,
        ..MemoryConfig::default()
    });
    let mut batch = SpanBatch::new();
    proto::decode(Format::JsonV2, SPANS.as_bytes(), &mut batch).unwrap();
    store.accept(&batch).await.unwrap();
    Arc::new(store)
}

/// How a route is asked so that it finds something.
fn example_of(endpoint: &Endpoint) -> String {
    let path = endpoint.path.replace("{traceId}", "a").replace("{spanId}", "1");
    let parameters = match endpoint.path {
        "/spans" | "/remoteServices" => "?serviceName=web",
        "/autocompleteValues" => "?key=version",
        "/traces" | "/traceSummaries" => {
            "?serviceName=web&annotationQuery=error&minDuration=1&limit=5&sort=newest&q=get"
        }
        "/traces/untimed" => "?limit=5",
        "/traceMany" => "?traceIds=a,b",
        "/dependencies" => "?endTs=1700000060000&lookback=86400000&latency=true",
        "/traceView" => "?traceId=a",
        _ => "",
    };
    format!("/api/v2{path}{parameters}")
}

fn body_of(endpoint: &Endpoint) -> &'static str {
    match endpoint.body {
        Some(_) => SPANS,
        None => "",
    }
}

/// JSON as it is, other answers as a text.
fn said(reply: &Reply) -> Value {
    match reply.header("content-type") {
        "application/json" => serde_json::from_slice(&reply.body).unwrap(),
        _ => Value::from(reply.text()),
    }
}

async fn ask(endpoint: &Endpoint, uri: &str, body: &'static str) -> Reply {
    let config = QueryConfig {
        autocomplete_keys: vec!["version".to_owned()],
        ..QueryConfig::new(Arc::new(|| NOW))
    };
    let method = match endpoint.verb {
        Verb::Post => Method::POST,
        _ => Method::GET,
    };
    send(&router(config, store().await), method, uri, &[], body).await
}

fn operation<'a>(document: &'a Value, endpoint: &Endpoint) -> &'a Value {
    let method = if endpoint.verb == Verb::Post {
        "post"
    } else {
        "get"
    };
    &document["paths"][format!("/api/v2{}", endpoint.path)][method]
}

#[tokio::test]
async fn every_route_answers_as_it_says() {
    let endpoints = endpoints();
    let document = openapi::document(&endpoints);
    for endpoint in &endpoints {
        let uri = example_of(endpoint);
        let reply = ask(endpoint, &uri, body_of(endpoint)).await;
        assert_eq!(reply.status, 200, "{uri}: {}", reply.text());
        let said = said(&reply);
        assert_described(&document, operation(&document, endpoint), 200, &said, &uri);
        let is_empty = said.as_array().is_some_and(Vec::is_empty);
        assert!(!is_empty, "{uri} finds nothing");
    }
    assert!(endpoints.len() >= 14, "{}", endpoints.len());
}

#[tokio::test]
async fn the_notes_of_a_view_are_described_each() {
    let endpoints = endpoints();
    let document = openapi::document(&endpoints);
    let view = endpoints
        .iter()
        .find(|endpoint| endpoint.path == "/traceView/{traceId}")
        .unwrap();
    let said = said(&ask(view, "/api/v2/traceView/a", "").await);
    let notes = said["notes"].as_array().unwrap();
    let kinds: Vec<_> = notes.iter().map(|note| note["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["merged", "clock_skew", "missing_parent", "cycle"]);
    let schema = json!({"$ref": "#/components/schemas/Note"});
    for note in notes
        .iter()
        .chain([&json!({"kind": "truncated", "total": 2_000_000})])
    {
        assert_valid(&document, &schema, note, "a note");
    }
}

#[tokio::test]
async fn refusals_are_described_too() {
    let endpoints = endpoints();
    let document = openapi::document(&endpoints);
    let mut refused = 0;
    for endpoint in &endpoints {
        let operation = operation(&document, endpoint);
        // An identifier of nothing, and what is no identifier.
        let mut wrong: Vec<(String, u16)> = [("{traceId}", "{spanId}", "1"), ("{spanId}", "{traceId}", "a")]
            .into_iter()
            .filter(|(place, ..)| endpoint.path.contains(place))
            .flat_map(|(place, other, known)| {
                let path = endpoint.path.replace(other, known);
                [("77", 404), ("x", 400)].map(|(id, status)| (path.replace(place, id), status))
            })
            .collect();
        for parameter in endpoint.parameters {
            if parameter.is_required {
                wrong.push((endpoint.path.to_owned(), 400));
            }
        }
        if endpoint.body.is_some() {
            wrong.push((format!("{}?traceId=77", endpoint.path), 404));
            wrong.push((format!("{}?traceId=x", endpoint.path), 400));
        }
        for (path, status) in wrong {
            let reply = ask(endpoint, &format!("/api/v2{path}"), body_of(endpoint)).await;
            assert_eq!(reply.status, status, "{path}: {}", reply.text());
            assert_described(&document, operation, status, &said(&reply), &path);
            refused += 1;
        }
    }
    assert!(refused >= 15, "{refused} refusals");
}

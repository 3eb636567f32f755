//! Lists of traces page by page, and how long calls took: what the API has beyond Zipkin's of the same routes.

use std::fmt::Write;
use std::sync::Arc;

use axum::Router;
use model::SpanBatch;
use proto::Format;
use query::QueryConfig;
use query::http::router;
use serde_json::{Value, json};
use storage::SpanSink;
use storage_memory::{MemoryConfig, MemoryStore};

use crate::client::get;

const NOW: u64 = 1_700_000_060_000;

/// Traces 1 to `count`, a second each before now, in which web calls shop for as many microseconds as its number.
async fn routes(count: u64, is_searched: bool) -> Router {
    let mut spans = String::from("[");
    for number in 1..=count {
        let timestamp = (NOW - number * 1000) * 1000;
        write!(
            spans,
            r#"{{"traceId":"{number:x}","id":"1","kind":"CLIENT","timestamp":{timestamp},"duration":9000,
                 "localEndpoint":{{"serviceName":"web"}}}},
               {{"traceId":"{number:x}","id":"2","parentId":"1","kind":"SERVER","timestamp":{timestamp},
                 "duration":{number},"localEndpoint":{{"serviceName":"shop"}}}},"#
        )
        .unwrap();
    }
    spans.pop();
    spans.push(']');
    let store = MemoryStore::new(MemoryConfig::default());
    let mut batch = SpanBatch::new();
    proto::decode(Format::JsonV2, spans.as_bytes(), &mut batch).unwrap();
    store.accept(&batch).await.unwrap();
    let config = QueryConfig {
        search_enabled: is_searched,
        ..QueryConfig::new(Arc::new(|| NOW))
    };
    router(config, Arc::new(store))
}

/// The address of the next page, as a client resolves it.
fn next_of(path: &str, link: &str) -> Option<String> {
    let target = link.strip_prefix("<?")?.strip_suffix(">; rel=\"next\"")?;
    Some(format!("{path}?{target}"))
}

#[tokio::test]
async fn pages_lead_from_one_to_the_next_until_there_are_no_more() {
    let router = routes(7, true).await;
    for path in ["/api/v2/traceSummaries", "/zipkin/api/v2/traceSummaries"] {
        let mut uri = format!("{path}?serviceName=web&annotationQuery=&limit=3");
        let mut pages = Vec::new();
        loop {
            let reply = get(&router, &uri).await;
            assert_eq!(reply.status, 200, "{uri}: {}", reply.text());
            let summaries: Vec<Value> = serde_json::from_slice(&reply.body).unwrap();
            let ids = summaries.iter().map(|one| one["traceId"].as_str().unwrap());
            pages.push(
                ids.map(|id| id.trim_start_matches('0').to_owned())
                    .collect::<Vec<_>>(),
            );
            match next_of(path, reply.header("link")) {
                Some(next) => uri = next,
                None => break,
            }
        }
        assert_eq!(pages, [vec!["1", "2", "3"], vec!["4", "5", "6"], vec!["7"]]);
    }
}

#[tokio::test]
async fn a_page_that_has_all_leads_nowhere_and_a_wrong_one_is_refused() {
    let router = routes(3, true).await;
    let reply = get(&router, "/api/v2/traces?limit=3&sort=slowest").await;
    assert_eq!(
        serde_json::from_slice::<Vec<Value>>(&reply.body).unwrap().len(),
        3
    );
    assert_eq!(reply.header("link"), "-");
    let reply = get(&router, "/api/v2/traces?limit=2&sort=slowest").await;
    let next = next_of("/api/v2/traces", reply.header("link")).unwrap();
    assert!(
        next.starts_with("/api/v2/traces?limit=2&sort=slowest&after="),
        "{next}"
    );
    let refused = get(&router, "/api/v2/traces?after=yesterday").await;
    assert_eq!(refused.status, 400);
    assert_eq!(
        refused.text(),
        "after: \"yesterday\" is not what a page of traces gave for the next one"
    );
}

#[tokio::test]
async fn links_have_how_long_their_calls_took_where_that_is_asked_for() {
    let router = routes(100, true).await;
    let uri = format!("/api/v2/dependencies?endTs={NOW}");
    let links: Value = serde_json::from_slice(&get(&router, &uri).await.body).unwrap();
    assert_eq!(
        links,
        json!([{"parent": "web", "child": "shop", "callCount": 100}])
    );
    let reply = get(&router, &format!("{uri}&latency=true")).await;
    assert_eq!(reply.header("tracehound-completeness"), "complete");
    let links: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(links[0]["timedCount"], 100);
    for (quantile, expected) in [("p50", 50.0), ("p95", 95.0), ("p99", 99.0)] {
        let found = links[0][quantile].as_f64().unwrap();
        assert!(
            (found - expected).abs() <= 0.02 * expected + 1.0,
            "{quantile}: {found}"
        );
    }
    assert_eq!(get(&router, &format!("{uri}&latency=yes")).await.status, 400);
}

#[tokio::test]
async fn latency_of_more_traces_than_are_read_says_of_which_it_is() {
    let router = routes(1_005, true).await;
    let reply = get(&router, &format!("/api/v2/dependencies?endTs={NOW}&latency=true")).await;
    assert_eq!(
        reply.header("tracehound-completeness"),
        "partial; reason=\"p50, p95 and p99 are of the newest traces: at most 1000, of 200000 spans\""
    );
    let links: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(
        (&links[0]["callCount"], &links[0]["timedCount"]),
        (&json!(1005), &json!(1000))
    );
    // The newest: number 1 is the last of them.
    assert!(links[0]["p99"].as_u64().unwrap() < 1_000);
}

#[tokio::test]
async fn without_search_there_is_no_latency_and_that_is_told() {
    let router = routes(3, false).await;
    let reply = get(&router, &format!("/api/v2/dependencies?endTs={NOW}&latency=true")).await;
    assert_eq!(
        reply.header("tracehound-completeness"),
        "partial; reason=\"search is disabled (SEARCH_ENABLED)\""
    );
    let links: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(links, json!([{"parent": "web", "child": "shop", "callCount": 3}]));
}

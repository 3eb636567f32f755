//! Answers too large to be written at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Method;
use query::QueryConfig;
use query::http::router;

use crate::client::{call, get};
use crate::fake::{Fake, span};

/// Some 5 MB of JSON.
const SPANS: u64 = 50_000;

fn config() -> QueryConfig {
    QueryConfig::new(Arc::new(|| 1_700_000_000_000))
}

fn large_trace() -> Fake {
    let trace = (1..=SPANS)
        .map(|id| span(1, id, "an operation with a name of usual length"))
        .collect();
    Fake {
        traces: vec![trace, vec![span(2, 1, "b")]],
        ..Fake::default()
    }
}

fn ids(spans: &serde_json::Value) -> HashSet<&str> {
    spans
        .as_array()
        .unwrap()
        .iter()
        .map(|span| span["id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_large_trace_comes_in_pieces_and_whole() {
    let router = router(config(), Arc::new(large_trace()));
    let reply = get(&router, "/api/v2/trace/1").await;
    assert_eq!(reply.header("content-length"), "-");
    assert!(reply.pieces > 20, "{} pieces", reply.pieces);
    let spans: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(ids(&spans).len() as u64, SPANS);

    let head = call(&router, Method::HEAD, "/api/v2/trace/1").await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
}

#[tokio::test]
async fn pieces_may_end_between_traces() {
    let router = router(config(), Arc::new(large_trace()));
    let reply = get(&router, "/api/v2/traces").await;
    let traces: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(traces.as_array().unwrap().len(), 2);
    assert_eq!(ids(&traces[0]).len() as u64, SPANS);
    assert_eq!(traces[1][0]["traceId"], "0000000000000002");
}

#[tokio::test]
async fn a_small_trace_comes_at_once_with_its_length() {
    let fake = Fake {
        traces: vec![vec![span(1, 1, "a")]],
        ..Fake::default()
    };
    let router = router(config(), Arc::new(fake));
    let reply = get(&router, "/api/v2/trace/1").await;
    assert_eq!(
        reply.text(),
        r#"[{"traceId":"0000000000000001","id":"0000000000000001","name":"a"}]"#
    );
    assert_eq!(
        (reply.pieces, reply.header("content-length")),
        (1, reply.body.len().to_string().as_str())
    );
}

/// Does the work beside a task that counts how often it has its turn. The runtime of a test has one thread.
async fn counting_turns<T>(work: impl Future<Output = T>) -> (T, u64) {
    let done = Arc::new(AtomicBool::new(false));
    let counter = tokio::spawn({
        let done = Arc::clone(&done);
        async move {
            let mut turns = 0;
            while !done.load(Ordering::Relaxed) {
                turns += 1;
                tokio::task::yield_now().await;
            }
            turns
        }
    });
    let output = work.await;
    done.store(true, Ordering::Relaxed);
    (output, counter.await.unwrap())
}

#[tokio::test]
async fn other_work_has_its_turn_while_a_large_trace_is_summarised() {
    let router = router(config(), Arc::new(large_trace()));
    let (reply, turns) = counting_turns(get(&router, "/api/v2/traceSummaries")).await;
    let summaries: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(summaries[0]["spanCount"], SPANS);
    assert!(turns > SPANS / 2048, "{turns} turns");
}

#[tokio::test]
async fn other_work_has_its_turn_while_a_large_trace_is_sent() {
    let router = router(config(), Arc::new(large_trace()));
    let (reply, turns) = counting_turns(get(&router, "/api/v2/trace/1")).await;
    assert_eq!(reply.status, 200);
    assert!(
        turns > reply.pieces as u64 / 16,
        "{turns} turns for {} pieces",
        reply.pieces
    );
}

//! Answers too large to be written at once.

use std::collections::HashSet;
use std::sync::Arc;

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

#[tokio::test]
async fn other_work_has_its_turn_while_a_large_trace_is_summarised() {
    let router = router(config(), Arc::new(large_trace()));
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let turns = {
        let done = Arc::clone(&done);
        tokio::spawn(async move {
            let mut turns = 0u64;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                turns += 1;
                tokio::task::yield_now().await;
            }
            turns
        })
    };
    let reply = get(&router, "/api/v2/traceSummaries").await;
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    let summaries: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(summaries[0]["spanCount"], SPANS);
    // The test's runtime has one thread: without turns the other task could run at most twice.
    assert!(
        turns.await.unwrap() > SPANS / 2048,
        "the summary kept the only worker to itself"
    );
}

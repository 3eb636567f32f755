//! What a client reads when the store fails, is late, or answers in part.

use std::sync::Arc;
use std::time::Duration;

use query::QueryConfig;
use query::http::router;
use storage::{Capabilities, Completeness, StorageError};

use crate::client::get;
use crate::fake::{Fake, span};

/// One address of every endpoint that asks the store.
const ASKING: [&str; 11] = [
    "/api/v2/services",
    "/api/v2/spans?serviceName=a",
    "/api/v2/remoteServices?serviceName=a",
    "/api/v2/traces",
    "/api/v2/trace/1",
    "/api/v2/traceMany?traceIds=1,2",
    "/api/v2/traceSummaries",
    "/api/v2/traceView/1",
    "/api/v2/traceView/1/1",
    "/zipkin/api/v2/dependencies?endTs=1",
    "/zipkin/api/v2/autocompleteValues?key=a",
];

fn config() -> QueryConfig {
    QueryConfig::new(Arc::new(|| 1_700_000_000_000))
}

#[tokio::test]
async fn a_failure_of_the_store_has_its_status_and_message() {
    let cases = [
        (
            StorageError::Overloaded("queue".into()),
            503,
            "overloaded: queue",
            "1",
        ),
        (
            StorageError::Unavailable("host".into()),
            500,
            "unavailable: host",
            "-",
        ),
        (StorageError::Timeout("disk".into()), 500, "timed out: disk", "-"),
        (StorageError::Corrupt("file".into()), 500, "corrupt: file", "-"),
        (
            StorageError::Unsupported("that".into()),
            400,
            "not supported: that",
            "-",
        ),
        (StorageError::Invalid("this".into()), 400, "this", "-"),
    ];
    for (failure, status, message, retry_after) in cases {
        let router = router(config(), Arc::new(Fake::failing(failure)));
        for uri in ASKING {
            let reply = get(&router, uri).await;
            assert_eq!((reply.status.as_u16(), reply.text()), (status, message), "{uri}");
            assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8", "{uri}");
            assert_eq!(reply.header("retry-after"), retry_after, "{uri}");
        }
    }
}

#[tokio::test]
async fn a_store_that_is_late_is_given_up() {
    let late = Fake {
        delay: Duration::from_secs(60),
        ..Fake::default()
    };
    let config = QueryConfig {
        timeout: Duration::from_millis(5),
        ..config()
    };
    let router = router(config, Arc::new(late));
    for uri in ASKING {
        let reply = get(&router, uri).await;
        assert_eq!(
            (reply.status.as_u16(), reply.text()),
            (500, "no answer within 5ms (QUERY_TIMEOUT)"),
            "{uri}"
        );
    }
    let reply = get(&router, "/api/v2/autocompleteKeys").await;
    assert_eq!(
        (reply.status.as_u16(), reply.text()),
        (200, "[]"),
        "keys are configuration"
    );
}

#[tokio::test]
async fn a_store_that_cannot_sort_is_not_asked_to() {
    let without = router(config(), Arc::new(Fake::default()));
    for uri in [
        "/api/v2/traces?sort=slowest",
        "/api/v2/traceSummaries?sort=errors",
    ] {
        let reply = get(&without, uri).await;
        let message = "not supported: this storage sorts by newest only";
        assert_eq!((reply.status.as_u16(), reply.text()), (400, message), "{uri}");
    }
    assert_eq!(get(&without, "/api/v2/traces?sort=newest").await.status, 200);

    let capabilities = Capabilities {
        orders: true,
        ..Capabilities::default()
    };
    let with = router(
        config(),
        Arc::new(Fake {
            capabilities,
            ..Fake::default()
        }),
    );
    assert_eq!(get(&with, "/api/v2/traces?sort=slowest").await.status, 200);
}

#[tokio::test]
async fn a_partial_answer_says_so_in_a_header_that_is_always_legal() {
    let long = "x".repeat(1000);
    let cases = [
        (
            "segment 7 is damaged",
            "partial; reason=\"segment 7 is damaged\"".to_owned(),
        ),
        (
            "a \"b\" \\ c\r\nd é",
            "partial; reason=\"a 'b' / c??d ?\"".to_owned(),
        ),
        (&long, format!("partial; reason=\"{}\"", "x".repeat(256))),
    ];
    for (reason, expected) in cases {
        let router = router(
            config(),
            Arc::new(Fake {
                store_completeness: Completeness::Partial(reason.to_owned()),
                ..Fake::default()
            }),
        );
        for uri in [
            "/api/v2/traces",
            "/api/v2/traceSummaries",
            "/api/v2/trace/a",
            "/api/v2/traceMany?traceIds=a,b",
            "/api/v2/services",
            "/api/v2/spans?serviceName=a",
            "/api/v2/remoteServices?serviceName=a",
            "/api/v2/dependencies?endTs=1",
        ] {
            assert_eq!(
                get(&router, uri).await.header("tracehound-completeness"),
                expected,
                "{uri}"
            );
        }
    }
}

#[tokio::test]
async fn what_an_answer_says_of_itself_is_told() {
    let router = router(
        config(),
        Arc::new(Fake {
            completeness: Completeness::Partial("a trace is too large".to_owned()),
            ..Fake::default()
        }),
    );
    for uri in [
        "/api/v2/traces",
        "/api/v2/traceSummaries",
        "/api/v2/dependencies?endTs=1",
    ] {
        let reply = get(&router, uri).await;
        let expected = "partial; reason=\"a trace is too large\"";
        assert_eq!(reply.header("tracehound-completeness"), expected, "{uri}");
    }
    let reply = get(&router, "/api/v2/services").await;
    assert_eq!(reply.header("tracehound-completeness"), "complete");
}

#[tokio::test]
async fn a_trace_without_a_time_or_a_root_has_a_summary_without_them() {
    let mut child = span(1, 2, "a");
    child.parent_id = Some(model::SpanId::new(1));
    let router = router(
        config(),
        Arc::new(Fake {
            traces: vec![vec![child], vec![]],
            ..Fake::default()
        }),
    );
    let reply = get(&router, "/api/v2/traceSummaries").await;
    let expected = r#"[{"traceId":"0000000000000001","spanCount":1,"errorCount":0,"services":[]}]"#;
    assert_eq!(reply.text(), expected);
}

#[tokio::test]
async fn nobody_is_asked_about_a_service_without_a_name() {
    let router = router(
        config(),
        Arc::new(Fake::failing(StorageError::Unavailable("host".into()))),
    );
    for uri in [
        "/api/v2/spans?serviceName=",
        "/api/v2/remoteServices?serviceName=",
    ] {
        let reply = get(&router, uri).await;
        assert_eq!((reply.status.as_u16(), reply.text()), (200, "[]"), "{uri}");
    }
}

#[tokio::test]
async fn a_lookup_by_identifier_that_finds_nothing_is_told_apart_from_a_failure() {
    let router = router(config(), Arc::new(Fake::default()));
    let reply = get(&router, "/api/v2/trace/1").await;
    assert_eq!(
        (reply.status.as_u16(), reply.text()),
        (404, "0000000000000001 not found")
    );
    assert_eq!(reply.header("tracehound-completeness"), "complete");
}

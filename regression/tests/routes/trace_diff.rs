//! Two traces side by side.

use serde_json::json;

use crate::service::{NOW, Service, Told};

async fn service() -> Service {
    let service = Service::new();
    let cart = |trace, id, parent, duration| Told {
        id,
        parent,
        ..Told::request(trace, NOW - 1_000, duration)
    };
    let query = |trace, id| Told {
        service: "db",
        name: "select",
        kind: None,
        ..cart(trace, id, 1, 2_000)
    };
    let spans = [
        cart(0xa, 1, 0, 10_000),
        query(0xa, 2),
        cart(0xb, 1, 0, 14_000),
        query(0xb, 2),
        query(0xb, 3),
    ];
    service.keep(spans).await;
    service
}

#[tokio::test]
async fn the_difference_is_told_by_span_and_in_total() {
    let service = service().await;
    let path = "/api/v2/traces/diff?baseline=a&candidate=000000000000000b";
    let diff = service.get_whole(path).await;
    assert_eq!(
        diff["baseline"],
        json!({"traceId": "000000000000000a", "duration": 10_000, "spanCount": 2, "cutMicros": 0})
    );
    assert_eq!(diff["change"], 4_000);
    assert_eq!(
        diff["totals"],
        json!({"both": 4_000, "baselineOnly": 0, "candidateOnly": 0}),
        "both queries ran at the same time"
    );
    let spans = diff["spans"].as_array().unwrap();
    assert_eq!(spans.len(), 3);
    assert_eq!(spans[0]["spanKind"], "SERVER");
    assert_eq!(spans[0]["in"], "both");
    assert_eq!(
        (&spans[0]["durationChange"], &spans[0]["selfTimeChange"]),
        (&json!(4_000), &json!(4_000))
    );
    assert_eq!(
        spans[2],
        json!({
            "parent": 0, "depth": 1, "serviceName": "db", "spanName": "select", "in": "candidate",
            "candidate": {"id": "0000000000000003", "duration": 2_000, "selfTime": 2_000, "pathTime": 0, "error": false},
            "pathTimeChange": 0,
        })
    );
}

#[tokio::test]
async fn what_is_wrong_is_told_by_name() {
    let service = service().await;
    for (query, told) in [
        (
            "baseline=a&candidate=c",
            (404, "candidate: there is no trace 000000000000000c"),
        ),
        (
            "baseline=d&candidate=b",
            (404, "baseline: there is no trace 000000000000000d"),
        ),
        ("baseline=a", (400, "candidate: is required")),
        (
            "baseline=A&candidate=b",
            (400, "baseline: A should be lower-hex encoded with no prefix"),
        ),
        ("baseline=a&candidate=0", (400, "candidate: traceId is all zeros")),
    ] {
        let answer = service.get(&format!("/api/v2/traces/diff?{query}")).await;
        assert_eq!(answer.error(), told, "{query}");
    }
}

//! Views of traces over HTTP: of stored ones, and of those that are sent.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Method;
use proto::Format;
use query::http::router;
use query::{QueryConfig, UploadLimits};
use serde_json::{Value, json};
use storage::Completeness;

use crate::client::{Reply, get, send};
use crate::fake::{Fake, span};

fn config() -> QueryConfig {
    QueryConfig::new(Arc::new(|| 1_700_000_000_000))
}

fn stored() -> Fake {
    Fake {
        traces: vec![vec![span(1, 1, "a"), span(1, 2, "b"), span(1, 2, "b")]],
        ..Fake::default()
    }
}

fn json_of(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), "application/json");
    serde_json::from_slice(&reply.body).unwrap()
}

/// Sends a body to be looked at; the store would say that it has nothing.
async fn look(target: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
    let uri = format!("/api/v2/traceView{target}");
    send(
        &router(config(), Arc::new(Fake::default())),
        Method::POST,
        &uri,
        headers,
        body,
    )
    .await
}

const TWO_TRACES: &str = r#"[
  {"traceId":"463ac35c9f6413ad48485a3953bb6124","id":"1","name":"first","timestamp":1000,"duration":10,"tags":{}},
  {"traceId":"48485a3953bb6124","id":"2","parentId":"1","timestamp":1002,"duration":5,"tags":{}},
  {"traceId":"b","id":"1","name":"second","timestamp":5,"duration":1,"tags":{}}
]"#;

#[tokio::test]
async fn a_stored_trace_is_viewed_with_its_completeness() {
    let fake = Fake {
        store_completeness: Completeness::Partial("a segment is damaged".to_owned()),
        ..stored()
    };
    let router = router(config(), Arc::new(fake));
    for prefix in ["/api/v2", "/zipkin/api/v2"] {
        let reply = get(&router, &format!("{prefix}/traceView/1")).await;
        assert_eq!(
            reply.header("tracehound-completeness"),
            "partial; reason=\"a segment is damaged\""
        );
        let view = json_of(&reply);
        assert_eq!(
            (&view["traceId"], &view["spanCount"]),
            (&json!("0000000000000001"), &json!(3))
        );
        assert_eq!(
            view["rows"]["id"],
            json!(["0000000000000001", "0000000000000002"])
        );
        assert!(view.get("traceIds").is_none());
    }
}

#[tokio::test]
async fn a_trace_that_is_not_there_is_not_found_in_the_words_of_the_trace() {
    let router = router(config(), Arc::new(Fake::default()));
    for id in ["1", "x", "%20"] {
        let [trace, view] = [
            get(&router, &format!("/api/v2/trace/{id}")).await,
            get(&router, &format!("/api/v2/traceView/{id}")).await,
        ];
        assert_eq!((view.status, view.text()), (trace.status, trace.text()));
        assert_ne!(view.status, 200);
    }
}

#[tokio::test]
async fn the_spans_of_a_row_are_as_they_are_stored() {
    let router = router(config(), Arc::new(stored()));
    let spans = json_of(&get(&router, "/api/v2/traceView/1/2").await);
    let span = json!({"traceId": "0000000000000001", "id": "0000000000000002", "name": "b"});
    assert_eq!(spans, json!({"spans": [span, span], "skew": 0, "skews": [0, 0]}));
    for (path, status, text) in [
        ("1/77", 404, "0000000000000077 not found"),
        ("1/x", 400, "x should be lower-hex encoded with no prefix"),
    ] {
        let reply = get(&router, &format!("/api/v2/traceView/{path}")).await;
        assert_eq!((reply.status.as_u16(), reply.text()), (status, text));
    }
}

#[tokio::test]
async fn the_sides_of_a_row_are_moved_each_by_its_clock() {
    let mut client = span(1, 1, "get");
    client.kind = Some(model::Kind::Client);
    (client.timestamp, client.duration) = (Some(10_000), Some(1_000));
    let place = |last| {
        let mut endpoint = model::Endpoint::default();
        endpoint.ip.insert([10, 0, 0, last].into());
        Some(endpoint)
    };
    client.local_endpoint = place(1);
    let mut server = span(1, 1, "get");
    server.kind = Some(model::Kind::Server);
    server.shared = true;
    (server.timestamp, server.duration) = (Some(7_000), Some(600));
    server.local_endpoint = place(2);
    let fake = Fake {
        traces: vec![vec![server, client]],
        ..Fake::default()
    };
    let router = router(config(), Arc::new(fake));
    let spans = json_of(&get(&router, "/api/v2/traceView/1/1").await);
    assert_eq!(
        (&spans["skew"], &spans["skews"]),
        (&json!(3_200), &json!([3_200, 0]))
    );
}

#[tokio::test]
async fn the_first_trace_of_a_body_is_viewed_or_the_one_that_is_asked_for() {
    let ids = json!(["463ac35c9f6413ad48485a3953bb6124", "000000000000000b"]);
    for (target, name, spans) in [
        ("", "first", 2),
        ("?traceId=48485a3953bb6124", "first", 2),
        ("?traceId=b", "second", 1),
    ] {
        let view = json_of(&look(target, &[], TWO_TRACES).await);
        assert_eq!(
            (&view["traceIds"], &view["traceCount"]),
            (&ids, &json!(2)),
            "{target}"
        );
        assert_eq!(
            (&view["names"][0], &view["spanCount"]),
            (&json!(name), &json!(spans)),
            "{target}"
        );
    }
    let missing = look("?traceId=77", &[], TWO_TRACES).await;
    assert_eq!(
        (missing.status.as_u16(), missing.text()),
        (404, "0000000000000077 not found")
    );
}

#[tokio::test]
async fn a_body_is_read_in_every_format_that_files_have() {
    let mut batch = model::SpanBatch::new();
    proto::decode(Format::JsonV2, TWO_TRACES.as_bytes(), &mut batch).unwrap();
    let spans: Vec<_> = batch.iter().map(|span| span.to_span()).collect();
    let mut bodies: Vec<Vec<u8>> = [Format::JsonV2, Format::JsonV1, Format::Thrift, Format::Proto3]
        .map(|format| proto::encode(format, &spans))
        .to_vec();
    bodies.push([b"\xef\xbb\xbf\n  ", TWO_TRACES.as_bytes(), b"\n"].concat());
    let otlp = json!({"resourceSpans": [{"scopeSpans": [{"spans": [
        {"traceId": "463ac35c9f6413ad48485a3953bb6124", "spanId": "0000000000000001", "name": "first",
         "startTimeUnixNano": "1000000", "endTimeUnixNano": "1010000"},
        {"traceId": "463ac35c9f6413ad48485a3953bb6124", "spanId": "0000000000000002", "parentSpanId": "0000000000000001",
         "name": "b", "startTimeUnixNano": "1002000", "endTimeUnixNano": "1007000"},
    ]}]}]});
    bodies.push(otlp.to_string().into_bytes());
    // As searches answer them: a list of traces.
    bodies.push(format!("[ {TWO_TRACES} , [ ]]").into_bytes());
    let one_by_one = TWO_TRACES.replacen("5,\"tags\":{}},", "5,\"tags\":{}}],[", 1);
    bodies.push(format!("[{one_by_one}]").into_bytes());
    for body in bodies {
        let text = String::from_utf8_lossy(&body).into_owned();
        let view = json_of(&look("", &[], body).await);
        assert_eq!(view["traceId"], "463ac35c9f6413ad48485a3953bb6124", "{text}");
        assert_eq!(view["rows"]["parent"], json!([-1, 0]), "{text}");
        assert_eq!(
            (&view["start"], &view["duration"]),
            (&json!(1_000), &json!(10)),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_body_that_is_no_list_of_spans_is_refused() {
    for (body, told) in [
        ("", "The body is neither a list"),
        ("<html>", "The body is neither a list"),
        ("{\"data\":[]}", "no spans"),
        ("[]", "The body has no spans"),
        ("[{\"traceId\":\"1\",\"tags\":{}}]", "id"),
        ("[[],[]]", "The body has no spans"),
        ("[[],[{\"traceId\":\"1\",\"tags\":{}}]]", "trace 2: "),
        ("[[{\"traceId\":\"1\"", "a list of traces: "),
    ] {
        let reply = look("", &[], body).await;
        assert_eq!(reply.status, 400, "{body}");
        assert!(reply.text().contains(told), "{body}: {}", reply.text());
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_body_may_be_compressed_and_is_bounded_as_it_comes_and_as_it_is() {
    let encoding = [("content-encoding", "gzip")];
    let view = json_of(&look("", &encoding, gzip(TWO_TRACES.as_bytes())).await);
    assert_eq!(view["spanCount"], 2);
    assert_eq!(look("", &encoding, TWO_TRACES).await.status, 400);

    let upload = UploadLimits {
        body_bytes_max: 300,
        inflated_bytes_max: 1_000,
        body_timeout: Duration::from_secs(5),
    };
    let bounded = router(QueryConfig { upload, ..config() }, Arc::new(Fake::default()));
    let send = async |headers: &[(&str, &str)], body: Vec<u8>| {
        let reply = send(&bounded, Method::POST, "/api/v2/traceView", headers, body).await;
        (reply.status.as_u16(), reply.text().to_owned())
    };
    let long = "the body is longer than 300 bytes (COLLECTOR_BODY_BYTES_MAX)";
    assert_eq!(send(&[], vec![b'['; 301]).await, (413, long.to_owned()));
    assert_eq!(send(&[], vec![b'['; 10_000]).await.0, 413);
    let bomb = gzip(&[b' '; 1_001]);
    let inflated = "the body inflates to more than 1000 bytes (COLLECTOR_INFLATED_BYTES_MAX)";
    assert_eq!(send(&encoding, bomb).await, (413, inflated.to_owned()));
    assert_eq!(send(&encoding, gzip(&[b' '; 1_000])).await.0, 400);
}

//! OTLP as OpenTelemetry's exporters send it: by HTTP and gRPC, on the one port and on its own.

use std::net::SocketAddr;

use tonic::codec::CompressionEncoding;
use tonic::transport::Endpoint;

use crate::client::{Answer, Connection};
use crate::grpc_client::{call, connect};
use crate::process::Server;

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");

const TRACE: &str = "5b8efff798038103d269b633813fc60c";

/// Spans `1` to `count` of the trace, and one without a trace.
fn json(count: u64) -> String {
    let span = |id| {
        format!(r#"{{"traceId":"{TRACE}","spanId":"{id:016x}","startTimeUnixNano":"1700000000000000000"}}"#)
    };
    let spans: Vec<_> = (1..=count).map(span).collect();
    let spans = spans.join(",");
    let resource = r#"{"attributes":[{"key":"service.name","value":{"stringValue":"Shop"}},
        {"key":"service.version","value":{"stringValue":"2"}}]}"#;
    format!(
        r#"{{"resourceSpans":[{{"resource":{resource},"scopeSpans":[{{"spans":[{spans},{{"spanId":"00000000000000ff"}}]}}]}}]}}"#
    )
}

/// The same two spans in protobuf, by hand: short enough that every length is one byte.
fn protobuf() -> Vec<u8> {
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, content.len() as u8];
        out.extend_from_slice(content);
        out
    }
    let trace_id = u128::from_str_radix(TRACE, 16).unwrap().to_be_bytes();
    let span = [field(1, &trace_id), field(2, &7u64.to_be_bytes())].concat();
    let lost = field(2, &8u64.to_be_bytes());
    let scope_spans = field(2, &[field(2, &span), field(2, &lost)].concat());
    field(1, &scope_spans)
}

fn gzip(body: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn post(server: &Server, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    server.ask("POST", "/v1/traces", headers, body)
}

/// Where OTLP says that it listens on its own, for the setting that asked for it.
fn port_of(server: &mut Server, setting: &str) -> SocketAddr {
    let event = server.wait_for_log("OTLP: ready");
    assert_eq!(event["setting"], setting);
    SocketAddr::from(([127, 0, 0, 1], event["port"].as_u64().unwrap() as u16))
}

#[test]
fn json_is_answered_in_json_and_what_is_left_out_is_told() {
    let server = Server::start(&[]);
    let body = json(3);
    for (headers, body) in [
        (vec![JSON], body.clone().into_bytes()),
        (vec![JSON, ("content-encoding", "gzip")], gzip(body.as_bytes())),
    ] {
        let answer = post(&server, &headers, &body);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some("application/json"))
        );
        assert_eq!(
            answer.text(),
            concat!(
                r#"{"partialSuccess":{"rejectedSpans":"1","errorMessage":"traceId is missing or all zeros"#,
                r#" at resourceSpans[0].scopeSpans[0].spans[3]"}}"#
            )
        );
    }
    let trace = server.get(&format!("/api/v2/trace/{TRACE}")).json();
    assert_eq!(
        trace.as_array().unwrap().len(),
        3,
        "twice the same spans are the same spans"
    );
    assert_eq!(trace[0]["localEndpoint"]["serviceName"], "shop");
    assert_eq!(trace[0]["tags"]["service.version"], "2");
    let whole = post(&server, &[JSON], br#"{"resourceSpans":[]}"#);
    assert_eq!((whole.status, whole.text().as_str()), (200, "{}"));
    let metrics = server.get("/metrics").json();
    assert_eq!(metrics["counter.zipkin_collector.messages.otel/http"], 3);
    assert_eq!(metrics["counter.zipkin_collector.spans.otel/http"], 6);
}

#[test]
fn protobuf_is_answered_in_protobuf() {
    let server = Server::start(&[]);
    let answer = post(&server, &[PROTOBUF], &protobuf());
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/x-protobuf"))
    );
    // partial_success { rejected_spans: 1, error_message: … }
    assert_eq!(answer.body[..1], [0x0a]);
    assert_eq!(answer.body[2..4], [0x08, 1]);
    assert!(
        answer
            .text()
            .ends_with("traceId is missing or all zeros at resourceSpans[0].scopeSpans[0].spans[1]")
    );
    assert_eq!(server.spans_of(TRACE), 1);
    let empty = post(&server, &[PROTOBUF], b"");
    assert_eq!((empty.status, empty.body.len()), (200, 0));
}

#[test]
fn what_is_refused_is_told_as_a_status_in_the_same_encoding() {
    let server = Server::start(&[("COLLECTOR_BODY_BYTES_MAX", "2000")]);
    let answer = post(&server, &[JSON], b"{\"resourceSpans\":7}");
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (400, Some("application/json"))
    );
    let status = answer.json();
    assert_eq!(status["code"], 3);
    let message = status["message"].as_str().unwrap();
    assert!(
        message.ends_with("reading ExportTraceServiceRequest from json"),
        "{message}"
    );

    let answer = post(&server, &[PROTOBUF], &protobuf()[..20]);
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (400, Some("application/x-protobuf"))
    );
    assert_eq!(answer.body[..2], [0x08, 3]);
    assert!(
        answer
            .text()
            .ends_with("reading ExportTraceServiceRequest from protobuf")
    );

    let answer = post(&server, &[JSON], &[b' '; 3000]);
    assert_eq!((answer.status, answer.json()["code"].as_u64()), (413, Some(8)));
    assert_eq!(answer.header("retry-after"), None);

    for headers in [
        vec![("content-type", "text/plain")],
        vec![],
        vec![PROTOBUF, ("content-encoding", "br")],
    ] {
        assert_eq!(post(&server, &headers, &protobuf()).status, 415, "{headers:?}");
    }
    assert_eq!(server.get("/v1/traces").status, 404);
    for signal in ["/v1/logs", "/v1/metrics"] {
        assert_eq!(
            server.ask("POST", signal, &[PROTOBUF], b"").status,
            404,
            "{signal}"
        );
    }
    assert_eq!(server.spans_of(TRACE), 0);
}

#[test]
fn overload_is_told_with_a_time_to_come_back() {
    let server = Server::start(&[("COLLECTOR_BYTES_IN_FLIGHT_MAX", "10")]);
    let answer = post(&server, &[JSON], json(1).as_bytes());
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!(answer.json()["code"], 14);
}

#[test]
fn a_body_that_does_not_arrive_is_to_be_sent_again() {
    let server = Server::start(&[("COLLECTOR_BODY_TIMEOUT", "50ms")]);
    let mut connection = server.connect();
    connection.send(
        "POST /v1/traces HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{",
    );
    let answer = connection.answer().unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!(answer.json()["code"], 14);
}

#[tokio::test]
async fn grpc_is_served_on_the_one_port_and_on_its_own() {
    let mut server = Server::start(&[("COLLECTOR_OTLP_GRPC_PORT", "0")]);
    let own = format!("http://{}", port_of(&mut server, "COLLECTOR_OTLP_GRPC_PORT"));
    let own = Endpoint::from_shared(own).unwrap().connect().await.unwrap();
    let shared = connect(&server).await;
    for (channel, compression) in [
        (&shared, None),
        (&own, Some(CompressionEncoding::Gzip)),
        (&own, Some(CompressionEncoding::Zstd)),
    ] {
        let answer = call(channel, EXPORT, compression, protobuf()).await.unwrap();
        let told = String::from_utf8_lossy(&answer).into_owned();
        assert!(
            told.ends_with("traceId is missing or all zeros at resourceSpans[0].scopeSpans[0].spans[1]"),
            "{told}"
        );
        let refused = call(channel, EXPORT, compression, protobuf()[..20].to_vec()).await;
        assert_eq!(refused.unwrap_err().code(), tonic::Code::InvalidArgument);
    }
    assert_eq!(server.spans_of(TRACE), 1);
    let metrics = server.get("/metrics").json();
    assert_eq!(metrics["counter.zipkin_collector.messages.otel/grpc"], 6);
    assert_eq!(metrics["counter.zipkin_collector.spans.otel/grpc"], 3);
}

#[test]
fn http_is_served_on_its_own_port_and_nothing_else_is() {
    let mut server = Server::start(&[
        ("COLLECTOR_OTLP_HTTP_PORT", "0"),
        ("COLLECTOR_OTEL_RESOURCE_ATTRIBUTE_PREFIX", "resource."),
    ]);
    let mut connection = Connection::open(port_of(&mut server, "COLLECTOR_OTLP_HTTP_PORT"));
    connection.request("POST", "/v1/traces", &[JSON], json(1).as_bytes());
    assert_eq!(connection.answer().unwrap().status, 200);
    connection.request("GET", "/health", &[], b"");
    assert_eq!(connection.answer().unwrap().status, 404);
    let trace = server.get(&format!("/api/v2/trace/{TRACE}")).json();
    assert_eq!(trace[0]["tags"]["resource.service.version"], "2");
}

#[test]
fn switched_off_nothing_of_it_is_there() {
    let server = Server::start(&[
        ("COLLECTOR_HTTP_OTEL_ENABLED", "false"),
        ("COLLECTOR_OTLP_GRPC_PORT", "0"),
    ]);
    assert_eq!(post(&server, &[JSON], json(1).as_bytes()).status, 404);
    let metrics = server.get("/metrics").json();
    assert_eq!(
        metrics["counter.zipkin_collector.messages.otel/http"],
        serde_json::Value::Null
    );
}

#[test]
fn what_is_answered_is_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[]);
    assert_eq!(post(&server, &[JSON], json(5).as_bytes()).status, 200);
    server.kill();
    let server = Server::start_in(directory.path(), &[]);
    assert_eq!(server.spans_of(TRACE), 5);
}

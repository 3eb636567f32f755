//! Jaeger's clients and Scribe's, as they sent to their own servers, on the ports they know.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use tonic::codec::CompressionEncoding;
use tonic::transport::Endpoint;

use crate::client::Connection;
use crate::grpc_client::{call, connect};
use crate::process::Server;

const POST_SPANS: &str = "/jaeger.api_v2.CollectorService/PostSpans";

/// The trace of the first span in each of Jaeger's batches.
const THRIFT_TRACE: &str = "730843dde9fe2c40";
const PROTO_TRACE: &str = "01020304050607081112131415161718";

fn testdata(path: &str) -> Vec<u8> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/testdata");
    std::fs::read(directory.join(path)).unwrap()
}

/// Where a part says that it listens, which `setting` asked for.
fn port_of(server: &mut Server, message: &str) -> SocketAddr {
    let port = server.wait_for_log(message)["port"].as_u64().unwrap();
    SocketAddr::from(([127, 0, 0, 1], port as u16))
}

#[test]
fn jaegers_thrift_is_taken_on_its_own_port_and_nothing_else_is() {
    let mut server = Server::start(&[("COLLECTOR_JAEGER_HTTP_PORT", "0")]);
    let mut connection = Connection::open(port_of(&mut server, "Jaeger: ready"));
    let thrift = [("content-type", "application/x-thrift")];
    let batch = testdata("jaeger/jaeger-client-node.thrift");
    connection.request("POST", "/api/traces?format=jaeger.thrift", &thrift, &batch);
    let answer = connection.answer().unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (202, ""));
    assert_eq!(server.spans_of(THRIFT_TRACE), 3);
    connection.request("POST", "/api/traces", &thrift, &batch[..100]);
    let answer = connection.answer().unwrap();
    assert_eq!(answer.status, 400);
    assert!(
        answer.text().starts_with("Unable to process request body: "),
        "{}",
        answer.text()
    );
    connection.request("GET", "/health", &[], b"");
    assert_eq!(connection.answer().unwrap().status, 404);
    let on_one_port = server.ask("POST", "/api/traces", &thrift, &batch);
    assert_eq!(on_one_port.status, 404);
    let metrics = server.get("/metrics").json();
    assert_eq!(metrics["counter.zipkin_collector.messages.jaeger/http"], 2);
    assert_eq!(metrics["counter.zipkin_collector.spans.jaeger/http"], 3);
}

#[tokio::test]
async fn jaegers_grpc_is_taken_on_the_one_port_and_on_its_own() {
    let mut server = Server::start(&[("COLLECTOR_JAEGER_GRPC_PORT", "0")]);
    let own = format!("http://{}", port_of(&mut server, "Jaeger: ready"));
    let own = Endpoint::from_shared(own).unwrap().connect().await.unwrap();
    let shared = connect(&server).await;
    let request = testdata("jaeger/jaeger-idl-go.proto3");
    for (channel, compression) in [(shared, None), (own, Some(CompressionEncoding::Gzip))] {
        let answer = call(&channel, POST_SPANS, compression, request.clone())
            .await
            .unwrap();
        assert!(answer.is_empty(), "the answer has no fields: {answer:?}");
        let refused = call(&channel, POST_SPANS, None, request[..50].to_vec()).await;
        assert_eq!(refused.unwrap_err().code(), tonic::Code::InvalidArgument);
    }
    assert_eq!(
        server.spans_of(PROTO_TRACE),
        2,
        "the same spans twice are the same spans"
    );
    let metrics = server.get("/metrics").json();
    assert_eq!(metrics["counter.zipkin_collector.messages.jaeger/grpc"], 4);
    assert_eq!(
        metrics["counter.zipkin_collector.messages_dropped.jaeger/grpc"],
        2
    );
}

#[tokio::test]
async fn jaegers_clients_are_not_served_where_they_are_not_wanted() {
    let server = Server::start(&[("COLLECTOR_JAEGER_ENABLED", "false")]);
    let refused = call(&connect(&server).await, POST_SPANS, None, Vec::new()).await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::Unimplemented);
}

/// Sends a call of Scribe's, and reads what answers it.
fn log(stream: &mut TcpStream, call: &[u8]) -> Vec<u8> {
    stream.write_all(&(call.len() as u32).to_be_bytes()).unwrap();
    stream.write_all(call).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer).unwrap();
    answer
}

fn scribe(server: &mut Server) -> TcpStream {
    let stream = TcpStream::connect(port_of(server, "Scribe: ready")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

#[test]
fn what_scribe_was_told_is_ok_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [("SCRIBE_ENABLED", "true"), ("COLLECTOR_PORT", "0")];
    let mut server = Server::start_in(directory.path(), &settings);
    let mut stream = scribe(&mut server);
    let answer = log(&mut stream, &testdata("scribe/strict.frame"));
    assert!(answer.ends_with(b"\x08\0\0\0\0\0\0\0"), "OK: {answer:?}");
    let health = server.get("/health").json();
    let details = health["zipkin"]["details"].as_object().unwrap();
    let name = details
        .keys()
        .find(|name| name.starts_with("ScribeCollector{port="))
        .unwrap();
    assert!(
        name.ends_with("category=zipkin}") && details[name]["status"] == "UP",
        "{health}"
    );
    let metrics = server.get("/metrics").json();
    assert_eq!(metrics["counter.zipkin_collector.messages.scribe"], 1);
    server.kill();
    let server = Server::start_in(directory.path(), &[]);
    let found = server
        .get("/api/v2/traces?lookback=1000000000000&limit=100")
        .json();
    let spans: usize = found
        .as_array()
        .unwrap()
        .iter()
        .map(|trace| trace.as_array().unwrap().len())
        .sum();
    assert_eq!(spans, 4, "{found}");
}

#[test]
fn a_broker_that_is_away_does_not_stop_the_start_and_is_told() {
    // Nobody listens on a port that was just free.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let mut server = Server::start(&[("RABBIT_ADDRESSES", &address), ("RABBIT_PASSWORD", "secret")]);
    server.wait_for_log("RabbitMQ: not consuming; trying again");
    let health = server.get("/health");
    assert_eq!(health.status, 503);
    let name = format!("RabbitMQCollector{{addresses=[{address}], queue=zipkin}}");
    let state = &health.json()["zipkin"]["details"][&name];
    let error = state["details"]["error"].as_str().unwrap();
    assert!(
        state["status"] == "DOWN" && error.contains(&address) && !error.contains("secret"),
        "{state}"
    );
    assert_eq!(server.post(r#"[{"traceId":"1","id":"2"}]"#).status, 202);
    server.terminate();
    assert!(server.wait().success());
}

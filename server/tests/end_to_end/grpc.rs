//! gRPC on the one port, by tonic's own client: spans, statuses, health and reflection.

use std::collections::BTreeSet;
use std::time::Duration;

use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_types::StatusExt;

use crate::grpc_client::{REPORT, call, connect, list_of_spans, report};
use crate::process::Server;

const SERVICE: &str = "zipkin.proto3.SpanService";

#[tokio::test]
async fn reported_spans_are_found_whatever_they_were_compressed_with() {
    let server = Server::start(&[]);
    let channel = connect(&server).await;
    for (number, compression) in [
        None,
        Some(CompressionEncoding::Gzip),
        Some(CompressionEncoding::Zstd),
    ]
    .into_iter()
    .enumerate()
    {
        let trace_id = format!("{:016x}", number + 1);
        let message = list_of_spans(&trace_id, 2000);
        let answer = call(&channel, REPORT, compression, message).await.unwrap();
        assert!(answer.is_empty(), "the answer has no fields: {answer:?}");
        let trace = server.get(&format!("/api/v2/trace/{trace_id}")).json();
        let numbers: BTreeSet<u64> = trace
            .as_array()
            .unwrap()
            .iter()
            .map(|span| span["tags"]["number"].as_str().unwrap().parse().unwrap())
            .collect();
        assert_eq!(numbers, (1..=2000).collect(), "{compression:?}");
    }
    let metrics = server.get("/metrics").json();
    assert_eq!(metrics["counter.zipkin_collector.messages.grpc"], 3);
    assert_eq!(metrics["counter.zipkin_collector.spans.grpc"], 6000);
    assert_eq!(metrics["counter.zipkin_collector.messages.http"], 0);
    let empty = report(&channel, Vec::new()).await.unwrap();
    assert!(empty.is_empty(), "an empty message is answered empty: {empty:?}");
}

#[tokio::test]
async fn what_is_not_taken_has_a_status_that_says_why() {
    let server = Server::start(&[
        ("COLLECTOR_BODY_BYTES_MAX", "10000"),
        ("COLLECTOR_BYTES_IN_FLIGHT_MAX", "9000"),
    ]);
    let channel = connect(&server).await;
    let malformed = report(&channel, b"\x0a\x05abc".to_vec()).await.unwrap_err();
    assert_eq!(malformed.code(), Code::InvalidArgument, "{malformed}");
    assert!(
        malformed.message().contains("reading List<Span> from proto3"),
        "{malformed}"
    );
    // Refused by its announced length, long before the sender is done: it must see that all the same.
    for _ in 0..50 {
        let large = report(&channel, vec![10; 3 << 20]).await.unwrap_err();
        assert_eq!(large.code(), Code::ResourceExhausted, "{large}");
    }
    let overload = report(&channel, vec![10; 9_500]).await.unwrap_err();
    assert_eq!(overload.code(), Code::Unavailable, "{overload}");
    let delay = overload.get_details_retry_info().unwrap().retry_delay;
    assert_eq!(delay, Some(Duration::from_secs(1)));
    let unknown = call(&channel, "/zipkin.proto3.SpanService/Recall", None, Vec::new()).await;
    assert_eq!(unknown.unwrap_err().code(), Code::Unimplemented);
    report(&channel, list_of_spans("1", 10)).await.unwrap();
    assert_eq!(server.spans_of("1"), 10);
    let refused = server.get("/prometheus").text();
    let overloads = r#"tracehound_collector_refused_total{transport="grpc",reason="bytes_in_flight"} 1"#;
    assert!(refused.contains(overloads), "{refused}");
}

#[tokio::test]
async fn grpc_can_be_switched_off() {
    let server = Server::start(&[("COLLECTOR_GRPC_ENABLED", "false")]);
    let channel = connect(&server).await;
    let refused = report(&channel, list_of_spans("1", 1)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert_eq!(server.spans_of("1"), 0);
    let http = [
        ("ZIPKIN_COLLECTOR_GRPC_ENABLED", "true"),
        ("COLLECTOR_HTTP_ENABLED", "false"),
    ];
    let server = Server::start(&http);
    report(&connect(&server).await, list_of_spans("1", 1))
        .await
        .unwrap();
    assert_eq!((server.spans_of("1"), server.post("[]").status), (1, 404));
}

#[tokio::test]
async fn many_calls_share_a_connection() {
    let server = Server::start(&[]);
    let channel = connect(&server).await;
    let mut calls = tokio::task::JoinSet::new();
    for number in 1..=500 {
        let (channel, trace_id) = (channel.clone(), format!("{number:x}"));
        calls.spawn(async move { report(&channel, list_of_spans(&trace_id, 3)).await });
    }
    let answers = calls.join_all().await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let metrics = server.get("/metrics").json();
    assert_eq!(metrics["counter.zipkin_collector.spans.grpc"], 1500);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[]);
    let channel = connect(&server).await;
    let mut senders = tokio::task::JoinSet::new();
    let (acknowledge, mut acknowledged) = tokio::sync::mpsc::unbounded_channel();
    for sender in 0..4u64 {
        let (channel, acknowledge) = (channel.clone(), acknowledge.clone());
        senders.spawn(async move {
            for number in 1u64.. {
                let trace_id = format!("{:x}", sender << 32 | number);
                match report(&channel, list_of_spans(&trace_id, 5)).await {
                    Ok(_) => acknowledge.send(trace_id).unwrap(),
                    Err(_) => break,
                }
            }
        });
    }
    drop(acknowledge);
    let mut traces = Vec::new();
    while traces.len() < 100 {
        traces.push(acknowledged.recv().await.unwrap());
    }
    server.kill();
    senders.join_all().await;
    while let Some(trace_id) = acknowledged.recv().await {
        traces.push(trace_id);
    }
    let server = Server::start_in(directory.path(), &[]);
    for trace_id in traces {
        assert_eq!(server.spans_of(&trace_id), 5, "trace {trace_id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_until_the_server_stops() {
    let mut server = Server::start(&[]);
    let mut client = HealthClient::new(connect(&server).await);
    let ask = |service: &str| {
        Request::new(HealthCheckRequest {
            service: service.to_owned(),
        })
    };
    for service in ["", SERVICE] {
        let health = client.check(ask(service)).await.unwrap().into_inner();
        assert_eq!(health.status(), ServingStatus::Serving, "{service:?}");
    }
    let unknown = client.check(ask("no.such.Service")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let mut watched = client.watch(ask(SERVICE)).await.unwrap().into_inner();
    let first = watched.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
    server.terminate();
    let last = watched.message().await.unwrap().unwrap();
    assert_eq!(last.status(), ServingStatus::NotServing);
    assert!(
        watched.message().await.unwrap().is_none(),
        "the stream ends, and keeps no connection"
    );
    assert!(server.wait().success());
    assert_eq!(server.complaints(), [] as [String; 0]);
}

#[tokio::test]
async fn reflection_describes_every_service_that_it_names() {
    let server = Server::start(&[]);
    let mut client = ServerReflectionClient::new(connect(&server).await);
    let list = MessageRequest::ListServices(String::new());
    let [MessageResponse::ListServicesResponse(list)] = &reflect(&mut client, [list]).await[..] else {
        panic!("no list of services");
    };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    for name in [
        SERVICE,
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ] {
        assert!(names.contains(&name), "{name} is not one of {names:?}");
    }
    let questions = names
        .iter()
        .map(|name| MessageRequest::FileContainingSymbol((*name).to_owned()));
    let files = reflect(&mut client, questions).await;
    assert_eq!(files.len(), names.len());
    for (file, name) in files.iter().zip(names) {
        let MessageResponse::FileDescriptorResponse(file) = file else {
            panic!("{name}: {file:?}");
        };
        let holds = |part: &str| {
            let file = &file.file_descriptor_proto[0];
            file.windows(part.len()).any(|window| window == part.as_bytes())
        };
        assert!(holds(name.rsplit('.').next().unwrap()), "{name}");
        assert!(name != SERVICE || holds("ListOfSpans") && holds("local_endpoint"));
    }
}

/// One answer to each question.
async fn reflect(
    client: &mut ServerReflectionClient<Channel>,
    questions: impl IntoIterator<Item = MessageRequest>,
) -> Vec<MessageResponse> {
    let requests: Vec<_> = questions
        .into_iter()
        .map(|question| ServerReflectionRequest {
            host: String::new(),
            message_request: Some(question),
        })
        .collect();
    let answers = client.server_reflection_info(tokio_stream::iter(requests)).await;
    let mut answers = answers.unwrap().into_inner();
    let mut all = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        all.push(answer.message_response.unwrap());
    }
    all
}

//! Holds the generator to its counts and its clock, against a server that does as it is told.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};

use super::*;
use crate::workload::{EPOCH_US, Workload};

const SPANS: usize = 5;
const STALL: Duration = Duration::from_millis(300);

fn requests() -> Requests {
    Requests::prepare(Workload::reference(1).batches(SPANS).take(50), EPOCH_US).unwrap()
}

/// Answers each request with what `answer` says of its number on its connection.
fn serve(answer: fn(usize) -> &'static str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || converse(stream, answer));
        }
    });
    address
}

fn converse(mut stream: TcpStream, answer: fn(usize) -> &'static str) {
    let mut received = Vec::new();
    let mut bytes = vec![0; 64 << 10];
    for number in 0.. {
        let whole = loop {
            let text = String::from_utf8_lossy(&received);
            let announced = text.split_once("\r\n\r\n").map(|(head, _)| {
                let length = head.split("content-length: ").nth(1).unwrap();
                head.len() + 4 + length.lines().next().unwrap().parse::<usize>().unwrap()
            });
            match announced {
                Some(length) if received.len() >= length => break length,
                _ => match stream.read(&mut bytes) {
                    Ok(read) if read > 0 => received.extend_from_slice(&bytes[..read]),
                    _ => return,
                },
            }
        };
        received.drain(..whole);
        if stream.write_all(answer(number).as_bytes()).is_err() {
            return;
        }
    }
}

fn accept(_: usize) -> &'static str {
    "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"
}

fn refuse_the_second(number: usize) -> &'static str {
    match number {
        1 => "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 4\r\n\r\nfull",
        2 => "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
        _ => accept(number),
    }
}

fn stall_at_first(number: usize) -> &'static str {
    if number == 0 {
        std::thread::sleep(STALL);
    }
    accept(number)
}

fn load(address: SocketAddr, connections: usize, pace: Pace, requests_max: u64) -> Load {
    Load {
        address,
        connections,
        pace,
        duration: Duration::from_secs(20),
        requests_max,
    }
}

#[test]
fn every_request_is_counted_once_and_numbers_go_on() {
    let (requests, address) = (requests(), serve(accept));
    let first = load(address, 4, Pace::Closed, 120).run(&requests).unwrap();
    assert_eq!((first.first, first.sent, first.accepted), (0, 120, 120));
    assert_eq!(first.accepted_spans, 120 * SPANS as u64);
    assert_eq!(first.latency_us.len(), 120);
    assert!(first.spans_per_second() > 0.0);
    let second = load(address, 4, Pace::Closed, 7).run(&requests).unwrap();
    assert_eq!((second.first, second.sent), (120, 7));
    assert!(second.was_accepted(126) && !second.was_accepted(127) && !second.was_accepted(119));
}

#[test]
fn refusals_and_failures_are_told_apart_by_number() {
    let outcome = load(serve(refuse_the_second), 1, Pace::Closed, 5)
        .run(&requests())
        .unwrap();
    assert_eq!((outcome.accepted, outcome.refused, outcome.failed), (3, 1, 1));
    assert_eq!(outcome.not_accepted, [1, 2]);
    assert_eq!(outcome.first_failure.as_deref(), Some("503 full"));
    assert!(!outcome.was_accepted(1) && outcome.was_accepted(3));
}

#[test]
fn an_open_loop_keeps_its_rate_and_charges_a_stall_to_all_that_were_due() {
    let pace = Pace::Open { rate: 100.0 };
    let outcome = load(serve(stall_at_first), 1, pace, 60).run(&requests()).unwrap();
    // 60 requests at 100 a second are 0.59 s apart, first to last.
    assert!(
        outcome.elapsed >= Duration::from_millis(590),
        "{:?}",
        outcome.elapsed
    );
    let over = |us: u64| outcome.latency_us.count_between(us, LATENCY_MAX_US);
    // Of a stall of 300 ms, the requests due in its first 200 ms waited for at least 100 ms.
    assert!(over(100_000) >= 19, "{} waited for 100 ms", over(100_000));
    assert_eq!(outcome.accepted, 60);
}

#[test]
fn nobody_there_is_an_error_that_says_where() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let error = load(free, 1, Pace::Closed, 1).run(&requests()).unwrap_err();
    assert!(error.to_string().contains(&free.to_string()));
}

/// Answers each call with the `grpc-status` that `answer` says of its number, whatever the connection.
fn serve_grpc(answer: fn(usize) -> &'static str) -> SocketAddr {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let calls: &'static AtomicU64 = Box::leak(Box::default());
        runtime.block_on(async {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut connection = h2::server::handshake(stream).await.unwrap();
                    while let Some(call) = connection.accept().await {
                        let (request, respond) = call.unwrap();
                        let number = calls.fetch_add(1, Ordering::SeqCst) as usize;
                        tokio::spawn(answer_call(request, respond, answer(number)));
                    }
                });
            }
        });
    });
    address
}

async fn answer_call(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    status: &'static str,
) {
    assert_eq!(request.uri().path(), "/zipkin.proto3.SpanService/Report");
    let mut body = request.into_body();
    let mut message = Vec::new();
    while let Some(bytes) = body.data().await {
        let bytes = bytes.unwrap();
        body.flow_control().release_capacity(bytes.len()).unwrap();
        message.extend_from_slice(&bytes);
    }
    assert_eq!(
        message.len() - 5,
        u32::from_be_bytes(message[1..5].try_into().unwrap()) as usize
    );
    let head = |trailers: bool| {
        let mut headers = HeaderMap::new();
        if trailers {
            headers.insert("grpc-status", HeaderValue::from_static(status));
            headers.insert("grpc-message", HeaderValue::from_static("because"));
        }
        headers
    };
    let is_error = status != "0";
    let mut response = Response::new(());
    *response.headers_mut() = head(is_error);
    let mut stream = respond.send_response(response, is_error).unwrap();
    if !is_error {
        stream.send_data(Bytes::from_static(&[0; 5]), false).unwrap();
        stream.send_trailers(head(true)).unwrap();
    }
}

#[test]
fn calls_are_counted_as_requests_are() {
    let way = Way::new(Format::Proto3, Transport::Grpc).unwrap();
    let batches = Workload::reference(1).batches(SPANS).take(50);
    let requests = Requests::prepare_for(way, batches, EPOCH_US).unwrap();
    let address = serve_grpc(|number| match number {
        20 => "14",
        21 => "3",
        _ => "0",
    });
    let outcome = load(address, 9, Pace::Closed, 120).run(&requests).unwrap();
    assert_eq!(
        (outcome.sent, outcome.accepted, outcome.refused, outcome.failed),
        (120, 118, 1, 1)
    );
    assert_eq!(outcome.accepted_spans, 118 * SPANS as u64);
    let failure = outcome.first_failure.unwrap();
    assert!(failure.contains("because"), "{failure}");
    assert_eq!(outcome.latency_us.len(), 118);
}

#[test]
fn a_server_without_grpc_is_a_failure_not_a_success() {
    let way = Way::new(Format::Proto3, Transport::Grpc).unwrap();
    let batches = Workload::reference(1).batches(SPANS).take(50);
    let requests = Requests::prepare_for(way, batches, EPOCH_US).unwrap();
    let outcome = load(serve(accept), 1, Pace::Closed, 1).run(&requests);
    let accepted = outcome.map(|outcome| outcome.accepted).unwrap_or_default();
    assert_eq!(accepted, 0);
}

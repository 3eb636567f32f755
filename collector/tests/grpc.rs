//! gRPC's unary methods, called with frames made by hand, as clients and nobody's client would send them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use collector::grpc::{self, UnaryMethod};
use collector::{Collector, Limits, Reason, Sampler, Snapshot, Transport};
use http::{HeaderMap, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use model::{Span, SpanBatch};
use proto::{Format, Wire};
use storage::{BoxFuture, SpanSink, StorageError};
use tokio::sync::Semaphore;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::ServiceExt;

const REPORT: &str = "/zipkin.proto3.SpanService/Report";

/// Keeps what it gets, fails as told, or waits.
struct TestSink {
    spans: Mutex<Vec<Span>>,
    failure: Mutex<Option<StorageError>>,
    /// A batch is kept once there is a permit.
    gate: Semaphore,
    /// One for every batch that came.
    arrivals: Semaphore,
}

impl SpanSink for TestSink {
    fn accept<'a>(&'a self, batch: &'a SpanBatch) -> BoxFuture<'a, storage::Result<()>> {
        Box::pin(async move {
            self.arrivals.add_permits(1);
            let _permit = self.gate.acquire().await.unwrap();
            if let Some(error) = self.failure.lock().unwrap().clone() {
                return Err(error);
            }
            let mut spans = self.spans.lock().unwrap();
            spans.extend(batch.iter().map(|span| span.to_span()));
            Ok(())
        })
    }
}

struct Fixture {
    sink: Arc<TestSink>,
    collector: Arc<Collector>,
    router: Router,
}

impl Fixture {
    fn new(limits: Limits) -> Self {
        let sink = Arc::new(TestSink {
            spans: Mutex::default(),
            failure: Mutex::default(),
            gate: Semaphore::new(100),
            arrivals: Semaphore::new(0),
        });
        let collector = Arc::new(Collector::new(
            Arc::clone(&sink) as Arc<dyn SpanSink>,
            Sampler::ALL,
            limits,
        ));
        let router = grpc::route(Arc::clone(&collector), grpc::REPORT);
        Self {
            sink,
            collector,
            router,
        }
    }

    fn unlimited() -> Self {
        Self::new(Limits::default())
    }

    async fn call(&self, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let request = request("application/grpc", headers, body);
        Answer::of(self.router.clone().oneshot(request).await.unwrap()).await
    }

    fn stored(&self) -> usize {
        self.sink.spans.lock().unwrap().len()
    }

    /// Lets others work until so many spans are stored, and fails where they never are.
    async fn await_stored(&self, spans: usize) {
        const TURNS_MAX: usize = 10_000;
        for _ in 0..TURNS_MAX {
            if self.stored() >= spans {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(self.stored(), spans);
    }

    fn counts(&self) -> Snapshot {
        self.collector.metrics().snapshot(Transport::Grpc)
    }
}

fn request(content_type: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request {
    let mut request = Request::post(REPORT).header("content-type", content_type);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).unwrap()
}

/// An answer, with the status wherever it was.
struct Answer {
    headers: HeaderMap,
    body: Bytes,
    status: Status,
}

impl Answer {
    async fn of(response: Response) -> Self {
        let (head, body) = response.into_parts();
        assert_eq!(head.status, StatusCode::OK);
        let collected = body.collect().await.unwrap();
        let trailers = collected.trailers().cloned().unwrap_or_default();
        let status = Status::from_header_map(&head.headers).or_else(|| Status::from_header_map(&trailers));
        Self {
            headers: head.headers,
            body: collected.to_bytes(),
            status: status.expect("a status in the headers or the trailers"),
        }
    }

    #[track_caller]
    fn assert_is(&self, code: Code, text: &str) {
        assert_eq!((self.status.code(), self.status.message()), (code, text));
        assert_eq!(self.headers["content-type"], "application/grpc");
    }

    #[track_caller]
    fn assert_stored(&self) {
        self.assert_is(Code::Ok, "");
        assert_eq!(self.body, [0; 5].as_slice(), "a message without fields");
    }
}

fn spans(count: u64) -> Vec<Span> {
    let mut batch = SpanBatch::new();
    let span = |id| format!(r#"{{"traceId":"9","id":"{id:x}","name":"get","tags":{{"a":"bbbbbbbbbb"}}}}"#);
    let list = format!("[{}]", (1..=count).map(span).collect::<Vec<_>>().join(","));
    proto::decode(Format::JsonV2, list.as_bytes(), &mut batch).unwrap();
    batch.iter().map(|span| span.to_span()).collect()
}

fn list(count: u64) -> Vec<u8> {
    proto::encode(Format::Proto3, &spans(count))
}

fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u32).to_be_bytes();
    [&[flag], &length[..], message].concat()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
    let mut body = vec![0; compressor.gzip_compress_bound(content.len())];
    let length = compressor.gzip_compress(content, &mut body).unwrap();
    body.truncate(length);
    body
}

fn zstd(content: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(content, 3).unwrap()
}

/// Gives its pieces one by one, and then ends or waits for ever.
struct Pieces {
    pieces: VecDeque<Vec<u8>>,
    endless: bool,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.pieces.pop_front() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece.into())))),
            None if self.endless => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
}

fn in_pieces(bytes: &[u8], length: usize) -> Body {
    let pieces = bytes.chunks(length).map(<[u8]>::to_vec).collect();
    Body::new(Pieces {
        pieces,
        endless: false,
    })
}

#[tokio::test]
async fn stores_before_it_answers_plain_gzip_and_zstd() {
    let list = list(3);
    for (encoding, body) in [
        (None, frame(0, &list)),
        (Some("identity"), frame(0, &list)),
        (Some("gzip"), frame(1, &gzip(&list))),
        (Some("zstd"), frame(1, &zstd(&list))),
        // A message may be sent as it is whatever the call says.
        (Some("gzip"), frame(0, &list)),
        (Some("zstd"), frame(0, &list)),
    ] {
        let fixture = Fixture::unlimited();
        let headers: Vec<_> = encoding.map(|name| ("grpc-encoding", name)).into_iter().collect();
        fixture.call(&headers, body).await.assert_stored();
        assert_eq!(*fixture.sink.spans.lock().unwrap(), spans(3), "{encoding:?}");
        let counts = fixture.counts();
        let figures = (
            counts.messages,
            counts.spans,
            counts.bytes,
            counts.messages_dropped,
        );
        assert_eq!(figures, (1, 3, list.len() as u64, 0), "{encoding:?}");
    }
}

#[tokio::test]
async fn a_message_may_arrive_in_any_pieces() {
    let body = frame(0, &list(40));
    for length in [1, 4, 5, 6, 1000, body.len() - 1] {
        let fixture = Fixture::unlimited();
        fixture.call(&[], in_pieces(&body, length)).await.assert_stored();
        assert_eq!(fixture.stored(), 40, "in pieces of {length} bytes");
    }
}

#[tokio::test]
async fn an_empty_message_is_answered_empty() {
    let fixture = Fixture::unlimited();
    fixture.call(&[], frame(0, b"")).await.assert_stored();
    let headers = [("grpc-encoding", "zstd")];
    fixture.call(&headers, frame(1, &zstd(b""))).await.assert_stored();
    assert_eq!((fixture.stored(), fixture.counts().messages), (0, 2));
}

#[tokio::test]
async fn what_is_not_grpc_is_an_unsupported_media_type() {
    let fixture = Fixture::unlimited();
    let ask = async |content_type: Option<&str>| {
        let mut request = Request::post(REPORT);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let request = request.body(Body::from(frame(0, b""))).unwrap();
        fixture.router.clone().oneshot(request).await.unwrap().status()
    };
    for wrong in [
        None,
        Some("application/x-protobuf"),
        Some("application/grpc+json"),
        Some("application/grpc-web-text"),
    ] {
        assert_eq!(ask(wrong).await, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{wrong:?}");
    }
    for right in ["application/grpc+proto", "Application/GRPC; charset=utf-8"] {
        assert_eq!(ask(Some(right)).await, StatusCode::OK, "{right}");
    }
}

#[tokio::test]
async fn grpc_web_has_its_trailers_in_the_body() {
    let fixture = Fixture::unlimited();
    let request = request("application/grpc-web+proto", &[], frame(0, &list(2)));
    let response = fixture.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/grpc-web+proto");
    let body = response.into_body().collect().await.unwrap();
    assert!(body.trailers().is_none());
    assert_eq!(
        body.to_bytes(),
        [frame(0, b""), frame(0x80, b"grpc-status:0\r\n")].concat()
    );
    assert_eq!(fixture.stored(), 2);
}

#[tokio::test]
async fn malformed_spans_are_an_invalid_argument_in_zipkins_words() {
    let fixture = Fixture::unlimited();
    let list = list(2);
    let answer = fixture.call(&[], frame(0, &list[..list.len() - 1])).await;
    // Of the list, a span is half without the two bytes before it.
    let length = list.len() / 2 - 2;
    let there = length - 1;
    let text = format!("Truncated: length {length} > bytes available {there} reading List<Span> from proto3");
    answer.assert_is(Code::InvalidArgument, &text);
    let answer = fixture.call(&[], frame(0, b"[{}]")).await;
    let text = "Malformed reading List<Span> from proto3";
    answer.assert_is(Code::InvalidArgument, text);
    let answer = fixture.call(&[], frame(0, b"{}")).await;
    answer.assert_is(Code::InvalidArgument, "Expected a PROTO3 encoded list");
    assert_eq!(fixture.stored(), 0);
    assert_eq!(fixture.counts().refused[Reason::Malformed as usize], 3);
}

#[tokio::test]
async fn broken_framing_is_internal_and_says_what_is_wrong() {
    let message = list(1);
    let whole = frame(0, &message);
    let two = [whole.clone(), whole.clone()].concat();
    let length = message.len();
    let cut = format!("it ended after {} of {length} bytes of the message", length - 1);
    let cases: [(Body, &str); 7] = [
        (Body::empty(), "it has no message"),
        (whole[..4].to_vec().into(), "it has no message"),
        (whole[..whole.len() - 1].to_vec().into(), &cut),
        (two.clone().into(), "more follows the one message"),
        (in_pieces(&two, whole.len()), "more follows the one message"),
        (frame(2, &message).into(), "2 is not a flag of a message"),
        (
            frame(1, &gzip(&message)).into(),
            "the message is compressed, but there is no grpc-encoding",
        ),
    ];
    let fixture = Fixture::unlimited();
    let count = cases.len() as u64;
    for (body, text) in cases {
        let text = format!("the body could not be read: {text}");
        fixture.call(&[], body).await.assert_is(Code::Internal, &text);
    }
    assert_eq!(fixture.stored(), 0);
    assert_eq!(fixture.counts().refused[Reason::Body as usize], count);
}

#[tokio::test]
async fn an_unknown_compression_is_unimplemented_and_told_what_is_known() {
    let fixture = Fixture::unlimited();
    let headers = [("grpc-encoding", "snappy")];
    let answer = fixture.call(&headers, frame(1, b"x")).await;
    answer.assert_is(
        Code::Unimplemented,
        "grpc-encoding snappy is not one of identity,gzip,zstd",
    );
    assert_eq!(answer.headers["grpc-accept-encoding"], "identity,gzip,zstd");
    assert_eq!(fixture.counts().messages_dropped, 1);
}

#[tokio::test]
async fn wrong_compression_is_an_invalid_argument() {
    let fixture = Fixture::unlimited();
    for (encoding, text) in [
        ("gzip", "Cannot gunzip spans"),
        ("zstd", "Cannot inflate spans compressed with zstd"),
    ] {
        let answer = fixture
            .call(&[("grpc-encoding", encoding)], frame(1, &list(1)))
            .await;
        answer.assert_is(Code::InvalidArgument, text);
    }
}

#[tokio::test]
async fn what_is_beyond_a_bound_is_resource_exhausted_and_not_read() {
    let fixture = Fixture::new(Limits {
        body_bytes_max: 1000,
        inflated_bytes_max: 2000,
        message_spans_max: 10,
        ..Limits::default()
    });
    let refused = async |headers: &[(&str, &str)], body: Body| fixture.call(headers, body).await.status;
    // Of the message that is announced, nothing comes: nobody waits for it.
    let announced = [&[0u8][..], &1001u32.to_be_bytes()].concat();
    let endless = Body::new(Pieces {
        pieces: [announced].into(),
        endless: true,
    });
    let status = refused(&[], endless).await;
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(
        status.message().contains("COLLECTOR_BODY_BYTES_MAX"),
        "{}",
        status.message()
    );
    for (encoding, bomb) in [("gzip", gzip(&[10; 100_000])), ("zstd", zstd(&[10; 100_000]))] {
        let status = refused(&[("grpc-encoding", encoding)], frame(1, &bomb).into()).await;
        assert_eq!(status.code(), Code::ResourceExhausted, "{encoding}");
        assert!(status.message().contains("COLLECTOR_INFLATED_BYTES_MAX"));
    }
    let status = refused(&[], frame(0, &list(11)).into()).await;
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("COLLECTOR_MESSAGE_SPANS_MAX"));
    let reasons = [Reason::BodyBytes, Reason::InflatedBytes, Reason::MessageSpans];
    let counts = fixture.counts();
    assert_eq!(reasons.map(|reason| counts.refused[reason as usize]), [1, 2, 1]);
    assert_eq!(fixture.stored(), 0);
}

#[tokio::test]
async fn overload_is_unavailable_and_says_when_to_come_back() {
    let one_at_a_time = Fixture::new(Limits {
        requests_in_flight_max: 1,
        ..Limits::default()
    });
    let message = list(20);
    // The message is held once as it came and once decoded.
    let few_bytes = Fixture::new(Limits {
        bytes_in_flight_max: message.len() * 3 / 2,
        ..Limits::default()
    });
    let held = one_at_a_time.sink.gate.acquire_many(100).await.unwrap();
    let first = one_at_a_time
        .router
        .clone()
        .oneshot(request("application/grpc", &[], frame(0, &list(1))));
    let first = tokio::spawn(first);
    one_at_a_time.sink.arrivals.acquire().await.unwrap().forget();
    let second = one_at_a_time.call(&[], frame(0, &list(1))).await;
    let third = few_bytes.call(&[], frame(0, &message)).await;
    let fourth = few_bytes.call(&[], in_pieces(&frame(0, &message), 100)).await;
    for answer in [second, third, fourth] {
        assert_eq!(answer.status.code(), Code::Unavailable);
        let delay = answer.status.get_details_retry_info().unwrap().retry_delay;
        assert_eq!(delay, Some(Duration::from_secs(1)));
    }
    drop(held);
    Answer::of(first.await.unwrap().unwrap()).await.assert_stored();
    assert_eq!((one_at_a_time.stored(), few_bytes.stored()), (1, 0));
}

#[tokio::test]
async fn a_store_that_fails_is_told_by_what_the_sender_should_do() {
    let fixture = Fixture::unlimited();
    for (error, code, again) in [
        (StorageError::Overloaded("full".into()), Code::Unavailable, true),
        (StorageError::Unavailable("gone".into()), Code::Unavailable, true),
        (StorageError::Timeout("late".into()), Code::Unavailable, true),
        (
            StorageError::Invalid("wrong".into()),
            Code::InvalidArgument,
            false,
        ),
        (StorageError::Corrupt("broken".into()), Code::Internal, false),
        (StorageError::Unsupported("never".into()), Code::Internal, false),
    ] {
        *fixture.sink.failure.lock().unwrap() = Some(error.clone());
        let answer = fixture.call(&[], frame(0, &list(2))).await;
        answer.assert_is(code, &error.to_string());
        assert_eq!(answer.status.get_details_retry_info().is_some(), again, "{error}");
    }
    assert_eq!(fixture.counts().spans_dropped, 12);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_does_not_come_is_given_up() {
    let fixture = Fixture::unlimited();
    let message = frame(0, &list(5));
    for length in [0, 3, 20] {
        let body = Body::new(Pieces {
            pieces: [message[..length].to_vec()].into(),
            endless: true,
        });
        let begin = tokio::time::Instant::now();
        let answer = fixture.call(&[], body).await;
        answer.assert_is(Code::DeadlineExceeded, "the body did not arrive within 30000 ms");
        assert_eq!(begin.elapsed(), Duration::from_secs(30), "with {length} bytes");
    }
    assert_eq!(fixture.stored(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_its_deadline_but_what_is_being_stored_is_stored() {
    let fixture = Fixture::unlimited();
    let held = fixture.sink.gate.acquire_many(100).await.unwrap();
    for (index, timeout) in ["1H", "2M", "50S", "500m", "500000u", "99999999n"]
        .into_iter()
        .enumerate()
    {
        let begin = tokio::time::Instant::now();
        let answer = fixture
            .call(&[("grpc-timeout", timeout)], frame(0, &list(1)))
            .await;
        assert_eq!(answer.status.code(), Code::DeadlineExceeded, "{timeout}");
        let waited = [3_600_000, 120_000, 50_000, 500, 500, 100][index];
        assert_eq!(begin.elapsed().as_millis(), waited, "{timeout}");
    }
    assert_eq!(fixture.stored(), 0);
    drop(held);
    fixture.await_stored(6).await;
    assert_eq!(fixture.counts().spans_dropped, 0);
    for nonsense in ["", "1", "m", "123456789m", "-1m", "1.5S", "1x"] {
        let headers = [("grpc-timeout", nonsense)];
        fixture.call(&headers, frame(0, &list(1))).await.assert_stored();
    }
}

#[tokio::test]
async fn a_sender_that_goes_away_does_not_stop_what_is_being_stored() {
    let fixture = Fixture::unlimited();
    let held = fixture.sink.gate.acquire_many(100).await.unwrap();
    let call = fixture
        .router
        .clone()
        .oneshot(request("application/grpc", &[], frame(0, &list(3))));
    let call = tokio::spawn(call);
    fixture.sink.arrivals.acquire().await.unwrap().forget();
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    drop(held);
    fixture.await_stored(3).await;
}

#[tokio::test]
async fn a_method_of_another_service_has_its_own_path_format_count_and_answer() {
    let fixture = Fixture::unlimited();
    let metrics = fixture.collector.metrics();
    let router = grpc::route(
        Arc::clone(&fixture.collector),
        UnaryMethod {
            path: "/example.Spans/Put",
            wire: Wire::List(Format::JsonV2),
            transport: Transport::OtlpGrpc,
            answer: |accepted| Bytes::from(format!("{} left out", accepted.rejected.spans)),
        },
    );
    assert!(!metrics.shown().any(|transport| transport == Transport::OtlpGrpc));
    let json = proto::encode(Format::JsonV2, &spans(2));
    let request = Request::post("/example.Spans/Put")
        .header("content-type", "application/grpc")
        .body(Body::from(frame(0, &json)))
        .unwrap();
    let answer = Answer::of(router.oneshot(request).await.unwrap()).await;
    answer.assert_is(Code::Ok, "");
    assert_eq!(answer.body, frame(0, b"0 left out"));
    assert_eq!((fixture.stored(), fixture.counts().messages), (2, 0));
    assert_eq!(metrics.snapshot(Transport::OtlpGrpc).spans, 2);
    assert!(metrics.shown().any(|transport| transport == Transport::OtlpGrpc));
}

#[tokio::test]
async fn a_long_text_is_shortened_so_that_it_fits_a_header() {
    let fixture = Fixture::unlimited();
    let text = "é".repeat(5000);
    *fixture.sink.failure.lock().unwrap() = Some(StorageError::Invalid(text));
    let answer = fixture.call(&[], frame(0, &list(1))).await;
    let message = answer.status.message();
    assert!(message.len() <= 1024 && message.ends_with('é'), "{message}");
    assert_eq!(answer.status.code(), Code::InvalidArgument);
}

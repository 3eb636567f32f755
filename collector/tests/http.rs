//! The pipeline from bytes to sink, with a sink that can be told to fail.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use bytes::Bytes;
use collector::{Accepted, Collector, Encoding, Expected, Limits, Reason, Sampler, Snapshot, Transport};
use http::StatusCode;
use http_body::Frame;
use http_body_util::BodyExt;
use model::{Span, SpanBatch, TraceId};
use proto::Format;
use storage::{BoxFuture, SpanSink, StorageError};
use tower::ServiceExt;

/// Keeps what it gets, or fails as told.
#[derive(Default)]
struct TestSink {
    spans: Mutex<Vec<Span>>,
    failure: Mutex<Option<StorageError>>,
}

impl SpanSink for TestSink {
    fn accept<'a>(&'a self, batch: &'a SpanBatch) -> BoxFuture<'a, storage::Result<()>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            if let Some(error) = self.failure.lock().unwrap().clone() {
                return Err(error);
            }
            self.spans
                .lock()
                .unwrap()
                .extend(batch.iter().map(|span| span.to_span()));
            Ok(())
        })
    }
}

struct Fixture {
    sink: Arc<TestSink>,
    collector: Arc<Collector>,
}

struct Answer {
    status: StatusCode,
    text: String,
    retry_after: bool,
}

const TWO_SPANS: &str = r#"[{"traceId":"1","id":"2"},{"traceId":"3","id":"4","debug":true}]"#;

impl Fixture {
    fn new(sampler: Sampler, limits: Limits) -> Self {
        let sink = Arc::new(TestSink::default());
        let collector = Arc::new(Collector::new(
            Arc::clone(&sink) as Arc<dyn SpanSink>,
            sampler,
            limits,
        ));
        Self { sink, collector }
    }

    fn unlimited() -> Self {
        Self::new(Sampler::ALL, Limits::default())
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let mut request = Request::post(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = collector::http::router(Arc::clone(&self.collector))
            .oneshot(request.body(body.into()).unwrap())
            .await
            .unwrap();
        let retry_after = response.headers().contains_key("retry-after");
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Answer {
            status,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
            retry_after,
        }
    }

    async fn post_json(&self, body: impl Into<Body>) -> Answer {
        self.post("/api/v2/spans", &[], body).await
    }

    fn stored(&self) -> usize {
        self.sink.spans.lock().unwrap().len()
    }

    fn counts(&self) -> Snapshot {
        self.collector.metrics().snapshot(Transport::Http)
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
    let mut body = vec![0; compressor.gzip_compress_bound(content.len())];
    let length = compressor.gzip_compress(content, &mut body).unwrap();
    body.truncate(length);
    body
}

#[tokio::test]
async fn stores_before_it_accepts_and_answers_nothing() {
    let fixture = Fixture::unlimited();
    let answer = fixture.post_json(TWO_SPANS).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::ACCEPTED, ""));
    assert_eq!(fixture.stored(), 2);
    let counts = fixture.counts();
    assert_eq!(
        (counts.messages, counts.spans, counts.bytes),
        (1, 2, TWO_SPANS.len() as u64)
    );
    assert_eq!(
        (counts.message_spans, counts.message_bytes),
        (2, TWO_SPANS.len() as u64)
    );
    assert_eq!((counts.messages_dropped, counts.spans_dropped), (0, 0));
}

#[tokio::test]
async fn accepts_what_senders_probe_with() {
    let fixture = Fixture::unlimited();
    let empty = gzip(b"");
    let probes = [
        ("identity", vec![]),
        ("identity", b"[]".to_vec()),
        ("gzip", empty),
        ("gzip", vec![]),
    ];
    for (encoding, body) in probes {
        let headers = [("content-encoding", encoding)];
        let answer = fixture.post("/api/v2/spans", &headers, body.clone()).await;
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (StatusCode::ACCEPTED, ""),
            "{body:?}"
        );
    }
    assert_eq!((fixture.stored(), fixture.counts().messages), (0, 4));
}

#[tokio::test]
async fn content_types_choose_the_format_and_unknown_ones_are_json() {
    let fixture = Fixture::unlimited();
    let span = Span {
        trace_id: TraceId::new(0, 1).unwrap(),
        ..sample_span()
    };
    let proto3 = proto::encode(Format::Proto3, std::slice::from_ref(&span));
    let thrift = proto::encode(Format::Thrift, std::slice::from_ref(&span));
    let v1 = proto::encode(Format::JsonV1, std::slice::from_ref(&span));
    let v2 = proto::encode(Format::JsonV2, std::slice::from_ref(&span));
    let posts: [(&str, &str, &[u8]); 6] = [
        ("/api/v2/spans", "application/x-protobuf", &proto3),
        ("/api/v2/spans", "APPLICATION/X-protobuf; charset=utf-8", &proto3),
        ("/api/v2/spans", "text/plain", &v2),
        ("/api/v2/spans", "application/x-thrift", &v2),
        ("/api/v1/spans", "application/x-thrift", &thrift),
        ("/api/v1/spans", "application/json", &v1),
    ];
    for (path, content_type, body) in posts {
        let answer = fixture
            .post(path, &[("content-type", content_type)], body.to_vec())
            .await;
        assert_eq!(
            answer.status,
            StatusCode::ACCEPTED,
            "{path} {content_type}: {}",
            answer.text
        );
    }
    assert_eq!(fixture.stored(), posts.len());
    let answer = fixture
        .post("/api/v2/spans", &[("content-type", "application/x-protobuf")], v2)
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        answer.text, "Malformed reading List<Span> from proto3",
        "a list, but not one of proto3"
    );
}

fn sample_span() -> Span {
    let mut batch = SpanBatch::new();
    let list = br#"[{"traceId":"9","id":"2","name":"get","timestamp":1,"kind":"CLIENT"}]"#;
    proto::decode(Format::JsonV2, list, &mut batch).unwrap();
    batch.get(0).to_span()
}

#[tokio::test]
async fn refuses_what_is_no_list_of_spans_whole() {
    let fixture = Fixture::unlimited();
    let bad: [(&str, &str); 5] = [
        ("{}", "Expected a JSON_V2 encoded list\n"),
        (" []", "Expected a JSON_V2 encoded list\n"),
        ("hello", "Expected a JSON_V2 encoded list\n"),
        (
            r#"[{"traceId":"1","id":"2"},{"traceId":"1"}]"#,
            "Missing : id reading List<Span> from json",
        ),
        (
            r#"[{"traceId":"1","id":"2"},{}]"#,
            "Missing : traceId id reading List<Span> from json",
        ),
    ];
    for (body, message) in bad {
        let answer = fixture.post_json(body).await;
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (StatusCode::BAD_REQUEST, message),
            "{body}"
        );
    }
    assert_eq!(fixture.stored(), 0);
    let counts = fixture.counts();
    assert_eq!(
        (counts.messages, counts.messages_dropped, counts.spans_dropped),
        (5, 5, 0)
    );
    assert_eq!(counts.refused[Reason::Malformed as usize], 5);
}

#[tokio::test]
async fn gzip_is_inflated_within_a_bound() {
    let limits = Limits {
        inflated_bytes_max: 10_000,
        ..Limits::default()
    };
    let fixture = Fixture::new(Sampler::ALL, limits);
    let header = [("content-encoding", "gzip")];
    assert_eq!(
        fixture
            .post("/api/v2/spans", &header, gzip(TWO_SPANS.as_bytes()))
            .await
            .status,
        202
    );
    assert_eq!(
        (fixture.stored(), fixture.counts().bytes),
        (2, TWO_SPANS.len() as u64)
    );
    let bomb = fixture
        .post("/api/v2/spans", &header, gzip(&[b'['; 10_001]))
        .await;
    assert_eq!(bomb.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(
        bomb.text.contains("10000 bytes") && bomb.text.contains("INFLATED_BYTES_MAX"),
        "{}",
        bomb.text
    );
    let cut = fixture
        .post(
            "/api/v2/spans",
            &header,
            gzip(TWO_SPANS.as_bytes())[..40].to_vec(),
        )
        .await;
    assert_eq!(
        (cut.status, cut.text.as_str()),
        (StatusCode::BAD_REQUEST, "Cannot gunzip spans")
    );
}

#[tokio::test]
async fn bodies_and_span_counts_are_bounded() {
    let limits = Limits {
        body_bytes_max: 1000,
        message_spans_max: 2,
        ..Limits::default()
    };
    let fixture = Fixture::new(Sampler::ALL, limits);
    assert_eq!(fixture.post_json(TWO_SPANS).await.status, StatusCode::ACCEPTED);
    let three = r#"[{"traceId":"1","id":"2"},{"traceId":"1","id":"3"},{"traceId":"1","id":"4"}]"#;
    let answer = fixture.post_json(three).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(
        answer.text.starts_with("more than 2 spans in one message"),
        "{}",
        answer.text
    );
    let long = vec![b' '; 1001];
    for headers in [&[("content-length", "1001")][..], &[]] {
        let answer = fixture.post("/api/v2/spans", headers, long.clone()).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert!(
            answer.text.starts_with("the body is longer than 1000 bytes"),
            "{}",
            answer.text
        );
    }
    let stream = Body::new(Pieces::then_end(vec![Bytes::from(vec![b' '; 100]); 20]));
    assert_eq!(
        fixture.post_json(stream).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    assert_eq!(fixture.stored(), 2);
}

/// A body that arrives in pieces, and then ends or stalls for ever.
struct Pieces {
    pieces: VecDeque<Bytes>,
    then_stall: bool,
}

impl Pieces {
    fn then_end(pieces: impl Into<VecDeque<Bytes>>) -> Self {
        Self {
            pieces: pieces.into(),
            then_stall: false,
        }
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match self.pieces.pop_front() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None if self.then_stall => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
}

#[tokio::test]
async fn bodies_in_pieces_are_put_together() {
    let fixture = Fixture::unlimited();
    let pieces: Vec<Bytes> = TWO_SPANS
        .as_bytes()
        .chunks(7)
        .map(Bytes::copy_from_slice)
        .collect();
    assert!(pieces.len() > 5);
    assert_eq!(
        fixture
            .post_json(Body::new(Pieces::then_end(pieces)))
            .await
            .status,
        StatusCode::ACCEPTED
    );
    assert_eq!(
        (fixture.stored(), fixture.counts().bytes),
        (2, TWO_SPANS.len() as u64)
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_given_up() {
    let limits = Limits {
        body_timeout: Duration::from_millis(1500),
        ..Limits::default()
    };
    let fixture = Fixture::new(Sampler::ALL, limits);
    let stalled = Pieces {
        pieces: [Bytes::from_static(b"[")].into(),
        then_stall: true,
    };
    let answer = fixture.post_json(Body::new(stalled)).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(answer.text, "the body did not arrive within 1500 ms");
    assert_eq!(fixture.counts().messages_dropped, 1);
}

#[tokio::test]
async fn a_store_that_fails_is_not_acknowledged() {
    let fixture = Fixture::unlimited();
    let failures = [
        (
            StorageError::Overloaded("journal is full".into()),
            StatusCode::SERVICE_UNAVAILABLE,
        ),
        (
            StorageError::Unavailable("disk".into()),
            StatusCode::SERVICE_UNAVAILABLE,
        ),
        (
            StorageError::Timeout("slow".into()),
            StatusCode::SERVICE_UNAVAILABLE,
        ),
        (
            StorageError::Corrupt("segment".into()),
            StatusCode::INTERNAL_SERVER_ERROR,
        ),
    ];
    for (error, status) in &failures {
        *fixture.sink.failure.lock().unwrap() = Some(error.clone());
        let answer = fixture.post_json(TWO_SPANS).await;
        assert_eq!((answer.status, &answer.text), (*status, &error.to_string()));
        assert_eq!(answer.retry_after, *status == StatusCode::SERVICE_UNAVAILABLE);
    }
    let counts = fixture.counts();
    assert_eq!(
        (counts.spans, counts.spans_dropped, counts.messages_dropped),
        (8, 8, 0)
    );
    *fixture.sink.failure.lock().unwrap() = None;
    assert_eq!(fixture.post_json(TWO_SPANS).await.status, StatusCode::ACCEPTED);
    assert_eq!(fixture.stored(), 2);
}

#[tokio::test]
async fn overload_is_refused_with_a_time_to_come_back() {
    let fixture = Fixture::new(
        Sampler::ALL,
        Limits {
            requests_in_flight_max: 0,
            ..Limits::default()
        },
    );
    let answer = fixture.post_json(TWO_SPANS).await;
    assert_eq!(
        (answer.status, answer.retry_after),
        (StatusCode::SERVICE_UNAVAILABLE, true)
    );
    assert!(
        answer.text.contains("0 requests are in flight"),
        "{}",
        answer.text
    );
    let fixture = Fixture::new(
        Sampler::ALL,
        Limits {
            bytes_in_flight_max: 10,
            ..Limits::default()
        },
    );
    let answer = fixture.post_json(TWO_SPANS).await;
    assert_eq!(
        (answer.status, answer.retry_after),
        (StatusCode::SERVICE_UNAVAILABLE, true)
    );
    assert_eq!(fixture.counts().refused[Reason::BytesInFlight as usize], 1);
    assert_eq!(fixture.post_json("[]").await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn the_sampler_decides_and_counts() {
    let fixture = Fixture::new(Sampler::new(0.0).unwrap(), Limits::default());
    assert_eq!(fixture.post_json(TWO_SPANS).await.status, StatusCode::ACCEPTED);
    assert_eq!(fixture.stored(), 1, "only the debug span");
    let counts = fixture.counts();
    assert_eq!(
        (counts.spans, counts.spans_dropped, counts.messages_dropped),
        (2, 1, 0)
    );
}

#[tokio::test]
async fn long_bodies_are_decoded_on_a_thread_that_may_block() {
    let limits = Limits {
        inline_decode_bytes_max: 10,
        ..Limits::default()
    };
    let fixture = Fixture::new(Sampler::ALL, limits);
    assert_eq!(fixture.post_json(TWO_SPANS).await.status, StatusCode::ACCEPTED);
    let header = [("content-encoding", "gzip")];
    assert_eq!(
        fixture
            .post("/api/v2/spans", &header, gzip(TWO_SPANS.as_bytes()))
            .await
            .status,
        202
    );
    assert_eq!(
        fixture
            .post_json("[{}, but this is not a list of spans]")
            .await
            .status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!((fixture.stored(), fixture.counts().messages_dropped), (4, 1));
}

#[tokio::test]
async fn without_a_format_the_first_bytes_tell() {
    let fixture = Fixture::unlimited();
    let unknown = Encoding {
        expected: Expected::List,
        compression: None,
    };
    let spans = [sample_span()];
    for format in [Format::JsonV2, Format::Proto3, Format::Thrift] {
        let body = Bytes::from(proto::encode(format, &spans));
        assert_eq!(
            fixture.collector.accept(Transport::Grpc, unknown, body).await,
            Ok(Accepted::default()),
            "{format:?}"
        );
    }
    assert_eq!(fixture.stored(), 3);
    let refused = fixture
        .collector
        .accept(Transport::Grpc, unknown, Bytes::from_static(b"hello"))
        .await;
    assert_eq!(refused.unwrap_err().reason(), Reason::Malformed);
    assert_eq!(fixture.collector.metrics().snapshot(Transport::Grpc).messages, 4);
    assert_eq!(fixture.counts(), Snapshot::default());
}

#[tokio::test]
async fn a_broker_may_hold_single_thrift_spans_beside_lists() {
    let fixture = Fixture::unlimited();
    let either = Encoding {
        expected: Expected::ListOrSpan,
        compression: None,
    };
    let list = proto::encode(Format::Thrift, &[sample_span()]);
    // A list is the type of its elements, their number and the elements.
    let span = Bytes::copy_from_slice(&list[5..]);
    for body in [Bytes::from(list), span] {
        let outcome = fixture.collector.accept(Transport::Kafka, either, body).await;
        assert_eq!(outcome, Ok(Accepted::default()));
    }
    assert_eq!(fixture.stored(), 2);
}

#[tokio::test]
async fn a_transport_is_shown_once_it_is_expected_or_used() {
    let fixture = Fixture::unlimited();
    let metrics = fixture.collector.metrics();
    let shown = || metrics.shown().map(Transport::name).collect::<Vec<_>>();
    assert_eq!(shown(), ["http", "grpc"]);
    metrics.expect(Transport::Kafka);
    let list = Encoding {
        expected: Expected::List,
        compression: None,
    };
    let empty = fixture.collector.accept(Transport::OtlpHttp, list, Bytes::new());
    empty.await.unwrap();
    assert_eq!(shown(), ["http", "grpc", "otel/http", "kafka"]);
}

#[tokio::test]
async fn a_message_offered_again_and_again_is_counted_once() {
    let fixture = Fixture::unlimited();
    let list = Encoding {
        expected: Expected::List,
        compression: None,
    };
    let offer = |body: &'static str| {
        let collector = Arc::clone(&fixture.collector);
        async move {
            collector
                .offer(Transport::Kafka, list, Bytes::from_static(body.as_bytes()))
                .await
        }
    };
    let counts = || fixture.collector.metrics().snapshot(Transport::Kafka);
    *fixture.sink.failure.lock().unwrap() = Some(StorageError::Unavailable("down".to_owned()));
    for _ in 0..3 {
        assert!(!offer(TWO_SPANS).await.unwrap_err().is_final());
    }
    assert_eq!(counts(), Snapshot::default());
    *fixture.sink.failure.lock().unwrap() = None;
    offer(TWO_SPANS).await.unwrap();
    assert!(offer("not a list").await.unwrap_err().is_final());
    let counts = counts();
    assert_eq!((counts.messages, counts.messages_dropped), (2, 1));
    assert_eq!((counts.spans, counts.spans_dropped), (2, 0));
}

/// A body that tells how much of it was read.
struct CountedBody {
    pieces: usize,
    read: Arc<std::sync::atomic::AtomicUsize>,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.pieces == 0 {
            return Poll::Ready(None);
        }
        self.pieces -= 1;
        self.read.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 100])))))
    }
}

#[tokio::test]
async fn a_body_that_is_refused_unread_is_read_and_thrown_away_up_to_a_bound() {
    for (requests_in_flight_max, bytes_in_flight_max) in [(0, 1 << 20), (1, 150)] {
        let fixture = Fixture::new(
            Sampler::ALL,
            Limits {
                body_bytes_max: 1_000,
                requests_in_flight_max,
                bytes_in_flight_max,
                ..Limits::default()
            },
        );
        // What was read before it was refused does not count for the bound, of 40 and the one that is too many.
        for (pieces, all) in [(10, 10..=10), (1_000, 41..=43)] {
            let read = Arc::default();
            let body = CountedBody {
                pieces,
                read: Arc::clone(&read),
            };
            let answer = fixture.post_json(Body::new(body)).await;
            assert_eq!(
                (answer.status, answer.retry_after),
                (StatusCode::SERVICE_UNAVAILABLE, true)
            );
            let read = read.load(std::sync::atomic::Ordering::Relaxed);
            assert!(all.contains(&read), "{read} of {pieces}");
        }
    }
}

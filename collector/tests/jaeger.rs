//! Jaeger's HTTP endpoint: its statuses and words.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::Request;
use collector::{Collector, Limits, Sampler, Transport};
use http::StatusCode;
use http_body_util::BodyExt;
use model::{Span, SpanBatch};
use storage::{BoxFuture, SpanSink, StorageError};
use tower::ServiceExt;

/// A batch of one process and one span: `Batch { process { serviceName: "shop" }, spans [ { traceIdLow: 1,
/// spanId: 2, operationName: "pay" } ] }`.
const BATCH: &[u8] = b"\x0c\0\x01\x0b\0\x01\0\0\0\x04shop\0\
    \x0f\0\x02\x0c\0\0\0\x01\
    \x0a\0\x01\0\0\0\0\0\0\0\x01\x0a\0\x03\0\0\0\0\0\0\0\x02\x0b\0\x05\0\0\0\x03pay\0\0";

#[derive(Default)]
struct TestSink {
    spans: Mutex<Vec<Span>>,
    failure: Mutex<Option<StorageError>>,
}

impl SpanSink for TestSink {
    fn accept<'a>(&'a self, batch: &'a SpanBatch) -> BoxFuture<'a, storage::Result<()>> {
        Box::pin(async move {
            if let Some(error) = self.failure.lock().unwrap().clone() {
                return Err(error);
            }
            let spans = batch.iter().map(|span| span.to_span());
            self.spans.lock().unwrap().extend(spans);
            Ok(())
        })
    }
}

fn fixture() -> (Arc<TestSink>, Arc<Collector>) {
    let sink = Arc::new(TestSink::default());
    let shared = Arc::clone(&sink) as Arc<dyn SpanSink>;
    let collector = Collector::new(shared, Sampler::ALL, Limits::default());
    (sink, Arc::new(collector))
}

async fn post(
    collector: &Arc<Collector>,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> (StatusCode, String) {
    let mut request = Request::post("/api/traces?format=jaeger.thrift");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = collector::jaeger::http::router(Arc::clone(collector))
        .oneshot(request.body(body.into()).unwrap())
        .await
        .unwrap();
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn a_batch_is_accepted_under_both_names_of_its_format_and_gzip() {
    let (sink, collector) = fixture();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(BATCH).unwrap();
    let zipped = gzip.finish().unwrap();
    let binary = ("content-type", "application/vnd.apache.thrift.binary");
    let answers = [
        post(
            &collector,
            &[("content-type", "application/x-thrift; charset=x")],
            BATCH,
        )
        .await,
        post(&collector, &[binary], BATCH).await,
        post(&collector, &[binary, ("content-encoding", "gzip")], zipped).await,
    ];
    for answer in answers {
        assert_eq!(answer, (StatusCode::ACCEPTED, String::new()));
    }
    let spans = sink.spans.lock().unwrap();
    assert_eq!(spans.len(), 3);
    for span in spans.iter() {
        assert_eq!(
            (span.local_service_name(), span.name.as_deref()),
            (Some("shop"), Some("pay"))
        );
    }
    let counted = collector.metrics().snapshot(Transport::JaegerHttp);
    assert_eq!((counted.messages, counted.spans), (3, 3));
}

#[tokio::test]
async fn what_is_refused_is_refused_in_jaegers_words_and_counted() {
    let (sink, collector) = fixture();
    let (status, text) = post(&collector, &[("content-type", "application/json")], "{}").await;
    assert_eq!(
        (status, text.as_str()),
        (
            StatusCode::BAD_REQUEST,
            "Unsupported content type: application/json"
        )
    );
    let thrift = ("content-type", "application/x-thrift");
    let (status, text) = post(&collector, &[thrift], &BATCH[..40]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        text.starts_with("Unable to process request body: Truncated") && text.contains("spans[0]"),
        "{text}"
    );
    *sink.failure.lock().unwrap() = Some(StorageError::Overloaded("full".to_owned()));
    let (status, text) = post(&collector, &[thrift], BATCH).await;
    assert_eq!(
        (status, text.as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "overloaded: full")
    );
    assert!(sink.spans.lock().unwrap().is_empty());
    let counted = collector.metrics().snapshot(Transport::JaegerHttp);
    assert_eq!((counted.messages, counted.messages_dropped), (3, 2));
}

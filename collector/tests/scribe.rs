//! Calls over real connections: answered when their spans are stored, refused in thrift's words.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use collector::scribe::{ScribeCollector, ScribeConfig, ScribeMonitor};
use collector::{Collector, Limits, Sampler, Transport};
use model::SpanBatch;
use storage::{BoxFuture, SpanSink, StorageError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

/// One v1 span of trace 1, in base64: `{1: i64 traceId, 4: i64 id}`.
const SPAN: &str = "CgABAAAAAAAAAAEKAAQAAAAAAAAAAgA=";

/// Counts what it gets, when it is allowed to, or fails as told.
struct TestSink {
    spans: Mutex<usize>,
    failure: Mutex<Option<StorageError>>,
    gate: Semaphore,
}

impl SpanSink for TestSink {
    fn accept<'a>(&'a self, batch: &'a SpanBatch) -> BoxFuture<'a, storage::Result<()>> {
        Box::pin(async move {
            self.gate.acquire().await.unwrap().forget();
            if let Some(error) = self.failure.lock().unwrap().clone() {
                return Err(error);
            }
            *self.spans.lock().unwrap() += batch.len();
            Ok(())
        })
    }
}

struct Fixture {
    sink: Arc<TestSink>,
    collector: Arc<Collector>,
    scribe: ScribeCollector,
    monitor: ScribeMonitor,
    address: std::net::SocketAddr,
}

impl Fixture {
    async fn new(limits: Limits) -> Self {
        let sink = Arc::new(TestSink {
            spans: Mutex::new(0),
            failure: Mutex::new(None),
            gate: Semaphore::new(1000),
        });
        let collector = Collector::new(Arc::clone(&sink) as Arc<dyn SpanSink>, Sampler::ALL, limits);
        let collector = Arc::new(collector);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let config = ScribeConfig {
            category: "zipkin".to_owned(),
            connections_max: 8,
            idle_timeout: PATIENCE,
            answer_timeout: PATIENCE,
        };
        let scribe = ScribeCollector::start(listener, config, Arc::clone(&collector));
        let monitor = scribe.monitor();
        Self {
            sink,
            collector,
            scribe,
            monitor,
            address,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    fn stored(&self) -> usize {
        *self.sink.spans.lock().unwrap()
    }
}

/// A call of `Log` with a strict header and a number, in its frame.
fn log(sequence: u8, entries: &[(&str, &str)]) -> Vec<u8> {
    let mut call = b"\x80\x01\0\x01\0\0\0\x03Log\0\0\0".to_vec();
    call.push(sequence);
    call.extend(b"\x0f\0\x01\x0c");
    call.extend((entries.len() as u32).to_be_bytes());
    for (category, message) in entries {
        for (field, text) in [(1, category), (2, message)] {
            call.extend([0x0b, 0, field]);
            call.extend((text.len() as u32).to_be_bytes());
            call.extend(text.as_bytes());
        }
        call.push(0);
    }
    call.push(0);
    framed(&call)
}

fn framed(call: &[u8]) -> Vec<u8> {
    let mut frame = (call.len() as u32).to_be_bytes().to_vec();
    frame.extend(call);
    frame
}

async fn answer(stream: &mut TcpStream) -> Vec<u8> {
    let read = async {
        let mut length = [0; 4];
        stream.read_exact(&mut length).await.unwrap();
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut frame).await.unwrap();
        frame
    };
    timeout(PATIENCE, read).await.expect("an answer in time")
}

/// True if the other side ended the connection.
async fn is_ended(stream: &mut TcpStream) -> bool {
    let read = timeout(PATIENCE, stream.read(&mut [0; 1]))
        .await
        .expect("an end in time");
    matches!(read, Ok(0) | Err(_))
}

/// The answer `OK` or `TRY_LATER` to a call.
fn result(sequence: u8, code: u8) -> Vec<u8> {
    let mut frame = b"\x80\x01\0\x02\0\0\0\x03Log\0\0\0".to_vec();
    frame.push(sequence);
    frame.extend([0x08, 0, 0, 0, 0, 0, code, 0]);
    frame
}

#[tokio::test]
async fn a_call_is_one_message_and_other_categories_are_counted() {
    let fixture = Fixture::new(Limits::default()).await;
    let mut stream = fixture.connect().await;
    // Both at once: answered in their order.
    let mut calls = log(1, &[("zipkin", SPAN), ("other", "x"), ("zipkin", SPAN)]);
    calls.extend(log(2, &[("other", "y")]));
    stream.write_all(&calls).await.unwrap();
    assert_eq!(answer(&mut stream).await, result(1, 0));
    assert_eq!(answer(&mut stream).await, result(2, 0));
    assert_eq!((fixture.stored(), fixture.monitor.stats().ignored), (2, 2));
    let counted = fixture.collector.metrics().snapshot(Transport::Scribe);
    assert_eq!(
        (counted.messages, counted.messages_dropped, counted.spans),
        (2, 0, 2)
    );
}

#[tokio::test]
async fn ok_is_said_after_the_spans_are_stored() {
    let fixture = Fixture::new(Limits::default()).await;
    fixture.sink.gate.forget_permits(1000);
    let mut stream = fixture.connect().await;
    stream.write_all(&log(1, &[("zipkin", SPAN)])).await.unwrap();
    let early = timeout(Duration::from_millis(100), stream.read(&mut [0; 1])).await;
    assert!(early.is_err(), "answered before it was stored");
    fixture.sink.gate.add_permits(1);
    assert_eq!(answer(&mut stream).await, result(1, 0));
    assert_eq!(fixture.stored(), 1);
}

#[tokio::test]
async fn a_store_that_is_full_says_later_and_one_that_is_damaged_an_exception() {
    let fixture = Fixture::new(Limits::default()).await;
    let mut stream = fixture.connect().await;
    let fail = |error| *fixture.sink.failure.lock().unwrap() = Some(error);
    fail(StorageError::Overloaded("full".to_owned()));
    stream.write_all(&log(1, &[("zipkin", SPAN)])).await.unwrap();
    assert_eq!(answer(&mut stream).await, result(1, 1));
    fail(StorageError::Corrupt("broken".to_owned()));
    stream.write_all(&log(2, &[("zipkin", SPAN)])).await.unwrap();
    let exception = answer(&mut stream).await;
    assert_eq!(exception[3], 3, "an exception");
    assert!(exception.ends_with(b"\x08\0\x02\0\0\0\x06\0"), "internal error");
    assert_eq!(fixture.stored(), 0);
}

#[tokio::test]
async fn what_is_malformed_is_an_exception_and_the_connection_goes_on() {
    let fixture = Fixture::new(Limits::default()).await;
    let mut stream = fixture.connect().await;
    stream
        .write_all(&log(1, &[("zipkin", SPAN), ("zipkin", "!")]))
        .await
        .unwrap();
    let exception = String::from_utf8_lossy(&answer(&mut stream).await).into_owned();
    assert!(exception.contains("messages[1]"), "{exception}");
    let unknown = framed(b"\x80\x01\0\x01\0\0\0\x04Send\0\0\0\x02\0");
    stream.write_all(&unknown).await.unwrap();
    let exception = answer(&mut stream).await;
    assert!(exception.ends_with(b"Invalid method name: 'Send'\x08\0\x02\0\0\0\x01\0"));
    stream.write_all(&log(3, &[("zipkin", SPAN)])).await.unwrap();
    assert_eq!(answer(&mut stream).await, result(3, 0));
    let counted = fixture.collector.metrics().snapshot(Transport::Scribe);
    assert_eq!((counted.messages, counted.messages_dropped), (3, 2));
}

#[tokio::test]
async fn without_room_a_frame_is_thrown_away_and_its_caller_told() {
    let limits = Limits {
        body_bytes_max: 1000,
        bytes_in_flight_max: 500,
        ..Limits::default()
    };
    let fixture = Fixture::new(limits).await;
    let mut stream = fixture.connect().await;
    let long = "x".repeat(600);
    stream.write_all(&log(1, &[("other", &long)])).await.unwrap();
    assert_eq!(answer(&mut stream).await, result(1, 1), "later");
    let too_long = "x".repeat(1001);
    stream.write_all(&log(2, &[("other", &too_long)])).await.unwrap();
    let exception = String::from_utf8_lossy(&answer(&mut stream).await).into_owned();
    assert!(exception.contains("COLLECTOR_BODY_BYTES_MAX"), "{exception}");
    stream.write_all(&log(3, &[("zipkin", SPAN)])).await.unwrap();
    assert_eq!(answer(&mut stream).await, result(3, 0));
}

#[tokio::test]
async fn what_is_no_frame_ends_the_connection() {
    let fixture = Fixture::new(Limits::default()).await;
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\0\0\0\x02no"] {
        let mut stream = fixture.connect().await;
        stream.write_all(bytes).await.unwrap();
        assert!(is_ended(&mut stream).await, "{bytes:?}");
    }
    let counted = fixture.collector.metrics().snapshot(Transport::Scribe);
    assert_eq!((counted.messages, counted.messages_dropped), (2, 2));
}

#[tokio::test]
async fn a_stop_answers_the_call_it_has_and_ends_idle_connections() {
    let fixture = Fixture::new(Limits::default()).await;
    fixture.sink.gate.forget_permits(1000);
    let (mut idle, mut busy) = (fixture.connect().await, fixture.connect().await);
    busy.write_all(&log(1, &[("zipkin", SPAN)])).await.unwrap();
    // The call has begun when it waits for the store.
    let counted = || fixture.collector.metrics().snapshot(Transport::Scribe).messages;
    timeout(PATIENCE, async {
        while counted() == 0 || fixture.monitor.stats().connections < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .expect("the call begins");
    let (sink, scribe) = (Arc::clone(&fixture.sink), fixture.scribe);
    let stopping = tokio::spawn(scribe.stop(PATIENCE));
    assert!(is_ended(&mut idle).await);
    sink.gate.add_permits(1);
    assert_eq!(answer(&mut busy).await, result(1, 0));
    assert!(is_ended(&mut busy).await);
    timeout(PATIENCE, stopping)
        .await
        .expect("an end in time")
        .unwrap();
    assert!(!fixture.monitor.is_listening());
}

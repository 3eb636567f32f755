//! That every message is counted once, whatever becomes of it, and how long it took.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use collector::{
    Collector, Encoding, Expected, InFlight, Limits, ReadBody, Reason, Refusal, Sampler, Snapshot, Transport,
};
use model::SpanBatch;
use storage::{BoxFuture, SpanSink, StorageError};

const TWO_SPANS: &str = r#"[{"traceId":"1","id":"2"},{"traceId":"3","id":"4"}]"#;

const LIST: Encoding = Encoding {
    expected: Expected::List,
    compression: None,
};

/// Does as it is told.
#[derive(Clone)]
enum Conduct {
    Takes,
    TakesAfter(Duration),
    Fails(StorageError),
    NeverAnswers,
    HasNoRoom,
    HasRoomSoon(Duration),
}

struct TestSink(Mutex<Conduct>);

const FULL: &str = "no room";

impl SpanSink for TestSink {
    fn accept<'a>(&'a self, _batch: &'a SpanBatch) -> BoxFuture<'a, storage::Result<()>> {
        let conduct = self.0.lock().unwrap().clone();
        Box::pin(async move {
            match conduct {
                Conduct::Takes | Conduct::HasRoomSoon(_) => Ok(()),
                Conduct::TakesAfter(pause) => {
                    tokio::time::sleep(pause).await;
                    Ok(())
                }
                Conduct::Fails(error) => Err(error),
                Conduct::NeverAnswers => std::future::pending().await,
                Conduct::HasNoRoom => panic!("it has said so"),
            }
        })
    }

    fn check_room(&self) -> storage::Result<Duration> {
        match *self.0.lock().unwrap() {
            Conduct::HasNoRoom => Err(StorageError::Overloaded(FULL.to_owned())),
            Conduct::HasRoomSoon(wait) => Ok(wait),
            _ => Ok(Duration::ZERO),
        }
    }
}

fn collector(conduct: Conduct, sampler: Sampler) -> Collector {
    let limits = Limits {
        message_spans_max: 2,
        requests_in_flight_max: 3,
        bytes_in_flight_max: 1_000,
        ..Limits::default()
    };
    Collector::new(Arc::new(TestSink(Mutex::new(conduct))), sampler, limits)
}

async fn accept(collector: &Collector, transport: Transport, body: impl ReadBody) -> Snapshot {
    drop(collector.accept(transport, LIST, body).await);
    collector.metrics().snapshot(transport)
}

fn spans() -> Bytes {
    Bytes::from_static(TWO_SPANS.as_bytes())
}

/// A body that cannot be read.
struct Unreadable(Refusal);

impl ReadBody for Unreadable {
    async fn read(self, _: &mut InFlight) -> Result<Bytes, Refusal> {
        Err(self.0)
    }
}

/// Messages that ended in one way or another: taken, refused before the spans were known, refused by the store.
fn ends(counts: &Snapshot) -> (u64, u64, Vec<&'static str>) {
    let reasons = Reason::ALL
        .into_iter()
        .filter(|&reason| counts.refused[reason as usize] > 0);
    let refused: u64 = counts.refused.iter().sum();
    (counts.messages, refused, reasons.map(Reason::name).collect())
}

#[tokio::test]
async fn a_message_that_is_taken_is_timed_twice() {
    let pause = Duration::from_millis(30);
    let collector = collector(Conduct::TakesAfter(pause), Sampler::ALL);
    let counts = accept(&collector, Transport::Grpc, spans()).await;
    assert_eq!((counts.decode_time.count(), counts.store_time.count()), (1, 1));
    assert!(counts.decode_time.sum() > Duration::ZERO && counts.decode_time.sum() < pause);
    assert!(counts.store_time.sum() >= pause);
    assert_eq!(collector.metrics().snapshot(Transport::Http), Snapshot::default());
}

#[tokio::test]
async fn what_is_refused_is_not_timed_beyond_where_it_came() {
    let failing = collector(
        Conduct::Fails(StorageError::Overloaded("full".to_owned())),
        Sampler::ALL,
    );
    let counts = accept(&failing, Transport::Http, spans()).await;
    assert_eq!((counts.decode_time.count(), counts.store_time.count()), (1, 0));
    let taking = collector(Conduct::Takes, Sampler::ALL);
    let counts = accept(&taking, Transport::Http, Bytes::from_static(b"[{}]")).await;
    assert_eq!((counts.decode_time.count(), counts.store_time.count()), (0, 0));
    let counts = accept(&taking, Transport::Http, Bytes::new()).await;
    assert_eq!((counts.messages, counts.decode_time.count()), (2, 0));
}

#[tokio::test]
async fn every_refusal_is_counted_once_by_its_reason() {
    let three = TWO_SPANS.replace('[', r#"[{"traceId":"5","id":"6"},"#);
    let long = Bytes::from(vec![b'['; 1_001]);
    let taking = || collector(Conduct::Takes, Sampler::ALL);
    let body = |refusal| Unreadable(refusal);
    for (counts, dropped_messages, reason) in [
        (
            accept(&taking(), Transport::Http, Bytes::from_static(b"nonsense")).await,
            1,
            "malformed",
        ),
        (
            accept(&taking(), Transport::Http, Bytes::from(three)).await,
            1,
            "message_spans",
        ),
        (
            accept(&taking(), Transport::Http, long).await,
            1,
            "bytes_in_flight",
        ),
        (
            accept(&taking(), Transport::Http, body(Refusal::TooSlow(Duration::ZERO))).await,
            1,
            "body",
        ),
        (
            accept(
                &taking(),
                Transport::Http,
                body(Refusal::Unreadable("gone".to_owned())),
            )
            .await,
            1,
            "body",
        ),
        (
            accept(
                &collector(
                    Conduct::Fails(StorageError::Timeout("slow".to_owned())),
                    Sampler::ALL,
                ),
                Transport::Http,
                spans(),
            )
            .await,
            0,
            "storage",
        ),
    ] {
        assert_eq!(ends(&counts), (1, 1, vec![reason]));
        assert_eq!(counts.messages_dropped, dropped_messages, "{reason}");
        assert_eq!(counts.spans_dropped, 2 * (1 - dropped_messages), "{reason}");
    }
}

#[tokio::test]
async fn a_message_whose_sender_went_away_is_counted_and_its_place_is_free() {
    let collector = collector(Conduct::NeverAnswers, Sampler::ALL);
    for _ in 0..5 {
        let waiting = collector.accept(Transport::Http, LIST, spans());
        let gone = tokio::time::timeout(Duration::from_millis(1), waiting).await;
        assert!(gone.is_err(), "the sink never answers");
    }
    let counts = collector.metrics().snapshot(Transport::Http);
    assert_eq!(ends(&counts), (5, 5, vec!["abandoned"]));
    assert_eq!((counts.messages_dropped, counts.spans_dropped), (5, 0));
}

#[tokio::test]
async fn requests_beyond_the_bound_are_counted_as_such() {
    let collector = Arc::new(collector(Conduct::NeverAnswers, Sampler::ALL));
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let collector = Arc::clone(&collector);
            tokio::spawn(async move { collector.accept(Transport::Http, LIST, spans()).await })
        })
        .collect();
    while collector.metrics().snapshot(Transport::Http).messages < 3 {
        tokio::task::yield_now().await;
    }
    let counts = accept(&collector, Transport::Http, spans()).await;
    assert_eq!(ends(&counts), (4, 1, vec!["requests_in_flight"]));
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn the_servers_own_spans_are_not_sampled_again_and_may_overflow() {
    let none = Sampler::new(0.0).unwrap();
    let collector = collector(Conduct::Takes, none);
    let counts = accept(&collector, Transport::Http, spans()).await;
    assert_eq!(
        (counts.spans, counts.spans_dropped, counts.store_time.count()),
        (2, 2, 0)
    );
    let counts = accept(&collector, Transport::Local, spans()).await;
    assert_eq!(
        (counts.spans, counts.spans_dropped, counts.store_time.count()),
        (2, 0, 1)
    );
    collector.metrics().overflowed(Transport::Local, 7);
    let counts = collector.metrics().snapshot(Transport::Local);
    assert_eq!((counts.messages, counts.spans, counts.spans_dropped), (1, 9, 7));
}

#[tokio::test]
async fn a_store_without_room_is_not_given_what_was_decoded_for_nothing() {
    let full = collector(Conduct::HasNoRoom, Sampler::ALL);
    let refusal = full.accept(Transport::Http, LIST, spans()).await.unwrap_err();
    assert!(
        matches!(&refusal, Refusal::Overloaded(Reason::Storage, why) if why.contains(FULL)),
        "{refusal}"
    );
    let counts = full.metrics().snapshot(Transport::Http);
    assert_eq!(ends(&counts), (1, 1, vec!["storage"]));
    assert_eq!(
        (counts.messages_dropped, counts.spans, counts.decode_time.count()),
        (1, 0, 0)
    );
    assert!(
        full.accept(Transport::Http, LIST, Bytes::new()).await.is_ok(),
        "a probe needs no room"
    );
}

#[tokio::test]
async fn a_sender_waits_where_the_store_says_so_and_is_not_refused() {
    const WAIT: Duration = Duration::from_millis(30);
    let soon = collector(Conduct::HasRoomSoon(WAIT), Sampler::ALL);
    let begin = Instant::now();
    soon.accept(Transport::Http, LIST, spans()).await.unwrap();
    assert!(begin.elapsed() >= WAIT);
    let begin = Instant::now();
    soon.accept(Transport::Http, LIST, Bytes::new()).await.unwrap();
    assert!(begin.elapsed() < WAIT, "a probe does not wait");
}

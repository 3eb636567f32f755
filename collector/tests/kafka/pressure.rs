//! A store that takes nothing for a while.

use collector::Limits;
use storage::StorageError;

use crate::harness::{Broker, Member, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_pauses_the_consumer_and_loses_nothing() {
    let broker = Broker::new(2);
    let member = Member::start(broker.config());
    member
        .sink
        .fail(Some(StorageError::Unavailable("disk is away".to_owned())));
    broker.produce_spans(1..301, 2).await;
    eventually("it pauses", || member.kafka.health().paused).await;
    eventually("messages are tried again", || member.kafka.stats().retries > 10).await;
    assert_eq!((broker.committed(0), member.counts().messages), (None, 0));
    assert_eq!(member.kafka.health().error, None, "Kafka is well");

    member.sink.fail(None);
    eventually("all are stored", || member.sink.stored().len() == 300).await;
    eventually("all are committed", || {
        (broker.committed(0), broker.committed(1)) == (Some(150), Some(150))
    })
    .await;
    eventually("it goes on", || !member.kafka.health().paused).await;
    assert!(member.sink.stored().values().all(|times| *times == 1));
    let counts = member.counts();
    assert_eq!((counts.messages, counts.spans), (300, 300));
    assert_eq!((counts.messages_dropped, counts.spans_dropped), (0, 0));
    assert!(!member.kafka.stats().paused.is_zero());
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_taken_than_may_be_in_flight() {
    let limits = Limits {
        requests_in_flight_max: 20,
        ..Limits::default()
    };
    let broker = Broker::new(1);
    let member = Member::with_limits(broker.config(), limits);
    member.sink.hold_below(u64::MAX);
    broker.produce_spans(1..101, 1).await;
    eventually("it pauses", || member.kafka.health().paused).await;
    assert_eq!(member.sink.offered(), 10);
    member.sink.hold_below(0);
    eventually("all are committed", || broker.committed(0) == Some(100)).await;
    assert!(member.sink.stored().len() == 100 && member.sink.stored().values().all(|times| *times == 1));
    member.stop().await;
}

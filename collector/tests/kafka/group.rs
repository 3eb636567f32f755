//! Members that come and go.

use std::collections::HashMap;
use std::time::Duration;

use crate::harness::{Broker, Member, eventually};

const PARTITIONS: u64 = 4;

/// What is produced at one time while members come and go.
const SOME: u64 = 20;

/// With a pause, so that members are not kept from the processor: the broker of these tests gives them 5 s to join again.
async fn produce_some(broker: &Broker, first: u64) {
    broker.produce_spans(first..first + SOME, PARTITIONS).await;
    tokio::time::sleep(Duration::from_millis(2)).await;
}

fn assigned(member: &Member) -> usize {
    member.kafka.stats().assigned
}

/// How often each span was stored, by all of them.
fn stored(members: &[&Member]) -> HashMap<u64, usize> {
    let mut all = HashMap::new();
    for (id, times) in members.iter().flat_map(|member| member.sink.stored()) {
        *all.entry(id).or_default() += times;
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn members_share_partitions_as_they_come_and_go_and_store_everything_once() {
    let broker = Broker::new(PARTITIONS as i32);
    let first = Member::start(broker.config());
    eventually("the first has all", || assigned(&first) == 4).await;
    broker.produce_spans(1..1001, PARTITIONS).await;

    let second = Member::start(broker.config());
    let mut next = 1001;
    while (assigned(&first), assigned(&second)) != (2, 2) {
        produce_some(&broker, next).await;
        next += SOME;
        assert!(next < 1_000_000, "the second gets nothing");
    }
    broker.produce_spans(next..next + 1000, PARTITIONS).await;
    next += 1000;
    eventually("the second stores some", || !second.sink.stored().is_empty()).await;

    let (of_second, monitor) = (std::sync::Arc::clone(&second.sink), second.kafka.monitor());
    let stopping = tokio::spawn(second.stop());
    while !stopping.is_finished() {
        produce_some(&broker, next).await;
        next += SOME;
    }
    stopping.await.unwrap();
    eventually("the first has all again", || assigned(&first) == 4).await;
    broker.produce_spans(next..next + 1000, PARTITIONS).await;
    next += 1000;
    let all = || {
        let mut all = stored(&[&first]);
        for (id, times) in of_second.stored() {
            *all.entry(id).or_default() += times;
        }
        all
    };
    eventually("everything is stored", || all().len() as u64 == next - 1).await;
    let again: usize = all().values().map(|times| times - 1).sum();
    let stats = (first.kafka.stats(), monitor.stats());
    assert_eq!(
        again, 0,
        "members that leave in order commit what they stored: {stats:?}"
    );
    first.stop().await;
    let committed: i64 = (0..PARTITIONS as i32)
        .map(|number| broker.committed(number).unwrap())
        .sum();
    assert_eq!(committed as u64, next - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_on_their_way_are_stored_before_their_partition_is_given_up() {
    let broker = Broker::new(2);
    let first = Member::start(broker.config());
    eventually("the first has all", || assigned(&first) == 2).await;
    first.sink.hold_below(u64::MAX);
    broker.produce_spans(1..21, 2).await;
    eventually("they are on their way", || first.sink.offered() == 20).await;
    let second = Member::start(broker.config());
    // It is asked to give up one partition, and waits for its messages.
    eventually("the group is balanced anew", || {
        first.kafka.stats().rebalances >= 2
    })
    .await;
    first.sink.hold_below(0);
    eventually("they share", || (assigned(&first), assigned(&second)) == (1, 1)).await;
    broker.produce_spans(21..41, 2).await;
    eventually("all are stored", || stored(&[&first, &second]).len() == 40).await;
    let again = stored(&[&first, &second]).values().any(|times| *times > 1);
    // On a busy machine the group goes on without it: then the broker refuses its commit, and they are read again.
    let refused = first.kafka.stats().commit_failures > 0;
    assert!(
        !again || refused,
        "{:?} {:?}",
        first.kafka.stats(),
        first.kafka.health()
    );
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_consumers_of_one_server_share_partitions_too() {
    let broker = Broker::new(2);
    let mut config = broker.config();
    config.streams = 2;
    let member = Member::start(config);
    broker.produce_spans(1..101, 2).await;
    eventually("all are committed", || {
        (broker.committed(0), broker.committed(1)) == (Some(50), Some(50))
    })
    .await;
    assert_eq!((member.sink.stored().len(), member.counts().messages), (100, 100));
    assert_eq!(member.kafka.health().assigned, ["zipkin-0", "zipkin-1"]);
    member.stop().await;
}

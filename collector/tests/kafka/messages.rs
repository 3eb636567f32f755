//! What messages hold, and what is committed of them.

use proto::Format;

use crate::harness::{Broker, Member, eventually, message, span};

#[tokio::test(flavor = "multi_thread")]
async fn every_format_and_a_single_thrift_span_are_stored() {
    let broker = Broker::new(1);
    let formats = [Format::JsonV2, Format::JsonV1, Format::Thrift, Format::Proto3];
    for (format, id) in formats.into_iter().zip(1..) {
        broker.produce(0, Some(&proto::encode(format, &[span(id)]))).await;
    }
    // A list is the type of its elements, their number and the elements.
    let single = &proto::encode(Format::Thrift, &[span(5)])[5..];
    broker.produce(0, Some(single)).await;
    let member = Member::start(broker.config());
    eventually("all five are stored", || member.sink.stored().len() == 5).await;
    eventually("all five are committed", || broker.committed(0) == Some(5)).await;
    let counts = member.counts();
    assert_eq!(
        (counts.messages, counts.spans, counts.messages_dropped),
        (5, 5, 0)
    );
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_spans_is_counted_and_the_next_message_is_stored() {
    let broker = Broker::new(1);
    for value in [
        None,
        Some(&b""[..]),
        Some(b"["),
        Some(b"not spans"),
        Some(b"\x0a\x05\x0a"),
    ] {
        broker.produce(0, value).await;
    }
    broker.produce(0, Some(&message(7))).await;
    let member = Member::start(broker.config());
    eventually("the good one is committed", || broker.committed(0) == Some(6)).await;
    assert_eq!(member.sink.stored().into_iter().collect::<Vec<_>>(), [(7, 1)]);
    let (stats, counts) = (member.kafka.stats(), member.counts());
    assert_eq!(
        (stats.skipped_null, stats.skipped_empty, stats.put_aside),
        (1, 1, 3)
    );
    assert_eq!((counts.messages, counts.messages_dropped), (6, 3));
    assert_eq!((stats.assigned, stats.lag), (1, 0));
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_committed_before_all_before_it_is_stored() {
    let broker = Broker::new(1);
    broker.produce_spans(1..4, 1).await;
    let member = Member::start(broker.config());
    // The first message waits, the other two do not.
    member.sink.hold_below(2);
    eventually("two are stored", || member.sink.stored().len() == 2).await;
    eventually("lag is known", || member.kafka.stats().lag == 3).await;
    let sink = std::sync::Arc::clone(&member.sink);
    assert!(!member.kafka.stop(std::time::Duration::ZERO).await || broker.committed(0).is_none());
    assert_eq!(broker.committed(0), None);
    sink.hold_below(0);

    // Whoever reads next gets all of them.
    let next = Member::start(broker.config());
    eventually("all are committed", || broker.committed(0) == Some(3)).await;
    let mut stored: Vec<_> = next.sink.stored().into_iter().collect();
    stored.sort_unstable();
    assert_eq!(stored, [(1, 1), (2, 1), (3, 1)]);
    eventually("lag is gone", || next.kafka.stats().lag == 0).await;
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_is_stored_and_committed_before_the_end() {
    let broker = Broker::new(1);
    broker.produce_spans(1..11, 1).await;
    let member = Member::start(broker.config());
    member.sink.hold_below(100);
    eventually("all are taken", || member.sink.offered() == 10).await;
    let sink = std::sync::Arc::clone(&member.sink);
    let stopping = tokio::spawn(member.stop());
    sink.hold_below(0);
    stopping.await.unwrap();
    assert_eq!((sink.stored().len(), broker.committed(0)), (10, Some(10)));
}

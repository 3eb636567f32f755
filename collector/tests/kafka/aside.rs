//! Messages that can never be stored.

use collector::Limits;
use collector::kafka::KafkaConfig;
use proto::Format;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, OwnedHeaders, OwnedMessage};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::harness::{Broker, Member, client, eventually, message, span};

const DEAD_LETTERS: &str = "zipkin-dead";

fn with_dead_letters(broker: &Broker) -> KafkaConfig {
    broker.cluster.create_topic(DEAD_LETTERS, 1, 1).unwrap();
    KafkaConfig {
        dead_letter_topic: Some(DEAD_LETTERS.to_owned()),
        ..broker.config()
    }
}

/// The next message of the topic for dead letters, from its begin.
async fn dead_letter(broker: &Broker) -> OwnedMessage {
    let mut config = client(&broker.cluster);
    config
        .set("group.id", "reader")
        .set("auto.offset.reset", "earliest");
    let reader: BaseConsumer = config.create().unwrap();
    reader.subscribe(&[DEAD_LETTERS]).unwrap();
    let mut found = None;
    eventually("a dead letter is there", || {
        let polled = reader.poll(std::time::Duration::from_millis(100));
        found = polled.map(|message| message.unwrap().detach());
        found.is_some()
    })
    .await;
    found.unwrap()
}

fn texts(headers: &OwnedHeaders) -> Vec<(String, String)> {
    let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
    headers
        .iter()
        .map(|header| (header.key.to_owned(), text(header.value)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_the_whole_message_and_says_where_it_was_and_why() {
    let broker = Broker::new(1);
    broker.produce(0, Some(&message(1))).await;
    let headers = OwnedHeaders::new().insert(Header {
        key: "b3",
        value: Some("0"),
    });
    broker
        .produce_with(0, Some(b"a key"), Some(b"not spans"), headers)
        .await;
    let member = Member::start(with_dead_letters(&broker));
    let letter = dead_letter(&broker).await;
    assert_eq!(
        (letter.key(), letter.payload()),
        (Some(&b"a key"[..]), Some(&b"not spans"[..]))
    );
    let expected = [
        ("b3", "0"),
        ("tracehound.topic", "zipkin"),
        ("tracehound.partition", "0"),
        ("tracehound.offset", "1"),
        ("tracehound.reason", "Expected a list of spans"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(texts(letter.headers().unwrap()), expected);
    eventually("it is committed", || broker.committed(0) == Some(2)).await;
    let stats = member.kafka.stats();
    assert_eq!((stats.dead_lettered, stats.put_aside), (1, 0));
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_is_refused_is_sent_again_and_committed_afterwards() {
    let broker = Broker::new(1);
    broker.produce(0, Some(b"not spans")).await;
    broker.produce(0, Some(&message(2))).await;
    // librdkafka itself does not try these again.
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 3];
    broker.cluster.request_errors(RDKafkaApiKey::Produce, &refused);
    let member = Member::start(with_dead_letters(&broker));
    eventually("the one after it is stored", || member.sink.stored().len() == 1).await;
    eventually("both are committed", || {
        let committed = broker.committed(0);
        let dead_lettered = member.kafka.stats().dead_lettered;
        assert!(
            committed.is_none() || dead_lettered == 1,
            "committed before it was delivered"
        );
        committed == Some(2)
    })
    .await;
    assert_eq!(dead_letter(&broker).await.payload(), Some(&b"not spans"[..]));
    // librdkafka may refuse one more by itself, before it asks for the topic again.
    assert!(member.kafka.stats().dead_letter_failures >= 3);
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_beyond_a_bound_are_put_aside() {
    let limits = Limits {
        body_bytes_max: 1000,
        message_spans_max: 2,
        ..Limits::default()
    };
    let broker = Broker::new(1);
    let mut long = span(4);
    long.name = Some("a".repeat(1000));
    broker
        .produce(0, Some(&proto::encode(Format::Proto3, &[long])))
        .await;
    let three: Vec<u8> = (1..4).flat_map(message).collect();
    broker.produce(0, Some(&three)).await;
    broker.produce(0, Some(&message(5))).await;
    let member = Member::with_limits(broker.config(), limits);
    eventually("all are committed", || broker.committed(0) == Some(3)).await;
    assert_eq!(member.sink.stored().into_keys().collect::<Vec<_>>(), [5]);
    let counts = member.counts();
    assert_eq!(member.kafka.stats().put_aside, 2);
    assert_eq!((counts.messages, counts.messages_dropped), (3, 2));
    member.stop().await;
}

//! Brokers that are away, and configurations that cannot work.

use std::sync::Arc;

use collector::kafka::KafkaCollector;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tokio::runtime::Handle;

use crate::harness::{Broker, Member, eventually};

const ALL_BROKERS: i32 = -1;

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_at_the_start_is_waited_for() {
    let broker = Broker::new(1);
    broker.produce_spans(1..11, 1).await;
    broker.cluster.broker_down(ALL_BROKERS).unwrap();
    let member = Member::start(broker.config());
    let error = member.kafka.health().error.unwrap();
    assert!(error.starts_with("no broker answers"), "{error}");
    eventually("the reason is told", || member.kafka.health().trouble.is_some()).await;
    broker.cluster.broker_up(ALL_BROKERS).unwrap();
    eventually("all are stored", || member.sink.stored().len() == 10).await;
    eventually("it is well", || member.kafka.health().error.is_none()).await;
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_goes_away_is_met_again() {
    let broker = Broker::new(1);
    let member = Member::start(broker.config());
    broker.produce_spans(1..11, 1).await;
    eventually("all are stored", || member.sink.stored().len() == 10).await;
    eventually("it is well", || member.kafka.health().error.is_none()).await;
    broker.cluster.broker_down(ALL_BROKERS).unwrap();
    eventually("that is told", || {
        member
            .kafka
            .health()
            .error
            .is_some_and(|error| error.starts_with("no broker answers"))
    })
    .await;
    broker.cluster.broker_up(ALL_BROKERS).unwrap();
    broker.produce_spans(11..21, 1).await;
    eventually("all are committed", || broker.committed(0) == Some(20)).await;
    eventually("it is well again", || member.kafka.health().error.is_none()).await;
    assert_eq!(member.sink.stored().len(), 20);
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_not_there_yet_is_waited_for() {
    let broker = Broker::new(1);
    let mut config = broker.config();
    config.topics = vec!["later".to_owned()];
    config
        .properties
        .push(("topic.metadata.refresh.interval.ms".to_owned(), "200".to_owned()));
    // The mock makes every topic that it is asked for, unless the topic has an error.
    let missing = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    broker.cluster.create_topic("later", 1, 1).unwrap();
    broker.cluster.topic_error("later", missing).unwrap();
    let member = Member::start(config);
    eventually("that is told", || member.kafka.health().trouble.is_some()).await;
    eventually("it is well", || member.kafka.health().error.is_none()).await;
    let found = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
    broker.cluster.topic_error("later", found).unwrap();
    eventually("it is read", || member.kafka.health().assigned == ["later-0"]).await;
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_makes_its_reader_fail_does_not_stop_the_others() {
    let broker = Broker::new(1);
    let member = Member::start(broker.config());
    member.sink.panic_at(2);
    broker.produce_spans(1..4, 1).await;
    eventually("all are committed", || broker.committed(0) == Some(3)).await;
    assert_eq!(
        (member.sink.stored().len(), member.kafka.stats().put_aside),
        (2, 1)
    );
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_is_made_again() {
    let broker = Broker::new(1);
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE; 2];
    broker
        .cluster
        .request_errors(RDKafkaApiKey::OffsetCommit, &refused);
    let member = Member::start(broker.config());
    broker.produce_spans(1..11, 1).await;
    eventually("it is committed", || broker.committed(0) == Some(10)).await;
    let stats = member.kafka.stats();
    assert_eq!((stats.commit_failures, stats.commits), (2, 3));
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_cannot_work_is_refused_in_librdkafkas_words_and_without_secrets() {
    let broker = Broker::new(1);
    let member = Member::start(broker.config());
    let mut config = broker.config();
    for (name, value) in [
        ("security.protocol", "sasl_ssl"),
        ("sasl.mechanisms", "SCRAM-SHA-256"),
        ("sasl.username", "tracehound"),
        ("sasl.password", "hush"),
        ("ssl.ca.location", "/no/such/file.pem"),
    ] {
        config.properties.push((name.to_owned(), value.to_owned()));
    }
    assert!(!format!("{config:?}").contains("hush"));
    let error = KafkaCollector::start(config, Arc::clone(&member.collector), Handle::current()).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("ssl.ca.location failed") && !error.contains("hush"),
        "{error}"
    );
    member.stop().await;
}

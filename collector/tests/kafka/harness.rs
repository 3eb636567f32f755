//! A broker, a sink that can be held back or fail, and what is asked of both.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use collector::kafka::{KafkaCollector, KafkaConfig};
use collector::{Collector, Limits, Sampler, Snapshot, Transport};
use model::{Span, SpanBatch};
use proto::Format;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::OwnedHeaders;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use storage::{BoxFuture, SpanSink, StorageError};
use tokio::runtime::Handle;
use tokio::sync::watch;

pub(crate) const TOPIC: &str = "zipkin";
pub(crate) const GROUP: &str = "zipkin";

/// No condition takes longer, whatever else the machine does.
const PATIENCE: Duration = Duration::from_secs(60);

/// Keeps identifiers of what it gets; holds back, or fails, as told.
#[derive(Debug)]
pub(crate) struct TestSink {
    stored: Mutex<Vec<u64>>,
    failure: Mutex<Option<StorageError>>,
    /// Batches with a span of an identifier below this one wait.
    held_below: watch::Sender<u64>,
    offered: AtomicUsize,
    /// A batch with a span of this identifier is a bug.
    panics_at: AtomicU64,
}

impl TestSink {
    fn new() -> Self {
        Self {
            stored: Mutex::default(),
            failure: Mutex::default(),
            held_below: watch::channel(0).0,
            offered: AtomicUsize::new(0),
            panics_at: AtomicU64::new(0),
        }
    }

    /// Batches with a span of an identifier below this one wait until told otherwise.
    pub(crate) fn hold_below(&self, id: u64) {
        self.held_below.send_replace(id);
    }

    /// Makes a batch with a span of this identifier a bug.
    pub(crate) fn panic_at(&self, id: u64) {
        self.panics_at.store(id, Ordering::Relaxed);
    }

    pub(crate) fn fail(&self, failure: Option<StorageError>) {
        *self.failure.lock().unwrap() = failure;
    }

    /// How often each span was stored, by identifier.
    pub(crate) fn stored(&self) -> HashMap<u64, usize> {
        let mut times = HashMap::new();
        for id in self.stored.lock().unwrap().iter() {
            *times.entry(*id).or_default() += 1;
        }
        times
    }

    /// Batches that came, stored or not.
    pub(crate) fn offered(&self) -> usize {
        self.offered.load(Ordering::Relaxed)
    }
}

impl SpanSink for TestSink {
    fn accept<'a>(&'a self, batch: &'a SpanBatch) -> BoxFuture<'a, storage::Result<()>> {
        Box::pin(async move {
            let ids: Vec<u64> = batch.iter().map(|span| span.id().value()).collect();
            self.offered.fetch_add(1, Ordering::Relaxed);
            let bug = self.panics_at.load(Ordering::Relaxed);
            assert!(!ids.contains(&bug), "a bug, as asked for");
            let mut held_below = self.held_below.subscribe();
            let free = held_below.wait_for(|below| ids.iter().all(|id| id >= below));
            free.await.unwrap();
            if let Some(failure) = self.failure.lock().unwrap().clone() {
                return Err(failure);
            }
            self.stored.lock().unwrap().extend(ids);
            Ok(())
        })
    }
}

/// A broker with one topic of so many partitions.
pub(crate) struct Broker {
    pub(crate) cluster: MockCluster<'static, DefaultProducerContext>,
    producer: FutureProducer,
}

impl Broker {
    pub(crate) fn new(partitions: i32) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(TOPIC, partitions, 1).unwrap();
        let producer = client(&cluster).create().unwrap();
        Self { cluster, producer }
    }

    pub(crate) fn config(&self) -> KafkaConfig {
        let property = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        KafkaConfig {
            bootstrap_servers: self.cluster.bootstrap_servers(),
            topics: vec![TOPIC.to_owned()],
            group_id: GROUP.to_owned(),
            streams: 1,
            dead_letter_topic: None,
            properties: vec![
                property("session.timeout.ms", "6000"),
                property("heartbeat.interval.ms", "200"),
                property("reconnect.backoff.max.ms", "200"),
            ],
        }
    }

    /// Produces one message, and waits until the broker has it.
    pub(crate) async fn produce(&self, partition: i32, value: Option<&[u8]>) {
        self.produce_with(partition, None, value, OwnedHeaders::new())
            .await;
    }

    pub(crate) async fn produce_with(
        &self,
        partition: i32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: OwnedHeaders,
    ) {
        let mut record = FutureRecord::<[u8], [u8]>::to(TOPIC)
            .partition(partition)
            .headers(headers);
        record.key = key;
        record.payload = value;
        self.producer.send(record, PATIENCE).await.unwrap();
    }

    /// Produces messages of one span each, with these identifiers, in turns to so many partitions.
    pub(crate) async fn produce_spans(&self, ids: std::ops::Range<u64>, partitions: u64) {
        let deliveries: Vec<_> = ids
            .map(|id| {
                let value = message(id);
                let record = FutureRecord::<[u8], [u8]>::to(TOPIC)
                    .partition((id % partitions) as i32)
                    .payload(&value);
                self.producer
                    .send_result(record)
                    .map_err(|(error, _)| error)
                    .unwrap()
            })
            .collect();
        for delivery in deliveries {
            delivery.await.unwrap().unwrap();
        }
    }

    /// What the group has committed of a partition, if anything.
    pub(crate) fn committed(&self, partition: i32) -> Option<i64> {
        let asking: BaseConsumer = client(&self.cluster).set("group.id", GROUP).create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition(TOPIC, partition);
        let committed = asking.committed_offsets(list, PATIENCE).unwrap();
        match committed.find_partition(TOPIC, partition).unwrap().offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    }
}

pub(crate) fn client(cluster: &MockCluster<'static, DefaultProducerContext>) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap_servers());
    config
}

/// A span of this identifier.
pub(crate) fn span(id: u64) -> Span {
    let mut batch = SpanBatch::new();
    let list =
        format!(r#"[{{"traceId":"{id:x}","id":"{id:x}","name":"get","timestamp":1,"kind":"CLIENT"}}]"#);
    proto::decode(Format::JsonV2, list.as_bytes(), &mut batch).unwrap();
    batch.get(0).to_span()
}

/// A message of one such span.
pub(crate) fn message(id: u64) -> Vec<u8> {
    proto::encode(Format::Proto3, &[span(id)])
}

/// A server as far as Kafka concerns it.
pub(crate) struct Member {
    pub(crate) sink: Arc<TestSink>,
    pub(crate) collector: Arc<Collector>,
    pub(crate) kafka: KafkaCollector,
}

impl Member {
    pub(crate) fn start(config: KafkaConfig) -> Self {
        Self::with_sink(config, Arc::new(TestSink::new()), Limits::default())
    }

    pub(crate) fn with_limits(config: KafkaConfig, limits: Limits) -> Self {
        Self::with_sink(config, Arc::new(TestSink::new()), limits)
    }

    pub(crate) fn with_sink(config: KafkaConfig, sink: Arc<TestSink>, limits: Limits) -> Self {
        let collector = Arc::new(Collector::new(
            Arc::clone(&sink) as Arc<dyn SpanSink>,
            Sampler::ALL,
            limits,
        ));
        let kafka = KafkaCollector::start(config, Arc::clone(&collector), Handle::current()).unwrap();
        Self {
            sink,
            collector,
            kafka,
        }
    }

    pub(crate) fn counts(&self) -> Snapshot {
        self.collector.metrics().snapshot(Transport::Kafka)
    }

    /// Stops it with all the time it needs.
    pub(crate) async fn stop(self) {
        assert!(self.kafka.stop(PATIENCE).await);
    }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    let begin = Instant::now();
    async move {
        while !is_so() {
            assert!(begin.elapsed() < PATIENCE, "not in time at {place}: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

//! What waits on the broker: the workload as proto3 lists, as zipkin-reporter's sender writes them.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;
use model::{Span, TraceId};
use proto::Format;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::Options;
use super::broker::{Broker, TOPIC};
use crate::workload::Workload;

/// One trace of so many is remembered, to be compared with what is stored.
const TRACES_FOR_ONE: u64 = 1024;
const FLUSH_MAX: Duration = Duration::from_secs(60);
const ROOM_EVERY: Duration = Duration::from_millis(20);

/// Written and acknowledged.
#[derive(Debug)]
pub(super) struct Backlog {
    pub(super) spans: u64,
    pub(super) records: u64,
    pub(super) bytes: u64,
    /// All spans of some traces.
    pub(super) remembered: HashMap<TraceId, Vec<Span>>,
}

impl Backlog {
    /// Writes the backlog, and counts what the broker then has.
    ///
    /// # Errors
    /// Where the broker does not take it all.
    pub(super) fn write(broker: &Broker, options: &Options) -> anyhow::Result<Self> {
        let producer: BaseProducer = broker
            .client()
            .set("linger.ms", "20")
            .set("batch.size", "1000000")
            .create()?;
        let mut backlog = Self {
            spans: 0,
            records: 0,
            bytes: 0,
            remembered: HashMap::new(),
        };
        let mut batches = Workload::reference(options.common.seed).batches(options.spans_per_record);
        while backlog.spans < options.spans {
            let batch = batches.next().context("the workload has no end")?;
            let list = proto::encode(Format::Proto3, &batch);
            send(&producer, &list)?;
            backlog.spans += batch.len() as u64;
            backlog.records += 1;
            backlog.bytes += list.len() as u64;
            for span in batch {
                if (span.trace_id.low() >> 1).is_multiple_of(TRACES_FOR_ONE) {
                    backlog.remembered.entry(span.trace_id).or_default().push(span);
                }
            }
        }
        producer.flush(FLUSH_MAX)?;
        let written = broker.records()?;
        anyhow::ensure!(
            written == backlog.records,
            "{} records were sent, the broker has {written}",
            backlog.records
        );
        Ok(backlog)
    }
}

fn send(producer: &BaseProducer, list: &[u8]) -> anyhow::Result<()> {
    let mut record = BaseRecord::<(), [u8]>::to(TOPIC).payload(list);
    loop {
        match producer.send(record) {
            Ok(()) => break,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), unsent)) => {
                record = unsent;
                producer.poll(ROOM_EVERY);
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
    producer.poll(Duration::ZERO);
    Ok(())
}

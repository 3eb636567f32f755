//! Reading alone: what a consumer gets that does nothing with what it reads.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde::Serialize;

use super::backlog::Backlog;
use super::broker::{Broker, TOPIC};
use crate::process::Usage;

const POLL: Duration = Duration::from_millis(100);
/// Longer than a group takes to form and a backlog to read.
const PATIENCE: Duration = Duration::from_secs(300);

/// What it came to.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Reading {
    /// From the first record to the last.
    pub(super) seconds: f64,
    pub(super) spans_per_second: f64,
    pub(super) reader_cpu_ns_per_span: f64,
    pub(super) broker_cpu_ns_per_span: f64,
}

/// When reading began, and what had been used by then.
struct Begin {
    at: Instant,
    own: Usage,
    broker: Usage,
}

/// Reads the whole backlog once.
///
/// # Errors
/// Where it cannot be read.
pub(super) fn measure(
    broker: &Broker,
    backlog: &Backlog,
    streams: usize,
    round: usize,
) -> anyhow::Result<Reading> {
    let group = format!("reader-{round}");
    let consumers = (0..streams)
        .map(|_| {
            let consumer: BaseConsumer = broker
                .client()
                .set("group.id", &group)
                .set("auto.offset.reset", "earliest")
                .set("enable.auto.commit", "false")
                .create()?;
            consumer.subscribe(&[TOPIC])?;
            Ok(consumer)
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let progress = Progress {
        records: backlog.records,
        read: AtomicU64::new(0),
        end: OnceLock::new(),
    };
    let begin = std::thread::scope(|scope| {
        for consumer in &consumers {
            scope.spawn(|| progress.read(consumer));
        }
        await_first(broker, &progress.read)
    })?;
    let (own, of_broker) = (Usage::own()?, Usage::of(broker.id())?);
    let read = progress.read.load(Ordering::Relaxed);
    let end = progress
        .end
        .into_inner()
        .with_context(|| format!("{read} records were read, not {}", backlog.records))?;
    let elapsed = end - begin.at;
    let spans = backlog.spans as f64;
    Ok(Reading {
        seconds: elapsed.as_secs_f64(),
        spans_per_second: spans / elapsed.as_secs_f64(),
        reader_cpu_ns_per_span: (own.cpu - begin.own.cpu).as_nanos() as f64 / spans,
        broker_cpu_ns_per_span: (of_broker.cpu - begin.broker.cpu).as_nanos() as f64 / spans,
    })
}

fn await_first(broker: &Broker, read: &AtomicU64) -> anyhow::Result<Begin> {
    let waiting_since = Instant::now();
    while read.load(Ordering::Relaxed) == 0 && waiting_since.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(Begin {
        at: Instant::now(),
        own: Usage::own()?,
        broker: Usage::of(broker.id())?,
    })
}

/// How far the consumers are.
struct Progress {
    /// What there is to read.
    records: u64,
    read: AtomicU64,
    /// When the last one was read.
    end: OnceLock<Instant>,
}

impl Progress {
    /// Reads until all consumers together have read everything. Errors come while a group forms; one that stays is
    /// found by the count.
    fn read(&self, consumer: &BaseConsumer) {
        let begin = Instant::now();
        while self.end.get().is_none() && begin.elapsed() < PATIENCE {
            if let Some(Ok(record)) = consumer.poll(POLL)
                && record.payload().is_some()
                && self.read.fetch_add(1, Ordering::Relaxed) + 1 == self.records
            {
                self.end.get_or_init(Instant::now);
            }
        }
    }
}

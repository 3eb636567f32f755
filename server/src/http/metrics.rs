//! What `/prometheus` says: Zipkin's names for what Zipkin has, `tracehound_` for what only we have, and the
//! usual `process_`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use collector::{Collector, Reason, Snapshot, Transport};
use prometheus_client::collector::Collector as Scraped;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use storage::{DurationHistogram, DurationSnapshot};

use super::process::ProcessMetrics;

/// Seconds. From a POST that only appends to the journal, to a question that times out.
const REQUEST_BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// A number that a part tells about itself. Those of one name follow each other, each with other labels.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// Begins with `tracehound_`.
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) kind: FigureKind,
    /// Of a bounded number of values each.
    pub(crate) labels: Vec<(&'static str, String)>,
    pub(crate) value: f64,
}

/// What may be done with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FigureKind {
    /// Goes up and down.
    Gauge,
    /// Goes up since the start; `_total` is added to its name.
    Counter,
}

/// A number without labels: its name, help, what may be done with it, and which of a part's numbers it is.
pub(crate) type FigureRow<S> = (&'static str, &'static str, FigureKind, fn(&S) -> f64);

/// What rows say of the numbers of a part.
pub(crate) fn figures<S>(rows: &[FigureRow<S>], stats: &S) -> Vec<Figure> {
    let figure = |&(name, help, kind, value): &FigureRow<S>| Figure {
        name,
        help,
        kind,
        labels: Vec::new(),
        value: value(stats),
    };
    rows.iter().map(figure).collect()
}

/// Asks a part for its numbers, at every scrape.
pub(crate) type FigureSource = Arc<dyn Fn() -> Vec<Figure> + Send + Sync>;

/// How long something takes that a part does.
#[derive(Clone, Debug)]
pub(crate) struct Timing {
    /// Begins with `tracehound_`; `_seconds` is added.
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) histogram: Arc<DurationHistogram>,
}

/// Everything that is counted, ready to be written.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    status: u16,
    uri: String,
}

impl Metrics {
    /// Of a collector and of parts that tell their own numbers.
    pub(crate) fn new(collector: Arc<Collector>, parts: Vec<FigureSource>) -> Self {
        let mut registry = Registry::default();
        let requests: Family<RequestLabels, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(REQUEST_BUCKETS));
        let help = "Requests answered, and how long the answers took to begin";
        registry.register_with_unit("http_server_requests", help, Unit::Seconds, requests.clone());
        registry.register_collector(Box::new(CollectorMetrics { collector }));
        registry.register_collector(Box::new(PartMetrics { parts }));
        registry.register_collector(Box::new(ProcessMetrics::default()));
        Self { registry, requests }
    }

    /// With what parts time.
    pub(crate) fn timed(mut self, timings: Vec<Timing>) -> Self {
        self.registry
            .register_collector(Box::new(TimingMetrics { timings }));
        self
    }

    /// Counts a request.
    pub(super) fn request(&self, method: &'static str, status: u16, uri: String, took: Duration) {
        let labels = RequestLabels { method, status, uri };
        self.requests.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// All of it, as OpenMetrics text.
    pub(super) fn write(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// The collector's counts, read when they are asked for.
struct CollectorMetrics {
    collector: Arc<Collector>,
}

impl fmt::Debug for CollectorMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectorMetrics").finish_non_exhaustive()
    }
}

/// Name, help, and which of the counts it is.
type Row = (&'static str, &'static str, fn(&Snapshot) -> u64);

const COUNTERS: [Row; 6] = [
    ("zipkin_collector_messages", "Messages received", |counts| {
        counts.messages
    }),
    (
        "zipkin_collector_messages_dropped",
        "Messages refused",
        |counts| counts.messages_dropped,
    ),
    (
        "zipkin_collector_bytes",
        "Bytes of lists of spans, inflated",
        |counts| counts.bytes,
    ),
    ("zipkin_collector_spans", "Spans received", |counts| counts.spans),
    (
        "zipkin_collector_spans_dropped",
        "Spans sampled out, refused by the store, or rejected",
        |counts| counts.spans_dropped,
    ),
    (
        "tracehound_collector_spans_rejected",
        "Spans left out of messages that were taken, as their senders were told",
        |counts| counts.spans_rejected,
    ),
];

const GAUGES: [Row; 2] = [
    (
        "zipkin_collector_message_spans",
        "Spans of the last message",
        |counts| counts.message_spans,
    ),
    (
        "zipkin_collector_message_bytes",
        "Bytes of the last message, inflated",
        |counts| counts.message_bytes,
    ),
];

/// The same of what is timed; `_seconds` is added to the name.
type TimingRow = (&'static str, &'static str, fn(&Snapshot) -> &DurationSnapshot);

const TIMINGS: [TimingRow; 2] = [
    (
        "tracehound_collector_decode",
        "Time to inflate and decode a message, the wait for a thread of a long one included",
        |counts| &counts.decode_time,
    ),
    (
        "tracehound_collector_store",
        "Time the store took to take the spans of a message",
        |counts| &counts.store_time,
    ),
];

impl CollectorMetrics {
    fn snapshots(&self) -> Vec<(Transport, Snapshot)> {
        let metrics = self.collector.metrics();
        metrics
            .shown()
            .map(|transport| (transport, metrics.snapshot(transport)))
            .collect()
    }
}

impl Scraped for CollectorMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let snapshots = self.snapshots();
        for (name, help, value) in COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (transport, counts) in &snapshots {
                let labels = [("transport", transport.name())];
                ConstCounter::new(value(counts)).encode(family.encode_family(&labels)?)?;
            }
        }
        for (name, help, value) in GAUGES {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (transport, counts) in &snapshots {
                let labels = [("transport", transport.name())];
                ConstGauge::new(value(counts) as i64).encode(family.encode_family(&labels)?)?;
            }
        }
        for (name, help, timing) in TIMINGS {
            let mut family =
                encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
            for (transport, counts) in &snapshots {
                let labels = [("transport", transport.name())];
                encode_timing(timing(counts), family.encode_family(&labels)?)?;
            }
        }
        let help = "Messages refused, by the rule that refused them";
        let name = "tracehound_collector_refused";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (transport, counts) in &snapshots {
            for reason in Reason::ALL {
                let labels = [("transport", transport.name()), ("reason", reason.name())];
                ConstCounter::new(counts.refused[reason as usize]).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

/// What parts time.
#[derive(Debug)]
struct TimingMetrics {
    timings: Vec<Timing>,
}

impl Scraped for TimingMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for timing in &self.timings {
            let unit = Some(&Unit::Seconds);
            let row = encoder.encode_descriptor(timing.name, timing.help, unit, MetricType::Histogram)?;
            encode_timing(&timing.histogram.snapshot(), row)?;
        }
        Ok(())
    }
}

fn encode_timing(snapshot: &DurationSnapshot, mut row: MetricEncoder<'_>) -> Result<(), fmt::Error> {
    let buckets: Vec<(f64, u64)> = snapshot
        .buckets()
        .map(|(bound, count)| (bound.map_or(f64::INFINITY, |bound| bound.as_secs_f64()), count))
        .collect();
    row.encode_histogram::<NoLabelSet>(snapshot.sum().as_secs_f64(), snapshot.count(), &buckets, None)
}

struct PartMetrics {
    parts: Vec<FigureSource>,
}

impl fmt::Debug for PartMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartMetrics").finish_non_exhaustive()
    }
}

impl Scraped for PartMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for part in &self.parts {
            for family in part().chunk_by(|figure, next| figure.name == next.name) {
                encode_family(&mut encoder, family)?;
            }
        }
        Ok(())
    }
}

/// Figures of one name.
fn encode_family(encoder: &mut DescriptorEncoder<'_>, figures: &[Figure]) -> Result<(), fmt::Error> {
    let Some(first) = figures.first() else {
        return Ok(());
    };
    let kind = match first.kind {
        FigureKind::Gauge => MetricType::Gauge,
        FigureKind::Counter => MetricType::Counter,
    };
    let mut family = encoder.encode_descriptor(first.name, first.help, None, kind)?;
    // A figure without labels is the only one of its name; an empty set of labels would be written as one.
    if first.labels.is_empty() {
        return encode_value(first, family);
    }
    for figure in figures {
        let labels = figure.labels.as_slice();
        encode_value(figure, family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn encode_value(figure: &Figure, row: MetricEncoder<'_>) -> Result<(), fmt::Error> {
    match figure.kind {
        FigureKind::Gauge => ConstGauge::new(figure.value).encode(row),
        FigureKind::Counter => ConstCounter::new(figure.value).encode(row),
    }
}

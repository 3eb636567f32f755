//! What was counted of each transport: the numbers of Zipkin's collector (`zipkin.md` 2.5), and why messages
//! were refused.
//!
//! Zipkin counts a message that it cannot decode twice (in its collector and in its error handler); here every
//! message and every span is counted as dropped at most once. A message refused before its spans are known
//! counts as one dropped message; a batch that the store refused counts as its spans, as in Zipkin.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use storage::{DurationHistogram, DurationSnapshot};

use crate::{Reason, Refusal};

/// How messages come in. Its name is the `transport` of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Transport {
    /// `POST /api/v2/spans` and `/api/v1/spans`.
    Http,
    /// `zipkin.proto3.SpanService/Report`.
    Grpc,
    /// OTLP's `POST /v1/traces`, named as Zipkin's module for it does.
    OtlpHttp,
    /// OTLP's `TraceService/Export`.
    OtlpGrpc,
    /// Records of Kafka topics.
    Kafka,
    /// Messages of a RabbitMQ queue.
    RabbitMq,
    /// Calls of `scribe.Log`.
    Scribe,
    /// Jaeger's `POST /api/traces`.
    JaegerHttp,
    /// Jaeger's `CollectorService/PostSpans`.
    JaegerGrpc,
    /// The server's own requests.
    Local,
}

impl Transport {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Http,
        Self::Grpc,
        Self::OtlpHttp,
        Self::OtlpGrpc,
        Self::Kafka,
        Self::RabbitMq,
        Self::Scribe,
        Self::JaegerHttp,
        Self::JaegerGrpc,
        Self::Local,
    ];

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::OtlpHttp => "otel/http",
            Self::OtlpGrpc => "otel/grpc",
            Self::Kafka => "kafka",
            Self::RabbitMq => "rabbitmq",
            Self::Scribe => "scribe",
            Self::JaegerHttp => "jaeger/http",
            Self::JaegerGrpc => "jaeger/grpc",
            Self::Local => "local",
        }
    }
}

/// Counts since the start, of all transports. Relaxed atomics: each number stands alone.
#[derive(Debug, Default)]
pub struct Metrics {
    transports: [Counts; Transport::ALL.len()],
}

#[derive(Debug, Default)]
struct Counts {
    expected: AtomicBool,
    messages: AtomicU64,
    messages_dropped: AtomicU64,
    bytes: AtomicU64,
    spans: AtomicU64,
    spans_dropped: AtomicU64,
    spans_rejected: AtomicU64,
    message_spans: AtomicU64,
    message_bytes: AtomicU64,
    refused: [AtomicU64; Reason::ALL.len()],
    decode_time: DurationHistogram,
    store_time: DurationHistogram,
}

/// A message that was received and must be accounted for, even if nobody waits for its answer any more.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    metrics: &'a Metrics,
    transport: Transport,
    pub(crate) is_answered: bool,
}

impl<'a> Received<'a> {
    pub(crate) fn count(metrics: &'a Metrics, transport: Transport) -> Self {
        metrics.message(transport);
        Self {
            metrics,
            transport,
            is_answered: false,
        }
    }
}

impl Drop for Received<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.metrics.abandoned(self.transport);
        }
    }
}

/// What was found in one message, for the counts.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Length of the message, inflated; zero until it is decoded.
    pub(crate) bytes: usize,
    /// Spans decoded, before sampling.
    pub(crate) spans: usize,
    pub(crate) sampled_out: usize,
    /// Spans left out and told.
    pub(crate) rejected: usize,
    pub(crate) decode_time: Duration,
    /// `None` where the store was not asked, or did not take the spans.
    pub(crate) store_time: Option<Duration>,
}

/// The counts of one transport at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Messages that arrived, refused ones included.
    pub messages: u64,
    /// Messages refused before their spans were known.
    pub messages_dropped: u64,
    /// Bytes of lists of spans, inflated.
    pub bytes: u64,
    /// Spans decoded, before sampling.
    pub spans: u64,
    /// Spans sampled out, spans that the store refused, and spans rejected.
    pub spans_dropped: u64,
    /// Spans left out of messages that were taken, and told to the sender ([`crate::Accepted`]).
    pub spans_rejected: u64,
    /// Spans of the last message.
    pub message_spans: u64,
    /// Bytes of the last message, inflated.
    pub message_bytes: u64,
    /// Messages refused, a reason, in the order of [`Reason::ALL`].
    pub refused: [u64; Reason::ALL.len()],
    /// How long messages took to inflate and decode whose spans became known. A long one may have waited for a
    /// thread.
    pub decode_time: DurationSnapshot,
    /// How long the store took to take the spans of a message that it took.
    pub store_time: DurationSnapshot,
}

impl Metrics {
    pub(crate) fn message(&self, transport: Transport) {
        add(&self.of(transport).messages, 1);
    }

    /// Counts what was in one message; nothing where its spans were never known.
    pub(crate) fn decoded(&self, transport: Transport, tally: &Tally) {
        if tally.bytes == 0 {
            return;
        }
        let counts = self.of(transport);
        add(&counts.bytes, tally.bytes);
        add(&counts.spans, tally.spans);
        add(&counts.spans_dropped, tally.sampled_out + tally.rejected);
        add(&counts.spans_rejected, tally.rejected);
        counts.message_bytes.store(tally.bytes as u64, Ordering::Relaxed);
        counts.message_spans.store(tally.spans as u64, Ordering::Relaxed);
        counts.decode_time.record(tally.decode_time);
        if let Some(store_time) = tally.store_time {
            counts.store_time.record(store_time);
        }
    }

    /// Counts spans that were given up before they were in a message: received, and dropped.
    pub fn overflowed(&self, transport: Transport, spans: usize) {
        add(&self.of(transport).spans, spans);
        add(&self.of(transport).spans_dropped, spans);
    }

    /// Counts a message whose sender went away before it was answered. Its spans may be stored.
    fn abandoned(&self, transport: Transport) {
        let counts = self.of(transport);
        add(&counts.refused[Reason::Abandoned as usize], 1);
        add(&counts.messages_dropped, 1);
    }

    pub(crate) fn refused(&self, transport: Transport, refusal: &Refusal) {
        let counts = self.of(transport);
        add(&counts.refused[refusal.reason() as usize], 1);
        match refusal {
            Refusal::Storage { spans, .. } => add(&counts.spans_dropped, *spans),
            _ => add(&counts.messages_dropped, 1),
        }
    }

    /// Says that messages will come by a transport: it is shown from now on.
    pub fn expect(&self, transport: Transport) {
        self.of(transport).expected.store(true, Ordering::Relaxed);
    }

    /// The transports that are shown: Zipkin's two that are always there, and every other once messages are
    /// expected by it or came.
    pub fn shown(&self) -> impl Iterator<Item = Transport> {
        Transport::ALL.into_iter().filter(|&transport| {
            let counts = self.of(transport);
            matches!(transport, Transport::Http | Transport::Grpc)
                || counts.expected.load(Ordering::Relaxed)
                || counts.messages.load(Ordering::Relaxed) > 0
        })
    }

    /// The counts of a transport now.
    pub fn snapshot(&self, transport: Transport) -> Snapshot {
        let counts = self.of(transport);
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Snapshot {
            messages: read(&counts.messages),
            messages_dropped: read(&counts.messages_dropped),
            bytes: read(&counts.bytes),
            spans: read(&counts.spans),
            spans_dropped: read(&counts.spans_dropped),
            spans_rejected: read(&counts.spans_rejected),
            message_spans: read(&counts.message_spans),
            message_bytes: read(&counts.message_bytes),
            refused: std::array::from_fn(|reason| read(&counts.refused[reason])),
            decode_time: counts.decode_time.snapshot(),
            store_time: counts.store_time.snapshot(),
        }
    }

    fn of(&self, transport: Transport) -> &Counts {
        &self.transports[transport as usize]
    }
}

fn add(count: &AtomicU64, number: usize) {
    count.fetch_add(number as u64, Ordering::Relaxed);
}

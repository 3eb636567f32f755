//! Bytes arrive somewhere: decode, sample, make durable.
//!
//! ```text
//! message ─▶ admit ─▶ read ─▶ inflate ─▶ looks like a list? ─▶ decode ─▶ sample ─▶ SpanSink ─▶ Ok
//!              │        │         │               │               │                    │
//!             503      413       400             400             400                  503
//! ```
//!
//! [`Collector::accept`] is that picture in code, the same for every transport. It answers `Ok` only when
//! the sink has the spans: what is acknowledged is stored. A message is taken whole or refused whole, and
//! whatever is refused is counted once, in [`Metrics`].

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use model::SpanBatch;
use proto::{DecodeError, Rejected, Wire};
use storage::{SpanSink, StorageError};

pub mod grpc;
pub mod http;
pub mod jaeger;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod otlp;
#[cfg(feature = "rabbitmq")]
pub mod rabbitmq;
pub mod scribe;

mod admission;
mod finish;
mod gzip;
mod limits;
mod metrics;
mod refusal;
#[cfg(any(feature = "kafka", feature = "rabbitmq"))]
mod retry;
mod sample;
mod scratch;
mod warnings;
mod zstd;

pub use admission::InFlight;
pub use limits::Limits;
pub use metrics::{Metrics, Snapshot, Transport};
pub use refusal::{Reason, Refusal};
pub use sample::{InvalidRate, Sampler};

use admission::Admission;
use metrics::{Received, Tally};
use scratch::{Scratch, ScratchPool};
use warnings::Warnings;

/// How the bytes of a message are to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// How the spans are written.
    pub expected: Expected,
    /// How the message as a whole is compressed, if it is.
    pub compression: Option<Compression>,
}

/// What is known of how spans are written, before their bytes are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// What the sender says.
    Wire(Wire),
    /// A list of Zipkin's; its first bytes tell which.
    List,
    /// A list, or one thrift span, as Kafka topics hold both (`zipkin.md` 7.1).
    ListOrSpan,
}

/// How a message is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952, of one or more members.
    Gzip,
    /// RFC 8878, of one or more frames.
    Zstd,
}

/// What was taken of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// What was left out and is to be told, where the format's answer can say so; nothing for most.
    pub rejected: Rejected,
}

/// Where the bytes of one message come from. Whole ones ([`Bytes`]) are at hand; a request's body arrives bit
/// by bit, and every bit is to be reserved before it is kept.
pub trait ReadBody: Send {
    /// Reads all of it.
    ///
    /// # Errors
    /// [`Refusal`] where it is too long, too slow, or more than is free now.
    fn read(self, in_flight: &mut InFlight) -> impl Future<Output = Result<Bytes, Refusal>> + Send;
}

impl ReadBody for Bytes {
    async fn read(self, in_flight: &mut InFlight) -> Result<Bytes, Refusal> {
        in_flight.reserve(self.len())?;
        Ok(self)
    }
}

/// Takes messages of any transport to a [`SpanSink`]. Cheap to share behind an [`Arc`].
pub struct Collector {
    sink: Arc<dyn SpanSink>,
    sampler: Sampler,
    limits: Limits,
    admission: Admission,
    metrics: Metrics,
    scratches: ScratchPool,
    warnings: Warnings,
}

impl Collector {
    /// A collector that stores in `sink` what `sampler` keeps.
    pub fn new(sink: Arc<dyn SpanSink>, sampler: Sampler, limits: Limits) -> Self {
        Self {
            sink,
            sampler,
            limits,
            admission: Admission::new(&limits),
            metrics: Metrics::default(),
            scratches: ScratchPool::default(),
            warnings: Warnings::default(),
        }
    }

    /// What it counted so far.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The bounds it keeps.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Takes one message: `Ok` means that the sink has every span of it that the sampler kept, but for those
    /// that [`Accepted`] tells of.
    ///
    /// A message without bytes is `Ok`: senders probe with it (`zipkin.md` 13).
    ///
    /// # Errors
    /// [`Refusal`]: nothing of the message was kept, except after a storage time-out, when it may have been.
    /// Sending it again is harmless always.
    pub async fn accept(
        &self,
        transport: Transport,
        encoding: Encoding,
        body: impl ReadBody,
    ) -> Result<Accepted, Refusal> {
        let mut received = Received::count(&self.metrics, transport);
        let mut tally = Tally::default();
        let outcome = self.deliver(transport, encoding, body, &mut tally).await;
        received.is_answered = true;
        self.metrics.decoded(transport, &tally);
        if let Err(refusal) = &outcome {
            self.metrics.refused(transport, refusal);
            self.tell(transport, refusal);
        }
        outcome
    }

    /// As [`Collector::accept`], of a message that a broker keeps until it is taken. One that is refused for now
    /// is not counted: it will be offered again, and is counted when it is taken or refused for good
    /// ([`Refusal::is_final`]).
    ///
    /// # Errors
    /// As [`Collector::accept`].
    pub async fn offer(
        &self,
        transport: Transport,
        encoding: Encoding,
        body: impl ReadBody,
    ) -> Result<Accepted, Refusal> {
        let mut tally = Tally::default();
        let outcome = self.deliver(transport, encoding, body, &mut tally).await;
        if let Err(refusal) = &outcome {
            self.tell(transport, refusal);
            if !refusal.is_final() {
                return outcome;
            }
            self.metrics.refused(transport, refusal);
        }
        self.metrics.message(transport);
        self.metrics.decoded(transport, &tally);
        outcome
    }

    async fn deliver(
        &self,
        transport: Transport,
        encoding: Encoding,
        body: impl ReadBody,
        tally: &mut Tally,
    ) -> Result<Accepted, Refusal> {
        let mut in_flight = self.admission.admit()?;
        let body = body.read(&mut in_flight).await?;
        if body.is_empty() {
            return Ok(Accepted::default());
        }
        // Asked before the work: under overload, most of it would be for nothing.
        let room = self.sink.check_room();
        let wait = room.map_err(|error| Refusal::Overloaded(Reason::Storage, error.to_string()))?;
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let mut scratch = self.scratches.take();
        let begin = Instant::now();
        let decoded = decode(self.limits, encoding, body, &mut in_flight, &mut scratch).await?;
        tally.decode_time = begin.elapsed();
        let batch = &mut scratch.batch;
        (tally.bytes, tally.spans) = (decoded.bytes, batch.len());
        // What the server traces of itself has been sampled where it began.
        if transport != Transport::Local {
            self.sample(batch);
        }
        let spans = batch.len();
        tally.sampled_out = tally.spans - spans;
        if spans > 0 {
            let begin = Instant::now();
            let stored = self.sink.accept(batch).await;
            stored.map_err(|error| Refusal::Storage { error, spans })?;
            tally.store_time = Some(begin.elapsed());
        }
        tally.rejected = decoded.rejected.spans;
        Ok(Accepted {
            rejected: decoded.rejected,
        })
    }

    /// A sender reads why it was refused. A store that fails concerns the operator as well, but once in a while
    /// is enough: the counts say how often.
    fn tell(&self, transport: Transport, refusal: &Refusal) {
        let transport = transport.name();
        let operator = matches!(refusal, Refusal::Storage { error, .. } if concerns_operator(error));
        if operator && self.warnings.is_due(Instant::now()) {
            tracing::warn!(transport, %refusal, "the store does not take spans: senders are told so");
        } else {
            tracing::debug!(transport, %refusal, "message refused");
        }
    }

    fn sample(&self, batch: &mut SpanBatch) {
        if !self.sampler.keeps_all() {
            batch.retain(|span| self.sampler.keeps(span.trace_id(), span.debug()));
        }
    }
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collector")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

fn concerns_operator(error: &StorageError) -> bool {
    !matches!(error, StorageError::Overloaded(_) | StorageError::Invalid(_))
}

/// What decoding learned beside the spans.
#[derive(Default)]
struct Decoded {
    /// Length of the message, inflated.
    bytes: usize,
    rejected: Rejected,
}

/// Decodes here, or on a thread that may block where the body is so large that others would wait for it.
async fn decode(
    limits: Limits,
    encoding: Encoding,
    body: Bytes,
    in_flight: &mut InFlight,
    scratch: &mut Scratch,
) -> Result<Decoded, Refusal> {
    let work = match encoding.compression {
        Some(Compression::Gzip) => gzip::inflated_bytes_likely(&body),
        Some(Compression::Zstd) => zstd::inflated_bytes_likely(&body),
        None => body.len(),
    };
    if work <= limits.inline_decode_bytes_max {
        return decode_now(&limits, encoding, &body, in_flight, scratch);
    }
    let (mut lent_in_flight, mut lent_scratch) = (in_flight.take(), std::mem::take(scratch));
    let task = tokio::task::spawn_blocking(move || {
        let decoded = decode_now(&limits, encoding, &body, &mut lent_in_flight, &mut lent_scratch);
        (decoded, lent_in_flight, lent_scratch)
    });
    match task.await {
        Ok((decoded, lent_in_flight, lent_scratch)) => {
            (*in_flight, *scratch) = (lent_in_flight, lent_scratch);
            decoded
        }
        Err(failure) => match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Refusal::Overloaded(
                Reason::Stopping,
                "the server is stopping".to_owned(),
            )),
        },
    }
}

fn decode_now(
    limits: &Limits,
    encoding: Encoding,
    body: &[u8],
    in_flight: &mut InFlight,
    scratch: &mut Scratch,
) -> Result<Decoded, Refusal> {
    let Scratch { batch, gzip, zstd } = scratch;
    let message = match encoding.compression {
        Some(Compression::Gzip) => gzip.inflate(body, limits.inflated_bytes_max, in_flight)?,
        Some(Compression::Zstd) => zstd.inflate(body, limits.inflated_bytes_max, in_flight)?,
        None => body,
    };
    if message.is_empty() {
        return Ok(Decoded::default());
    }
    let wire = wire(encoding.expected, message).map_err(Refusal::malformed)?;
    // The batch has text of its own.
    in_flight.reserve(message.len())?;
    batch.set_spans_max(limits.message_spans_max);
    match proto::decode_message(wire, message, batch) {
        Ok(rejected) => Ok(Decoded {
            bytes: message.len(),
            rejected,
        }),
        Err(_) if batch.overflowed() => Err(Refusal::too_many_spans(limits.message_spans_max)),
        Err(error) => Err(Refusal::malformed(error)),
    }
}

/// How a message is written, once its first bytes are seen.
fn wire(expected: Expected, message: &[u8]) -> Result<Wire, DecodeError> {
    let detected = match expected {
        Expected::Wire(wire) => Some(wire),
        Expected::List => proto::detect(message).map(Wire::List),
        Expected::ListOrSpan => proto::detect_message(message),
    };
    let wire = detected.ok_or_else(|| DecodeError::new("Expected a list of spans"))?;
    if let Wire::List(format) = wire {
        proto::check_list(format, message)?;
    }
    Ok(wire)
}

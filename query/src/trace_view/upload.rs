//! Traces that are not stored: what somebody kept in a file.

use std::collections::HashMap;
use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use model::{Span, SpanBatch, TraceId};
use proto::{OtlpEncoding, Rejected, Wire};
use serde_json::value::RawValue;
use storage::Completeness;
use tokio::sync::OwnedSemaphorePermit;

use crate::answer::Failure;

/// Identifiers beyond this many are counted only.
const TRACE_IDS_MAX: usize = 1_000;

/// What bounds traces that are sent to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadLimits {
    /// Bytes of a body as it comes.
    pub body_bytes_max: usize,
    /// Bytes of what a compressed body holds.
    pub inflated_bytes_max: usize,
    /// How long a body may take to come.
    pub body_timeout: Duration,
}

impl Default for UploadLimits {
    /// Those of the collector.
    fn default() -> Self {
        Self {
            body_bytes_max: 10 << 20,
            inflated_bytes_max: 64 << 20,
            body_timeout: Duration::from_secs(30),
        }
    }
}

/// A body as it came.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) body: Bytes,
    pub(crate) is_gzip: bool,
    /// Held as long as there is the body.
    pub(crate) turn: OwnedSemaphorePermit,
}

/// The traces of a body.
#[derive(Debug)]
pub(super) struct Traces {
    /// The spans of one of them, at least one.
    pub(super) chosen: Vec<Span>,
    /// Of the first, in the order of the body.
    pub(super) ids: Vec<TraceId>,
    pub(super) count: usize,
    /// Whether all spans of the body could be read.
    pub(super) completeness: Completeness,
}

impl Upload {
    /// Reads the trace that is wanted, or the first.
    pub(super) fn read(self, wanted: Option<TraceId>, inflated_bytes_max: usize) -> Result<Traces, Failure> {
        let Self { body, is_gzip, turn } = self;
        let inflated;
        let body = if is_gzip {
            inflated = inflate(&body, inflated_bytes_max)?;
            &inflated[..]
        } else {
            &body[..]
        };
        let mut batch = SpanBatch::new();
        let rejected = decode(without_blanks(body), &mut batch)?;
        // Some clients cut identifiers to 64 bits: those are what the spans of a trace have in common.
        let mut ids: Vec<TraceId> = Vec::new();
        let mut numbers: HashMap<u64, usize> = HashMap::new();
        for span in batch.iter() {
            let number = *numbers.entry(span.trace_id().low()).or_insert(ids.len());
            match ids.get_mut(number) {
                Some(id) => *id = (*id).max(span.trace_id()),
                None => ids.push(span.trace_id()),
            }
        }
        let Some(&first) = ids.first() else {
            let what = rejected
                .reason
                .unwrap_or_else(|| "The body has no spans".to_owned());
            return Err(Failure::Invalid(what));
        };
        let wanted = wanted.unwrap_or(first);
        let spans = batch.iter().filter(|span| span.trace_id().low() == wanted.low());
        let chosen: Vec<Span> = spans.map(|span| span.to_span()).collect();
        if chosen.is_empty() {
            return Err(Failure::NotFound(wanted));
        }
        let count = ids.len();
        ids.truncate(TRACE_IDS_MAX);
        drop(turn);
        Ok(Traces {
            chosen,
            ids,
            count,
            completeness: completeness(rejected),
        })
    }
}

/// Reads the spans of a body: of one list, or of a list of traces, as searches answer them and as they are exported.
fn decode(body: &[u8], batch: &mut SpanBatch) -> Result<Rejected, Failure> {
    let Some(traces) = lists_of(body)? else {
        return proto::decode_message(wire_of(body)?, body, batch)
            .map_err(|error| Failure::Invalid(error.to_string()));
    };
    let mut rejected = Rejected::default();
    for (index, trace) in traces.iter().map(|trace| trace.get().as_bytes()).enumerate() {
        if is_empty_list(trace) {
            continue;
        }
        let left_out = proto::decode_message(wire_of(trace)?, trace, batch)
            .map_err(|error| Failure::Invalid(format!("trace {}: {error}", index + 1)))?;
        rejected.spans += left_out.spans;
        rejected.reason = rejected.reason.or(left_out.reason);
    }
    Ok(rejected)
}

/// The traces of a list of traces; `None` of anything else.
fn lists_of(body: &[u8]) -> Result<Option<Vec<&RawValue>>, Failure> {
    let first = body.strip_prefix(b"[").map(<[u8]>::trim_ascii_start);
    if first.and_then(<[u8]>::first) != Some(&b'[') {
        return Ok(None);
    }
    serde_json::from_slice(body)
        .map(Some)
        .map_err(|error| Failure::Invalid(format!("a list of traces: {error}")))
}

fn is_empty_list(list: &[u8]) -> bool {
    let inner = list.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
    inner.is_some_and(|inner| inner.trim_ascii().is_empty())
}

fn completeness(rejected: Rejected) -> Completeness {
    match rejected.reason {
        Some(reason) => Completeness::Partial(format!(
            "{} spans of the body are left out: {reason}",
            rejected.spans
        )),
        None => Completeness::Complete,
    }
}

/// How a body is written: a list of Zipkin's, or what OpenTelemetry exports as JSON.
fn wire_of(body: &[u8]) -> Result<Wire, Failure> {
    if body.first() == Some(&b'{') {
        return Ok(Wire::Otlp {
            encoding: OtlpEncoding::Json,
            resource_prefix: "",
        });
    }
    let format = proto::detect(body).ok_or_else(|| {
        let what = "The body is neither a list of spans as Zipkin writes it (JSON of version 1 or 2, thrift, proto3) nor \
                    OTLP JSON";
        Failure::Invalid(what.to_owned())
    })?;
    Ok(Wire::List(format))
}

/// Files that were written by hand begin with a mark or a line.
fn without_blanks(body: &[u8]) -> &[u8] {
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    let is_text = matches!(body.trim_ascii_start().first(), Some(b'[' | b'{'));
    if is_text { body.trim_ascii() } else { body }
}

fn inflate(body: &[u8], bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let mut inflated = Vec::new();
    let mut members = MultiGzDecoder::new(body).take(bytes_max as u64 + 1);
    members
        .read_to_end(&mut inflated)
        .map_err(|error| Failure::Invalid(format!("the body is not gzip: {error}")))?;
    if inflated.len() > bytes_max {
        return Err(Failure::TooLarge(format!(
            "the body inflates to more than {bytes_max} bytes (COLLECTOR_INFLATED_BYTES_MAX)"
        )));
    }
    Ok(inflated)
}

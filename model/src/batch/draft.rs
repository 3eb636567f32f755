//! What a reader hands to a batch, one span at a time, and why a batch does not take it.

use std::fmt;

use super::Text;
use crate::{IpAddresses, Kind, SpanId, TraceId};

/// What a reader has read of one span, before normalisation. Tags and annotations are pushed to the batch.
#[derive(Clone, Debug, Default)]
pub struct SpanDraft {
    /// Required.
    pub trace_id: Option<TraceId>,
    /// Zero or equal to `id` means none.
    pub parent_id: Option<SpanId>,
    /// Required.
    pub id: Option<SpanId>,
    /// Absent for a local span.
    pub kind: Option<Kind>,
    /// Any case; empty means none.
    pub name: Text,
    /// Microseconds since the epoch; zero or less means none.
    pub timestamp: i64,
    /// Microseconds; zero or less means none.
    pub duration: i64,
    /// Who recorded it.
    pub local_endpoint: EndpointDraft,
    /// Who was on the other side.
    pub remote_endpoint: EndpointDraft,
    /// Only true is kept.
    pub debug: bool,
    /// Only true is kept, and not of a CLIENT span.
    pub shared: bool,
}

/// What a reader has read of one endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub struct EndpointDraft {
    /// Any case; empty means none.
    pub service_name: Text,
    /// The addresses known of it.
    pub ip: IpAddresses,
    /// Zero means none.
    pub port: u16,
}

/// Why a draft is not a span. `Display` is Zipkin's wording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanError {
    /// No trace identifier.
    MissingTraceId,
    /// No span identifier.
    MissingId,
    /// Neither.
    MissingIds,
    /// The batch holds as many spans as it may; how many that is.
    TooMany(usize),
}

impl fmt::Display for SpanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingTraceId => f.write_str("Missing : traceId"),
            Self::MissingId => f.write_str("Missing : id"),
            Self::MissingIds => f.write_str("Missing : traceId id"),
            Self::TooMany(most) => write!(f, "more than {most} spans"),
        }
    }
}

impl std::error::Error for SpanError {}

//! Zipkin's first model of a span, and how it becomes today's and back (`zipkin.md` 4.7).
//!
//! A v1 span has no kind and no local endpoint. Instead each of its annotations says which host logged it, and
//! annotations with reserved values say what the host did: `cs` and `cr` are a client's send and receive, `sr`
//! and `ss` a server's, `ms`/`ws` and `wr`/`mr` a producer's and a consumer's. Client and server log to the
//! same span. Thrift and v1 JSON are two ways of writing this model, and rows of Zipkin's MySQL schema a third; text is
//! borrowed from what was read or from the v2 span that is to be written.

mod from_v2;
mod to_v2;

use std::borrow::Cow;

use model::{IpAddresses, SpanError};

pub use from_v2::{borrow, from_v2};
pub use to_v2::{split, to_v2};

/// A v1 span as received: nothing is sorted, identifiers may be zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span<'a> {
    /// The upper half of a 128-bit trace identifier.
    pub trace_id_high: u64,
    /// Required, so not zero.
    pub trace_id: u64,
    /// Zero means none.
    pub parent_id: u64,
    /// Required, so not zero.
    pub id: u64,
    /// Any case; empty means none.
    pub name: Cow<'a, str>,
    /// Microseconds since the epoch; zero means none.
    pub timestamp: i64,
    /// Microseconds; zero means none.
    pub duration: i64,
    /// What happened when.
    pub annotations: Vec<Annotation<'a>>,
    /// Tags, and addresses.
    pub binary_annotations: Vec<BinaryAnnotation<'a>>,
    /// Sampled whatever the sampler says.
    pub debug: bool,
}

/// Something that happened at a moment, as some host logged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation<'a> {
    /// Microseconds since the epoch.
    pub timestamp: i64,
    /// What happened.
    pub value: Cow<'a, str>,
    /// Who logged it.
    pub endpoint: Option<Endpoint<'a>>,
}

/// A tag, or the address of somebody. Values of other types have no meaning in v2, so readers drop them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BinaryAnnotation<'a> {
    /// Of the tag; `sa`, `ca` and `ma` of addresses.
    pub key: Cow<'a, str>,
    /// Which of both it is.
    pub value: BinaryValue<'a>,
    /// Of a tag, who logged it; otherwise whose address it is.
    pub endpoint: Option<Endpoint<'a>>,
}

/// What a binary annotation holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BinaryValue<'a> {
    /// The value of a tag.
    Text(Cow<'a, str>),
    /// `true`: the key, `sa`, `ca` or `ma`, says whose address the endpoint is.
    Address,
}

/// A host. One without content is `None` wherever it may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint<'a> {
    /// Lower case; empty means none.
    pub service_name: Cow<'a, str>,
    /// The addresses known of it.
    pub ip: IpAddresses,
    /// Zero means none.
    pub port: u16,
}

impl<'a> Endpoint<'a> {
    /// With the name in lower case, so that hosts can be told apart by it; `None` without content.
    pub fn read(service_name: Cow<'a, str>, ip: IpAddresses, port: u16) -> Option<Self> {
        if service_name.is_empty() && ip.is_empty() && port == 0 {
            return None;
        }
        Some(Self {
            service_name: lower_case(service_name),
            ip,
            port,
        })
    }
}

fn lower_case(text: Cow<'_, str>) -> Cow<'_, str> {
    let lower = text.to_lowercase();
    if lower == text { text } else { Cow::Owned(lower) }
}

/// Why a v1 span is refused, in Zipkin's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConversionError {
    /// There is no trace identifier.
    #[error("traceId == 0")]
    NoTraceId,
    /// There is no identifier.
    #[error("id == 0")]
    NoId,
    /// The batch takes no more spans.
    #[error(transparent)]
    Refused(#[from] SpanError),
}

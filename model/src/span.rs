//! The span as it leaves the store: owned, normalised (`zipkin.md` 4.1).

use std::fmt;

use crate::{Endpoint, SpanId, TraceId};

/// One operation as one side of it saw it.
///
/// Invariants, established by [`crate::SpanBatch::finish`]: names are lower case and never empty; timestamp and
/// duration are never zero and fit a signed 64-bit integer; `parent_id` differs from `id` and is not zero;
/// annotations are sorted and distinct; tags are sorted by key and their keys distinct; a CLIENT span is never
/// `shared`; endpoints are never empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The trace it belongs to.
    pub trace_id: TraceId,
    /// The span that caused it; `None` for a root.
    pub parent_id: Option<SpanId>,
    /// Its identifier, unique in the trace but for the two halves of a shared span.
    pub id: SpanId,
    /// Which side of what; `None` for a local span.
    pub kind: Option<Kind>,
    /// What was done, lower case.
    pub name: Option<String>,
    /// When it began, microseconds since the epoch.
    pub timestamp: Option<u64>,
    /// How long it took, microseconds.
    pub duration: Option<u64>,
    /// Who recorded it.
    pub local_endpoint: Option<Endpoint>,
    /// Who was on the other side.
    pub remote_endpoint: Option<Endpoint>,
    /// What happened when, sorted by (timestamp, value).
    pub annotations: Vec<Annotation>,
    /// Key and value, sorted by key.
    pub tags: Vec<(String, String)>,
    /// Sampled whatever the sampler says.
    pub debug: bool,
    /// The server's half of a span that the client began (B3's shared span ids).
    pub shared: bool,
}

/// Something that happened at a moment of a span.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Annotation {
    /// Microseconds since the epoch.
    pub timestamp: u64,
    /// What happened.
    pub value: String,
}

/// Which side of a remote operation a span describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Sent a request and waits for the answer.
    Client = 1,
    /// Received a request and answers it.
    Server = 2,
    /// Sent a message to a broker.
    Producer = 3,
    /// Received a message from a broker.
    Consumer = 4,
}

impl Kind {
    /// Its name in JSON, upper case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "CLIENT",
            Self::Server => "SERVER",
            Self::Producer => "PRODUCER",
            Self::Consumer => "CONSUMER",
        }
    }

    /// Its number in proto3, 1 to 4; `None` for any other.
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::Client),
            2 => Some(Self::Server),
            3 => Some(Self::Producer),
            4 => Some(Self::Consumer),
            _ => None,
        }
    }

    /// Reads its name; case counts, as in Zipkin.
    ///
    /// # Errors
    /// [`UnknownKind`] in Zipkin's words.
    pub fn parse(text: &str) -> Result<Self, UnknownKind> {
        match text {
            "CLIENT" => Ok(Self::Client),
            "SERVER" => Ok(Self::Server),
            "PRODUCER" => Ok(Self::Producer),
            "CONSUMER" => Ok(Self::Consumer),
            _ => Err(UnknownKind(text.to_owned())),
        }
    }
}

/// A name that is no kind. `Display` is Zipkin's wording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKind(pub String);

impl fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "No enum constant zipkin2.Span.Kind.{}", self.0)
    }
}

impl std::error::Error for UnknownKind {}

impl Span {
    /// The value of a tag.
    pub fn tag(&self, key: &str) -> Option<&str> {
        let found = self
            .tags
            .binary_search_by(|(name, _)| name.as_str().cmp(key))
            .ok()?;
        Some(&self.tags[found].1)
    }

    /// Who recorded it, by name.
    pub fn local_service_name(&self) -> Option<&str> {
        self.local_endpoint.as_ref()?.service_name.as_deref()
    }

    /// Who was on the other side, by name.
    pub fn remote_service_name(&self) -> Option<&str> {
        self.remote_endpoint.as_ref()?.service_name.as_deref()
    }

    /// Whether it failed: the tag *key* `error` is there, whatever its value (`zipkin.md` 4.5).
    pub fn is_error(&self) -> bool {
        self.tag("error").is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_read_with_its_case() {
        assert_eq!(Kind::parse("CLIENT"), Ok(Kind::Client));
        assert_eq!(
            Kind::parse("client").unwrap_err().to_string(),
            "No enum constant zipkin2.Span.Kind.client"
        );
        for number in 1..=4 {
            let kind = Kind::from_number(number).unwrap();
            assert_eq!(Kind::parse(kind.as_str()), Ok(kind));
        }
        assert_eq!(Kind::from_number(5), None);
    }
}

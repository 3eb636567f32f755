//! Spans of a batch as a sink reads them: borrowed.

use std::fmt;

use super::{EndpointDraft, SpanBatch, SpanRecord, Text};
use crate::{Annotation, Endpoint, IpAddresses, Kind, Span, SpanId, TraceId};

/// A normalised span of a batch, borrowed. Its invariants are those of [`Span`].
#[derive(Clone, Copy)]
pub struct SpanRef<'a> {
    pub(super) batch: &'a SpanBatch,
    pub(super) record: &'a SpanRecord,
}

/// An endpoint of a batch, borrowed; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointRef<'a> {
    /// Lower case; `None` when absent.
    pub service_name: Option<&'a str>,
    /// The addresses known of it.
    pub ip: IpAddresses,
    /// Zero when absent.
    pub port: u16,
}

impl EndpointRef<'_> {
    /// A copy that owns its text.
    pub fn to_endpoint(self) -> Endpoint {
        Endpoint {
            service_name: self.service_name.map(str::to_owned),
            ip: self.ip,
            port: self.port,
        }
    }
}

/// An annotation of a batch, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnnotationRef<'a> {
    /// Microseconds since the epoch.
    pub timestamp: u64,
    /// What happened.
    pub value: &'a str,
}

impl<'a> SpanRef<'a> {
    /// The trace it belongs to.
    pub fn trace_id(self) -> TraceId {
        self.record.trace_id
    }

    /// The span that caused it.
    pub fn parent_id(self) -> Option<SpanId> {
        self.record.parent_id
    }

    /// Its identifier.
    pub fn id(self) -> SpanId {
        self.record.id
    }

    /// Which side of what.
    pub fn kind(self) -> Option<Kind> {
        self.record.kind
    }

    /// What was done, lower case.
    pub fn name(self) -> Option<&'a str> {
        self.present(self.record.name)
    }

    /// When it began, microseconds since the epoch.
    pub fn timestamp(self) -> Option<u64> {
        Some(self.record.timestamp).filter(|&timestamp| timestamp != 0)
    }

    /// How long it took, microseconds.
    pub fn duration(self) -> Option<u64> {
        Some(self.record.duration).filter(|&duration| duration != 0)
    }

    /// Who recorded it.
    pub fn local_endpoint(self) -> Option<EndpointRef<'a>> {
        self.endpoint(&self.record.local_endpoint)
    }

    /// Who was on the other side.
    pub fn remote_endpoint(self) -> Option<EndpointRef<'a>> {
        self.endpoint(&self.record.remote_endpoint)
    }

    /// Key and value, sorted by key.
    pub fn tags(self) -> impl ExactSizeIterator<Item = (&'a str, &'a str)> + Clone {
        let (start, end) = self.record.tags;
        let batch = self.batch;
        batch.tags[start as usize..end as usize]
            .iter()
            .map(move |tag| (batch.text(tag.0), batch.text(tag.1)))
    }

    /// What happened when, sorted by (timestamp, value).
    pub fn annotations(self) -> impl ExactSizeIterator<Item = AnnotationRef<'a>> + Clone {
        let (start, end) = self.record.annotations;
        let batch = self.batch;
        batch.annotations[start as usize..end as usize]
            .iter()
            .map(move |&(timestamp, value)| AnnotationRef {
                timestamp,
                value: batch.text(value),
            })
    }

    /// Where its name is; empty where it has none.
    pub fn name_text(self) -> Text {
        self.record.name
    }

    /// Who recorded it, by where the text is.
    pub fn local_draft(self) -> &'a EndpointDraft {
        &self.record.local_endpoint
    }

    /// Who was on the other side, by where the text is.
    pub fn remote_draft(self) -> &'a EndpointDraft {
        &self.record.remote_endpoint
    }

    /// [`SpanRef::tags`] by where the texts are.
    pub fn tag_texts(self) -> &'a [(Text, Text)] {
        let (start, end) = self.record.tags;
        &self.batch.tags[start as usize..end as usize]
    }

    /// [`SpanRef::annotations`] by where the texts are.
    pub fn annotation_texts(self) -> &'a [(u64, Text)] {
        let (start, end) = self.record.annotations;
        &self.batch.annotations[start as usize..end as usize]
    }

    /// Sampled whatever the sampler says.
    pub fn debug(self) -> bool {
        self.record.debug
    }

    /// The server's half of a span that the client began.
    pub fn shared(self) -> bool {
        self.record.shared
    }

    /// A copy that owns its text.
    pub fn to_span(self) -> Span {
        Span {
            trace_id: self.trace_id(),
            parent_id: self.parent_id(),
            id: self.id(),
            kind: self.kind(),
            name: self.name().map(str::to_owned),
            timestamp: self.timestamp(),
            duration: self.duration(),
            local_endpoint: self.local_endpoint().map(EndpointRef::to_endpoint),
            remote_endpoint: self.remote_endpoint().map(EndpointRef::to_endpoint),
            annotations: self
                .annotations()
                .map(|annotation| Annotation {
                    timestamp: annotation.timestamp,
                    value: annotation.value.to_owned(),
                })
                .collect(),
            tags: self
                .tags()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            debug: self.debug(),
            shared: self.shared(),
        }
    }

    fn present(self, text: Text) -> Option<&'a str> {
        if text.is_empty() {
            None
        } else {
            Some(self.batch.text(text))
        }
    }

    fn endpoint(self, draft: &EndpointDraft) -> Option<EndpointRef<'a>> {
        let endpoint = EndpointRef {
            service_name: self.present(draft.service_name),
            ip: draft.ip,
            port: draft.port,
        };
        let empty = endpoint.service_name.is_none() && endpoint.ip.is_empty() && endpoint.port == 0;
        if empty { None } else { Some(endpoint) }
    }
}

impl fmt::Debug for SpanRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_span(), f)
    }
}

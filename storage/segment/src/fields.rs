//! One view of a span for who codes it against a shape.

use model::{EndpointRef, Kind, Span, SpanId, TraceId};

/// A span's fields, borrowed.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    pub(crate) trace_id: TraceId,
    pub(crate) parent_id: Option<SpanId>,
    pub(crate) id: SpanId,
    pub(crate) kind: Option<Kind>,
    pub(crate) debug: bool,
    pub(crate) shared: bool,
    pub(crate) name: Option<&'a str>,
    pub(crate) timestamp: Option<u64>,
    pub(crate) duration: Option<u64>,
    pub(crate) local: Option<EndpointRef<'a>>,
    pub(crate) remote: Option<EndpointRef<'a>>,
    pub(crate) tags: Vec<(&'a str, &'a str)>,
    pub(crate) annotations: Vec<(u64, &'a str)>,
}

impl<'a> Fields<'a> {
    pub(crate) fn of_span(span: &'a Span) -> Self {
        Self {
            trace_id: span.trace_id,
            parent_id: span.parent_id,
            id: span.id,
            kind: span.kind,
            debug: span.debug,
            shared: span.shared,
            name: span.name.as_deref(),
            timestamp: span.timestamp,
            duration: span.duration,
            local: span.local_endpoint.as_ref().map(borrow_endpoint),
            remote: span.remote_endpoint.as_ref().map(borrow_endpoint),
            tags: span
                .tags
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect(),
            annotations: span
                .annotations
                .iter()
                .map(|a| (a.timestamp, a.value.as_str()))
                .collect(),
        }
    }

    pub(crate) fn local_service(&self) -> Option<&'a str> {
        self.local.and_then(|local| local.service_name)
    }

    pub(crate) fn remote_service(&self) -> Option<&'a str> {
        self.remote.and_then(|remote| remote.service_name)
    }
}

fn borrow_endpoint(endpoint: &model::Endpoint) -> EndpointRef<'_> {
    EndpointRef {
        service_name: endpoint.service_name.as_deref(),
        ip: endpoint.ip,
        port: endpoint.port,
    }
}

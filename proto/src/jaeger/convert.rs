//! What Jaeger says of a span, said in Zipkin's words.
//!
//! 1. The process is the local endpoint, and its tags are tags of each of its spans; a span's own tags win.
//! 2. Tags that Zipkin has a field for fill that field: `span.kind` the kind, `peer.*` the remote endpoint. They
//!    are not repeated as tags where the field says all that they said.
//! 3. `error` that is false is no error, so it is left out: in Zipkin the key alone means one.
//! 4. The parent is the span that Jaeger's own UI takes for it; every other reference is a link in a tag.
//! 5. Logs are annotations, warnings one tag.

use std::net::SocketAddr;

use model::{EndpointDraft, IpAddresses, Kind, SpanBatch, SpanDraft, SpanId, Text, TraceId};

use super::Cause;
use super::tag::{Tag, Value, write_object};
use crate::json::{write_span_id, write_string, write_trace_id};

/// The most bytes that the tags of processes may take when they are repeated with each of their spans: a few
/// bytes of a body could ask for any number of them otherwise.
const REPEATED_BYTES_MAX: usize = 64 << 20;

/// Set in the flags of a span that is to be kept whatever the sampler says.
const DEBUG_FLAG: u32 = 2;

/// Spans on their way into a batch.
#[derive(Debug)]
pub(super) struct Converter<'b> {
    batch: &'b mut SpanBatch,
    /// Of the span being read.
    references: Vec<Reference>,
    logs: Vec<(i64, Text)>,
    /// Text being put together.
    scratch: Vec<u8>,
    repeated_bytes: usize,
}

/// Who reported a span. Its text is in the batch once, for all of its spans.
#[derive(Debug, Default)]
pub(super) struct Process {
    endpoint: EndpointDraft,
    tags: Vec<(Text, Text)>,
    /// What its tags take with each span.
    bytes: usize,
}

/// A span that a span refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) kind: ReferenceKind,
    pub(super) trace_id: Option<TraceId>,
    pub(super) span_id: u64,
}

/// What the other span is to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReferenceKind {
    ChildOf,
    FollowsFrom,
}

/// The span being read, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Span {
    pub(super) trace_id: Option<TraceId>,
    pub(super) id: u64,
    /// Zero where only references tell.
    pub(super) parent_id: u64,
    pub(super) name: Text,
    pub(super) flags: u32,
    /// Microseconds since the epoch.
    pub(super) timestamp: i64,
    /// Microseconds.
    pub(super) duration: i64,
    kind: Option<Kind>,
    peer: EndpointDraft,
    /// Of `peer.address`, which counts where no other tag says it.
    peer_address: Option<SocketAddr>,
}

impl<'b> Converter<'b> {
    pub(super) fn new(batch: &'b mut SpanBatch) -> Self {
        Self {
            batch,
            references: Vec::new(),
            logs: Vec::new(),
            scratch: Vec::new(),
            repeated_bytes: 0,
        }
    }

    pub(super) fn text(&mut self, text: &str) -> Text {
        self.batch.add_text(text)
    }

    pub(super) fn process_tag(&mut self, process: &mut Process, tag: &Tag<'_>) {
        match tag.key.as_ref() {
            "ip" => {
                if let Some(ip) = tag.value.as_ip() {
                    process.endpoint.ip.insert(ip);
                    return;
                }
            }
            "error" if tag.value.denies() => return,
            _ => {}
        }
        let key = self.batch.add_text(&tag.key);
        let before = self.batch.text_bytes();
        let value = self.value_text(&tag.value);
        process.bytes += size_of::<(Text, Text)>() + tag.key.len() + (self.batch.text_bytes() - before);
        process.tags.push((key, value));
    }

    pub(super) fn process_name(&mut self, process: &mut Process, name: &str) {
        process.endpoint.service_name = self.batch.add_text(name);
    }

    /// Begins a span of a process.
    pub(super) fn begin(&mut self, process: &Process) -> Result<Span, Cause> {
        self.references.clear();
        self.logs.clear();
        self.repeated_bytes = self.repeated_bytes.saturating_add(process.bytes);
        if self.repeated_bytes > REPEATED_BYTES_MAX {
            return Err(Cause::RepeatedBytes(REPEATED_BYTES_MAX));
        }
        for &(key, value) in &process.tags {
            self.batch.push_tag(key, value);
        }
        Ok(Span::default())
    }

    pub(super) fn tag(&mut self, span: &mut Span, tag: &Tag<'_>) {
        let value = &tag.value;
        let said = match tag.key.as_ref() {
            "span.kind" => match value.as_text().and_then(kind) {
                Some(kind) => {
                    span.kind = Some(kind);
                    true
                }
                None => false,
            },
            "error" => value.denies(),
            "peer.service" => self.peer_service(span, value),
            "peer.ipv4" | "peer.ipv6" => match value.as_ip() {
                Some(ip) => {
                    span.peer.ip.insert(ip);
                    true
                }
                None => false,
            },
            "peer.port" => match value.as_port() {
                Some(port) => {
                    span.peer.port = port;
                    true
                }
                None => false,
            },
            "peer.address" => {
                span.peer_address = value.as_text().and_then(socket_address);
                false
            }
            _ => false,
        };
        if !said {
            let key = self.batch.add_text(&tag.key);
            let value = self.value_text(value);
            self.batch.push_tag(key, value);
        }
    }

    /// Names of services are in lower case in Zipkin, so only one that is so already is said in full.
    fn peer_service(&mut self, span: &mut Span, value: &Value<'_>) -> bool {
        let Some(name) = value.as_text() else {
            return false;
        };
        span.peer.service_name = self.batch.add_text(name);
        !name.is_empty() && !name.chars().any(char::is_uppercase)
    }

    pub(super) fn reference(&mut self, reference: Reference) {
        self.references.push(reference);
    }

    /// A moment, in microseconds since the epoch, and what was logged then. Its `event`, or else its `message`, is
    /// the annotation, with the other fields behind it as JSON; without either all fields are.
    pub(super) fn log(&mut self, timestamp: i64, fields: &[Tag<'_>]) {
        let named = |name: &str| {
            fields.iter().position(|field| {
                field.key == name && field.value.as_text().is_some_and(|text| !text.is_empty())
            })
        };
        let event = named("event").or_else(|| named("message"));
        self.scratch.clear();
        match event {
            Some(at) => {
                let text = fields[at].value.as_text().unwrap_or_default();
                if fields.len() == 1 {
                    self.scratch.extend_from_slice(text.as_bytes());
                } else {
                    write_string(&mut self.scratch, text);
                    self.scratch.push(b':');
                    let others = fields.iter().enumerate().filter(|(index, _)| *index != at);
                    write_object(&mut self.scratch, others.map(|(_, field)| field));
                }
            }
            None => write_object(&mut self.scratch, fields.iter()),
        }
        let value = self.add_scratch();
        self.logs.push((timestamp, value));
    }

    /// What Jaeger's own components found wrong with a span, as one tag: a JSON list.
    pub(super) fn warnings<'a>(&mut self, warnings: impl Iterator<Item = &'a str>) {
        self.scratch.clear();
        for warning in warnings {
            self.scratch
                .push(if self.scratch.is_empty() { b'[' } else { b',' });
            write_string(&mut self.scratch, warning);
        }
        if self.scratch.is_empty() {
            return;
        }
        self.scratch.push(b']');
        let key = self.batch.add_text("jaeger.warnings");
        let value = self.add_scratch();
        self.batch.push_tag(key, value);
    }

    /// Ends the span that was begun last.
    pub(super) fn finish(&mut self, span: Span, process: &Process) -> Result<(), Cause> {
        let Some(trace_id) = span.trace_id else {
            return Err(Cause::NoTraceId);
        };
        if span.id == 0 {
            return Err(Cause::NoSpanId);
        }
        let parent_id = self.parent(&span, trace_id);
        self.push_references(parent_id, trace_id);
        for (timestamp, value) in std::mem::take(&mut self.logs) {
            // A log without a time belongs to the span all the same.
            let timestamp = if timestamp > 0 { timestamp } else { span.timestamp };
            self.batch.push_annotation(timestamp.max(0) as u64, value);
        }
        let draft = SpanDraft {
            trace_id: Some(trace_id),
            parent_id: Some(SpanId::new(parent_id)),
            id: Some(SpanId::new(span.id)),
            kind: span.kind,
            name: span.name,
            timestamp: span.timestamp,
            // Only spans that ended are reported; zero means less than a microsecond, not unknown.
            duration: if span.duration == 0 { 1 } else { span.duration },
            local_endpoint: process.endpoint,
            remote_endpoint: remote_endpoint(&span),
            debug: span.flags & DEBUG_FLAG != 0,
            shared: false,
        };
        Ok(self.batch.finish(&draft)?)
    }

    /// As Jaeger: what the span says, else the first span of the same trace it refers to, as a child if it can.
    fn parent(&self, span: &Span, trace_id: TraceId) -> u64 {
        if span.parent_id != 0 {
            return span.parent_id;
        }
        let first = |kind| {
            let mut same_trace = self.references.iter().filter(|it| it.trace_id == Some(trace_id));
            same_trace.find(|it| it.kind == kind).map(|it| it.span_id)
        };
        first(ReferenceKind::ChildOf)
            .or_else(|| first(ReferenceKind::FollowsFrom))
            .unwrap_or(0)
    }

    /// All references but the one that the parent says in full, as links of OpenTelemetry are kept: one tag, a
    /// JSON list.
    fn push_references(&mut self, parent_id: u64, trace_id: TraceId) {
        let parent = Reference {
            kind: ReferenceKind::ChildOf,
            trace_id: Some(trace_id),
            span_id: parent_id,
        };
        self.scratch.clear();
        for reference in self.references.iter().filter(|reference| **reference != parent) {
            self.scratch
                .push(if self.scratch.is_empty() { b'[' } else { b',' });
            reference.write_link(&mut self.scratch);
        }
        if !self.scratch.is_empty() {
            self.scratch.push(b']');
            let key = self.batch.add_text("otel.links");
            let value = self.add_scratch();
            self.batch.push_tag(key, value);
        }
    }

    fn value_text(&mut self, value: &Value<'_>) -> Text {
        if let Value::Text(text) = value {
            return self.batch.add_text(text);
        }
        self.scratch.clear();
        value.write_text(&mut self.scratch);
        self.add_scratch()
    }

    fn add_scratch(&mut self) -> Text {
        self.batch.add_text(&String::from_utf8_lossy(&self.scratch))
    }
}

impl Reference {
    /// As a link, its type in the attribute that OpenTelemetry has for it.
    fn write_link(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        if let Some(trace_id) = self.trace_id {
            out.extend_from_slice(b"\"traceId\":");
            write_trace_id(out, trace_id);
            out.push(b',');
        }
        out.extend_from_slice(b"\"spanId\":");
        write_span_id(out, SpanId::new(self.span_id));
        out.extend_from_slice(match self.kind {
            ReferenceKind::ChildOf => br#","attributes":{"opentracing.ref_type":"child_of"}}"#,
            ReferenceKind::FollowsFrom => br#","attributes":{"opentracing.ref_type":"follows_from"}}"#,
        });
    }
}

/// `internal` is no kind of Zipkin's, and stays a tag.
fn kind(name: &str) -> Option<Kind> {
    match name {
        "client" => Some(Kind::Client),
        "server" => Some(Kind::Server),
        "producer" => Some(Kind::Producer),
        "consumer" => Some(Kind::Consumer),
        _ => None,
    }
}

/// An address with or without a port.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let address = text.parse().ok();
    address.or_else(|| text.parse().ok().map(|ip| SocketAddr::new(ip, 0)))
}

fn remote_endpoint(span: &Span) -> EndpointDraft {
    let mut endpoint = span.peer;
    if let Some(address) = span.peer_address {
        if endpoint.ip == IpAddresses::default() {
            endpoint.ip.insert(address.ip());
        }
        if endpoint.port == 0 {
            endpoint.port = address.port();
        }
    }
    endpoint
}

//! A request on its way into a batch: what both readers tell of it ends here, and only here is it mapped.

use std::io::Write;

use model::{Kind, SpanBatch, SpanDraft, SpanError, SpanId, Text, TraceId};

use super::peer::Peers;
use super::shared::Shared;
use super::tags::{self, Tag};
use super::value::{as_text, write_member};
use super::words::{Word, Words};
use crate::Rejected;
use crate::json::{write_number, write_string};

/// The bits of W3C and OTLP that say nothing a stored span does not: sampled, which not every SDK says, and known
/// to have its parent in the same process.
const USUAL_FLAGS: [u32; 4] = [0, 0x001, 0x100, 0x101];

const NANOS_PER_MICRO: u64 = 1000;

/// An identifier of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Id {
    Trace,
    Span,
    ParentSpan,
}

impl Id {
    const fn name(self) -> &'static str {
        match self {
            Self::Trace => "traceId",
            Self::Span => "spanId",
            Self::ParentSpan => "parentSpanId",
        }
    }

    const fn bytes(self) -> usize {
        match self {
            Self::Trace => 16,
            Self::Span | Self::ParentSpan => 8,
        }
    }

    /// Zero, which means that there is none, where there are no bytes at all.
    pub(super) fn read_bytes(self, bytes: &[u8]) -> Result<u128, Fault> {
        if bytes.len() != self.bytes() && !bytes.is_empty() {
            let bytes = bytes.len();
            return Err(Fault::IdLength { id: self, bytes });
        }
        let mut value = [0; 16];
        value[16 - bytes.len()..].copy_from_slice(bytes);
        Ok(u128::from_be_bytes(value))
    }

    /// The same of hexadecimal digits in either case.
    pub(super) fn read_hex(self, text: &str) -> Result<u128, Fault> {
        let digits = || {
            text.chars().try_fold(0, |value, digit| {
                Some(value << 4 | u128::from(digit.to_digit(16)?))
            })
        };
        if text.is_empty() || text.len() == 2 * self.bytes() {
            digits().ok_or(Fault::IdText(self))
        } else {
            Err(Fault::IdText(self))
        }
    }
}

/// Why one span is not taken, while the others are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("{field} is missing or all zeros", field = .0.name())]
    NoId(Id),
    #[error("{field} is {bytes} bytes long, not {expected}", field = .id.name(), expected = .id.bytes())]
    IdLength { id: Id, bytes: usize },
    #[error("{field} is not the hexadecimal form of {expected} bytes", field = .0.name(), expected = .0.bytes())]
    IdText(Id),
    #[error("an attribute is nested deeper than {levels} levels", levels = super::value::LEVELS_MAX)]
    TooDeep,
}

/// Why a whole request is refused.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error(transparent)]
    Span(#[from] SpanError),
    #[error(
        "Too long: {attributes} attributes of a resource and its scope, {text_bytes} bytes, \
         are stored with each of its spans: send fewer spans in a request, or fewer attributes"
    )]
    TooMuchShared { attributes: usize, text_bytes: usize },
}

/// Where a span stands in its request, for whoever is told that it was rejected.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    resource: usize,
    scope: usize,
    span: usize,
}

/// What one span says outside of its attributes, events and links.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    trace_id: Option<TraceId>,
    id: Option<SpanId>,
    parent_id: Option<SpanId>,
    kind: Option<Kind>,
    pub(super) name: Text,
    pub(super) start_nanos: u64,
    pub(super) end_nanos: u64,
    pub(super) status: u64,
    pub(super) status_message: Text,
    pub(super) trace_state: Text,
    pub(super) flags: u32,
    pub(super) dropped_attributes: u64,
    pub(super) dropped_events: u64,
    pub(super) dropped_links: u64,
    has_error: bool,
    fault: Option<Fault>,
}

impl Fields {
    /// The first thing that is wrong is the one that is told.
    pub(super) fn fail(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    pub(super) fn set_id(&mut self, id: Id, value: Result<u128, Fault>) {
        match (id, value) {
            (Id::Trace, Ok(value)) => self.trace_id = TraceId::new((value >> 64) as u64, value as u64),
            (Id::Span, Ok(value)) => self.id = Some(SpanId::new(value as u64)).filter(|_| value != 0),
            (Id::ParentSpan, Ok(value)) => self.parent_id = Some(SpanId::new(value as u64)),
            (_, Err(fault)) => self.fail(fault),
        }
    }

    /// Zipkin has no word for a span inside of a process: it has no kind.
    pub(super) fn set_kind(&mut self, number: u64) {
        self.kind = match number {
            2 => Some(Kind::Server),
            3 => Some(Kind::Client),
            4 => Some(Kind::Producer),
            5 => Some(Kind::Consumer),
            _ => None,
        };
    }

    fn check(&self) -> Result<(), Fault> {
        match (self.fault, self.trace_id, self.id) {
            (Some(fault), ..) => Err(fault),
            (_, None, _) => Err(Fault::NoId(Id::Trace)),
            (_, _, None) => Err(Fault::NoId(Id::Span)),
            _ => Ok(()),
        }
    }
}

/// Something that happened during a span. Its attributes are in [`Request::object`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Event {
    pub(super) nanos: u64,
    pub(super) name: Text,
    pub(super) dropped_attributes: u64,
}

/// One request, resource by resource, scope by scope, span by span.
#[derive(Debug)]
pub(super) struct Request<'b> {
    pub(super) batch: &'b mut SpanBatch,
    pub(super) shared: Shared,
    pub(super) span: Fields,
    /// Attributes of the event or link that is being read: an object without its closing brace.
    pub(super) object: Vec<u8>,
    /// The links of the span that is being read: an array without its closing bracket.
    links: Vec<u8>,
    /// For whatever is written before it becomes text of the batch.
    pub(super) scratch: Vec<u8>,
    words: Words,
    peers: Peers,
    /// Of the span that is being read, without those it shares.
    tags: Vec<Tag>,
    /// Events that do not say when they were: they get the span's start, which may be yet to come.
    timeless: Vec<Text>,
    place: Place,
    rejected: Rejected,
}

impl<'b> Request<'b> {
    pub(super) fn new(resource_prefix: &'static str, body_bytes: usize, batch: &'b mut SpanBatch) -> Self {
        Self {
            batch,
            shared: Shared::new(resource_prefix, body_bytes),
            span: Fields::default(),
            object: Vec::new(),
            links: Vec::new(),
            scratch: Vec::new(),
            words: Words::default(),
            peers: Peers::default(),
            tags: Vec::new(),
            timeless: Vec::new(),
            place: Place::default(),
            rejected: Rejected::default(),
        }
    }

    pub(super) fn into_rejected(self) -> Rejected {
        self.rejected
    }

    pub(super) fn begin_resource(&mut self) {
        self.place.scope = 0;
        self.shared.begin_resource();
    }

    pub(super) fn end_resource(&mut self) {
        self.place.resource += 1;
    }

    pub(super) fn resource_attribute(&mut self, key: Text, value: Text) {
        self.shared.resource_attribute(key, value, self.batch);
    }

    /// A field of the resource; empty means none.
    pub(super) fn resource_text(&mut self, name: Word, value: Text) {
        if !value.is_empty() {
            let key = self.words.text(name, self.batch);
            self.shared.resource_tag(key, value);
        }
    }

    pub(super) fn resource_number(&mut self, name: Word, value: u64) {
        let text = self.number(value);
        self.resource_text(name, text);
    }

    pub(super) fn begin_scope(&mut self) {
        self.place.span = 0;
        self.shared.begin_scope();
    }

    /// All of the scope is known: its spans follow.
    pub(super) fn begin_spans(&mut self) {
        self.shared.begin_spans(self.batch);
    }

    pub(super) fn end_scope(&mut self) {
        self.place.scope += 1;
    }

    pub(super) fn scope_attribute(&mut self, key: Text, value: Text) {
        self.shared.scope_attribute(key, value, self.batch);
    }

    /// A field of the scope; empty means none.
    pub(super) fn scope_text(&mut self, name: Word, value: Text) {
        if !value.is_empty() {
            let key = self.words.text(name, self.batch);
            self.shared.scope_tag(key, value);
        }
    }

    pub(super) fn scope_number(&mut self, name: Word, value: u64) {
        let text = self.number(value);
        self.scope_text(name, text);
    }

    pub(super) fn begin_span(&mut self) -> Result<(), RequestError> {
        self.span = Fields::default();
        self.peers.clear();
        self.links.clear();
        self.timeless.clear();
        self.tags.clear();
        self.shared.share()
    }

    pub(super) fn span_attribute(&mut self, key: Text, value: Text) {
        let name = self.batch.text(key);
        self.peers.learn(name, value);
        self.span.has_error |= name == "error";
        self.tags.push(Tag::new(key, value, self.batch));
    }

    /// For an attribute of the span, of an event or of a link.
    pub(super) fn check_depth(&mut self, too_deep: bool) {
        if too_deep {
            self.span.fail(Fault::TooDeep);
        }
    }

    pub(super) fn begin_object(&mut self) {
        self.object.clear();
        self.object.push(b'{');
    }

    /// An annotation: the name, and if there is more to tell, as `"name":{"key":value}`.
    pub(super) fn end_event(&mut self, event: Event) {
        if event.dropped_attributes > 0 {
            write_member(&mut self.object, "otel.dropped_attributes_count");
            write_number(&mut self.object, event.dropped_attributes);
        }
        let value = if self.object.len() == 1 {
            event.name
        } else {
            self.scratch.clear();
            write_string(&mut self.scratch, self.batch.text(event.name));
            self.scratch.push(b':');
            self.scratch.extend_from_slice(&self.object);
            self.scratch.push(b'}');
            self.batch.add_text(as_text(&self.scratch))
        };
        if event.nanos == 0 {
            self.timeless.push(value);
        } else {
            self.batch.push_annotation(event.nanos / NANOS_PER_MICRO, value);
        }
    }

    /// The members of a link are written as they are read, its attributes to [`Request::object`].
    pub(super) fn begin_link(&mut self) {
        self.links
            .extend_from_slice(if self.links.is_empty() { b"[{" } else { b",{" });
        self.begin_object();
    }

    /// A member of the link; empty means none.
    pub(super) fn link_text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            write_member(&mut self.links, name);
            write_string(&mut self.links, text);
        }
    }

    /// A member of the link; zero means none.
    pub(super) fn link_number(&mut self, name: &str, number: u64) {
        if number != 0 {
            write_member(&mut self.links, name);
            write_number(&mut self.links, number);
        }
    }

    pub(super) fn end_link(&mut self) {
        if self.object.len() > 1 {
            write_member(&mut self.links, "attributes");
            self.links.extend_from_slice(&self.object);
            self.links.push(b'}');
        }
        self.links.push(b'}');
    }

    /// Gives the span to the batch, or counts it as rejected.
    pub(super) fn end_span(&mut self) -> Result<(), RequestError> {
        let sound = self.span.check();
        match self.shared.fault().map_or(sound, Err) {
            Ok(()) => self.finish()?,
            Err(fault) => {
                self.batch.abandon();
                self.reject(fault);
            }
        }
        self.place.span += 1;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SpanError> {
        self.push_status();
        self.push_extras();
        tags::sort(&mut self.tags, self.batch);
        tags::push_merged(self.shared.tags(), &self.tags, self.batch);
        let Fields {
            start_nanos,
            end_nanos,
            ..
        } = self.span;
        let start = (start_nanos / NANOS_PER_MICRO) as i64;
        let duration = match (start_nanos, end_nanos) {
            (0, _) | (_, 0) => 0,
            _ => ((end_nanos / NANOS_PER_MICRO) as i64 - start).max(1),
        };
        for index in 0..self.timeless.len() {
            self.batch.push_annotation(start as u64, self.timeless[index]);
        }
        self.batch.finish(&SpanDraft {
            trace_id: self.span.trace_id,
            parent_id: self.span.parent_id,
            id: self.span.id,
            kind: self.span.kind,
            name: self.span.name,
            timestamp: start,
            duration,
            local_endpoint: self.peers.local(self.shared.service(), self.batch),
            remote_endpoint: self.peers.remote(self.span.kind, self.batch),
            debug: false,
            shared: false,
        })
    }

    /// `error` is what Zipkin goes by: there for every span that failed, with the reason as far as it is known.
    fn push_status(&mut self) {
        const OK: u64 = 1;
        const ERROR: u64 = 2;
        let message = self.span.status_message;
        match self.span.status {
            OK => self.push_name(Word::StatusCode, Word::Ok),
            ERROR => {
                self.push_name(Word::StatusCode, Word::ErrorCode);
                if !self.span.has_error {
                    self.push(Word::Error, message);
                    return;
                }
            }
            _ => {}
        }
        if !message.is_empty() {
            self.push(Word::StatusDescription, message);
        }
    }

    fn push_extras(&mut self) {
        if !self.span.trace_state.is_empty() {
            self.push(Word::TraceState, self.span.trace_state);
        }
        if !USUAL_FLAGS.contains(&self.span.flags) {
            self.scratch.clear();
            write!(self.scratch, "{:#x}", self.span.flags).expect("a vector takes every byte");
            let flags = self.batch.add_text(as_text(&self.scratch));
            self.push(Word::Flags, flags);
        }
        for (name, count) in [
            (Word::DroppedAttributes, self.span.dropped_attributes),
            (Word::DroppedEvents, self.span.dropped_events),
            (Word::DroppedLinks, self.span.dropped_links),
        ] {
            if count > 0 {
                let count = self.number(count);
                self.push(name, count);
            }
        }
        if !self.links.is_empty() {
            self.links.push(b']');
            let links = self.batch.add_text(as_text(&self.links));
            self.push(Word::Links, links);
        }
    }

    fn push(&mut self, name: Word, value: Text) {
        let key = self.words.text(name, self.batch);
        self.tags.push(Tag::new(key, value, self.batch));
    }

    fn push_name(&mut self, name: Word, value: Word) {
        let value = self.words.text(value, self.batch);
        self.push(name, value);
    }

    /// In decimal; nothing for zero.
    fn number(&mut self, value: u64) -> Text {
        if value == 0 {
            return Text::EMPTY;
        }
        self.scratch.clear();
        write_number(&mut self.scratch, value);
        self.batch.add_text(as_text(&self.scratch))
    }

    fn reject(&mut self, fault: Fault) {
        let Place {
            resource,
            scope,
            span,
        } = self.place;
        self.rejected.spans += 1;
        self.rejected.reason.get_or_insert_with(|| {
            format!("{fault} at resourceSpans[{resource}].scopeSpans[{scope}].spans[{span}]")
        });
    }
}

//! Reads a request in protobuf's binary format, by cursor. Unknown fields, and fields of an unexpected wire type,
//! are passed over; fields may come in any order; text that is not UTF-8 becomes U+FFFD.

mod attributes;

use model::{SpanBatch, Text};

use super::request::{Event, Fault, Id, Request, RequestError};
use super::value::{as_text, write_hex};
use super::words::Word;
use crate::protobuf::{self, Cursor, FIXED32, FIXED64, LENGTH_DELIMITED, VARINT, key};
use crate::{DecodeError, Rejected};
use attributes::{read_attribute, read_member};

/// Field numbers of `ExportTraceServiceRequest`.
mod request {
    pub(super) const RESOURCE_SPANS: u32 = 1;
}

/// Field numbers of `ResourceSpans`.
mod resource_spans {
    pub(super) const RESOURCE: u32 = 1;
    pub(super) const SCOPE_SPANS: u32 = 2;
    pub(super) const SCHEMA_URL: u32 = 3;
}

/// Field numbers of `Resource`.
mod resource {
    pub(super) const ATTRIBUTES: u32 = 1;
    pub(super) const DROPPED_ATTRIBUTES_COUNT: u32 = 2;
}

/// Field numbers of `ScopeSpans`.
mod scope_spans {
    pub(super) const SCOPE: u32 = 1;
    pub(super) const SPANS: u32 = 2;
    pub(super) const SCHEMA_URL: u32 = 3;
}

/// Field numbers of `InstrumentationScope`.
mod scope {
    pub(super) const NAME: u32 = 1;
    pub(super) const VERSION: u32 = 2;
    pub(super) const ATTRIBUTES: u32 = 3;
    pub(super) const DROPPED_ATTRIBUTES_COUNT: u32 = 4;
}

/// Field numbers of `Span`.
mod span {
    pub(super) const TRACE_ID: u32 = 1;
    pub(super) const SPAN_ID: u32 = 2;
    pub(super) const TRACE_STATE: u32 = 3;
    pub(super) const PARENT_SPAN_ID: u32 = 4;
    pub(super) const NAME: u32 = 5;
    pub(super) const KIND: u32 = 6;
    pub(super) const START_TIME_UNIX_NANO: u32 = 7;
    pub(super) const END_TIME_UNIX_NANO: u32 = 8;
    pub(super) const ATTRIBUTES: u32 = 9;
    pub(super) const DROPPED_ATTRIBUTES_COUNT: u32 = 10;
    pub(super) const EVENTS: u32 = 11;
    pub(super) const DROPPED_EVENTS_COUNT: u32 = 12;
    pub(super) const LINKS: u32 = 13;
    pub(super) const DROPPED_LINKS_COUNT: u32 = 14;
    pub(super) const STATUS: u32 = 15;
    pub(super) const FLAGS: u32 = 16;
}

/// Field numbers of `Span.Event`.
mod event {
    pub(super) const TIME_UNIX_NANO: u32 = 1;
    pub(super) const NAME: u32 = 2;
    pub(super) const ATTRIBUTES: u32 = 3;
    pub(super) const DROPPED_ATTRIBUTES_COUNT: u32 = 4;
}

/// Field numbers of `Span.Link`.
mod link {
    pub(super) const TRACE_ID: u32 = 1;
    pub(super) const SPAN_ID: u32 = 2;
    pub(super) const TRACE_STATE: u32 = 3;
    pub(super) const ATTRIBUTES: u32 = 4;
    pub(super) const DROPPED_ATTRIBUTES_COUNT: u32 = 5;
    pub(super) const FLAGS: u32 = 6;
}

/// Field numbers of `Status`.
mod status {
    pub(super) const MESSAGE: u32 = 2;
    pub(super) const CODE: u32 = 3;
}

/// Why a body is refused.
#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Wire(#[from] protobuf::Fault),
    #[error(transparent)]
    Request(#[from] RequestError),
}

type Result<T> = std::result::Result<T, Cause>;

pub(super) fn read(
    body: &[u8],
    resource_prefix: &'static str,
    batch: &mut SpanBatch,
) -> std::result::Result<Rejected, DecodeError> {
    let cursor = Cursor::new_in(body, batch);
    let mut request = Request::new(resource_prefix, body.len(), batch);
    match read_request(cursor, &mut request) {
        Ok(()) => Ok(request.into_rejected()),
        Err(cause) => Err(super::refused(cause, "protobuf")),
    }
}

fn read_request(mut cursor: Cursor<'_>, request: &mut Request<'_>) -> Result<()> {
    const RESOURCE_SPANS: u32 = key(request::RESOURCE_SPANS, LENGTH_DELIMITED);
    while let Some(key) = cursor.next_key()? {
        match key {
            RESOURCE_SPANS => read_resource_spans(cursor.message()?, request)?,
            _ => cursor.skip(key)?,
        }
    }
    Ok(())
}

/// Twice over the fields, since spans need what may stand behind them.
fn read_resource_spans(cursor: Cursor<'_>, request: &mut Request<'_>) -> Result<()> {
    const RESOURCE: u32 = key(resource_spans::RESOURCE, LENGTH_DELIMITED);
    const SCOPE_SPANS: u32 = key(resource_spans::SCOPE_SPANS, LENGTH_DELIMITED);
    const SCHEMA_URL: u32 = key(resource_spans::SCHEMA_URL, LENGTH_DELIMITED);

    request.begin_resource();
    let mut fields = cursor.clone();
    while let Some(key) = fields.next_key()? {
        match key {
            RESOURCE => read_resource(fields.message()?, request)?,
            SCHEMA_URL => {
                let url = read_text(&mut fields, request)?;
                request.resource_text(Word::ResourceSchemaUrl, url);
            }
            _ => fields.skip(key)?,
        }
    }
    let mut fields = cursor;
    while let Some(key) = fields.next_key()? {
        match key {
            SCOPE_SPANS => read_scope_spans(fields.message()?, request)?,
            _ => fields.skip(key)?,
        }
    }
    request.end_resource();
    Ok(())
}

fn read_resource(mut cursor: Cursor<'_>, request: &mut Request<'_>) -> Result<()> {
    const ATTRIBUTES: u32 = key(resource::ATTRIBUTES, LENGTH_DELIMITED);
    const DROPPED_ATTRIBUTES_COUNT: u32 = key(resource::DROPPED_ATTRIBUTES_COUNT, VARINT);

    while let Some(key) = cursor.next_key()? {
        match key {
            ATTRIBUTES => {
                let mut too_deep = false;
                let (name, value) = read_attribute(cursor.message()?, request, &mut too_deep)?;
                request.resource_attribute(name, value);
                if too_deep {
                    request.shared.fail_resource(Fault::TooDeep);
                }
            }
            DROPPED_ATTRIBUTES_COUNT => {
                request.resource_number(Word::ResourceDroppedAttributes, cursor.varint64()?);
            }
            _ => cursor.skip(key)?,
        }
    }
    Ok(())
}

/// Twice over the fields, since spans need what may stand behind them.
fn read_scope_spans(cursor: Cursor<'_>, request: &mut Request<'_>) -> Result<()> {
    const SCOPE: u32 = key(scope_spans::SCOPE, LENGTH_DELIMITED);
    const SPANS: u32 = key(scope_spans::SPANS, LENGTH_DELIMITED);
    const SCHEMA_URL: u32 = key(scope_spans::SCHEMA_URL, LENGTH_DELIMITED);

    request.begin_scope();
    let mut fields = cursor.clone();
    while let Some(key) = fields.next_key()? {
        match key {
            SCOPE => read_scope(fields.message()?, request)?,
            SCHEMA_URL => {
                let url = read_text(&mut fields, request)?;
                request.scope_text(Word::ScopeSchemaUrl, url);
            }
            _ => fields.skip(key)?,
        }
    }
    request.begin_spans();
    let mut fields = cursor;
    while let Some(key) = fields.next_key()? {
        match key {
            SPANS => read_span(fields.message()?, request)?,
            _ => fields.skip(key)?,
        }
    }
    request.end_scope();
    Ok(())
}

fn read_scope(mut cursor: Cursor<'_>, request: &mut Request<'_>) -> Result<()> {
    const NAME: u32 = key(scope::NAME, LENGTH_DELIMITED);
    const VERSION: u32 = key(scope::VERSION, LENGTH_DELIMITED);
    const ATTRIBUTES: u32 = key(scope::ATTRIBUTES, LENGTH_DELIMITED);
    const DROPPED_ATTRIBUTES_COUNT: u32 = key(scope::DROPPED_ATTRIBUTES_COUNT, VARINT);

    while let Some(key) = cursor.next_key()? {
        match key {
            NAME => {
                let name = read_text(&mut cursor, request)?;
                request.scope_text(Word::ScopeName, name);
            }
            VERSION => {
                let version = read_text(&mut cursor, request)?;
                request.scope_text(Word::ScopeVersion, version);
            }
            ATTRIBUTES => {
                let mut too_deep = false;
                let (name, value) = read_attribute(cursor.message()?, request, &mut too_deep)?;
                request.scope_attribute(name, value);
                if too_deep {
                    request.shared.fail_scope(Fault::TooDeep);
                }
            }
            DROPPED_ATTRIBUTES_COUNT => {
                request.scope_number(Word::ScopeDroppedAttributes, cursor.varint64()?);
            }
            _ => cursor.skip(key)?,
        }
    }
    Ok(())
}

fn read_span(mut cursor: Cursor<'_>, request: &mut Request<'_>) -> Result<()> {
    const TRACE_ID: u32 = key(span::TRACE_ID, LENGTH_DELIMITED);
    const SPAN_ID: u32 = key(span::SPAN_ID, LENGTH_DELIMITED);
    const TRACE_STATE: u32 = key(span::TRACE_STATE, LENGTH_DELIMITED);
    const PARENT_SPAN_ID: u32 = key(span::PARENT_SPAN_ID, LENGTH_DELIMITED);
    const NAME: u32 = key(span::NAME, LENGTH_DELIMITED);
    const KIND: u32 = key(span::KIND, VARINT);
    const START_TIME: u32 = key(span::START_TIME_UNIX_NANO, FIXED64);
    const END_TIME: u32 = key(span::END_TIME_UNIX_NANO, FIXED64);
    const ATTRIBUTES: u32 = key(span::ATTRIBUTES, LENGTH_DELIMITED);
    const DROPPED_ATTRIBUTES: u32 = key(span::DROPPED_ATTRIBUTES_COUNT, VARINT);
    const EVENTS: u32 = key(span::EVENTS, LENGTH_DELIMITED);
    const DROPPED_EVENTS: u32 = key(span::DROPPED_EVENTS_COUNT, VARINT);
    const LINKS: u32 = key(span::LINKS, LENGTH_DELIMITED);
    const DROPPED_LINKS: u32 = key(span::DROPPED_LINKS_COUNT, VARINT);
    const STATUS: u32 = key(span::STATUS, LENGTH_DELIMITED);
    const FLAGS: u32 = key(span::FLAGS, FIXED32);

    request.begin_span()?;
    while let Some(key) = cursor.next_key()? {
        match key {
            TRACE_ID => request
                .span
                .set_id(Id::Trace, Id::Trace.read_bytes(cursor.bytes()?)),
            SPAN_ID => request
                .span
                .set_id(Id::Span, Id::Span.read_bytes(cursor.bytes()?)),
            PARENT_SPAN_ID => {
                let id = Id::ParentSpan.read_bytes(cursor.bytes()?);
                request.span.set_id(Id::ParentSpan, id);
            }
            TRACE_STATE => request.span.trace_state = read_text(&mut cursor, request)?,
            NAME => request.span.name = read_text(&mut cursor, request)?,
            KIND => request.span.set_kind(cursor.varint64()?),
            START_TIME => request.span.start_nanos = cursor.fixed64()?,
            END_TIME => request.span.end_nanos = cursor.fixed64()?,
            ATTRIBUTES => {
                let mut too_deep = false;
                let (name, value) = read_attribute(cursor.message()?, request, &mut too_deep)?;
                request.span_attribute(name, value);
                request.check_depth(too_deep);
            }
            DROPPED_ATTRIBUTES => request.span.dropped_attributes = cursor.varint64()?,
            EVENTS => read_event(cursor.message()?, request)?,
            DROPPED_EVENTS => request.span.dropped_events = cursor.varint64()?,
            LINKS => read_link(cursor.message()?, request)?,
            DROPPED_LINKS => request.span.dropped_links = cursor.varint64()?,
            STATUS => read_status(cursor.message()?, request)?,
            FLAGS => request.span.flags = cursor.fixed32()?,
            _ => cursor.skip(key)?,
        }
    }
    Ok(request.end_span()?)
}

fn read_event(mut cursor: Cursor<'_>, request: &mut Request<'_>) -> Result<()> {
    const TIME: u32 = key(event::TIME_UNIX_NANO, FIXED64);
    const NAME: u32 = key(event::NAME, LENGTH_DELIMITED);
    const ATTRIBUTES: u32 = key(event::ATTRIBUTES, LENGTH_DELIMITED);
    const DROPPED_ATTRIBUTES: u32 = key(event::DROPPED_ATTRIBUTES_COUNT, VARINT);

    let mut event = Event::default();
    request.begin_object();
    while let Some(key) = cursor.next_key()? {
        match key {
            TIME => event.nanos = cursor.fixed64()?,
            NAME => event.name = read_text(&mut cursor, request)?,
            ATTRIBUTES => read_member(cursor.message()?, request)?,
            DROPPED_ATTRIBUTES => event.dropped_attributes = cursor.varint64()?,
            _ => cursor.skip(key)?,
        }
    }
    request.end_event(event);
    Ok(())
}

fn read_link(mut cursor: Cursor<'_>, request: &mut Request<'_>) -> Result<()> {
    const TRACE_ID: u32 = key(link::TRACE_ID, LENGTH_DELIMITED);
    const SPAN_ID: u32 = key(link::SPAN_ID, LENGTH_DELIMITED);
    const TRACE_STATE: u32 = key(link::TRACE_STATE, LENGTH_DELIMITED);
    const ATTRIBUTES: u32 = key(link::ATTRIBUTES, LENGTH_DELIMITED);
    const DROPPED_ATTRIBUTES: u32 = key(link::DROPPED_ATTRIBUTES_COUNT, VARINT);
    const FLAGS: u32 = key(link::FLAGS, FIXED32);

    request.begin_link();
    while let Some(key) = cursor.next_key()? {
        match key {
            TRACE_ID => link_id("traceId", cursor.bytes()?, request),
            SPAN_ID => link_id("spanId", cursor.bytes()?, request),
            TRACE_STATE => request.link_text("traceState", &cursor.text()?),
            ATTRIBUTES => read_member(cursor.message()?, request)?,
            DROPPED_ATTRIBUTES => request.link_number("droppedAttributesCount", cursor.varint64()?),
            FLAGS => request.link_number("flags", cursor.fixed32()?.into()),
            _ => cursor.skip(key)?,
        }
    }
    request.end_link();
    Ok(())
}

fn link_id(name: &str, bytes: &[u8], request: &mut Request<'_>) {
    let mut digits = Vec::with_capacity(2 * bytes.len());
    write_hex(&mut digits, bytes);
    request.link_text(name, as_text(&digits));
}

fn read_status(mut cursor: Cursor<'_>, request: &mut Request<'_>) -> Result<()> {
    const MESSAGE: u32 = key(status::MESSAGE, LENGTH_DELIMITED);
    const CODE: u32 = key(status::CODE, VARINT);

    while let Some(key) = cursor.next_key()? {
        match key {
            MESSAGE => request.span.status_message = read_text(&mut cursor, request)?,
            CODE => request.span.status = cursor.varint64()?,
            _ => cursor.skip(key)?,
        }
    }
    Ok(())
}

fn read_text(cursor: &mut Cursor<'_>, request: &mut Request<'_>) -> Result<Text> {
    Ok(cursor.text_in(request.batch)?)
}

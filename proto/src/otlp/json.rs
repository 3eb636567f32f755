//! Reads a request in OTLP's JSON: names in lowerCamelCase, identifiers in hexadecimal, 64-bit integers as
//! strings or numbers, enumerations as numbers or names. Unknown members are passed over, `null` is as good as
//! absent, and members may come in any order.

mod attributes;

use model::{SpanBatch, Text};

use super::request::{Event, Fault, Id, Request, RequestError};
use super::words::Word;
use crate::json::{self, Cursor, Result, read_document};
use crate::{DecodeError, Rejected};
use attributes::{read_attribute, write_attributes};

pub(super) fn read(
    body: &[u8],
    resource_prefix: &'static str,
    batch: &mut SpanBatch,
) -> std::result::Result<Rejected, DecodeError> {
    let mut rejected = Rejected::default();
    let outcome = read_document(body, batch, |cursor, batch| {
        let mut request = Request::new(resource_prefix, body.len(), batch);
        read_request(cursor, &mut request)?;
        rejected = request.into_rejected();
        Ok(())
    });
    match outcome {
        Ok(()) => Ok(rejected),
        Err(detail) => Err(super::refused(detail, "json")),
    }
}

/// Reads an object member by member; `null` is one without any, and a member that is `null` is none.
fn members<'a>(
    cursor: &mut Cursor<'a>,
    mut member: impl FnMut(&mut Cursor<'a>, &str) -> Result<()>,
) -> Result<()> {
    if cursor.null()? {
        return Ok(());
    }
    let mut more = cursor.begin_object()?;
    while more {
        let name = cursor.key()?;
        let name = cursor.characters(name)?;
        if !cursor.null()? {
            member(cursor, &name)?;
        }
        more = cursor.more_members()?;
    }
    Ok(())
}

/// Reads an array element by element.
fn elements<'a>(
    cursor: &mut Cursor<'a>,
    mut element: impl FnMut(&mut Cursor<'a>) -> Result<()>,
) -> Result<()> {
    let mut more = cursor.begin_array()?;
    while more {
        element(cursor)?;
        more = cursor.more_elements()?;
    }
    Ok(())
}

/// Reads the array that was passed over, now that everything beside it is known.
fn deferred_elements<'a>(
    deferred: Option<Cursor<'a>>,
    element: impl FnMut(&mut Cursor<'a>) -> Result<()>,
) -> Result<()> {
    match deferred {
        Some(mut cursor) => elements(&mut cursor, element),
        None => Ok(()),
    }
}

fn read_request(cursor: &mut Cursor<'_>, request: &mut Request<'_>) -> Result<()> {
    members(cursor, |cursor, name| match name {
        "resourceSpans" => elements(cursor, |cursor| read_resource_spans(cursor, request)),
        _ => cursor.skip(),
    })
}

fn read_resource_spans(cursor: &mut Cursor<'_>, request: &mut Request<'_>) -> Result<()> {
    request.begin_resource();
    let mut scope_spans = None;
    members(cursor, |cursor, name| match name {
        "resource" => read_resource(cursor, request),
        "schemaUrl" => {
            let url = read_text(cursor, request)?;
            request.resource_text(Word::ResourceSchemaUrl, url);
            Ok(())
        }
        "scopeSpans" => {
            scope_spans = Some(cursor.clone());
            cursor.skip()
        }
        _ => cursor.skip(),
    })?;
    deferred_elements(scope_spans, |cursor| read_scope_spans(cursor, request))?;
    request.end_resource();
    Ok(())
}

fn read_resource(cursor: &mut Cursor<'_>, request: &mut Request<'_>) -> Result<()> {
    members(cursor, |cursor, name| match name {
        "attributes" => elements(cursor, |cursor| {
            let mut too_deep = false;
            let (key, value) = read_attribute(cursor, request, &mut too_deep)?;
            request.resource_attribute(key, value);
            if too_deep {
                request.shared.fail_resource(Fault::TooDeep);
            }
            Ok(())
        }),
        "droppedAttributesCount" => {
            request.resource_number(Word::ResourceDroppedAttributes, read_number(cursor)?);
            Ok(())
        }
        _ => cursor.skip(),
    })
}

fn read_scope_spans(cursor: &mut Cursor<'_>, request: &mut Request<'_>) -> Result<()> {
    request.begin_scope();
    let mut spans = None;
    members(cursor, |cursor, name| match name {
        "scope" => read_scope(cursor, request),
        "schemaUrl" => {
            let url = read_text(cursor, request)?;
            request.scope_text(Word::ScopeSchemaUrl, url);
            Ok(())
        }
        "spans" => {
            spans = Some(cursor.clone());
            cursor.skip()
        }
        _ => cursor.skip(),
    })?;
    request.begin_spans();
    deferred_elements(spans, |cursor| read_span(cursor, request))?;
    request.end_scope();
    Ok(())
}

fn read_scope(cursor: &mut Cursor<'_>, request: &mut Request<'_>) -> Result<()> {
    members(cursor, |cursor, name| {
        match name {
            "name" => {
                let name = read_text(cursor, request)?;
                request.scope_text(Word::ScopeName, name);
            }
            "version" => {
                let version = read_text(cursor, request)?;
                request.scope_text(Word::ScopeVersion, version);
            }
            "attributes" => elements(cursor, |cursor| {
                let mut too_deep = false;
                let (key, value) = read_attribute(cursor, request, &mut too_deep)?;
                request.scope_attribute(key, value);
                if too_deep {
                    request.shared.fail_scope(Fault::TooDeep);
                }
                Ok(())
            })?,
            "droppedAttributesCount" => {
                request.scope_number(Word::ScopeDroppedAttributes, read_number(cursor)?);
            }
            _ => cursor.skip()?,
        }
        Ok(())
    })
}

fn read_span(cursor: &mut Cursor<'_>, request: &mut Request<'_>) -> Result<()> {
    request.begin_span().map_err(refuse)?;
    members(cursor, |cursor, name| {
        match name {
            "traceId" => read_id(cursor, request, Id::Trace)?,
            "spanId" => read_id(cursor, request, Id::Span)?,
            "parentSpanId" => read_id(cursor, request, Id::ParentSpan)?,
            "traceState" => request.span.trace_state = read_text(cursor, request)?,
            "name" => request.span.name = read_text(cursor, request)?,
            "kind" => request.span.set_kind(read_enum(cursor, &KINDS)?),
            "startTimeUnixNano" => request.span.start_nanos = read_number(cursor)?,
            "endTimeUnixNano" => request.span.end_nanos = read_number(cursor)?,
            "attributes" => elements(cursor, |cursor| {
                let mut too_deep = false;
                let (key, value) = read_attribute(cursor, request, &mut too_deep)?;
                request.span_attribute(key, value);
                request.check_depth(too_deep);
                Ok(())
            })?,
            "droppedAttributesCount" => request.span.dropped_attributes = read_number(cursor)?,
            "events" => elements(cursor, |cursor| read_event(cursor, request))?,
            "droppedEventsCount" => request.span.dropped_events = read_number(cursor)?,
            "links" => elements(cursor, |cursor| read_link(cursor, request))?,
            "droppedLinksCount" => request.span.dropped_links = read_number(cursor)?,
            "status" => read_status(cursor, request)?,
            "flags" => request.span.flags = read_number(cursor)? as u32,
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    request.end_span().map_err(refuse)
}

fn read_event(cursor: &mut Cursor<'_>, request: &mut Request<'_>) -> Result<()> {
    let mut event = Event::default();
    request.begin_object();
    members(cursor, |cursor, name| {
        match name {
            "timeUnixNano" => event.nanos = read_number(cursor)?,
            "name" => event.name = read_text(cursor, request)?,
            "attributes" => write_attributes(cursor, request)?,
            "droppedAttributesCount" => event.dropped_attributes = read_number(cursor)?,
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    request.end_event(event);
    Ok(())
}

fn read_link(cursor: &mut Cursor<'_>, request: &mut Request<'_>) -> Result<()> {
    request.begin_link();
    members(cursor, |cursor, name| {
        match name {
            "traceId" | "spanId" | "traceState" => {
                let raw = cursor.string()?;
                let text = cursor.characters(raw)?;
                let text = if name == "traceState" {
                    text
                } else {
                    text.to_ascii_lowercase().into()
                };
                request.link_text(name, &text);
            }
            "attributes" => write_attributes(cursor, request)?,
            "droppedAttributesCount" | "flags" => request.link_number(name, read_number(cursor)?),
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    request.end_link();
    Ok(())
}

fn read_status(cursor: &mut Cursor<'_>, request: &mut Request<'_>) -> Result<()> {
    members(cursor, |cursor, name| {
        match name {
            "message" => request.span.status_message = read_text(cursor, request)?,
            "code" => request.span.status = read_enum(cursor, &STATUS_CODES)?,
            _ => cursor.skip()?,
        }
        Ok(())
    })
}

fn read_text(cursor: &mut Cursor<'_>, request: &mut Request<'_>) -> Result<Text> {
    let raw = cursor.string()?;
    cursor.text(raw, request.batch)
}

/// None of these numbers can be negative; one that is counts as absent.
fn read_number(cursor: &mut Cursor<'_>) -> Result<u64> {
    Ok(u64::try_from(cursor.long()?).unwrap_or(0))
}

fn read_id(cursor: &mut Cursor<'_>, request: &mut Request<'_>, id: Id) -> Result<()> {
    let raw = cursor.string()?;
    let text = cursor.characters(raw)?;
    request.span.set_id(id, id.read_hex(&text));
    Ok(())
}

const KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];

const STATUS_CODES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

/// A number, or the name that stands at it; what is neither is as good as absent, as in protobuf.
fn read_enum(cursor: &mut Cursor<'_>, names: &[&str]) -> Result<u64> {
    let raw = cursor.string()?;
    let text = cursor.characters(raw)?;
    let named = names.iter().position(|name| *name == text);
    Ok(named.map_or_else(|| text.parse().unwrap_or(0), |number| number as u64))
}

fn refuse(error: RequestError) -> Box<json::Fault> {
    json::Fault::plain(error.to_string())
}

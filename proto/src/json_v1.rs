//! Zipkin's v1 JSON (`zipkin.md` 4.7).
//!
//! What Zipkin's own reader and writer make of it is in `testdata/zipkin_json_v1.json`, with the few
//! differences and their reasons. Not meant to be fast: senders have had v2 since 2017.

mod write;

use std::borrow::Cow;

use model::{InvalidPort, IpAddresses, Span, SpanBatch};

use crate::DecodeError;
use crate::json::{Cursor, Fault, Raw, Result, read_body};
use crate::v1::{self, Annotation, BinaryAnnotation, BinaryValue, Endpoint};

/// Reads `[span, …]`. Nothing at all is an empty list, and what follows the list is not looked at.
pub(crate) fn decode(body: &[u8], batch: &mut SpanBatch) -> std::result::Result<(), DecodeError> {
    if body.is_empty() {
        return Ok(());
    }
    read_body(body, batch, read_list)
}

/// Writes `[span,…]`.
pub(crate) fn encode(spans: &[Span]) -> Vec<u8> {
    write::write_list(spans)
}

fn read_list(cursor: &mut Cursor<'_>, batch: &mut SpanBatch) -> Result<()> {
    let mut more = cursor.begin_array()?;
    while more {
        let span = read_span(cursor)?;
        v1::to_v2(span, batch).map_err(|error| Fault::plain(error.to_string()))?;
        more = cursor.more_elements()?;
    }
    Ok(())
}

fn read_span<'a>(cursor: &mut Cursor<'a>) -> Result<v1::Span<'a>> {
    let mut span = v1::Span::default();
    let mut more = cursor.begin_object()?;
    while more {
        let key = read_key(cursor)?;
        match key.as_ref() {
            "traceId" => {
                let text = read_string(cursor)?;
                span.trace_id = low_bits(&text)?;
                // The upper half is looked for only where it is whole.
                span.trace_id_high = if text.len() == 32 { bits(&text, 0)? } else { 0 };
            }
            "id" => span.id = low_bits(&read_string(cursor)?)?,
            _ if cursor.null()? => {}
            "name" => span.name = read_string(cursor)?,
            "parentId" => span.parent_id = low_bits(&read_string(cursor)?)?,
            "timestamp" => span.timestamp = cursor.long()?,
            "duration" => span.duration = cursor.long()?,
            "annotations" => read_elements(cursor, &mut span.annotations, read_annotation)?,
            "binaryAnnotations" => {
                read_elements(cursor, &mut span.binary_annotations, read_binary_annotation)?;
            }
            // As in Zipkin, once true is true.
            "debug" => span.debug |= cursor.boolean()?,
            _ => cursor.skip()?,
        }
        more = cursor.more_members()?;
    }
    Ok(span)
}

/// Reads an array, of whose elements some mean nothing to us.
fn read_elements<'a, T>(
    cursor: &mut Cursor<'a>,
    elements: &mut Vec<T>,
    read: impl Fn(&mut Cursor<'a>) -> Result<Option<T>>,
) -> Result<()> {
    let mut more = cursor.begin_array()?;
    while more {
        elements.extend(read(cursor)?);
        more = cursor.more_elements()?;
    }
    Ok(())
}

fn read_annotation<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Annotation<'a>>> {
    let (mut timestamp, mut value, mut endpoint) = (None, None, None);
    let mut more = cursor.begin_object()?;
    while more {
        let key = read_key(cursor)?;
        match key.as_ref() {
            "timestamp" => timestamp = Some(cursor.long()?),
            "value" => value = Some(read_string(cursor)?),
            "endpoint" if !cursor.null()? => endpoint = read_endpoint(cursor)?,
            "endpoint" => {}
            _ => cursor.skip()?,
        }
        more = cursor.more_members()?;
    }
    match (timestamp, value) {
        (Some(timestamp), Some(value)) => Ok(Some(Annotation {
            timestamp,
            value,
            endpoint,
        })),
        // The path to its last member: in front of the brace just read.
        _ => Err(Fault::at_path("Incomplete annotation", cursor.position() - 1)),
    }
}

/// `None` if the value is neither a text nor the `true` of an address.
fn read_binary_annotation<'a>(cursor: &mut Cursor<'a>) -> Result<Option<BinaryAnnotation<'a>>> {
    let (mut key, mut text, mut is_true, mut endpoint) = (None, None, false, None);
    let mut more = cursor.begin_object()?;
    while more {
        let member = read_key(cursor)?;
        match member.as_ref() {
            _ if cursor.null()? => {}
            "key" => key = Some(read_string(cursor)?),
            "value" => match cursor.rest()?.as_bytes()[0] {
                b'"' => text = Some(read_string(cursor)?),
                b't' | b'T' | b'f' | b'F' => is_true = cursor.boolean()?,
                _ => cursor.skip()?,
            },
            "endpoint" => endpoint = read_endpoint(cursor)?,
            _ => cursor.skip()?,
        }
        more = cursor.more_members()?;
    }
    let key = key.ok_or_else(|| Fault::at_path("No key", cursor.position() - 1))?;
    let value = match text {
        Some(text) => BinaryValue::Text(text),
        None if is_true && endpoint.is_some() => BinaryValue::Address,
        None => return Ok(None),
    };
    Ok(Some(BinaryAnnotation { key, value, endpoint }))
}

fn read_endpoint<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Endpoint<'a>>> {
    let mut service_name = Cow::Borrowed("");
    let mut ip = IpAddresses::default();
    let mut port = 0;
    let mut more = cursor.begin_object()?;
    while more {
        let key = read_key(cursor)?;
        match key.as_ref() {
            _ if cursor.null()? => {}
            "serviceName" => service_name = read_string(cursor)?,
            // Text that is no address is ignored.
            "ipv4" | "ipv6" => {
                ip.insert_text(&read_string(cursor)?);
            }
            "port" => port = read_port(cursor)?,
            _ => cursor.skip()?,
        }
        more = cursor.more_members()?;
    }
    Ok(Endpoint::read(service_name, ip, port))
}

/// A negative port is none.
fn read_port(cursor: &mut Cursor<'_>) -> Result<u16> {
    let port = cursor.int()?.max(0);
    u16::try_from(port).map_err(|_| Fault::plain(InvalidPort(port).to_string()))
}

fn read_key<'a>(cursor: &mut Cursor<'a>) -> Result<Cow<'a, str>> {
    let key = cursor.key()?;
    cursor.characters(key)
}

fn read_string<'a>(cursor: &mut Cursor<'a>) -> Result<Cow<'a, str>> {
    let string: Raw = cursor.string()?;
    cursor.characters(string)
}

/// The number that the last 16 of 1 to 32 lower-case hexadecimal characters mean. What stands before them is
/// not even looked at, as in Zipkin.
fn low_bits(text: &str) -> Result<u64> {
    bits(text, text.len().saturating_sub(16))
}

/// The number that up to 16 characters mean, from a place in the text on.
fn bits(text: &str, from: usize) -> Result<u64> {
    let digits = &text.as_bytes()[from..text.len().min(from + 16)];
    let value = digits.iter().try_fold(0, |value, byte| match byte {
        b'0'..=b'9' => Some(value << 4 | u64::from(byte - b'0')),
        b'a'..=b'f' => Some(value << 4 | u64::from(byte - b'a' + 10)),
        _ => None,
    });
    value.filter(|_| (1..=32).contains(&text.len())).ok_or_else(|| {
        Fault::plain(format!(
            "{text} should be a 1 to 32 character lower-hex string with no prefix"
        ))
    })
}

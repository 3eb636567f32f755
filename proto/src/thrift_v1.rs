//! Zipkin's v1 spans in thrift's TBinaryProtocol (`zipkin.md` 4.7): what old senders post as
//! `application/x-thrift`, and what Scribe and old Kafka topics carry one by one.
//!
//! What Zipkin's reader accepts, this one does: fields nobody knows, and known ones of an unexpected type, are
//! passed over; annotations without timestamp or value and binary annotations without key, value or type are
//! dropped; bytes behind the last span are ignored. It differs where Zipkin's is unbounded or reads on past the
//! end: fields nobody knows nest 64 deep at most, a list's count may not exceed the bytes that follow, and a
//! value that is cut is refused even if nobody knows the field.

mod write;

use model::{IpAddresses, Span, SpanBatch};

use crate::DecodeError;
use crate::thrift::{Cursor, Fault};
use crate::v1::{self, Annotation, BinaryAnnotation, BinaryValue, ConversionError, Endpoint};

/// Fields of `Span`.
mod span {
    use crate::thrift::{BOOL, Field, I64, LIST, STRING};

    pub(super) const TRACE_ID: Field = (I64, 1);
    pub(super) const NAME: Field = (STRING, 3);
    pub(super) const ID: Field = (I64, 4);
    pub(super) const PARENT_ID: Field = (I64, 5);
    pub(super) const ANNOTATIONS: Field = (LIST, 6);
    pub(super) const BINARY_ANNOTATIONS: Field = (LIST, 8);
    pub(super) const DEBUG: Field = (BOOL, 9);
    pub(super) const TIMESTAMP: Field = (I64, 10);
    pub(super) const DURATION: Field = (I64, 11);
    pub(super) const TRACE_ID_HIGH: Field = (I64, 12);
}

/// Fields of `Annotation`.
mod annotation {
    use crate::thrift::{Field, I64, STRING, STRUCT};

    pub(super) const TIMESTAMP: Field = (I64, 1);
    pub(super) const VALUE: Field = (STRING, 2);
    pub(super) const ENDPOINT: Field = (STRUCT, 3);
}

/// Fields of `BinaryAnnotation`, and the types of its value that mean something to us.
mod binary_annotation {
    use crate::thrift::{Field, I32, STRING, STRUCT};

    pub(super) const KEY: Field = (STRING, 1);
    pub(super) const VALUE: Field = (STRING, 2);
    pub(super) const TYPE: Field = (I32, 3);
    pub(super) const ENDPOINT: Field = (STRUCT, 4);

    pub(super) const TYPE_BOOL: i32 = 0;
    pub(super) const TYPE_STRING: i32 = 6;
    pub(super) const TRUE: [u8; 1] = [1];
}

/// Fields of `Endpoint`.
mod endpoint {
    use crate::thrift::{Field, I16, I32, STRING};

    pub(super) const IPV4: Field = (I32, 1);
    pub(super) const PORT: Field = (I16, 2);
    pub(super) const SERVICE_NAME: Field = (STRING, 3);
    pub(super) const IPV6: Field = (STRING, 4);
}

/// Why a body is refused, in Zipkin's words.
#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error(transparent)]
    Conversion(#[from] ConversionError),
}

pub(crate) fn decode(body: &[u8], batch: &mut SpanBatch) -> Result<(), DecodeError> {
    if body.is_empty() {
        return Ok(());
    }
    read_list(Cursor::new(body), batch).map_err(|cause| DecodeError::reading(cause.to_string(), "TBinary"))
}

pub(crate) fn encode(spans: &[Span]) -> Vec<u8> {
    write::write_list(spans)
}

/// Reads one v1 span, not in a list, and appends the spans that it is about, normalised, to `batch`: what Scribe
/// and old Kafka senders sent.
///
/// # Errors
/// [`DecodeError`] in Zipkin's words; `batch` is then cleared.
pub fn decode_thrift_span(body: &[u8], batch: &mut SpanBatch) -> Result<(), DecodeError> {
    read_and_convert(&mut Cursor::new(body), batch).map_err(|cause| {
        batch.clear();
        DecodeError::new(format!("{cause} reading Span from TBinary"))
    })
}

fn read_list(mut cursor: Cursor<'_>, batch: &mut SpanBatch) -> Result<(), Cause> {
    for _ in 0..cursor.structs()? {
        read_and_convert(&mut cursor, batch)?;
    }
    Ok(())
}

fn read_and_convert(cursor: &mut Cursor<'_>, batch: &mut SpanBatch) -> Result<(), Cause> {
    let span = read_span(cursor)?;
    Ok(v1::to_v2(span, batch)?)
}

fn read_span<'a>(cursor: &mut Cursor<'a>) -> Result<v1::Span<'a>, Cause> {
    let mut span = v1::Span::default();
    while let Some(field) = cursor.next_field()? {
        match field {
            span::TRACE_ID => span.trace_id = cursor.u64()?,
            span::TRACE_ID_HIGH => span.trace_id_high = cursor.u64()?,
            span::NAME => span.name = cursor.text()?,
            span::ID => span.id = cursor.u64()?,
            span::PARENT_ID => span.parent_id = cursor.u64()?,
            span::ANNOTATIONS => {
                for _ in 0..cursor.structs()? {
                    span.annotations.extend(read_annotation(cursor)?);
                }
            }
            span::BINARY_ANNOTATIONS => {
                for _ in 0..cursor.structs()? {
                    span.binary_annotations.extend(read_binary_annotation(cursor)?);
                }
            }
            span::DEBUG => span.debug = cursor.byte()? == 1,
            span::TIMESTAMP => span.timestamp = cursor.i64()?,
            span::DURATION => span.duration = cursor.i64()?,
            (kind, _) => cursor.skip(kind)?,
        }
    }
    Ok(span)
}

fn read_annotation<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Annotation<'a>>, Cause> {
    let mut timestamp = 0;
    let mut value = None;
    let mut endpoint = None;
    while let Some(field) = cursor.next_field()? {
        match field {
            annotation::TIMESTAMP => timestamp = cursor.i64()?,
            annotation::VALUE => value = Some(cursor.text()?),
            annotation::ENDPOINT => endpoint = read_endpoint(cursor)?,
            (kind, _) => cursor.skip(kind)?,
        }
    }
    Ok(value.filter(|_| timestamp != 0).map(|value| Annotation {
        timestamp,
        value,
        endpoint,
    }))
}

fn read_binary_annotation<'a>(cursor: &mut Cursor<'a>) -> Result<Option<BinaryAnnotation<'a>>, Cause> {
    let mut key = None;
    let mut value = None;
    let mut value_type = None;
    let mut endpoint = None;
    while let Some(field) = cursor.next_field()? {
        match field {
            binary_annotation::KEY => key = Some(cursor.text()?),
            binary_annotation::VALUE => value = Some(cursor.bytes()?),
            binary_annotation::TYPE => value_type = Some(cursor.i32()?),
            binary_annotation::ENDPOINT => endpoint = read_endpoint(cursor)?,
            (kind, _) => cursor.skip(kind)?,
        }
    }
    let (Some(key), Some(value)) = (key, value) else {
        return Ok(None);
    };
    let value = match value_type {
        Some(binary_annotation::TYPE_STRING) => BinaryValue::Text(String::from_utf8_lossy(value)),
        Some(binary_annotation::TYPE_BOOL) if value == binary_annotation::TRUE && endpoint.is_some() => {
            BinaryValue::Address
        }
        _ => return Ok(None),
    };
    Ok(Some(BinaryAnnotation { key, value, endpoint }))
}

fn read_endpoint<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Endpoint<'a>>, Cause> {
    let mut service_name = Default::default();
    let mut ip = IpAddresses::default();
    let mut port = 0;
    while let Some(field) = cursor.next_field()? {
        match field {
            // Zero means unknown.
            endpoint::IPV4 => match cursor.i32()? {
                0 => {}
                v4 => {
                    ip.insert_bytes(&v4.to_be_bytes());
                }
            },
            endpoint::PORT => port = cursor.i16()? as u16,
            endpoint::SERVICE_NAME => service_name = cursor.text()?,
            // Bytes of another length than an address has are ignored.
            endpoint::IPV6 => {
                ip.insert_bytes(cursor.bytes()?);
            }
            (kind, _) => cursor.skip(kind)?,
        }
    }
    Ok(Endpoint::read(service_name, ip, port))
}

//! `jaeger.thrift`'s `Batch` in TBinaryProtocol: what Jaeger's clients post to `/api/traces`.
//!
//! Fields nobody knows, and known ones of an unexpected type, are passed over. What a client says of itself (how
//! many spans it dropped, the number of the batch) is about no span and is not kept.

use model::{SpanBatch, TraceId};

use super::Cause;
use super::convert::{Converter, Process, Reference, ReferenceKind};
use super::tag::{Tag, Value};
use crate::DecodeError;
use crate::thrift::Cursor;

/// Fields of `Batch`.
mod batch {
    use crate::thrift::{Field, LIST, STRUCT};

    pub(super) const PROCESS: Field = (STRUCT, 1);
    pub(super) const SPANS: Field = (LIST, 2);
}

/// Fields of `Process`.
mod process {
    use crate::thrift::{Field, LIST, STRING};

    pub(super) const SERVICE_NAME: Field = (STRING, 1);
    pub(super) const TAGS: Field = (LIST, 2);
}

/// Fields of `Span`.
mod span {
    use crate::thrift::{Field, I32, I64, LIST, STRING};

    pub(super) const TRACE_ID_LOW: Field = (I64, 1);
    pub(super) const TRACE_ID_HIGH: Field = (I64, 2);
    pub(super) const SPAN_ID: Field = (I64, 3);
    pub(super) const PARENT_SPAN_ID: Field = (I64, 4);
    pub(super) const OPERATION_NAME: Field = (STRING, 5);
    pub(super) const REFERENCES: Field = (LIST, 6);
    pub(super) const FLAGS: Field = (I32, 7);
    pub(super) const START_TIME: Field = (I64, 8);
    pub(super) const DURATION: Field = (I64, 9);
    pub(super) const TAGS: Field = (LIST, 10);
    pub(super) const LOGS: Field = (LIST, 11);
}

/// Fields of `SpanRef`.
mod reference {
    use crate::thrift::{Field, I32, I64};

    pub(super) const TYPE: Field = (I32, 1);
    pub(super) const TRACE_ID_LOW: Field = (I64, 2);
    pub(super) const TRACE_ID_HIGH: Field = (I64, 3);
    pub(super) const SPAN_ID: Field = (I64, 4);

    pub(super) const FOLLOWS_FROM: i32 = 1;
}

/// Fields of `Log`.
mod log {
    use crate::thrift::{Field, I64, LIST};

    pub(super) const TIMESTAMP: Field = (I64, 1);
    pub(super) const FIELDS: Field = (LIST, 2);
}

/// Fields of `Tag`, and the types of its value.
mod tag {
    use crate::thrift::{BOOL, DOUBLE, Field, I32, I64, STRING};

    pub(super) const KEY: Field = (STRING, 1);
    pub(super) const TYPE: Field = (I32, 2);
    pub(super) const TEXT: Field = (STRING, 3);
    pub(super) const FLOAT: Field = (DOUBLE, 4);
    pub(super) const TRUTH: Field = (BOOL, 5);
    pub(super) const INT: Field = (I64, 6);
    pub(super) const BINARY: Field = (STRING, 7);

    pub(super) const TYPE_TEXT: i32 = 0;
    pub(super) const TYPE_FLOAT: i32 = 1;
    pub(super) const TYPE_BOOL: i32 = 2;
    pub(super) const TYPE_INT: i32 = 3;
    pub(super) const TYPE_BINARY: i32 = 4;
}

/// Reads a batch and appends its spans, normalised, to `batch`.
pub(crate) fn decode(body: &[u8], batch: &mut SpanBatch) -> Result<(), DecodeError> {
    read_batch(body, &mut Converter::new(batch))
        .map_err(|(cause, place)| DecodeError::new(format!("{cause}{place} reading Batch from TBinary")))
}

/// A cause and, where it is in a span, which one.
type Misplaced = (Cause, String);

fn outside(cause: impl Into<Cause>) -> Misplaced {
    (cause.into(), String::new())
}

fn read_batch(body: &[u8], converter: &mut Converter<'_>) -> Result<(), Misplaced> {
    let process = find_process(Cursor::new(body), converter).map_err(outside)?;
    let mut cursor = Cursor::new(body);
    while let Some(field) = cursor.next_field().map_err(outside)? {
        match field {
            batch::SPANS => {
                for index in 0..cursor.structs().map_err(outside)? {
                    read_span(&mut cursor, &process, converter)
                        .map_err(|cause| (cause, format!(" at spans[{index}]")))?;
                }
            }
            (kind, _) => cursor.skip(kind).map_err(outside)?,
        }
    }
    Ok(())
}

/// The process goes with every span, wherever in the batch it is. Clients write it first, so this ends soon.
fn find_process(mut cursor: Cursor<'_>, converter: &mut Converter<'_>) -> Result<Process, Cause> {
    while let Some(field) = cursor.next_field()? {
        match field {
            batch::PROCESS => return read_process(&mut cursor, converter),
            (kind, _) => cursor.skip(kind)?,
        }
    }
    Ok(Process::default())
}

fn read_process(cursor: &mut Cursor<'_>, converter: &mut Converter<'_>) -> Result<Process, Cause> {
    let mut process = Process::default();
    while let Some(field) = cursor.next_field()? {
        match field {
            process::SERVICE_NAME => converter.process_name(&mut process, &cursor.text()?),
            process::TAGS => {
                for _ in 0..cursor.structs()? {
                    converter.process_tag(&mut process, &read_tag(cursor)?);
                }
            }
            (kind, _) => cursor.skip(kind)?,
        }
    }
    Ok(process)
}

fn read_span(cursor: &mut Cursor<'_>, process: &Process, converter: &mut Converter<'_>) -> Result<(), Cause> {
    let mut span = converter.begin(process)?;
    let mut trace_id = (0, 0);
    while let Some(field) = cursor.next_field()? {
        match field {
            span::TRACE_ID_LOW => trace_id.1 = cursor.u64()?,
            span::TRACE_ID_HIGH => trace_id.0 = cursor.u64()?,
            span::SPAN_ID => span.id = cursor.u64()?,
            span::PARENT_SPAN_ID => span.parent_id = cursor.u64()?,
            span::OPERATION_NAME => span.name = converter.text(&cursor.text()?),
            span::FLAGS => span.flags = cursor.i32()? as u32,
            span::START_TIME => span.timestamp = cursor.i64()?,
            span::DURATION => span.duration = cursor.i64()?,
            span::REFERENCES => {
                for _ in 0..cursor.structs()? {
                    let reference = read_reference(cursor)?;
                    converter.reference(reference);
                }
            }
            span::TAGS => {
                for _ in 0..cursor.structs()? {
                    converter.tag(&mut span, &read_tag(cursor)?);
                }
            }
            span::LOGS => {
                for _ in 0..cursor.structs()? {
                    read_log(cursor, converter)?;
                }
            }
            (kind, _) => cursor.skip(kind)?,
        }
    }
    span.trace_id = TraceId::new(trace_id.0, trace_id.1);
    converter.finish(span, process)
}

fn read_reference(cursor: &mut Cursor<'_>) -> Result<Reference, Cause> {
    let mut kind = ReferenceKind::ChildOf;
    let mut trace_id = (0, 0);
    let mut span_id = 0;
    while let Some(field) = cursor.next_field()? {
        match field {
            reference::TYPE if cursor.i32()? == reference::FOLLOWS_FROM => kind = ReferenceKind::FollowsFrom,
            reference::TYPE => {}
            reference::TRACE_ID_LOW => trace_id.1 = cursor.u64()?,
            reference::TRACE_ID_HIGH => trace_id.0 = cursor.u64()?,
            reference::SPAN_ID => span_id = cursor.u64()?,
            (kind, _) => cursor.skip(kind)?,
        }
    }
    Ok(Reference {
        kind,
        trace_id: TraceId::new(trace_id.0, trace_id.1),
        span_id,
    })
}

fn read_log(cursor: &mut Cursor<'_>, converter: &mut Converter<'_>) -> Result<(), Cause> {
    let mut timestamp = 0;
    let mut fields = Vec::new();
    while let Some(field) = cursor.next_field()? {
        match field {
            log::TIMESTAMP => timestamp = cursor.i64()?,
            log::FIELDS => {
                for _ in 0..cursor.structs()? {
                    fields.push(read_tag(cursor)?);
                }
            }
            (kind, _) => cursor.skip(kind)?,
        }
    }
    converter.log(timestamp, &fields);
    Ok(())
}

fn read_tag<'a>(cursor: &mut Cursor<'a>) -> Result<Tag<'a>, Cause> {
    let mut key = Default::default();
    let mut kind = tag::TYPE_TEXT;
    let (mut text, mut float, mut truth, mut int, mut binary) = (Default::default(), 0.0, false, 0, &[][..]);
    while let Some(field) = cursor.next_field()? {
        match field {
            tag::KEY => key = cursor.text()?,
            tag::TYPE => kind = cursor.i32()?,
            tag::TEXT => text = cursor.text()?,
            tag::FLOAT => float = f64::from_bits(cursor.u64()?),
            tag::TRUTH => truth = cursor.byte()? != 0,
            tag::INT => int = cursor.i64()?,
            tag::BINARY => binary = cursor.bytes()?,
            (kind, _) => cursor.skip(kind)?,
        }
    }
    let value = match kind {
        tag::TYPE_TEXT => Value::Text(text),
        tag::TYPE_FLOAT => Value::Float(float),
        tag::TYPE_BOOL => Value::Bool(truth),
        tag::TYPE_INT => Value::Int(int),
        tag::TYPE_BINARY => Value::Binary(binary),
        unknown => return Err(Cause::UnknownValueType(unknown.into())),
    };
    Ok(Tag { key, value })
}

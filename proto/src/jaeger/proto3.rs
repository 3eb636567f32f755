//! `jaeger.api_v2.PostSpansRequest`: what Jaeger's agents and newer exporters send to its gRPC collector.
//!
//! Unknown fields and fields of an unexpected wire type are passed over, as the protobuf standard says.

use model::{SpanBatch, TraceId};

use super::Cause;
use super::convert::{Converter, Process, Reference, ReferenceKind};
use super::tag::{Tag, Value};
use crate::DecodeError;
use crate::protobuf::{Cursor, FIXED64, LENGTH_DELIMITED, VARINT, key};

/// Keys of `PostSpansRequest`.
mod request {
    use super::{LENGTH_DELIMITED, key};

    pub(super) const BATCH: u32 = key(1, LENGTH_DELIMITED);
}

/// Keys of `Batch`.
mod batch {
    use super::{LENGTH_DELIMITED, key};

    pub(super) const SPANS: u32 = key(1, LENGTH_DELIMITED);
    pub(super) const PROCESS: u32 = key(2, LENGTH_DELIMITED);
}

/// Keys of `Process`.
mod process {
    use super::{LENGTH_DELIMITED, key};

    pub(super) const SERVICE_NAME: u32 = key(1, LENGTH_DELIMITED);
    pub(super) const TAGS: u32 = key(2, LENGTH_DELIMITED);
}

/// Keys of `Span`.
mod span {
    use super::{LENGTH_DELIMITED, VARINT, key};

    pub(super) const TRACE_ID: u32 = key(1, LENGTH_DELIMITED);
    pub(super) const SPAN_ID: u32 = key(2, LENGTH_DELIMITED);
    pub(super) const OPERATION_NAME: u32 = key(3, LENGTH_DELIMITED);
    pub(super) const REFERENCES: u32 = key(4, LENGTH_DELIMITED);
    pub(super) const FLAGS: u32 = key(5, VARINT);
    pub(super) const START_TIME: u32 = key(6, LENGTH_DELIMITED);
    pub(super) const DURATION: u32 = key(7, LENGTH_DELIMITED);
    pub(super) const TAGS: u32 = key(8, LENGTH_DELIMITED);
    pub(super) const LOGS: u32 = key(9, LENGTH_DELIMITED);
    pub(super) const PROCESS: u32 = key(10, LENGTH_DELIMITED);
    pub(super) const WARNINGS: u32 = key(12, LENGTH_DELIMITED);
}

/// Keys of `SpanRef`.
mod reference {
    use super::{LENGTH_DELIMITED, VARINT, key};

    pub(super) const TRACE_ID: u32 = key(1, LENGTH_DELIMITED);
    pub(super) const SPAN_ID: u32 = key(2, LENGTH_DELIMITED);
    pub(super) const TYPE: u32 = key(3, VARINT);

    pub(super) const FOLLOWS_FROM: u64 = 1;
}

/// Keys of `Log`.
mod log {
    use super::{LENGTH_DELIMITED, key};

    pub(super) const TIMESTAMP: u32 = key(1, LENGTH_DELIMITED);
    pub(super) const FIELDS: u32 = key(2, LENGTH_DELIMITED);
}

/// Keys of `KeyValue`, and the types of its value.
mod tag {
    use super::{FIXED64, LENGTH_DELIMITED, VARINT, key};

    pub(super) const KEY: u32 = key(1, LENGTH_DELIMITED);
    pub(super) const TYPE: u32 = key(2, VARINT);
    pub(super) const TEXT: u32 = key(3, LENGTH_DELIMITED);
    pub(super) const TRUTH: u32 = key(4, VARINT);
    pub(super) const INT: u32 = key(5, VARINT);
    pub(super) const FLOAT: u32 = key(6, FIXED64);
    pub(super) const BINARY: u32 = key(7, LENGTH_DELIMITED);

    pub(super) const TYPE_TEXT: u64 = 0;
    pub(super) const TYPE_BOOL: u64 = 1;
    pub(super) const TYPE_INT: u64 = 2;
    pub(super) const TYPE_FLOAT: u64 = 3;
    pub(super) const TYPE_BINARY: u64 = 4;
}

/// Keys of `google.protobuf.Timestamp` and `Duration`.
mod time {
    use super::{VARINT, key};

    pub(super) const SECONDS: u32 = key(1, VARINT);
    pub(super) const NANOS: u32 = key(2, VARINT);
}

/// Reads a request and appends its spans, normalised, to `batch`.
pub(crate) fn decode(body: &[u8], batch: &mut SpanBatch) -> Result<(), DecodeError> {
    let mut reader = Reader {
        converter: Converter::new(batch),
        index: None,
    };
    reader.read_request(Cursor::new(body)).map_err(|cause| {
        let place = reader.index.map(|index| format!(" at batch.spans[{index}]"));
        let place = place.unwrap_or_default();
        DecodeError::new(format!("{cause}{place} reading PostSpansRequest from proto3"))
    })
}

/// Reads a request, and knows which span it is at.
struct Reader<'b> {
    converter: Converter<'b>,
    index: Option<usize>,
}

impl Reader<'_> {
    fn read_request(&mut self, mut cursor: Cursor<'_>) -> Result<(), Cause> {
        while let Some(key) = cursor.next_key()? {
            match key {
                request::BATCH => self.read_batch(cursor.message()?)?,
                _ => cursor.skip(key)?,
            }
        }
        Ok(())
    }

    fn read_batch(&mut self, mut cursor: Cursor<'_>) -> Result<(), Cause> {
        let process = match find(cursor.clone(), batch::PROCESS)? {
            Some(process) => self.read_process(process)?,
            None => Process::default(),
        };
        let mut index = 0;
        while let Some(key) = cursor.next_key()? {
            match key {
                batch::SPANS => {
                    self.index = Some(index);
                    self.read_span(cursor.message()?, &process)?;
                    index += 1;
                }
                _ => cursor.skip(key)?,
            }
        }
        self.index = None;
        Ok(())
    }

    fn read_process(&mut self, mut cursor: Cursor<'_>) -> Result<Process, Cause> {
        let mut process = Process::default();
        while let Some(key) = cursor.next_key()? {
            match key {
                process::SERVICE_NAME => self.converter.process_name(&mut process, &cursor.text()?),
                process::TAGS => self
                    .converter
                    .process_tag(&mut process, &read_tag(cursor.message()?)?),
                _ => cursor.skip(key)?,
            }
        }
        Ok(process)
    }

    /// A span may have a process of its own, which then counts.
    fn read_span(&mut self, cursor: Cursor<'_>, process: &Process) -> Result<(), Cause> {
        match find(cursor.clone(), span::PROCESS)? {
            Some(own) => {
                let own = self.read_process(own)?;
                self.read_span_of(cursor, &own)
            }
            None => self.read_span_of(cursor, process),
        }
    }

    fn read_span_of(&mut self, mut cursor: Cursor<'_>, process: &Process) -> Result<(), Cause> {
        let mut span = self.converter.begin(process)?;
        let mut warnings = Vec::new();
        while let Some(key) = cursor.next_key()? {
            match key {
                span::TRACE_ID => span.trace_id = trace_id(cursor.bytes()?)?,
                span::SPAN_ID => span.id = span_id(cursor.bytes()?)?,
                span::OPERATION_NAME => span.name = self.converter.text(&cursor.text()?),
                span::FLAGS => span.flags = cursor.varint64()? as u32,
                span::START_TIME => span.timestamp = read_time(cursor.message()?)?.micros(),
                span::DURATION => span.duration = read_time(cursor.message()?)?.micros(),
                span::REFERENCES => {
                    let reference = read_reference(cursor.message()?)?;
                    self.converter.reference(reference);
                }
                span::TAGS => self.converter.tag(&mut span, &read_tag(cursor.message()?)?),
                span::LOGS => self.read_log(cursor.message()?)?,
                span::WARNINGS => warnings.push(cursor.text()?),
                _ => cursor.skip(key)?,
            }
        }
        self.converter.warnings(warnings.iter().map(AsRef::as_ref));
        self.converter.finish(span, process)
    }

    fn read_log(&mut self, mut cursor: Cursor<'_>) -> Result<(), Cause> {
        let mut timestamp = Time::default();
        let mut fields = Vec::new();
        while let Some(key) = cursor.next_key()? {
            match key {
                log::TIMESTAMP => timestamp = read_time(cursor.message()?)?,
                log::FIELDS => fields.push(read_tag(cursor.message()?)?),
                _ => cursor.skip(key)?,
            }
        }
        self.converter.log(timestamp.micros(), &fields);
        Ok(())
    }
}

/// The last message of a field: of one that may be there once, the last counts.
fn find<'a>(mut cursor: Cursor<'a>, wanted: u32) -> Result<Option<Cursor<'a>>, Cause> {
    let mut found = None;
    while let Some(key) = cursor.next_key()? {
        if key == wanted {
            found = Some(cursor.message()?);
        } else {
            cursor.skip(key)?;
        }
    }
    Ok(found)
}

fn read_reference(mut cursor: Cursor<'_>) -> Result<Reference, Cause> {
    let mut reference = Reference {
        kind: ReferenceKind::ChildOf,
        trace_id: None,
        span_id: 0,
    };
    while let Some(key) = cursor.next_key()? {
        match key {
            reference::TRACE_ID => reference.trace_id = trace_id(cursor.bytes()?)?,
            reference::SPAN_ID => reference.span_id = span_id(cursor.bytes()?)?,
            reference::TYPE => {
                if cursor.varint64()? == reference::FOLLOWS_FROM {
                    reference.kind = ReferenceKind::FollowsFrom;
                }
            }
            _ => cursor.skip(key)?,
        }
    }
    Ok(reference)
}

fn read_tag(mut cursor: Cursor<'_>) -> Result<Tag<'_>, Cause> {
    let mut name = Default::default();
    let mut kind = tag::TYPE_TEXT;
    let (mut text, mut truth, mut int, mut float, mut binary) = (Default::default(), false, 0, 0.0, &[][..]);
    while let Some(key) = cursor.next_key()? {
        match key {
            tag::KEY => name = cursor.text()?,
            tag::TYPE => kind = cursor.varint64()?,
            tag::TEXT => text = cursor.text()?,
            tag::TRUTH => truth = cursor.varint64()? != 0,
            tag::INT => int = cursor.varint64()? as i64,
            tag::FLOAT => float = f64::from_bits(cursor.fixed64()?),
            tag::BINARY => binary = cursor.bytes()?,
            _ => cursor.skip(key)?,
        }
    }
    let value = match kind {
        tag::TYPE_TEXT => Value::Text(text),
        tag::TYPE_BOOL => Value::Bool(truth),
        tag::TYPE_INT => Value::Int(int),
        tag::TYPE_FLOAT => Value::Float(float),
        tag::TYPE_BINARY => Value::Binary(binary),
        unknown => return Err(Cause::UnknownValueType(unknown as i64)),
    };
    Ok(Tag { key: name, value })
}

/// A moment or a stretch of time.
#[derive(Clone, Copy, Debug, Default)]
struct Time {
    seconds: i64,
    nanos: i64,
}

impl Time {
    /// Whole microseconds; what does not fit is the most that does.
    fn micros(self) -> i64 {
        self.seconds
            .saturating_mul(1_000_000)
            .saturating_add(self.nanos / 1000)
    }
}

fn read_time(mut cursor: Cursor<'_>) -> Result<Time, Cause> {
    let mut time = Time::default();
    while let Some(key) = cursor.next_key()? {
        match key {
            time::SECONDS => time.seconds = cursor.varint64()? as i64,
            // An int32, written with the sign of 64 bits.
            time::NANOS => time.nanos = i64::from(cursor.varint64()? as i32),
            _ => cursor.skip(key)?,
        }
    }
    Ok(time)
}

/// 16 bytes, or 8 of a client that knows only short ones. `None` where there are none, or zeros only.
fn trace_id(bytes: &[u8]) -> Result<Option<TraceId>, Cause> {
    let value = match bytes.len() {
        0 => return Ok(None),
        8 | 16 => big_endian(bytes),
        length => {
            return Err(Cause::IdLength {
                field: "traceId",
                length,
                expected: "16",
            });
        }
    };
    Ok(TraceId::new((value >> 64) as u64, value as u64))
}

/// 8 bytes; zero where there are none.
fn span_id(bytes: &[u8]) -> Result<u64, Cause> {
    match bytes.len() {
        0 => Ok(0),
        8 => Ok(big_endian(bytes) as u64),
        length => Err(Cause::IdLength {
            field: "spanId",
            length,
            expected: "8",
        }),
    }
}

/// Of at most 16 bytes.
fn big_endian(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |value, &byte| value << 8 | u128::from(byte))
}

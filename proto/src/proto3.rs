//! Zipkin's proto3 `ListOfSpans` (`zipkin.proto` beside this crate's manifest; `zipkin.md` 4.1).
//!
//! The reader goes once over the body and appends to the batch as it goes: no message is built in between.
//! Nothing recurses; the deepest message is an endpoint, annotation or tag of a span of the list.
//! What Zipkin's reader accepts, this one does: unknown fields and fields of an unexpected wire type are
//! passed over, and so are kinds that nobody knows, annotations without timestamp or value, and tags without
//! key. It differs in these, all towards the protobuf standard:
//!
//! - A field may not reach beyond the end of its message.
//! - An empty span in a list is passed over; Zipkin ignores it *and all that follow*.
//! - A field of the list that is not `spans` is passed over; Zipkin reads it as a span.
//! - An identifier of no bytes is an absent one, and a span identifier of zeros is one in any length; Zipkin
//!   refuses it in full length only.
//! - Annotations from before the epoch are dropped: [`model::Annotation`] cannot say when they were.

mod write;

use model::{
    EndpointDraft, IdError, InvalidPort, Kind, Span, SpanBatch, SpanDraft, SpanError, SpanId, Text, TraceId,
};

use crate::DecodeError;
use crate::protobuf::{Cursor, FIXED64, Fault, LENGTH_DELIMITED, VARINT, key};

/// Field numbers of `ListOfSpans`.
mod list {
    pub(super) const SPANS: u32 = 1;
}

/// Field numbers of `Span`.
mod span {
    pub(super) const TRACE_ID: u32 = 1;
    pub(super) const PARENT_ID: u32 = 2;
    pub(super) const ID: u32 = 3;
    pub(super) const KIND: u32 = 4;
    pub(super) const NAME: u32 = 5;
    pub(super) const TIMESTAMP: u32 = 6;
    pub(super) const DURATION: u32 = 7;
    pub(super) const LOCAL_ENDPOINT: u32 = 8;
    pub(super) const REMOTE_ENDPOINT: u32 = 9;
    pub(super) const ANNOTATIONS: u32 = 10;
    pub(super) const TAGS: u32 = 11;
    pub(super) const DEBUG: u32 = 12;
    pub(super) const SHARED: u32 = 13;
}

/// Field numbers of `Endpoint`.
mod endpoint {
    pub(super) const SERVICE_NAME: u32 = 1;
    pub(super) const IPV4: u32 = 2;
    pub(super) const IPV6: u32 = 3;
    pub(super) const PORT: u32 = 4;
}

/// Field numbers of `Annotation`.
mod annotation {
    pub(super) const TIMESTAMP: u32 = 1;
    pub(super) const VALUE: u32 = 2;
}

/// Field numbers of an entry of the map `tags`.
mod tag {
    use super::{LENGTH_DELIMITED, key};

    pub(super) const KEY: u32 = 1;
    pub(super) const VALUE: u32 = 2;

    pub(super) const KEY_OF_KEY: u32 = key(KEY, LENGTH_DELIMITED);
    pub(super) const KEY_OF_VALUE: u32 = key(VALUE, LENGTH_DELIMITED);
}

/// Why a body is refused, in Zipkin's words.
#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error(transparent)]
    Id(#[from] IdError),
    #[error(transparent)]
    Port(#[from] InvalidPort),
    #[error(transparent)]
    Span(#[from] SpanError),
}

pub(crate) fn decode(body: &[u8], batch: &mut SpanBatch) -> Result<(), DecodeError> {
    let cursor = Cursor::new_in(body, batch);
    let mut reader = Reader {
        batch,
        endpoint_bytes: &[],
        endpoint: EndpointDraft::default(),
    };
    reader
        .list(cursor)
        .map_err(|cause| DecodeError::reading(cause.to_string(), "proto3"))
}

pub(crate) fn encode(spans: &[Span]) -> Vec<u8> {
    write::write_list(spans)
}

struct Reader<'a, 'b> {
    batch: &'b mut SpanBatch,
    /// The local endpoint read last and how it was written: the spans of a batch mostly come from one process.
    endpoint_bytes: &'a [u8],
    endpoint: EndpointDraft,
}

impl<'a> Reader<'a, '_> {
    fn list(&mut self, mut cursor: Cursor<'a>) -> Result<(), Cause> {
        const SPANS: u32 = key(list::SPANS, LENGTH_DELIMITED);
        while let Some(key) = cursor.next_key()? {
            if key == SPANS {
                let mut span = cursor.message()?;
                if let Some(first_key) = span.next_key()? {
                    self.span(span, first_key)?;
                }
            } else {
                cursor.skip(key)?;
            }
        }
        Ok(())
    }

    fn span(&mut self, mut cursor: Cursor<'a>, first_key: u32) -> Result<(), Cause> {
        const TRACE_ID: u32 = key(span::TRACE_ID, LENGTH_DELIMITED);
        const PARENT_ID: u32 = key(span::PARENT_ID, LENGTH_DELIMITED);
        const ID: u32 = key(span::ID, LENGTH_DELIMITED);
        const KIND: u32 = key(span::KIND, VARINT);
        const NAME: u32 = key(span::NAME, LENGTH_DELIMITED);
        const TIMESTAMP: u32 = key(span::TIMESTAMP, FIXED64);
        const DURATION: u32 = key(span::DURATION, VARINT);
        const LOCAL_ENDPOINT: u32 = key(span::LOCAL_ENDPOINT, LENGTH_DELIMITED);
        const REMOTE_ENDPOINT: u32 = key(span::REMOTE_ENDPOINT, LENGTH_DELIMITED);
        const ANNOTATIONS: u32 = key(span::ANNOTATIONS, LENGTH_DELIMITED);
        const TAGS: u32 = key(span::TAGS, LENGTH_DELIMITED);
        const DEBUG: u32 = key(span::DEBUG, VARINT);
        const SHARED: u32 = key(span::SHARED, VARINT);

        let mut draft = SpanDraft::default();
        let mut next_key = Some(first_key);
        while let Some(key) = next_key {
            match key {
                TRACE_ID => draft.trace_id = trace_id(cursor.bytes()?)?,
                PARENT_ID => draft.parent_id = span_id(cursor.bytes()?, "parentId")?,
                ID => draft.id = span_id(cursor.bytes()?, "id")?,
                KIND => draft.kind = Kind::from_number(cursor.varint64()?).or(draft.kind),
                NAME => draft.name = cursor.text_in(self.batch)?,
                TIMESTAMP => draft.timestamp = cursor.fixed64()? as i64,
                DURATION => draft.duration = cursor.varint64()? as i64,
                LOCAL_ENDPOINT => draft.local_endpoint = self.local_endpoint(cursor.message()?)?,
                REMOTE_ENDPOINT => draft.remote_endpoint = self.endpoint(cursor.message()?)?,
                ANNOTATIONS => self.annotation(cursor.message()?)?,
                TAGS => match cursor.text_pair_in(tag::KEY_OF_KEY, tag::KEY_OF_VALUE) {
                    Some((name, value)) => self.push_tag(name, value),
                    None => self.tag(cursor.message()?)?,
                },
                DEBUG => draft.debug |= read_bool(&mut cursor)?,
                SHARED => draft.shared |= read_bool(&mut cursor)?,
                _ => cursor.skip(key)?,
            }
            next_key = cursor.next_key()?;
        }
        Ok(self.batch.finish(&draft)?)
    }

    fn local_endpoint(&mut self, cursor: Cursor<'a>) -> Result<EndpointDraft, Cause> {
        let bytes = cursor.rest();
        if bytes != self.endpoint_bytes {
            self.endpoint = self.endpoint(cursor)?;
            self.endpoint_bytes = bytes;
        }
        Ok(self.endpoint)
    }

    fn endpoint(&mut self, mut cursor: Cursor<'a>) -> Result<EndpointDraft, Cause> {
        const SERVICE_NAME: u32 = key(endpoint::SERVICE_NAME, LENGTH_DELIMITED);
        const IPV4: u32 = key(endpoint::IPV4, LENGTH_DELIMITED);
        const IPV6: u32 = key(endpoint::IPV6, LENGTH_DELIMITED);
        const PORT: u32 = key(endpoint::PORT, VARINT);

        let mut draft = EndpointDraft::default();
        while let Some(key) = cursor.next_key()? {
            match key {
                SERVICE_NAME => draft.service_name = cursor.text_in(self.batch)?,
                // Bytes of another length than an address has are ignored.
                IPV4 | IPV6 => {
                    draft.ip.insert_bytes(cursor.bytes()?);
                }
                PORT => draft.port = port(cursor.varint64()? as i32)?,
                _ => cursor.skip(key)?,
            }
        }
        Ok(draft)
    }

    fn annotation(&mut self, mut cursor: Cursor<'a>) -> Result<(), Cause> {
        const TIMESTAMP: u32 = key(annotation::TIMESTAMP, FIXED64);
        const VALUE: u32 = key(annotation::VALUE, LENGTH_DELIMITED);

        let mut timestamp = 0;
        let mut value = Text::EMPTY;
        while let Some(key) = cursor.next_key()? {
            match key {
                TIMESTAMP => timestamp = cursor.fixed64()? as i64,
                VALUE => value = cursor.text_in(self.batch)?,
                _ => cursor.skip(key)?,
            }
        }
        if timestamp > 0 && !value.is_empty() {
            self.batch.push_annotation(timestamp as u64, value);
        }
        Ok(())
    }

    /// A tag however it is written.
    fn tag(&mut self, mut cursor: Cursor<'a>) -> Result<(), Cause> {
        let mut name = Text::EMPTY;
        let mut value = Text::EMPTY;
        while let Some(key) = cursor.next_key()? {
            match key {
                tag::KEY_OF_KEY => name = cursor.text_in(self.batch)?,
                tag::KEY_OF_VALUE => value = cursor.text_in(self.batch)?,
                _ => cursor.skip(key)?,
            }
        }
        self.push_tag(name, value);
        Ok(())
    }

    fn push_tag(&mut self, name: Text, value: Text) {
        if !name.is_empty() {
            self.batch.push_tag(name, value);
        }
    }
}

fn read_bool(cursor: &mut Cursor<'_>) -> Result<bool, Cause> {
    match cursor.varint64()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Fault::Malformed.into()),
    }
}

/// Any number of bytes up to 16, as Zipkin reads their hexadecimal form.
fn trace_id(bytes: &[u8]) -> Result<Option<TraceId>, Cause> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let value = big_endian(bytes).ok_or(IdError::TooLong("traceId", 32))?;
    match TraceId::new((value >> 64) as u64, value as u64) {
        Some(trace_id) => Ok(Some(trace_id)),
        None => Err(IdError::AllZeros("traceId").into()),
    }
}

/// Any number of bytes up to 8; `field` is named by the error.
fn span_id(bytes: &[u8], field: &'static str) -> Result<Option<SpanId>, Cause> {
    if bytes.len() > 8 {
        return Err(IdError::TooLong(field, 16).into());
    }
    Ok(if bytes.is_empty() {
        None
    } else {
        big_endian(bytes).map(|value| SpanId::new(value as u64))
    })
}

fn big_endian(bytes: &[u8]) -> Option<u128> {
    // Nearly all are of one of these lengths, which need no loop.
    if let Ok(bytes) = bytes.try_into() {
        return Some(u128::from_be_bytes(bytes));
    }
    if let Ok(bytes) = bytes.try_into() {
        return Some(u64::from_be_bytes(bytes).into());
    }
    let mut value = [0; 16];
    value[16usize.checked_sub(bytes.len())?..].copy_from_slice(bytes);
    Some(u128::from_be_bytes(value))
}

/// A negative port is none.
fn port(number: i32) -> Result<u16, InvalidPort> {
    u16::try_from(number.max(0)).map_err(|_| InvalidPort(number.into()))
}

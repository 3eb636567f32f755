//! Reading a record.

use std::net::{Ipv4Addr, Ipv6Addr};

use model::{EndpointDraft, IpAddresses, Kind, SpanBatch, SpanDraft, SpanId, Text, TraceId};

use crate::bytes::{Cursor, Malformed};
use crate::numbering::{Family, NO_TEXT, Numbering};
use crate::{Known, Parent, VERSION, family_flag, span_flag};

/// The smallest family: flags and two counts.
const FAMILY_BYTES_MIN: usize = 3;
/// The smallest span: family, flags, duration, an identifier that is not as before.
const SPAN_BYTES_MIN: usize = 3;

/// Appends the spans of a record to a batch; `numbering`, which is forgotten, is then that of a batch of them alone.
pub(crate) fn decode(
    record: &[u8],
    batch: &mut SpanBatch,
    numbering: &mut Numbering,
) -> Result<(), Malformed> {
    numbering.clear();
    let mut cursor = Cursor::new(record);
    if cursor.u8()? != VERSION {
        return Err(Malformed("a journal record of an unknown version"));
    }
    read_texts(&mut cursor, batch, numbering)?;
    let mut annotations = 0;
    for _ in 0..cursor.count(FAMILY_BYTES_MIN)? {
        annotations += read_family(&mut cursor, numbering, annotations)?;
    }
    let count = cursor.count(SPAN_BYTES_MIN)?;
    let mut decoder = Decoder {
        previous: Known::default(),
        remotes: vec![Default::default(); numbering.families().len()],
    };
    numbering.reserve(count);
    for _ in 0..count {
        decoder.read_span(&mut cursor, numbering, batch)?;
    }
    if cursor.is_empty() {
        Ok(())
    } else {
        Err(Malformed("bytes after the last span of a record"))
    }
}

fn read_texts(
    cursor: &mut Cursor<'_>,
    batch: &mut SpanBatch,
    numbering: &mut Numbering,
) -> Result<(), Malformed> {
    let count = cursor.count(1)?;
    let mut lengths = cursor.clone();
    let mut bytes = 0usize;
    for _ in 0..count {
        let length = cursor.varint()? as usize;
        bytes = bytes
            .checked_add(length)
            .ok_or(Malformed("texts beyond all memory"))?;
    }
    let bytes = cursor.take(bytes)?;
    let all = std::str::from_utf8(bytes).map_err(|_| Malformed("text that is not UTF-8"))?;
    let start = batch.add_text(all).start();
    let mut end = 0;
    for _ in 0..count {
        let length = lengths.varint()? as usize;
        let text = Text::new(start + end, length);
        end += length;
        if !all.is_char_boundary(end) {
            return Err(Malformed("a text that ends within a character"));
        }
        numbering.push_text(text);
    }
    Ok(())
}

#[inline(always)]
fn read_number(cursor: &mut Cursor<'_>, numbering: &Numbering) -> Result<u32, Malformed> {
    let number = cursor.varint()?;
    if number < numbering.texts().len() as u64 {
        Ok(number as u32)
    } else {
        Err(Malformed("a text number beyond the texts"))
    }
}

/// Reads a family, after others of so many annotations; gives how many it has.
fn read_family(
    cursor: &mut Cursor<'_>,
    numbering: &mut Numbering,
    annotations_before: usize,
) -> Result<usize, Malformed> {
    let flags = cursor.u8()?;
    let mut optional = |bit: u8| match flags & bit {
        0 => Ok(NO_TEXT),
        _ => read_number(cursor, numbering),
    };
    let texts = [
        optional(family_flag::SERVICE)?,
        optional(family_flag::NAME)?,
        optional(family_flag::REMOTE_SERVICE)?,
    ];
    let tags = cursor.count(1)?;
    for _ in 0..tags {
        let key = read_number(cursor, numbering)?;
        numbering.push_key(key);
    }
    let annotations = cursor.varint()?;
    // Every family has a span, and each of its annotations takes a byte there.
    if annotations > (cursor.remaining() as u64).saturating_sub(annotations_before as u64) {
        return Err(Malformed("a count beyond the bytes that follow"));
    }
    let family = Family::new(
        Kind::from_number(u64::from(flags & family_flag::KIND)),
        flags & family_flag::DEBUG != 0,
        flags & family_flag::SHARED != 0,
        texts,
    );
    numbering.push_family(family, tags as u32, annotations as u32);
    Ok(annotations as usize)
}

/// What a span can refer to.
struct Decoder {
    previous: Known,
    remotes: Vec<(IpAddresses, u16)>,
}

impl Decoder {
    fn read_span(
        &mut self,
        cursor: &mut Cursor<'_>,
        numbering: &mut Numbering,
        batch: &mut SpanBatch,
    ) -> Result<(), Malformed> {
        let number = cursor.varint()? as usize;
        let family = *numbering
            .families()
            .get(number)
            .ok_or(Malformed("a family number beyond the families"))?;
        let flags = cursor.u8()?;
        let previous = self.previous;
        let trace_id = self.read_trace_id(cursor, flags)?;
        let id = if flags & span_flag::ID_IS_PARENT != 0 {
            previous.parent_id
        } else {
            Some(SpanId::new(cursor.u64()?))
        };
        let parent_id = match Parent::of(flags >> span_flag::PARENT_SHIFT) {
            Parent::None => None,
            Parent::Written => Some(SpanId::new(cursor.u64()?)),
            Parent::Same => previous.parent_id,
            Parent::Previous => previous.id,
        };
        let timestamp = if flags & span_flag::TIMESTAMP != 0 {
            Some(previous.timestamp.wrapping_add(cursor.zigzag()? as u64))
        } else {
            None
        };
        let duration = cursor.varint()?;
        let local = if flags & span_flag::LOCAL != 0 {
            read_address(cursor)?
        } else {
            previous.local
        };
        if flags & span_flag::REMOTE != 0 {
            self.remotes[number] = read_address(cursor)?;
        }
        self.previous = Known {
            trace_id,
            id,
            parent_id,
            timestamp: timestamp.unwrap_or(previous.timestamp),
            local,
        };
        self.read_values(cursor, number, numbering, batch)?;
        let endpoint = |service, (ip, port)| EndpointDraft {
            service_name: numbering.text(service),
            ip,
            port,
        };
        let draft = SpanDraft {
            trace_id,
            parent_id,
            id,
            kind: family.kind,
            name: numbering.text(family.name),
            timestamp: timestamp.unwrap_or(0) as i64,
            duration: duration as i64,
            local_endpoint: endpoint(family.service, local),
            remote_endpoint: endpoint(family.remote_service, self.remotes[number]),
            debug: family.debug,
            shared: family.shared,
        };
        batch
            .finish_normalised(&draft)
            .map_err(|_| Malformed("a span without a trace identifier or its own"))
    }

    fn read_trace_id(&self, cursor: &mut Cursor<'_>, flags: u8) -> Result<Option<TraceId>, Malformed> {
        if flags & span_flag::SAME_TRACE != 0 {
            return Ok(self.previous.trace_id);
        }
        let low = cursor.u64()?;
        let high = if flags & span_flag::HIGH != 0 {
            cursor.u64()?
        } else {
            0
        };
        Ok(TraceId::new(high, low))
    }

    /// Reads the values of a span and gives it its tags and annotations.
    fn read_values(
        &mut self,
        cursor: &mut Cursor<'_>,
        number: usize,
        numbering: &mut Numbering,
        batch: &mut SpanBatch,
    ) -> Result<(), Malformed> {
        let family = numbering.families()[number];
        let same = if family.values() == 0 { 0 } else { cursor.varint()? };
        for index in 0..family.values() {
            let slot = family.slots().start + index;
            if index >= 64 || same >> index & 1 == 0 {
                let value = read_number(cursor, numbering)?;
                numbering.set_last(slot, value);
            } else if numbering.last(slot) == NO_TEXT {
                return Err(Malformed("a value as before without one before"));
            }
        }
        numbering.push_span(number as u32);
        batch.push_tags(numbering.last_tags(&family));
        for slot in family.slots().skip(family.tags as usize) {
            let time = self.previous.timestamp.wrapping_add(cursor.zigzag()? as u64);
            batch.push_annotation(time, numbering.text(numbering.last(slot)));
        }
        Ok(())
    }
}

fn read_address(cursor: &mut Cursor<'_>) -> Result<(IpAddresses, u16), Malformed> {
    let (ip, _) = read_addresses(cursor)?;
    Ok((ip, read_port(cursor)?))
}

/// The reverse of [`crate::put_addresses`]; also gives the byte's further bits.
///
/// # Errors
/// [`Malformed`] where the bytes end too early.
pub fn read_addresses(cursor: &mut Cursor<'_>) -> Result<(IpAddresses, u8), Malformed> {
    let flags = cursor.u8()?;
    let mut ip = IpAddresses::default();
    if flags & crate::IP_V4 != 0 {
        ip.v4 = Some(Ipv4Addr::from(cursor.array::<4>()?));
    }
    if flags & crate::IP_V6 != 0 {
        ip.v6 = Some(Ipv6Addr::from(cursor.array::<16>()?));
    }
    Ok((ip, flags & !(crate::IP_V4 | crate::IP_V6)))
}

/// Reads a port.
///
/// # Errors
/// [`Malformed`] for one beyond 65535.
pub fn read_port(cursor: &mut Cursor<'_>) -> Result<u16, Malformed> {
    u16::try_from(cursor.varint()?).map_err(|_| Malformed("a port beyond 65535"))
}

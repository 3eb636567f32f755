//! Reads protobuf's wire format from a body, message by message, and never past a message's end; writes it.

mod write;

use std::borrow::Cow;
use std::ops::Range;

use model::{SpanBatch, Text};

pub(crate) use write::{write_bytes, write_fixed64, write_message, write_number, write_text};

/// How the value of a field is written; the lower three bits of its key.
pub(crate) const VARINT: u32 = 0;
pub(crate) const FIXED64: u32 = 1;
pub(crate) const LENGTH_DELIMITED: u32 = 2;
pub(crate) const FIXED32: u32 = 5;

/// The key that precedes the value of a field.
pub(crate) const fn key(field: u32, wire_type: u32) -> u32 {
    field << 3 | wire_type
}

/// Why bytes are not what they are read as, in the words of Zipkin's reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("Malformed")]
    Malformed,
    #[error("Truncated: length {length} > bytes available {available}")]
    Truncated { length: usize, available: usize },
    #[error("Greater than {bits}-bit varint at position {position}")]
    LongVarint { bits: u32, position: usize },
}

/// A message that is being read. Positions count from the start of the body, for error messages.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    body: &'a [u8],
    position: usize,
    end: usize,
    /// Where the copy of the body begins in the text of a batch.
    copy: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self {
            body,
            position: 0,
            end: body.len(),
            copy: 0,
        }
    }

    /// Adds the body to the text of the batch, so that most of its texts need not be added one by one
    /// ([`Cursor::text_in`]).
    pub(crate) fn new_in(body: &'a [u8], batch: &mut SpanBatch) -> Self {
        Self {
            copy: batch.add_seven_bits(body),
            ..Self::new(body)
        }
    }

    /// The key of the next field; `None` at the end of the message.
    #[inline(always)]
    pub(crate) fn next_key(&mut self) -> Result<Option<u32>, Fault> {
        if self.position == self.end {
            Ok(None)
        } else {
            self.varint32().map(Some)
        }
    }

    #[inline(always)]
    pub(crate) fn varint64(&mut self) -> Result<u64, Fault> {
        match self.short_varint() {
            Some(value) => Ok(u64::from(value)),
            None => self.varint(64),
        }
    }

    /// Keys and lengths are narrower than values.
    #[inline(always)]
    fn varint32(&mut self) -> Result<u32, Fault> {
        match self.short_varint() {
            Some(value) => Ok(u32::from(value)),
            None => self.varint(32).map(|value| value as u32),
        }
    }

    /// One of one or two bytes, as most are; `None` for any other.
    #[inline(always)]
    fn short_varint(&mut self) -> Option<u16> {
        let message = &self.body[self.position..self.end];
        let (value, length) = match *message {
            [low @ 0..0x80, ..] => (u16::from(low), 1),
            [low, high @ 0..0x80, ..] => (u16::from(low & 0x7f) | u16::from(high) << 7, 2),
            _ => return None,
        };
        self.position += length;
        Some(value)
    }

    /// Seven bits a byte, the lowest first; the upper bit of a byte says that there is another.
    #[inline(never)]
    fn varint(&mut self, bits: u32) -> Result<u64, Fault> {
        let mut value = 0;
        let mut shift = 0;
        loop {
            let byte = self.byte()?;
            if bits - shift < 7 && byte >> (bits - shift) != 0 {
                return Err(Fault::LongVarint {
                    bits,
                    position: self.position - 1,
                });
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, Fault> {
        let mut value = [0; 8];
        value.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(value))
    }

    pub(crate) fn fixed32(&mut self) -> Result<u32, Fault> {
        let mut value = [0; 4];
        value.copy_from_slice(self.take(4)?);
        Ok(u32::from_le_bytes(value))
    }

    /// A length and as many bytes.
    #[inline(always)]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.varint32()?;
        self.take(length as usize)
    }

    /// A length and as many bytes of UTF-8. What is not UTF-8 becomes U+FFFD, as in Zipkin: one bad byte in
    /// one tag is no reason to lose a message of good spans.
    pub(crate) fn text(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.bytes().map(to_text)
    }

    /// The same as text of the batch that this cursor was made in: where it is already if it is ASCII, and added to
    /// it otherwise.
    #[inline(always)]
    pub(crate) fn text_in(&mut self, batch: &mut SpanBatch) -> Result<Text, Fault> {
        let bytes = self.bytes()?;
        let start = self.position - bytes.len();
        if is_ascii(self.body, start..self.position) {
            Ok(Text::new(self.copy + start, bytes.len()))
        } else {
            Ok(add_text(bytes, batch))
        }
    }

    /// A length and a message as long; this cursor then stands behind it.
    #[inline(always)]
    pub(crate) fn message(&mut self) -> Result<Self, Fault> {
        let length = self.bytes()?.len();
        Ok(Self {
            position: self.position - length,
            end: self.position,
            ..*self
        })
    }

    /// A length and a message of nothing but two short texts of ASCII, in these fields and in this order, as text of
    /// the batch that this cursor was made in. Where the next one is anything else it is `None`, and nothing has
    /// been read.
    #[inline(always)]
    pub(crate) fn text_pair_in(&mut self, first: u32, second: u32) -> Option<(Text, Text)> {
        let [length @ 0..0x80, ref rest @ ..] = self.body[self.position..self.end] else {
            return None;
        };
        let start = self.position + 1;
        let message = rest.get(..usize::from(length))?;
        let (first_key, first_text, message) = short_field(message)?;
        let (second_key, second_text, after) = short_field(message)?;
        let end = start + usize::from(length);
        // This checks the lengths as well: one of 128 or more would have another byte.
        if first_key != first || second_key != second || !after.is_empty() || !is_ascii(self.body, start..end)
        {
            return None;
        }
        self.position = end;
        let text = |end: usize, text: &[u8]| Text::new(self.copy + end - text.len(), text.len());
        Some((
            text(end - 2 - second_text.len(), first_text),
            text(end, second_text),
        ))
    }

    /// The bytes of the message that are yet to be read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.body[self.position..self.end]
    }

    /// Passes over the value of a field nobody knows.
    pub(crate) fn skip(&mut self, key: u32) -> Result<(), Fault> {
        match key & 7 {
            VARINT => self.varint64().map(drop),
            FIXED64 => self.take(8).map(drop),
            LENGTH_DELIMITED => self.bytes().map(drop),
            FIXED32 => self.take(4).map(drop),
            _ => Err(Fault::Malformed),
        }
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        self.take(1).map(|bytes| bytes[0])
    }

    #[inline(always)]
    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let available = self.end - self.position;
        if length > available {
            return Err(Fault::Truncated { length, available });
        }
        let start = self.position;
        self.position += length;
        Ok(&self.body[start..self.position])
    }
}

/// A key, the bytes that it has, and what follows them; key and length in one byte each.
#[inline(always)]
fn short_field(message: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let [key, length, rest @ ..] = message else {
        return None;
    };
    let (bytes, rest) = rest.split_at_checked(usize::from(*length))?;
    Some((u32::from(*key), bytes, rest))
}

#[cold]
fn add_text(bytes: &[u8], batch: &mut SpanBatch) -> Text {
    batch.add_text(&to_text(bytes))
}

/// Not the lossy function for all: it checks several times slower.
fn to_text(bytes: &[u8]) -> Cow<'_, str> {
    str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// Whether the bytes of a range are. The bytes behind it may be read, if there are any.
#[inline(always)]
fn is_ascii(body: &[u8], range: Range<usize>) -> bool {
    const HIGH_BITS: u128 = u128::MAX / 0xff * 0x80;
    let mut at = range.start;
    while at < range.end {
        let Some(chunk) = body.get(at..).and_then(<[u8]>::first_chunk) else {
            return body[at..range.end].is_ascii();
        };
        let counted = (range.end - at).min(16);
        if u128::from_le_bytes(*chunk) & (HIGH_BITS >> (128 - 8 * counted)) != 0 {
            return false;
        }
        at += 16;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_end_where_their_width_does() {
        let mut most = [0xff; 10];
        most[9] = 1;
        assert_eq!(Cursor::new(&most).varint64().unwrap(), u64::MAX);
        most[9] = 2;
        let error = Cursor::new(&most).varint64().unwrap_err().to_string();
        assert_eq!(error, "Greater than 64-bit varint at position 9");
        let error = Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0x1f])
            .next_key()
            .unwrap_err()
            .to_string();
        assert_eq!(error, "Greater than 32-bit varint at position 4");
        assert_eq!(
            Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0x0f]).next_key().unwrap(),
            Some(u32::MAX)
        );
    }

    #[test]
    fn a_message_ends_before_the_body_does() {
        let mut body = Cursor::new(&[2, 0x08, 0x96, 0x01]);
        let mut message = body.message().unwrap();
        assert_eq!(message.next_key().unwrap(), Some(key(1, VARINT)));
        let error = message.varint64().unwrap_err().to_string();
        assert_eq!(error, "Truncated: length 1 > bytes available 0");
        assert_eq!(body.varint64().unwrap(), 1);
    }

    #[test]
    fn a_text_is_found_in_the_copy_or_added() {
        let long = "x".repeat(40);
        for text in [
            "",
            "a",
            "fifteen bytes..",
            "sixteen bytes...",
            "é",
            "fifteen bytes.é",
            &long,
        ] {
            for follows in [&b""[..], &[0xc3; 20]] {
                let body = [&[text.len() as u8], text.as_bytes(), follows].concat();
                let mut batch = SpanBatch::new();
                batch.add_text("before");
                let mut cursor = Cursor::new_in(&body, &mut batch);
                let read = cursor.text_in(&mut batch).unwrap();
                assert_eq!(batch.text(read), text);
                let added = batch.text_bytes() - "before".len() - body.len();
                assert_eq!(added, if text.is_ascii() { 0 } else { text.len() }, "{text}");
            }
        }
        let mut batch = SpanBatch::new();
        let read = Cursor::new_in(&[2, b'a', 0xff], &mut batch)
            .text_in(&mut batch)
            .unwrap();
        assert_eq!(batch.text(read), "a\u{fffd}");
    }

    #[test]
    fn a_pair_of_texts_is_read_at_once_or_not_at_all() {
        let read = |message: &[u8]| {
            let mut batch = SpanBatch::new();
            batch.add_text("before");
            let body = [&[message.len() as u8], message, b"after"].concat();
            let mut cursor = Cursor::new_in(&body, &mut batch);
            let pair = cursor.text_pair_in(0x0a, 0x12);
            assert_eq!(
                cursor.position,
                if pair.is_some() { message.len() + 1 } else { 0 }
            );
            pair.map(|pair| (batch.text(pair.0).to_owned(), batch.text(pair.1).to_owned()))
        };
        let pair = |first: &str, second: &str| Some((first.to_owned(), second.to_owned()));
        assert_eq!(read(b"\x0a\x03key\x12\x05value"), pair("key", "value"));
        assert_eq!(read(b"\x0a\x00\x12\x00"), pair("", ""));
        for other in [
            &b""[..],
            b"\x0a\x03key",
            b"\x0a\x03key\x12\x06value",
            b"\x0a\x03key\x12\x04value",
            b"\x0a\x09key\x12\x05value",
            b"\x12\x05value\x0a\x03key",
            b"\x0a\x03key\x12\x05valu\xff",
            "\x0a\x04k\u{e9}y\x12\x05value".as_bytes(),
            &[&b"\x0a\x01k\x12\x80"[..], &[b'v'; 0x80]].concat(),
        ] {
            assert_eq!(read(other), None, "{other:?}");
        }
    }

    #[test]
    fn skips_every_wire_type_but_groups() {
        for (key, value) in [
            (VARINT, &[0x96, 0x01][..]),
            (FIXED64, &[1, 2, 3, 4, 5, 6, 7, 8]),
            (LENGTH_DELIMITED, &[2, 9, 9]),
            (FIXED32, &[1, 2, 3, 4]),
        ] {
            let mut cursor = Cursor::new(value);
            cursor.skip(key).unwrap();
            assert_eq!(cursor.next_key().unwrap(), None, "wire type {key}");
        }
        for key in [3, 4, 6, 7] {
            assert_eq!(
                Cursor::new(&[0; 16]).skip(key).unwrap_err().to_string(),
                "Malformed"
            );
        }
    }
}

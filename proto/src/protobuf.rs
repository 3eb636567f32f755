//! Reads protobuf's wire format from a body, message by message, and never past a message's end; writes it.

mod write;

use std::borrow::Cow;

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
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self {
            body,
            position: 0,
            end: body.len(),
        }
    }

    /// The key of the next field; `None` at the end of the message.
    pub(crate) fn next_key(&mut self) -> Result<Option<u32>, Fault> {
        if self.position == self.end {
            Ok(None)
        } else {
            self.varint32().map(Some)
        }
    }

    pub(crate) fn varint64(&mut self) -> Result<u64, Fault> {
        self.varint(64)
    }

    /// Keys and lengths are narrower than values.
    fn varint32(&mut self) -> Result<u32, Fault> {
        self.varint(32).map(|value| value as u32)
    }

    /// Seven bits a byte, the lowest first; the upper bit of a byte says that there is another.
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
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.varint32()?;
        self.take(length as usize)
    }

    /// A length and as many bytes of UTF-8. What is not UTF-8 becomes U+FFFD, as in Zipkin: one bad byte in
    /// one tag is no reason to lose a message of good spans.
    pub(crate) fn text(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.bytes().map(String::from_utf8_lossy)
    }

    /// A length and a message as long; this cursor then stands behind it.
    pub(crate) fn message(&mut self) -> Result<Self, Fault> {
        let length = self.bytes()?.len();
        Ok(Self {
            body: self.body,
            position: self.position - length,
            end: self.position,
        })
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

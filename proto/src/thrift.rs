//! Reads TBinaryProtocol: a type and a number before each field, a count before each list, all big-endian.

use std::borrow::Cow;

/// Deepest nesting of fields that nobody knows; deeper than any real message, shallower than a stack.
const DEPTH_MAX: usize = 64;

/// How a value is written.
pub(crate) const STOP: u8 = 0;
pub(crate) const BOOL: u8 = 2;
pub(crate) const I8: u8 = 3;
pub(crate) const DOUBLE: u8 = 4;
pub(crate) const I16: u8 = 6;
pub(crate) const I32: u8 = 8;
pub(crate) const I64: u8 = 10;
pub(crate) const STRING: u8 = 11;
pub(crate) const STRUCT: u8 = 12;
pub(crate) const MAP: u8 = 13;
pub(crate) const SET: u8 = 14;
pub(crate) const LIST: u8 = 15;

/// The type and the number of a field.
pub(crate) type Field = (u8, i16);

/// Why bytes are not what they are read as, in the words of Zipkin's reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("Malformed")]
    Malformed,
    #[error("Truncated: length {length} > bytes available {available}")]
    Truncated { length: usize, available: usize },
}

/// What remains of a body.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    /// True if nothing remains.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next field of a struct; `None` at its end.
    pub(crate) fn next_field(&mut self) -> Result<Option<Field>, Fault> {
        let kind = self.byte()?;
        if kind == STOP {
            Ok(None)
        } else {
            Ok(Some((kind, self.i16()?)))
        }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Fault> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, Fault> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Fault> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Fault> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Fault> {
        self.array().map(u64::from_be_bytes)
    }

    /// A length and as many bytes.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Fault> {
        let length = usize::try_from(self.i32()?).map_err(|_| Fault::Malformed)?;
        self.take(length)
    }

    /// A length and as many bytes of UTF-8; what is not becomes U+FFFD, as in Zipkin.
    pub(crate) fn text(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.bytes().map(String::from_utf8_lossy)
    }

    /// The head of a list of structs, whatever type it claims its elements to have: how many they are. As each
    /// takes a byte at least, no more than there are bytes. A negative count is zero, as in Zipkin.
    pub(crate) fn structs(&mut self) -> Result<usize, Fault> {
        self.byte()?;
        let count = self.count()?;
        self.require(count)?;
        Ok(count)
    }

    /// Passes over a value of a type.
    pub(crate) fn skip(&mut self, kind: u8) -> Result<(), Fault> {
        self.skip_within(kind, DEPTH_MAX)
    }

    fn skip_within(&mut self, kind: u8, depth: usize) -> Result<(), Fault> {
        let depth = depth.checked_sub(1).ok_or(Fault::Malformed)?;
        match kind {
            STRING => self.bytes().map(drop),
            STRUCT => {
                while let Some((kind, _)) = self.next_field()? {
                    self.skip_within(kind, depth)?;
                }
                Ok(())
            }
            MAP => {
                let kinds = [self.byte()?, self.byte()?];
                self.skip_elements(&kinds, depth)
            }
            SET | LIST => {
                let kinds = [self.byte()?];
                self.skip_elements(&kinds, depth)
            }
            kind => self.take(width(kind)).map(drop),
        }
    }

    /// A count, then as many times a value of each of `kinds`.
    fn skip_elements(&mut self, kinds: &[u8], depth: usize) -> Result<(), Fault> {
        let count = self.count()?;
        let is_fixed = |&kind: &u8| !matches!(kind, STRING | STRUCT | MAP | SET | LIST);
        if kinds.iter().all(is_fixed) {
            let element: usize = kinds.iter().map(|&kind| width(kind)).sum();
            return self.take(count * element).map(drop);
        }
        self.require(count)?;
        for _ in 0..count {
            kinds.iter().try_for_each(|&kind| self.skip_within(kind, depth))?;
        }
        Ok(())
    }

    fn count(&mut self) -> Result<usize, Fault> {
        self.i32().map(|count| count.max(0) as usize)
    }

    fn require(&self, length: usize) -> Result<(), Fault> {
        let available = self.rest.len();
        if length > available {
            Err(Fault::Truncated { length, available })
        } else {
            Ok(())
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        self.require(length)?;
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }
}

/// Bytes of a value of a type of fixed width; 0 for types that do not exist, as in Zipkin.
fn width(kind: u8) -> usize {
    match kind {
        BOOL | I8 => 1,
        I16 => 2,
        I32 => 4,
        I64 | DOUBLE => 8,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(kind: u8, body: &[u8]) -> Result<usize, String> {
        let mut cursor = Cursor::new(body);
        cursor
            .skip(kind)
            .map(|()| cursor.rest.len())
            .map_err(|fault| fault.to_string())
    }

    #[test]
    fn skips_values_of_every_type() {
        for (kind, width) in [
            (BOOL, 1),
            (I8, 1),
            (DOUBLE, 8),
            (I16, 2),
            (I32, 4),
            (I64, 8),
            (7, 0),
        ] {
            assert_eq!(skip(kind, &[1; 9]), Ok(9 - width), "type {kind}");
        }
        assert_eq!(skip(STRING, &[0, 0, 0, 2, 9, 9, 7]), Ok(1));
        assert_eq!(skip(STRUCT, &[I16, 0, 1, 9, 9, STOP, 7]), Ok(1));
        assert_eq!(skip(LIST, &[I16, 0, 0, 0, 2, 9, 9, 9, 9, 7]), Ok(1));
        assert_eq!(skip(SET, &[STRING, 0, 0, 0, 1, 0, 0, 0, 1, 9, 7]), Ok(1));
        assert_eq!(skip(MAP, &[I8, STRING, 0, 0, 0, 1, 9, 0, 0, 0, 1, 9, 7]), Ok(1));
    }

    #[test]
    fn a_count_is_checked_before_anything_is_done_that_often() {
        let truncated = |length: usize| format!("Truncated: length {length} > bytes available 1");
        assert_eq!(
            skip(LIST, &[STRUCT, 0x7f, 0xff, 0xff, 0xff, 0]),
            Err(truncated(0x7fff_ffff))
        );
        assert_eq!(
            skip(LIST, &[I64, 0x7f, 0xff, 0xff, 0xff, 0]),
            Err(truncated(0x7fff_ffff * 8))
        );
        // What takes no room can be many.
        assert_eq!(skip(LIST, &[STOP, 0x7f, 0xff, 0xff, 0xff, 0]), Ok(1));
        assert_eq!(skip(LIST, &[STRUCT, 0xff, 0xff, 0xff, 0xff, 0]), Ok(1));
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |levels: usize| {
            let mut body = [LIST, 0, 0, 0, 1].repeat(levels - 1);
            body.extend([I8, 0, 0, 0, 0]);
            skip(LIST, &body)
        };
        assert_eq!(nested(DEPTH_MAX), Ok(0));
        assert_eq!(nested(DEPTH_MAX + 1), Err("Malformed".to_owned()));
    }
}

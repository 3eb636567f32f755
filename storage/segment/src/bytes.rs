//! Writing and reading the small pieces that records, rows and sections are made of.
//!
//! Numbers are little-endian or LEB128 varints; text is its length in bytes as a varint, then UTF-8.
//! A [`Cursor`] never reads beyond its bytes and never trusts a length: everything malformed is an error.

/// Appends pieces to a buffer.
pub(crate) trait Put {
    fn put_varint(&mut self, value: u64);
    /// Small for small magnitudes of either sign.
    fn put_zigzag(&mut self, value: i64);
    fn put_u64(&mut self, value: u64);
    fn put_u32(&mut self, value: u32);
    fn put_text(&mut self, text: &str);
}

impl Put for Vec<u8> {
    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    fn put_zigzag(&mut self, value: i64) {
        self.put_varint(((value << 1) ^ (value >> 63)) as u64);
    }

    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_text(&mut self, text: &str) {
        self.put_varint(text.len() as u64);
        self.extend_from_slice(text.as_bytes());
    }
}

/// What was expected of bytes that are not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed: {0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Reads pieces one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(length)
            .ok_or(Malformed("too short"))?;
        self.bytes = rest;
        Ok(taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        let (&first, rest) = self.bytes.split_first().ok_or(Malformed("too short"))?;
        self.bytes = rest;
        Ok(first)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (array, rest) = self
            .bytes
            .split_first_chunk::<N>()
            .ok_or(Malformed("too short"))?;
        self.bytes = rest;
        Ok(*array)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.u8()?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed("a varint beyond 64 bits"))
    }

    pub(crate) fn zigzag(&mut self) -> Result<i64, Malformed> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A count of things that take at least `least` bytes each, so that a broken one cannot ask for memory.
    pub(crate) fn count(&mut self, least: usize) -> Result<usize, Malformed> {
        let count = self.varint()?;
        if count > (self.remaining() / least.max(1)) as u64 {
            return Err(Malformed("a count beyond the bytes that follow"));
        }
        Ok(count as usize)
    }

    pub(crate) fn sketch(&mut self) -> Result<model::Sketch, Malformed> {
        model::Sketch::decode(&mut self.bytes).map_err(|_| Malformed("a sketch that cannot be read"))
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = self.count(1)?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Malformed("text that is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn reads_what_was_written(number in any::<u64>(), signed in any::<i64>(), text in ".*") {
            let mut bytes = Vec::new();
            bytes.put_varint(number);
            bytes.put_zigzag(signed);
            bytes.put_text(&text);
            bytes.put_u64(number);
            let mut cursor = Cursor::new(&bytes);
            prop_assert_eq!(cursor.varint(), Ok(number));
            prop_assert_eq!(cursor.zigzag(), Ok(signed));
            prop_assert_eq!(cursor.text(), Ok(text.as_str()));
            prop_assert_eq!(cursor.u64(), Ok(number));
            prop_assert!(cursor.is_empty());
        }
    }

    #[test]
    fn refuses_what_is_malformed() {
        assert_eq!(
            Cursor::new(&[0xff; 11]).varint(),
            Err(Malformed("a varint beyond 64 bits"))
        );
        assert_eq!(Cursor::new(&[0x80]).varint(), Err(Malformed("too short")));
        assert_eq!(
            Cursor::new(&[5, b'a']).text(),
            Err(Malformed("a count beyond the bytes that follow"))
        );
        assert_eq!(
            Cursor::new(&[1, 0xff]).text(),
            Err(Malformed("text that is not UTF-8"))
        );
    }
}

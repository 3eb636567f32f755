//! Writing and reading the small pieces that records, rows and sections are made of.
//!
//! Numbers are little-endian or LEB128 varints; text is its length in bytes as a varint, then UTF-8.
//! A [`Cursor`] never reads beyond its bytes and never trusts a length: everything malformed is an error.

/// Appends pieces to a buffer.
pub trait Put {
    /// One byte.
    fn put_byte(&mut self, byte: u8);

    /// Bytes as they are.
    fn put_bytes(&mut self, bytes: &[u8]);

    /// One byte for each seven bits.
    #[inline]
    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put_byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.put_byte(value as u8);
    }

    /// Small for small magnitudes of either sign.
    #[inline]
    fn put_zigzag(&mut self, value: i64) {
        self.put_varint(((value << 1) ^ (value >> 63)) as u64);
    }

    /// Eight bytes.
    #[inline]
    fn put_u64(&mut self, value: u64) {
        self.put_bytes(&value.to_le_bytes());
    }

    /// Four bytes.
    #[inline]
    fn put_u32(&mut self, value: u32) {
        self.put_bytes(&value.to_le_bytes());
    }

    /// Its length as a varint, and its bytes.
    fn put_text(&mut self, text: &str) {
        self.put_varint(text.len() as u64);
        self.put_bytes(text.as_bytes());
    }
}

impl Put for Vec<u8> {
    #[inline]
    fn put_byte(&mut self, byte: u8) {
        self.push(byte);
    }

    #[inline]
    fn put_bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// At most `N` bytes behind others: room for all of them is there before the first. More of them are a mistake of who
/// writes, and a panic.
#[derive(Debug)]
pub struct Pieces<'b, const N: usize> {
    bytes: &'b mut [u8; N],
    length: usize,
}

impl<const N: usize> Pieces<'_, N> {
    /// Has pieces written behind what is there.
    #[inline]
    pub fn append_to(out: &mut Vec<u8>, write: impl FnOnce(&mut Pieces<'_, N>)) {
        let start = out.len();
        out.resize(start + N, 0);
        let mut length = 0;
        if let Some(bytes) = out[start..].first_chunk_mut::<N>() {
            let mut pieces = Pieces { bytes, length };
            write(&mut pieces);
            length = pieces.length;
        }
        out.truncate(start + length);
    }
}

impl<const N: usize> Put for Pieces<'_, N> {
    #[inline]
    fn put_byte(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    #[inline]
    fn put_bytes(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }
}

/// What was expected of bytes that are not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed: {0}")]
pub struct Malformed(pub &'static str);

/// Reads pieces one after the other.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Stands before the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Bytes not read yet.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// Whether all bytes are read.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next bytes.
    ///
    /// # Errors
    /// [`Malformed`] where it is not there.
    #[inline]
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(length)
            .ok_or(Malformed("too short"))?;
        self.bytes = rest;
        Ok(taken)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`Malformed`] where it is not there.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        let (&first, rest) = self.bytes.split_first().ok_or(Malformed("too short"))?;
        self.bytes = rest;
        Ok(first)
    }

    /// So many bytes.
    ///
    /// # Errors
    /// [`Malformed`] where it is not there.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (array, rest) = self
            .bytes
            .split_first_chunk::<N>()
            .ok_or(Malformed("too short"))?;
        self.bytes = rest;
        Ok(*array)
    }

    /// What [`Put::put_u64`] wrote.
    ///
    /// # Errors
    /// [`Malformed`] where it is not there.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    /// What [`Put::put_u32`] wrote.
    ///
    /// # Errors
    /// [`Malformed`] where it is not there.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    /// What [`Put::put_varint`] wrote.
    ///
    /// # Errors
    /// [`Malformed`] where it is cut or longer than 64 bits.
    #[inline(always)]
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        match self.bytes {
            // Most numbers are small.
            [byte @ ..0x80, rest @ ..] => {
                self.bytes = rest;
                Ok(u64::from(*byte))
            }
            [first, second @ ..0x80, rest @ ..] => {
                self.bytes = rest;
                Ok(u64::from(first & 0x7f) | u64::from(*second) << 7)
            }
            _ => self.longer_varint(),
        }
    }

    fn longer_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
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

    /// What [`Put::put_zigzag`] wrote.
    ///
    /// # Errors
    /// [`Malformed`] where it is cut or longer than 64 bits.
    #[inline]
    pub fn zigzag(&mut self) -> Result<i64, Malformed> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A count of things that take at least `least` bytes each, so that a broken one cannot ask for memory.
    ///
    /// # Errors
    /// [`Malformed`] where the bytes that follow cannot hold them.
    #[inline]
    pub fn count(&mut self, least: usize) -> Result<usize, Malformed> {
        let count = self.varint()?;
        if count > (self.remaining() / least.max(1)) as u64 {
            return Err(Malformed("a count beyond the bytes that follow"));
        }
        Ok(count as usize)
    }

    /// A sketch as it writes itself.
    ///
    /// # Errors
    /// [`Malformed`] where it cannot be read.
    pub fn sketch(&mut self) -> Result<model::Sketch, Malformed> {
        model::Sketch::decode(&mut self.bytes).map_err(|_| Malformed("a sketch that cannot be read"))
    }

    /// What [`Put::put_text`] wrote.
    ///
    /// # Errors
    /// [`Malformed`] where it is cut or not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, Malformed> {
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

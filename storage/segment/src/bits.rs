//! Numbers of any width, one after the other, the lowest bit first.

use storage_record::bytes::Malformed;

/// Appends bits to bytes.
#[derive(Debug, Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    pending: u64,
    pending_bits: u32,
}

impl BitWriter {
    /// Appends the lowest `bits` of `value`, at most 64. There MUST be no higher ones.
    #[inline]
    pub(crate) fn put(&mut self, value: u64, bits: u32) {
        if bits > 32 {
            self.put(value & u64::from(u32::MAX), 32);
            return self.put(value >> 32, bits - 32);
        }
        debug_assert!(value >> bits == 0, "{value} has more than {bits} bits");
        self.pending |= value << self.pending_bits;
        self.pending_bits += bits;
        if self.pending_bits >= 32 {
            self.bytes.extend_from_slice(&(self.pending as u32).to_le_bytes());
            self.pending >>= 32;
            self.pending_bits -= 32;
        }
    }

    /// Fills the last byte with zeros; gives the number of bytes so far.
    pub(crate) fn align(&mut self) -> usize {
        while self.pending_bits > 0 {
            self.bytes.push(self.pending as u8);
            self.pending >>= 8;
            self.pending_bits = self.pending_bits.saturating_sub(8);
        }
        self.bytes.len()
    }

    /// Appends whole bytes. MUST follow an [`BitWriter::align`], or as many bits as fill the last byte.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.align();
        self.bytes.extend_from_slice(bytes);
    }

    /// The bytes up to the last [`BitWriter::align`].
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        (self.pending, self.pending_bits) = (0, 0);
    }
}

/// Reads what a [`BitWriter`] wrote.
#[derive(Clone, Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bits read ahead. Above `pending_bits` there may be more, which are those that `bytes` begins with.
    pending: u64,
    pending_bits: u32,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            pending: 0,
            pending_bits: 0,
        }
    }

    /// Bits not read yet.
    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() * 8 + self.pending_bits as usize
    }

    #[inline]
    fn fill(&mut self) {
        if let Some(next) = self.bytes.first_chunk::<8>() {
            self.pending |= u64::from_le_bytes(*next) << self.pending_bits;
            let taken = (63 - self.pending_bits) / 8;
            self.bytes = &self.bytes[taken as usize..];
            self.pending_bits += taken * 8;
            return;
        }
        while let Some((&next, rest)) = self.bytes.split_first()
            && self.pending_bits <= 56
        {
            self.pending |= u64::from(next) << self.pending_bits;
            self.pending_bits += 8;
            self.bytes = rest;
        }
    }

    /// The next bits without reading them, at most 32; zeros beyond the end.
    #[inline]
    pub(crate) fn peek(&mut self, bits: u32) -> u64 {
        if self.pending_bits < bits {
            self.fill();
        }
        self.pending & ((1 << bits) - 1)
    }

    /// Reads over bits that were seen, at most 32.
    ///
    /// # Errors
    /// [`Malformed`] beyond the end.
    #[inline]
    pub(crate) fn skip(&mut self, bits: u32) -> Result<(), Malformed> {
        if self.pending_bits < bits {
            return Err(Malformed("bits beyond the end"));
        }
        self.pending >>= bits;
        self.pending_bits -= bits;
        Ok(())
    }

    /// Reads bits, at most 64.
    ///
    /// # Errors
    /// [`Malformed`] beyond the end.
    #[inline]
    pub(crate) fn take(&mut self, bits: u32) -> Result<u64, Malformed> {
        if bits > 32 {
            let low = self.take(32)?;
            return Ok(low | self.take(bits - 32)? << 32);
        }
        let value = self.peek(bits);
        self.skip(bits)?;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_are_read_as_written(numbers in prop::collection::vec((any::<u64>(), 0u32..=64), 0..200)) {
            let numbers: Vec<_> = numbers
                .into_iter()
                .map(|(value, bits)| (value.checked_shr(64 - bits).unwrap_or(0), bits))
                .collect();
            let mut writer = BitWriter::default();
            numbers.iter().for_each(|&(value, bits)| writer.put(value, bits));
            let all: u32 = numbers.iter().map(|number| number.1).sum();
            prop_assert_eq!(writer.align(), all.div_ceil(8) as usize);
            let mut reader = BitReader::new(writer.bytes());
            for &(value, bits) in &numbers {
                prop_assert_eq!(reader.take(bits), Ok(value));
            }
            prop_assert!(reader.remaining() < 8);
            prop_assert!(reader.take(8).is_err());
        }
    }
}

//! A sketch as bytes, and back.
//!
//! All numbers are LEB128 varints: seven bits a byte, the lowest first, the top bit set on all bytes but the last.
//!
//! ```text
//! bucket count n; nothing follows 0
//! least value; greatest value - least value; sum (up to 128 bits)
//! n times: index of the bucket - 1 - index of the bucket before (the first: its index); its count
//! ```

use std::fmt;

use super::{BUCKETS, Bucket, Sketch, bucket_index};

/// Why bytes are no sketch. `offset` counts from the first byte of the sketch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SketchError {
    /// The bytes end within the sketch.
    Truncated {
        /// Where they end.
        offset: usize,
    },
    /// A number is greater than can be: of more bits than its field, or a bucket beyond the last.
    NumberTooLarge {
        /// Where the number ends.
        offset: usize,
    },
    /// A bucket that holds nothing.
    EmptyBucket {
        /// Where its count ends.
        offset: usize,
    },
    /// Least value, greatest value or sum contradict the buckets.
    Contradiction {
        /// Where the sketch ends.
        offset: usize,
    },
}

impl fmt::Display for SketchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, offset) = match self {
            Self::Truncated { offset } => ("sketch ends early", offset),
            Self::NumberTooLarge { offset } => ("sketch has a number that is too large", offset),
            Self::EmptyBucket { offset } => ("sketch has an empty bucket", offset),
            Self::Contradiction { offset } => ("sketch's range or sum contradicts its buckets", offset),
        };
        write!(f, "{what} at byte {offset}")
    }
}

impl std::error::Error for SketchError {}

impl Sketch {
    /// Appends the sketch, some two bytes a bucket.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        put_varint(bytes, self.indexes.len() as u128);
        let Some((min, max)) = self.range else { return };
        put_varint(bytes, u128::from(min));
        put_varint(bytes, u128::from(max - min));
        put_varint(bytes, self.sum);
        let mut next = 0;
        for (&index, &count) in self.indexes.iter().zip(&self.counts) {
            put_varint(bytes, u128::from(index - next));
            put_varint(bytes, u128::from(count));
            next = index + 1;
        }
    }

    /// Reads a sketch from the front of `bytes` and leaves what follows it. Takes memory in proportion to the
    /// bytes read, whatever they claim.
    ///
    /// # Errors
    /// [`SketchError`] where the bytes are none that [`Sketch::encode`] writes; `bytes` is left as it was.
    pub fn decode(bytes: &mut &[u8]) -> Result<Self, SketchError> {
        let mut reader = Reader { bytes, offset: 0 };
        let sketch = reader.sketch()?;
        *bytes = &bytes[reader.offset..];
        Ok(sketch)
    }

    /// Whether range and sum can be those of the values in the buckets.
    fn is_consistent(&self) -> bool {
        let (Some(first), Some(last), Some((min, max))) =
            (self.indexes.first(), self.indexes.last(), self.range)
        else {
            return false;
        };
        let total = |bound: fn(&Bucket) -> u64| {
            let totals = self
                .buckets()
                .map(|bucket| u128::from(bound(&bucket)) * u128::from(bucket.count));
            totals.fold(0u128, u128::saturating_add)
        };
        // A count that stays at its end counted more than it says.
        let upper_sum = if self.counts.contains(&u64::MAX) {
            u128::MAX
        } else {
            total(|bucket| bucket.upper)
        };
        bucket_index(min) == *first
            && bucket_index(max) == *last
            && (total(|bucket| bucket.lower)..=upper_sum).contains(&self.sum)
    }
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u128) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// A bounded cursor.
struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl Reader<'_> {
    fn sketch(&mut self) -> Result<Sketch, SketchError> {
        let buckets = self.varint(u128::from(BUCKETS))? as usize;
        if buckets == 0 {
            return Ok(Sketch::new());
        }
        let min = self.varint(u64::MAX.into())? as u64;
        let max = min + self.varint((u64::MAX - min).into())? as u64;
        let sum = self.varint(u128::MAX)?;
        // A bucket takes two bytes at least, so the claim is checked before memory is taken for it.
        if buckets > (self.bytes.len() - self.offset) / 2 {
            return Err(SketchError::Truncated {
                offset: self.bytes.len(),
            });
        }
        let mut sketch = Sketch {
            indexes: Vec::with_capacity(buckets),
            counts: Vec::with_capacity(buckets),
            count: 0,
            sum,
            range: Some((min, max)),
        };
        let mut next = 0u16;
        for _ in 0..buckets {
            let left = (BUCKETS - next)
                .checked_sub(1)
                .ok_or(SketchError::NumberTooLarge { offset: self.offset })?;
            let index = next + self.varint(left.into())? as u16;
            let count = self.varint(u64::MAX.into())? as u64;
            if count == 0 {
                return Err(SketchError::EmptyBucket { offset: self.offset });
            }
            sketch.indexes.push(index);
            sketch.counts.push(count);
            sketch.count = sketch.count.saturating_add(count);
            next = index + 1;
        }
        if sketch.is_consistent() {
            Ok(sketch)
        } else {
            Err(SketchError::Contradiction { offset: self.offset })
        }
    }

    /// A number no greater than `most`.
    fn varint(&mut self, most: u128) -> Result<u128, SketchError> {
        let mut value = 0u128;
        for shift in (0..u128::BITS).step_by(7) {
            let byte = *self
                .bytes
                .get(self.offset)
                .ok_or(SketchError::Truncated { offset: self.offset })?;
            self.offset += 1;
            let bits = u128::from(byte & 0x7f);
            if bits > most >> shift {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return if value <= most { Ok(value) } else { break };
            }
        }
        Err(SketchError::NumberTooLarge { offset: self.offset })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(sketch: &Sketch) -> Vec<u8> {
        let mut bytes = Vec::new();
        sketch.encode(&mut bytes);
        bytes
    }

    /// One value of 300 and two of 5.
    fn example() -> Sketch {
        let mut sketch = Sketch::new();
        sketch.record_many(5, 2);
        sketch.record(300);
        sketch
    }

    fn decoded(mut bytes: &[u8]) -> Result<Sketch, SketchError> {
        Sketch::decode(&mut bytes)
    }

    #[test]
    fn the_format_is_what_the_head_of_this_file_says() {
        assert_eq!(encoded(&Sketch::new()), [0]);
        // 2 buckets; 5, 300 - 5, 310; bucket 5 twice, bucket 128 + 300 / 2 = 278 = 6 + 272 once.
        assert_eq!(encoded(&example()), [2, 5, 0xa7, 2, 0xb6, 2, 5, 2, 0x90, 2, 1]);
    }

    #[test]
    fn what_follows_is_left() {
        let bytes = [encoded(&example()), vec![9, 9]].concat();
        let mut rest = bytes.as_slice();
        assert_eq!(Sketch::decode(&mut rest), Ok(example()));
        assert_eq!(rest, [9, 9]);
    }

    #[test]
    fn every_cut_is_an_error() {
        let bytes = encoded(&example());
        for length in 0..bytes.len() {
            let error = decoded(&bytes[..length]).unwrap_err();
            assert!(
                matches!(error, SketchError::Truncated { .. }),
                "{length}: {error}"
            );
        }
    }

    #[test]
    fn what_cannot_be_is_an_error() {
        let large = |offset| Err(SketchError::NumberTooLarge { offset });
        let contradiction = |offset| Err(SketchError::Contradiction { offset });
        assert_eq!(decoded(&[0x81, 0x3a]), large(2), "7425 buckets");
        assert_eq!(
            decoded(&[0x80, 0x3a]),
            Err(SketchError::Truncated { offset: 2 }),
            "7424 buckets"
        );
        assert_eq!(
            decoded(&[1, 5, 0, 5, 5, 0]),
            Err(SketchError::EmptyBucket { offset: 6 })
        );
        assert_eq!(decoded(&[1, 5, 0, 5, 0x80, 0x3a, 1]), large(6), "bucket 7424");
        assert_eq!(
            decoded(&[1, 6, 0, 5, 5, 1]),
            contradiction(6),
            "least value in another bucket"
        );
        assert_eq!(
            decoded(&[1, 5, 1, 5, 5, 1]),
            contradiction(6),
            "greatest value in another bucket"
        );
        assert_eq!(decoded(&[1, 5, 0, 6, 5, 1]), contradiction(6), "another sum");
        assert_eq!(decoded(&[1, 5, 0, 5, 5, 1]).map(|sketch| sketch.sum()), Ok(5));
        let endless = [&[1, 5, 0][..], &[0xff; 30]].concat();
        assert_eq!(decoded(&endless), large(3 + 19));
        let beyond_128_bits = [&[1, 5, 0][..], &[0xff; 18], &[0x7f]].concat();
        assert_eq!(decoded(&beyond_128_bits), large(3 + 19));
        let error = decoded(&endless).unwrap_err().to_string();
        assert_eq!(error, "sketch has a number that is too large at byte 22");
    }

    #[test]
    fn the_last_bucket_has_no_next() {
        let mut sketch = Sketch::new();
        sketch.record(u64::MAX);
        let mut bytes = encoded(&sketch);
        assert_eq!(decoded(&bytes), Ok(sketch));
        // One more bucket is claimed than fits behind the last.
        bytes[0] = 2;
        bytes.extend([0, 1]);
        assert!(matches!(decoded(&bytes), Err(SketchError::NumberTooLarge { .. })));
    }

    #[test]
    fn counts_at_their_end_survive() {
        let mut sketch = example();
        sketch.record_many(300, u64::MAX);
        sketch.record_many(300, u64::MAX);
        assert_eq!(decoded(&encoded(&sketch)), Ok(sketch));
    }

    proptest! {
        #[test]
        fn decoding_gives_back_what_was_encoded(values in prop::collection::vec((any::<u64>(), 0..64u32, any::<u64>(), 0..64u32), 0..50)) {
            let mut sketch = Sketch::new();
            for (value, value_bits, count, count_bits) in values {
                sketch.record_many(value >> value_bits, count >> count_bits);
            }
            prop_assert_eq!(decoded(&encoded(&sketch)), Ok(sketch));
        }

        #[test]
        fn hostile_bytes_are_a_sketch_or_an_error(
            buckets in 0..4u8,
            tail in prop::collection::vec(prop_oneof![0..8u8, any::<u8>()], 0..40),
        ) {
            let bytes = [vec![buckets], tail].concat();
            if let Ok(sketch) = decoded(&bytes) {
                prop_assert_eq!(decoded(&encoded(&sketch)), Ok(sketch));
            }
        }
    }
}

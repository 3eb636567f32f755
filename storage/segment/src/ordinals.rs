//! Lists of ascending ordinals, as bits.
//!
//! A difference is written in about as many bits as the average one has: the higher ones as so many zeros and a one,
//! the lower ones as they are (Rice's code). How many are low follows from the length of the list and the number of
//! traces, so nothing but the length is written beside. A list never takes more than three bits an entry above what
//! its density asks for, however its entries lie.

use crate::bits::{BitReader, BitWriter};
use crate::trace_table::Ordinal;
use storage_record::bytes::Malformed;

/// How many bits of each difference are written as they are.
fn low_bits(traces: u32, count: u32) -> u32 {
    (traces / count.max(1)).max(1).ilog2()
}

/// Appends a list of `count` ascending ordinals below `traces`.
pub(crate) fn put_ordinals(
    traces: u32,
    count: u32,
    ordinals: impl Iterator<Item = Ordinal>,
    out: &mut BitWriter,
) {
    let low = low_bits(traces, count);
    let mut next = 0;
    for ordinal in ordinals {
        put_split(u64::from(ordinal - next), low, out);
        next = ordinal + 1;
    }
}

/// Gives `visit` every ordinal of a list of `count`.
///
/// # Errors
/// [`Malformed`] where it ends early or goes beyond the traces, and what `visit` gives.
#[inline]
pub(crate) fn read_ordinals(
    traces: u32,
    count: u32,
    reader: &mut BitReader<'_>,
    mut visit: impl FnMut(Ordinal) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    const BEYOND: Malformed = Malformed("a trace beyond the table");
    if count > traces {
        return Err(BEYOND);
    }
    let low = low_bits(traces, count);
    let mut next = 0u64;
    for _ in 0..count {
        let ordinal = next + read_split(low, u32::BITS, reader)?;
        if ordinal >= u64::from(traces) {
            return Err(BEYOND);
        }
        visit(ordinal as Ordinal)?;
        next = ordinal + 1;
    }
    Ok(())
}

/// Appends a number: its `low` lowest bits as they are, below 64, and what is above as so many zeros and a one.
#[inline]
pub(crate) fn put_split(number: u64, low: u32, out: &mut BitWriter) {
    put_zeros((number >> low) as u32, out);
    out.put(number & ((1 << low) - 1), low);
}

/// The reverse of [`put_split`] for numbers of at most `most` bits, 64 and more than `low`.
///
/// # Errors
/// [`Malformed`] where it is none.
#[inline]
pub(crate) fn read_split(low: u32, most: u32, reader: &mut BitReader<'_>) -> Result<u64, Malformed> {
    let high = u64::from(read_zeros(u32::MAX, reader)?);
    if high >= 1 << (most - low).min(32) {
        return Err(Malformed("a number of more bits than it may have"));
    }
    Ok(high << low | reader.take(low)?)
}

/// Zeros, then a one.
fn put_zeros(mut zeros: u32, out: &mut BitWriter) {
    while zeros >= 32 {
        out.put(0, 32);
        zeros -= 32;
    }
    out.put(1 << zeros, zeros + 1);
}

/// How many zeros come before the next one: at most `most`.
#[inline]
fn read_zeros(most: u32, reader: &mut BitReader<'_>) -> Result<u32, Malformed> {
    let mut zeros = 0;
    loop {
        match reader.peek(32).trailing_zeros() {
            more if more < 32 => {
                reader.skip(more + 1)?;
                return Ok(zeros + more);
            }
            _ => reader.skip(32)?,
        }
        zeros += 32;
        if zeros > most {
            return Err(Malformed("a list that goes beyond its traces"));
        }
    }
}

/// Appends a number above 0: as many zeros as it has bits after the first, a one, those bits.
pub(crate) fn put_count(count: u32, out: &mut BitWriter) {
    let bits = count.max(1).ilog2();
    put_zeros(bits, out);
    out.put(u64::from(count) & ((1 << bits) - 1), bits);
}

/// The reverse of [`put_count`].
///
/// # Errors
/// [`Malformed`] where it is none.
#[inline]
pub(crate) fn read_count(reader: &mut BitReader<'_>) -> Result<u32, Malformed> {
    let bits = read_zeros(31, reader)?;
    if bits > 31 {
        return Err(Malformed("a count beyond 32 bits"));
    }
    Ok(1 << bits | reader.take(bits)? as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(traces: u32, count: u32, bytes: &[u8]) -> Result<Vec<Ordinal>, Malformed> {
        let mut read = Vec::new();
        read_ordinals(traces, count, &mut BitReader::new(bytes), |ordinal| {
            read.push(ordinal);
            Ok(())
        })?;
        Ok(read)
    }

    proptest! {
        #[test]
        fn lists_are_read_as_written_and_are_as_small_as_they_are_dense(
            traces in 1u32..5000, mut list in prop::collection::vec(any::<u32>(), 0..200), is_clustered in any::<bool>(),
        ) {
            for ordinal in &mut list {
                *ordinal %= if is_clustered { traces.div_ceil(10) } else { traces };
            }
            list.sort_unstable();
            list.dedup();
            let mut bits = BitWriter::default();
            let count = list.len() as u32;
            put_ordinals(traces, count, list.iter().copied(), &mut bits);
            let bytes = bits.align();
            let dense = (traces / count.max(1)).max(1).ilog2() as usize;
            prop_assert!(bytes <= (list.len() * (dense + 3)).div_ceil(8));
            prop_assert_eq!(read(traces, count, bits.bytes()), Ok(list));
        }

        #[test]
        fn counts_are_read_as_written(count in prop_oneof![1u32..10, 1..=u32::MAX]) {
            let mut bits = BitWriter::default();
            put_count(count, &mut bits);
            bits.align();
            prop_assert_eq!(read_count(&mut BitReader::new(bits.bytes())), Ok(count));
        }

        #[test]
        fn damaged_lists_stay_below_the_traces(
            traces in 1u32..5000, count in any::<u32>(), bytes in prop::collection::vec(any::<u8>(), 0..50),
        ) {
            if let Ok(list) = read(traces, count, &bytes) {
                prop_assert!(list.is_sorted() && list.iter().all(|&ordinal| ordinal < traces));
            }
            let mut reader = BitReader::new(&bytes);
            while read_count(&mut reader).is_ok() {}
        }
    }

    #[test]
    fn a_number_of_zeros_that_cannot_be_is_refused() {
        let zeros = [0; 64];
        assert!(read(1000, 1, &zeros).is_err());
        assert!(read_count(&mut BitReader::new(&zeros)).is_err());
        assert_eq!(
            read(3, 4, &[0xff; 64]),
            Err(Malformed("a trace beyond the table"))
        );
    }
}

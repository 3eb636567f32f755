//! Entries of the trace table as bits.
//!
//! Traces come in the order of their first span and lie one behind the other, so an entry is told by small differences
//! from the one before. Each kind of difference is written in about as many bits as the average one of the page has
//! (`ordinals.rs`).
//!
//! ```text
//! page  = u8 low bits of each column, u64 timestamp, page and offset that the first entry differs from (varints), entries
//! entry = u64 low identifier, columns: first - first of the entry before; last - first; timestamp - first;
//!         duration - (last - first); spans; errors; page - page before; offset - offset
//!         before (the offset itself where the page is another)
//! ```

use xxhash_rust::xxh3::xxh3_64;

use crate::bits::{BitReader, BitWriter};
use crate::ordinals::{put_split, read_split};
use crate::page::ListRef;
use crate::term::{TERM_BITS, Term};
use crate::trace_table::{TraceEntry, TraceTimes};
use storage_record::bytes::{Cursor, Malformed, Put};

const COLUMNS: usize = 8;

/// What a trace is found by in the section of identifiers, which has the pages of terms. Identifiers need not be random.
pub(crate) fn id_term(low: u64) -> Term {
    xxh3_64(&low.to_le_bytes()) >> (u64::BITS - TERM_BITS)
}

/// What an entry differs from: the one before.
#[derive(Clone, Copy, Debug, Default)]
struct Before {
    first: u64,
    place: ListRef,
}

impl Before {
    fn of(entry: &TraceEntry) -> Self {
        Self {
            first: entry.times.first,
            place: entry.spans,
        }
    }

    /// Any entry can be told, if need be by differences that wrap.
    fn columns(self, entry: &TraceEntry) -> [u64; COLUMNS] {
        let TraceTimes {
            first,
            last,
            timestamp,
            duration,
        } = entry.times;
        let ListRef { page, offset } = entry.spans;
        let offset_before = if page == self.place.page {
            self.place.offset
        } else {
            0
        };
        [
            first.wrapping_sub(self.first),
            last.wrapping_sub(first),
            timestamp.wrapping_sub(first),
            duration.wrapping_sub(last.wrapping_sub(first)),
            u64::from(entry.span_count),
            u64::from(entry.error_count),
            u64::from(page.wrapping_sub(self.place.page)),
            u64::from(offset.wrapping_sub(offset_before)),
        ]
    }

    fn entry(self, low: u64, columns: [u64; COLUMNS]) -> Result<TraceEntry, Malformed> {
        let small = |number: u64| u32::try_from(number).map_err(|_| Malformed("a figure beyond 32 bits"));
        let [first, last, timestamp, duration, spans, errors, page, offset] = columns;
        let page = self.place.page.wrapping_add(small(page)?);
        let offset_before = if page == self.place.page {
            self.place.offset
        } else {
            0
        };
        let first = self.first.wrapping_add(first);
        Ok(TraceEntry {
            low,
            times: TraceTimes {
                first,
                last: first.wrapping_add(last),
                timestamp: first.wrapping_add(timestamp),
                duration: last.wrapping_add(duration),
            },
            span_count: small(spans)?,
            error_count: small(errors)?,
            spans: ListRef {
                page,
                offset: offset_before.wrapping_add(small(offset)?),
            },
        })
    }
}

/// A page of entries; [`read_entries`] is the reverse.
pub(crate) fn put_entries(entries: &[TraceEntry], out: &mut Vec<u8>) {
    let begin = entries.first().map(Before::of).unwrap_or_default();
    let rows = || {
        entries.iter().scan(begin, |before, entry| {
            let columns = before.columns(entry);
            *before = Before::of(entry);
            Some((entry.low, columns))
        })
    };
    let mut low_bits = [0; COLUMNS];
    for (column, low) in low_bits.iter_mut().enumerate() {
        let sum: u128 = rows().map(|(_, columns)| u128::from(columns[column])).sum();
        *low = (sum / entries.len().max(1) as u128)
            .checked_ilog2()
            .unwrap_or(0)
            .min(MOST_LOW_BITS);
    }
    out.extend(low_bits.map(|low| low as u8));
    out.put_u64(begin.first);
    out.put_varint(u64::from(begin.place.page));
    out.put_varint(u64::from(begin.place.offset));
    let mut bits = BitWriter::default();
    for (low, columns) in rows() {
        bits.put(low, 64);
        for (column, low_bits) in columns.into_iter().zip(low_bits) {
            put_split(column, low_bits, &mut bits);
        }
    }
    bits.align();
    out.extend_from_slice(bits.bytes());
}

/// One entry may be as large as all others together, and then has as many zeros above as there are entries.
const MOST_LOW_BITS: u32 = 62;

/// Gives `visit` the first `count` entries of a page.
///
/// # Errors
/// [`Malformed`] where the page is none, and what `visit` gives.
pub(crate) fn read_entries(
    page: &[u8],
    count: u32,
    mut visit: impl FnMut(TraceEntry) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(page);
    let low_bits = cursor.array::<COLUMNS>()?;
    if low_bits.iter().any(|&low| u32::from(low) > MOST_LOW_BITS) {
        return Err(Malformed("a column of more bits than a number has"));
    }
    let first = cursor.u64()?;
    let mut small = || u32::try_from(cursor.varint()?).map_err(|_| Malformed("a place beyond 32 bits"));
    let place = ListRef {
        page: small()?,
        offset: small()?,
    };
    let mut before = Before { first, place };
    let mut reader = BitReader::new(cursor.take(cursor.remaining())?);
    for _ in 0..count {
        let low = reader.take(64)?;
        let mut columns = [0; COLUMNS];
        for (column, low_bits) in columns.iter_mut().zip(low_bits) {
            *column = read_split(u32::from(low_bits), 64, &mut reader)?;
        }
        let entry = before.entry(low, columns)?;
        before = Before::of(&entry);
        visit(entry)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(page: &[u8], count: u32) -> Result<Vec<TraceEntry>, Malformed> {
        let mut entries = Vec::new();
        read_entries(page, count, |entry| {
            entries.push(entry);
            Ok(())
        })?;
        Ok(entries)
    }

    prop_compose! {
        fn entry()(
            low in any::<u64>(), times in any::<[u64; 4]>(), bits in 0u32..64, figures in any::<[u32; 4]>(), few in 0u32..32,
        ) -> TraceEntry {
            let [first, last, timestamp, duration] = times.map(|time| time >> bits);
            let [span_count, error_count, page, offset] = figures.map(|figure| figure >> few);
            TraceEntry {
                low,
                times: TraceTimes { first, last, timestamp, duration },
                span_count,
                error_count,
                spans: ListRef { page, offset },
            }
        }
    }

    proptest! {
        #[test]
        fn entries_are_read_as_written(entries in prop::collection::vec(entry(), 1..50), count in any::<prop::sample::Index>()) {
            let mut page = Vec::new();
            put_entries(&entries, &mut page);
            let count = count.index(entries.len() + 1);
            prop_assert_eq!(&read(&page, count as u32).unwrap(), &entries[..count]);
        }

        #[test]
        fn damaged_pages_never_panic(
            entries in prop::collection::vec(entry(), 1..5), at in any::<prop::sample::Index>(), value in any::<u8>(),
        ) {
            let mut page = Vec::new();
            put_entries(&entries, &mut page);
            let at = at.index(page.len());
            page[at] = value;
            let read = read(&page, 10);
            prop_assert!(read.is_err() || read.is_ok_and(|entries| entries.len() == 10));
        }
    }

    #[test]
    fn traces_one_after_the_other_take_little_beside_their_identifier() {
        let entries: Vec<_> = (0..256u32)
            .map(|index| TraceEntry {
                low: u64::from(index) << 40,
                times: TraceTimes {
                    first: 1_700_000_000_000_000 + u64::from(index) * 700,
                    last: 1_700_000_000_020_000 + u64::from(index) * 800,
                    timestamp: 1_700_000_000_000_000 + u64::from(index) * 700,
                    duration: 25_000 + u64::from(index) * 110,
                },
                span_count: 5 + index % 30,
                error_count: index % 10 / 9,
                spans: ListRef {
                    page: 7 + index / 40,
                    offset: index % 40 * 350,
                },
            })
            .collect();
        let mut page = Vec::new();
        put_entries(&entries, &mut page);
        assert!(page.len() < 256 * 17, "{}", page.len());
    }
}

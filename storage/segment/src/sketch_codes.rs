//! The sketches of a segment with every kind of number in codes of its own.
//!
//! Sketches are mostly small numbers whose kinds differ much in how they are spread: the steps from bucket to bucket,
//! and counts that are nearly always 1. So what `sketches.rs` writes is coded once more, number by number, with the
//! codes of rows (`row/codes.rs`). Texts are listed once. Spans without children have the same sketch of durations and
//! of self times, which is then written once.
//!
//! ```text
//! section = list of texts, codes, length of the bits in bytes, bits, symbols
//! entry   = service, span name, kind, version, minute - minute of the entry before (zigzag), spans, errors, traces, sketch,
//!           symbol 1 where the second sketch is the same, else 0 and the sketch
//! sketch  = number of buckets; where there are any: least value, range, sum (low and high 64 bits), of each bucket its
//!           step and count
//! ```

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::bits::{BitReader, BitWriter};
use crate::row::codes::{Counts, Decoder, Encoder, PLAIN_CONTEXTS};
use crate::row::{Streams, class_start};
use storage_record::bytes::{Cursor, Malformed, Put};

/// Bytes that a section may take when it is read: some twice what the largest number of entries takes.
const BYTES_MAX: usize = 256 << 20;

/// Never in no bits, so that the number of entries is bounded by the bits there are.
const SERVICE: u8 = 0;
const NAME: u8 = PLAIN_CONTEXTS as u8;
const KIND: u8 = NAME + 1;
const VERSION: u8 = NAME + 2;
const MINUTE: u8 = NAME + 3;
const SPANS: u8 = NAME + 4;
const ERRORS: u8 = NAME + 5;
const TRACES: u8 = NAME + 6;
const SAME: u8 = NAME + 7;
/// Six contexts, from here for durations and from the next for self times.
const DURATIONS: u8 = NAME + 8;
const SELF_TIMES: u8 = NAME + 14;

const BUCKETS: u8 = 0;
const LEAST: u8 = 1;
const RANGE: u8 = 2;
const SUM: u8 = 3;
const STEP: u8 = 4;
const COUNT: u8 = 5;

/// Codes a section of sketches.
///
/// # Errors
/// [`Malformed`] where it is none.
pub(crate) fn pack(section: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(section);
    let mut texts = Texts::default();
    let mut streams = Streams::default();
    let count = cursor.varint()?;
    let mut minute = 0;
    for _ in 0..count {
        for context in [SERVICE, NAME] {
            streams.number(context, texts.number(cursor.text()?));
        }
        streams.symbol(KIND, cursor.u8()?);
        streams.number(VERSION, texts.number(cursor.text()?));
        let of_entry = cursor.varint()?;
        streams.number(MINUTE, of_entry.wrapping_sub(minute));
        minute = of_entry;
        for context in [SPANS, ERRORS, TRACES] {
            streams.number(context, cursor.varint()?);
        }
        let durations = sketch_bytes(&mut cursor)?;
        let self_times = sketch_bytes(&mut cursor)?;
        pack_sketch(DURATIONS, durations, &mut streams)?;
        let is_same = self_times == durations;
        streams.symbol(SAME, u8::from(is_same));
        if !is_same {
            pack_sketch(SELF_TIMES, self_times, &mut streams)?;
        }
    }
    out.put_varint(count);
    out.put_varint(texts.in_order.len() as u64);
    texts.in_order.iter().for_each(|text| out.put_text(text));
    let mut counts = Counts::new();
    streams
        .symbols
        .iter()
        .for_each(|symbol| counts.add((symbol >> 8) as u8, *symbol as u8));
    let codes = Encoder::new(&counts);
    codes.put(out);
    streams.bits.align();
    out.put_varint(streams.bits.bytes().len() as u64);
    out.extend_from_slice(streams.bits.bytes());
    let mut symbols = BitWriter::default();
    for symbol in &streams.symbols {
        codes.write((symbol >> 8) as u8, *symbol as u8, &mut symbols);
    }
    symbols.align();
    out.extend_from_slice(symbols.bytes());
    Ok(())
}

/// Distinct texts in the order first seen.
#[derive(Default)]
struct Texts<'a> {
    numbers: HashMap<&'a str, u64, RandomState>,
    in_order: Vec<&'a str>,
}

impl<'a> Texts<'a> {
    fn number(&mut self, text: &'a str) -> u64 {
        let next = self.in_order.len() as u64;
        *self.numbers.entry(text).or_insert_with(|| {
            self.in_order.push(text);
            next
        })
    }
}

/// The bytes of the next sketch.
fn sketch_bytes<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Malformed> {
    let mut end = cursor.clone();
    let buckets = end.varint()?;
    if buckets > 0 {
        for _ in 0..2 {
            end.varint()?;
        }
        wide_varint(&mut end)?;
        for _ in 0..buckets.saturating_mul(2) {
            end.varint()?;
        }
    }
    cursor.take(cursor.remaining() - end.remaining())
}

fn wide_varint(cursor: &mut Cursor<'_>) -> Result<u128, Malformed> {
    let mut value = 0;
    for shift in (0..u128::BITS).step_by(7) {
        let byte = cursor.u8()?;
        value |= u128::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Malformed("a varint beyond 128 bits"))
}

fn put_wide_varint(mut value: u128, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn pack_sketch(context: u8, bytes: &[u8], streams: &mut Streams) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(bytes);
    let buckets = cursor.varint()?;
    streams.number(context + BUCKETS, buckets);
    if buckets == 0 {
        return Ok(());
    }
    streams.number(context + LEAST, cursor.varint()?);
    streams.number(context + RANGE, cursor.varint()?);
    let sum = wide_varint(&mut cursor)?;
    streams.number(context + SUM, sum as u64);
    streams.bits.put(u64::from(sum >> 64 != 0), 1);
    if sum >> 64 != 0 {
        streams.bits.put((sum >> 64) as u64, 64);
    }
    for _ in 0..buckets {
        streams.number(context + STEP, cursor.varint()?);
        streams.number(context + COUNT, cursor.varint()?);
    }
    Ok(())
}

/// The reverse of [`pack`].
///
/// # Errors
/// [`Malformed`] where it is none.
pub(crate) fn unpack(packed: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut cursor = Cursor::new(packed);
    let count = cursor.varint()?;
    let mut texts = Vec::new();
    for _ in 0..cursor.count(1)? {
        texts.push(cursor.text()?);
    }
    let codes = Decoder::read(&mut cursor)?;
    let length = cursor.count(1)?;
    let mut reader = Reader {
        codes,
        bits: BitReader::new(cursor.take(length)?),
        symbols: BitReader::new(cursor.take(cursor.remaining())?),
        out: Vec::new(),
    };
    reader.out.put_varint(count);
    if count > reader.symbols.remaining() as u64 {
        return Err(Malformed("a count beyond the bits that follow"));
    }
    let mut minute = 0u64;
    for _ in 0..count {
        reader.text(SERVICE, &texts)?;
        reader.text(NAME, &texts)?;
        let kind = reader.codes.symbol(KIND, &mut reader.symbols)?;
        reader.out.push(kind);
        reader.text(VERSION, &texts)?;
        minute = minute.wrapping_add(reader.number(MINUTE)?);
        reader.out.put_varint(minute);
        for context in [SPANS, ERRORS, TRACES] {
            reader.copy(context)?;
        }
        let start = reader.out.len();
        reader.sketch(DURATIONS)?;
        let end = reader.out.len();
        match reader.codes.symbol(SAME, &mut reader.symbols)? {
            0 => reader.sketch(SELF_TIMES)?,
            _ => reader.out.extend_from_within(start..end),
        }
        if reader.out.len() > BYTES_MAX {
            return Err(Malformed("sketches of more bytes than a segment may have"));
        }
    }
    Ok(reader.out)
}

struct Reader<'a> {
    codes: Decoder,
    bits: BitReader<'a>,
    symbols: BitReader<'a>,
    out: Vec<u8>,
}

impl Reader<'_> {
    fn number(&mut self, context: u8) -> Result<u64, Malformed> {
        let class = self.codes.symbol(context, &mut self.symbols)?;
        let (start, bits) = class_start(class)?;
        Ok(start | self.bits.take(bits)?)
    }

    fn copy(&mut self, context: u8) -> Result<u64, Malformed> {
        let number = self.number(context)?;
        self.out.put_varint(number);
        Ok(number)
    }

    fn text(&mut self, context: u8, texts: &[&str]) -> Result<(), Malformed> {
        let number = usize::try_from(self.number(context)?).ok();
        let text = number
            .and_then(|number| texts.get(number))
            .ok_or(Malformed("a text beyond the texts"))?;
        self.out.put_text(text);
        Ok(())
    }

    fn sketch(&mut self, context: u8) -> Result<(), Malformed> {
        /// More than a sketch can have; its own reader says which it may have.
        const BUCKETS_MAX: u64 = 1 << 13;
        let buckets = self.copy(context + BUCKETS)?;
        if buckets > BUCKETS_MAX {
            return Err(Malformed("a sketch of more buckets than there are"));
        }
        if buckets == 0 {
            return Ok(());
        }
        self.copy(context + LEAST)?;
        self.copy(context + RANGE)?;
        let mut sum = u128::from(self.number(context + SUM)?);
        if self.bits.take(1)? != 0 {
            sum |= u128::from(self.bits.take(64)?) << 64;
        }
        put_wide_varint(sum, &mut self.out);
        for _ in 0..buckets {
            self.copy(context + STEP)?;
            self.copy(context + COUNT)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Sketch;
    use proptest::prelude::*;

    /// A section of entries: names, minute, values of both sketches.
    fn section(entries: &[(String, u64, Vec<u64>, Vec<u64>)]) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_varint(entries.len() as u64);
        for (name, minute, durations, self_times) in entries {
            out.put_text("web");
            out.put_text(name);
            out.push(name.len() as u8 % 5);
            out.put_text("1.0");
            for number in [*minute, durations.len() as u64, 0, 1] {
                out.put_varint(number);
            }
            for values in [durations, self_times] {
                let mut sketch = Sketch::new();
                values.iter().for_each(|&value| sketch.record(value));
                sketch.encode(&mut out);
            }
        }
        out
    }

    fn packed(section: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        pack(section, &mut packed).unwrap();
        packed
    }

    prop_compose! {
        fn entries()(
            entries in prop::collection::vec(
                ("[a-c]{0,2}", any::<u64>(), prop::collection::vec(any::<u64>(), 0..9), prop::option::of(any::<u64>())), 0..9,
            ),
        ) -> Vec<(String, u64, Vec<u64>, Vec<u64>)> {
            let with_self_times = entries.into_iter().map(|(name, minute, durations, other)| {
                let self_times = durations.iter().copied().chain(other).collect();
                (name, minute, durations, self_times)
            });
            with_self_times.collect()
        }
    }

    proptest! {
        #[test]
        fn sections_come_back(entries in entries()) {
            let section = section(&entries);
            prop_assert_eq!(unpack(&packed(&section)), Ok(section));
        }

        #[test]
        fn damage_never_panics(entries in entries(), at in any::<prop::sample::Index>(), value in any::<u8>()) {
            let mut packed = packed(&section(&entries));
            let at = at.index(packed.len());
            packed[at] = value;
            if let Ok(section) = unpack(&packed) {
                prop_assert!(!section.is_empty());
            }
            let mut section = section(&entries);
            let at = at % section.len();
            section[at] = value;
            let mut packed = Vec::new();
            prop_assert!(pack(&section, &mut packed).is_err() || !packed.is_empty());
        }
    }

    #[test]
    fn values_of_one_operation_take_less_than_bytes() {
        let values: Vec<u64> = (1..40u64).map(|index| 2000 + index * index * 37 % 5000).collect();
        let entries: Vec<_> = (0..300)
            .map(|minute| ("get".to_owned(), minute, values.clone(), values.clone()))
            .collect();
        let section = section(&entries);
        assert!(packed(&section).len() < section.len() / 3);
    }
}

//! Terms and their traces as pages: found by two binary searches and some dozen steps.
//!
//! Only as many bits of a term are kept as tell the terms of this segment apart from nearly all others. A page is
//! blocks of up to [`BLOCK_TERMS`] terms, with a directory in front, so that little is read to find one.
//!
//! ```text
//! page  = u8 kept bits, u8 low bits, list of blocks: u64 (first term << 24 | where it begins after the list); blocks
//! block = number of terms, then each: its difference from the one before (not of the first), in `low bits` and as many
//!         zeros and a one above; number of its traces; a single trace in as many bits as number all, else a list;
//!         filled up to a whole byte
//! ```
//!
//! Numbers of terms and traces are those of `ordinals.rs`.

use std::io;

use crate::bits::{BitReader, BitWriter};
use crate::ordinals::{put_count, put_ordinals, put_split, read_count, read_ordinals, read_split};
use crate::page::{PAGE_BYTES, PageWriter};
use crate::term::{TERM_BITS, Term};
use crate::trace_table::Ordinal;
use storage_record::bytes::{Cursor, Malformed, Put};

/// Bits kept beyond those that number all pairs: of terms that are not there, one in 256 seems to be, and costs one
/// trace that is read in vain.
const SURE_BITS: u32 = 8;
const BLOCK_TERMS: usize = 64;
/// Bits of the directory that tell where a block begins.
const OFFSET_BITS: u32 = 64 - TERM_BITS;

/// Writes pairs of a term and a trace, in any order and with repetitions; gives the least term that each page may have.
pub(crate) fn write_terms(
    pairs: impl ExactSizeIterator<Item = (Term, Ordinal)>,
    traces: u32,
    pages: &mut PageWriter,
) -> io::Result<Vec<Term>> {
    let Some(pair_bits) = pairs.len().checked_ilog2() else {
        return Ok(Vec::new());
    };
    let ordinal_bits = single_bits(traces);
    let kept = TERM_BITS.min(pair_bits + SURE_BITS).min(u64::BITS - ordinal_bits);
    // As one number each: sorted by term, then by trace.
    let pack =
        |(term, ordinal): (Term, Ordinal)| (term >> (TERM_BITS - kept)) << ordinal_bits | u64::from(ordinal);
    let mut packed: Vec<u64> = pairs.map(pack).collect();
    radsort::sort(&mut packed);
    packed.dedup();
    let term_of = |packed: u64| packed.checked_shr(ordinal_bits).unwrap_or(0);
    let is_same = |a: &u64, b: &u64| term_of(*a) == term_of(*b);
    let distinct = packed.chunk_by(is_same).count();
    let low = kept - distinct.ilog2().min(kept);
    let mut page = TermPage::new(kept, low, traces);
    let mut firsts = Vec::new();
    let mut flush = |page: &mut TermPage| {
        if let Some(&(first, _)) = page.blocks.first() {
            firsts.push(first << (TERM_BITS - kept));
            pages.write_parts(&[], &page.take())?;
        }
        Ok::<_, io::Error>(())
    };
    for list in packed.chunk_by(is_same) {
        let mask = (1 << ordinal_bits) - 1;
        let ordinals = list.iter().map(|&packed| (packed & mask) as Ordinal);
        page.push(term_of(list[0]), list.len() as u32, ordinals);
        if page.is_full() {
            flush(&mut page)?;
        }
    }
    page.end_block();
    flush(&mut page)?;
    Ok(firsts)
}

/// Bits that number all traces.
fn single_bits(traces: u32) -> u32 {
    u32::BITS - traces.saturating_sub(1).leading_zeros()
}

/// A page that is being filled.
struct TermPage {
    kept: u32,
    low: u32,
    traces: u32,
    /// First term and beginning of every block.
    blocks: Vec<(Term, usize)>,
    body: BitWriter,
    /// The block that is not ended: its terms, and its bits without their number.
    block: BitWriter,
    block_terms: u32,
    previous: Term,
}

impl TermPage {
    fn new(kept: u32, low: u32, traces: u32) -> Self {
        Self {
            kept,
            low,
            traces,
            blocks: Vec::new(),
            body: BitWriter::default(),
            block: BitWriter::default(),
            block_terms: 0,
            previous: 0,
        }
    }

    fn push(&mut self, term: Term, count: u32, mut ordinals: impl Iterator<Item = Ordinal>) {
        if self.block_terms == 0 {
            let start = self.body.bytes().len();
            self.blocks.push((term, start));
        } else {
            put_split(term - self.previous, self.low, &mut self.block);
        }
        self.previous = term;
        self.block_terms += 1;
        put_count(count, &mut self.block);
        if count == 1 {
            let ordinal = ordinals.next().unwrap_or(0);
            self.block.put(u64::from(ordinal), single_bits(self.traces));
        } else {
            put_ordinals(self.traces, count, ordinals, &mut self.block);
        }
        if self.block_terms as usize == BLOCK_TERMS || self.block.bytes().len() >= PAGE_BYTES {
            self.end_block();
        }
    }

    fn end_block(&mut self) {
        if self.block_terms == 0 {
            return;
        }
        self.block.align();
        // A whole byte, so that the block follows as it is.
        self.body.put(u64::from(self.block_terms), 8);
        self.body.extend(self.block.bytes());
        self.block.clear();
        self.block_terms = 0;
    }

    fn is_full(&self) -> bool {
        self.block_terms == 0 && self.body.bytes().len() >= PAGE_BYTES
    }

    fn take(&mut self) -> Vec<u8> {
        let mut page = vec![self.kept as u8, self.low as u8];
        page.put_varint(self.blocks.len() as u64);
        for &(first, start) in &self.blocks {
            page.put_u64(first << OFFSET_BITS | start as u64);
        }
        page.extend_from_slice(self.body.bytes());
        self.blocks.clear();
        self.body.clear();
        page
    }
}

/// Gives `visit` the traces that may have `term`, ascending, from a page of terms.
///
/// # Errors
/// [`Malformed`] where the page is none, and what `visit` gives.
pub(crate) fn find_term(
    page: &[u8],
    traces: u32,
    term: Term,
    visit: impl FnMut(Ordinal) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(page);
    let (kept, low) = (u32::from(cursor.u8()?), u32::from(cursor.u8()?));
    if kept > TERM_BITS || low > kept {
        return Err(Malformed("terms of more bits than they have"));
    }
    let count = cursor.count(8)?;
    let directory = cursor.take(count * 8)?.as_chunks::<8>().0;
    let term = term >> (TERM_BITS - kept);
    let block = |at: usize| u64::from_le_bytes(directory[at]);
    let after = directory.partition_point(|block| u64::from_le_bytes(*block) >> OFFSET_BITS <= term);
    let Some(at) = after.checked_sub(1) else {
        return Ok(());
    };
    let start = (block(at) & ((1 << OFFSET_BITS) - 1)) as usize;
    let blocks = cursor.take(cursor.remaining())?;
    let bytes = blocks.get(start..).ok_or(Malformed("a block beyond its page"))?;
    find_in_block(bytes, low, traces, (block(at) >> OFFSET_BITS, term), visit)
}

fn find_in_block(
    bytes: &[u8],
    low: u32,
    traces: u32,
    (first, term): (Term, Term),
    mut visit: impl FnMut(Ordinal) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut reader = BitReader::new(bytes);
    let terms = reader.take(8)?;
    let mut current = first;
    for index in 0..terms {
        if index > 0 {
            current = current.saturating_add(read_split(low, TERM_BITS, &mut reader)?);
        }
        if current > term {
            break;
        }
        let is_it = current == term;
        let count = read_count(&mut reader)?;
        if count > 1 {
            let visit = |ordinal| if is_it { visit(ordinal) } else { Ok(()) };
            read_ordinals(traces, count, &mut reader, visit)?;
        } else {
            let ordinal = reader.take(single_bits(traces))? as Ordinal;
            if is_it {
                visit(ordinal)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    fn pages_of(pairs: &[(Term, Ordinal)], traces: u32) -> Vec<Vec<u8>> {
        let disk = storage_journal::LossyDisk::new();
        let file = storage_journal::Disk::create(&disk, "terms").unwrap();
        let mut pages = PageWriter::new(file, &[]).unwrap();
        let firsts = write_terms(pairs.iter().copied(), traces, &mut pages).unwrap();
        assert_eq!(firsts.len(), pages.pages().len());
        assert!(firsts.is_sorted());
        pages.finish(&[]).unwrap();
        let file = storage_journal::Disk::open(&disk, "terms").unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        // One page, as tests write less than one.
        assert!(firsts.len() <= 1);
        firsts.iter().map(|_| bytes.clone()).collect()
    }

    fn find(page: &[u8], traces: u32, term: Term) -> Result<BTreeSet<Ordinal>, Malformed> {
        let mut found = BTreeSet::new();
        find_term(page, traces, term, |ordinal| {
            found.insert(ordinal);
            Ok(())
        })?;
        Ok(found)
    }

    proptest! {
        #[test]
        fn every_term_is_found_with_all_its_traces(
            terms in prop::collection::vec(0..1u64 << TERM_BITS, 1..200),
            pairs in prop::collection::vec((any::<prop::sample::Index>(), 0u32..300), 1..2000),
        ) {
            let pairs: Vec<_> = pairs.iter().map(|(term, trace)| (*term.get(&terms), *trace)).collect();
            let mut expected: BTreeMap<Term, BTreeSet<Ordinal>> = BTreeMap::new();
            for &(term, trace) in &pairs {
                expected.entry(term).or_default().insert(trace);
            }
            for page in pages_of(&pairs, 300) {
                for (term, traces) in &expected {
                    prop_assert!(find(&page, 300, *term).unwrap().is_superset(traces));
                }
            }
        }

        #[test]
        fn damaged_pages_give_traces_of_the_segment_or_an_error(
            pairs in prop::collection::vec((0..1u64 << TERM_BITS, 0u32..300), 1..200),
            at in any::<prop::sample::Index>(), value in any::<u8>(), other in any::<u64>(),
        ) {
            for mut page in pages_of(&pairs, 300) {
                let at = at.index(page.len());
                page[at] = value;
                for term in [pairs[0].0, other >> (64 - TERM_BITS)] {
                    if let Ok(found) = find(&page, 300, term) {
                        prop_assert!(found.iter().all(|&trace| trace < 512));
                    }
                }
            }
        }
    }

    #[test]
    fn nearly_no_term_is_found_that_is_not_there() {
        let spread = |index: u64| index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - TERM_BITS);
        let pairs: Vec<_> = (0..4000)
            .map(|index| (spread(index), index as u32 % 300))
            .collect();
        let page = &pages_of(&pairs, 300)[0];
        let wrong = (4000..14_000).filter(|&index| !find(page, 300, spread(index)).unwrap().is_empty());
        assert!(wrong.count() < 10_000 / 100);
    }
}

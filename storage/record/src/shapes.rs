//! Shapes of a record: which values of spans are said once for all that share them, and which each row says for itself.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::numbering::Numbering;

/// Different values that a slot of a family may have in one batch and still be part of shapes.
const CLOSED_VALUES_MAX: usize = 4;
/// Values longer than this are kept once where they come again, whatever is known of their slot.
const LONG_BYTES: usize = 256;

/// The places of the bits that are set, the lowest first.
#[derive(Clone, Debug)]
pub struct Bits(pub u64);

impl Iterator for Bits {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let place = (self.0 != 0).then(|| self.0.trailing_zeros() as usize);
        self.0 &= self.0.wrapping_sub(1);
        place
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.0.count_ones() as usize;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Bits {}

/// What spans of a family have in common that have the same values wherever it is not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordShape {
    /// The number of the family.
    pub family: u32,
    /// Values that are in rows: a bit each for the first 64, the first the lowest. Those beyond always are.
    pub open: u64,
    /// Where the others are among those of all shapes.
    pub(crate) values: u32,
}

/// The shapes of a batch, numbered from 0 in the order first seen.
#[derive(Debug)]
pub(crate) struct Shapes {
    pub(crate) all: Vec<RecordShape>,
    /// Numbers of the texts that are values of shapes.
    pub(crate) values: Vec<u32>,
    /// The number of each span's.
    pub(crate) of_spans: Vec<u32>,
}

impl Shapes {
    /// `open` says for each family which of its values are known to vary, if anybody knows.
    pub(crate) fn of(numbering: &Numbering, open: &[Option<u64>]) -> Self {
        let mut finder = Finder {
            shapes: Self {
                all: Vec::new(),
                values: Vec::new(),
                of_spans: Vec::with_capacity(numbering.len()),
            },
            open: open_slots(numbering, open),
            last: vec![None; numbering.families().len()],
            numbers: HashTable::new(),
            hasher: RandomState::default(),
        };
        for index in 0..numbering.len() {
            let number = finder.number_of(numbering, index);
            finder.shapes.of_spans.push(number);
        }
        finder.shapes
    }
}

struct Finder {
    shapes: Shapes,
    /// One a family.
    open: Vec<u64>,
    /// The shape of each family's last span.
    last: Vec<Option<u32>>,
    /// By family and values.
    numbers: HashTable<u32>,
    hasher: RandomState,
}

impl Finder {
    #[inline]
    fn number_of(&mut self, numbering: &Numbering, index: usize) -> u32 {
        let (number, values) = numbering.span(index);
        let family = number as usize;
        let closed = numbering.families()[family].all_bits() & !self.open[family];
        if let Some(last) = self.last[family].filter(|_| closed & !numbering.same(index) == 0) {
            return last;
        }
        let found = self.find(number, closed, values);
        self.last[family] = Some(found);
        found
    }

    fn find(&mut self, family: u32, closed: u64, values: &[u32]) -> u32 {
        let start = self.shapes.values.len();
        self.shapes.values.extend(Bits(closed).map(|slot| values[slot]));
        let Self {
            shapes,
            open,
            numbers,
            hasher,
            ..
        } = self;
        let Shapes { all, values, .. } = shapes;
        let own = &values[start..];
        let values_of =
            |shape: &RecordShape| &values[shape.values as usize..shape.values as usize + own.len()];
        let hash_of = |family: u32, values: &[u32]| {
            let mut state = hasher.build_hasher();
            state.write_u32(family);
            values.iter().for_each(|&value| state.write_u32(value));
            state.finish()
        };
        let hash = hash_of(family, own);
        let found = numbers.find(hash, |&number| {
            let shape = &all[number as usize];
            shape.family == family && values_of(shape) == own
        });
        if let Some(&found) = found {
            self.shapes.values.truncate(start);
            return found;
        }
        let number = all.len() as u32;
        all.push(RecordShape {
            family,
            open: open[family as usize],
            values: start as u32,
        });
        numbers.insert_unique(hash, number, |&number| {
            let shape = &all[number as usize];
            let end = all
                .get(number as usize + 1)
                .map_or(values.len(), |next| next.values as usize);
            hash_of(shape.family, &values[shape.values as usize..end])
        });
        number
    }
}

/// Which values of each family are in rows: those that are known to vary, unless they are long and come again; and where
/// nobody knows anything those that take many forms in this batch.
fn open_slots(numbering: &Numbering, known: &[Option<u64>]) -> Vec<u64> {
    let families = numbering.families();
    let is_known = |family: usize| known.get(family).copied().flatten();
    let mut open: Vec<u64> = (families.iter().enumerate())
        .map(|(number, family)| is_known(number).unwrap_or(0) & family.all_bits())
        .collect();
    let long = long_slots(numbering, &open);
    // What is to be looked at, and where what was seen there begins.
    let mut seen = Vec::new();
    let looked_at: Vec<(u64, usize)> = (families.iter().enumerate())
        .map(|(number, family)| {
            let slots = if is_known(number).is_some() {
                long[number]
            } else {
                family.all_bits()
            };
            open[number] &= !slots;
            let start = seen.len();
            // A place for each slot up to the last one.
            seen.resize(
                start + (u64::BITS - slots.leading_zeros()) as usize,
                Seen::default(),
            );
            (slots, start)
        })
        .collect();
    if seen.is_empty() {
        return open;
    }
    for index in 0..numbering.len() {
        let (number, values) = numbering.span(index);
        let family = number as usize;
        let (slots, start) = looked_at[family];
        for slot in Bits(slots & !numbering.same(index) & !open[family]) {
            if !seen[start + slot].takes(values[slot]) {
                open[family] |= 1 << slot;
            }
        }
    }
    open
}

/// Of the open values of each family those that are long in two spans that follow each other: what a process says of
/// itself, often with every span.
fn long_slots(numbering: &Numbering, open: &[u64]) -> Vec<u64> {
    let mut long = vec![0; open.len()];
    for index in 0..numbering.len() {
        let (number, values) = numbering.span(index);
        let family = number as usize;
        for slot in Bits(open[family] & numbering.same(index)) {
            if numbering.texts()[values[slot] as usize].len() > LONG_BYTES {
                long[family] |= 1 << slot;
            }
        }
    }
    long
}

/// The first values of a slot.
#[derive(Clone, Debug, Default)]
struct Seen {
    values: [u32; CLOSED_VALUES_MAX],
    count: usize,
}

impl Seen {
    /// Notes a value; false where it is one too many.
    fn takes(&mut self, value: u32) -> bool {
        if self.values[..self.count].contains(&value) {
            return true;
        }
        let is_room = self.count < CLOSED_VALUES_MAX;
        if is_room {
            self.values[self.count] = value;
            self.count += 1;
        }
        is_room
    }
}

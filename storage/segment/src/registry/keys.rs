//! What families and shapes are found by: lists of numbers.
//!
//! A table of shapes is larger than what a processor keeps at hand, and most looks into it are at places that were not
//! looked at for a while. So one look is at one of them ([`Slots`]), a line of memory, and several wait together.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use model::Kind;

use super::KnownFamily;
use crate::slots::{self, Slots};
use crate::strings::Symbol;

/// What a family is found by, but for the keys of its tags.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FamilyHead {
    pub(crate) kind: Option<Kind>,
    pub(crate) debug: bool,
    pub(crate) shared: bool,
    pub(crate) service: Symbol,
    pub(crate) name: Symbol,
    pub(crate) remote_service: Symbol,
    pub(crate) annotations: usize,
}

/// Numbers of a key that are in its entry of a table: those of most keys.
const INLINE: usize = 12;

/// The key of a family or of a shape. Its memory is used again by the one that is begun next.
#[derive(Debug, Default)]
pub(crate) struct Key {
    /// The first numbers, zeros behind the last.
    first: [u32; INLINE],
    further: Vec<u32>,
    length: usize,
}

impl Key {
    /// Begins that of a family. The keys of its tags follow.
    pub(crate) fn begin_family(&mut self, head: &FamilyHead) {
        let flags = head.kind.map_or(0, |kind| kind as u32)
            | u32::from(head.debug) << 3
            | u32::from(head.shared) << 4;
        self.begin([
            flags,
            head.service.0,
            head.name.0,
            head.remote_service.0,
            head.annotations as u32,
        ]);
    }

    /// Begins that of a shape that is open where the family varies. The values of the other slots follow, in order.
    pub(crate) fn begin_shape(&mut self, family: KnownFamily) {
        self.begin([
            family.number,
            family.varying as u32,
            (family.varying >> 32) as u32,
        ]);
    }

    pub(crate) fn push(&mut self, symbol: Symbol) {
        match self.first.get_mut(self.length) {
            Some(place) => *place = symbol.0,
            None => self.further.push(symbol.0),
        }
        self.length += 1;
    }

    fn begin<const N: usize>(&mut self, numbers: [u32; N]) {
        const { assert!(N <= INLINE) };
        self.first = [0; INLINE];
        self.first[..N].copy_from_slice(&numbers);
        self.further.clear();
        self.length = N;
    }
}

/// Distinct keys, and what each is the key of. Holds less than 2³² numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyTable {
    entries: Slots<Entry>,
    /// Of keys longer than [`INLINE`] the further numbers.
    further: Vec<u32>,
    hasher: RandomState,
}

#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Entry {
    /// The first numbers, zeros behind the last.
    first: [u32; INLINE],
    /// No key is empty.
    length: u32,
    /// Where the further ones are, if there are any.
    further: u32,
    value: u32,
}

const _: () = assert!(size_of::<Entry>() == 64, "a line of memory");

impl slots::Entry for Entry {
    const VACANT: Self = Self {
        first: [0; INLINE],
        length: 0,
        further: 0,
        value: 0,
    };

    fn is_vacant(&self) -> bool {
        self.length == 0
    }
}

impl Entry {
    fn further(self, of_table: &[u32]) -> &[u32] {
        let length = (self.length as usize).saturating_sub(INLINE);
        &of_table[self.further as usize..self.further as usize + length]
    }
}

/// In place of `==`, which calls a function for so many bytes.
fn are_equal(one: &[u32; INLINE], other: &[u32; INLINE]) -> bool {
    let differences = one.iter().zip(other).map(|(one, other)| one ^ other);
    differences.fold(0, |all, difference| all | difference) == 0
}

/// Two numbers at a time, in place of what hashes bytes of any length. How many there are need not be in it.
#[inline]
fn hash(hasher: &RandomState, first: &[u32; INLINE], further: &[u32]) -> u64 {
    let mut state = hasher.build_hasher();
    for pair in first.as_chunks::<2>().0 {
        state.write_u64(u64::from(pair[0]) | u64::from(pair[1]) << 32);
    }
    further.iter().for_each(|&number| state.write_u32(number));
    state.finish()
}

impl KeyTable {
    pub(super) fn find(&self, key: &Key) -> Option<u32> {
        self.find_hashed(key, self.hash(key))
    }

    /// As [`KeyTable::find`] for each, but a processor waits for the memory of several at once.
    pub(super) fn find_all(&self, keys: &[Key]) -> Vec<Option<u32>> {
        let hashes: Vec<u64> = keys.iter().map(|key| self.hash(key)).collect();
        self.entries.touch(hashes.iter().copied());
        let looks = keys.iter().zip(hashes);
        looks.map(|(key, hash)| self.find_hashed(key, hash)).collect()
    }

    fn hash(&self, key: &Key) -> u64 {
        hash(&self.hasher, &key.first, &key.further)
    }

    #[inline]
    fn find_hashed(&self, key: &Key, hash: u64) -> Option<u32> {
        let is_it = |entry: &Entry| {
            are_equal(&entry.first, &key.first)
                && entry.length as usize == key.length
                && (key.further.is_empty() || entry.further(&self.further) == key.further)
        };
        self.entries.find(hash, is_it).map(|entry| entry.value)
    }

    /// Inserts a key that is not there.
    pub(super) fn insert_new(&mut self, key: &Key, value: u32) {
        let entry = Entry {
            first: key.first,
            length: key.length as u32,
            further: self.further.len() as u32,
            value,
        };
        self.further.extend_from_slice(&key.further);
        let Self {
            entries,
            further,
            hasher,
        } = self;
        let hash_of = |entry: &Entry| hash(hasher, &entry.first, entry.further(further));
        entries.insert_new(hash_of(&entry), entry, hash_of);
    }

    /// Memory it holds, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.further.capacity() * size_of::<u32>() + self.entries.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape_key(number: u32, varying: u64, values: &[u32]) -> Key {
        let mut key = Key::default();
        key.push(Symbol(7));
        key.begin_shape(KnownFamily { number, varying });
        values.iter().for_each(|&value| key.push(Symbol(value)));
        key
    }

    #[test]
    fn every_number_of_a_key_counts() {
        let keys = [
            shape_key(1, 0, &[]),
            shape_key(1, 0, &[2]),
            shape_key(1, 0, &[3]),
            shape_key(1, 0, &[2, 3]),
            shape_key(1, 0, &[3, 2]),
            shape_key(1, 2, &[3]),
            shape_key(1, 2 << 32, &[3]),
            shape_key(2, 0, &[]),
            shape_key(1, 0, &[0]),
            shape_key(1, 0, &[4; INLINE - 3]),
            shape_key(1, 0, &[4; INLINE - 2]),
            shape_key(1, 0, &[4; INLINE - 1]),
            shape_key(1, 0, &[5; INLINE - 1]),
        ];
        let mut table = KeyTable::default();
        for (value, key) in (0..).zip(&keys) {
            assert_eq!(table.find(key), None);
            table.insert_new(key, value);
        }
        for (value, key) in (0..).zip(&keys) {
            assert_eq!(table.find(key), Some(value));
        }
    }

    /// So many that the hashes of some look alike to the table.
    #[test]
    fn long_keys_are_told_apart_by_their_ends() {
        let mut values = [4; INLINE + 3];
        let mut key = |end: u32| {
            values[INLINE + 2] = end;
            shape_key(1, 0, &values)
        };
        let mut table = KeyTable::default();
        for end in 0..5000 {
            assert_eq!(table.find(&key(end)), None);
            table.insert_new(&key(end), end);
        }
        let keys: Vec<Key> = (0..5000).map(key).collect();
        assert!(table.find_all(&keys).into_iter().eq((0..5000).map(Some)));
    }
}

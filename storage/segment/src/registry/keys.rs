//! What families and shapes are found by: lists of numbers, kept one after another.
//!
//! A table of shapes is larger than what a processor keeps at hand, and most looks into it are at places that were not
//! looked at for a while. So one look is as few of them as can be: where the hash says, and where the key is.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use model::Kind;

use super::KnownFamily;
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

/// The key of a family or of a shape, in a buffer that is used again.
#[derive(Debug, Default)]
pub(crate) struct Key {
    numbers: Vec<u32>,
}

impl Key {
    /// Begins that of a family. The keys of its tags follow.
    pub(crate) fn begin_family(&mut self, head: &FamilyHead) {
        let flags = head.kind.map_or(0, |kind| kind as u32)
            | u32::from(head.debug) << 3
            | u32::from(head.shared) << 4;
        self.numbers.clear();
        self.numbers.extend([
            flags,
            head.service.0,
            head.name.0,
            head.remote_service.0,
            head.annotations as u32,
        ]);
    }

    /// Begins that of a shape that is open where the family varies. The values of the other slots follow, in order.
    pub(crate) fn begin_shape(&mut self, family: KnownFamily) {
        self.numbers.clear();
        self.numbers.extend([
            family.number,
            family.varying as u32,
            (family.varying >> 32) as u32,
        ]);
    }

    pub(crate) fn push(&mut self, symbol: Symbol) {
        self.numbers.push(symbol.0);
    }
}

/// Distinct keys, and what each is the key of. Holds less than 2³² numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyTable {
    numbers: Vec<u32>,
    entries: HashTable<Entry>,
    hasher: RandomState,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Where in the numbers of all its own are.
    start: u32,
    length: u32,
    value: u32,
}

impl Entry {
    fn key(self, numbers: &[u32]) -> &[u32] {
        &numbers[self.start as usize..(self.start + self.length) as usize]
    }
}

impl KeyTable {
    pub(super) fn find(&self, key: &Key) -> Option<u32> {
        self.entries
            .find(self.hasher.hash_one(&key.numbers[..]), |entry| {
                entry.key(&self.numbers) == key.numbers
            })
            .map(|entry| entry.value)
    }

    /// Inserts a key that is not there.
    pub(super) fn insert_new(&mut self, key: &Key, value: u32) {
        let entry = Entry {
            start: self.numbers.len() as u32,
            length: key.numbers.len() as u32,
            value,
        };
        self.numbers.extend_from_slice(&key.numbers);
        let Self {
            numbers,
            entries,
            hasher,
        } = self;
        let hash = |entry: &Entry| hasher.hash_one(entry.key(numbers));
        entries.insert_unique(hash(&entry), entry, hash);
    }

    /// Memory it holds, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.numbers.capacity() * size_of::<u32>() + self.entries.capacity() * size_of::<Entry>()
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
}

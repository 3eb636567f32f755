//! A table for what is looked up so often, and is so large, that a processor mostly waits for its memory.
//!
//! An entry is where its hash says, or behind: a look reads one place and hardly a second one, where a table that keeps its
//! hashes apart reads two that depend on each other. And whoever looks for many touches their places first
//! ([`Slots::touch`]), so that a processor waits for all of them together: `recover` in `benches` measures what that is worth.

use std::hint::black_box;

/// What is in a place of a table.
pub(crate) trait Entry: Copy {
    /// What is where nothing is.
    const VACANT: Self;

    /// Whether it is [`Entry::VACANT`].
    fn is_vacant(&self) -> bool;
}

const SLOTS_MIN: usize = 16;

/// See the head of this file. Hashes MUST differ in their low bits.
#[derive(Clone, Debug)]
pub(crate) struct Slots<E> {
    /// None, or a power of two of them; at most two thirds are taken.
    slots: Vec<E>,
    taken: usize,
}

impl<E> Default for Slots<E> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            taken: 0,
        }
    }
}

impl<E: Entry> Slots<E> {
    /// The entry of a hash that `is_it` says it is.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is_it: impl Fn(&E) -> bool) -> Option<&E> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut place = hash as usize & mask;
        loop {
            // Nothing where there are no slots at all.
            let entry = self.slots.get(place)?;
            if entry.is_vacant() {
                return None;
            }
            if is_it(entry) {
                return Some(entry);
            }
            place = (place + 1) & mask;
        }
    }

    /// Reads the places of hashes that are looked for next: none waits for what another finds.
    #[inline]
    pub(crate) fn touch(&self, hashes: impl Iterator<Item = u64>) {
        let mask = self.slots.len().wrapping_sub(1);
        let places = hashes.map(|hash| self.slots.get(hash as usize & mask));
        black_box(places.fold(0, |all, entry| all + usize::from(entry.is_none_or(E::is_vacant))));
    }

    /// Inserts an entry that is not there. `hash_of` gives the hash of one that is.
    pub(crate) fn insert_new(&mut self, hash: u64, entry: E, hash_of: impl Fn(&E) -> u64) {
        if (self.taken + 1) * 3 > self.slots.len() * 2 {
            self.grow(self.taken + 1, hash_of);
        }
        self.put(hash, entry);
        self.taken += 1;
    }

    /// Makes room for so many more.
    pub(crate) fn reserve(&mut self, more: usize, hash_of: impl Fn(&E) -> u64) {
        if (self.taken + more) * 3 > self.slots.len() * 2 {
            self.grow(self.taken + more, hash_of);
        }
    }

    /// Memory it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<E>()
    }

    fn grow(&mut self, entries: usize, hash_of: impl Fn(&E) -> u64) {
        let slots = (entries * 3).div_ceil(2).next_power_of_two().max(SLOTS_MIN);
        let before = std::mem::replace(&mut self.slots, vec![E::VACANT; slots]);
        for entry in before.into_iter().filter(|entry| !entry.is_vacant()) {
            self.put(hash_of(&entry), entry);
        }
    }

    /// There MUST be a vacant place.
    fn put(&mut self, hash: u64, entry: E) {
        let mask = self.slots.len() - 1;
        let mut place = hash as usize & mask;
        while !self.slots[place].is_vacant() {
            place = (place + 1) & mask;
        }
        self.slots[place] = entry;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Pair(u32, u32);

    impl Entry for Pair {
        const VACANT: Self = Self(0, 0);

        fn is_vacant(&self) -> bool {
            self.0 == 0
        }
    }

    proptest! {
        /// Also where hashes are few, so that entries are far from where their hash says, and beyond the last place.
        #[test]
        fn as_any_other_table(keys in prop::collection::vec(1u32..200, 0..150), hashes in 1u64..300, more in 0usize..50) {
            let hash_of = |key: u32| u64::from(key).wrapping_mul(0x9e37_79b9) % hashes;
            let hash_of_pair = |pair: &Pair| hash_of(pair.0);
            let (mut slots, mut model) = (Slots::default(), HashMap::new());
            for (value, key) in (0..).zip(keys) {
                let found = slots.find(hash_of(key), |pair: &Pair| pair.0 == key).map(|pair| pair.1);
                prop_assert_eq!(found, model.get(&key).copied());
                if found.is_none() {
                    slots.insert_new(hash_of(key), Pair(key, value), hash_of_pair);
                    model.insert(key, value);
                }
            }
            slots.reserve(more, hash_of_pair);
            slots.touch((0..200).map(hash_of));
            for key in 1..200 {
                let found = slots.find(hash_of(key), |pair| pair.0 == key).map(|pair| pair.1);
                prop_assert_eq!(found, model.get(&key).copied());
            }
            prop_assert!(slots.slots.is_empty() || slots.taken * 3 <= slots.slots.len() * 2);
        }
    }
}

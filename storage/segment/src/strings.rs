//! Distinct strings by number: what shapes name things with.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// The number of a string in a table; [`Symbol::NONE`] is no string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Symbol(pub(crate) u32);

impl Symbol {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) fn is_some(self) -> bool {
        self != Self::NONE
    }
}

/// Distinct strings, numbered from 1 in the order first seen.
#[derive(Clone, Debug)]
pub(crate) struct Strings {
    bytes: String,
    ends: Vec<u32>,
    entries: HashTable<Entry>,
    hasher: RandomState,
}

/// What a string is found by: where it is as well, so that a look for it does not go by `ends`.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u32,
    length: u32,
    number: u32,
}

impl Entry {
    fn text(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..(self.start + self.length) as usize]
    }
}

impl Default for Strings {
    fn default() -> Self {
        Self {
            bytes: String::new(),
            ends: vec![0],
            entries: HashTable::new(),
            hasher: RandomState::default(),
        }
    }
}

impl Strings {
    /// The string of a symbol; empty for [`Symbol::NONE`] and for a symbol of another table.
    pub(crate) fn get(&self, symbol: Symbol) -> &str {
        let number = symbol.0 as usize;
        if number == 0 || number >= self.ends.len() {
            return "";
        }
        &self.bytes[self.ends[number - 1] as usize..self.ends[number] as usize]
    }

    pub(crate) fn find(&self, text: &str) -> Option<Symbol> {
        let (bytes, text) = (self.bytes.as_bytes(), text.as_bytes());
        self.entries
            .find(self.hasher.hash_one(text), |entry| entry.text(bytes) == text)
            .map(|entry| Symbol(entry.number))
    }

    pub(crate) fn find_option(&self, text: Option<&str>) -> Option<Symbol> {
        text.map_or(Some(Symbol::NONE), |text| self.find(text))
    }

    /// Makes room for so many more.
    pub(crate) fn reserve(&mut self, strings: usize) {
        self.ends.reserve(strings);
        let bytes = self.bytes.as_bytes();
        self.entries
            .reserve(strings, |entry| self.hasher.hash_one(entry.text(bytes)));
    }

    pub(crate) fn insert(&mut self, text: &str) -> Symbol {
        self.find(text).unwrap_or_else(|| self.insert_new(text))
    }

    /// Inserts a string that is not there.
    pub(crate) fn insert_new(&mut self, text: &str) -> Symbol {
        let entry = Entry {
            start: self.bytes.len() as u32,
            length: text.len() as u32,
            number: self.ends.len() as u32,
        };
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len() as u32);
        let bytes = self.bytes.as_bytes();
        let hash = |entry: &Entry| self.hasher.hash_one(entry.text(bytes));
        self.entries.insert_unique(hash(&entry), entry, hash);
        Symbol(entry.number)
    }

    pub(crate) fn insert_option(&mut self, text: Option<&str>) -> Symbol {
        text.map_or(Symbol::NONE, |text| self.insert(text))
    }

    /// How many there are, [`Symbol::NONE`] included.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of text.
    pub(crate) fn text_bytes(&self) -> usize {
        self.bytes.len()
    }
}

//! Distinct strings by number: what shapes name things with.

use storage_record::TextKey;

use crate::slots::{self, Slots};

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
    entries: Slots<Entry>,
}

/// What a string is found by, and where it is. A look for a short one ends here: its key is all of it.
#[derive(Clone, Copy, Debug)]
struct Entry {
    key: TextKey,
    start: u32,
    /// From 1.
    number: u32,
}

impl slots::Entry for Entry {
    const VACANT: Self = Self {
        key: TextKey::EMPTY,
        start: 0,
        number: 0,
    };

    fn is_vacant(&self) -> bool {
        self.number == 0
    }
}

impl Default for Strings {
    fn default() -> Self {
        Self {
            bytes: String::new(),
            ends: vec![0],
            entries: Slots::default(),
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
        self.find_keyed(text, &TextKey::of(text.as_bytes()))
    }

    /// As [`Strings::find`] for each, but a processor waits for the memory of several at once.
    pub(crate) fn find_all(&self, texts: &[&str]) -> Vec<Option<Symbol>> {
        let keys: Vec<TextKey> = texts.iter().map(|text| TextKey::of(text.as_bytes())).collect();
        self.entries.touch(keys.iter().map(TextKey::hash));
        let looks = texts.iter().zip(&keys);
        looks.map(|(text, key)| self.find_keyed(text, key)).collect()
    }

    #[inline]
    fn find_keyed(&self, text: &str, key: &TextKey) -> Option<Symbol> {
        let (bytes, text) = (self.bytes.as_bytes(), text.as_bytes());
        let is_it = |entry: &Entry| {
            let whole = || &bytes[entry.start as usize..entry.start as usize + text.len()];
            entry.key == *key && (key.is_whole() || whole() == text)
        };
        self.entries
            .find(key.hash(), is_it)
            .map(|entry| Symbol(entry.number))
    }

    pub(crate) fn find_option(&self, text: Option<&str>) -> Option<Symbol> {
        text.map_or(Some(Symbol::NONE), |text| self.find(text))
    }

    /// Makes room for so many more.
    pub(crate) fn reserve(&mut self, strings: usize) {
        self.ends.reserve(strings);
        self.entries.reserve(strings, |entry| entry.key.hash());
    }

    pub(crate) fn insert(&mut self, text: &str) -> Symbol {
        self.find(text).unwrap_or_else(|| self.insert_new(text))
    }

    /// Inserts a string that is not there.
    pub(crate) fn insert_new(&mut self, text: &str) -> Symbol {
        let entry = Entry {
            key: TextKey::of(text.as_bytes()),
            start: self.bytes.len() as u32,
            number: self.ends.len() as u32,
        };
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len() as u32);
        self.entries
            .insert_new(entry.key.hash(), entry, |entry| entry.key.hash());
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

    /// Memory they take.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<u32>() + self.entries.bytes()
    }
}

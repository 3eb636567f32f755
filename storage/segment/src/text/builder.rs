//! Collects the words of values while a segment is written.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use storage::text::words;

use super::{FIRST_LISTED, NOT_INDEXED, NOT_LISTED, STEM_MARK, put_lower_case, stem};
use crate::term::{About, Term, text_term};
use crate::trace_table::Ordinal;
use storage_record::bytes::Put;

/// Words and stems that are listed: half a million ordinary spans have some thousands.
const LISTED_MAX: usize = 1 << 16;
/// Bytes of their texts.
const LISTED_TEXT_BYTES_MAX: usize = 2 << 20;
/// Bytes of all lists.
const LIST_BYTES_MAX: usize = 32 << 20;
/// Terms of a segment: 64 MiB until they are written, as many again as tags have.
const TERMS_MAX: u32 = 4 << 20;
/// Words of one trace: a page of log in every span is indexed, one stack trace a megabyte long is not.
const TRACE_WORDS_MAX: u32 = 1 << 16;

/// How many values and words of a trace are remembered, so that those that come again cost nothing.
const RECENT: usize = 512;

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct TextBuilder {
    hasher: RandomState,
    numbers: HashTable<u32>,
    /// Texts of words and stems, one after the other.
    text: String,
    lists: Vec<List>,
    list_bytes: usize,
    terms: u32,
    /// The trace that values are added to, and its words so far.
    trace: Option<Ordinal>,
    trace_words: u32,
    recent_values: Vec<u64>,
    recent_words: Vec<u64>,
    word: String,
}

/// A list of ascending ordinals as it grows.
#[derive(Debug, Default)]
pub(super) struct List {
    /// Where its text ends; it begins where the one before ends.
    text_end: usize,
    count: u32,
    last: Ordinal,
    /// Differences, as varints.
    bytes: Vec<u8>,
}

impl List {
    fn add(&mut self, trace: Ordinal) -> usize {
        if self.count > 0 && self.last == trace {
            return 0;
        }
        let before = self.bytes.len();
        self.bytes.put_varint(u64::from(trace - self.last));
        self.last = trace;
        self.count += 1;
        self.bytes.len() - before
    }

    /// Count and differences.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.put_varint(u64::from(self.count));
        out.extend_from_slice(&self.bytes);
    }
}

impl Default for TextBuilder {
    fn default() -> Self {
        Self {
            hasher: RandomState::default(),
            numbers: HashTable::new(),
            text: String::new(),
            lists: (0..FIRST_LISTED).map(|_| List::default()).collect(),
            list_bytes: 0,
            terms: 0,
            trace: None,
            trace_words: 0,
            recent_values: vec![0; RECENT],
            recent_words: vec![0; RECENT],
            word: String::new(),
        }
    }
}

impl TextBuilder {
    /// Adds a value of a trace that its shape leaves open, or any text of a generic row. Traces come in ascending
    /// order. Gives `note` the terms to note for the trace.
    pub(crate) fn add(&mut self, trace: Ordinal, value: &str, mut note: impl FnMut(Term)) {
        if self.trace != Some(trace) {
            self.begin(trace);
        }
        if !is_new(&mut self.recent_values, self.hasher.hash_one(value)) {
            return;
        }
        let mut word = std::mem::take(&mut self.word);
        for found in words(value) {
            if self.is_full() {
                self.add_to_list(NOT_INDEXED, trace);
                break;
            }
            self.trace_words += 1;
            put_lower_case(found, &mut word);
            self.add_word(trace, &mut word, &mut note);
        }
        self.word = word;
    }

    fn begin(&mut self, trace: Ordinal) {
        self.trace = Some(trace);
        self.trace_words = 0;
        self.recent_values.fill(0);
        self.recent_words.fill(0);
    }

    fn is_full(&self) -> bool {
        self.trace_words >= TRACE_WORDS_MAX || self.terms >= TERMS_MAX || self.list_bytes >= LIST_BYTES_MAX
    }

    /// Adds a word in lower case, in a buffer that may be changed.
    fn add_word(&mut self, trace: Ordinal, word: &mut String, note: &mut impl FnMut(Term)) {
        let (letters, has_digit) = stem(word);
        let hash = self.hasher.hash_one(word.as_str());
        if !is_new(&mut self.recent_words, hash) {
            return;
        }
        if !has_digit {
            match self.number_of(word, hash) {
                Some(number) => self.add_to_list(number, trace),
                None => {
                    self.add_to_list(NOT_LISTED, trace);
                    self.terms += 1;
                    note(text_term(About::Word, word));
                }
            }
            return;
        }
        self.terms += 1;
        note(text_term(About::Word, word));
        let letters = letters.len();
        word.truncate(letters);
        word.insert(0, STEM_MARK);
        let hash = self.hasher.hash_one(word.as_str());
        let number = self.number_of(word, hash).unwrap_or(NOT_LISTED);
        self.add_to_list(number, trace);
    }

    fn add_to_list(&mut self, number: usize, trace: Ordinal) {
        self.list_bytes += self.lists[number].add(trace);
    }

    /// The list of a word or marked stem with this hash; a new one where there is room.
    fn number_of(&mut self, text: &str, hash: u64) -> Option<usize> {
        let Self {
            hasher,
            numbers,
            text: all,
            lists,
            ..
        } = self;
        if let Some(&number) = numbers.find(hash, |&number| text_of(all, lists, number as usize) == text) {
            return Some(number as usize);
        }
        if lists.len() >= LISTED_MAX || all.len() + text.len() > LISTED_TEXT_BYTES_MAX {
            return None;
        }
        all.push_str(text);
        let number = lists.len();
        lists.push(List {
            text_end: all.len(),
            ..List::default()
        });
        numbers.insert_unique(hash, number as u32, |&number| {
            hasher.hash_one(text_of(all, lists, number as usize))
        });
        Some(number)
    }

    /// The texts of words and marked stems, in the order of their lists, which begin at [`FIRST_LISTED`].
    pub(super) fn listed(&self) -> impl ExactSizeIterator<Item = &str> {
        (FIRST_LISTED..self.lists.len()).map(|number| text_of(&self.text, &self.lists, number))
    }

    /// All lists.
    pub(super) fn lists(&self) -> &[List] {
        &self.lists
    }
}

/// Remembers a hash, which is seeded at random, so that nobody makes two texts of one; tells whether it was not there.
fn is_new(recent: &mut [u64], hash: u64) -> bool {
    // Never zero, which is what the memory begins with.
    let hash = hash | 1;
    let place = (hash >> 1) as usize % recent.len();
    std::mem::replace(&mut recent[place], hash) != hash
}

fn text_of<'t>(text: &'t str, lists: &[List], number: usize) -> &'t str {
    &text[lists[number - 1].text_end..lists[number].text_end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_letters_are_listed_and_others_are_terms_with_a_stem() {
        let mut builder = TextBuilder::default();
        let mut terms = Vec::new();
        for (trace, value) in [
            (0, "GET /users/17"),
            (0, "users user17b"),
            (4, "/users/17"),
            (4, "/users/17"),
        ] {
            builder.add(trace, value, |term| terms.push((trace, term)));
        }
        let listed: Vec<_> = builder.listed().collect();
        assert_eq!(listed, ["get", "users", "\0", "\0user"]);
        let counts: Vec<_> = builder.lists().iter().map(|list| list.count).collect();
        assert_eq!(counts, [0, 0, 1, 2, 2, 1]);
        let (number, user) = (text_term(About::Word, "17"), text_term(About::Word, "user17b"));
        assert_eq!(terms, [(0, number), (0, user), (4, number)]);
    }

    #[test]
    fn what_is_beyond_a_bound_is_told() {
        let mut builder = TextBuilder::default();
        let long = "x ".repeat(TRACE_WORDS_MAX as usize + 1);
        builder.add(0, &long, |_| {});
        builder.add(1, "y", |_| {});
        assert_eq!(builder.lists()[NOT_INDEXED].count, 1);
        let letters = |mut number: usize| {
            std::iter::from_fn(|| {
                let letter = (b'a' + (number % 26) as u8) as char;
                number /= 26;
                Some(letter)
            })
            .take(5)
            .collect::<String>()
        };
        let mut unlisted = 0;
        for number in 0..LISTED_MAX + 10 {
            builder.add(2 + number as Ordinal, &letters(number), |_| unlisted += 1);
        }
        assert_eq!(builder.lists().len(), LISTED_MAX);
        assert_eq!(unlisted, builder.lists()[NOT_LISTED].count);
        assert!(unlisted >= 10);
    }
}

//! Finds what may meet one condition of `q`: strings of the dictionary, and traces by their values.

use storage::StorageError;
use storage::text::TextPart;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet, TERMINATED};

use super::section::TextIndex;
use super::{FIRST_LISTED, NOT_INDEXED, NOT_LISTED, STEM_MARK, put_lower_case, stem};
use crate::strings::{Strings, Symbol};
use crate::term::{About, Term, text_term};
use crate::trace_set::TraceSet;

/// Words of a prefix that are looked up one by one; beyond that a prefix finds every value.
const PREFIX_WORDS_MAX: usize = 1024;

/// What may meet a condition.
#[derive(Debug)]
pub(crate) struct TextMatch {
    /// By the index of a symbol: exactly the strings that meet it.
    pub(crate) symbols: Vec<bool>,
    /// Traces with a value that may meet it.
    pub(crate) values: TraceSet,
}

/// The strings of a table that meet a condition, looked at one by one, from symbol `first` on.
pub(crate) fn matching_symbols(part: &TextPart, strings: &Strings, first: u32) -> Vec<bool> {
    let mut meeting = vec![false; strings.len()];
    for number in first.max(1)..strings.len() as u32 {
        meeting[number as usize] = part.is_in(strings.get(Symbol(number)));
    }
    meeting
}

/// What has one word of a phrase.
struct WordMatch {
    /// `None` where there are too many words to look them up.
    symbols: Option<Vec<u32>>,
    values: TraceSet,
}

/// Documents that have some of a range of terms.
#[derive(Default)]
struct Documents {
    symbols: Vec<u32>,
    lists: Vec<usize>,
    are_too_many: bool,
}

impl TextIndex {
    /// What may meet a condition in a segment of so many traces; `add_term` adds the traces that may have a term.
    pub(crate) fn find(
        &self,
        part: &TextPart,
        strings: &Strings,
        traces: u32,
        add_term: impl Fn(Term, &mut TraceSet) -> Result<(), StorageError>,
    ) -> Result<TextMatch, StorageError> {
        let TextPart::Phrase(phrase) = part else {
            return Ok(TextMatch {
                symbols: matching_symbols(part, strings, 1),
                values: TraceSet::all(traces),
            });
        };
        let mut values = TraceSet::all(traces);
        let mut words = Vec::with_capacity(phrase.words().len());
        let last = phrase.words().len() - 1;
        for (index, word) in phrase.words().iter().enumerate() {
            let found = if phrase.is_prefix() && index == last {
                self.prefix(word, traces)?
            } else {
                self.word(word, TraceSet::empty(traces), &add_term)?
            };
            values.intersect(&found.values);
            words.push(found);
        }
        self.add_list(NOT_INDEXED, &mut values)?;
        Ok(TextMatch {
            symbols: self.symbols_of(part, &words, strings),
            values,
        })
    }

    /// The strings that have all words, looked at again: words may stand in another order.
    fn symbols_of(&self, part: &TextPart, words: &[WordMatch], strings: &Strings) -> Vec<bool> {
        let rarest = words
            .iter()
            .filter_map(|word| word.symbols.as_ref())
            .min_by_key(|symbols| symbols.len());
        let Some(rarest) = rarest else {
            return matching_symbols(part, strings, 1);
        };
        let mut meeting = matching_symbols(part, strings, self.symbols.saturating_add(1));
        for &symbol in rarest {
            if let Some(meeting) = meeting.get_mut(symbol as usize) {
                *meeting = part.is_in(strings.get(Symbol(symbol)));
            }
        }
        meeting
    }

    fn word(
        &self,
        word: &str,
        mut values: TraceSet,
        add_term: &impl Fn(Term, &mut TraceSet) -> Result<(), StorageError>,
    ) -> Result<WordMatch, StorageError> {
        let mut cut = String::new();
        put_lower_case(word, &mut cut);
        let mut found = Documents::default();
        let info = self.words.terms().get(&cut).map_err(|error| self.error(&error))?;
        if let Some(info) = info {
            self.read(&info, &mut found)?;
        }
        // A word with a digit is never listed, another may have found no room: that costs a look into one page.
        if found.lists.is_empty() {
            add_term(text_term(About::Word, &cut), &mut values)?;
        }
        self.add_lists(&found.lists, &mut values)?;
        Ok(WordMatch {
            symbols: Some(found.symbols),
            values,
        })
    }

    fn prefix(&self, prefix: &str, traces: u32) -> Result<WordMatch, StorageError> {
        let words = self.range(prefix, end_of(prefix))?;
        let (letters, has_digit) = stem(prefix);
        let marked = format!("{STEM_MARK}{letters}");
        // With a digit, or with more letters than a stem has, only one stem can be meant.
        let is_whole = has_digit || letters.len() < prefix.len();
        let end = if is_whole {
            Some(format!("{marked}\0"))
        } else {
            end_of(&marked)
        };
        let stems = self.range(&marked, end)?;
        let mut values = TraceSet::empty(traces);
        if words.are_too_many || stems.are_too_many {
            values = TraceSet::all(traces);
        } else {
            self.add_lists(&words.lists, &mut values)?;
            self.add_lists(&stems.lists, &mut values)?;
            self.add_list(NOT_LISTED, &mut values)?;
        }
        Ok(WordMatch {
            symbols: (!words.are_too_many).then_some(words.symbols),
            values,
        })
    }

    /// Documents with terms from `start` on and before `end`.
    fn range(&self, start: &str, end: Option<String>) -> Result<Documents, StorageError> {
        let error = |error: std::io::Error| self.error(&error);
        let range = self.words.terms().range().ge(start);
        let range = match end {
            Some(end) => range.lt(end),
            None => range,
        };
        let mut terms = range.into_stream().map_err(error)?;
        let mut found = Documents::default();
        let mut count = 0;
        while terms.advance() {
            count += 1;
            if count > PREFIX_WORDS_MAX {
                found.are_too_many = true;
                break;
            }
            self.read(terms.value(), &mut found)?;
        }
        Ok(found)
    }

    fn read(&self, info: &tantivy::postings::TermInfo, found: &mut Documents) -> Result<(), StorageError> {
        let mut documents = self
            .words
            .read_postings_from_terminfo(info, IndexRecordOption::Basic)
            .map_err(|error| self.error(&error))?;
        let mut document = documents.doc();
        while document != TERMINATED {
            if document < self.symbols {
                found.symbols.push(document + 1);
            } else {
                found
                    .lists
                    .push((document - self.symbols) as usize + FIRST_LISTED);
            }
            document = documents.advance();
        }
        Ok(())
    }

    fn add_lists(&self, numbers: &[usize], found: &mut TraceSet) -> Result<(), StorageError> {
        numbers
            .iter()
            .try_for_each(|&number| self.add_list(number, found))
    }
}

/// The least text above all that begin with `prefix`; `None` where there is none.
fn end_of(prefix: &str) -> Option<String> {
    let last = prefix.chars().next_back()?;
    let before = &prefix[..prefix.len() - last.len_utf8()];
    let next = ((last as u32 + 1)..=char::MAX as u32).find_map(char::from_u32);
    match next {
        Some(next) => Some(format!("{before}{next}")),
        None => end_of(before),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_character() {
        assert_eq!(end_of("ab").as_deref(), Some("ac"));
        assert_eq!(end_of("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(end_of("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(end_of("\u{10ffff}"), None);
    }
}

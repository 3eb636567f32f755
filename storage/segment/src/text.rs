//! Text search in a segment: what finds candidates for a condition of `q`.
//!
//! A span's texts are either strings of the dictionary, which shapes name, or values that shapes leave open. So there
//! are two ways to a trace:
//!
//! - *Dictionary.* Every string is a document of a tantivy index, numbered as its symbol. Words and prefixes find
//!   strings, strings find shapes, shapes have lists of traces.
//! - *Values.* A word of letters alone is *listed*: a document, too, with a list of the traces that have it in a value.
//!   A word with a digit, of which there is no end, is a term beside those of tags (`term.rs`), and its letters before
//!   the first digit are listed as its *stem*, which is what a prefix finds it by.
//!
//! Both are supersets: a phrase is looked for word by word, a stem stands for many words, a regular expression may be
//! met by any value. [`storage::TraceQuery::matches`] decides on the spans. What goes beyond a bound is not left out
//! but noted: traces with words that are *not listed* come to every prefix, traces that are *not indexed* to every
//! condition.
//!
//! The index is one more section of the segment (`section.rs`). A segment without it is searched by its shapes alone.

mod builder;
mod directory;
mod documents;
mod find;
mod section;

pub(crate) use builder::TextBuilder;
pub(crate) use find::{TextMatch, matching_symbols};
pub(crate) use section::{TextCache, TextIndex, text_cache};

use storage::text::{WORD_BYTES_MAX, lower_case};

/// The list of traces that are not indexed, or not all of whose words are.
const NOT_INDEXED: usize = 0;
/// The list of traces that have words of letters alone that are not listed.
const NOT_LISTED: usize = 1;
/// Where the lists of words and stems begin.
const FIRST_LISTED: usize = 2;

/// What a stem's document begins with: no word does.
const STEM_MARK: char = '\0';
/// Letters of a stem: random letters before a digit must not make more stems than there are words.
const STEM_CHARACTERS_MAX: usize = 4;

/// Puts a word in lower case into an empty buffer, and cuts it after the first [`WORD_BYTES_MAX`] bytes: beyond that
/// nobody can ask for it.
fn put_lower_case(word: &str, out: &mut String) {
    out.clear();
    if word.is_ascii() {
        out.push_str(&word[..word.len().min(WORD_BYTES_MAX)]);
        out.make_ascii_lowercase();
        return;
    }
    for character in word.chars() {
        if out.len() >= WORD_BYTES_MAX {
            return;
        }
        out.push(lower_case(character));
    }
}

/// The letters before the first digit, and whether there is a digit.
fn stem(word: &str) -> (&str, bool) {
    if word.is_ascii() {
        let digit = word.bytes().position(|byte| byte.is_ascii_digit());
        let letters = digit.unwrap_or(word.len()).min(STEM_CHARACTERS_MAX);
        return (&word[..letters], digit.is_some());
    }
    let digit = word.find(char::is_numeric);
    let letters = &word[..digit.unwrap_or(word.len())];
    let end = letters
        .char_indices()
        .nth(STEM_CHARACTERS_MAX)
        .map_or(letters.len(), |(end, _)| end);
    (&letters[..end], digit.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_are_cut_by_characters_whatever_they_are_of(word in "([a-zA-Z0-9]{1,300}|[a-zäÖ名0-9٣]{1,300})") {
            let mut lower = String::new();
            put_lower_case(&word, &mut lower);
            let mut expected = String::new();
            for character in word.chars().map(lower_case) {
                if expected.len() < WORD_BYTES_MAX {
                    expected.push(character);
                }
            }
            prop_assert_eq!(&lower, &expected);
            let letters: String = word
                .chars()
                .take_while(|character| !character.is_numeric())
                .take(STEM_CHARACTERS_MAX)
                .collect();
            prop_assert_eq!(stem(&word), (letters.as_str(), word.chars().any(char::is_numeric)));
        }
    }
}

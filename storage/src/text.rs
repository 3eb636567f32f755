//! Text search: the conditions of `q`, and the rule that decides whether a span meets one.
//!
//! The *texts* of a span are its service's name, its own name, the name of the service on the other side, the keys
//! and the values of its tags, and the values of its annotations, each by itself. A condition is met by a span with a
//! text that has
//!
//! - the words of a phrase one after the other, without regard to case; of a prefix, the last one may go on;
//! - or a match of a regular expression, anywhere, with regard to case.
//!
//! As in `annotationQuery`, all conditions must be met, each by any span that the query's other conditions could be
//! met by. `text/words.rs` says what a word is, `text/parse.rs` has the grammar.

use std::fmt;

use model::Span;
use regex::Regex;

mod parse;
mod words;

pub use parse::{PARTS_MAX, QUERY_BYTES_MAX, TextError};
pub use words::{WORD_BYTES_MAX, lower_case, words};

/// What `q` asks for: conditions that must all be met. None of them by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextQuery {
    source: String,
    parts: Vec<TextPart>,
}

impl TextQuery {
    /// Reads `q`; blank text is no condition.
    ///
    /// # Errors
    /// [`TextError`], which says what is wrong and where.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        Ok(Self {
            parts: parse::parse(text)?,
            source: text.to_owned(),
        })
    }

    /// What was read.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its conditions.
    pub fn parts(&self) -> &[TextPart] {
        &self.parts
    }
}

/// One condition of a [`TextQuery`].
#[derive(Clone, PartialEq, Eq)]
pub enum TextPart {
    /// Words one after the other.
    Phrase(Phrase),
    /// A regular expression.
    Regex(Pattern),
}

impl TextPart {
    /// Whether a text of the span meets it.
    pub fn is_met(&self, span: &Span) -> bool {
        texts(span).any(|text| self.is_in(text))
    }

    /// Whether a text meets it.
    pub fn is_in(&self, text: &str) -> bool {
        match self {
            Self::Phrase(phrase) => phrase.is_in(text),
            Self::Regex(pattern) => pattern.regex.is_match(text),
        }
    }
}

/// As it could stand in `q`.
impl fmt::Debug for TextPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Phrase(phrase) => {
                let star = if phrase.is_prefix { "*" } else { "" };
                let text = phrase.words.join(" ");
                if phrase.words.len() == 1 {
                    write!(f, "{text}{star}")
                } else {
                    write!(f, "\"{text}\"{star}")
                }
            }
            Self::Regex(pattern) => write!(f, "/{}/", pattern.source),
        }
    }
}

/// Words that must stand one after the other in one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    words: Vec<String>,
    is_prefix: bool,
}

impl Phrase {
    /// In lower case, at least one, each of at most [`WORD_BYTES_MAX`] bytes.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Whether the last word may go on.
    pub fn is_prefix(&self) -> bool {
        self.is_prefix
    }

    fn is_in(&self, text: &str) -> bool {
        let mut rest = words(text);
        loop {
            let from_here = rest.clone();
            if rest.next().is_none() {
                return false;
            }
            if self.begins(from_here) {
                return true;
            }
        }
    }

    fn begins<'t>(&self, mut found: impl Iterator<Item = &'t str>) -> bool {
        let last = self.words.len() - 1;
        self.words.iter().enumerate().all(|(index, wanted)| {
            found.next().is_some_and(|word| {
                if self.is_prefix && index == last {
                    words::begins_with(word, wanted)
                } else {
                    words::is_word(word, wanted)
                }
            })
        })
    }
}

/// A regular expression, equal to another of the same source.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: String,
    regex: Regex,
}

impl Pattern {
    /// What stands between the slashes.
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Pattern {}

/// What of a span is searched.
fn texts(span: &Span) -> impl Iterator<Item = &str> {
    let names = [
        span.local_service_name(),
        span.name.as_deref(),
        span.remote_service_name(),
    ];
    let tags = span.tags.iter().flat_map(|(key, value)| [key.as_str(), value]);
    let annotations = span
        .annotations
        .iter()
        .map(|annotation| annotation.value.as_str());
    names.into_iter().flatten().chain(tags).chain(annotations)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in(query: &str, text: &str) -> bool {
        let query = TextQuery::parse(query).unwrap();
        query.parts().iter().all(|part| part.is_in(text))
    }

    #[test]
    fn a_word_is_met_whole_and_in_any_case() {
        assert!(is_in("timeout", "read TIMEOUT: 30s"));
        assert!(!is_in("timeout", "timeouts"));
        assert!(!is_in("out", "timeout"));
        assert!(is_in("30s", "read timeout: 30s") && !is_in("30", "read timeout: 30s"));
        assert!(is_in("имя", "Имя"));
    }

    #[test]
    fn a_prefix_is_met_at_the_begin_of_a_word() {
        assert!(is_in("timeo*", "a Timeout") && is_in("timeout*", "a Timeout"));
        assert!(!is_in("imeo*", "a Timeout"));
        assert!(is_in("\"connection ref\"*", "connection refused"));
        assert!(!is_in("\"conn refused\"*", "connection refused"));
    }

    #[test]
    fn a_phrase_is_met_in_order_without_gaps() {
        let text = "connect: connection to db refused; connection refused";
        assert!(is_in("\"connection refused\"", text));
        assert!(is_in("\"to db refused\"", text));
        assert!(!is_in("\"db connection\"", text));
        assert!(!is_in("\"connection refused again\"", text));
        assert!(is_in("http.status_code", "HTTP.Status-Code"));
        // The first word comes twice before the second follows.
        assert!(is_in("\"a b\"", "a a b"));
    }

    #[test]
    fn a_pattern_is_met_anywhere_and_minds_case() {
        assert!(is_in("/^GET .*[0-9]+$/", "GET /users/7"));
        assert!(!is_in("/get/", "GET /users/7") && is_in("/(?i)get/", "GET /users/7"));
    }
}

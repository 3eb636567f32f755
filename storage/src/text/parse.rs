//! From what stands in `q` to its conditions.
//!
//! ```text
//! q         = condition *( blanks condition )          blanks are Unicode's white space
//! condition = word [ "*" ]                             begins with neither `"` nor what is a regex
//!           | `"` words `"` [ "*" ]
//!           | `/` regex `/`                            `\/` does not end it; a blank or the end follows
//! ```
//!
//! A word with separators inside, such as `http.path` or `/users/7`, is the phrase of its words. What begins with a
//! slash is a regular expression only if its next slash ends it, so that paths need no quotes.

use std::fmt;

use regex::RegexBuilder;

use super::words::{WORD_BYTES_MAX, lower_case, words};
use super::{Pattern, Phrase, TextPart};

/// Bytes of `q`.
pub const QUERY_BYTES_MAX: usize = 1024;
/// Conditions of `q`.
pub const PARTS_MAX: usize = 16;
/// Bytes that a regular expression may take when compiled, and again while it runs: a pattern that counts to
/// thousands is refused instead of filling the memory.
const REGEX_BYTES_MAX: usize = 1 << 20;
/// How deep a regular expression may nest.
const REGEX_DEPTH_MAX: u32 = 32;

/// What is wrong with `q`, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError {
    /// Of the character, counted from 1.
    position: usize,
    problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Problem {
    TooLong(usize),
    TooManyParts,
    OpenQuote,
    NoWord,
    Star,
    LongWord,
    Regex(String),
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "q, character {}: ", self.position)?;
        match &self.problem {
            Problem::TooLong(bytes) => write!(f, "{bytes} bytes are more than {QUERY_BYTES_MAX}"),
            Problem::TooManyParts => write!(f, "more than {PARTS_MAX} conditions"),
            Problem::OpenQuote => f.write_str("the quote that opens here is not closed"),
            Problem::NoWord => f.write_str("there is no letter and no digit to look for"),
            Problem::Star => f.write_str("* stands only at the end of a word or phrase"),
            Problem::LongWord => write!(f, "a word of more than {WORD_BYTES_MAX} bytes"),
            Problem::Regex(reason) => write!(f, "not a regular expression: {reason}"),
        }
    }
}

impl std::error::Error for TextError {}

/// Reads all conditions.
pub(super) fn parse(text: &str) -> Result<Vec<TextPart>, TextError> {
    if text.len() > QUERY_BYTES_MAX {
        let problem = Problem::TooLong(text.len());
        return Err(error(text, text.len(), problem));
    }
    let mut parts = Vec::new();
    let mut at = 0;
    loop {
        let rest = text[at..].trim_start();
        at = text.len() - rest.len();
        if rest.is_empty() {
            return Ok(parts);
        }
        if parts.len() == PARTS_MAX {
            return Err(error(text, at, Problem::TooManyParts));
        }
        let (part, length) =
            read_part(rest).map_err(|(offset, problem)| error(text, at + offset, problem))?;
        parts.push(part);
        at += length;
    }
}

fn error(text: &str, at: usize, problem: Problem) -> TextError {
    let position = text[..at].chars().count() + 1;
    TextError { position, problem }
}

/// A condition and its length in bytes, or the offset of what is wrong.
type Read = Result<(TextPart, usize), (usize, Problem)>;

fn read_part(rest: &str) -> Read {
    if let Some(quoted) = rest.strip_prefix('"') {
        return read_quoted(quoted);
    }
    if let Some(length) = regex_length(rest) {
        return read_regex(&rest[1..length - 1], length);
    }
    let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let bare = &rest[..length];
    let (words, is_prefix) = bare
        .strip_suffix('*')
        .map_or((bare, false), |words| (words, true));
    if let Some(star) = words.find('*') {
        return Err((star, Problem::Star));
    }
    if is_prefix && !words.ends_with(char::is_alphanumeric) {
        return Err((words.len(), Problem::Star));
    }
    Ok((phrase(words, is_prefix)?, length))
}

/// What follows a quote, which counts for the length and the offset.
fn read_quoted(quoted: &str) -> Read {
    let end = quoted.find('"').ok_or((0, Problem::OpenQuote))?;
    let is_prefix = quoted[end + 1..].starts_with('*');
    let part = phrase(&quoted[..end], is_prefix)?;
    Ok((part, end + 2 + usize::from(is_prefix)))
}

fn phrase(text: &str, is_prefix: bool) -> Result<TextPart, (usize, Problem)> {
    let lower: Vec<String> = words(text)
        .map(|word| word.chars().map(lower_case).collect())
        .collect();
    if lower.is_empty() {
        return Err((0, Problem::NoWord));
    }
    if lower.iter().any(|word| word.len() > WORD_BYTES_MAX) {
        return Err((0, Problem::LongWord));
    }
    Ok(TextPart::Phrase(Phrase {
        words: lower,
        is_prefix,
    }))
}

/// The length of a regular expression with its slashes; `None` where what stands there is none.
fn regex_length(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('/')?;
    let mut escaped = false;
    for (at, character) in inner.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '/' => {
                let ends = inner[at + 1..].chars().next().is_none_or(char::is_whitespace);
                return ends.then_some(at + 2);
            }
            _ => {}
        }
    }
    None
}

fn read_regex(source: &str, length: usize) -> Read {
    if source.is_empty() {
        return Err((0, Problem::NoWord));
    }
    let regex = RegexBuilder::new(source)
        .size_limit(REGEX_BYTES_MAX)
        .dfa_size_limit(REGEX_BYTES_MAX)
        .nest_limit(REGEX_DEPTH_MAX)
        .build()
        .map_err(|error| (1, Problem::Regex(reason(&error))))?;
    let source = source.to_owned();
    Ok((TextPart::Regex(Pattern { source, regex }), length))
}

/// The last line says what is wrong; those before it draw the pattern.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().next_back().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        let parts = parse(text).unwrap();
        parts.iter().map(|part| format!("{part:?}")).collect()
    }

    fn refused(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn reads_words_phrases_prefixes_and_patterns() {
        assert_eq!(
            read(" Timeout timeo*\t\"Connection  refused\" /5\\d\\d/ "),
            ["timeout", "timeo*", "\"connection refused\"", "/5\\d\\d/"]
        );
        assert_eq!(read("http.Path"), ["\"http path\""]);
        assert_eq!(read("user-1*"), ["\"user 1\"*"]);
        assert_eq!(read("\"a b\"*\"c\""), ["\"a b\"*", "c"]);
        assert_eq!(read("it\"s"), ["\"it s\""]);
        assert!(read("").is_empty() && read(" \u{3000}\n").is_empty());
    }

    #[test]
    fn a_path_is_no_pattern_unless_its_second_slash_ends_it() {
        assert_eq!(read("/users/7"), ["\"users 7\""]);
        assert_eq!(read("/users"), ["users"]);
        assert_eq!(read("/users /x"), ["users", "x"]);
        assert_eq!(read("/users/7 /x/"), ["\"users 7\"", "/x/"]);
        assert_eq!(read("/a (b|c)/ d"), ["/a (b|c)/", "d"]);
        assert_eq!(read("/a\\/b/"), ["/a\\/b/"]);
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        assert_eq!(
            refused("a \"b c"),
            "q, character 3: the quote that opens here is not closed"
        );
        assert_eq!(
            refused("é --"),
            "q, character 3: there is no letter and no digit to look for"
        );
        assert_eq!(
            refused("a \"!\""),
            "q, character 3: there is no letter and no digit to look for"
        );
        assert_eq!(
            refused("//"),
            "q, character 1: there is no letter and no digit to look for"
        );
        assert_eq!(
            refused("*"),
            "q, character 1: * stands only at the end of a word or phrase"
        );
        assert_eq!(
            refused("a*b"),
            "q, character 2: * stands only at the end of a word or phrase"
        );
        assert_eq!(
            refused("a-*"),
            "q, character 3: * stands only at the end of a word or phrase"
        );
        assert_eq!(
            refused("x /(/"),
            "q, character 4: not a regular expression: unclosed group"
        );
    }

    #[test]
    fn refuses_what_is_beyond_a_bound() {
        let words = |count| vec!["a"; count].join(" ");
        assert_eq!(parse(&words(PARTS_MAX)).unwrap().len(), PARTS_MAX);
        assert_eq!(
            refused(&words(PARTS_MAX + 1)),
            "q, character 33: more than 16 conditions"
        );
        assert!(parse(&"a".repeat(WORD_BYTES_MAX)).is_ok());
        assert_eq!(
            refused(&"a".repeat(WORD_BYTES_MAX + 1)),
            "q, character 1: a word of more than 256 bytes"
        );
        assert_eq!(
            refused(&" ".repeat(QUERY_BYTES_MAX + 1)),
            "q, character 1026: 1025 bytes are more than 1024"
        );
        assert!(refused("/(\\w{1000}){1000}/").contains("size limit"));
        assert!(refused(&format!("/{}a{}/", "(".repeat(40), ")".repeat(40))).contains("nest"));
    }
}

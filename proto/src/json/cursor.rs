//! Reads JSON token by token, once, from front to back, without allocating but for escapes.
//!
//! The shape of a document is in the code that calls: containers are loops over [`Cursor::more_elements`] and
//! [`Cursor::more_members`]. Nothing recurses.

use std::borrow::Cow;
use std::str;

use model::{SpanBatch, Text};

use super::escape::unescape;
use super::fault::{Fault, Result};
use super::keys::{self, Key};
use super::number::{is_java_long, java_integer};
use super::raw::Raw;
use super::scan::{decimal, find_far_quote_or_backslash, find_quote_or_backslash, hex_u64};
use crate::DecodeError;

/// How deep a value that nobody asked for may be nested: one bit of a `u64` a level.
const SKIPPED_LEVELS_MAX: u32 = 64;

/// A place in a JSON text, all of which is in a batch already. A copy stays where it is.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
    /// Where the text begins in that of the batch.
    base: usize,
}

/// Adds the body to the text of the batch and reads it. As in Java, bytes that are not UTF-8 become U+FFFD.
pub(crate) fn read_body(
    body: &[u8],
    batch: &mut SpanBatch,
    read: impl FnOnce(&mut Cursor<'_>, &mut SpanBatch) -> Result<()>,
) -> std::result::Result<(), DecodeError> {
    read_document(body, batch, read).map_err(|detail| DecodeError::reading(detail, "json"))
}

/// The same of any document; the error does not say of what kind it was to be.
pub(crate) fn read_document(
    body: &[u8],
    batch: &mut SpanBatch,
    read: impl FnOnce(&mut Cursor<'_>, &mut SpanBatch) -> Result<()>,
) -> std::result::Result<(), String> {
    // Not the lossy function for all: it checks several times slower.
    let text = str::from_utf8(body).map_or_else(|_| String::from_utf8_lossy(body), Cow::Borrowed);
    let base = batch.text_bytes();
    batch.add_text(&text);
    let mut cursor = Cursor {
        text: &text,
        at: 0,
        base,
    };
    read(&mut cursor, batch).map_err(|fault| fault.detail(&text))
}

/// The string that begins with the quote at `at`, if one does and has no escapes.
#[inline(always)]
fn plain_string(bytes: &[u8], at: usize) -> Option<Raw> {
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let end = find_far_quote_or_backslash(bytes, at + 1);
    (bytes.get(end) == Some(&b'"')).then(|| Raw::new(at + 1, end, false))
}

impl<'a> Cursor<'a> {
    /// Enters an array; whether it has an element.
    pub(crate) fn begin_array(&mut self) -> Result<bool> {
        self.expect(b'[')?;
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(false);
        }
        Ok(true)
    }

    /// After an element: whether another follows. If not, the array is left.
    pub(crate) fn more_elements(&mut self) -> Result<bool> {
        self.comma_or(b']')
    }

    /// Enters an object; whether it has a member, whose key is to be read next.
    pub(crate) fn begin_object(&mut self) -> Result<bool> {
        self.expect(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(false);
        }
        Ok(true)
    }

    /// After a member: whether another follows, whose key is to be read next. If not, the object is left.
    #[inline]
    pub(crate) fn more_members(&mut self) -> Result<bool> {
        self.comma_or(b'}')
    }

    /// The key of a member, and the colon.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<Raw> {
        if self.peek()? != b'"' {
            return Err(Fault::malformed());
        }
        let key = self.quoted()?;
        self.expect(b':')?;
        Ok(key)
    }

    /// The key of a member, and the colon: what it stands for, `None` for one that is not among `keys`.
    ///
    /// `next` is where the search among them begins, and is left behind the one that was found: senders mostly
    /// write them in one order. It is 0 for the first member of an object.
    #[inline]
    pub(crate) fn known_key<T: Copy>(&mut self, keys: &[Key<T>], next: &mut usize) -> Result<Option<T>> {
        self.peek()?;
        let chunk = self.text.as_bytes()[self.at..].first_chunk();
        let found = chunk.and_then(|chunk| keys::find(keys, *next, u128::from_le_bytes(*chunk)));
        if let Some(index) = found {
            self.at += keys[index].length();
            self.expect(b':')?;
            *next = index + 1;
            return Ok(Some(keys[index].meaning));
        }
        let key = self.key()?;
        let key = self.characters(key)?;
        let known = keys.iter().find(|known| known.name == key);
        Ok(known.map(|known| known.meaning))
    }

    /// A member whose key and value are strings without escapes, and nothing between them but the colon. Where the
    /// next one is anything else it is `None`, and nothing has been read.
    #[inline(always)]
    pub(crate) fn plain_member(&mut self) -> Option<(Raw, Raw)> {
        let bytes = self.text.as_bytes();
        let key = plain_string(bytes, self.at)?;
        let colon = key.end() + 1;
        if bytes.get(colon) != Some(&b':') {
            return None;
        }
        let value = plain_string(bytes, colon + 1)?;
        self.at = value.end() + 1;
        Some((key, value))
    }

    /// Passes over 16 lower-case hexadecimal characters in quotes, if they are what follows.
    #[inline]
    pub(crate) fn quoted_hex(&mut self) -> Option<u64> {
        let chunk: &[u8; 18] = self.text.as_bytes().get(self.at..)?.first_chunk()?;
        let [b'"', digits @ .., b'"'] = chunk else {
            return None;
        };
        let value = hex_u64(digits)?;
        self.at += chunk.len();
        Some(value)
    }

    /// The same of 32, the upper half first.
    #[inline]
    pub(crate) fn quoted_long_hex(&mut self) -> Option<(u64, u64)> {
        let chunk: &[u8; 34] = self.text.as_bytes().get(self.at..)?.first_chunk()?;
        let [b'"', digits @ .., b'"'] = chunk else {
            return None;
        };
        let halves = (hex_u64(&digits[..16])?, hex_u64(&digits[16..])?);
        self.at += chunk.len();
        Some(halves)
    }

    /// Passes over `null`, if that is what follows.
    #[inline]
    pub(crate) fn null(&mut self) -> Result<bool> {
        Ok(matches!(self.peek()?, b'n' | b'N') && self.keyword("null"))
    }

    /// A string, or a number as it is written.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Raw> {
        match self.peek()? {
            b'"' => self.quoted(),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(self.unexpected("a string")),
        }
    }

    /// A whole number, in any notation that Java reads as a `double`, quoted or not.
    pub(crate) fn long(&mut self) -> Result<i64> {
        self.integer("a long", i64::MIN, i64::MAX)
    }

    /// Like [`Cursor::long`], within 32 bits.
    pub(crate) fn int(&mut self) -> Result<i64> {
        self.integer("an int", i64::from(i32::MIN), i64::from(i32::MAX))
    }

    /// `true` or `false`, in any case.
    pub(crate) fn boolean(&mut self) -> Result<bool> {
        match self.peek()? {
            b't' | b'T' if self.keyword("true") => Ok(true),
            b'f' | b'F' if self.keyword("false") => Ok(false),
            _ => Err(self.unexpected("a boolean")),
        }
    }

    /// Passes over any value.
    pub(crate) fn skip(&mut self) -> Result<()> {
        let from = self.at;
        self.skip_value().map_err(|fault| fault.skipped_from(from))
    }

    /// The characters that a string means.
    #[inline]
    pub(crate) fn characters(&self, raw: Raw) -> Result<Cow<'a, str>> {
        let characters = &self.text[raw.start()..raw.end()];
        if raw.is_escaped() {
            unescape(characters).map(Cow::Owned).ok_or_else(Fault::malformed)
        } else {
            Ok(Cow::Borrowed(characters))
        }
    }

    /// A string as text of the batch: where it is already, or unescaped and added.
    #[inline]
    pub(crate) fn text(&self, raw: Raw, batch: &mut SpanBatch) -> Result<Text> {
        if raw.is_escaped() {
            Ok(batch.add_text(&self.characters(raw)?))
        } else {
            Ok(self.plain_text(raw))
        }
    }

    /// The same of a string without escapes, which is in the batch already.
    #[inline]
    pub(crate) fn plain_text(&self, raw: Raw) -> Text {
        Text::new(self.base + raw.start(), raw.end() - raw.start())
    }

    /// What is yet to be read, from the next token on.
    pub(crate) fn rest(&mut self) -> Result<&'a str> {
        self.peek()?;
        Ok(&self.text[self.at..])
    }

    /// Passes over as many bytes of what [`Cursor::rest`] gave.
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// How many bytes have been read.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The next byte that is not white space.
    #[inline]
    fn peek(&mut self) -> Result<u8> {
        match self.text.as_bytes().get(self.at) {
            Some(&byte) if byte > b' ' => Ok(byte),
            _ => self.peek_past_space(),
        }
    }

    fn peek_past_space(&mut self) -> Result<u8> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(&byte) => return Ok(byte),
                None => return Err(Fault::located("End of input", self.at)),
            }
        }
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.peek()? != byte {
            return Err(Fault::malformed());
        }
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn comma_or(&mut self, close: u8) -> Result<bool> {
        let byte = self.peek()?;
        if byte != b',' && byte != close {
            return Err(Fault::malformed());
        }
        self.at += 1;
        Ok(byte == b',')
    }

    /// Passes over a word, if it is what follows. That nothing is glued to it, the next token shows.
    fn keyword(&mut self, word: &str) -> bool {
        let end = self.at + word.len();
        let found = self
            .text
            .as_bytes()
            .get(self.at..end)
            .is_some_and(|bytes| bytes.eq_ignore_ascii_case(word.as_bytes()));
        if found {
            self.at = end;
        }
        found
    }

    #[inline(always)]
    fn quoted(&mut self) -> Result<Raw> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let mut escaped = false;
        let mut end = find_quote_or_backslash(bytes, start);
        loop {
            match bytes.get(end) {
                Some(b'"') => break,
                Some(_) => {
                    escaped = true;
                    end = find_quote_or_backslash(bytes, end + 2);
                }
                None => return Err(Fault::malformed()),
            }
        }
        self.at = end + 1;
        Ok(Raw::new(start, end, escaped))
    }

    fn number(&mut self) -> Result<Raw> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let is = |at: usize, any_of: &[u8]| bytes.get(at).is_some_and(|byte| any_of.contains(byte));
        let digits = |from: usize| {
            let count = bytes[from.min(bytes.len())..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            if count == 0 {
                Err(Fault::malformed())
            } else {
                Ok(from + count)
            }
        };
        let whole = start + usize::from(is(start, b"-"));
        let mut end = digits(whole)?;
        if is(whole, b"0") && end > whole + 1 {
            return Err(Fault::malformed());
        }
        if is(end, b".") {
            end = digits(end + 1)?;
        }
        if is(end, b"eE") {
            end = digits(end + 1 + usize::from(is(end + 1, b"+-")))?;
        }
        self.at = end;
        Ok(Raw::new(start, end, false))
    }

    /// Nearly always: a few digits, then the end of the member.
    #[inline]
    fn integer(&mut self, expected: &str, least: i64, most: i64) -> Result<i64> {
        if matches!(self.peek()?, b'1'..=b'9') {
            let bytes = self.text.as_bytes();
            let (value, end) = decimal(bytes, self.at);
            if matches!(bytes.get(end), Some(b',' | b'}')) && value as i64 <= most {
                self.at = end;
                return Ok(value as i64);
            }
        }
        self.any_integer(expected, least, most)
    }

    #[inline(never)]
    fn any_integer(&mut self, expected: &str, least: i64, most: i64) -> Result<i64> {
        if !matches!(self.peek()?, b'"' | b'-' | b'0'..=b'9') {
            return Err(self.unexpected(expected));
        }
        let raw = self.string()?;
        let characters = self.characters(raw)?;
        match java_integer(&characters)? {
            Some(value) if (least..=most).contains(&value) => Ok(value),
            _ => Err(Fault::located(
                format!("Expected {expected} but was {characters}"),
                self.at,
            )),
        }
    }

    fn skip_value(&mut self) -> Result<()> {
        // A bit for each open container, the innermost lowest: 1 is an object.
        let mut objects = 0u64;
        let mut depth = 0;
        loop {
            let byte = self.peek()?;
            let opened = match byte {
                b'{' | b'[' if depth == SKIPPED_LEVELS_MAX => {
                    return Err(Fault::located(
                        format!("Nesting limit {SKIPPED_LEVELS_MAX} reached"),
                        self.at,
                    ));
                }
                b'{' => self.begin_object()?,
                b'[' => self.begin_array()?,
                _ => {
                    self.skip_scalar(byte)?;
                    false
                }
            };
            if opened {
                depth += 1;
                objects = objects << 1 | u64::from(byte == b'{');
            } else {
                while depth > 0 && !self.comma_or(if objects & 1 == 1 { b'}' } else { b']' })? {
                    depth -= 1;
                    objects >>= 1;
                }
                if depth == 0 {
                    return Ok(());
                }
            }
            if objects & 1 == 1 {
                let key = self.key()?;
                self.characters(key)?;
            }
        }
    }

    fn skip_scalar(&mut self, first: u8) -> Result<()> {
        match first {
            b'"' => {
                let raw = self.quoted()?;
                self.characters(raw)?;
            }
            b'-' | b'0'..=b'9' => {
                self.number()?;
            }
            _ if self.keyword("null") || self.keyword("true") || self.keyword("false") => {}
            _ => return Err(Fault::malformed()),
        }
        Ok(())
    }

    /// The value that follows is of another type than expected. Where Gson is when it finds out depends on
    /// the type: past a bracket, a quote, a keyword or a whole number, in front of any other number.
    #[cold]
    fn unexpected(&mut self, expected: &str) -> Box<Fault> {
        let start = self.at;
        let (found, peeked) = match self.text.as_bytes()[start] {
            b'{' => ("BEGIN_OBJECT", 1),
            b'[' => ("BEGIN_ARRAY", 1),
            b'"' => ("STRING", 1),
            b'-' | b'0'..=b'9' => match self.number() {
                Ok(raw) => (
                    "NUMBER",
                    if is_java_long(&self.text[raw.start()..raw.end()]) {
                        raw.end() - start
                    } else {
                        0
                    },
                ),
                Err(fault) => return fault,
            },
            _ if self.keyword("null") => ("NULL", self.at - start),
            _ if self.keyword("true") || self.keyword("false") => ("BOOLEAN", self.at - start),
            _ => return Fault::malformed(),
        };
        Fault::located(format!("Expected {expected} but was {found}"), start).peeked(peeked)
    }
}

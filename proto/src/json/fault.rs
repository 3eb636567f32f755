//! What is wrong with a piece of JSON, and where: in Gson's words.

use super::escape::unescape;
use super::scan::find_quote_or_backslash;

/// Boxed, so that the results of the hot functions stay small.
pub(crate) type Result<T> = std::result::Result<T, Box<Fault>>;

/// What is wrong, and at which byte.
#[derive(Debug)]
pub(crate) struct Fault {
    cause: Cause,
    /// The byte to which the path leads.
    at: usize,
    /// How many more bytes Gson had looked at: they count in line and column.
    peeked: usize,
    /// Where a value begins that nobody asked for: Gson does not follow names and indexes inside.
    skipped_from: Option<usize>,
}

#[derive(Debug)]
enum Cause {
    /// Not JSON, or a container of the wrong kind. Zipkin says no more of it.
    Malformed,
    /// The message and nothing else.
    Plain(String),
    /// The message, then line, column and path.
    Located(String),
    /// The message, then the path.
    AtPath(&'static str),
}

impl Fault {
    pub(crate) fn malformed() -> Box<Self> {
        Self::new(Cause::Malformed, 0)
    }

    pub(crate) fn plain(message: impl Into<String>) -> Box<Self> {
        Self::new(Cause::Plain(message.into()), 0)
    }

    pub(crate) fn located(message: impl Into<String>, at: usize) -> Box<Self> {
        Self::new(Cause::Located(message.into()), at)
    }

    pub(crate) fn at_path(message: &'static str, at: usize) -> Box<Self> {
        Self::new(Cause::AtPath(message), at)
    }

    fn new(cause: Cause, at: usize) -> Box<Self> {
        Box::new(Self {
            cause,
            at,
            peeked: 0,
            skipped_from: None,
        })
    }

    /// The reader was this many bytes further on when it happened.
    pub(crate) fn peeked(mut self: Box<Self>, bytes: usize) -> Box<Self> {
        self.peeked = bytes;
        self
    }

    /// The fault lies in a value that is passed over and begins at `from`.
    pub(crate) fn skipped_from(mut self: Box<Self>, from: usize) -> Box<Self> {
        self.skipped_from = Some(from);
        self
    }

    /// For the sender of `text`.
    pub(crate) fn detail(self, text: &str) -> String {
        match self.cause {
            Cause::Malformed => "Malformed".to_owned(),
            Cause::Plain(message) => message,
            Cause::Located(message) => {
                let (line, column) = line_and_column(text, self.at + self.peeked);
                let path = path(text, self.at, self.skipped_from.unwrap_or(usize::MAX));
                format!("{message} at line {line} column {column} path {path}")
            }
            Cause::AtPath(message) => {
                let path = path(text, self.at, self.skipped_from.unwrap_or(usize::MAX));
                format!("{message} at {path}")
            }
        }
    }
}

/// Both counted from 1, columns in UTF-16 units, as Java counts.
fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(at)];
    let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (line, before[line_start..].encode_utf16().count() + 1)
}

/// A container that is open where the fault is.
enum Level {
    /// An array, with the index of the element being read.
    Element(usize),
    /// An object, with the name last read.
    Member(String),
}

/// `$[0].tags.a`: what leads to the byte `end`. `text` has been read without fault up to there, so only
/// strings and brackets need to be looked at.
fn path(text: &str, end: usize, skipped_from: usize) -> String {
    let bytes = text.as_bytes();
    let mut levels = Vec::new();
    let mut previous = 0;
    let mut at = 0;
    while at < end.min(bytes.len()) {
        let byte = bytes[at];
        let (mut next, followed) = (at + 1, at < skipped_from);
        match byte {
            b'[' => levels.push(Level::Element(0)),
            b'{' => levels.push(Level::Member(String::new())),
            b']' | b'}' => {
                levels.pop();
                // The elements of the arrays that Zipkin reads are objects: one has been read here.
                if let (Some(Level::Element(index)), true) = (levels.last_mut(), followed) {
                    *index += 1;
                }
            }
            b'"' => {
                let close = closing_quote(bytes, at + 1);
                if let (Some(Level::Member(name)), b'{' | b',', true) =
                    (levels.last_mut(), previous, followed)
                {
                    *name = unescape(&text[at + 1..close]).unwrap_or_default();
                }
                next = close + 1;
            }
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            previous = byte;
        }
        at = next;
    }
    render(&levels)
}

fn render(levels: &[Level]) -> String {
    let mut path = "$".to_owned();
    for level in levels {
        match level {
            Level::Element(index) => path.push_str(&format!("[{index}]")),
            Level::Member(name) => {
                path.push('.');
                path.push_str(name);
            }
        }
    }
    path
}

/// The quote that closes the string whose first character is at `from`, or the end.
fn closing_quote(bytes: &[u8], from: usize) -> usize {
    let mut at = find_quote_or_backslash(bytes, from);
    while bytes.get(at) == Some(&b'\\') {
        at = find_quote_or_backslash(bytes, at + 2);
    }
    at.min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_end(text: &str) -> String {
        Fault::located("End of input", text.len()).detail(text)
    }

    #[test]
    fn lines_columns_and_paths_are_gsons() {
        let place = |text: &str| {
            let message = at_end(text);
            message.strip_prefix("End of input at ").unwrap().to_owned()
        };
        assert_eq!(place("["), "line 1 column 2 path $[0]");
        assert_eq!(place("[{"), "line 1 column 3 path $[0].");
        assert_eq!(place(r#"[{"id":"1"}"#), "line 1 column 12 path $[1]");
        assert_eq!(place(r#"[{"id":"1"},"#), "line 1 column 13 path $[1]");
        assert_eq!(
            place("[{\"id\":\"1\",\n \"tags\":{\"a\\n\""),
            "line 2 column 15 path $[0].tags.a\n"
        );
        assert_eq!(
            place(r#"[{"annotations":[{"value":"é😀"}"#),
            "line 1 column 33 path $[0].annotations[1]"
        );
    }

    #[test]
    fn inside_a_skipped_value_names_and_indexes_are_not_followed() {
        let text = r#"[{"x":{"a":[1,2,"#;
        let fault = Fault::located("End of input", text.len()).skipped_from(6);
        assert_eq!(
            fault.detail(text),
            "End of input at line 1 column 17 path $[0].x.[0]"
        );
    }
}

//! Cuts a stream of JSON into its spans: arrays of spans, arrays of traces, one trace or one span a line, in any mixture
//! and of any length, through a bounded buffer.
//!
//! Only brackets and strings are looked at; whether an object is a span is for the reader of spans to say.

use std::io::{self, Read};

use memchr::memchr2;

/// Bytes that are read at once.
const READ_BYTES: usize = 1 << 20;
/// The largest object that is taken for a span.
const SPAN_BYTES_MAX: usize = 64 << 20;
/// Arrays around a span: a trace, and an array of traces.
const DEPTH_MAX: u32 = 2;

/// A place between two spans, from which reading can go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Place {
    /// In the stream, inflated.
    pub(crate) offset: u64,
    /// Lines before it.
    pub(crate) lines: u64,
    /// Arrays around it.
    pub(crate) depth: u32,
}

/// One object of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) bytes: Vec<u8>,
    pub(crate) start: Place,
    /// Behind it.
    pub(crate) end: Place,
}

/// Reads item after item.
#[derive(Debug)]
pub(crate) struct Items<R> {
    input: R,
    buffer: Vec<u8>,
    /// Of the buffer, what is not read yet.
    at: usize,
    place: Place,
    ended: bool,
}

impl<R: Read> Items<R> {
    /// Reads from the start of the stream.
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            at: 0,
            place: Place::default(),
            ended: false,
        }
    }

    /// Where it is.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// Goes on at a place that was told before: reads, and leaves out, what comes before it.
    pub(crate) fn skip_to(&mut self, place: Place) -> io::Result<()> {
        let skipped = io::copy(&mut (&mut self.input).take(place.offset), &mut io::sink())?;
        if skipped < place.offset {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.place = place;
        Ok(())
    }

    /// The next item, or nothing at the end.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] where there is something else than arrays of objects; the input's own.
    pub(crate) fn next(&mut self) -> io::Result<Option<Item>> {
        loop {
            if self.at == self.buffer.len() && !self.fill(self.at)? {
                return match self.place.depth {
                    0 => Ok(None),
                    _ => Err(self.wrong("it ends within an array")),
                };
            }
            match self.buffer[self.at] {
                b'{' => return self.object().map(Some),
                b'[' if self.place.depth < DEPTH_MAX => self.place.depth += 1,
                b'[' => return Err(self.wrong("a span is an object, and not an array")),
                b']' if self.place.depth > 0 => self.place.depth -= 1,
                b',' if self.place.depth > 0 => {}
                b'\n' => self.place.lines += 1,
                b' ' | b'\t' | b'\r' => {}
                _ => return Err(self.wrong("here should be a span, or an array of spans or of traces")),
            }
            self.at += 1;
            self.place.offset += 1;
        }
    }

    /// Goes on behind the line that is no JSON.
    pub(crate) fn skip_line(&mut self) -> io::Result<()> {
        loop {
            if self.at == self.buffer.len() && !self.fill(self.at)? {
                self.place.depth = 0;
                return Ok(());
            }
            if self.buffer[self.at] == b'\n' {
                self.place.depth = 0;
                return Ok(());
            }
            self.at += 1;
            self.place.offset += 1;
        }
    }

    fn object(&mut self) -> io::Result<Item> {
        let start = self.place;
        let mut scan = Scan::default();
        let mut length = 0;
        loop {
            let unseen = &self.buffer[self.at + length..];
            match scan.end_of_object(unseen) {
                Some(end) => {
                    length += end;
                    break;
                }
                None => length += unseen.len(),
            }
            if length > SPAN_BYTES_MAX {
                return Err(self.wrong(&format!("a span of more than {SPAN_BYTES_MAX} bytes")));
            }
            if !self.fill(self.at)? {
                return Err(self.wrong("it ends within a span"));
            }
        }
        let bytes = self.buffer[self.at..self.at + length].to_vec();
        self.at += length;
        self.place.offset += length as u64;
        self.place.lines += scan.lines;
        Ok(Item {
            bytes,
            start,
            end: self.place,
        })
    }

    /// Reads more; the buffer then begins with what was at `keep`. False at the end.
    fn fill(&mut self, keep: usize) -> io::Result<bool> {
        self.buffer.drain(..keep);
        self.at = 0;
        let held = self.buffer.len();
        if !self.ended {
            self.buffer.resize(held + READ_BYTES, 0);
            let read = loop {
                match self.input.read(&mut self.buffer[held..]) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => break other,
                }
            };
            self.buffer.truncate(held + *read.as_ref().unwrap_or(&0));
            self.ended = read? == 0;
        }
        Ok(self.buffer.len() > held)
    }

    fn wrong(&self, what: &str) -> io::Error {
        let Place { offset, lines, .. } = self.place;
        let place = format!("line {}, byte {offset}: {what}", lines + 1);
        io::Error::new(io::ErrorKind::InvalidData, place)
    }
}

/// Looks for the end of an object, over pieces of it.
#[derive(Debug, Default)]
struct Scan {
    depth: u32,
    in_string: bool,
    escaped: bool,
    lines: u64,
}

impl Scan {
    /// Bytes up to and with the last of the object, if it ends here.
    fn end_of_object(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            if self.in_string {
                // Most of a span is within strings.
                at += self.rest_of_string(&bytes[at..]);
                continue;
            }
            at += 1;
            match bytes[at - 1] {
                b'"' => self.in_string = true,
                b'{' => self.depth += 1,
                b'\n' => self.lines += 1,
                b'}' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Some(at);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// Bytes up to and with the next that matters within a string: its end, or what is escaped.
    fn rest_of_string(&mut self, bytes: &[u8]) -> usize {
        if self.escaped {
            self.escaped = false;
            return 1;
        }
        let Some(at) = memchr2(b'"', b'\\', bytes) else {
            return bytes.len();
        };
        self.escaped = bytes[at] == b'\\';
        self.in_string = self.escaped;
        at + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Drops<'b>(&'b [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn items(text: &str, drop_bytes: usize) -> io::Result<Vec<Item>> {
        let mut items = Items::new(Drops(text.as_bytes(), drop_bytes));
        let mut all = Vec::new();
        while let Some(item) = items.next()? {
            all.push(item);
        }
        Ok(all)
    }

    const SPANS: [&str; 3] = [
        r#"{"id":"1","tags":{"a":"}]\"{\\"}}"#,
        "{\"id\":\n\"2\"}",
        r#"{"id":"3","annotations":[{"value":"["}]}"#,
    ];

    #[test]
    fn spans_are_cut_out_of_all_shapes() {
        let [a, b, c] = SPANS;
        let shapes = [
            format!("[{a},{b},{c}]"),
            format!(" [[{a}, {b}],\n[{c}] ]\n"),
            format!("[{a},{b}]\n[]\r\n[{c}]\n"),
            format!("{a}\n{b}\n\n{c}"),
            format!("[[{a}]]\n{b}\n[{c}]"),
        ];
        for shape in &shapes {
            for drop_bytes in [1, 2, 7, 1000] {
                let found = items(shape, drop_bytes).unwrap();
                let texts: Vec<_> = found
                    .iter()
                    .map(|item| std::str::from_utf8(&item.bytes).unwrap())
                    .collect();
                assert_eq!(texts, SPANS, "{shape}");
                for item in found {
                    let range = item.start.offset as usize..item.end.offset as usize;
                    assert_eq!(shape.as_bytes()[range], item.bytes);
                    let before = &shape[..item.start.offset as usize];
                    assert_eq!(item.start.lines as usize, before.matches('\n').count());
                }
            }
        }
        assert_eq!(items("", 1).unwrap(), []);
        assert_eq!(items("[]\n[[]]", 1).unwrap(), []);
    }

    #[test]
    fn reading_goes_on_from_any_place() {
        let [a, b, c] = SPANS;
        let text = format!("[[{a},\n{b}],[{c}]]");
        let all = items(&text, 5).unwrap();
        for (done, item) in all.iter().enumerate() {
            let mut rest = Items::new(text.as_bytes());
            rest.skip_to(item.end).unwrap();
            let mut found = Vec::new();
            while let Some(item) = rest.next().unwrap() {
                found.push(item);
            }
            assert_eq!(found, all[done + 1..]);
        }
        let mut beyond = Items::new(&b"{}"[..]);
        let place = Place {
            offset: 3,
            ..Place::default()
        };
        assert_eq!(
            beyond.skip_to(place).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }

    #[test]
    fn what_is_no_span_is_told_with_its_place() {
        for (text, told) in [
            ("[{},\n7]", "line 2, byte 5: here should be a span"),
            ("\n\nhello", "line 3, byte 2"),
            ("[[[{}]]]", "byte 2: a span is an object"),
            ("[{}", "it ends within an array"),
            ("{\"id\":", "byte 0: it ends within a span"),
            ("]", "byte 0"),
        ] {
            let error = items(text, 3).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
        let mut mixed = Items::new(&b"{\"id\":1}\nnonsense {}\n[{\"id\":2}]"[..]);
        assert!(mixed.next().unwrap().is_some());
        assert!(mixed.next().is_err());
        mixed.skip_line().unwrap();
        assert_eq!(mixed.next().unwrap().unwrap().bytes, b"{\"id\":2}");
    }
}

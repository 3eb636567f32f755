//! Scribe's one call, `Log(list<LogEntry>)`, in TBinaryProtocol (`zipkin.md` 7.4): what Finagle's services sent.
//!
//! A frame is a call: a header, strict or of the old kind, then the arguments. Every entry has a category and a
//! message; a message of Zipkin's category is one v1 span in base64. [`Call::read`] understands the header,
//! [`Call::entries`] picks the entries of a category, `Wire::ScribeEntries` reads their spans, and
//! [`Header::answer`] writes the frame that answers.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use model::SpanBatch;

use crate::thrift::{Cursor, Fault, I32, STOP, STRING};
use crate::{DecodeError, decode_thrift_span};

/// The only method there is.
const LOG: &str = "Log";

/// The longest name of a method. It is sent back with every answer.
const METHOD_BYTES_MAX: usize = 256;

/// No header is longer.
pub const HEADER_BYTES_MAX: usize = METHOD_BYTES_MAX + 12;

/// The upper half of a strict header.
const STRICT_VERSION: u32 = 0x8001_0000;

/// Kinds of messages.
const CALL: u8 = 1;
const REPLY: u8 = 2;
const EXCEPTION: u8 = 3;
const ONE_WAY: u8 = 4;

/// Fields of the arguments of `Log`.
mod arguments {
    use crate::thrift::{Field, LIST};

    pub(super) const MESSAGES: Field = (LIST, 1);
}

/// Fields of `LogEntry`.
mod entry {
    use crate::thrift::{Field, STRING};

    pub(super) const CATEGORY: Field = (STRING, 1);
    pub(super) const MESSAGE: Field = (STRING, 2);
}

/// Zipkin decodes as MIME does: what is not of the alphabet is passed over, padding may be absent.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A call, its arguments not read yet.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// What is called, and by whom.
    pub header: Header,
    arguments: Cursor<'a>,
}

/// What stands before the arguments: all that an answer needs to know of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    method: String,
    kind: u8,
    sequence: i32,
    strict: bool,
}

/// The entries of a call that are of one category.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    /// Each behind its length, 4 bytes: a body of `Wire::ScribeEntries`.
    pub body: Vec<u8>,
    /// How many entries are of other categories.
    pub ignored: usize,
}

/// What a caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// Every span is stored.
    Ok,
    /// Nothing is stored, and the same call may succeed later.
    TryLater,
    /// Nothing is stored: an exception of thrift's, with a message.
    Exception(ExceptionKind, &'a str),
}

/// Which exception of thrift's; the numbers are thrift's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum ExceptionKind {
    /// There is no such method.
    UnknownMethod = 1,
    /// The server cannot.
    InternalError = 6,
    /// The arguments are not what they should be.
    ProtocolError = 7,
}

impl<'a> Call<'a> {
    /// Reads the header of a frame, which comes without its length, or of its first [`HEADER_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`DecodeError`] where it is no call. Without a header there is nobody to answer.
    pub fn read(frame: &'a [u8]) -> Result<Self, DecodeError> {
        let call = read_header(Cursor::new(frame));
        let call = call.map_err(|fault| DecodeError::new(format!("{fault} reading a call of Scribe")))?;
        match call.header.kind {
            CALL | ONE_WAY => Ok(call),
            kind => Err(DecodeError::new(format!(
                "Message type {kind} reading a call of Scribe"
            ))),
        }
    }

    /// Reads the arguments of `Log`.
    ///
    /// # Errors
    /// [`DecodeError`] where they are none.
    pub fn entries(&self, category: &str) -> Result<Entries, DecodeError> {
        read_arguments(self.arguments.clone(), category)
            .map_err(|fault| DecodeError::new(format!("{fault} reading List<LogEntry> from TBinary")))
    }
}

impl Header {
    /// The method that is called.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// True if that is the method that there is.
    pub fn is_log(&self) -> bool {
        self.method == LOG
    }

    /// True if the caller waits for an answer.
    pub fn wants_answer(&self) -> bool {
        self.kind == CALL
    }

    /// The frame that answers, with its length, its header like that of the call.
    pub fn answer(&self, answer: Answer<'_>) -> Vec<u8> {
        let mut frame = vec![0; 4];
        let kind = match answer {
            Answer::Ok | Answer::TryLater => REPLY,
            Answer::Exception(..) => EXCEPTION,
        };
        if self.strict {
            frame.extend((STRICT_VERSION | u32::from(kind)).to_be_bytes());
            write_text(&mut frame, &self.method);
        } else {
            write_text(&mut frame, &self.method);
            frame.push(kind);
        }
        frame.extend(self.sequence.to_be_bytes());
        match answer {
            Answer::Ok => write_i32(&mut frame, 0, 0),
            Answer::TryLater => write_i32(&mut frame, 0, 1),
            Answer::Exception(kind, message) => {
                frame.extend([STRING, 0, 1]);
                write_text(&mut frame, message);
                write_i32(&mut frame, 2, kind as i32);
            }
        }
        frame.push(STOP);
        let length = (frame.len() - 4) as u32;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        frame
    }
}

fn read_header(mut cursor: Cursor<'_>) -> Result<Call<'_>, Fault> {
    let first = cursor.clone().i32()?;
    let strict = first < 0;
    let (kind, method);
    if strict {
        let version = cursor.i32()? as u32;
        if version & 0xffff_0000 != STRICT_VERSION {
            return Err(Fault::Malformed);
        }
        kind = version as u8;
        method = cursor.text()?;
    } else {
        method = cursor.text()?;
        kind = cursor.byte()?;
    }
    if method.len() > METHOD_BYTES_MAX {
        return Err(Fault::Malformed);
    }
    let header = Header {
        method: method.into_owned(),
        kind,
        sequence: cursor.i32()?,
        strict,
    };
    Ok(Call {
        header,
        arguments: cursor,
    })
}

fn read_arguments(mut cursor: Cursor<'_>, category: &str) -> Result<Entries, Fault> {
    let mut entries = Entries::default();
    while let Some(field) = cursor.next_field()? {
        match field {
            arguments::MESSAGES => {
                for _ in 0..cursor.structs()? {
                    read_entry(&mut cursor, category, &mut entries)?;
                }
            }
            (kind, _) => cursor.skip(kind)?,
        }
    }
    Ok(entries)
}

fn read_entry(cursor: &mut Cursor<'_>, category: &str, entries: &mut Entries) -> Result<(), Fault> {
    let (mut its_category, mut message) = (&[][..], &[][..]);
    while let Some(field) = cursor.next_field()? {
        match field {
            entry::CATEGORY => its_category = cursor.bytes()?,
            entry::MESSAGE => message = cursor.bytes()?,
            (kind, _) => cursor.skip(kind)?,
        }
    }
    if its_category == category.as_bytes() {
        write_bytes(&mut entries.body, message);
    } else {
        entries.ignored += 1;
    }
    Ok(())
}

/// Reads entries as [`Call::entries`] gives them and appends their spans, normalised, to `batch`.
pub(crate) fn decode_entries(body: &[u8], batch: &mut SpanBatch) -> Result<(), DecodeError> {
    let (mut cursor, mut index) = (Cursor::new(body), 0);
    let mut span = Vec::new();
    let mut base64 = Vec::new();
    while !cursor.is_empty() {
        let at = |cause: &dyn std::fmt::Display| DecodeError::new(format!("{cause} at messages[{index}]"));
        let message = cursor.bytes().map_err(|fault| at(&fault))?;
        base64.clear();
        base64.extend(message.iter().copied().filter(|&byte| is_base64(byte)));
        span.clear();
        BASE64
            .decode_vec(&base64, &mut span)
            .map_err(|error| at(&format!("{error} reading base64")))?;
        decode_thrift_span(&span, batch).map_err(|error| at(&error))?;
        index += 1;
    }
    Ok(())
}

const fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

fn write_i32(out: &mut Vec<u8>, field: i16, value: i32) {
    out.push(I32);
    out.extend(field.to_be_bytes());
    out.extend(value.to_be_bytes());
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    write_bytes(out, text.as_bytes());
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

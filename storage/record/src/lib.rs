//! A batch of spans as one record of a journal, and back: what every store that keeps a journal writes into it.
//!
//! A record carries its own dictionary, so it can be read without any other record: a damaged one costs
//! nothing but itself, and records can be replayed in parallel. Texts, and what spans have in common, are stored
//! once a record; a batch usually comes from one process and repeats itself. [`Numbering`] finds what is repeated,
//! for the record and for who stores the spans.
//!
//! ```text
//! record    = version u8 = 2, texts: count, (length varint)*, bytes, families: count, family*, shapes: count, shape*,
//!             spans: count, run*
//! family    = flags u8 (kind 0..2, debug 3, shared 4, service 5, name 6, remote service 7), [service], [name],
//!             [remote service]: text numbers, tags: count, key*: text numbers, annotations: count
//! shape     = family number, [values in rows: a bit each for the first 64, varint; where there are values], the others:
//!             text numbers
//! run       = number of rows << 1 | has a high half, varint, trace low u64, [trace high u64], base timestamp zigzag from
//!             that of the run before, (shape number varint, length of the row varint)*, row* (row.rs)
//! ```
//!
//! A row is what stores keep of a span in memory, so whoever reads a record copies it and need not know what it says.
//! Values beyond the 64th of a span are always in its row.

use model::SpanBatch;

pub mod bytes;
mod decode;
mod dictionary;
mod encode;
mod numbering;
mod row;
mod shapes;
mod text_key;
mod texts;
mod v1;

use bytes::Malformed;
pub use decode::{RecordReader, RecordRow, RecordRun, RecordSpan, RecordSpans, RecordValue};
pub use numbering::{Family, NO_TEXT, Numbering};
pub use row::{Address, Frame, SpanHead, put_addresses, read_addresses, read_port};
pub use shapes::{Bits, RecordShape};
pub use text_key::TextKey;

const VERSION: u8 = 2;

/// The longest record there is: of what comes in one request, 64 MiB of text by default and some 80 bytes for each of at
/// most 200,000 spans. One of spans that take more is longer by what its last run has, and not whole: a journal
/// MUST refuse it.
pub const RECORD_BYTES_MAX: u32 = 128 << 20;

/// With the number of rows of a run.
const RUN_HIGH: u64 = 1;

/// Writes a batch as a record.
pub fn encode(batch: &SpanBatch) -> Vec<u8> {
    let mut record = Vec::new();
    encode_to(batch, &mut record);
    record
}

/// Appends a batch, as a record, to what its journal puts before it.
pub fn encode_to(batch: &SpanBatch, record: &mut Vec<u8>) {
    encode::encode(batch, &Numbering::of(batch), &[], record);
}

/// Writes a batch whose texts are numbered as a record. `numbering` MUST be that of this batch. `open` says for each
/// family which of its values are known to vary, a bit each for the first 64; nothing for a family of which nobody knows:
/// then it is what takes many forms in this batch.
pub fn encode_numbered(batch: &SpanBatch, numbering: &Numbering, open: &[Option<u64>]) -> Vec<u8> {
    let mut record = Vec::new();
    encode::encode(batch, numbering, open, &mut record);
    record
}

/// A record as it would be written now, if it is of an earlier version.
///
/// # Errors
/// [`Malformed`] where the bytes are no record of that version.
pub fn renew(record: Vec<u8>) -> Result<Vec<u8>, Malformed> {
    if record.first() != Some(&v1::VERSION) {
        return Ok(record);
    }
    let mut batch = SpanBatch::new();
    v1::decode(&record, &mut batch)?;
    Ok(encode(&batch))
}

/// Reads a record and appends its spans to `batch`, as they were: they are not normalised again.
///
/// # Errors
/// [`Malformed`] where the bytes are no record of a version that is known, or where the batch takes no more.
pub fn decode(record: &[u8], batch: &mut SpanBatch) -> Result<(), Malformed> {
    if record.first() == Some(&v1::VERSION) {
        return v1::decode(record, batch);
    }
    RecordReader::default().read(record)?.append_to(batch)
}

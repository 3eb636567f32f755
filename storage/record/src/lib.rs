//! A batch of spans as one record of a journal, and back: what every store that keeps a journal writes into it.
//!
//! A record carries its own dictionary, so it can be read without any other record: a damaged one costs
//! nothing but itself, and records can be replayed in parallel. Texts, and what spans have in common, are stored
//! once a record; a batch usually comes from one process and repeats itself. [`Numbering`] finds what is repeated,
//! for the record and for who stores the spans.
//!
//! ```text
//! record    = version u8, texts: count, (length varint)*, bytes, families: count, family*, spans: count, span*
//! family    = flags u8 (kind 0..2, debug 3, shared 4, service 5, name 6, remote service 7), [service], [name],
//!             [remote service]: text numbers, tags: count, key*: text numbers, annotations: count
//! span      = family number,
//!             flags u8 (same trace as the span before 0, high 1, its identifier is the parent of the span before 2,
//!             parent 3..4 (0 none, 1 written, 2 that of the span before, 3 the span before), timestamp 5,
//!             local addresses 6, remote addresses 7),
//!             [trace low u64, [trace high u64]], [id u64], [parent u64],
//!             [timestamp zigzag from the last one before], duration varint, 0 for none,
//!             [local addresses: else those of the span before], [remote addresses: else the family's last],
//!             [values], (annotation time zigzag from the timestamp)*
//! values    = those that are the family's last in this place: a bit each for the first 64, varint; the others: text
//!             numbers
//! addresses = flags u8 (v4 0, v6 1), [4 bytes], [16 bytes], port varint, 0 for none
//! ```

use model::{IpAddresses, SpanBatch, SpanId, TraceId};

pub mod bytes;
mod decode;
mod encode;
mod numbering;
mod text_key;
mod texts;

use bytes::Malformed;
pub use decode::{RecordReader, RecordSpans, SpanHead, read_addresses, read_port};
pub use encode::put_addresses;
pub use numbering::{Family, NO_TEXT, Numbering};
pub use text_key::TextKey;

/// What of an endpoint is no text: addresses, and the port or 0.
pub type Address = (IpAddresses, u16);

const VERSION: u8 = 1;

const IP_V4: u8 = 1;
const IP_V6: u8 = 1 << 1;

/// Bits of a family.
mod family_flag {
    pub(crate) const KIND: u8 = 0b111;
    pub(crate) const DEBUG: u8 = 1 << 3;
    pub(crate) const SHARED: u8 = 1 << 4;
    pub(crate) const SERVICE: u8 = 1 << 5;
    pub(crate) const NAME: u8 = 1 << 6;
    pub(crate) const REMOTE_SERVICE: u8 = 1 << 7;
}

/// Bits of a span.
mod span_flag {
    pub(crate) const SAME_TRACE: u8 = 1;
    pub(crate) const HIGH: u8 = 1 << 1;
    pub(crate) const ID_IS_PARENT: u8 = 1 << 2;
    pub(crate) const PARENT_SHIFT: u8 = 3;
    pub(crate) const TIMESTAMP: u8 = 1 << 5;
    pub(crate) const LOCAL: u8 = 1 << 6;
    pub(crate) const REMOTE: u8 = 1 << 7;
}

/// How a record says who caused a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parent {
    None,
    Written,
    /// Who caused the span before.
    Same,
    /// The span before.
    Previous,
}

impl Parent {
    /// By the lower two bits.
    fn of(bits: u8) -> Self {
        match bits & 0b11 {
            0 => Self::None,
            1 => Self::Written,
            2 => Self::Same,
            _ => Self::Previous,
        }
    }
}

/// What a span can take over from the one before.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    trace_id: Option<TraceId>,
    id: Option<SpanId>,
    parent_id: Option<SpanId>,
    /// The last one written, microseconds since the epoch.
    timestamp: u64,
    local: Address,
}

/// Writes a batch as a record.
pub fn encode(batch: &SpanBatch) -> Vec<u8> {
    let mut record = Vec::new();
    encode_to(batch, &mut record);
    record
}

/// Appends a batch, as a record, to what its journal puts before it.
pub fn encode_to(batch: &SpanBatch, record: &mut Vec<u8>) {
    encode::encode(batch, &Numbering::of(batch), record);
}

/// Writes a batch whose texts are numbered as a record. `numbering` MUST be that of this batch.
pub fn encode_numbered(batch: &SpanBatch, numbering: &Numbering) -> Vec<u8> {
    let mut record = Vec::new();
    encode::encode(batch, numbering, &mut record);
    record
}

/// Reads a record and appends its spans to `batch`, as they were: they are not normalised again.
///
/// # Errors
/// [`Malformed`] where the bytes are no record of this version, or where the batch takes no more.
pub fn decode(record: &[u8], batch: &mut SpanBatch) -> Result<(), Malformed> {
    RecordReader::default().read(record)?.append_to(batch)
}

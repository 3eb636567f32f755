//! Reading records of version 1, which earlier releases wrote: no run of rows, but spans one after the other, each against the
//! one before.
//!
//! ```text
//! record    = version u8 = 1, texts: count, (length varint)*, bytes, families: count, family*, spans: count, span*
//! family    = as in version 2
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
//! ```

use model::{SpanBatch, SpanId, Text, TraceId};

use crate::bytes::{Cursor, Malformed};
use crate::decode::draft_of;
use crate::dictionary;
use crate::numbering::{Family, Numbering};
use crate::row::{Address, SpanHead, read_address};

pub(crate) const VERSION: u8 = 1;

/// The smallest span: family, flags, duration, an identifier that is not as before.
const SPAN_BYTES_MIN: usize = 3;
/// Values of a span that have a bit each.
const SAME_BITS: usize = u64::BITS as usize;

const SAME_TRACE: u8 = 1;
const HIGH: u8 = 1 << 1;
const ID_IS_PARENT: u8 = 1 << 2;
const PARENT_SHIFT: u8 = 3;
const TIMESTAMP: u8 = 1 << 5;
const LOCAL: u8 = 1 << 6;
const REMOTE: u8 = 1 << 7;

/// Reads a record and appends its spans to `batch`.
///
/// # Errors
/// [`Malformed`] where the bytes are no record of version 1, or where the batch takes no more.
pub(crate) fn decode(record: &[u8], batch: &mut SpanBatch) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(record);
    if cursor.u8()? != VERSION {
        return Err(Malformed("a journal record of another version than 1"));
    }
    let mut numbering = Numbering::default();
    let text = dictionary::read(&mut cursor, &mut numbering)?;
    let mut reader = Reader {
        start: batch.add_text(text).start(),
        numbering: &numbering,
        last: vec![Last::default(); numbering.families().len()],
        before: Before::default(),
    };
    for _ in 0..cursor.count(SPAN_BYTES_MIN)? {
        reader.read_span(&mut cursor, batch)?;
    }
    if cursor.is_empty() {
        Ok(())
    } else {
        Err(Malformed("bytes after the last span of a record"))
    }
}

/// What a span can take over from the one before.
#[derive(Clone, Copy, Debug, Default)]
struct Before {
    trace_id: Option<TraceId>,
    id: Option<SpanId>,
    parent_id: Option<SpanId>,
    /// The last one written, microseconds since the epoch.
    timestamp: u64,
    local: Address,
}

/// What a span can take over from the last one of its family.
#[derive(Clone, Debug, Default)]
struct Last {
    remote: Address,
    /// Empty before the first span, or where there are none.
    values: Vec<u32>,
}

struct Reader<'n> {
    /// Where the texts of the record begin in those of the batch.
    start: usize,
    numbering: &'n Numbering,
    /// One a family.
    last: Vec<Last>,
    before: Before,
}

impl Reader<'_> {
    fn read_span(&mut self, cursor: &mut Cursor<'_>, batch: &mut SpanBatch) -> Result<(), Malformed> {
        let number = cursor.varint()? as usize;
        let family = self.numbering.families().get(number);
        let family = family.ok_or(Malformed("a family number beyond the families"))?;
        let head = self.read_head(number, cursor)?;
        self.read_values(number, family, cursor)?;
        let text = |number: u32| match self.numbering.text(number) {
            Text::EMPTY => Text::EMPTY,
            text => Text::new(self.start + text.start(), text.len()),
        };
        let (tags, annotations) = self.last[number].values.split_at(family.tags as usize);
        let keys = self.numbering.keys(family).iter();
        batch.push_tags(keys.zip(tags).map(|(&key, &value)| (text(key), text(value))));
        for &value in annotations {
            let time = self.before.timestamp.wrapping_add(cursor.zigzag()? as u64);
            batch.push_annotation(time, text(value));
        }
        batch
            .finish_normalised(&draft_of(family, &head, text))
            .map_err(|_| Malformed("a span that a batch does not take"))
    }

    fn read_head(&mut self, family: usize, cursor: &mut Cursor<'_>) -> Result<SpanHead, Malformed> {
        let (before, flags) = (&mut self.before, cursor.u8()?);
        if flags & SAME_TRACE == 0 {
            let low = cursor.u64()?;
            let high = if flags & HIGH != 0 { cursor.u64()? } else { 0 };
            before.trace_id = TraceId::new(high, low);
        }
        let id = match flags & ID_IS_PARENT {
            0 => Some(SpanId::new(cursor.u64()?)),
            _ => before.parent_id,
        };
        let parent_id = match flags >> PARENT_SHIFT & 0b11 {
            0 => None,
            1 => Some(SpanId::new(cursor.u64()?)),
            2 => before.parent_id,
            _ => before.id,
        };
        (before.id, before.parent_id) = (id, parent_id);
        let mut timestamp = None;
        if flags & TIMESTAMP != 0 {
            before.timestamp = before.timestamp.wrapping_add(cursor.zigzag()? as u64);
            timestamp = Some(before.timestamp).filter(|&timestamp| timestamp != 0);
        }
        let duration = Some(cursor.varint()?).filter(|&duration| duration != 0);
        if flags & LOCAL != 0 {
            before.local = read_address(cursor)?;
        }
        let remote = &mut self.last[family].remote;
        if flags & REMOTE != 0 {
            *remote = read_address(cursor)?;
        }
        let (Some(trace_id), Some(id)) = (before.trace_id, id) else {
            return Err(Malformed("a span without a trace identifier or its own"));
        };
        Ok(SpanHead {
            trace_id,
            id,
            parent_id,
            timestamp,
            duration,
            local: before.local,
            remote: *remote,
        })
    }

    /// Reads the values of a span in place of those of the last one of its family.
    fn read_values(
        &mut self,
        number: usize,
        family: &Family,
        cursor: &mut Cursor<'_>,
    ) -> Result<(), Malformed> {
        let count = family.values();
        if count == 0 {
            return Ok(());
        }
        let same = cursor.varint()? & family.all_bits();
        let values = &mut self.last[number].values;
        if values.is_empty() {
            if same != 0 {
                return Err(Malformed("a value as before without one before"));
            }
            values.resize(count, 0);
        }
        let texts = self.numbering.texts().len();
        for (slot, value) in values.iter_mut().enumerate() {
            if slot >= SAME_BITS || same >> slot & 1 == 0 {
                *value = dictionary::read_number(cursor, texts)?;
            }
        }
        Ok(())
    }
}

//! Writing a record.

use model::{EndpointDraft, SpanBatch, SpanRef};

use crate::bytes::Put;
use crate::dictionary::put_family;
use crate::numbering::{NO_TEXT, Numbering};
use crate::row::{Address, Frame, SpanHead};
use crate::shapes::{Bits, RecordShape, Shapes};
use crate::{RECORD_BYTES_MAX, RUN_HIGH, VERSION};

/// Bytes of rows after which a run ends.
const RUN_BYTES_MAX: usize = 16 << 10;

/// Appends the record of a batch; see [`crate::encode_numbered`].
pub(crate) fn encode(batch: &SpanBatch, numbering: &Numbering, open: &[Option<u64>], record: &mut Vec<u8>) {
    let shapes = Shapes::of(numbering, open);
    record.push(VERSION);
    let numbers = put_texts(batch, numbering, &shapes, record);
    let number = |text: u32| numbers[text as usize];
    record.put_varint(numbering.families().len() as u64);
    for family in numbering.families() {
        put_family(family, numbering.keys(family), number, record);
    }
    record.put_varint(shapes.all.len() as u64);
    for shape in &shapes.all {
        put_shape(shape, numbering, &shapes, number, record);
    }
    record.put_varint(batch.len() as u64);
    let mut runs = Runs::default();
    for (index, span) in batch.iter().enumerate() {
        runs.add(span, index, batch, numbering, &shapes, record);
        if record.len() > RECORD_BYTES_MAX as usize {
            break;
        }
    }
    runs.end(record);
}

/// Appends the texts that families and shapes have; gives the numbers that these have there, by those that they had.
fn put_texts(batch: &SpanBatch, numbering: &Numbering, shapes: &Shapes, record: &mut Vec<u8>) -> Vec<u32> {
    let mut numbers = vec![NO_TEXT; numbering.texts().len()];
    let mut used = Vec::with_capacity(numbers.len());
    let mut bytes = 0;
    let mut use_text = |text: u32| {
        if text != NO_TEXT && numbers[text as usize] == NO_TEXT {
            numbers[text as usize] = used.len() as u32;
            let text = numbering.texts()[text as usize];
            bytes += text.len();
            used.push(text);
        }
    };
    for family in numbering.families() {
        for text in [family.service, family.name, family.remote_service] {
            use_text(text);
        }
        numbering.keys(family).iter().for_each(|&key| use_text(key));
    }
    shapes.values.iter().for_each(|&value| use_text(value));
    record.reserve(bytes + used.len() * 2 + numbering.families().len() * 16 + batch.len() * 80 + 16);
    record.put_varint(used.len() as u64);
    used.iter().for_each(|text| record.put_varint(text.len() as u64));
    used.iter()
        .for_each(|&text| record.extend_from_slice(batch.bytes(text)));
    numbers
}

fn put_shape(
    shape: &RecordShape,
    numbering: &Numbering,
    shapes: &Shapes,
    number: impl Fn(u32) -> u32,
    record: &mut Vec<u8>,
) {
    record.put_varint(u64::from(shape.family));
    let all = numbering.families()[shape.family as usize].all_bits();
    if all != 0 {
        record.put_varint(shape.open);
    }
    let closed = (all & !shape.open).count_ones() as usize;
    let start = shape.values as usize;
    for &value in &shapes.values[start..start + closed] {
        record.put_varint(u64::from(number(value)));
    }
}

/// Gathers the rows of one trace that come after another.
#[derive(Default)]
struct Runs {
    low: u64,
    /// Before the first row, and after the last.
    begun: Frame,
    frame: Frame,
    rows: Vec<u8>,
    /// Of each row its shape and its length.
    index: Vec<u8>,
    count: u64,
    /// The base of the run before.
    base_before: u64,
}

impl Runs {
    fn add(
        &mut self,
        span: SpanRef<'_>,
        index: usize,
        batch: &SpanBatch,
        numbering: &Numbering,
        shapes: &Shapes,
        record: &mut Vec<u8>,
    ) {
        let head = head_of(span);
        if head.trace_id.low() != self.low || self.rows.len() >= RUN_BYTES_MAX || self.count == 0 {
            self.end(record);
            self.low = head.trace_id.low();
            self.begun = Frame::new(head.trace_id.high(), head.timestamp.unwrap_or(self.base_before));
            self.frame = self.begun;
        }
        let (_, values) = numbering.span(index);
        let shape = shapes.of_spans[index];
        let open = Open::new(shapes.all[shape as usize].open, values);
        let start = self.rows.len();
        let texts = numbering.texts();
        let text = |slot: usize| batch.bytes(texts[values[slot] as usize]);
        let times = span.annotation_texts().iter().map(|annotation| annotation.0);
        self.frame.write(&head, open.map(text), times, &mut self.rows);
        self.index.put_varint(u64::from(shape));
        self.index.put_varint((self.rows.len() - start) as u64);
        self.count += 1;
    }

    fn end(&mut self, record: &mut Vec<u8>) {
        if self.count == 0 {
            return;
        }
        let high = self.begun.high;
        record.put_varint(self.count << 1 | if high != 0 { RUN_HIGH } else { 0 });
        record.put_u64(self.low);
        if high != 0 {
            record.put_u64(high);
        }
        record.put_zigzag(self.begun.base.wrapping_sub(self.base_before) as i64);
        record.extend_from_slice(&self.index);
        record.extend_from_slice(&self.rows);
        self.base_before = self.begun.base;
        self.rows.clear();
        self.index.clear();
        self.count = 0;
    }
}

/// The slots of values that are in the row: those of the bits, and those that have none.
struct Open {
    bits: Bits,
    beyond: std::ops::Range<usize>,
}

impl Open {
    fn new(open: u64, values: &[u32]) -> Self {
        Self {
            bits: Bits(open),
            beyond: u64::BITS as usize..values.len().max(u64::BITS as usize),
        }
    }
}

impl Iterator for Open {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        self.bits.next().or_else(|| self.beyond.next())
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.bits.len() + self.beyond.len();
        (left, Some(left))
    }
}

impl ExactSizeIterator for Open {}

fn head_of(span: SpanRef<'_>) -> SpanHead {
    SpanHead {
        trace_id: span.trace_id(),
        id: span.id(),
        parent_id: span.parent_id(),
        timestamp: span.timestamp(),
        duration: span.duration(),
        local: address(span.local_draft()),
        remote: address(span.remote_draft()),
    }
}

fn address(endpoint: &EndpointDraft) -> Address {
    (endpoint.ip, endpoint.port)
}

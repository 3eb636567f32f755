//! Reading a record.

use std::ops::Range;

use model::{EndpointDraft, SpanBatch, SpanDraft, Text};

use crate::bytes::{Cursor, Malformed};
use crate::dictionary;
use crate::numbering::{Family, Numbering};
use crate::row::{Address, Frame, Local, SpanHead, read_address};
use crate::shapes::{Bits, RecordShape};
use crate::{RUN_HIGH, VERSION};

/// The smallest row: shape, length, flags, counts and identifier.
const ROW_BYTES_MIN: usize = 12;

/// Reads records one after the other, into the same memory.
#[derive(Debug, Default)]
pub struct RecordReader {
    /// Texts and families.
    numbering: Numbering,
    shapes: Vec<RecordShape>,
    /// Numbers of the texts that are values of shapes.
    values: Vec<u32>,
    runs: Vec<RecordRun>,
    rows: Vec<RecordRow>,
    /// Who recorded rows; the first is nobody.
    locals: Vec<Address>,
}

/// Rows of one trace next to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRun {
    /// The low 64 bits of the trace's identifier.
    pub low: u64,
    /// The frame of the first row.
    pub high: u64,
    /// See [`Frame::base`].
    pub base: u64,
    /// Least and greatest timestamp, microseconds since the epoch, 0 when no row has one.
    pub times: (u64, u64),
    /// When the last one ended, microseconds since the epoch, 0 when none has a timestamp.
    pub end: u64,
    /// The longest duration, microseconds.
    pub longest: u64,
    rows: (u32, u32),
    bytes: (u32, u32),
}

/// A row as it lies in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRow {
    /// The number of its shape.
    pub shape: u32,
    /// Microseconds since the epoch, 0 for none.
    pub timestamp: u64,
    local: u32,
    bytes: (u32, u32),
}

/// A value of a span: its text, and the number of it where it is one of the shape's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordValue<'r> {
    /// What it says.
    pub text: &'r str,
    number: Option<u32>,
}

/// Everything that a row and its shape say, but for texts of the family.
#[derive(Clone, Copy, Debug)]
pub struct RecordSpan<'s, 'r> {
    /// The number of its shape.
    pub shape: u32,
    /// Identifiers, times and addresses.
    pub head: SpanHead,
    /// Of tags, then of annotations.
    pub values: &'s [RecordValue<'r>],
    /// Microseconds since the epoch.
    pub annotation_times: &'s [u64],
}

/// The spans of a record as they lie in it: for who needs no [`SpanBatch`] of them.
#[derive(Clone, Copy, Debug)]
pub struct RecordSpans<'r> {
    record: &'r [u8],
    text: &'r str,
    numbering: &'r Numbering,
    shapes: &'r [RecordShape],
    values: &'r [u32],
    runs: &'r [RecordRun],
    rows: &'r [RecordRow],
    locals: &'r [Address],
}

impl RecordReader {
    /// Reads a record. What is within a row is read by [`RecordSpans::read_run`].
    ///
    /// # Errors
    /// [`Malformed`] where the bytes are no record of this version; [`crate::renew`] knows earlier ones.
    pub fn read<'r>(&'r mut self, record: &'r [u8]) -> Result<RecordSpans<'r>, Malformed> {
        let mut cursor = Cursor::new(record);
        if cursor.u8()? != VERSION {
            return Err(Malformed("a journal record of an unknown version"));
        }
        let text = dictionary::read(&mut cursor, &mut self.numbering)?;
        self.read_shapes(&mut cursor)?;
        self.runs.clear();
        self.rows.clear();
        self.locals.clear();
        self.locals.push(Address::default());
        let (count, mut base) = (cursor.count(ROW_BYTES_MIN)?, 0);
        self.rows.reserve(count);
        while self.rows.len() < count {
            let run = self.read_run(&mut cursor, base, record.len())?;
            base = run.base;
            self.runs.push(run);
        }
        if self.rows.len() > count || !cursor.is_empty() {
            return Err(Malformed("other spans than a record says it has"));
        }
        Ok(RecordSpans {
            record,
            text,
            numbering: &self.numbering,
            shapes: &self.shapes,
            values: &self.values,
            runs: &self.runs,
            rows: &self.rows,
            locals: &self.locals,
        })
    }

    fn read_shapes(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
        self.shapes.clear();
        self.values.clear();
        let texts = self.numbering.texts().len();
        for _ in 0..cursor.count(1)? {
            let number = cursor.varint()?;
            let family = usize::try_from(number).ok();
            let family = family.and_then(|family| self.numbering.families().get(family));
            let family = family.ok_or(Malformed("a family number beyond the families"))?;
            let all = family.all_bits();
            let open = if all == 0 { 0 } else { cursor.varint()? & all };
            let values = self.values.len() as u32;
            for _ in Bits(all & !open) {
                self.values.push(dictionary::read_number(cursor, texts)?);
            }
            self.shapes.push(RecordShape {
                family: number as u32,
                open,
                values,
            });
        }
        Ok(())
    }

    /// Reads a run that follows one of this base, in a record of so many bytes.
    fn read_run(
        &mut self,
        cursor: &mut Cursor<'_>,
        base: u64,
        length: usize,
    ) -> Result<RecordRun, Malformed> {
        let first = self.rows.len();
        let count = cursor.varint()?;
        let low = cursor.u64()?;
        let high = if count & RUN_HIGH != 0 { cursor.u64()? } else { 0 };
        let frame = Frame::new(high, base.wrapping_add(cursor.zigzag()? as u64));
        let count = count >> 1;
        if count == 0 || count > (cursor.remaining() / ROW_BYTES_MIN) as u64 || (low, high) == (0, 0) {
            return Err(Malformed(
                "a run without rows, without a trace, or of more rows than follow",
            ));
        }
        let (shapes, mut bytes) = (self.shapes.len() as u64, 0);
        for _ in 0..count {
            let shape = cursor.varint()?;
            if shape >= shapes {
                return Err(Malformed("a shape number beyond the shapes"));
            }
            // Where it is among the rows of this run, for now.
            let start = bytes;
            bytes += cursor.count(1)?;
            self.rows.push(RecordRow {
                shape: shape as u32,
                timestamp: 0,
                local: 0,
                bytes: (start as u32, bytes as u32),
            });
        }
        let start = length - cursor.remaining();
        let bytes = cursor.take(bytes)?;
        let mut run = RecordRun {
            low,
            high,
            base: frame.base,
            times: (0, 0),
            end: 0,
            longest: 0,
            rows: (first as u32, self.rows.len() as u32),
            bytes: (0, 0),
        };
        let mut local = 0;
        for row in &mut self.rows[first..] {
            let (from, to) = row.bytes;
            let skimmed = frame.skim(&mut Cursor::new(&bytes[from as usize..to as usize]))?;
            local = match skimmed.local {
                Local::None => 0,
                Local::Same => local,
                Local::Other(address) => {
                    self.locals.push(address);
                    self.locals.len() as u32 - 1
                }
            };
            row.bytes = (start as u32 + from, start as u32 + to);
            (row.timestamp, row.local) = (skimmed.timestamp, local);
            run.note(skimmed.timestamp, skimmed.duration);
        }
        run.bytes = (start as u32, (start + bytes.len()) as u32);
        Ok(run)
    }
}

impl RecordRun {
    #[inline]
    fn note(&mut self, timestamp: u64, duration: u64) {
        self.longest = self.longest.max(duration);
        if timestamp != 0 {
            self.end = self.end.max(timestamp.saturating_add(duration));
            self.times = match self.times {
                (0, 0) => (timestamp, timestamp),
                (first, last) => (first.min(timestamp), last.max(timestamp)),
            };
        }
    }
}

impl<'r> RecordSpans<'r> {
    /// How many there are.
    pub fn len(self) -> usize {
        self.rows.len()
    }

    /// True if there is none.
    pub fn is_empty(self) -> bool {
        self.rows.is_empty()
    }

    /// The numbers of its texts, and its families.
    pub fn numbering(self) -> &'r Numbering {
        self.numbering
    }

    /// A text of [`RecordSpans::numbering`]; empty for [`crate::NO_TEXT`].
    #[inline]
    pub fn text(self, number: u32) -> &'r str {
        let text = self.numbering.text(number);
        &self.text[text.start()..text.start() + text.len()]
    }

    /// What rows are against, by number.
    pub fn shapes(self) -> &'r [RecordShape] {
        self.shapes
    }

    /// The family of one of its shapes.
    pub fn family_of(self, shape: &RecordShape) -> &'r Family {
        &self.numbering.families()[shape.family as usize]
    }

    /// The slots of one of its shapes that are not open, in order, each with the number of its text.
    pub fn closed_values(self, shape: &RecordShape) -> impl ExactSizeIterator<Item = (usize, u32)> + 'r {
        let values = &self.values[shape.values as usize..];
        let closed = Bits(self.family_of(shape).all_bits() & !shape.open);
        closed.zip(values.iter().copied())
    }

    /// What it is made of.
    pub fn runs(self) -> &'r [RecordRun] {
        self.runs
    }

    /// The rows of one of its runs.
    #[inline]
    pub fn rows(self, run: &RecordRun) -> &'r [RecordRow] {
        &self.rows[run.rows.0 as usize..run.rows.1 as usize]
    }

    /// Who recorded a row.
    #[inline]
    pub fn local(self, row: &RecordRow) -> Address {
        self.locals[row.local as usize]
    }

    /// Where the rows of one of its runs are in the record, each as [`Frame::write`] wrote it.
    #[inline]
    pub fn range(self, run: &RecordRun) -> Range<usize> {
        run.bytes.0 as usize..run.bytes.1 as usize
    }

    /// What [`RecordSpans::range`] is of.
    pub fn record(self) -> &'r [u8] {
        self.record
    }

    fn bytes(self, row: &RecordRow) -> &'r [u8] {
        &self.record[row.bytes.0 as usize..row.bytes.1 as usize]
    }

    /// A value of a row: that of its shape, or its own.
    ///
    /// # Errors
    /// [`Malformed`] where its shape has no such value, or what is within the row is not what was written.
    pub fn value(self, row: &RecordRow, slot: usize) -> Result<&'r str, Malformed> {
        let shape = &self.shapes[row.shape as usize];
        if let Some((_, number)) = self.closed_values(shape).find(|closed| closed.0 == slot) {
            return Ok(self.text(number));
        }
        let mut cursor = Cursor::new(self.bytes(row));
        let skimmed = Frame::default().skim(&mut cursor)?;
        if skimmed.has_remote {
            read_address(&mut cursor)?;
        }
        let closed_before = self.closed_values(shape).filter(|closed| closed.0 < slot);
        for _ in 0..slot - closed_before.count() {
            cursor.text()?;
        }
        cursor.text()
    }

    /// Gives `visit` the rows of one of its runs as they are read.
    ///
    /// # Errors
    /// [`Malformed`] where what is within a row is not what was written, and those of `visit`.
    pub fn read_run(
        self,
        run: &RecordRun,
        mut visit: impl FnMut(RecordSpan<'_, 'r>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let mut frame = Frame::new(run.high, run.base);
        let (mut values, mut annotation_times) = (Vec::new(), Vec::new());
        for row in self.rows(run) {
            let shape = &self.shapes[row.shape as usize];
            let family = self.family_of(shape);
            let mut cursor = Cursor::new(self.bytes(row));
            let (head, inline, annotations) = frame.read_head(run.low, &mut cursor)?;
            values.clear();
            let closed = self.closed_values(shape);
            if (inline + closed.len(), annotations) != (family.values(), family.annotations as usize) {
                return Err(Malformed("a row with other values than its shape leaves open"));
            }
            let mut closed = closed.peekable();
            for slot in 0..family.values() {
                values.push(match closed.next_if(|closed| closed.0 == slot) {
                    Some((_, number)) => RecordValue {
                        text: self.text(number),
                        number: Some(number),
                    },
                    None => RecordValue {
                        text: cursor.text()?,
                        number: None,
                    },
                });
            }
            annotation_times.clear();
            for _ in 0..annotations {
                annotation_times.push(frame.read_time(&mut cursor)?);
            }
            if !cursor.is_empty() {
                return Err(Malformed("bytes after the end of a row"));
            }
            visit(RecordSpan {
                shape: row.shape,
                head,
                values: &values,
                annotation_times: &annotation_times,
            })?;
        }
        Ok(())
    }

    /// Appends the spans to a batch, as they were: they are not normalised again.
    ///
    /// # Errors
    /// [`Malformed`] where what is within a row is not what was written, or the batch takes no more
    /// ([`SpanBatch::set_spans_max`]).
    pub fn append_to(self, batch: &mut SpanBatch) -> Result<(), Malformed> {
        let start = batch.add_text(self.text).start();
        let text = |number: u32| match self.numbering.text(number) {
            Text::EMPTY => Text::EMPTY,
            text => Text::new(start + text.start(), text.len()),
        };
        let mut values = Vec::new();
        for run in self.runs {
            self.read_run(run, |span| {
                values.clear();
                for value in span.values {
                    values.push(match value.number {
                        Some(number) => text(number),
                        None => batch.add_text(value.text),
                    });
                }
                let family = self.family_of(&self.shapes[span.shape as usize]);
                let (tags, annotations) = values.split_at(family.tags as usize);
                let keys = self.numbering.keys(family).iter().map(|&key| text(key));
                batch.push_tags(keys.zip(tags.iter().copied()));
                for (&time, &value) in span.annotation_times.iter().zip(annotations) {
                    batch.push_annotation(time, value);
                }
                let draft = draft_of(family, &span.head, text);
                batch
                    .finish_normalised(&draft)
                    .map_err(|_| Malformed("a span that a batch does not take"))
            })?;
        }
        Ok(())
    }
}

/// A span of a family; `text` gives the batch's texts by their numbers.
pub(crate) fn draft_of(family: &Family, head: &SpanHead, text: impl Fn(u32) -> Text) -> SpanDraft {
    let endpoint = |service, (ip, port)| EndpointDraft {
        service_name: text(service),
        ip,
        port,
    };
    SpanDraft {
        trace_id: Some(head.trace_id),
        parent_id: head.parent_id,
        id: Some(head.id),
        kind: family.kind,
        name: text(family.name),
        timestamp: head.timestamp.unwrap_or(0) as i64,
        duration: head.duration.unwrap_or(0) as i64,
        local_endpoint: endpoint(family.service, head.local),
        remote_endpoint: endpoint(family.remote_service, head.remote),
        debug: family.debug,
        shared: family.shared,
    }
}

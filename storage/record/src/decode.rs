//! Reading a record.

use std::net::{Ipv4Addr, Ipv6Addr};

use model::{EndpointDraft, IpAddresses, Kind, SpanBatch, SpanDraft, SpanId, Text, TraceId};

use crate::bytes::{Cursor, Malformed};
use crate::numbering::{Family, NO_TEXT, Numbering};
use crate::{Address, Known, Parent, VERSION, family_flag, span_flag};

/// The smallest family: flags and two counts.
const FAMILY_BYTES_MIN: usize = 3;
/// The smallest span: family, flags, duration, an identifier that is not as before.
const SPAN_BYTES_MIN: usize = 3;

/// Reads records one after the other, into the same memory.
#[derive(Debug, Default)]
pub struct RecordReader {
    numbering: Numbering,
    spans: Vec<ReadSpan>,
    /// Of the annotations of all spans, in order.
    annotation_times: Vec<u64>,
    /// Of each family that of its last span.
    remotes: Vec<Address>,
}

/// What a span says beside its texts, flags and annotations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanHead {
    /// The trace it belongs to.
    pub trace_id: TraceId,
    /// Its identifier.
    pub id: SpanId,
    /// The span that caused it.
    pub parent_id: Option<SpanId>,
    /// Microseconds since the epoch, not 0.
    pub timestamp: Option<u64>,
    /// Microseconds, not 0.
    pub duration: Option<u64>,
    /// Who recorded it.
    pub local: Address,
    /// Who was on the other side.
    pub remote: Address,
}

/// A [`SpanHead`] in fewer bytes: many of them are written and read again soon.
#[derive(Debug)]
struct ReadSpan {
    trace_id: TraceId,
    id: SpanId,
    parent_id: Option<SpanId>,
    /// 0 where there is none.
    timestamp: u64,
    duration: u64,
    local: Address,
    remote: Address,
    /// Where its annotations are among those of all.
    annotations: (u32, u32),
}

/// The spans of a record as they lie in it: for who needs no [`SpanBatch`] of them.
#[derive(Clone, Copy, Debug)]
pub struct RecordSpans<'r> {
    text: &'r str,
    numbering: &'r Numbering,
    spans: &'r [ReadSpan],
    annotation_times: &'r [u64],
}

impl RecordReader {
    /// Reads a record.
    ///
    /// # Errors
    /// [`Malformed`] where the bytes are no record of this version.
    pub fn read<'r>(&'r mut self, record: &'r [u8]) -> Result<RecordSpans<'r>, Malformed> {
        self.numbering.clear();
        self.spans.clear();
        self.annotation_times.clear();
        self.remotes.clear();
        let mut cursor = Cursor::new(record);
        if cursor.u8()? != VERSION {
            return Err(Malformed("a journal record of an unknown version"));
        }
        let text = read_texts(&mut cursor, &mut self.numbering)?;
        let mut annotations = 0;
        for _ in 0..cursor.count(FAMILY_BYTES_MIN)? {
            annotations += read_family(&mut cursor, &mut self.numbering, annotations)?;
        }
        let families = self.numbering.families().len();
        self.remotes.resize(families, Address::default());
        let count = cursor.count(SPAN_BYTES_MIN)?;
        self.numbering.reserve(count);
        self.spans.reserve(count);
        let mut previous = Known::default();
        for _ in 0..count {
            self.read_span(&mut cursor, &mut previous)?;
        }
        if !cursor.is_empty() {
            return Err(Malformed("bytes after the last span of a record"));
        }
        Ok(RecordSpans {
            text,
            numbering: &self.numbering,
            spans: &self.spans,
            annotation_times: &self.annotation_times,
        })
    }

    fn read_span(&mut self, cursor: &mut Cursor<'_>, previous: &mut Known) -> Result<(), Malformed> {
        let number = cursor.varint()? as usize;
        let remote = self
            .remotes
            .get_mut(number)
            .ok_or(Malformed("a family number beyond the families"))?;
        let flags = cursor.u8()?;
        let trace_id = read_trace_id(cursor, flags, previous)?;
        let id = if flags & span_flag::ID_IS_PARENT != 0 {
            previous.parent_id
        } else {
            Some(SpanId::new(cursor.u64()?))
        };
        let parent_id = match Parent::of(flags >> span_flag::PARENT_SHIFT) {
            Parent::None => None,
            Parent::Written => Some(SpanId::new(cursor.u64()?)),
            Parent::Same => previous.parent_id,
            Parent::Previous => previous.id,
        };
        let timestamp = if flags & span_flag::TIMESTAMP != 0 {
            previous.timestamp = previous.timestamp.wrapping_add(cursor.zigzag()? as u64);
            previous.timestamp
        } else {
            0
        };
        let duration = cursor.varint()?;
        if flags & span_flag::LOCAL != 0 {
            previous.local = read_address(cursor)?;
        }
        if flags & span_flag::REMOTE != 0 {
            *remote = read_address(cursor)?;
        }
        let (Some(of_trace), Some(of_span)) = (trace_id, id) else {
            return Err(Malformed("a span without a trace identifier or its own"));
        };
        (previous.trace_id, previous.id, previous.parent_id) = (trace_id, id, parent_id);
        let remote = *remote;
        self.read_values(cursor, number)?;
        let start = self.annotation_times.len() as u32;
        for _ in 0..self.numbering.families()[number].annotations {
            let time = previous.timestamp.wrapping_add(cursor.zigzag()? as u64);
            self.annotation_times.push(time);
        }
        self.spans.push(ReadSpan {
            trace_id: of_trace,
            id: of_span,
            parent_id,
            timestamp,
            duration,
            local: previous.local,
            remote,
            annotations: (start, self.annotation_times.len() as u32),
        });
        Ok(())
    }

    #[inline]
    fn read_values(&mut self, cursor: &mut Cursor<'_>, number: usize) -> Result<(), Malformed> {
        let (families, texts) = (self.numbering.families(), self.numbering.texts().len());
        let same = match families[number].values() {
            0 => 0,
            _ => cursor.varint()?,
        };
        self.numbering
            .read_span(number as u32, same, || read_number(cursor, texts))
    }
}

impl<'r> RecordSpans<'r> {
    /// The numbers of its texts, which are those it was written with.
    pub fn numbering(self) -> &'r Numbering {
        self.numbering
    }

    /// A text of [`RecordSpans::numbering`].
    ///
    /// # Panics
    /// If it is one of something else, and lies beyond the texts of this.
    #[inline]
    pub fn text(self, text: Text) -> &'r str {
        &self.text[text.start()..text.start() + text.len()]
    }

    /// As [`RecordSpans::text`], as UTF-8.
    #[inline]
    pub fn bytes(self, text: Text) -> &'r [u8] {
        &self.text.as_bytes()[text.start()..text.start() + text.len()]
    }

    /// # Panics
    /// If there is no such span.
    #[inline]
    pub fn head(self, index: usize) -> SpanHead {
        let span = &self.spans[index];
        SpanHead {
            trace_id: span.trace_id,
            id: span.id,
            parent_id: span.parent_id,
            timestamp: Some(span.timestamp).filter(|&timestamp| timestamp != 0),
            duration: Some(span.duration).filter(|&duration| duration != 0),
            local: span.local,
            remote: span.remote,
        }
    }

    /// Of its annotations, in order, microseconds since the epoch.
    ///
    /// # Panics
    /// If there is no such span.
    #[inline]
    pub fn annotation_times(self, index: usize) -> &'r [u64] {
        let (start, end) = self.spans[index].annotations;
        &self.annotation_times[start as usize..end as usize]
    }

    /// Appends the spans to a batch, as they were: they are not normalised again. [`RecordSpans::numbering`] is then also
    /// that of the batch, if nothing was in it.
    ///
    /// # Errors
    /// [`Malformed`] where the batch takes no more ([`SpanBatch::set_spans_max`]).
    pub fn append_to(self, batch: &mut SpanBatch) -> Result<(), Malformed> {
        let start = batch.add_text(self.text).start();
        let text = |number: u32| match self.numbering.text(number) {
            Text::EMPTY => Text::EMPTY,
            text => Text::new(start + text.start(), text.len()),
        };
        for index in 0..self.spans.len() {
            let head = self.head(index);
            let (number, values) = self.numbering.span(index);
            let family = &self.numbering.families()[number as usize];
            let (tags, annotations) = values.split_at(family.tags as usize);
            let keys = self.numbering.keys(family).iter();
            batch.push_tags(keys.zip(tags).map(|(&key, &value)| (text(key), text(value))));
            for (&time, &value) in self.annotation_times(index).iter().zip(annotations) {
                batch.push_annotation(time, text(value));
            }
            let endpoint = |service, (ip, port)| EndpointDraft {
                service_name: text(service),
                ip,
                port,
            };
            let draft = SpanDraft {
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
            };
            batch
                .finish_normalised(&draft)
                .map_err(|_| Malformed("a span that a batch does not take"))?;
        }
        Ok(())
    }
}

/// Reads the texts, which are numbered by where they are among all.
fn read_texts<'r>(cursor: &mut Cursor<'r>, numbering: &mut Numbering) -> Result<&'r str, Malformed> {
    let count = cursor.count(1)?;
    let mut lengths = cursor.clone();
    let mut bytes = 0usize;
    for _ in 0..count {
        let length = cursor.varint()? as usize;
        bytes = bytes
            .checked_add(length)
            .ok_or(Malformed("texts beyond all memory"))?;
    }
    let bytes = cursor.take(bytes)?;
    let all = std::str::from_utf8(bytes).map_err(|_| Malformed("text that is not UTF-8"))?;
    // Then every place is between two characters.
    let is_ascii = all.is_ascii();
    let mut end = 0;
    for _ in 0..count {
        let length = lengths.varint()? as usize;
        let text = Text::new(end, length);
        end += length;
        if !is_ascii && !all.is_char_boundary(end) {
            return Err(Malformed("a text that ends within a character"));
        }
        numbering.push_text(text);
    }
    Ok(all)
}

#[inline(always)]
fn read_number(cursor: &mut Cursor<'_>, texts: usize) -> Result<u32, Malformed> {
    let number = cursor.varint()?;
    if number < texts as u64 {
        Ok(number as u32)
    } else {
        Err(Malformed("a text number beyond the texts"))
    }
}

/// Reads a family, after others of so many annotations; gives how many it has.
fn read_family(
    cursor: &mut Cursor<'_>,
    numbering: &mut Numbering,
    annotations_before: usize,
) -> Result<usize, Malformed> {
    let flags = cursor.u8()?;
    let text_count = numbering.texts().len();
    let mut optional = |bit: u8| match flags & bit {
        0 => Ok(NO_TEXT),
        _ => read_number(cursor, text_count),
    };
    let texts = [
        optional(family_flag::SERVICE)?,
        optional(family_flag::NAME)?,
        optional(family_flag::REMOTE_SERVICE)?,
    ];
    let tags = cursor.count(1)?;
    for _ in 0..tags {
        let key = read_number(cursor, text_count)?;
        numbering.push_key(key);
    }
    let annotations = cursor.varint()?;
    // Every family has a span, and each of its annotations takes a byte there.
    if annotations > (cursor.remaining() as u64).saturating_sub(annotations_before as u64) {
        return Err(Malformed("a count beyond the bytes that follow"));
    }
    let family = Family::new(
        Kind::from_number(u64::from(flags & family_flag::KIND)),
        flags & family_flag::DEBUG != 0,
        flags & family_flag::SHARED != 0,
        texts,
    );
    numbering.push_family(family, tags as u32, annotations as u32);
    Ok(annotations as usize)
}

fn read_trace_id(cursor: &mut Cursor<'_>, flags: u8, previous: &Known) -> Result<Option<TraceId>, Malformed> {
    if flags & span_flag::SAME_TRACE != 0 {
        return Ok(previous.trace_id);
    }
    let low = cursor.u64()?;
    let high = if flags & span_flag::HIGH != 0 {
        cursor.u64()?
    } else {
        0
    };
    Ok(TraceId::new(high, low))
}

fn read_address(cursor: &mut Cursor<'_>) -> Result<Address, Malformed> {
    let (ip, _) = read_addresses(cursor)?;
    Ok((ip, read_port(cursor)?))
}

/// The reverse of [`crate::put_addresses`]; also gives the byte's further bits.
///
/// # Errors
/// [`Malformed`] where the bytes end too early.
pub fn read_addresses(cursor: &mut Cursor<'_>) -> Result<(IpAddresses, u8), Malformed> {
    let flags = cursor.u8()?;
    let mut ip = IpAddresses::default();
    if flags & crate::IP_V4 != 0 {
        ip.v4 = Some(Ipv4Addr::from(cursor.array::<4>()?));
    }
    if flags & crate::IP_V6 != 0 {
        ip.v6 = Some(Ipv6Addr::from(cursor.array::<16>()?));
    }
    Ok((ip, flags & !(crate::IP_V4 | crate::IP_V6)))
}

/// Reads a port.
///
/// # Errors
/// [`Malformed`] for one beyond 65535.
pub fn read_port(cursor: &mut Cursor<'_>) -> Result<u16, Malformed> {
    u16::try_from(cursor.varint()?).map_err(|_| Malformed("a port beyond 65535"))
}

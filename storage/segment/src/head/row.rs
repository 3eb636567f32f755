//! A span as a row in memory: its shape's number, then what the shape does not say. Segments have a coding of their
//! own (`row.rs`).
//!
//! ```text
//! row = present u8 (high 0, parent 1 and 7 (0 none, 1 written, 2 that of the row before, 3 the row before), timestamp 2,
//!           duration 3, local address 4, local as in the row before 5, remote address 6),
//!       counts u8 (values 0..3, annotations 4..7; 15: one more is a varint behind), [values - 15], [annotations - 15],
//!       shape varint, [generic rows: flags u8 (kind 0..2, debug 3, shared 4, service 5, name 6, remote service 7),
//!           number of tags varint],
//!       [trace high u64: only where it differs from the frame's], id u64, [parent u64],
//!       [timestamp zigzag from the frame's base], [duration varint],
//!       [local addresses, port varint], [remote addresses, port varint],
//!       texts of the values that the shape leaves open, zigzag of every annotation's timestamp from the base
//! ```
//!
//! Rows that were written with one [`Frame`] are read in their order with one that began the same. They say how many
//! values they have, so no shape is needed to read them.

use model::{Kind, SpanId, TraceId};

use crate::rows::{Address, GenericRow, RowHead, TraceRows};
use crate::shape::{GENERIC, ShapeNumber};
use storage_record::bytes::{Cursor, Malformed, Pieces, Put};
use storage_record::{put_addresses, read_addresses, read_port};

const HIGH: u8 = 1;
const PARENT: u8 = 1 << 1;
const TIMESTAMP: u8 = 1 << 2;
const DURATION: u8 = 1 << 3;
const LOCAL: u8 = 1 << 4;
const SAME_LOCAL: u8 = 1 << 5;
const REMOTE: u8 = 1 << 6;
/// With [`PARENT`]: the span of the row before. Without: who caused that one.
const PARENT_BEFORE: u8 = 1 << 7;

const DEBUG: u8 = 1 << 3;
const SHARED: u8 = 1 << 4;
const SERVICE: u8 = 1 << 5;
const NAME: u8 = 1 << 6;
const REMOTE_SERVICE: u8 = 1 << 7;

/// A count that does not fit into its half of a byte: what is beyond follows.
const COUNT_MAX: usize = 15;

/// The most bytes of a row before its values: flags and counts 2, counts beyond and the tags of a generic row 3 * 10 + 1,
/// shape 5, identifiers 3 * 8, times 2 * 10, addresses 2 * (1 + 4 + 16 + 3).
const START_BYTES_MAX: usize = 144;

/// What rows of a trace that are next to each other have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    /// The high 64 bits of their trace identifier.
    pub(super) high: u64,
    /// Timestamps are stored as differences from this one, microseconds since the epoch.
    pub(super) base: u64,
    /// The address of the row before, its span and who caused that.
    local: Address,
    id: Option<SpanId>,
    parent_id: Option<SpanId>,
}

impl Frame {
    pub(super) fn new(high: u64, base: u64) -> Self {
        Self {
            high,
            base,
            ..Self::default()
        }
    }

    /// Appends a row. `values` are those that [`TraceRows::push_value`] takes, as UTF-8.
    pub(super) fn write<'v>(
        &mut self,
        head: &RowHead,
        values: impl ExactSizeIterator<Item = &'v [u8]>,
        annotation_times: impl ExactSizeIterator<Item = u64>,
        out: &mut Vec<u8>,
    ) {
        Pieces::<START_BYTES_MAX>::append_to(out, |start| {
            self.write_flags(head, values.len(), annotation_times.len(), start);
            self.write_head(head, start);
        });
        (self.local, self.id, self.parent_id) = (head.local, Some(head.id), head.parent_id);
        for value in values {
            out.put_varint(value.len() as u64);
            out.extend_from_slice(value);
        }
        for time in annotation_times {
            out.put_zigzag(time.wrapping_sub(self.base) as i64);
        }
    }

    #[inline]
    fn write_head(&self, head: &RowHead, out: &mut Pieces<'_, START_BYTES_MAX>) {
        if head.trace_id.high() != self.high {
            out.put_u64(head.trace_id.high());
        }
        out.put_u64(head.id.value());
        if let (PARENT, Some(parent)) = (self.parent_flags(head.parent_id), head.parent_id) {
            out.put_u64(parent.value());
        }
        if let Some(timestamp) = head.timestamp {
            out.put_zigzag(timestamp.wrapping_sub(self.base) as i64);
        }
        if let Some(duration) = head.duration {
            out.put_varint(duration);
        }
        if is_there(head.local) && head.local != self.local {
            put_address(head.local, out);
        }
        if is_there(head.remote) {
            put_address(head.remote, out);
        }
    }

    #[inline]
    fn parent_flags(&self, parent_id: Option<SpanId>) -> u8 {
        match parent_id {
            None => 0,
            Some(_) if parent_id == self.parent_id => PARENT_BEFORE,
            Some(_) if parent_id == self.id => PARENT | PARENT_BEFORE,
            Some(_) => PARENT,
        }
    }

    #[inline]
    fn write_flags(
        &self,
        head: &RowHead,
        values: usize,
        annotations: usize,
        out: &mut Pieces<'_, START_BYTES_MAX>,
    ) {
        let same_local = head.local == self.local;
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        out.put_byte(
            flag(head.trace_id.high() != self.high, HIGH)
                | self.parent_flags(head.parent_id)
                | flag(head.timestamp.is_some(), TIMESTAMP)
                | flag(head.duration.is_some(), DURATION)
                | flag(is_there(head.local) && !same_local, LOCAL)
                | flag(is_there(head.local) && same_local, SAME_LOCAL)
                | flag(is_there(head.remote), REMOTE),
        );
        out.put_byte((values.min(COUNT_MAX) | annotations.min(COUNT_MAX) << 4) as u8);
        for count in [values, annotations] {
            if count >= COUNT_MAX {
                out.put_varint((count - COUNT_MAX) as u64);
            }
        }
        out.put_varint(u64::from(head.shape));
        if let Some(generic) = head.generic {
            out.put_byte(
                generic.kind.map_or(0, |kind| kind as u8)
                    | flag(generic.debug, DEBUG)
                    | flag(generic.shared, SHARED)
                    | flag(generic.has_service, SERVICE)
                    | flag(generic.has_name, NAME)
                    | flag(generic.has_remote_service, REMOTE_SERVICE),
            );
            out.put_varint(u64::from(generic.tags));
        }
    }

    /// Reads the next row of the trace with this low identifier.
    ///
    /// # Errors
    /// [`Malformed`] where the bytes are no row; what was read of it may then be in `rows`, which are of no use.
    pub(super) fn read(
        &mut self,
        low: u64,
        cursor: &mut Cursor<'_>,
        rows: &mut TraceRows,
    ) -> Result<(), Malformed> {
        let present = cursor.u8()?;
        let (values, annotations) = read_counts(cursor)?;
        let shape = ShapeNumber::try_from(cursor.varint()?)
            .map_err(|_| Malformed("a shape number beyond 32 bits"))?;
        let generic = match shape {
            GENERIC => Some(read_generic(cursor, annotations)?),
            _ => None,
        };
        let high = match present & HIGH {
            0 => self.high,
            _ => cursor.u64()?,
        };
        let id = SpanId::new(cursor.u64()?);
        let parent_id = match present & (PARENT | PARENT_BEFORE) {
            0 => None,
            PARENT => Some(SpanId::new(cursor.u64()?)),
            PARENT_BEFORE => self.parent_id,
            _ => self.id,
        };
        (self.id, self.parent_id) = (Some(id), parent_id);
        let timestamp = if_set(present & TIMESTAMP, || self.read_time(cursor))?;
        let duration = if_set(present & DURATION, || cursor.varint())?;
        if present & SAME_LOCAL == 0 {
            self.local = if_set(present & LOCAL, || read_address(cursor))?.unwrap_or_default();
        }
        let remote = if_set(present & REMOTE, || read_address(cursor))?.unwrap_or_default();
        for _ in 0..values {
            rows.push_value(cursor.text()?);
        }
        for _ in 0..annotations {
            rows.push_annotation_time(self.read_time(cursor)?);
        }
        rows.push(RowHead {
            shape,
            trace_id: TraceId::new(high, low).ok_or(Malformed("a trace identifier of zeros"))?,
            id,
            parent_id,
            timestamp,
            duration,
            local: self.local,
            remote,
            generic,
        });
        Ok(())
    }

    fn read_time(&self, cursor: &mut Cursor<'_>) -> Result<u64, Malformed> {
        Ok(self.base.wrapping_add(cursor.zigzag()? as u64))
    }
}

fn if_set<T>(bit: u8, read: impl FnOnce() -> Result<T, Malformed>) -> Result<Option<T>, Malformed> {
    if bit == 0 { Ok(None) } else { read().map(Some) }
}

fn is_there((ip, port): Address) -> bool {
    port != 0 || !ip.is_empty()
}

#[inline]
fn put_address((ip, port): Address, out: &mut impl Put) {
    put_addresses(ip, 0, out);
    out.put_varint(u64::from(port));
}

fn read_address(cursor: &mut Cursor<'_>) -> Result<Address, Malformed> {
    let (ip, _) = read_addresses(cursor)?;
    Ok((ip, read_port(cursor)?))
}

fn read_counts(cursor: &mut Cursor<'_>) -> Result<(usize, usize), Malformed> {
    let counts = usize::from(cursor.u8()?);
    let mut count = |low: usize| match low {
        COUNT_MAX => cursor.count(1).map(|beyond| beyond + COUNT_MAX),
        _ => Ok(low),
    };
    let values = count(counts & COUNT_MAX)?;
    Ok((values, count(counts >> 4)?))
}

fn read_generic(cursor: &mut Cursor<'_>, annotations: usize) -> Result<GenericRow, Malformed> {
    let flags = cursor.u8()?;
    Ok(GenericRow {
        kind: Kind::from_number(u64::from(flags & 7)),
        debug: flags & DEBUG != 0,
        shared: flags & SHARED != 0,
        has_service: flags & SERVICE != 0,
        has_name: flags & NAME != 0,
        has_remote_service: flags & REMOTE_SERVICE != 0,
        tags: cursor.count(2)? as u32,
        annotations: annotations as u32,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Fields;
    use crate::registry::Registry;
    use crate::rows::RowRef;
    use crate::testing::arbitrary_spans;
    use model::Span;
    use proptest::prelude::*;

    /// The spans as rows of one frame, though of several traces.
    fn written(spans: &[Span], generic: bool, registry: &mut Registry) -> Vec<u8> {
        let (mut frame, mut rows, mut bytes) = (Frame::new(1, 1_000_000), TraceRows::default(), Vec::new());
        for span in spans {
            let fields = Fields::of_span(span);
            let number = if generic {
                GENERIC
            } else {
                registry.insert(&fields)
            };
            rows.clear();
            rows.push_fields(&fields, number, registry.table().get(number).unwrap());
            let row: RowRef<'_> = rows.iter().next().unwrap();
            let times = row.annotation_times().iter().copied();
            frame.write(row.head, row.values().map(str::as_bytes), times, &mut bytes);
        }
        bytes
    }

    proptest! {
        #[test]
        fn rows_give_back_their_spans(spans in arbitrary_spans(12), generic in any::<bool>()) {
            let mut registry = Registry::default();
            let bytes = written(&spans, generic, &mut registry);
            let (mut cursor, mut frame) = (Cursor::new(&bytes), Frame::new(1, 1_000_000));
            let mut rows = TraceRows::default();
            for span in &spans {
                frame.read(span.trace_id.low(), &mut cursor, &mut rows).unwrap();
            }
            prop_assert!(cursor.is_empty());
            prop_assert_eq!(rows.to_spans(registry.table()).unwrap(), spans);
        }

        #[test]
        fn a_damaged_row_never_panics(
            spans in arbitrary_spans(3), generic in any::<bool>(), at in any::<prop::sample::Index>(), value in any::<u8>(),
        ) {
            let mut bytes = written(&spans, generic, &mut Registry::default());
            let at = at.index(bytes.len());
            bytes[at] = value;
            let (mut cursor, mut frame) = (Cursor::new(&bytes), Frame::new(1, 1_000_000));
            let mut rows = TraceRows::default();
            while !cursor.is_empty() && frame.read(1, &mut cursor, &mut rows).is_ok() {}
            prop_assert!(rows.len() <= spans.len() + bytes.len() / 11);
        }
    }

    /// All that is before the values has a place of a fixed size: with every number as long as it can be.
    #[test]
    fn the_longest_row_is_written() {
        let mut span = crate::testing::span(1, 1, 10);
        let endpoint = model::Endpoint {
            service_name: Some("web".to_owned()),
            ip: model::IpAddresses {
                v4: Some([255; 4].into()),
                v6: Some([254; 16].into()),
            },
            port: u16::MAX,
        };
        span.trace_id = TraceId::new(u64::MAX, 1).unwrap();
        (span.id, span.parent_id) = (SpanId::new(u64::MAX), Some(SpanId::new(u64::MAX - 1)));
        // The furthest from the base of the frame, either way.
        (span.timestamp, span.duration) = (Some((1_000_000_u64).wrapping_add(1 << 63)), Some(u64::MAX));
        (span.local_endpoint, span.remote_endpoint) = (Some(endpoint.clone()), Some(endpoint));
        span.tags = (0..20_000)
            .map(|tag| (format!("k{tag}"), String::new()))
            .collect();
        span.annotations = vec![
            model::Annotation {
                timestamp: 1,
                value: String::new()
            };
            20_000
        ];
        let mut registry = Registry::default();
        let bytes = written(&[span.clone()], true, &mut registry);
        let (mut rows, mut frame) = (TraceRows::default(), Frame::new(1, 1_000_000));
        frame.read(1, &mut Cursor::new(&bytes), &mut rows).unwrap();
        assert_eq!(rows.to_spans(registry.table()).unwrap(), [span]);
    }

    #[test]
    fn a_row_has_as_many_values_as_it_needs() {
        let mut registry = Registry::default();
        for count in [14, 15, 16, 200] {
            let mut span = crate::testing::span(1, 1, 10);
            span.tags = (0..count)
                .map(|tag| (format!("key-{tag:03}"), tag.to_string()))
                .collect();
            let bytes = written(&[span.clone()], true, &mut registry);
            let mut rows = TraceRows::default();
            let mut frame = Frame::new(1, 1_000_000);
            frame.read(1, &mut Cursor::new(&bytes), &mut rows).unwrap();
            assert_eq!(rows.to_spans(registry.table()).unwrap(), [span]);
        }
    }
}

//! A span as a row in memory: as records of the journal have it ([`storage_record::Frame`]), and copied from there. The
//! number of its shape is beside it (`shard.rs`). Segments have a coding of their own (`row.rs` beside the head).
//!
//! ```text
//! row = [generic rows: flags u8 (kind 0..2, debug 3, shared 4, service 5, name 6, remote service 7),
//!           number of tags varint], row of a record
//! ```

use model::Kind;
use storage_record::bytes::{Cursor, Malformed, Put};
use storage_record::{Frame, SpanHead};

use crate::rows::{GenericRow, RowHead, TraceRows};
use crate::shape::{GENERIC, ShapeNumber};

const DEBUG: u8 = 1 << 3;
const SHARED: u8 = 1 << 4;
const SERVICE: u8 = 1 << 5;
const NAME: u8 = 1 << 6;
const REMOTE_SERVICE: u8 = 1 << 7;

/// Appends a row. `values` are those that [`TraceRows::push_value`] takes, as UTF-8.
pub(super) fn write<'v>(
    frame: &mut Frame,
    head: &RowHead,
    values: impl ExactSizeIterator<Item = &'v [u8]>,
    annotation_times: impl ExactSizeIterator<Item = u64>,
    out: &mut Vec<u8>,
) {
    if let Some(generic) = head.generic {
        put_generic(generic, out);
    }
    let of_span = SpanHead {
        trace_id: head.trace_id,
        id: head.id,
        parent_id: head.parent_id,
        timestamp: head.timestamp,
        duration: head.duration,
        local: head.local,
        remote: head.remote,
    };
    frame.write(&of_span, values, annotation_times, out);
}

/// Reads the next row, which is of this shape, of the trace with this low identifier.
///
/// # Errors
/// [`Malformed`] where the bytes are no row; what was read of it may then be in `rows`, which are of no use.
pub(super) fn read(
    frame: &mut Frame,
    low: u64,
    shape: ShapeNumber,
    cursor: &mut Cursor<'_>,
    rows: &mut TraceRows,
) -> Result<(), Malformed> {
    let generic = match shape {
        GENERIC => Some(read_generic(cursor)?),
        _ => None,
    };
    let (head, values, annotations) = frame.read_head(low, cursor)?;
    for _ in 0..values {
        rows.push_value(cursor.text()?);
    }
    for _ in 0..annotations {
        rows.push_annotation_time(frame.read_time(cursor)?);
    }
    rows.push(RowHead {
        shape,
        trace_id: head.trace_id,
        id: head.id,
        parent_id: head.parent_id,
        timestamp: head.timestamp,
        duration: head.duration,
        local: head.local,
        remote: head.remote,
        generic: generic.map(|generic| GenericRow {
            annotations: annotations as u32,
            ..generic
        }),
    });
    Ok(())
}

fn put_generic(generic: GenericRow, out: &mut Vec<u8>) {
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
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

/// All but how many annotations there are.
fn read_generic(cursor: &mut Cursor<'_>) -> Result<GenericRow, Malformed> {
    let flags = cursor.u8()?;
    Ok(GenericRow {
        kind: Kind::from_number(u64::from(flags & 7)),
        debug: flags & DEBUG != 0,
        shared: flags & SHARED != 0,
        has_service: flags & SERVICE != 0,
        has_name: flags & NAME != 0,
        has_remote_service: flags & REMOTE_SERVICE != 0,
        tags: cursor.count(2)? as u32,
        annotations: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Fields;
    use crate::registry::Registry;
    use crate::rows::RowRef;
    use crate::testing::arbitrary_spans;
    use model::{Span, SpanId, TraceId};
    use proptest::prelude::*;

    /// The spans as rows of one frame, though of several traces.
    fn written(spans: &[Span], generic: bool, registry: &mut Registry) -> (Vec<ShapeNumber>, Vec<u8>) {
        let (mut frame, mut rows, mut bytes) = (Frame::new(1, 1_000_000), TraceRows::default(), Vec::new());
        let mut shapes = Vec::new();
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
            write(
                &mut frame,
                row.head,
                row.values().map(str::as_bytes),
                times,
                &mut bytes,
            );
            shapes.push(number);
        }
        (shapes, bytes)
    }

    proptest! {
        #[test]
        fn rows_give_back_their_spans(spans in arbitrary_spans(12), generic in any::<bool>()) {
            let mut registry = Registry::default();
            let (shapes, bytes) = written(&spans, generic, &mut registry);
            let (mut cursor, mut frame) = (Cursor::new(&bytes), Frame::new(1, 1_000_000));
            let mut rows = TraceRows::default();
            for (span, shape) in spans.iter().zip(shapes) {
                read(&mut frame, span.trace_id.low(), shape, &mut cursor, &mut rows).unwrap();
            }
            prop_assert!(cursor.is_empty());
            prop_assert_eq!(rows.to_spans(registry.table()).unwrap(), spans);
        }

        #[test]
        fn a_damaged_row_never_panics(
            spans in arbitrary_spans(3), generic in any::<bool>(), at in any::<prop::sample::Index>(), value in any::<u8>(),
        ) {
            let (shapes, mut bytes) = written(&spans, generic, &mut Registry::default());
            let at = at.index(bytes.len());
            bytes[at] = value;
            let (mut cursor, mut frame) = (Cursor::new(&bytes), Frame::new(1, 1_000_000));
            let mut rows = TraceRows::default();
            let mut shapes = shapes.into_iter();
            while shapes.next().is_some_and(|shape| read(&mut frame, 1, shape, &mut cursor, &mut rows).is_ok()) {}
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
        let (_, bytes) = written(&[span.clone()], true, &mut registry);
        let (mut rows, mut frame) = (TraceRows::default(), Frame::new(1, 1_000_000));
        read(&mut frame, 1, GENERIC, &mut Cursor::new(&bytes), &mut rows).unwrap();
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
            let (_, bytes) = written(&[span.clone()], true, &mut registry);
            let mut rows = TraceRows::default();
            let mut frame = Frame::new(1, 1_000_000);
            read(&mut frame, 1, GENERIC, &mut Cursor::new(&bytes), &mut rows).unwrap();
            assert_eq!(rows.to_spans(registry.table()).unwrap(), [span]);
        }
    }
}

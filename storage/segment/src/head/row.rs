//! A span as a row in memory: its shape's number, then what the shape does not say. Segments have a coding of their
//! own (`row.rs`).
//!
//! ```text
//! row = shape varint,
//!       present u8 (high 0, parent 1, timestamp 2, duration 3, local address 4, remote address 5),
//!       [trace high u64: only where it differs from the trace's], id u64, [parent u64],
//!       [timestamp zigzag from the trace's base], [duration varint],
//!       [local addresses, port varint], [remote addresses, port varint],
//!       generic rows only: flags u8 (kind 0..2, debug 3, shared 4, service 5, name 6, remote service 7), those
//!           texts, tag count, keys; annotation count,
//!       texts of varying tags in the order of their keys, texts of varying annotations,
//!       zigzag of every annotation's timestamp from the trace's base
//! ```
//!
//! The trace's low identifier, usual high identifier and base timestamp are its [`TraceFrame`], stored once.

use model::{Annotation, Endpoint, EndpointRef, IpAddresses, Kind, Span, SpanId, TraceId};

use crate::fields::Fields;
use crate::shape::{GENERIC, Shape, ShapeNumber, ShapeTable, Slot};
use crate::strings::Symbol;
use storage_record::bytes::{Cursor, Malformed, Put};
use storage_record::{put_addresses, read_addresses, read_port};

const HIGH: u8 = 1;
const PARENT: u8 = 1 << 1;
const TIMESTAMP: u8 = 1 << 2;
const DURATION: u8 = 1 << 3;
const LOCAL: u8 = 1 << 4;
const REMOTE: u8 = 1 << 5;

const DEBUG: u8 = 1 << 3;
const SHARED: u8 = 1 << 4;
const SERVICE: u8 = 1 << 5;
const NAME: u8 = 1 << 6;
const REMOTE_SERVICE: u8 = 1 << 7;

/// What the rows of a trace have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TraceFrame {
    /// The low 64 bits of the trace identifier: what traces are grouped by.
    pub(super) low: u64,
    /// The high 64 bits of most of its spans.
    pub(super) high: u64,
    /// Timestamps are stored as differences from this one, microseconds since the epoch.
    pub(super) base: u64,
}

/// Appends the row of a span of shape `number`.
pub(super) fn encode(
    fields: &Fields<'_>,
    number: ShapeNumber,
    shape: &Shape,
    frame: TraceFrame,
    out: &mut Vec<u8>,
) {
    let (local, remote) = (with_address(fields.local), with_address(fields.remote));
    let high = fields.trace_id.high();
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    out.put_varint(u64::from(number));
    out.push(
        flag(high != frame.high, HIGH)
            | flag(fields.parent_id.is_some(), PARENT)
            | flag(fields.timestamp.is_some(), TIMESTAMP)
            | flag(fields.duration.is_some(), DURATION)
            | flag(local.is_some(), LOCAL)
            | flag(remote.is_some(), REMOTE),
    );
    if high != frame.high {
        out.put_u64(high);
    }
    out.put_u64(fields.id.value());
    if let Some(parent) = fields.parent_id {
        out.put_u64(parent.value());
    }
    if let Some(timestamp) = fields.timestamp {
        out.put_zigzag(timestamp.wrapping_sub(frame.base) as i64);
    }
    if let Some(duration) = fields.duration {
        out.put_varint(duration);
    }
    for endpoint in [local, remote].into_iter().flatten() {
        put_addresses(endpoint.ip, 0, out);
        out.put_varint(u64::from(endpoint.port));
    }
    if number == GENERIC {
        encode_generic(fields, out);
    } else {
        let varies = |slot: &Slot| slot.is_none();
        for (_, value) in shape
            .tags
            .iter()
            .zip(&fields.tags)
            .filter(|((_, slot), _)| varies(slot))
        {
            out.put_text(value.1);
        }
        for (_, value) in shape
            .annotations
            .iter()
            .zip(&fields.annotations)
            .filter(|(slot, _)| varies(slot))
        {
            out.put_text(value.1);
        }
    }
    for (timestamp, _) in &fields.annotations {
        out.put_zigzag(timestamp.wrapping_sub(frame.base) as i64);
    }
}

/// An endpoint whose name is not all there is of it.
fn with_address(endpoint: Option<EndpointRef<'_>>) -> Option<EndpointRef<'_>> {
    endpoint.filter(|endpoint| !endpoint.ip.is_empty() || endpoint.port != 0)
}

fn encode_generic(fields: &Fields<'_>, out: &mut Vec<u8>) {
    let texts = [fields.local_service(), fields.name, fields.remote_service()];
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    out.push(
        fields.kind.map_or(0, |kind| kind as u8)
            | flag(fields.debug, DEBUG)
            | flag(fields.shared, SHARED)
            | flag(texts[0].is_some(), SERVICE)
            | flag(texts[1].is_some(), NAME)
            | flag(texts[2].is_some(), REMOTE_SERVICE),
    );
    texts.into_iter().flatten().for_each(|text| out.put_text(text));
    out.put_varint(fields.tags.len() as u64);
    fields.tags.iter().for_each(|(key, _)| out.put_text(key));
    out.put_varint(fields.annotations.len() as u64);
    fields.tags.iter().for_each(|(_, value)| out.put_text(value));
    fields
        .annotations
        .iter()
        .for_each(|(_, value)| out.put_text(value));
}

/// Reads the next row of a trace.
pub(super) fn decode(
    cursor: &mut Cursor<'_>,
    table: &ShapeTable,
    frame: TraceFrame,
) -> Result<Span, Malformed> {
    let number =
        ShapeNumber::try_from(cursor.varint()?).map_err(|_| Malformed("a shape number beyond 32 bits"))?;
    let shape = table.get(number)?;
    let present = cursor.u8()?;
    let high = if present & HIGH != 0 {
        cursor.u64()?
    } else {
        frame.high
    };
    let trace_id = TraceId::new(high, frame.low).ok_or(Malformed("a trace identifier of zeros"))?;
    let id = SpanId::new(cursor.u64()?);
    let parent_id = if present & PARENT != 0 {
        Some(SpanId::new(cursor.u64()?))
    } else {
        None
    };
    let timestamp = if present & TIMESTAMP != 0 {
        Some(read_time(cursor, frame)?)
    } else {
        None
    };
    let duration = if present & DURATION != 0 {
        Some(cursor.varint()?)
    } else {
        None
    };
    let local = if present & LOCAL != 0 {
        read_address(cursor)?
    } else {
        (IpAddresses::default(), 0)
    };
    let remote = if present & REMOTE != 0 {
        read_address(cursor)?
    } else {
        (IpAddresses::default(), 0)
    };
    let texts = if number == GENERIC {
        read_generic(cursor)?
    } else {
        read_shaped(cursor, table, shape)?
    };
    let mut annotations = Vec::with_capacity(texts.annotations.len());
    for value in texts.annotations {
        annotations.push(Annotation {
            timestamp: read_time(cursor, frame)?,
            value,
        });
    }
    Ok(Span {
        trace_id,
        parent_id,
        id,
        kind: texts.kind,
        name: texts.name,
        timestamp,
        duration,
        local_endpoint: endpoint(texts.service, local),
        remote_endpoint: endpoint(texts.remote_service, remote),
        annotations,
        tags: texts.tags,
        debug: texts.debug,
        shared: texts.shared,
    })
}

fn endpoint(service_name: Option<String>, (ip, port): (IpAddresses, u16)) -> Option<Endpoint> {
    Endpoint {
        service_name,
        ip,
        port,
    }
    .into_option()
}

fn read_time(cursor: &mut Cursor<'_>, frame: TraceFrame) -> Result<u64, Malformed> {
    Ok(frame.base.wrapping_add(cursor.zigzag()? as u64))
}

fn read_address(cursor: &mut Cursor<'_>) -> Result<(IpAddresses, u16), Malformed> {
    let (ip, _) = read_addresses(cursor)?;
    Ok((ip, read_port(cursor)?))
}

/// What a shape, or a generic row, says.
struct Texts {
    kind: Option<Kind>,
    debug: bool,
    shared: bool,
    service: Option<String>,
    name: Option<String>,
    remote_service: Option<String>,
    tags: Vec<(String, String)>,
    annotations: Vec<String>,
}

fn read_shaped(cursor: &mut Cursor<'_>, table: &ShapeTable, shape: &Shape) -> Result<Texts, Malformed> {
    let string = |symbol: Symbol| table.strings.get(symbol).to_owned();
    let option = |symbol: Symbol| {
        if symbol == Symbol::NONE {
            None
        } else {
            Some(string(symbol))
        }
    };
    let mut value = |slot: Slot| match slot {
        Some(symbol) => Ok(string(symbol)),
        None => cursor.text().map(str::to_owned),
    };
    let mut tags = Vec::with_capacity(shape.tags.len());
    for &(key, slot) in &shape.tags {
        tags.push((string(key), value(slot)?));
    }
    let annotations = shape
        .annotations
        .iter()
        .map(|&slot| value(slot))
        .collect::<Result<_, _>>()?;
    Ok(Texts {
        kind: shape.kind,
        debug: shape.debug,
        shared: shape.shared,
        service: option(shape.service),
        name: option(shape.name),
        remote_service: option(shape.remote_service),
        tags,
        annotations,
    })
}

fn read_generic(cursor: &mut Cursor<'_>) -> Result<Texts, Malformed> {
    let flags = cursor.u8()?;
    let mut option = |bit: u8| {
        if flags & bit != 0 {
            cursor.text().map(|text| Some(text.to_owned()))
        } else {
            Ok(None)
        }
    };
    let (service, name, remote_service) = (option(SERVICE)?, option(NAME)?, option(REMOTE_SERVICE)?);
    let count = cursor.count(2)?;
    let keys = (0..count)
        .map(|_| cursor.text().map(str::to_owned))
        .collect::<Result<Vec<_>, _>>()?;
    let annotations = cursor.count(2)?;
    let mut tags = Vec::with_capacity(keys.len());
    for key in keys {
        tags.push((key, cursor.text()?.to_owned()));
    }
    let annotations = (0..annotations)
        .map(|_| cursor.text().map(str::to_owned))
        .collect::<Result<_, _>>()?;
    Ok(Texts {
        kind: Kind::from_number(u64::from(flags & 7)),
        debug: flags & DEBUG != 0,
        shared: flags & SHARED != 0,
        service,
        name,
        remote_service,
        tags,
        annotations,
    })
}

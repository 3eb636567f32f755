//! What a span says beside its shape, as a row: in a record, and in the memory of a store that keeps rows.
//!
//! ```text
//! row       = present u8 (high 0, parent 1 and 7 (0 none, 1 written, 2 that of the row before, 3 the row before),
//!             timestamp 2, duration 3, local address 4, local as in the row before 5, remote address 6),
//!             counts u8 (values 0..3, annotations 4..7; 15: one more is a varint behind), [values - 15],
//!             [annotations - 15], [trace high u64: only where it differs from the frame's], id u64, [parent u64],
//!             [timestamp zigzag from the frame's base], [duration varint], [local addresses], [remote addresses],
//!             texts of the values that the shape leaves open, zigzag of every annotation's timestamp from the base
//! addresses = flags u8 (v4 0, v6 1), [4 bytes], [16 bytes], port varint, 0 for none
//! ```
//!
//! Rows that were written with one [`Frame`] are read in their order with one that began the same. They say how many
//! values they have, so no shape is needed to read them.

use std::net::{Ipv4Addr, Ipv6Addr};

use model::{IpAddresses, SpanId, TraceId};

use crate::bytes::{Cursor, Malformed, Pieces, Put};

/// What of an endpoint is no text: addresses, and the port or 0.
pub type Address = (IpAddresses, u16);

const HIGH: u8 = 1;
const PARENT: u8 = 1 << 1;
const TIMESTAMP: u8 = 1 << 2;
const DURATION: u8 = 1 << 3;
const LOCAL: u8 = 1 << 4;
const SAME_LOCAL: u8 = 1 << 5;
const REMOTE: u8 = 1 << 6;
/// With [`PARENT`]: the span of the row before. Without: who caused that one.
const PARENT_BEFORE: u8 = 1 << 7;

const IP_V4: u8 = 1;
const IP_V6: u8 = 1 << 1;

/// A count that does not fit into its half of a byte: what is beyond follows.
const COUNT_MAX: usize = 15;

/// The most bytes of a row before its values: flags and counts 2, counts beyond 2 * 10, identifiers 3 * 8, times 2 * 10,
/// addresses 2 * (1 + 4 + 16 + 3).
const START_BYTES_MAX: usize = 114;

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

/// What rows of a trace that are next to each other have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// The high 64 bits of their trace identifier.
    pub high: u64,
    /// Timestamps are stored as differences from this one, microseconds since the epoch.
    pub base: u64,
    /// The address of the row before, its span and who caused that.
    local: Address,
    id: Option<SpanId>,
    parent_id: Option<SpanId>,
}

/// What [`Frame::skim`] tells of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Skimmed {
    /// Microseconds since the epoch, 0 for none.
    pub(crate) timestamp: u64,
    /// Microseconds, 0 for none.
    pub(crate) duration: u64,
    pub(crate) local: Local,
    /// Its remote addresses come next, then its values.
    pub(crate) has_remote: bool,
}

/// Who recorded a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Local {
    /// No address.
    None,
    /// As in the row before.
    Same,
    Other(Address),
}

impl Frame {
    /// Before the first row.
    pub fn new(high: u64, base: u64) -> Self {
        Self {
            high,
            base,
            ..Self::default()
        }
    }

    /// Appends a row. `values` are those that its shape leaves open, in order, as UTF-8; `annotation_times` those of all
    /// annotations.
    pub fn write<'v>(
        &mut self,
        head: &SpanHead,
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
    fn write_head(&self, head: &SpanHead, out: &mut Pieces<'_, START_BYTES_MAX>) {
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
        head: &SpanHead,
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
    }

    /// Reads the head of the next row of the trace with this low identifier; gives how many values and annotations it has.
    /// Its values follow, [`Cursor::text`] each, then its annotation times, [`Frame::read_time`] each.
    ///
    /// # Errors
    /// [`Malformed`] where the bytes are no row.
    pub fn read_head(
        &mut self,
        low: u64,
        cursor: &mut Cursor<'_>,
    ) -> Result<(SpanHead, usize, usize), Malformed> {
        let present = cursor.u8()?;
        let (values, annotations) = read_counts(cursor)?;
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
        let (timestamp, duration) = self.read_times(present, cursor)?;
        match read_local(present, cursor)? {
            Local::None => self.local = Address::default(),
            Local::Same => {}
            Local::Other(address) => self.local = address,
        }
        let head = SpanHead {
            trace_id: TraceId::new(high, low).ok_or(Malformed("a trace identifier of zeros"))?,
            id,
            parent_id,
            timestamp,
            duration,
            local: self.local,
            remote: if_set(present & REMOTE, || read_address(cursor))?.unwrap_or_default(),
        };
        Ok((head, values, annotations))
    }

    /// Reads the times of a row and who recorded it, and nothing else.
    #[inline]
    pub(crate) fn skim(&self, cursor: &mut Cursor<'_>) -> Result<Skimmed, Malformed> {
        let present = cursor.u8()?;
        read_counts(cursor)?;
        let high = usize::from(present & HIGH != 0);
        let parent = usize::from(present & (PARENT | PARENT_BEFORE) == PARENT);
        cursor.take((high + 1 + parent) * size_of::<u64>())?;
        let (timestamp, duration) = self.read_times(present, cursor)?;
        Ok(Skimmed {
            timestamp: timestamp.unwrap_or(0),
            duration: duration.unwrap_or(0),
            local: read_local(present, cursor)?,
            has_remote: present & REMOTE != 0,
        })
    }

    #[inline(always)]
    fn read_times(
        &self,
        present: u8,
        cursor: &mut Cursor<'_>,
    ) -> Result<(Option<u64>, Option<u64>), Malformed> {
        let timestamp = if_set(present & TIMESTAMP, || self.read_time(cursor))?;
        Ok((timestamp, if_set(present & DURATION, || cursor.varint())?))
    }

    /// Reads the time of an annotation, microseconds since the epoch.
    ///
    /// # Errors
    /// [`Malformed`] where the bytes end too early.
    #[inline]
    pub fn read_time(&self, cursor: &mut Cursor<'_>) -> Result<u64, Malformed> {
        Ok(self.base.wrapping_add(cursor.zigzag()? as u64))
    }
}

#[inline(always)]
fn read_local(present: u8, cursor: &mut Cursor<'_>) -> Result<Local, Malformed> {
    match present & (LOCAL | SAME_LOCAL) {
        0 => Ok(Local::None),
        LOCAL => read_address(cursor).map(Local::Other),
        _ => Ok(Local::Same),
    }
}

#[inline(always)]
fn if_set<T>(bit: u8, read: impl FnOnce() -> Result<T, Malformed>) -> Result<Option<T>, Malformed> {
    if bit == 0 { Ok(None) } else { read().map(Some) }
}

fn is_there((ip, port): Address) -> bool {
    port != 0 || !ip.is_empty()
}

#[inline(always)]
fn read_counts(cursor: &mut Cursor<'_>) -> Result<(usize, usize), Malformed> {
    let counts = usize::from(cursor.u8()?);
    let mut count = |low: usize| match low {
        COUNT_MAX => cursor.count(1).map(|beyond| beyond + COUNT_MAX),
        _ => Ok(low),
    };
    let values = count(counts & COUNT_MAX)?;
    Ok((values, count(counts >> 4)?))
}

#[inline]
fn put_address((ip, port): Address, out: &mut impl Put) {
    put_addresses(ip, 0, out);
    out.put_varint(u64::from(port));
}

pub(crate) fn read_address(cursor: &mut Cursor<'_>) -> Result<Address, Malformed> {
    let (ip, _) = read_addresses(cursor)?;
    Ok((ip, read_port(cursor)?))
}

/// Writes addresses: one byte that says which follow, then 4 and 16 bytes; `more` are further bits of that byte.
#[inline]
pub fn put_addresses(ip: IpAddresses, more: u8, out: &mut impl Put) {
    let v4 = if ip.v4.is_some() { IP_V4 } else { 0 };
    let v6 = if ip.v6.is_some() { IP_V6 } else { 0 };
    out.put_byte(v4 | v6 | more);
    if let Some(v4) = ip.v4 {
        out.put_bytes(&v4.octets());
    }
    if let Some(v6) = ip.v6 {
        out.put_bytes(&v6.octets());
    }
}

/// The reverse of [`put_addresses`]; also gives the byte's further bits.
///
/// # Errors
/// [`Malformed`] where the bytes end too early.
pub fn read_addresses(cursor: &mut Cursor<'_>) -> Result<(IpAddresses, u8), Malformed> {
    let flags = cursor.u8()?;
    let mut ip = IpAddresses::default();
    if flags & IP_V4 != 0 {
        ip.v4 = Some(Ipv4Addr::from(cursor.array::<4>()?));
    }
    if flags & IP_V6 != 0 {
        ip.v6 = Some(Ipv6Addr::from(cursor.array::<16>()?));
    }
    Ok((ip, flags & !(IP_V4 | IP_V6)))
}

/// Reads a port.
///
/// # Errors
/// [`Malformed`] for one beyond 65535.
pub fn read_port(cursor: &mut Cursor<'_>) -> Result<u16, Malformed> {
    u16::try_from(cursor.varint()?).map_err(|_| Malformed("a port beyond 65535"))
}

//! Rows of a trace to symbols, bits and text.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::dictionary::{Dictionary, DictionaryBuilder};
use super::pattern::{Pattern, Variable};
use super::{
    ABSENT, ADDRESS_INLINE, ADDRESS_IP_OF_REFERENCE, ADDRESS_LISTED, ADDRESS_LOCAL_OF_REFERENCE,
    ADDRESS_NONE, ADDRESS_RECENT, ADDRESS_REMOTE_OF_REFERENCE, ANNOTATION, COUNT, DURATION, GENERIC_COUNT,
    HIGH, HIGH_MIXED, HIGH_RANDOM, HIGH_SECOND, HIGH_ZERO, IP_LOCAL, IP_OTHER, IP_REMOTE, LINK, LOCAL,
    NO_PARENT, NUMBER, NUMBER_FAR, NUMBER_KEPT_MIN, NUMBER_LAST, NUMBER_NEAR, NUMBER_SECOND, Numbers,
    PARENT_ELSEWHERE, PARENT_HERE, PORT, REMOTE, Recent, Reference, SERVED, SHAPE, Streams, TIME, TWIN,
    TraceFrame, VALUE, VALUE_AGAIN, VALUE_PATTERN, VALUE_TEXT, is_empty, is_served, of_kind, services, v4_of,
    zigzag,
};
use crate::rows::{Address, GenericRow, RowRef, TraceRows};
use crate::shape::{Shape, ShapeTable};
use crate::strings::Symbol;
use storage_record::bytes::Malformed;

/// How many rows before and after are looked through for a parent; in larger traces the others are looked up.
const NEAR_ROWS: usize = 64;

/// Encodes traces of one segment. See the head of [`super`].
#[derive(Debug, Default)]
pub(crate) struct RowEncoder {
    dictionary: DictionaryBuilder,
    pattern: Pattern,
    /// Identifiers of the rows of the trace.
    ids: Vec<u64>,
    /// One row for each identifier, where there are more than [`NEAR_ROWS`].
    rows_by_id: HashMap<u64, usize, RandomState>,
    /// Which row before it each row refers to.
    references: Vec<Option<usize>>,
    known: Vec<Reference>,
}

/// What is remembered while the rows of one trace are written.
struct Trace<'r> {
    frame: TraceFrame,
    time: u64,
    addresses: Recent<Address>,
    values: Recent<&'r str>,
    numbers: Numbers,
}

impl RowEncoder {
    pub(crate) fn dictionary(&self) -> &Dictionary {
        self.dictionary.dictionary()
    }

    /// Appends a trace: rows of shapes of `table`, which only grows from call to call.
    ///
    /// # Errors
    /// [`Malformed`] where a row has a shape that the table lacks; nothing is appended then.
    pub(crate) fn encode(
        &mut self,
        rows: &TraceRows,
        table: &ShapeTable,
        frame: TraceFrame,
        out: &mut Streams,
    ) -> Result<(), Malformed> {
        for row in rows.iter() {
            table.get(row.head.shape)?;
        }
        self.dictionary.learn_shapes(table);
        self.identities(rows, table, frame, out)?;
        self.known.clear();
        let mut trace = Trace {
            frame,
            time: frame.base,
            addresses: Recent::new(),
            values: Recent::new(),
            numbers: Numbers::new(),
        };
        for (index, row) in rows.iter().enumerate() {
            let shape = table.get(row.head.shape)?;
            let reference = self.references[index].map(|reference| self.known[reference]);
            self.row(row, shape, reference.as_ref(), &mut trace, out)?;
        }
        Ok(())
    }

    /// First of all rows: shapes, identifiers and parents.
    fn identities(
        &mut self,
        rows: &TraceRows,
        table: &ShapeTable,
        frame: TraceFrame,
        out: &mut Streams,
    ) -> Result<(), Malformed> {
        out.number(COUNT, rows.len() as u64);
        let is_mixed = put_high(rows, frame, out);
        self.ids.clear();
        self.ids.extend(rows.iter().map(|row| row.head.id.value()));
        self.rows_by_id.clear();
        if self.ids.len() > NEAR_ROWS {
            self.rows_by_id.extend(self.ids.iter().copied().zip(0..));
        }
        self.references.clear();
        let mut parents = Vec::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            let (head, shape) = (row.head, table.get(row.head.shape)?);
            out.number(SHAPE, u64::from(head.shape));
            if is_mixed {
                out.bits.put(head.trace_id.high(), 64);
            }
            if let Some(generic) = head.generic {
                put_generic_flags(generic, out);
            }
            let (kind, is_shared) = head.generic.map_or((shape.kind, shape.shared), |generic| {
                (generic.kind, generic.shared)
            });
            let parent = head.parent_id.map(|parent| parent.value());
            let twin = self.ids[index.saturating_sub(NEAR_ROWS)..index]
                .iter()
                .rposition(|&id| id == self.ids[index])
                .map(|at| at + index.saturating_sub(NEAR_ROWS))
                .filter(|_| is_shared);
            let has_same_parent = twin.is_some_and(|twin| parents[twin] == parent);
            if is_shared {
                let distance = twin.map_or(0, |twin| (index - twin) as u64);
                out.number(TWIN, (distance * 2).saturating_sub(u64::from(has_same_parent)));
            }
            let mut reference = twin;
            if !has_same_parent {
                let row_of_parent = self.put_parent(index, parent, of_kind(LINK, kind), out);
                reference = reference.or(row_of_parent.filter(|&row| row < index));
            }
            if twin.is_none() {
                out.bits.put(head.id.value(), 64);
            }
            parents.push(parent);
            self.references.push(reference);
        }
        Ok(())
    }

    /// Gives the row of the parent, where it is one of the trace.
    fn put_parent(&self, index: usize, parent: Option<u64>, context: u8, out: &mut Streams) -> Option<usize> {
        let Some(parent) = parent else {
            out.number(context, NO_PARENT);
            return None;
        };
        let (from, to) = (
            index.saturating_sub(NEAR_ROWS),
            self.ids.len().min(index + 1 + NEAR_ROWS),
        );
        let before = self.ids[from..index]
            .iter()
            .rposition(|&id| id == parent)
            .map(|at| at + from);
        let after = || {
            self.ids[index + 1..to]
                .iter()
                .position(|&id| id == parent)
                .map(|at| at + index + 1)
        };
        let anywhere = || self.rows_by_id.get(&parent).copied().filter(|&row| row != index);
        let row = before.or_else(after).or_else(anywhere);
        match row {
            None => {
                out.number(context, PARENT_ELSEWHERE);
                out.bits.put(parent, 64);
            }
            Some(row) if row < index => out.number(context, PARENT_HERE + ((index - row - 1) as u64) * 2),
            Some(row) => out.number(context, PARENT_HERE + ((row - index - 1) as u64) * 2 + 1),
        }
        row
    }

    /// Then of every row the rest.
    fn row<'r>(
        &mut self,
        row: RowRef<'r>,
        shape: &Shape,
        reference: Option<&Reference>,
        trace: &mut Trace<'r>,
        out: &mut Streams,
    ) -> Result<(), Malformed> {
        let head = row.head;
        let kind = head.generic.map_or(shape.kind, |generic| generic.kind);
        let (service, remote_service) = services(shape, head.generic.is_some());
        self.address((LOCAL, service), head.local, reference, trace, out);
        self.address(
            (of_kind(REMOTE, kind), remote_service),
            head.remote,
            reference,
            trace,
            out,
        );
        match head.timestamp {
            None => out.symbol(of_kind(TIME, kind), ABSENT),
            Some(time) => {
                out.number(of_kind(TIME, kind), time.wrapping_sub(trace.time));
                trace.time = time;
            }
        }
        match (head.duration, is_served(kind, reference)) {
            (None, None) => out.symbol(of_kind(DURATION, kind), ABSENT),
            (None, Some(_)) => out.symbol(SERVED, ABSENT),
            (Some(duration), None) => out.number(of_kind(DURATION, kind), duration),
            (Some(duration), Some(of_client)) => {
                out.number(SERVED, zigzag(of_client.wrapping_sub(duration) as i64));
            }
        }
        match head.generic {
            Some(generic) => put_generic(row, generic, out),
            None => {
                for (slot, value) in row.values().enumerate() {
                    let columns = self.dictionary.dictionary().columns_of(head.shape)?;
                    let column = *columns
                        .get(slot)
                        .ok_or(Malformed("a value that its shape lacks"))?;
                    self.value(column, value, head.local, head.remote, trace, out);
                }
            }
        }
        let begin = head.timestamp.unwrap_or(trace.frame.base);
        for time in row.annotation_times() {
            out.number(ANNOTATION, zigzag(time.wrapping_sub(begin) as i64));
        }
        self.known.push(Reference {
            kind,
            duration: head.duration,
            local: head.local,
            remote: head.remote,
        });
        Ok(())
    }

    fn address(
        &mut self,
        (context, service): (u8, Symbol),
        address: Address,
        reference: Option<&Reference>,
        trace: &mut Trace<'_>,
        out: &mut Streams,
    ) {
        if is_empty(address) {
            return out.number(context, ADDRESS_NONE);
        }
        let (ip, port) = address;
        let recent = trace.addresses.get(service);
        trace.addresses.set(service, address);
        if reference.is_some_and(|reference| reference.remote == address) {
            out.number(context, ADDRESS_REMOTE_OF_REFERENCE);
        } else if reference.is_some_and(|reference| reference.local == address) {
            out.number(context, ADDRESS_LOCAL_OF_REFERENCE);
        } else if recent == Some(address) {
            out.number(context, ADDRESS_RECENT);
        } else if reference.is_some_and(|reference| reference.local.0 == ip) {
            out.number(context, ADDRESS_IP_OF_REFERENCE);
            out.number(PORT, u64::from(port));
        } else if let Some(place) = Some(service)
            .filter(|&service| service != Symbol::NONE)
            .and_then(|service| self.dictionary.address(service, address))
        {
            out.number(context, ADDRESS_LISTED + place);
        } else {
            out.number(context, ADDRESS_INLINE);
            out.bits
                .put(u64::from(ip.v4.is_some()) | u64::from(ip.v6.is_some()) << 1, 2);
            if let Some(v4) = ip.v4 {
                out.bits.put(u64::from(v4.to_bits()), 32);
            }
            if let Some(v6) = ip.v6 {
                out.bits.put(v6.to_bits() as u64, 64);
                out.bits.put((v6.to_bits() >> 64) as u64, 64);
            }
            out.number(PORT, u64::from(port));
        }
    }

    fn value<'r>(
        &mut self,
        column: u32,
        value: &'r str,
        local: Address,
        remote: Address,
        trace: &mut Trace<'r>,
        out: &mut Streams,
    ) {
        let Self {
            dictionary, pattern, ..
        } = self;
        let (key, code) = {
            let column = dictionary.dictionary().column(column);
            (column.key, column.code)
        };
        if trace.values.get(key) == Some(value) {
            return out.number(VALUE + code, VALUE_AGAIN);
        }
        trace.values.set(key, value);
        let Some(place) = dictionary.split(column, value, pattern) else {
            out.number(VALUE + code, VALUE_TEXT);
            return out.text(value);
        };
        out.number(VALUE + code, VALUE_PATTERN + place);
        for variable in &pattern.variables {
            match *variable {
                Variable::Decimal(number) => put_decimal(NUMBER + code, number, &mut trace.numbers, out),
                Variable::Hex { digits, value } => put_wide(value, digits * 4, out),
                Variable::Uuid(value) => put_wide(value, 128, out),
                Variable::Address(ip) => {
                    let is = |address| v4_of(address) == Some(ip);
                    if is(remote) {
                        out.symbol(NUMBER + code, IP_REMOTE);
                    } else if is(local) {
                        out.symbol(NUMBER + code, IP_LOCAL);
                    } else {
                        out.symbol(NUMBER + code, IP_OTHER);
                        out.bits.put(u64::from(ip), 32);
                    }
                }
            }
        }
    }
}

/// How the high half of the trace identifier is written; tells whether every row has its own.
fn put_high(rows: &TraceRows, frame: TraceFrame, out: &mut Streams) -> bool {
    let mut highs = rows.iter().map(|row| row.head.trace_id.high());
    let first = highs.next().unwrap_or(0);
    if highs.any(|high| high != first) {
        out.symbol(HIGH, HIGH_MIXED);
        return true;
    }
    if first == 0 {
        out.symbol(HIGH, HIGH_ZERO);
    } else if first >> 32 == frame.base / 1_000_000 {
        out.symbol(HIGH, HIGH_SECOND);
        out.bits.put(first & u64::from(u32::MAX), 32);
    } else {
        out.symbol(HIGH, HIGH_RANDOM);
        out.bits.put(first, 64);
    }
    false
}

fn put_decimal(context: u8, number: u64, numbers: &mut Numbers, out: &mut Streams) {
    let age = (number >= NUMBER_KEPT_MIN)
        .then(|| numbers.find(number))
        .flatten();
    match age {
        None => {
            out.number(context, number);
            numbers.push(number);
        }
        Some(0) => out.symbol(context, NUMBER_LAST),
        Some(1) => out.symbol(context, NUMBER_SECOND),
        Some(age @ 2..=5) => {
            out.symbol(context, NUMBER_NEAR);
            out.bits.put(age as u64 - 2, 2);
        }
        Some(age) => {
            out.symbol(context, NUMBER_FAR);
            out.bits.put(age as u64 - 6, 3);
        }
    }
}

fn put_wide(value: u128, bits: u32, out: &mut Streams) {
    let low = bits.min(64);
    out.bits.put(value as u64, low);
    out.bits.put((value >> 64) as u64, bits - low);
}

fn put_generic_flags(generic: GenericRow, out: &mut Streams) {
    out.bits.put(generic.kind.map_or(0, |kind| kind as u64), 3);
    let flags = [
        generic.debug,
        generic.shared,
        generic.has_service,
        generic.has_name,
        generic.has_remote_service,
    ];
    for flag in flags {
        out.bits.put(u64::from(flag), 1);
    }
}

fn put_generic(row: RowRef<'_>, generic: GenericRow, out: &mut Streams) {
    out.number(GENERIC_COUNT, u64::from(generic.tags));
    out.number(GENERIC_COUNT, u64::from(generic.annotations));
    row.values().for_each(|value| out.text(value));
}

//! Symbols, bits and text to the rows of a trace: the reverse of [`super::encode`], step by step.

use std::net::{Ipv4Addr, Ipv6Addr};

use model::{IpAddresses, Kind, SpanId, TraceId};

use super::codes::Decoder;
use super::dictionary::Dictionary;
use super::pattern::{Blank, join};
use super::{
    ABSENT, ADDRESS_INLINE, ADDRESS_IP_OF_REFERENCE, ADDRESS_LISTED, ADDRESS_LOCAL_OF_REFERENCE,
    ADDRESS_NONE, ADDRESS_RECENT, ADDRESS_REMOTE_OF_REFERENCE, ANNOTATION, COUNT, DURATION, GENERIC_COUNT,
    HIGH, HIGH_MIXED, HIGH_RANDOM, HIGH_SECOND, HIGH_ZERO, IP_LOCAL, IP_OTHER, IP_REMOTE, LINK, LOCAL,
    NO_PARENT, NUMBER, NUMBER_FAR, NUMBER_LAST, NUMBER_NEAR, NUMBER_SECOND, Numbers, PARENT_ELSEWHERE,
    PARENT_HERE, PORT, REMOTE, Recent, Reference, SERVED, SHAPE, TEXT, TIME, TWIN, TraceFrame, VALUE,
    VALUE_AGAIN, VALUE_PATTERN, VALUE_TEXT, class_start, is_served, of_kind, services, unzigzag, v4_of,
};
use crate::bits::BitReader;
use crate::rows::{Address, GenericRow, RowHead, TraceRows};
use crate::shape::{GENERIC, Shape, ShapeNumber, ShapeTable};
use crate::strings::Symbol;
use storage_record::bytes::{Cursor, Malformed};

/// Text that the rows of one trace may have: several times what a writer puts into one, so that values that come
/// again cannot fill all memory.
const TEXT_BYTES_MAX: usize = 256 << 20;

/// What all traces of a chapter are read with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tables<'a> {
    pub(crate) shapes: &'a ShapeTable,
    pub(crate) dictionary: &'a Dictionary,
    pub(crate) codes: &'a Decoder,
}

/// The streams of one trace, from their beginning; the text may go on after its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TraceBytes<'a> {
    pub(crate) symbols: &'a [u8],
    pub(crate) bits: &'a [u8],
    pub(crate) text: &'a [u8],
}

/// Appends the rows of a trace.
///
/// # Errors
/// [`Malformed`] where the bytes are none; some rows may have been appended then.
pub(crate) fn decode(
    bytes: TraceBytes<'_>,
    tables: Tables<'_>,
    frame: TraceFrame,
    rows: &mut TraceRows,
) -> Result<(), Malformed> {
    let mut reader = Reader {
        tables,
        symbols: BitReader::new(bytes.symbols),
        bits: BitReader::new(bytes.bits),
        text: Cursor::new(bytes.text),
    };
    let mut heads = Vec::new();
    let mut references = Vec::new();
    reader.identities(frame, &mut heads, &mut references)?;
    let mut known: Vec<Reference> = Vec::with_capacity(heads.len());
    let mut trace = Trace {
        time: frame.base,
        frame,
        addresses: Recent::new(),
        values: Recent::new(),
        numbers: Numbers::new(),
    };
    for (mut head, reference) in heads.into_iter().zip(references) {
        let reference = reference.and_then(|reference: usize| known.get(reference));
        let row = reader.row(&mut head, reference, &mut trace, rows)?;
        known.push(row);
        rows.push(head);
    }
    Ok(())
}

/// A parent that is found once all identifiers are read.
enum Parent {
    /// A row further down.
    Row(usize),
    /// Whatever the parent of a row before is.
    OfTwin(usize),
}

/// What is remembered while the rows of one trace are read.
struct Trace {
    frame: TraceFrame,
    time: u64,
    addresses: Recent<Address>,
    /// Where in the text of the rows the last value of a key is.
    values: Recent<(usize, usize)>,
    numbers: Numbers,
}

struct Reader<'a> {
    tables: Tables<'a>,
    symbols: BitReader<'a>,
    bits: BitReader<'a>,
    text: Cursor<'a>,
}

impl<'a> Reader<'a> {
    #[inline]
    fn symbol(&mut self, context: u8) -> Result<u8, Malformed> {
        self.tables.codes.symbol(context, &mut self.symbols)
    }

    #[inline]
    fn number(&mut self, context: u8) -> Result<u64, Malformed> {
        let class = self.symbol(context)?;
        self.rest_of_number(class)
    }

    #[inline]
    fn rest_of_number(&mut self, class: u8) -> Result<u64, Malformed> {
        let (start, bits) = class_start(class)?;
        Ok(start | self.bits.take(bits)?)
    }

    fn number_or_absent(&mut self, context: u8) -> Result<Option<u64>, Malformed> {
        match self.symbol(context)? {
            ABSENT => Ok(None),
            class => self.rest_of_number(class).map(Some),
        }
    }

    /// How many of something that takes at least one bit of the symbols each.
    fn count(&mut self, context: u8) -> Result<usize, Malformed> {
        let count = self.number(context)?;
        if count > self.symbols.remaining() as u64 {
            return Err(Malformed("a count beyond the bits that follow"));
        }
        Ok(count as usize)
    }

    fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = self.number(TEXT)?;
        let length = usize::try_from(length).map_err(|_| Malformed("a text beyond all memory"))?;
        std::str::from_utf8(self.text.take(length)?).map_err(|_| Malformed("text that is not UTF-8"))
    }

    fn flag(&mut self) -> Result<bool, Malformed> {
        Ok(self.bits.take(1)? != 0)
    }

    fn identities(
        &mut self,
        frame: TraceFrame,
        heads: &mut Vec<RowHead>,
        references: &mut Vec<Option<usize>>,
    ) -> Result<(), Malformed> {
        let count = self.count(COUNT)?;
        heads.reserve_exact(count);
        references.reserve_exact(count);
        let high = match self.symbol(HIGH)? {
            HIGH_ZERO => Some(0),
            HIGH_SECOND => Some(((frame.base / 1_000_000) << 32) | self.bits.take(32)?),
            HIGH_RANDOM => Some(self.bits.take(64)?),
            HIGH_MIXED => None,
            _ => return Err(Malformed("a trace identifier of an unknown form")),
        };
        let mut later: Vec<(usize, Parent)> = Vec::new();
        for _ in 0..count {
            let (head, reference) = self.identity(high, frame, heads, &mut later)?;
            heads.push(head);
            references.push(reference);
        }
        for (row, parent) in later {
            heads[row].parent_id = match parent {
                Parent::Row(parent) => {
                    let parent = heads.get(parent).ok_or(Malformed("a row beyond the trace"))?;
                    Some(parent.id)
                }
                // It comes before, so its parent is known by now.
                Parent::OfTwin(twin) => heads[twin].parent_id,
            };
        }
        Ok(())
    }

    /// The identity of the next row, and the row it refers to.
    fn identity(
        &mut self,
        high: Option<u64>,
        frame: TraceFrame,
        heads: &[RowHead],
        later: &mut Vec<(usize, Parent)>,
    ) -> Result<(RowHead, Option<usize>), Malformed> {
        const BEYOND: Malformed = Malformed("a row beyond the trace");
        let index = heads.len();
        let shape_number = ShapeNumber::try_from(self.number(SHAPE)?)
            .map_err(|_| Malformed("a shape number beyond 32 bits"))?;
        let shape = self.tables.shapes.get(shape_number)?;
        let high = match high {
            Some(high) => high,
            None => self.bits.take(64)?,
        };
        let generic = if shape_number == GENERIC {
            Some(self.generic_flags()?)
        } else {
            None
        };
        let (kind, is_shared) = generic.map_or((shape.kind, shape.shared), |generic| {
            (generic.kind, generic.shared)
        });
        let twin = if is_shared { self.number(TWIN)? } else { 0 };
        let has_same_parent = twin % 2 == 1;
        let twin = match usize::try_from(twin.div_ceil(2)).map_err(|_| BEYOND)? {
            0 => None,
            distance => Some(index.checked_sub(distance).ok_or(BEYOND)?),
        };
        let (mut parent_id, mut reference) = (None, twin);
        match twin.filter(|_| has_same_parent) {
            Some(twin) => later.push((index, Parent::OfTwin(twin))),
            None => match self.number(of_kind(LINK, kind))? {
                NO_PARENT => {}
                PARENT_ELSEWHERE => parent_id = Some(SpanId::new(self.bits.take(64)?)),
                link => {
                    let distance = usize::try_from((link - PARENT_HERE) / 2).map_err(|_| BEYOND)?;
                    let distance = distance.checked_add(1).ok_or(BEYOND)?;
                    if link % 2 == PARENT_HERE % 2 {
                        let parent = index.checked_sub(distance).ok_or(BEYOND)?;
                        parent_id = Some(heads[parent].id);
                        reference = reference.or(Some(parent));
                    } else {
                        later.push((index, Parent::Row(index.checked_add(distance).ok_or(BEYOND)?)));
                    }
                }
            },
        }
        let id = match twin {
            Some(twin) => heads[twin].id,
            None => SpanId::new(self.bits.take(64)?),
        };
        let head = RowHead {
            shape: shape_number,
            trace_id: TraceId::new(high, frame.low).ok_or(Malformed("a trace identifier of zeros"))?,
            id,
            parent_id,
            timestamp: None,
            duration: None,
            local: Address::default(),
            remote: Address::default(),
            generic,
        };
        Ok((head, reference))
    }

    fn generic_flags(&mut self) -> Result<GenericRow, Malformed> {
        Ok(GenericRow {
            kind: Kind::from_number(self.bits.take(3)?),
            debug: self.flag()?,
            shared: self.flag()?,
            has_service: self.flag()?,
            has_name: self.flag()?,
            has_remote_service: self.flag()?,
            tags: 0,
            annotations: 0,
        })
    }

    fn row(
        &mut self,
        head: &mut RowHead,
        reference: Option<&Reference>,
        trace: &mut Trace,
        rows: &mut TraceRows,
    ) -> Result<Reference, Malformed> {
        let shape = self.tables.shapes.get(head.shape)?;
        let kind = head.generic.map_or(shape.kind, |generic| generic.kind);
        let (service, remote_service) = services(shape, head.generic.is_some());
        head.local = self.address(LOCAL, service, reference, trace)?;
        head.remote = self.address(of_kind(REMOTE, kind), remote_service, reference, trace)?;
        if let Some(difference) = self.number_or_absent(of_kind(TIME, kind))? {
            trace.time = trace.time.wrapping_add(difference);
            head.timestamp = Some(trace.time);
        }
        head.duration = match is_served(kind, reference) {
            None => self.number_or_absent(of_kind(DURATION, kind))?,
            Some(of_client) => self
                .number_or_absent(SERVED)?
                .map(|difference| of_client.wrapping_sub(unzigzag(difference) as u64)),
        };
        let annotations = match &mut head.generic {
            Some(generic) => self.generic(generic, rows)?,
            None => self.values(head, shape, trace, rows)?,
        };
        let begin = head.timestamp.unwrap_or(trace.frame.base);
        for _ in 0..annotations {
            let difference = unzigzag(self.number(ANNOTATION)?) as u64;
            rows.push_annotation_time(begin.wrapping_add(difference));
        }
        Ok(Reference {
            kind,
            duration: head.duration,
            local: head.local,
            remote: head.remote,
        })
    }

    fn address(
        &mut self,
        context: u8,
        service: Symbol,
        reference: Option<&Reference>,
        trace: &mut Trace,
    ) -> Result<Address, Malformed> {
        const UNKNOWN: Malformed = Malformed("an address that no row before has");
        let address = match self.number(context)? {
            ADDRESS_NONE => return Ok(Address::default()),
            ADDRESS_REMOTE_OF_REFERENCE => reference.ok_or(UNKNOWN)?.remote,
            ADDRESS_LOCAL_OF_REFERENCE => reference.ok_or(UNKNOWN)?.local,
            ADDRESS_RECENT => trace.addresses.get(service).ok_or(UNKNOWN)?,
            ADDRESS_IP_OF_REFERENCE => (reference.ok_or(UNKNOWN)?.local.0, self.port()?),
            ADDRESS_INLINE => {
                let which = self.bits.take(2)?;
                let mut ip = IpAddresses::default();
                if which & 1 != 0 {
                    ip.v4 = Some(Ipv4Addr::from_bits(self.bits.take(32)? as u32));
                }
                if which & 2 != 0 {
                    let low = u128::from(self.bits.take(64)?);
                    ip.v6 = Some(Ipv6Addr::from_bits(low | u128::from(self.bits.take(64)?) << 64));
                }
                (ip, self.port()?)
            }
            place => self.tables.dictionary.address(service, place - ADDRESS_LISTED)?,
        };
        trace.addresses.set(service, address);
        Ok(address)
    }

    fn port(&mut self) -> Result<u16, Malformed> {
        u16::try_from(self.number(PORT)?).map_err(|_| Malformed("a port beyond 16 bits"))
    }

    /// The texts of a generic row; gives how many annotations it has.
    fn generic(&mut self, generic: &mut GenericRow, rows: &mut TraceRows) -> Result<usize, Malformed> {
        let (tags, annotations) = (self.count(GENERIC_COUNT)?, self.count(GENERIC_COUNT)?);
        (generic.tags, generic.annotations) = (tags as u32, annotations as u32);
        let names = [generic.has_service, generic.has_name, generic.has_remote_service];
        let names = names.into_iter().filter(|&has| has).count();
        for _ in 0..names + 2 * tags + annotations {
            rows.push_value(self.text()?);
        }
        Ok(annotations)
    }

    /// The values that a shape leaves open; gives how many annotations it has.
    fn values(
        &mut self,
        head: &RowHead,
        shape: &Shape,
        trace: &mut Trace,
        rows: &mut TraceRows,
    ) -> Result<usize, Malformed> {
        for &column in self.tables.dictionary.columns_of(head.shape)? {
            if rows.text_bytes() > TEXT_BYTES_MAX {
                return Err(Malformed("a trace of more text than a segment takes"));
            }
            rows.push_value_with(|text| self.value(column, head, trace, text))?;
        }
        Ok(shape.annotations.len())
    }

    fn value(
        &mut self,
        column: u32,
        head: &RowHead,
        trace: &mut Trace,
        out: &mut String,
    ) -> Result<(), Malformed> {
        let dictionary = self.tables.dictionary;
        let column = dictionary.column(column);
        let start = out.len();
        match self.number(VALUE + column.code)? {
            VALUE_AGAIN => {
                let last = trace.values.get(column.key);
                let (from, to) = last.ok_or(Malformed("a value that did not come before"))?;
                out.extend_from_within(from..to);
                return Ok(());
            }
            VALUE_TEXT => out.push_str(self.text()?),
            place => {
                let template = dictionary.template(column, place - VALUE_PATTERN)?;
                join(template, out, |blank| {
                    self.variable(NUMBER + column.code, blank, head, trace)
                })?;
            }
        }
        trace.values.set(column.key, (start, out.len()));
        Ok(())
    }

    fn variable(
        &mut self,
        context: u8,
        blank: Blank,
        head: &RowHead,
        trace: &mut Trace,
    ) -> Result<u128, Malformed> {
        match blank {
            Blank::Decimal => self.decimal(context, &mut trace.numbers).map(u128::from),
            Blank::Hex { digits } => self.wide(digits * 4),
            Blank::Uuid => self.wide(128),
            Blank::Address => {
                let address = match self.symbol(context)? {
                    IP_REMOTE => v4_of(head.remote),
                    IP_LOCAL => v4_of(head.local),
                    IP_OTHER => Some(self.bits.take(32)? as u32),
                    _ => None,
                };
                address
                    .map(u128::from)
                    .ok_or(Malformed("an address that its row lacks"))
            }
        }
    }

    fn decimal(&mut self, context: u8, numbers: &mut Numbers) -> Result<u64, Malformed> {
        let age = match self.symbol(context)? {
            NUMBER_LAST => 0,
            NUMBER_SECOND => 1,
            NUMBER_NEAR => 2 + self.bits.take(2)? as usize,
            NUMBER_FAR => 6 + self.bits.take(3)? as usize,
            class => {
                let number = self.rest_of_number(class)?;
                numbers.push(number);
                return Ok(number);
            }
        };
        Ok(numbers.get(age))
    }

    fn wide(&mut self, bits: u32) -> Result<u128, Malformed> {
        let low = bits.min(64);
        let value = u128::from(self.bits.take(low)?);
        Ok(value | u128::from(self.bits.take(bits - low)?) << 64)
    }
}

//! How the spans of a trace are coded on disk: as symbols, bits and text against the shapes of the segment.
//!
//! A trace is three streams, each in the order in which it is read again:
//!
//! - *symbols*: what is likely or not, each in a context, coded in as many bits as it is seldom (`codes.rs`);
//! - *bits*: what is random: span identifiers, the low bits of times and numbers (`bits.rs`);
//! - *text*: what has no pattern (`pattern.rs`); all text of a page is compressed together.
//!
//! A row says only what cannot be told from its shape, from rows before it in the trace, or from what the segment has
//! learnt (`dictionary.rs`). Nothing refers to another trace, so a trace is read by itself. `FORMAT.md` has every
//! symbol; [`encode`] and [`decode`] follow the same order, step by step.
//!
//! Traces are coded together in *chapters* (`chapter.rs`), each with codes made for it.

pub(crate) mod chapter;
pub(crate) mod codes;
pub(crate) mod decode;
pub(crate) mod dictionary;
pub(crate) mod encode;
pub(crate) mod pattern;

#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;

use model::Kind;

use crate::rows::Address;
use crate::shape::Shape;
use crate::strings::Symbol;
use storage_record::bytes::Malformed;

use crate::bits::BitWriter;
use codes::PLAIN_CONTEXTS;
use dictionary::KEY_CODES;

/// What is known of a trace before its rows are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceFrame {
    /// The low 64 bits of the trace identifier: what traces are grouped by.
    pub(crate) low: u64,
    /// The least timestamp of a span, microseconds since the epoch; 0 where none has one.
    pub(crate) base: u64,
}

/// What is being written of traces.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// Contexts, shifted by eight bits, and symbols.
    pub(crate) symbols: Vec<u16>,
    pub(crate) bits: BitWriter,
    pub(crate) text: Vec<u8>,
}

impl Streams {
    pub(crate) fn clear(&mut self) {
        self.symbols.clear();
        self.bits.clear();
        self.text.clear();
    }

    #[inline]
    pub(crate) fn symbol(&mut self, context: u8, symbol: u8) {
        self.symbols.push(u16::from(context) << 8 | u16::from(symbol));
    }

    /// A number by its class and the bits below.
    #[inline]
    pub(crate) fn number(&mut self, context: u8, value: u64) {
        let (class, bits) = class_of(value);
        self.symbol(context, class);
        self.bits.put(value & ((1 << bits) - 1), bits);
    }

    fn text(&mut self, text: &str) {
        self.number(TEXT, text.len() as u64);
        self.text.extend_from_slice(text.as_bytes());
    }
}

// Contexts. Some are one for every kind of span, from the number given here; the last are one for every tag key.
const SHAPE: u8 = 0;
const TWIN: u8 = 1;
const LOCAL: u8 = 2;
const PORT: u8 = 3;
const COUNT: u8 = 4;
const HIGH: u8 = 5;
const TEXT: u8 = 6;
const GENERIC_COUNT: u8 = 7;
const ANNOTATION: u8 = 8;
const SERVED: u8 = 9;
const LINK: u8 = 10;
const REMOTE: u8 = 15;
const TIME: u8 = 20;
const DURATION: u8 = 25;
const VALUE: u8 = PLAIN_CONTEXTS as u8;
const NUMBER: u8 = VALUE + KEY_CODES as u8;

/// What stands for a number that is not there; no class is so great.
const ABSENT: u8 = 252;

// How the high half of trace identifiers is written.
const HIGH_ZERO: u8 = 0;
/// It begins with the second of the least timestamp, as Brave makes it.
const HIGH_SECOND: u8 = 1;
const HIGH_RANDOM: u8 = 2;
/// Every row has its own.
const HIGH_MIXED: u8 = 3;

// Whose child a span is.
const NO_PARENT: u64 = 0;
const PARENT_ELSEWHERE: u64 = 1;
const PARENT_HERE: u64 = 2;

// Where an address is known from.
const ADDRESS_NONE: u64 = 0;
const ADDRESS_REMOTE_OF_REFERENCE: u64 = 1;
const ADDRESS_LOCAL_OF_REFERENCE: u64 = 2;
const ADDRESS_RECENT: u64 = 3;
/// The IP addresses are the reference's local ones; a port follows.
const ADDRESS_IP_OF_REFERENCE: u64 = 4;
const ADDRESS_INLINE: u64 = 5;
const ADDRESS_LISTED: u64 = 6;

// How a value is written.
const VALUE_AGAIN: u64 = 0;
const VALUE_TEXT: u64 = 1;
const VALUE_PATTERN: u64 = 2;

// How a decimal number of a value that came already in this trace is written, by how many came since.
const NUMBER_LAST: u8 = 252;
const NUMBER_SECOND: u8 = 253;
/// One of the four before those, in two bits.
const NUMBER_NEAR: u8 = 254;
/// One of the eight before those, in three bits.
const NUMBER_FAR: u8 = 255;
/// How far back numbers are remembered.
const NUMBERS_KEPT: usize = 14;
/// Lesser numbers are written as they are.
const NUMBER_KEPT_MIN: u64 = 256;

// Which address a value has.
const IP_REMOTE: u8 = 0;
const IP_LOCAL: u8 = 1;
const IP_OTHER: u8 = 2;

/// The class of a number: itself below 8, else its length and its two bits after the first; and how many bits follow.
#[inline]
fn class_of(value: u64) -> (u8, u32) {
    if value < 8 {
        return (value as u8, 0);
    }
    let length = 64 - value.leading_zeros();
    (
        8 + ((length - 4) * 4) as u8 + (value >> (length - 3) & 3) as u8,
        length - 3,
    )
}

/// The first number of a class, and how many bits follow.
#[inline]
pub(crate) fn class_start(class: u8) -> Result<(u64, u32), Malformed> {
    if class < 8 {
        return Ok((u64::from(class), 0));
    }
    let bits = u32::from(class - 8) / 4 + 1;
    if bits > 61 {
        return Err(Malformed("a number beyond 64 bits"));
    }
    Ok((u64::from(4 | (class - 8) & 3) << bits, bits))
}

pub(crate) fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// What a row tells of rows that refer to it.
#[derive(Clone, Copy, Debug)]
struct Reference {
    kind: Option<Kind>,
    duration: Option<u64>,
    local: Address,
    remote: Address,
}

/// What came in this trace lately, by the number of a string: sixty-four of them at most, by its last bits.
#[derive(Debug)]
struct Recent<T> {
    slots: [Option<(Symbol, T)>; RECENT],
}

const RECENT: usize = 64;

impl<T: Copy> Recent<T> {
    fn new() -> Self {
        Self {
            slots: [None; RECENT],
        }
    }

    fn get(&self, symbol: Symbol) -> Option<T> {
        let slot = self.slots[symbol.0 as usize % RECENT];
        slot.filter(|(of, _)| *of == symbol).map(|(_, value)| value)
    }

    fn set(&mut self, symbol: Symbol, value: T) {
        self.slots[symbol.0 as usize % RECENT] = Some((symbol, value));
    }
}

/// The numbers that came last in the values of this trace.
#[derive(Debug)]
struct Numbers {
    kept: [u64; NUMBERS_KEPT],
    next: usize,
}

impl Numbers {
    fn new() -> Self {
        Self {
            kept: [0; NUMBERS_KEPT],
            next: 0,
        }
    }

    /// How many came since a number.
    fn find(&self, number: u64) -> Option<usize> {
        let mut ages = (0..NUMBERS_KEPT).map(|age| (age, self.get(age)));
        ages.find(|&(_, kept)| kept == number).map(|(age, _)| age)
    }

    fn get(&self, age: usize) -> u64 {
        self.kept[(self.next + NUMBERS_KEPT - 1 - age % NUMBERS_KEPT) % NUMBERS_KEPT]
    }

    fn push(&mut self, number: u64) {
        if number >= NUMBER_KEPT_MIN {
            self.kept[self.next] = number;
            self.next = (self.next + 1) % NUMBERS_KEPT;
        }
    }
}

/// The context of a row's kind.
fn of_kind(context: u8, kind: Option<Kind>) -> u8 {
    context + kind.map_or(0, |kind| kind as u8)
}

/// The IPv4 address that a value of a row most likely is.
fn v4_of((ip, _): Address) -> Option<u32> {
    ip.v4.map(Ipv4Addr::to_bits)
}

/// What nearly all spans have of an address: nothing, or all.
fn is_empty((ip, port): Address) -> bool {
    ip.is_empty() && port == 0
}

/// The symbols that keys and names go by, where a row has a shape.
fn services(shape: &Shape, is_generic: bool) -> (Symbol, Symbol) {
    if is_generic {
        (Symbol::NONE, Symbol::NONE)
    } else {
        (shape.service, shape.remote_service)
    }
}

/// Whether a server's span takes its duration from the client's it answers.
fn is_served(kind: Option<Kind>, reference: Option<&Reference>) -> Option<u64> {
    let reference =
        reference.filter(|reference| kind == Some(Kind::Server) && reference.kind == Some(Kind::Client));
    reference.and_then(|reference| reference.duration)
}

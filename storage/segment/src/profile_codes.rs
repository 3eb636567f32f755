//! Profiles of traces as bits and symbols, and back.
//!
//! Most of what a profile says follows from the rest of it, so only what does not is written: where a call is by its
//! number in the section's list of calls, which calls of one trace follow each other in; that instances of a service are
//! one throughout a trace; durations from self times; the piece of the critical path from the self time. The entry
//! span's duration is the sum of the pieces.
//!
//! ```text
//! trace   = number of sums, high half of the identifier, flags, [cut], row of the entry, rows, then of each row the
//!           values, the last row first
//! row     = call - call of the row before - 1 (zigzag), instance among those of its service, caller's instance
//! values  = calls - 1, flags, [failed], [failed first], [retries], [overlap], self time, duration less what follows
//!           from self times, the kind of the piece, [the piece]
//! ```

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use model::{
    Call, CallPlace, CallSums, Entry, InstanceNumber, NameNumber, ProfileTable, TimeCut, TraceId,
    TraceProfile,
};

use crate::bits::BitReader;
use crate::row::codes::{Decoder, PLAIN_CONTEXTS};
use crate::row::{Streams, class_start, unzigzag, zigzag};
use crate::trace_table::TraceEntry;
use storage_record::bytes::Malformed;

/// Never in no bits, so that rows are bounded by the bits there are.
const COUNT: u8 = 0;
const CALL: u8 = 1;

const HIGH: u8 = PLAIN_CONTEXTS as u8;
const TRACE_FLAGS: u8 = HIGH + 1;
const CUT: u8 = HIGH + 2;
const ENTRY: u8 = HIGH + 3;
const INSTANCE: u8 = HIGH + 4;
const CALLER_INSTANCE: u8 = HIGH + 5;
const CALLS: u8 = HIGH + 6;
const FLAGS: u8 = HIGH + 7;
const FAILED: u8 = HIGH + 8;
const OVERLAP: u8 = HIGH + 9;
const DURATION: u8 = HIGH + 10;
const PIECE: u8 = HIGH + 11;
const PIECE_MICROS: u8 = HIGH + 12;
/// From here on, self times: those of one call are in one context.
const SELF_TIME: u8 = 64;
const SELF_TIMES: u32 = 64;

// How the high half of a trace identifier is written.
const HIGH_ZERO: u8 = 0;
/// It begins with the second of the timestamp.
const HIGH_SECOND: u8 = 1;
const HIGH_RANDOM: u8 = 2;

// What is said of a trace.
const ENTRY_TIMED: u8 = 1;
const ENTRY_FAILED: u8 = 2;
const HAS_CUT: u8 = 4;

// What is said of sums.
const HAS_FAILED: u8 = 1;
const HAS_FAILED_FIRST: u8 = 2;
const HAS_RETRIES: u8 = 4;
const HAS_OVERLAP: u8 = 8;

// What the piece of the critical path is.
const PIECE_SELF_TIME: u8 = 0;
const PIECE_NONE: u8 = 1;
const PIECE_OTHER: u8 = 2;

/// The list of calls of a section, and instances by service.
#[derive(Debug, Default)]
pub(crate) struct CallList {
    calls: Vec<Call>,
    numbers: HashMap<Call, u32, RandomState>,
    /// Of each service its instances, ascending; of each instance its place there.
    by_service: HashMap<NameNumber, Vec<InstanceNumber>, RandomState>,
    places: Vec<u32>,
}

impl CallList {
    pub(crate) fn calls(&self) -> &[Call] {
        &self.calls
    }

    pub(crate) fn number(&mut self, call: Call) -> u32 {
        let next = self.calls.len() as u32;
        let number = *self.numbers.entry(call).or_insert(next);
        if number == next {
            self.calls.push(call);
        }
        number
    }

    /// Learns the instances of a table that came since.
    pub(crate) fn learn(&mut self, table: &ProfileTable) {
        for (number, instance) in table.instances().iter().enumerate().skip(self.places.len()) {
            let instances = self.by_service.entry(instance.service).or_default();
            self.places.push(instances.len() as u32);
            instances.push(number as InstanceNumber);
        }
    }

    /// How an instance is written where it is not the last one of its service: by its place among those of the
    /// service; or by its number, where it counts for another.
    fn code(&self, service: NameNumber, instance: InstanceNumber) -> u64 {
        let place = self.places[instance as usize];
        let listed = self
            .by_service
            .get(&service)
            .and_then(|known| known.get(place as usize));
        if listed == Some(&instance) {
            1 + 2 * u64::from(place)
        } else {
            2 + 2 * u64::from(instance)
        }
    }

    fn instance(&self, service: NameNumber, code: u64) -> Option<InstanceNumber> {
        let number = usize::try_from((code - 1) / 2).ok()?;
        if code & 1 == 0 {
            return (number < self.places.len()).then_some(number as InstanceNumber);
        }
        self.by_service.get(&service)?.get(number).copied()
    }
}

/// What is remembered of a trace by number, forgotten at once with the next trace.
#[derive(Debug)]
struct Remembered<T>(Vec<(u32, T)>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy + Default> Remembered<T> {
    fn get(&self, trace: u32, number: u32) -> Option<T> {
        let known = self.0.get(number as usize)?;
        (known.0 == trace).then_some(known.1)
    }

    fn set(&mut self, trace: u32, number: u32, value: T) {
        let index = number as usize;
        if index >= self.0.len() {
            self.0.resize(index + 1, (0, T::default()));
        }
        self.0[index] = (trace, value);
    }
}

/// What is the same for writing and reading one trace.
#[derive(Debug, Default)]
struct Trace {
    /// Its number, from 1: what was remembered of others is forgotten.
    number: u32,
    /// Of each service the last instance.
    of_service: Remembered<InstanceNumber>,
    /// Of each operation the instance of its first row.
    of_operation: Remembered<InstanceNumber>,
    /// Of each operation the durations of what it calls, of the rows that were gone through.
    below: Remembered<u64>,
}

impl Trace {
    fn begin(&mut self) {
        self.number = self.number.wrapping_add(1);
        if self.number == 0 {
            *self = Self {
                number: 1,
                ..Self::default()
            };
        }
    }

    fn note_place(&mut self, service: NameNumber, place: &CallPlace) {
        self.of_service.set(self.number, service, place.instance);
        if self.of_operation.get(self.number, place.call.operation).is_none() {
            self.of_operation
                .set(self.number, place.call.operation, place.instance);
        }
    }

    fn expected_caller_instance(&self, call: &Call) -> InstanceNumber {
        call.caller
            .and_then(|caller| self.of_operation.get(self.number, caller))
            .unwrap_or(0)
    }

    /// What the duration is if nothing was cut.
    fn expected_duration(&self, sums: &CallSums) -> u64 {
        let below = self.below.get(self.number, sums.place.call.operation);
        sums.self_micros
            .wrapping_add(below.unwrap_or(0))
            .wrapping_sub(sums.overlap_micros)
    }

    fn note_duration(&mut self, sums: &CallSums) {
        if let Some(caller) = sums.place.call.caller {
            let below = self.below.get(self.number, caller).unwrap_or(0);
            self.below
                .set(self.number, caller, below.wrapping_add(sums.duration_micros));
        }
    }
}

/// What nobody reported is all there is but the entry span, and nothing was cut.
fn expected_cut(profile: &TraceProfile) -> TimeCut {
    let durations = profile.calls.iter().map(|sums| sums.duration_micros);
    let all = durations.fold(0, u64::wrapping_add);
    TimeCut {
        reported_micros: all.wrapping_sub(profile.entry.duration.unwrap_or(0)),
        cut_micros: 0,
    }
}

/// Writes profiles.
#[derive(Debug, Default)]
pub(crate) struct ProfileEncoder {
    trace: Trace,
    /// Rows in the order in which they are written.
    order: Vec<u32>,
    /// Of each of them the number of its call.
    numbers: Vec<u32>,
    /// Whether what an operation calls was put in order.
    is_open: Remembered<bool>,
}

impl ProfileEncoder {
    /// Appends a profile; its numbers are of `table`.
    pub(crate) fn encode(
        &mut self,
        profile: &TraceProfile,
        table: &ProfileTable,
        list: &mut CallList,
        out: &mut Streams,
    ) {
        list.learn(table);
        self.trace.begin();
        self.arrange(&profile.calls);
        out.number(COUNT, profile.calls.len() as u64);
        put_high(profile, out);
        let cut = Some(profile.cut).filter(|cut| *cut != expected_cut(profile));
        let flags = [
            (profile.entry.duration.is_some(), ENTRY_TIMED),
            (profile.entry.failed, ENTRY_FAILED),
            (cut.is_some(), HAS_CUT),
        ];
        out.symbol(TRACE_FLAGS, flags_of(flags));
        if let Some(cut) = cut {
            let expected = expected_cut(profile).reported_micros;
            out.number(CUT, cut.cut_micros);
            out.number(CUT, zigzag(cut.reported_micros.wrapping_sub(expected) as i64));
        }
        let is_entry =
            |row: &u32| profile.calls[*row as usize].place.call.operation == profile.entry.operation;
        let entry = self.order.iter().position(is_entry).unwrap_or(0);
        out.number(ENTRY, entry as u64);
        let mut last = 0;
        self.numbers.clear();
        for &row in &self.order {
            let place = &profile.calls[row as usize].place;
            let number = list.number(place.call);
            self.numbers.push(number);
            out.number(CALL, zigzag(i64::from(number) - i64::from(last)));
            last = number + 1;
            let service = table.operations()[place.call.operation as usize].service;
            let trace = &mut self.trace;
            match trace.of_service.get(trace.number, service) {
                Some(known) if known == place.instance => out.number(INSTANCE, 0),
                _ => out.number(INSTANCE, list.code(service, place.instance)),
            }
            match trace.expected_caller_instance(&place.call) {
                known if known == place.caller_instance => out.number(CALLER_INSTANCE, 0),
                _ => out.number(CALLER_INSTANCE, 1 + u64::from(place.caller_instance)),
            }
            trace.note_place(service, place);
        }
        for (&row, &call) in self.order.iter().zip(&self.numbers).rev() {
            let sums = &profile.calls[row as usize];
            put_values(sums, call, &self.trace, out);
            self.trace.note_duration(sums);
        }
    }

    /// Callers before what they call; what one calls together.
    fn arrange(&mut self, calls: &[CallSums]) {
        self.order.clear();
        let mut open = |caller: Option<u32>, order: &mut Vec<u32>| {
            let number = caller.map_or(0, |caller| caller + 1);
            if self.is_open.get(self.trace.number, number).is_some() {
                return;
            }
            self.is_open.set(self.trace.number, number, true);
            let first = calls.partition_point(|sums| sums.place.call.caller < caller);
            let same = calls[first..]
                .iter()
                .take_while(|sums| sums.place.call.caller == caller);
            order.extend((first as u32..).zip(same).map(|(row, _)| row));
        };
        open(None, &mut self.order);
        let mut next = 0;
        while let Some(&row) = self.order.get(next) {
            open(Some(calls[row as usize].place.call.operation), &mut self.order);
            next += 1;
        }
        debug_assert_eq!(
            self.order.len(),
            calls.len(),
            "every call is below one that has no caller"
        );
    }
}

fn flags_of<const N: usize>(flags: [(bool, u8); N]) -> u8 {
    flags
        .iter()
        .map(|&(is_set, flag)| if is_set { flag } else { 0 })
        .sum()
}

fn put_high(profile: &TraceProfile, out: &mut Streams) {
    let high = profile.trace_id.high();
    if high == 0 {
        out.symbol(HIGH, HIGH_ZERO);
    } else if high >> 32 == second_of(profile.timestamp) {
        out.symbol(HIGH, HIGH_SECOND);
        out.bits.put(high & u64::from(u32::MAX), 32);
    } else {
        out.symbol(HIGH, HIGH_RANDOM);
        out.bits.put(high, 64);
    }
}

fn second_of(timestamp: u64) -> u64 {
    (timestamp / 1_000_000) & u64::from(u32::MAX)
}

fn self_time_context(call: u32) -> u8 {
    SELF_TIME + (call % SELF_TIMES) as u8
}

fn put_values(sums: &CallSums, call: u32, trace: &Trace, out: &mut Streams) {
    out.number(CALLS, u64::from(sums.calls.wrapping_sub(1)));
    let flags = [
        (sums.failed > 0, HAS_FAILED),
        (sums.failed_first > 0, HAS_FAILED_FIRST),
        (sums.retries > 0, HAS_RETRIES),
        (sums.overlap_micros > 0, HAS_OVERLAP),
    ];
    out.symbol(FLAGS, flags_of(flags));
    for count in [sums.failed, sums.failed_first, sums.retries] {
        if count > 0 {
            out.number(FAILED, u64::from(count));
        }
    }
    if sums.overlap_micros > 0 {
        out.number(OVERLAP, sums.overlap_micros);
    }
    out.number(self_time_context(call), sums.self_micros);
    let beside = sums.duration_micros.wrapping_sub(trace.expected_duration(sums));
    out.number(DURATION, zigzag(beside as i64));
    match sums.path_micros {
        path if path == sums.self_micros => out.symbol(PIECE, PIECE_SELF_TIME),
        0 => out.symbol(PIECE, PIECE_NONE),
        path => {
            out.symbol(PIECE, PIECE_OTHER);
            out.number(PIECE_MICROS, path);
        }
    }
}

/// What a trace is known by before its profile is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProfileFrame {
    /// The low half of its identifier.
    pub(crate) low: u64,
    /// Its timestamp.
    pub(crate) timestamp: u64,
}

impl ProfileFrame {
    pub(crate) fn of(entry: &TraceEntry) -> Self {
        Self {
            low: entry.low,
            timestamp: entry.times.timestamp,
        }
    }
}

/// Reads profiles one after the other.
#[derive(Debug)]
pub(crate) struct ProfileDecoder<'a> {
    pub(crate) codes: &'a Decoder,
    pub(crate) bits: BitReader<'a>,
    pub(crate) symbols: BitReader<'a>,
    table: &'a ProfileTable,
    list: &'a CallList,
    trace: Trace,
    // Memory of the profiles before.
    calls: Vec<CallSums>,
    numbers: Vec<u32>,
}

const BEYOND: Malformed = Malformed("a number beyond what it may be");

impl<'a> ProfileDecoder<'a> {
    pub(crate) fn new(
        codes: &'a Decoder,
        bits: BitReader<'a>,
        symbols: BitReader<'a>,
        table: &'a ProfileTable,
        list: &'a CallList,
    ) -> Self {
        Self {
            codes,
            bits,
            symbols,
            table,
            list,
            trace: Trace::default(),
            calls: Vec::new(),
            numbers: Vec::new(),
        }
    }

    /// Takes back a profile that nobody needs any more, for the memory it has.
    pub(crate) fn reuse(&mut self, profile: TraceProfile) {
        self.calls = profile.calls;
        self.calls.clear();
    }

    #[inline]
    fn symbol(&mut self, context: u8) -> Result<u8, Malformed> {
        self.codes.symbol(context, &mut self.symbols)
    }

    #[inline]
    fn number(&mut self, context: u8) -> Result<u64, Malformed> {
        let (start, bits) = class_start(self.symbol(context)?)?;
        Ok(start | self.bits.take(bits)?)
    }

    fn small(&mut self, context: u8) -> Result<u32, Malformed> {
        u32::try_from(self.number(context)?).map_err(|_| BEYOND)
    }

    /// Reads the next profile, with its calls in the order in which they are written.
    ///
    /// # Errors
    /// [`Malformed`] where there is none.
    pub(crate) fn next(&mut self, frame: ProfileFrame) -> Result<TraceProfile, Malformed> {
        self.trace.begin();
        let count = self.number(COUNT)?;
        if count > self.symbols.remaining() as u64 {
            return Err(Malformed("a count beyond the bits that follow"));
        }
        let high = self.high(frame.timestamp)?;
        let flags = self.symbol(TRACE_FLAGS)?;
        let cut = match flags & HAS_CUT {
            0 => None,
            _ => Some((self.number(CUT)?, unzigzag(self.number(CUT)?))),
        };
        let entry = usize::try_from(self.number(ENTRY)?).map_err(|_| BEYOND)?;
        let mut calls = std::mem::take(&mut self.calls);
        let mut numbers = std::mem::take(&mut self.numbers);
        numbers.clear();
        let mut last = 0;
        for _ in 0..count {
            let number = i64::from(last).wrapping_add(unzigzag(self.number(CALL)?));
            let number = u32::try_from(number).map_err(|_| BEYOND)?;
            last = number.wrapping_add(1);
            numbers.push(number);
            calls.push(CallSums {
                place: self.place(number)?,
                ..CallSums::default()
            });
        }
        let operation = calls.get(entry).map_or(0, |sums| sums.place.call.operation);
        for (sums, &call) in calls.iter_mut().zip(&numbers).rev() {
            self.values(sums, call)?;
            self.trace.note_duration(sums);
        }
        self.numbers = numbers;
        let pieces = calls.iter().map(|sums| sums.path_micros);
        let duration = pieces.fold(0, u64::wrapping_add);
        let mut profile = TraceProfile {
            trace_id: TraceId::new(high, frame.low).ok_or(Malformed("a trace identifier of zeros"))?,
            timestamp: frame.timestamp,
            entry: Entry {
                operation,
                duration: (flags & ENTRY_TIMED != 0).then_some(duration),
                failed: flags & ENTRY_FAILED != 0,
            },
            cut: TimeCut::default(),
            calls,
        };
        profile.cut = expected_cut(&profile);
        if let Some((cut_micros, beside)) = cut {
            profile.cut.cut_micros = cut_micros;
            profile.cut.reported_micros = profile.cut.reported_micros.wrapping_add_signed(beside);
        }
        Ok(profile)
    }

    fn high(&mut self, timestamp: u64) -> Result<u64, Malformed> {
        match self.symbol(HIGH)? {
            HIGH_ZERO => Ok(0),
            HIGH_SECOND => Ok(second_of(timestamp) << 32 | self.bits.take(32)?),
            _ => self.bits.take(64),
        }
    }

    fn place(&mut self, number: u32) -> Result<CallPlace, Malformed> {
        let call = *self.list.calls.get(number as usize).ok_or(BEYOND)?;
        let operation = self
            .table
            .operations()
            .get(call.operation as usize)
            .ok_or(BEYOND)?;
        let instance = match self.number(INSTANCE)? {
            0 => self.trace.of_service.get(self.trace.number, operation.service),
            code => self.list.instance(operation.service, code),
        };
        let caller_instance = match self.number(CALLER_INSTANCE)? {
            0 => self.trace.expected_caller_instance(&call),
            number => u32::try_from(number - 1).map_err(|_| BEYOND)?,
        };
        if caller_instance as usize >= self.table.instances().len() {
            return Err(BEYOND);
        }
        let place = CallPlace {
            call,
            instance: instance.ok_or(BEYOND)?,
            caller_instance,
        };
        self.trace.note_place(operation.service, &place);
        Ok(place)
    }

    fn values(&mut self, sums: &mut CallSums, call: u32) -> Result<(), Malformed> {
        sums.calls = self.small(CALLS)?.wrapping_add(1);
        let flags = self.symbol(FLAGS)?;
        for (flag, count) in [
            (HAS_FAILED, &mut sums.failed),
            (HAS_FAILED_FIRST, &mut sums.failed_first),
            (HAS_RETRIES, &mut sums.retries),
        ] {
            if flags & flag != 0 {
                *count = self.small(FAILED)?;
            }
        }
        if flags & HAS_OVERLAP != 0 {
            sums.overlap_micros = self.number(OVERLAP)?;
        }
        sums.self_micros = self.number(self_time_context(call))?;
        let beside = unzigzag(self.number(DURATION)?);
        sums.duration_micros = self.trace.expected_duration(sums).wrapping_add_signed(beside);
        sums.path_micros = match self.symbol(PIECE)? {
            PIECE_SELF_TIME => sums.self_micros,
            PIECE_NONE => 0,
            _ => self.number(PIECE_MICROS)?,
        };
        Ok(())
    }
}

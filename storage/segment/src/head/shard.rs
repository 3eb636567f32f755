//! A part of the head's traces: those whose identifiers hash to it.
//!
//! Rows of a trace that arrive together are written next to each other, a *run*; each run knows the one before it
//! in its trace. So a span costs no allocation, and no memory beside its row:
//!
//! ```text
//! run = the run before: address + 1 as varint, 0 for none,
//!       number of rows << 1 | has its own high half, varint; [high half of its trace identifiers u64],
//!       base timestamp as zigzag from the trace's, length of the rows in bytes, varint, shape number u16 of each row,
//!       rows (row.rs)
//! ```
//!
//! Runs never change, so a trace is read as it was at one moment without being locked for longer than a few rows
//! take.

use std::hint::black_box;
use std::ops::Range;

use foldhash::fast::RandomState;
use std::hash::BuildHasher;
use storage_record::Frame;
use storage_record::bytes::{Cursor, Malformed, Put};

use super::arena::{Address, Arena};
use super::elsewhere::{Among, Asked};
use super::row;
use super::{Arrival, HeadTrace};
use crate::rows::TraceRows;
use crate::shape::ShapeNumber;
use crate::slots::{self, Slots};

/// Rows of one trace that arrived together.
#[derive(Debug)]
pub(super) struct Run<'r> {
    pub(super) low: u64,
    /// Their frame before the first row.
    pub(super) high: u64,
    pub(super) base: u64,
    pub(super) rows: &'r [u8],
    /// One a row.
    pub(super) shapes: &'r [ShapeNumber],
    /// Least and greatest timestamp, microseconds, 0 when no row has one.
    pub(super) times: (u64, u64),
    /// When the last one ended, microseconds since the epoch, 0 when none has a timestamp; the longest duration.
    pub(super) end: u64,
    pub(super) longest: u64,
    pub(super) arrival: Arrival,
}

#[derive(Debug, Default)]
pub(super) struct Shard {
    traces: Vec<HeadTrace>,
    /// By low identifier.
    indexes: Slots<Indexed>,
    /// Of the trace that got rows last: the next ones are often of the same.
    latest: usize,
    runs: Arena,
    /// What comes before the rows of a run that is being added.
    start: Vec<u8>,
    in_segments: Asked,
    in_older: Asked,
}

/// Which trace an identifier is of.
#[derive(Clone, Copy, Debug)]
struct Indexed {
    /// Of the hash the bits that do not say where this is: hardly any other trace is looked at.
    rest: u32,
    /// The index among the traces + 1; 0 where there is none.
    number: u32,
}

impl slots::Entry for Indexed {
    const VACANT: Self = Self { rest: 0, number: 0 };

    fn is_vacant(&self) -> bool {
        self.number == 0
    }
}

impl Indexed {
    fn new(hash: u64, index: usize) -> Self {
        Self {
            rest: rest_of(hash),
            number: index as u32 + 1,
        }
    }

    fn index(self) -> usize {
        self.number as usize - 1
    }
}

fn rest_of(hash: u64) -> u32 {
    (hash >> 26) as u32
}

impl Shard {
    /// Adds rows to their trace; gives the memory that took, bytes.
    pub(super) fn add(&mut self, run: &Run<'_>, hasher: &RandomState) -> usize {
        let (index, added) = self.place(run, hasher);
        added + self.add_to(index, run)
    }

    /// The index of the trace of some rows, which is made where there is none; and the memory that took, bytes.
    fn place(&mut self, run: &Run<'_>, hasher: &RandomState) -> (usize, usize) {
        let Self {
            traces,
            indexes,
            latest,
            ..
        } = self;
        if traces.get(*latest).is_some_and(|trace| trace.low == run.low) {
            return (*latest, 0);
        }
        let hash = hasher.hash_one(run.low);
        if let Some(index) = index_of(indexes, traces, run.low, hash) {
            *latest = index;
            return (*latest, 0);
        }
        *latest = traces.len();
        traces.push(HeadTrace::new(run));
        let hash_of = |indexed: &Indexed| hasher.hash_one(traces[indexed.index()].low);
        indexes.insert_new(hash, Indexed::new(hash, *latest), hash_of);
        (*latest, HeadTrace::BYTES)
    }

    /// Reads where the traces of these hashes are found, then what adding to them takes. What is touched is there when it
    /// is needed: a processor waits for the memory of several at once, since none is where another one says. The six
    /// highest bits of a hash need not be right.
    pub(super) fn touch(&self, hashes: impl Iterator<Item = u64> + Clone) {
        self.indexes.touch(hashes.clone());
        // Perhaps of another trace: that is seen when it is there.
        let is_it = |hash| move |indexed: &Indexed| indexed.rest == rest_of(hash);
        let touched = hashes.map(|hash| {
            let found = self.indexes.find(hash, is_it(hash));
            found.map_or(0, |indexed| self.traces[indexed.index()].touch())
        });
        black_box(touched.fold(0, |all, one| all ^ one));
    }

    /// Adds rows to the trace that [`Shard::place`] gave; gives the memory that took, bytes.
    fn add_to(&mut self, index: usize, run: &Run<'_>) -> usize {
        let Self {
            traces, runs, start, ..
        } = self;
        let trace = &mut traces[index];
        let added = trace.note(run);
        start.clear();
        start.put_varint(Address::number_of(trace.last_run));
        let own_high = run.high != trace.high;
        start.put_varint((run.shapes.len() as u64) << 1 | u64::from(own_high));
        if own_high {
            start.put_u64(run.high);
        }
        start.put_zigzag(run.base.wrapping_sub(trace.base) as i64);
        start.put_varint(run.rows.len() as u64);
        for &shape in run.shapes {
            start.put_bytes(&(shape as u16).to_le_bytes());
        }
        let (address, grown) = runs.add(start, run.rows);
        trace.last_run = Some(address);
        trace.run_bytes += (start.len() + run.rows.len()) as u64;
        added + grown
    }

    pub(super) fn find(&self, low: u64, hasher: &RandomState) -> Option<&HeadTrace> {
        Some(&self.traces[self.index_of(low, hasher)?])
    }

    pub(super) fn index_of(&self, low: u64, hasher: &RandomState) -> Option<usize> {
        index_of(&self.indexes, &self.traces, low, hasher.hash_one(low))
    }

    /// What is known of where else its traces are, and the low identifiers of all of them.
    pub(super) fn asked(&mut self, among: Among) -> (&mut Asked, impl ExactSizeIterator<Item = u64>) {
        let asked = match among {
            Among::Segments => &mut self.in_segments,
            Among::OlderGenerations => &mut self.in_older,
        };
        (asked, self.traces.iter().map(|trace| trace.low))
    }

    /// Some of the bytes of its rows, each row whole; nothing from some number on.
    pub(super) fn row_bytes(&self, number: usize) -> Option<&[u8]> {
        self.runs.chunk(number)
    }

    /// Some of its traces; no more where there are none.
    pub(super) fn traces(&mut self, range: Range<usize>) -> &mut [HeadTrace] {
        let end = range.end.min(self.traces.len());
        &mut self.traces[range.start.min(end)..end]
    }
}

fn index_of(indexes: &Slots<Indexed>, traces: &[HeadTrace], low: u64, hash: u64) -> Option<usize> {
    let is_it = |indexed: &Indexed| indexed.rest == rest_of(hash) && traces[indexed.index()].low == low;
    indexes.find(hash, is_it).map(|indexed| indexed.index())
}

/// Where somebody is who reads the runs of a trace.
#[derive(Debug)]
pub(super) struct Reading {
    low: u64,
    high: u64,
    base: u64,
    /// The run that is being read, and where in it the shape of the next row is, and the row.
    run: Option<(Address, usize, usize)>,
    frame: Frame,
    /// Rows of this run that are not read, and the bytes of all of its rows.
    left_of_run: u64,
    run_bytes: usize,
    next_run: Option<Address>,
}

impl Reading {
    pub(super) fn of(trace: &HeadTrace) -> Self {
        Self {
            low: trace.low,
            high: trace.high,
            base: trace.base,
            run: None,
            frame: Frame::default(),
            left_of_run: 0,
            run_bytes: 0,
            next_run: trace.last_run,
        }
    }

    /// Reads at most so many rows, fewer only where there are no more.
    pub(super) fn read(&mut self, shard: &Shard, most: usize, rows: &mut TraceRows) -> Result<(), Malformed> {
        let end = rows.len() + most;
        while rows.len() < end && (self.left_of_run > 0 || self.begin_run(shard)?) {
            let Some((run, shapes, read)) = self.run else {
                return Err(Malformed("a run of rows that did not begin"));
            };
            let of_run = shard.runs.at(run);
            let after = |at: usize| of_run.get(at..).unwrap_or_default();
            let (mut numbers, mut cursor) = (Cursor::new(after(shapes)), Cursor::new(after(read)));
            let mut numbers_read = 0;
            while rows.len() < end && self.left_of_run > 0 {
                let shape = ShapeNumber::from(u16::from_le_bytes(numbers.array()?));
                row::read(&mut self.frame, self.low, shape, &mut cursor, rows)?;
                self.left_of_run -= 1;
                numbers_read += size_of::<u16>();
            }
            self.run = Some((run, shapes + numbers_read, of_run.len() - cursor.remaining()));
        }
        Ok(())
    }

    /// The bytes of the rows of the next run, which is then as if it were read; nothing at the end.
    pub(super) fn run_bytes<'s>(&mut self, shard: &'s Shard) -> Result<Option<&'s [u8]>, Malformed> {
        if !self.begin_run(shard)? {
            return Ok(None);
        }
        let (run, _, start) = self.run.ok_or(Malformed("a run of rows that did not begin"))?;
        let rows = shard.runs.at(run).get(start..start + self.run_bytes);
        rows.map(Some).ok_or(Malformed("a run that is not whole"))
    }

    /// Goes on to the run before; gives whether there is one.
    fn begin_run(&mut self, shard: &Shard) -> Result<bool, Malformed> {
        let Some(run) = self.next_run else {
            return Ok(false);
        };
        let bytes = shard.runs.at(run);
        let mut cursor = Cursor::new(bytes);
        self.next_run = Address::of_number(cursor.varint()?);
        let rows = cursor.varint()?;
        let high = match rows & 1 {
            0 => self.high,
            _ => cursor.u64()?,
        };
        self.frame = Frame::new(high, self.base.wrapping_add(cursor.zigzag()? as u64));
        self.run_bytes = cursor.varint()? as usize;
        self.left_of_run = rows >> 1;
        let shapes = bytes.len() - cursor.remaining();
        self.run = Some((run, shapes, shapes + self.left_of_run as usize * size_of::<u16>()));
        Ok(true)
    }
}

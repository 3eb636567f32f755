//! Rows on their way into the head: those of one trace that come after another are gathered and added together.

use parking_lot::Mutex;

use super::held::Held;
use super::row;
use super::shard::{Run, Shard};
use super::{Arrival, Generation};
use crate::rows::RowHead;
use crate::shape::ShapeNumber;
use storage_record::{Frame, RecordRun, RecordSpans};

/// Bytes of rows that are gathered before they are added.
const RUN_BYTES: usize = 16 << 10;

/// What most runs have room in from the start, bytes and rows.
const USUAL_BYTES: usize = 1 << 10;
const USUAL_ROWS: usize = 32;

/// Gathers rows and adds them to a generation. What was gathered last is added by [`Runs::finish`].
#[derive(Debug)]
pub(super) struct Runs<'g> {
    generation: &'g Generation,
    /// Where runs are held back, if they are.
    held: Option<&'g mut Held>,
    arrival: Arrival,
    low: u64,
    /// Before the first row, and after the last.
    begun: Frame,
    frame: Frame,
    /// Where runs are held back, those before as well; this one from `start` on.
    rows: Vec<u8>,
    shapes: Vec<ShapeNumber>,
    start: (usize, usize),
    times: (u64, u64),
    end: u64,
    longest: u64,
    /// Memory that was taken so far, bytes.
    added: usize,
}

impl<'g> Runs<'g> {
    pub(super) fn new(generation: &'g Generation, arrival: Arrival) -> Self {
        let (rows, shapes) = (Vec::with_capacity(USUAL_BYTES), Vec::with_capacity(USUAL_ROWS));
        Self::after(generation, arrival, (rows, shapes))
    }

    /// Holds them back instead.
    pub(super) fn held_in(held: &'g mut Held, generation: &'g Generation, arrival: Arrival) -> Self {
        let before = held.take_rows();
        Self {
            held: Some(held),
            ..Self::after(generation, arrival, before)
        }
    }

    /// Runs that are added behind those that are there.
    fn after(
        generation: &'g Generation,
        arrival: Arrival,
        (rows, shapes): (Vec<u8>, Vec<ShapeNumber>),
    ) -> Self {
        Self {
            generation,
            held: None,
            arrival,
            low: 0,
            begun: Frame::default(),
            frame: Frame::default(),
            start: (rows.len(), shapes.len()),
            rows,
            shapes,
            times: (0, 0),
            end: 0,
            longest: 0,
            added: 0,
        }
    }

    /// Adds a row; see [`row::write`].
    pub(super) fn add<'v>(
        &mut self,
        head: &RowHead,
        values: impl ExactSizeIterator<Item = &'v [u8]>,
        annotation_times: impl ExactSizeIterator<Item = u64>,
    ) {
        let timestamp = head.timestamp.unwrap_or(0);
        let (bytes, rows) = (self.rows.len() - self.start.0, self.shapes.len() - self.start.1);
        if head.trace_id.low() != self.low || bytes >= RUN_BYTES || rows == 0 {
            self.end_run();
            self.low = head.trace_id.low();
            self.begun = Frame::new(head.trace_id.high(), timestamp);
            self.frame = self.begun;
        }
        row::write(&mut self.frame, head, values, annotation_times, &mut self.rows);
        self.shapes.push(head.shape);
        let duration = head.duration.unwrap_or(0);
        self.longest = self.longest.max(duration);
        if timestamp != 0 {
            self.end = self.end.max(timestamp.saturating_add(duration));
            self.times = match self.times {
                (0, 0) => (timestamp, timestamp),
                (first, last) => (first.min(timestamp), last.max(timestamp)),
            };
        }
    }

    /// Adds the rows of a run of a record as they are; `numbers` gives their shapes by the numbers that these have in the
    /// record, and none is generic. Where runs are held back, so is the record, by its bytes ([`Held::keep`]).
    pub(super) fn copy(
        &mut self,
        spans: RecordSpans<'_>,
        run: &RecordRun,
        numbers: impl Fn(u32) -> ShapeNumber,
    ) {
        self.end_run();
        self.shapes
            .extend(spans.rows(run).iter().map(|row| numbers(row.shape)));
        let (start, rows) = (self.start.1, spans.range(run));
        let added = Run {
            low: run.low,
            high: run.high,
            base: run.base,
            rows: &spans.record()[rows.clone()],
            shapes: &self.shapes[start..],
            times: run.times,
            end: run.end,
            longest: run.longest,
            arrival: self.arrival,
        };
        if let Some(held) = &mut self.held {
            held.push_of_record(self.generation.order_of(run.low), &added, rows, start);
            self.start.1 = self.shapes.len();
        } else {
            let shard: &Mutex<Shard> = self.generation.shard(run.low);
            self.added += shard.lock().add(&added, &self.generation.hasher);
            self.shapes.clear();
        }
    }

    /// Adds what was gathered; gives the memory that all took, bytes.
    pub(super) fn finish(mut self) -> u64 {
        self.end_run();
        if let Some(held) = self.held {
            held.give_rows((self.rows, self.shapes));
        }
        self.added as u64
    }

    fn end_run(&mut self) {
        let (rows, shapes) = self.start;
        if self.shapes.len() == shapes {
            return;
        }
        let run = Run {
            low: self.low,
            high: self.begun.high,
            base: self.begun.base,
            rows: &self.rows[rows..],
            shapes: &self.shapes[shapes..],
            times: self.times,
            end: self.end,
            longest: self.longest,
            arrival: self.arrival,
        };
        if let Some(held) = &mut self.held {
            held.push(self.generation.order_of(self.low), &run, self.start);
            self.start = (self.rows.len(), self.shapes.len());
        } else {
            let shard: &Mutex<Shard> = self.generation.shard(self.low);
            self.added += shard.lock().add(&run, &self.generation.hasher);
            self.rows.clear();
            self.shapes.clear();
        }
        self.times = (0, 0);
        (self.end, self.longest) = (0, 0);
    }
}

//! Rows on their way into the head: those of one trace that come after another are gathered and added together.

use parking_lot::Mutex;

use super::held::Held;
use super::row::Frame;
use super::shard::{Run, Shard};
use super::{Arrival, Generation};
use crate::rows::RowHead;
use crate::shape::ShapeNumber;

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
    rows: Vec<u8>,
    shapes: Vec<ShapeNumber>,
    times: (u64, u64),
    end: u64,
    longest: u64,
    /// Memory that was taken so far, bytes.
    added: usize,
}

impl<'g> Runs<'g> {
    pub(super) fn new(generation: &'g Generation, arrival: Arrival) -> Self {
        Self {
            generation,
            held: None,
            arrival,
            low: 0,
            begun: Frame::default(),
            frame: Frame::default(),
            rows: Vec::with_capacity(USUAL_BYTES),
            shapes: Vec::with_capacity(USUAL_ROWS),
            times: (0, 0),
            end: 0,
            longest: 0,
            added: 0,
        }
    }

    /// Holds them back instead.
    pub(super) fn held_in(self, held: &'g mut Held) -> Self {
        Self {
            held: Some(held),
            ..self
        }
    }

    /// Adds a row; see [`Frame::write`].
    pub(super) fn add<'v>(
        &mut self,
        head: &RowHead,
        values: impl ExactSizeIterator<Item = &'v [u8]>,
        annotation_times: impl ExactSizeIterator<Item = u64>,
    ) {
        let timestamp = head.timestamp.unwrap_or(0);
        if head.trace_id.low() != self.low || self.rows.len() >= RUN_BYTES || self.shapes.is_empty() {
            self.end_run();
            self.low = head.trace_id.low();
            self.begun = Frame::new(head.trace_id.high(), timestamp);
            self.frame = self.begun;
        }
        self.frame.write(head, values, annotation_times, &mut self.rows);
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

    /// Adds what was gathered; gives the memory that all took, bytes.
    pub(super) fn finish(mut self) -> u64 {
        self.end_run();
        self.added as u64
    }

    fn end_run(&mut self) {
        if self.shapes.is_empty() {
            return;
        }
        let run = Run {
            low: self.low,
            frame: self.begun,
            rows: &self.rows,
            shapes: &self.shapes,
            times: self.times,
            end: self.end,
            longest: self.longest,
            arrival: self.arrival,
        };
        if let Some(held) = &mut self.held {
            held.push(self.generation.part_of(self.low), &run);
        } else {
            let shard: &Mutex<Shard> = self.generation.shard(self.low);
            self.added += shard.lock().add(&run, &self.generation.hasher);
        }
        self.rows.clear();
        self.shapes.clear();
        self.times = (0, 0);
        (self.end, self.longest) = (0, 0);
    }
}

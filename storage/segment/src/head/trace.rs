//! A trace in the head: what is known of it without reading its rows.

use super::Arrival;
use super::arena::Address;
use super::shard::Run;
use crate::registry::SHAPES_MAX;
use crate::shape::ShapeNumber;

const _: () = assert!(
    SHAPES_MAX <= 1 << 16,
    "two bytes are enough for the number of a shape"
);

/// A trace in the head: what a new run of its rows changes is in two lines of memory, and its shapes.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct HeadTrace {
    /// The low 64 bits of its identifier: what traces are grouped by.
    pub(crate) low: u64,
    /// The high 64 bits of its first span's.
    pub(super) high: u64,
    /// Base timestamps of runs are stored as differences from this one, microseconds since the epoch.
    pub(super) base: u64,
    pub(super) last_run: Option<Address>,
    pub(super) run_bytes: u64,
    span_count: u32,
    /// Of its spans, some of them more than once.
    shapes: Vec<u16>,
    /// Least and greatest timestamp of a span, microseconds, 0 when no span has one.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// When its last span ended, microseconds since the epoch, 0 when no span has a timestamp.
    pub(crate) end: u64,
    /// Its longest span, microseconds.
    pub(crate) longest: u64,
    pub(crate) arrival: Arrival,
}

const _: () = assert!(size_of::<HeadTrace>() == 128, "two lines of memory");

impl HeadTrace {
    /// What a trace takes beside its runs and shapes: itself and its place in a table, with the room that both keep
    /// to grow into.
    pub(super) const BYTES: usize = size_of::<Self>() * 3 / 2 + 16;

    pub(super) fn new(run: &Run<'_>) -> Self {
        Self {
            low: run.low,
            high: run.high,
            base: run.base,
            last_run: None,
            run_bytes: 0,
            span_count: 0,
            shapes: Vec::new(),
            first: 0,
            last: 0,
            end: 0,
            longest: 0,
            arrival: run.arrival,
        }
    }

    /// Reads what [`HeadTrace::note`] will: something of every line of memory that it takes. What it gives means nothing.
    pub(super) fn touch(&self) -> u64 {
        let shape = self.shapes.last().copied().unwrap_or_default();
        u64::from(shape) ^ self.low ^ self.arrival.first
    }

    /// Notes what is known of a run beside its rows; gives the memory that took, bytes.
    pub(super) fn note(&mut self, run: &Run<'_>) -> usize {
        let before = self.shapes.capacity();
        self.note_shapes(run.shapes);
        if run.times.0 != 0 {
            self.first = match self.first {
                0 => run.times.0,
                first => first.min(run.times.0),
            };
            self.last = self.last.max(run.times.1);
        }
        self.end = self.end.max(run.end);
        self.longest = self.longest.max(run.longest);
        self.arrival.join(run.arrival);
        self.span_count += run.shapes.len() as u32;
        (self.shapes.capacity() - before) * size_of::<u16>()
    }

    /// A trace has a few dozen spans, and most come in runs of a few: what each is of is only written down, and what is there
    /// twice goes when there is no more room. Then there is as much room again, so sorting costs little a span.
    fn note_shapes(&mut self, shapes: &[ShapeNumber]) {
        if self.shapes.capacity() - self.shapes.len() < shapes.len() {
            self.shapes.sort_unstable();
            self.shapes.dedup();
            let most = self.shapes.len() + shapes.len();
            if self.shapes.capacity() < 2 * most {
                self.shapes.reserve_exact(2 * most - self.shapes.len());
            }
        }
        self.shapes.extend(shapes.iter().map(|&shape| shape as u16));
    }

    /// Some of them more than once.
    pub(crate) fn shapes(&self) -> impl Iterator<Item = ShapeNumber> {
        self.shapes.iter().map(|&shape| ShapeNumber::from(shape))
    }

    /// Memory it holds, roughly.
    pub(crate) fn bytes(&self) -> u64 {
        self.run_bytes + (self.shapes.capacity() * size_of::<u16>() + Self::BYTES) as u64
    }

    pub(crate) fn span_count(&self) -> usize {
        self.span_count as usize
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use storage_journal::Position;

    fn run(shapes: &[ShapeNumber]) -> Run<'_> {
        Run {
            low: 1,
            high: 0,
            base: 0,
            rows: &[],
            shapes,
            times: (0, 0),
            end: 0,
            longest: 0,
            arrival: Arrival::at(0, Position::START),
        }
    }

    #[test]
    fn shapes_that_come_again_take_no_more_memory() {
        let greatest = SHAPES_MAX as ShapeNumber - 1;
        let mut trace = HeadTrace::new(&run(&[]));
        let mut added = 0;
        for number in 0..100_000 {
            added += trace.note(&run(&[number % 7, greatest, number % 5]));
        }
        assert_eq!(trace.span_count(), 300_000);
        let distinct: BTreeSet<ShapeNumber> = trace.shapes().collect();
        assert!(distinct.into_iter().eq((0..7).chain([greatest])));
        assert!(added <= 4 * 11 * size_of::<u16>(), "{added} bytes for 8 shapes");
        assert_eq!(trace.bytes(), (added + HeadTrace::BYTES) as u64);
    }
}

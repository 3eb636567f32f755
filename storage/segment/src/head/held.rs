//! Runs of many batches, held back to be added together: those of a trace one after the other, and each shard at once.
//! Spans of a trace come in batches of several instances at about the same time, so a trace is looked for once and not
//! for each of them, and what is known of it is at hand. Until they are added nobody sees them.

use std::hash::BuildHasher;
use std::hint::black_box;
use std::ops::Range;

use super::shard::Run;
use super::{Arrival, Generation, SHARDS};
use crate::shape::ShapeNumber;

/// Bytes of records and rows that are held: of the batches of some ten instances, and little enough that they are still at hand
/// when they are added.
const ROWS_BYTES_MAX: usize = 1 << 20;

/// Where the shard is in what runs are sorted by.
const PART_SHIFT: u32 = u64::BITS - SHARDS.ilog2();

fn part_of(order: u64) -> usize {
    (order >> PART_SHIFT) as usize
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Records whose rows are held as they lie there, and their bytes.
    records: Vec<Vec<u8>>,
    record_bytes: usize,
    /// Rows that are in no record in this way.
    rows: Vec<u8>,
    shapes: Vec<ShapeNumber>,
    runs: Vec<HeldRun>,
    /// Where a run belongs ([`Generation::order_of`]), and which it is: what runs are sorted by, small enough to be moved
    /// around.
    order: Vec<(u64, u32)>,
}

/// A [`Run`] whose rows and shapes are beside those of others.
#[derive(Debug)]
struct HeldRun {
    low: u64,
    high: u64,
    base: u64,
    /// The number of the record that the rows are in, if they are in one.
    record: Option<u32>,
    rows: Range<usize>,
    shapes: Range<usize>,
    times: (u64, u64),
    end: u64,
    longest: u64,
    arrival: Arrival,
}

impl Held {
    /// The rows of all runs and their shapes, for further ones to be added to; until [`Held::give_rows`] none is here.
    pub(super) fn take_rows(&mut self) -> (Vec<u8>, Vec<ShapeNumber>) {
        (std::mem::take(&mut self.rows), std::mem::take(&mut self.shapes))
    }

    pub(super) fn give_rows(&mut self, (rows, shapes): (Vec<u8>, Vec<ShapeNumber>)) {
        (self.rows, self.shapes) = (rows, shapes);
    }

    /// Holds a run whose rows and shapes begin at these places among all.
    pub(super) fn push(&mut self, order: u64, run: &Run<'_>, (rows, shapes): (usize, usize)) {
        self.push_run(order, run, None, rows..rows + run.rows.len(), shapes);
    }

    /// Holds a run whose rows are these bytes of the record that is kept next, and whose shapes begin at this place among
    /// all.
    pub(super) fn push_of_record(&mut self, order: u64, run: &Run<'_>, rows: Range<usize>, shapes: usize) {
        self.push_run(order, run, Some(self.records.len() as u32), rows, shapes);
    }

    /// Holds a record, to be called once its spans are inserted, all or some of them.
    pub(crate) fn keep(&mut self, record: Vec<u8>) {
        self.record_bytes += record.len();
        self.records.push(record);
    }

    fn push_run(
        &mut self,
        order: u64,
        run: &Run<'_>,
        record: Option<u32>,
        rows: Range<usize>,
        shapes: usize,
    ) {
        self.order.push((order, self.runs.len() as u32));
        self.runs.push(HeldRun {
            low: run.low,
            high: run.high,
            base: run.base,
            record,
            rows,
            shapes: shapes..shapes + run.shapes.len(),
            times: run.times,
            end: run.end,
            longest: run.longest,
            arrival: run.arrival,
        });
    }

    fn run(&self, number: u32) -> Run<'_> {
        let run = &self.runs[number as usize];
        let rows = match run.record {
            Some(record) => &self.records[record as usize],
            None => &self.rows,
        };
        Run {
            low: run.low,
            high: run.high,
            base: run.base,
            rows: &rows[run.rows.clone()],
            shapes: &self.shapes[run.shapes.clone()],
            times: run.times,
            end: run.end,
            longest: run.longest,
            arrival: run.arrival,
        }
    }

    /// Reads these runs: they are not in the order in which they were written. None waits for what another finds, so a
    /// processor waits for the memory of several at once.
    fn touch(&self, order: &[(u64, u32)]) {
        let touched = order.iter().map(|&(_, number)| {
            let run = &self.runs[number as usize];
            run.low ^ run.arrival.first
        });
        black_box(touched.fold(0, |all, one| all ^ one));
    }

    fn clear(&mut self) {
        self.records.clear();
        self.record_bytes = 0;
        self.rows.clear();
        self.shapes.clear();
        self.runs.clear();
        self.order.clear();
    }

    /// Whether it is time to add them.
    pub(crate) fn is_full(&self) -> bool {
        self.record_bytes + self.rows.len() >= ROWS_BYTES_MAX
    }
}

impl Generation {
    /// What brings the runs of a shard together, and among them those of a trace: the shard in the highest bits.
    pub(super) fn order_of(&self, low: u64) -> u64 {
        (self.part_of(low) as u64) << PART_SHIFT | self.hasher.hash_one(low) & ((1 << PART_SHIFT) - 1)
    }

    /// Adds what is held, each shard at once.
    pub(crate) fn add_held(&self, held: &mut Held) {
        held.order.sort_unstable();
        let mut added = 0;
        for of_part in held.order.chunk_by(|one, next| part_of(one.0) == part_of(next.0)) {
            let mut shard = self.shards[part_of(of_part[0].0)].lock();
            held.touch(of_part);
            shard.touch(of_part.iter().map(|one| one.0));
            for &(_, number) in of_part {
                added += shard.add(&held.run(number), &self.hasher);
            }
        }
        self.note_rows(added as u64, 0);
        held.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{arbitrary_spans, batch_of, insert_batch};
    use crate::view::sort_distinct;
    use model::Span;
    use proptest::prelude::*;
    use storage_journal::Position;
    use storage_record::RecordReader;

    proptest! {
        #[test]
        fn what_was_held_is_as_if_it_had_been_added_at_once(
            batches in prop::collection::vec(arbitrary_spans(12), 0..5), pause in 0usize..5,
        ) {
            let (at_once, later) = (Generation::new(0), Generation::new(0));
            let mut held = Held::default();
            for (number, spans) in batches.iter().enumerate() {
                let (batch, arrival) = (batch_of(spans), Arrival::at(7, Position::from_u64(number as u64)));
                insert_batch(&at_once, &batch, arrival, &[]);
                let (mut reader, record) = (RecordReader::default(), storage_record::encode(&batch));
                later.insert_held(reader.read(&record).unwrap(), arrival, &[], &mut held).unwrap();
                held.keep(record);
                if number == pause {
                    later.add_held(&mut held);
                }
            }
            later.add_held(&mut held);
            prop_assert_eq!(later.spans(), at_once.spans());
            prop_assert_eq!(later.position(), at_once.position());
            let sorted = |mut spans: Vec<Span>| {
                sort_distinct(&mut spans);
                spans
            };
            for low in 0..5 {
                let known = |generation: &Generation| {
                    generation.with_trace(low, |trace| {
                        (trace.span_count(), trace.first, trace.last, trace.longest, trace.arrival)
                    })
                };
                prop_assert_eq!(known(&later), known(&at_once));
                prop_assert_eq!(sorted(later.spans_of(low)), sorted(at_once.spans_of(low)));
            }
        }
    }
}

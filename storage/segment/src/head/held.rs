//! Runs of many batches, held back to be added together: those of a trace one after the other, and each shard at once.
//! Spans of a trace come in batches of several instances at about the same time, so a trace is looked for once and not
//! for each of them, and what is known of it is at hand. Until they are added nobody sees them.

use std::ops::Range;

use super::row::Frame;
use super::shard::Run;
use super::{Arrival, Generation};
use crate::shape::ShapeNumber;

/// Bytes of rows that are held: of the batches of some ten instances, and little enough that they are still at hand
/// when they are added.
const ROWS_BYTES_MAX: usize = 1 << 20;

/// See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct Held {
    rows: Vec<u8>,
    shapes: Vec<ShapeNumber>,
    runs: Vec<HeldRun>,
    /// The shard and the trace of a run, and which it is: what runs are sorted by, small enough to be moved around.
    order: Vec<(usize, u64, usize)>,
}

/// A [`Run`] whose rows and shapes are beside those of others.
#[derive(Debug)]
struct HeldRun {
    frame: Frame,
    rows: Range<usize>,
    shapes: Range<usize>,
    times: (u64, u64),
    end: u64,
    longest: u64,
    arrival: Arrival,
}

impl Held {
    pub(super) fn push(&mut self, part: usize, run: &Run<'_>) {
        let (rows, shapes) = (self.rows.len(), self.shapes.len());
        self.rows.extend_from_slice(run.rows);
        self.shapes.extend_from_slice(run.shapes);
        self.order.push((part, run.low, self.runs.len()));
        self.runs.push(HeldRun {
            frame: run.frame,
            rows: rows..self.rows.len(),
            shapes: shapes..self.shapes.len(),
            times: run.times,
            end: run.end,
            longest: run.longest,
            arrival: run.arrival,
        });
    }

    /// Whether it is time to add them.
    pub(crate) fn is_full(&self) -> bool {
        self.rows.len() >= ROWS_BYTES_MAX
    }
}

impl Generation {
    /// Adds what is held.
    pub(crate) fn add_held(&self, held: &mut Held) {
        let Held {
            rows,
            shapes,
            runs,
            order,
        } = held;
        // Those of a trace in the order in which they came.
        order.sort_unstable();
        let mut added = 0;
        for of_part in order.chunk_by(|one, next| one.0 == next.0) {
            let mut shard = self.shards[of_part[0].0].lock();
            for &(_, low, index) in of_part {
                let run = &runs[index];
                let run = Run {
                    low,
                    frame: run.frame,
                    rows: &rows[run.rows.clone()],
                    shapes: &shapes[run.shapes.clone()],
                    times: run.times,
                    end: run.end,
                    longest: run.longest,
                    arrival: run.arrival,
                };
                added += shard.add(&run, &self.hasher);
            }
        }
        self.note_rows(added as u64, 0);
        rows.clear();
        shapes.clear();
        runs.clear();
        order.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{arbitrary_spans, batch_of};
    use crate::view::sort_distinct;
    use model::Span;
    use proptest::prelude::*;
    use storage_journal::Position;
    use storage_record::Numbering;

    proptest! {
        #[test]
        fn what_was_held_is_as_if_it_had_been_added_at_once(
            batches in prop::collection::vec(arbitrary_spans(12), 0..5), pause in 0usize..5,
        ) {
            let (at_once, later) = (Generation::new(0), Generation::new(0));
            let mut held = Held::default();
            for (number, spans) in batches.iter().enumerate() {
                let (batch, arrival) = (batch_of(spans), Arrival::at(7, Position::from_u64(number as u64)));
                let numbering = Numbering::of(&batch);
                at_once.insert(&batch, &numbering, arrival, &[]);
                later.insert_held(&batch, &numbering, arrival, &[], &mut held);
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

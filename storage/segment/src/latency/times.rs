//! Durations of operations in windows on their way into an answer: gathered as they come, minute by minute, and added up
//! operation by operation, so that what is added lies together in memory.

use std::sync::Arc;

use model::{PackedSketches, Sketch};
use storage::WindowCollector;

use crate::hour_sums::HourSums;

/// What is gathered before it is added up, bytes: the sums of a thousand operations over two days.
const BYTES_MAX: usize = 128 << 20;

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// Those of hours.
    sums: Vec<Arc<HourSums>>,
    /// Others.
    loose: PackedSketches,
    places: Vec<Place>,
    /// Memory that the sums take.
    sums_bytes: usize,
}

/// Durations of an operation in a window; in the order in which they are added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    operation: u32,
    window: u32,
    /// The number of the sums; [`LOOSE`] for others.
    sums: u32,
    /// The number of the sketch there.
    number: u32,
}

const LOOSE: u32 = u32::MAX;

impl Times {
    /// Says whose hours come next.
    pub(super) fn begin(&mut self, sums: &Arc<HourSums>) {
        self.sums_bytes += sums.bytes();
        self.sums.push(sums.clone());
    }

    /// Notes a sketch of the sums that were begun last.
    pub(super) fn add_hour(&mut self, operation: usize, window: usize, number: usize) {
        let sums = self.sums.len().saturating_sub(1);
        self.note(operation, window, (sums as u32, number));
    }

    /// Notes a sketch of a minute.
    pub(super) fn add(
        &mut self,
        operation: usize,
        window: usize,
        durations: &Sketch,
        collector: &mut WindowCollector<'_>,
    ) {
        if self.loose.push(durations) {
            self.note(operation, window, (LOOSE, self.loose.len() - 1));
        } else {
            collector.add_times(operation, window, durations, &Sketch::new());
        }
    }

    fn note(&mut self, operation: usize, window: usize, (sums, number): (u32, usize)) {
        self.places.push(Place {
            operation: operation as u32,
            window: window as u32,
            sums,
            number: number as u32,
        });
    }

    /// Adds up where much is gathered.
    pub(super) fn bound(&mut self, collector: &mut WindowCollector<'_>) {
        let places = self.places.len() * size_of::<Place>();
        if self.sums_bytes + self.loose.bytes() + places > BYTES_MAX {
            self.settle(collector);
        }
    }

    /// Adds everything up that was gathered.
    pub(super) fn settle(&mut self, collector: &mut WindowCollector<'_>) {
        let Self {
            sums, loose, places, ..
        } = &mut *self;
        places.sort_unstable();
        let of_one = |one: &Place, next: &Place| (one.operation, one.window) == (next.operation, next.window);
        for same in places.chunk_by(of_one) {
            let sketches = same.iter().map(|place| {
                let packed = match place.sums {
                    LOOSE => &*loose,
                    sum => sums[sum as usize].times(),
                };
                (packed, place.number as usize)
            });
            collector.add_packed(same[0].operation as usize, same[0].window as usize, sketches);
        }
        *self = Self::default();
    }
}

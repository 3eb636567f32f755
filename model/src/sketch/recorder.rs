//! Recording many values into a sketch: buckets are sorted into it some hundred at a time.

use super::{Sketch, bucket_index, join_ranges};

/// A sketch that is being filled. What it holds in the end is what recording every value into a [`Sketch`] gives.
#[derive(Clone, Debug, Default)]
pub struct SketchRecorder {
    /// All but the pending buckets.
    sketch: Sketch,
    pending: Vec<u16>,
}

/// Buckets that are kept before they are sorted in.
const PENDING_MAX: usize = 256;

impl SketchRecorder {
    /// Holds nothing.
    pub const fn new() -> Self {
        Self {
            sketch: Sketch::new(),
            pending: Vec::new(),
        }
    }

    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        if self.pending.len() == PENDING_MAX {
            self.settle();
        }
        self.pending.push(bucket_index(value));
        let sketch = &mut self.sketch;
        sketch.count = sketch.count.saturating_add(1);
        sketch.sum = sketch.sum.saturating_add(u128::from(value));
        sketch.range = join_ranges(sketch.range, Some((value, value)));
    }

    /// What was recorded.
    pub fn finish(&mut self) -> &Sketch {
        self.settle();
        &self.sketch
    }

    fn settle(&mut self) {
        self.pending.sort_unstable();
        let runs = self.pending.chunk_by(|a, b| a == b);
        let (indexes, counts) = runs.map(|run| (run[0], run.len() as u64)).unzip();
        self.sketch.merge_buckets(&Sketch {
            indexes,
            counts,
            ..Sketch::new()
        });
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_recorder_gives_the_sketch_of_its_values(
            values in prop::collection::vec(prop_oneof![0..300u64, any::<u64>()], 0..3 * PENDING_MAX),
            again in any::<u64>(),
        ) {
            let (mut recorder, mut sketch) = (SketchRecorder::new(), Sketch::new());
            for &value in &values {
                recorder.record(value);
                sketch.record(value);
            }
            prop_assert_eq!(recorder.finish(), &sketch);
            recorder.record(again);
            sketch.record(again);
            prop_assert_eq!(recorder.finish(), &sketch);
        }
    }
}

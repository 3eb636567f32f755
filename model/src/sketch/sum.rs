//! Many sketches added up: each costs its own buckets, and not those of what is already there.

use super::{BUCKETS, OCTAVE_BITS, Sketch, bucket_bounds, join_ranges};

/// Buckets that lie together.
const RUN: usize = 1 << OCTAVE_BITS;

/// A sum of sketches. It is the sketch that [`Sketch::merge`] makes of them, but takes 1 KiB for every octave that
/// something is in.
#[derive(Clone, Debug, Default)]
pub struct SketchSum {
    // Of each run of buckets the counts, if there are any.
    runs: Vec<Option<Box<[u64; RUN]>>>,
    pub(super) count: u64,
    pub(super) sum: u128,
    pub(super) range: Option<(u64, u64)>,
}

impl SketchSum {
    /// Counts everything `sketch` counted.
    pub fn add(&mut self, sketch: &Sketch) {
        for (&index, &more) in sketch.indexes.iter().zip(&sketch.counts) {
            let count = self.bucket(index);
            *count = count.saturating_add(more);
        }
        self.count = self.count.saturating_add(sketch.count);
        self.sum = self.sum.saturating_add(sketch.sum);
        self.range = join_ranges(self.range, sketch.range);
    }

    /// Takes away what `sketch` counted, which MUST be a part of what was added; see [`Sketch::subtract`].
    pub fn subtract(&mut self, sketch: &Sketch) {
        for (&index, &less) in sketch.indexes.iter().zip(&sketch.counts) {
            let count = self.bucket(index);
            *count = count.saturating_sub(less);
        }
        self.count = self.count.saturating_sub(sketch.count);
        self.sum = self.sum.saturating_sub(sketch.sum);
    }

    /// The sketch of everything.
    pub fn to_sketch(&self) -> Sketch {
        let (mut indexes, mut counts) = (Vec::new(), Vec::new());
        for (first, run) in (0..BUCKETS).step_by(RUN).zip(&self.runs) {
            let Some(run) = run else { continue };
            for (index, &count) in (first..).zip(run.iter()).filter(|(_, count)| **count > 0) {
                indexes.push(index);
                counts.push(count);
            }
        }
        let ends = indexes.first().zip(indexes.last());
        let range = ends.zip(self.range).map(|((&first, &last), (min, max))| {
            let (least, greatest) = (bucket_bounds(first), bucket_bounds(last));
            (min.clamp(least.0, least.1), max.clamp(greatest.0, greatest.1))
        });
        Sketch {
            indexes,
            counts,
            count: self.count,
            sum: self.sum,
            range,
        }
    }

    pub(super) fn bucket(&mut self, index: u16) -> &mut u64 {
        let (run, place) = (usize::from(index) / RUN, usize::from(index) % RUN);
        if run >= self.runs.len() {
            self.runs.resize_with(run + 1, || None);
        }
        &mut self.runs[run].get_or_insert_with(|| Box::new([0; RUN]))[place]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::bucket_number;
    use super::*;

    fn sketches() -> impl Strategy<Value = Vec<Sketch>> {
        let value = (any::<u64>(), 0..64u32, 1..1000u64);
        let sketch = prop::collection::vec(value, 0..30).prop_map(|values| {
            let mut sketch = Sketch::new();
            for (value, bits, count) in values {
                sketch.record_many(value >> bits, count);
            }
            sketch
        });
        prop::collection::vec(sketch, 0..6)
    }

    #[test]
    fn the_last_bucket_has_a_place_and_nothing_is_an_empty_sketch() {
        assert_eq!(SketchSum::default().to_sketch(), Sketch::new());
        let mut ends = Sketch::new();
        ends.record(0);
        ends.record_many(u64::MAX, u64::MAX);
        let mut sum = SketchSum::default();
        sum.add(&ends);
        sum.add(&ends);
        ends.record_many(0, 1);
        ends.record_many(u64::MAX, u64::MAX);
        assert_eq!(sum.to_sketch(), ends);
    }

    proptest! {
        #[test]
        fn adding_is_merging_and_taking_away_leaves_the_rest(kept in sketches(), taken in sketches()) {
            let (mut sum, mut merged) = (SketchSum::default(), Sketch::new());
            for sketch in &kept {
                sum.add(sketch);
                merged.merge(sketch);
            }
            prop_assert_eq!(&sum.to_sketch(), &merged);
            taken.iter().for_each(|sketch| sum.add(sketch));
            taken.iter().for_each(|sketch| sum.subtract(sketch));
            let left = sum.to_sketch();
            prop_assert_eq!((left.count(), left.sum()), (merged.count(), merged.sum()));
            prop_assert!(left.buckets().eq(merged.buckets()));
            let ends = |sketch: &Sketch| (sketch.min().map(bucket_number), sketch.max().map(bucket_number));
            prop_assert_eq!(ends(&left), ends(&merged));
        }
    }
}

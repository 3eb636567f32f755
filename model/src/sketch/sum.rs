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
    // Runs that nothing is in, for what comes next.
    #[expect(clippy::vec_box, reason = "they are moved to and from `runs`, and not copied")]
    spare: Vec<Box<[u64; RUN]>>,
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

    /// True if nothing was ever added, or all was taken.
    pub fn is_empty(&self) -> bool {
        self.range.is_none()
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

    /// As [`SketchSum::to_sketch`], and nothing is counted any more; the memory is kept for what comes next.
    pub fn take(&mut self) -> Sketch {
        let sketch = self.to_sketch();
        for mut run in self.runs.iter_mut().filter_map(Option::take) {
            run.fill(0);
            self.spare.push(run);
        }
        (self.count, self.sum, self.range) = (0, 0, None);
        sketch
    }

    pub(super) fn bucket(&mut self, index: u16) -> &mut u64 {
        &mut self.run(run_of(index))[usize::from(index) % RUN]
    }

    /// Counts in buckets that ascend, of each how many.
    pub(super) fn add_buckets(&mut self, indexes: &[u16], counts: &[u32]) {
        let mut counts = counts.iter();
        for of_run in indexes.chunk_by(|one, next| run_of(*one) == run_of(*next)) {
            let run = self.run(run_of(of_run[0]));
            for (&index, &more) in of_run.iter().zip(&mut counts) {
                let count = &mut run[usize::from(index) % RUN];
                *count = count.saturating_add(u64::from(more));
            }
        }
    }

    fn run(&mut self, run: usize) -> &mut [u64; RUN] {
        if run >= self.runs.len() {
            self.runs.resize_with(run + 1, || None);
        }
        let spare = &mut self.spare;
        self.runs[run].get_or_insert_with(|| spare.pop().unwrap_or_else(|| Box::new([0; RUN])))
    }
}

/// The number of the run that a bucket is in.
fn run_of(index: u16) -> usize {
    usize::from(index) / RUN
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
            let mut emptied = sum.clone();
            prop_assert_eq!(&emptied.take(), &merged);
            prop_assert_eq!(emptied.to_sketch(), Sketch::new());
            kept.iter().for_each(|sketch| emptied.add(sketch));
            prop_assert_eq!(&emptied.to_sketch(), &merged);
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

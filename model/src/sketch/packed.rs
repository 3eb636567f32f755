//! Many sketches in little memory, to be added up.

use super::{Sketch, SketchSum, join_ranges};

/// Sketches by number, in six bytes a bucket and some 60 bytes each. They can be added up, and nothing else.
#[derive(Clone, Debug, Default)]
pub struct PackedSketches {
    indexes: Vec<u16>,
    counts: Vec<u32>,
    sketches: Vec<Packed>,
}

#[derive(Clone, Copy, Debug)]
struct Packed {
    /// Where its buckets end; they begin where those of the one before end.
    end: usize,
    count: u64,
    sum: u128,
    range: Option<(u64, u64)>,
}

impl PackedSketches {
    /// Adds a sketch, as the next number; false, and nothing is added, if a bucket holds more than 32 bits count.
    #[must_use]
    pub fn push(&mut self, sketch: &Sketch) -> bool {
        if sketch.counts.iter().any(|&count| u32::try_from(count).is_err()) {
            return false;
        }
        self.indexes.extend_from_slice(&sketch.indexes);
        self.counts
            .extend(sketch.counts.iter().map(|&count| count as u32));
        self.sketches.push(Packed {
            end: self.indexes.len(),
            count: sketch.count,
            sum: sketch.sum,
            range: sketch.range,
        });
        true
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sketches.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.sketches.is_empty()
    }

    /// Gives back memory that is not needed.
    pub fn shrink_to_fit(&mut self) {
        self.indexes.shrink_to_fit();
        self.counts.shrink_to_fit();
        self.sketches.shrink_to_fit();
    }

    /// Memory they take.
    pub fn bytes(&self) -> usize {
        self.indexes.capacity() * size_of::<u16>()
            + self.counts.capacity() * size_of::<u32>()
            + self.sketches.capacity() * size_of::<Packed>()
    }
}

impl SketchSum {
    /// Counts everything that one of many sketches counted.
    ///
    /// # Panics
    /// If there is no such number.
    pub fn add_packed(&mut self, packed: &PackedSketches, number: usize) {
        let sketch = packed.sketches[number];
        let begin = number
            .checked_sub(1)
            .map_or(0, |before| packed.sketches[before].end);
        let buckets = begin..sketch.end;
        self.add_buckets(&packed.indexes[buckets.clone()], &packed.counts[buckets]);
        self.count = self.count.saturating_add(sketch.count);
        self.sum = self.sum.saturating_add(sketch.sum);
        self.range = join_ranges(self.range, sketch.range);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_adds_up_to_the_same(
            sketches in prop::collection::vec(prop::collection::vec((any::<u64>(), 0..64u32, 1..1000u64), 0..30), 0..6),
        ) {
            let (mut packed, mut sum, mut expected) =
                (PackedSketches::default(), SketchSum::default(), SketchSum::default());
            for (number, values) in sketches.iter().enumerate() {
                let mut sketch = Sketch::new();
                values.iter().for_each(|&(value, bits, count)| sketch.record_many(value >> bits, count));
                prop_assert!(packed.push(&sketch));
                sum.add_packed(&packed, number);
                expected.add(&sketch);
            }
            prop_assert_eq!(sum.to_sketch(), expected.to_sketch());
        }
    }

    #[test]
    fn what_does_not_fit_is_not_packed() {
        let (mut packed, mut sketch) = (PackedSketches::default(), Sketch::new());
        sketch.record_many(5, 1 << 32);
        assert!(!packed.push(&sketch));
        let mut fits = Sketch::new();
        fits.record_many(5, u64::from(u32::MAX));
        assert!(packed.push(&fits));
        let mut sum = SketchSum::default();
        sum.add_packed(&packed, 0);
        assert_eq!(sum.to_sketch(), fits);
    }
}

//! Many values at once: whoever sorts the buckets of values into sketches, of many sketches together, pays far less
//! than for finding the place of each value.

use super::{BUCKETS, Sketch, bucket_index, join_ranges};

/// Bits that hold every number of a bucket.
pub const BUCKET_BITS: u32 = u16::BITS - (BUCKETS - 1).leading_zeros();

/// The number of the bucket that a value falls into, below 2 to the power of [`BUCKET_BITS`]; ascending with values.
pub fn bucket_number(value: u64) -> u16 {
    bucket_index(value)
}

/// What a sketch knows of values beside their buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SketchTotals {
    count: u64,
    sum: u128,
    range: Option<(u64, u64)>,
}

impl SketchTotals {
    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(u128::from(value));
        self.range = join_ranges(self.range, Some((value, value)));
    }
}

impl Sketch {
    /// Counts values of which `buckets` has the numbers, ascending, one a value, and `totals` the rest.
    pub fn record_sorted(&mut self, buckets: impl Iterator<Item = u16>, totals: SketchTotals) {
        let (mut indexes, mut counts) = (Vec::new(), Vec::<u64>::new());
        for index in buckets {
            match counts.last_mut() {
                Some(count) if indexes.last() == Some(&index) => *count += 1,
                _ => {
                    indexes.push(index);
                    counts.push(1);
                }
            }
        }
        self.merge(&Self {
            indexes,
            counts,
            count: totals.count,
            sum: totals.sum,
            range: totals.range,
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sorted_values_give_the_sketch_of_all_values(
            parts in prop::collection::vec(prop::collection::vec(prop_oneof![0..300u64, any::<u64>()], 0..300), 0..4),
        ) {
            let (mut sorted, mut expected) = (Sketch::new(), Sketch::new());
            for values in &parts {
                let mut totals = SketchTotals::default();
                let mut buckets: Vec<u16> = values.iter().map(|&value| bucket_number(value)).collect();
                buckets.sort_unstable();
                for &value in values {
                    totals.record(value);
                    expected.record(value);
                }
                sorted.record_sorted(buckets.into_iter(), totals);
            }
            prop_assert_eq!(&sorted, &expected);
        }
    }

    #[test]
    fn bits_hold_every_bucket_and_no_more() {
        assert!(u32::from(bucket_number(u64::MAX)) < 1 << BUCKET_BITS);
        assert!(u32::from(bucket_number(u64::MAX)) >= 1 << (BUCKET_BITS - 1));
    }
}

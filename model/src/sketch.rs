//! A histogram of durations that merges without loss: latency of many spans in little memory.
//!
//! Buckets are log-linear. Each octave [2ᵏ, 2ᵏ⁺¹) is divided into 128 buckets of equal width, so a bucket is at most
//! 1/128 (0.8 %) as wide as the values in it; below 256 every value has a bucket of its own. The bucket of a value is found
//! by counting leading zeros and shifting: no logarithm and no rounding, so every machine agrees.
//!
//! 128 and not fewer, because tests that compare two sketches lose power on narrow distributions when buckets
//! are wide (`performance.md` 6). Only buckets that hold something take memory, 10 bytes each.

mod codec;
mod packed;
mod sorted;
mod sum;

pub use codec::SketchError;
pub use packed::PackedSketches;
pub use sorted::{BUCKET_BITS, SketchTotals, bucket_number};
pub use sum::SketchSum;

/// Counts of values from 0 to `u64::MAX`, meant as microseconds.
///
/// Recording and merging commute and associate: the order in which values and sketches come together never shows.
/// Counts stay at `u64::MAX`, and the sum at `u128::MAX`, once they are reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    // Buckets that hold something, ascending, and how much each holds.
    indexes: Vec<u16>,
    counts: Vec<u64>,
    count: u64,
    sum: u128,
    // The least and the greatest value, if there is any.
    range: Option<(u64, u64)>,
}

/// The values from `lower` to `upper`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The least value that falls into it.
    pub lower: u64,
    /// The greatest value that falls into it.
    pub upper: u64,
    /// How many values did; at least 1.
    pub count: u64,
}

/// An octave is divided into 2⁷ buckets.
const OCTAVE_BITS: u32 = 7;

/// How many buckets there are: [0, 256) by ones, and 56 octaves above.
const BUCKETS: u16 = 7424;

impl Sketch {
    /// At any [`Sketch::quantile`], at most this part of the exact value lies between it and the answer.
    pub const RELATIVE_ERROR_MAX: f64 = 1.0 / 256.0;

    /// Holds nothing.
    pub const fn new() -> Self {
        Self {
            indexes: Vec::new(),
            counts: Vec::new(),
            count: 0,
            sum: 0,
            range: None,
        }
    }

    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        self.record_many(value, 1);
    }

    /// Counts a value `count` times.
    pub fn record_many(&mut self, value: u64, count: u64) {
        if count == 0 {
            return;
        }
        let index = bucket_index(value);
        match self.indexes.binary_search(&index) {
            Ok(position) => self.counts[position] = self.counts[position].saturating_add(count),
            Err(position) => {
                self.indexes.insert(position, index);
                self.counts.insert(position, count);
            }
        }
        self.count = self.count.saturating_add(count);
        self.sum = self.sum.saturating_add(u128::from(value) * u128::from(count));
        self.range = join_ranges(self.range, Some((value, value)));
    }

    /// Counts everything `other` counted.
    pub fn merge(&mut self, other: &Self) {
        if self.indexes == other.indexes {
            for (count, more) in self.counts.iter_mut().zip(&other.counts) {
                *count = count.saturating_add(*more);
            }
        } else {
            self.merge_buckets(other);
        }
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
        self.range = join_ranges(self.range, other.range);
    }

    /// Takes away what `other` counted, which MUST be a part of what this one did.
    ///
    /// The least and the greatest value are then off by at most a bucket, if they were taken away.
    pub fn subtract(&mut self, other: &Self) {
        for (index, count) in other.indexes.iter().zip(&other.counts) {
            if let Ok(position) = self.indexes.binary_search(index) {
                self.counts[position] = self.counts[position].saturating_sub(*count);
            }
        }
        let mut left = self.counts.iter().map(|&count| count > 0);
        self.indexes.retain(|_| left.next() == Some(true));
        self.counts.retain(|&count| count > 0);
        self.count = self.count.saturating_sub(other.count);
        self.sum = self.sum.saturating_sub(other.sum);
        let ends = self.indexes.first().zip(self.indexes.last());
        self.range = ends.and_then(|(&first, &last)| {
            let (least, greatest) = (bucket_bounds(first), bucket_bounds(last));
            let (min, max) = self.range?;
            Some((min.clamp(least.0, least.1), max.clamp(greatest.0, greatest.1)))
        });
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// True if nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The exact sum of all values.
    pub fn sum(&self) -> u128 {
        self.sum
    }

    /// The exact mean, as near as a floating-point number is; `None` if nothing was counted.
    pub fn mean(&self) -> Option<f64> {
        if self.is_empty() {
            None
        } else {
            Some(self.sum as f64 / self.count as f64)
        }
    }

    /// The least value, exact.
    pub fn min(&self) -> Option<u64> {
        self.range.map(|(min, _)| min)
    }

    /// The greatest value, exact.
    pub fn max(&self) -> Option<u64> {
        self.range.map(|(_, max)| max)
    }

    /// The least value such that at least the share `q` of all values is not greater; `None` if nothing was
    /// counted. `q` is cut to 0 (the minimum) to 1 (the maximum).
    ///
    /// The answer is the middle of the bucket the exact value is in: exact below 256, else off by at most 1/256 of
    /// the exact value ([`Sketch::RELATIVE_ERROR_MAX`]). Beyond 2⁵³ values the rank itself is rounded.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let (min, max) = self.range?;
        let rank = (q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64;
        if rank <= 1 {
            return Some(min);
        }
        if rank >= self.count {
            return Some(max);
        }
        let mut passed = 0u64;
        let bucket = self.buckets().find(|bucket| {
            passed = passed.saturating_add(bucket.count);
            passed >= rank
        })?;
        Some((bucket.lower + (bucket.upper - bucket.lower) / 2).clamp(min, max))
    }

    /// The buckets that hold something, by value.
    pub fn buckets(&self) -> impl DoubleEndedIterator<Item = Bucket> + ExactSizeIterator + Clone + '_ {
        self.indexes.iter().zip(&self.counts).map(|(&index, &count)| {
            let (lower, upper) = bucket_bounds(index);
            Bucket { lower, upper, count }
        })
    }

    fn merge_buckets(&mut self, other: &Self) {
        let mut indexes = Vec::with_capacity(self.indexes.len() + other.indexes.len());
        let mut counts = Vec::with_capacity(indexes.capacity());
        let (mut mine, mut theirs) = (0, 0);
        loop {
            let (left, right) = (self.indexes.get(mine), other.indexes.get(theirs));
            let Some(&index) = left.into_iter().chain(right).min() else {
                break;
            };
            let mut count = 0u64;
            if left == Some(&index) {
                count = self.counts[mine];
                mine += 1;
            }
            if right == Some(&index) {
                count = count.saturating_add(other.counts[theirs]);
                theirs += 1;
            }
            indexes.push(index);
            counts.push(count);
        }
        (self.indexes, self.counts) = (indexes, counts);
    }
}

fn join_ranges(a: Option<(u64, u64)>, b: Option<(u64, u64)>) -> Option<(u64, u64)> {
    match (a, b) {
        (Some((a_min, a_max)), Some((b_min, b_max))) => Some((a_min.min(b_min), a_max.max(b_max))),
        (a, b) => a.or(b),
    }
}

/// The bucket of a value. A value of 8 bits or fewer is its own; of a longer one the leading 8 bits count, and
/// the bits below them number the octave.
fn bucket_index(value: u64) -> u16 {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(OCTAVE_BITS + 1);
    ((shift << OCTAVE_BITS) + (value >> shift) as u32) as u16
}

/// The least and the greatest value of a bucket.
fn bucket_bounds(index: u16) -> (u64, u64) {
    let shift = (u32::from(index) >> OCTAVE_BITS).saturating_sub(1);
    let lower = (u64::from(index) - (u64::from(shift) << OCTAVE_BITS)) << shift;
    (lower, lower + ((1 << shift) - 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sketch(values: &[u64]) -> Sketch {
        let mut sketch = Sketch::new();
        for &value in values {
            sketch.record(value);
        }
        sketch
    }

    /// Values of every magnitude, small ones and edges of octaves often.
    fn any_value() -> impl Strategy<Value = u64> {
        let near_power = (0..64u32, -2i64..3).prop_map(|(bits, off)| (1u64 << bits).wrapping_add_signed(off));
        prop_oneof![
            any::<u64>(),
            (any::<u64>(), 0..64u32).prop_map(|(value, bits)| value >> bits),
            near_power
        ]
    }

    fn any_sketch() -> impl Strategy<Value = Sketch> {
        prop::collection::vec((any_value(), 1..1000u64), 0..40).prop_map(|values| {
            let mut sketch = Sketch::new();
            for (value, count) in values {
                sketch.record_many(value, count);
            }
            sketch
        })
    }

    fn merged(a: &Sketch, b: &Sketch) -> Sketch {
        let mut merged = a.clone();
        merged.merge(b);
        merged
    }

    #[test]
    fn buckets_cover_all_values_without_gaps() {
        let mut next = 0u64;
        for index in 0..BUCKETS {
            let (lower, upper) = bucket_bounds(index);
            assert_eq!(lower, next);
            assert_eq!((bucket_index(lower), bucket_index(upper)), (index, index));
            // No wider than 1/128 of its least value.
            assert!(u128::from(upper - lower) * 128 < u128::from(lower.max(128)));
            next = upper.wrapping_add(1);
        }
        assert_eq!(next, 0, "the last bucket ends with the greatest value");
        assert_eq!(bucket_index(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn an_empty_sketch_has_no_values() {
        let empty = Sketch::new();
        assert!(empty.is_empty());
        assert_eq!(
            (empty.min(), empty.max(), empty.quantile(0.5), empty.mean()),
            (None, None, None, None)
        );
        assert_eq!(merged(&empty, &sketch(&[7])), sketch(&[7]));
        assert_eq!(merged(&sketch(&[7]), &empty), sketch(&[7]));
    }

    #[test]
    fn small_values_are_exact() {
        let sketch = sketch(&(0..256).collect::<Vec<_>>());
        assert_eq!(sketch.buckets().len(), 256);
        assert_eq!(sketch.quantile(0.5), Some(127));
        assert_eq!(sketch.quantile(0.0), Some(0));
        assert_eq!(sketch.quantile(1.0), Some(255));
        assert_eq!(sketch.sum(), 255 * 128);
        assert_eq!(sketch.mean(), Some(127.5));
    }

    #[test]
    fn ends_and_constants_are_exact() {
        let ends = sketch(&[1000, 2000, 3000]);
        assert_eq!((ends.quantile(0.3), ends.quantile(0.7)), (Some(1000), Some(3000)));
        assert_eq!(ends.quantile(0.5), Some(2003), "the middle of 2000 to 2007");
        let constant = sketch(&[1000; 5]);
        assert_eq!(constant.quantile(0.5), Some(1000));
    }

    #[test]
    fn the_greatest_values_neither_wrap_nor_panic() {
        let mut sketch = sketch(&[u64::MAX, u64::MAX]);
        assert_eq!(sketch.sum(), 2 * u128::from(u64::MAX));
        sketch.record_many(u64::MAX, u64::MAX);
        sketch.record_many(0, u64::MAX);
        assert_eq!(sketch.count(), u64::MAX);
        assert_eq!(sketch.quantile(0.4), Some(0));
        assert_eq!(sketch.quantile(f64::NAN), Some(0));
        assert_eq!(sketch.quantile(7.0), Some(u64::MAX));
        sketch.record_many(5, 0);
        assert_eq!(sketch.buckets().len(), 2);
    }

    proptest! {
        #[test]
        fn merging_commutes_and_associates(a in any_sketch(), b in any_sketch(), c in any_sketch()) {
            prop_assert_eq!(merged(&a, &b), merged(&b, &a));
            prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        }

        #[test]
        fn merging_is_recording_together(a in prop::collection::vec(any_value(), 0..50), b in prop::collection::vec(any_value(), 0..50)) {
            prop_assert_eq!(merged(&sketch(&a), &sketch(&b)), sketch(&[a, b].concat()));
        }

        #[test]
        fn taking_away_leaves_what_was_not_taken(a in any_sketch(), b in any_sketch()) {
            let mut left = merged(&a, &b);
            left.subtract(&b);
            prop_assert_eq!((left.count(), left.sum()), (a.count(), a.sum()));
            prop_assert!(left.buckets().eq(a.buckets()));
            let bucket = |value: Option<u64>| value.map(bucket_index);
            prop_assert_eq!((bucket(left.min()), bucket(left.max())), (bucket(a.min()), bucket(a.max())));
        }

        #[test]
        fn quantiles_are_within_the_bound(mut values in prop::collection::vec(any_value(), 1..200), q in 0.0..=1.0f64) {
            let sketch = sketch(&values);
            values.sort_unstable();
            let rank = ((q * values.len() as f64).ceil() as usize).max(1);
            let exact = values[rank - 1];
            let answer = sketch.quantile(q).unwrap();
            prop_assert!(answer.abs_diff(exact) <= exact / 256, "{} for {}", answer, exact);
        }

        #[test]
        fn totals_are_exact(values in prop::collection::vec(any_value(), 1..100)) {
            let sketch = sketch(&values);
            prop_assert_eq!(sketch.count(), values.len() as u64);
            prop_assert_eq!(sketch.sum(), values.iter().map(|&value| u128::from(value)).sum::<u128>());
            prop_assert_eq!(sketch.min(), values.iter().min().copied());
            prop_assert_eq!(sketch.max(), values.iter().max().copied());
            prop_assert_eq!(sketch.buckets().map(|bucket| bucket.count).sum::<u64>(), values.len() as u64);
        }
    }
}

//! Durations in bins that are wide enough to be seen, for charts that show how they are spread over time.

use model::Sketch;

/// Bins of an octave, 2 to this power: each is a quarter of it.
const BIN_BITS: u32 = 2;

/// The greatest duration of each bin that holds any, ascending, and how many it holds. An octave from 2ᵏ to 2ᵏ⁺¹ has four
/// bins, so there are at most some 250. The buckets of a sketch are parts of them, so nothing is counted in the wrong one.
pub(super) fn bins(durations: &Sketch) -> Vec<(u64, u64)> {
    let mut bins: Vec<(u64, u64)> = Vec::new();
    for bucket in durations.buckets() {
        let upper = upper_bound(bucket.upper);
        match bins.last_mut() {
            Some((last, count)) if *last == upper => *count = count.saturating_add(bucket.count),
            _ => bins.push((upper, bucket.count)),
        }
    }
    bins
}

/// The greatest number that falls into the bin of this one.
fn upper_bound(value: u64) -> u64 {
    // Below the first octave that can be divided every number has a bin of its own.
    let width_bits = value.checked_ilog2().unwrap_or(0).saturating_sub(BIN_BITS);
    value | ((1 << width_bits) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_octave_has_four_bins() {
        let uppers: Vec<u64> = (0..=32).map(upper_bound).collect();
        let expected = [
            0, 1, 2, 3, 4, 5, 6, 7, 9, 9, 11, 11, 13, 13, 15, 15, 19, 19, 19, 19, 23, 23, 23, 23, 27, 27, 27,
            27, 31, 31, 31, 31, 39,
        ];
        assert_eq!(uppers, expected);
        assert_eq!(upper_bound(u64::MAX), u64::MAX);
    }

    #[test]
    fn everything_is_counted_once_where_it_belongs() {
        let mut durations = Sketch::new();
        let values = (0..40_000u64).map(|number| number * number % 1_000_003);
        for value in values.clone() {
            durations.record(value);
        }
        let bins = bins(&durations);
        for &(upper, count) in &bins {
            let own = values.clone().filter(|&value| upper_bound(value) == upper);
            assert_eq!(count, own.count() as u64, "{upper}");
        }
        assert_eq!(bins.iter().map(|bin| bin.1).sum::<u64>(), 40_000);
        assert!(bins.is_sorted() && bins.len() < 80, "{}", bins.len());
        assert_eq!(super::bins(&Sketch::new()), []);
    }
}

//! Values and how often each was seen: a sample, in as little memory as its distinct values need.

use model::Sketch;

const VALUE_MAX: f64 = 1e100;

/// A sample. Values are ascending, distinct and within ±10¹⁰⁰, so that nothing computed from them overflows; every
/// count is at least 1.
///
/// It may hold each value of a small sample, or the buckets of a large one: tests treat equal values as ties, which
/// is what the values of a bucket are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    cells: Vec<Cell>,
    count: u64,
}

/// A value and how often it was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// In whatever unit the sample is.
    pub value: f64,
    /// At least 1.
    pub count: u64,
}

impl Histogram {
    /// By ascending value.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// How many values there are, equal ones included.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The sample of the natural logarithms, in which a difference is a ratio. Values below 1 (microsecond) count
    /// as 1.
    #[must_use]
    pub fn ln(&self) -> Self {
        self.cells
            .iter()
            .map(|cell| (cell.value.max(1.0).ln(), cell.count))
            .collect()
    }

    /// The part above `threshold`.
    #[must_use]
    pub fn above(&self, threshold: f64) -> Self {
        let from = self.cells.partition_point(|cell| cell.value <= threshold);
        self.cells[from..]
            .iter()
            .map(|cell| (cell.value, cell.count))
            .collect()
    }

    /// The `rank`th least value, counted from 1 and cut to what there is; `None` if there is none.
    pub fn at_rank(&self, rank: u64) -> Option<f64> {
        let mut passed = 0u64;
        self.cells
            .iter()
            .find(|cell| {
                passed = passed.saturating_add(cell.count);
                passed >= rank
            })
            .or(self.cells.last())
            .map(|cell| cell.value)
    }

    /// The least value such that at least the share `q` of all is not greater. `q` is cut to 0 to 1.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        self.at_rank((q * self.count as f64).ceil() as u64)
    }
}

/// In any order, repeated or not. What was seen 0 times, and what is no number, is not part of the sample; greater
/// values are cut to 10¹⁰⁰.
impl FromIterator<(f64, u64)> for Histogram {
    fn from_iter<I: IntoIterator<Item = (f64, u64)>>(counted: I) -> Self {
        let mut cells: Vec<Cell> = counted
            .into_iter()
            .filter(|(value, count)| !value.is_nan() && *count > 0)
            // Zero has one sign.
            .map(|(value, count)| Cell {
                value: value.clamp(-VALUE_MAX, VALUE_MAX) + 0.0,
                count,
            })
            .collect();
        cells.sort_unstable_by(|a, b| a.value.total_cmp(&b.value));
        cells.dedup_by(|next, kept| {
            let same = next.value == kept.value;
            if same {
                kept.count = kept.count.saturating_add(next.count);
            }
            same
        });
        let count = cells
            .iter()
            .fold(0u64, |sum, cell| sum.saturating_add(cell.count));
        Self { cells, count }
    }
}

/// Integers, such as durations in microseconds or calls of a trace.
impl FromIterator<(u64, u64)> for Histogram {
    fn from_iter<I: IntoIterator<Item = (u64, u64)>>(counted: I) -> Self {
        counted
            .into_iter()
            .map(|(value, count)| (value as f64, count))
            .collect()
    }
}

/// Single values.
impl FromIterator<f64> for Histogram {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        values.into_iter().map(|value| (value, 1)).collect()
    }
}

/// Each bucket at its middle, which is off by at most 1/256 of the value ([`Sketch::RELATIVE_ERROR_MAX`]).
impl From<&Sketch> for Histogram {
    fn from(sketch: &Sketch) -> Self {
        sketch
            .buckets()
            .map(|bucket| {
                (
                    f64::midpoint(bucket.lower as f64, bucket.upper as f64),
                    bucket.count,
                )
            })
            .collect()
    }
}

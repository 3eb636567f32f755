//! What the times of a segment sum up to, hour by hour: lists of operations are about a day, and a day has millions of
//! operations, versions and minutes, but only thousands of operations and hours.
//!
//! A unit, the spans of one version of an operation in one minute, may be in several segments, and only all of it counts.
//! So units can be taken out again: beside the hours are the units of every minute, in some eight bytes each.

use std::ops::Range;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use model::{PackedSketches, SketchSum};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use storage::{MinuteTotals, OperationName, UnitTotals};

use crate::sketches::SketchEntry;
use storage_record::bytes::{Cursor, Malformed, Put};

pub(crate) const HOUR_MINUTES: u64 = 60;

/// The sums of a segment. Operations and versions are numbers.
#[derive(Debug, Default)]
pub(crate) struct HourSums {
    pub(crate) operations: Vec<OperationName>,
    pub(crate) versions: Vec<String>,
    /// Ascending by hour, those of each by operation.
    sums: Vec<HourSum>,
    /// Of each of `sums` how its times are spread.
    times: PackedSketches,
    /// Minutes ascending, each with where its units end; they begin where those of the minute before end.
    minutes: Vec<(u64, usize)>,
    /// number of the operation less that of the unit before, version, calls, errors, traces, spans without a duration,
    /// sum of durations
    units: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct HourSum {
    hour: u64,
    pub(crate) operation: u32,
    pub(crate) totals: UnitTotals,
}

/// Sums of segments lately asked for, by the number of the segment, bounded by their bytes. Those that cannot be summed
/// up are known, too.
pub(crate) type HourSumsCache = Cache<u64, Option<Arc<HourSums>>, HourSumsWeight>;

/// Weighs sums by the memory they take.
#[derive(Clone, Debug)]
pub(crate) struct HourSumsWeight;

impl Weighter<u64, Option<Arc<HourSums>>> for HourSumsWeight {
    fn weight(&self, _: &u64, sums: &Option<Arc<HourSums>>) -> u64 {
        1 + sums.as_ref().map_or(0, |sums| sums.bytes() as u64)
    }
}

/// A cache of at most `bytes_max`.
pub(crate) fn hour_sums_cache(bytes_max: u64) -> HourSumsCache {
    Cache::with_weighter(64, bytes_max, HourSumsWeight)
}

/// The unit of an operation and version in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) operation: u32,
    pub(crate) version: u32,
    pub(crate) totals: MinuteTotals,
}

impl HourSums {
    /// Sums up what a segment has; `None` where numbers are so great that they could not be taken out again.
    pub(crate) fn of(entries: &[SketchEntry]) -> Option<Self> {
        let mut found = Self::default();
        let (mut operations, mut versions) = (HashMap::with_hasher(RandomState::default()), HashMap::new());
        let mut numbered: Vec<(u64, u32, u32, &SketchEntry)> = Vec::with_capacity(entries.len());
        for entry in entries {
            let operation = number(&mut operations, &mut found.operations, &entry.operation);
            let version = number(&mut versions, &mut found.versions, &entry.version);
            numbered.push((entry.minute, operation, version, entry));
        }
        numbered.sort_unstable_by_key(|&(minute, operation, version, _)| (minute, operation, version));
        for of_minute in numbered.chunk_by(|one, next| one.0 == next.0) {
            found.put_units(of_minute)?;
        }
        numbered.sort_unstable_by_key(|&(minute, operation, ..)| (minute / HOUR_MINUTES, operation));
        let same = |one: &(u64, u32, u32, &SketchEntry), next: &(u64, u32, u32, &SketchEntry)| {
            (one.0 / HOUR_MINUTES, one.1) == (next.0 / HOUR_MINUTES, next.1)
        };
        for of_hour in numbered.chunk_by(same) {
            let mut sum = HourSum {
                hour: of_hour[0].0 / HOUR_MINUTES,
                operation: of_hour[0].1,
                totals: UnitTotals::default(),
            };
            let mut times = SketchSum::default();
            for (.., entry) in of_hour {
                sum.totals.add(&totals(entry), &entry.self_times);
                times.add(&entry.durations);
            }
            let units = [&sum.totals.duration_units, &sum.totals.error_units];
            if !units.into_iter().all(|units| units.is_small()) || !found.times.push(&times.to_sketch()) {
                return None;
            }
            found.sums.push(sum);
        }
        found.sums.shrink_to_fit();
        found.times.shrink_to_fit();
        found.units.shrink_to_fit();
        Some(found)
    }

    fn put_units(&mut self, of_minute: &[(u64, u32, u32, &SketchEntry)]) -> Option<()> {
        let mut last = 0;
        for &(_, operation, version, entry) in of_minute {
            let unit = totals(entry);
            for value in [
                u64::from(operation - last),
                u64::from(version),
                unit.calls,
                unit.errors,
                unit.traces,
                unit.calls.checked_sub(unit.duration_count)?,
                u64::try_from(unit.duration_sum).ok()?,
            ] {
                self.units.put_varint(value);
            }
            last = operation;
        }
        self.minutes.push((of_minute[0].0, self.units.len()));
        Some(())
    }

    /// The minutes in which something began, ascending.
    pub(crate) fn minutes(&self) -> impl Iterator<Item = u64> + '_ {
        self.minutes.iter().map(|(minute, _)| *minute)
    }

    /// The sums of an hour, each with the number of its times.
    pub(crate) fn hour(&self, hour: u64) -> impl Iterator<Item = (&HourSum, usize)> {
        let begin = self.sums.partition_point(|sum| sum.hour < hour);
        let end = self.sums.partition_point(|sum| sum.hour <= hour);
        self.sums[begin..end].iter().zip(begin..)
    }

    /// See [`model::PackedSketches`].
    pub(crate) fn times(&self) -> &PackedSketches {
        &self.times
    }

    /// The units of a minute.
    ///
    /// # Errors
    /// [`Malformed`] never, as they were written by this process.
    pub(crate) fn units(&self, minute: u64) -> Result<Vec<Unit>, Malformed> {
        let mut cursor = Cursor::new(&self.units[self.units_of(minute)]);
        let (mut units, mut operation) = (Vec::new(), 0);
        while cursor.remaining() > 0 {
            let mut number = || cursor.varint();
            operation += number()? as u32;
            let version = number()? as u32;
            let (calls, errors, traces) = (number()?, number()?, number()?);
            let (untimed, duration_sum) = (number()?, number()?);
            units.push(Unit {
                operation,
                version,
                totals: MinuteTotals {
                    calls,
                    errors,
                    traces,
                    duration_count: calls - untimed,
                    duration_sum: u128::from(duration_sum),
                },
            });
        }
        Ok(units)
    }

    fn units_of(&self, minute: u64) -> Range<usize> {
        let Ok(place) = self.minutes.binary_search_by_key(&minute, |(minute, _)| *minute) else {
            return 0..0;
        };
        let begin = place.checked_sub(1).map_or(0, |before| self.minutes[before].1);
        begin..self.minutes[place].1
    }

    /// Memory they take.
    pub(crate) fn bytes(&self) -> usize {
        let operations = self.operations.iter().map(|operation| {
            size_of::<OperationName>() + operation.service_name.len() + operation.span_name.len()
        });
        operations.sum::<usize>()
            + self
                .versions
                .iter()
                .map(|version| size_of::<String>() + version.len())
                .sum::<usize>()
            + self.sums.capacity() * size_of::<HourSum>()
            + self.times.bytes()
            + self.minutes.capacity() * size_of::<(u64, usize)>()
            + self.units.capacity()
    }
}

fn totals(entry: &SketchEntry) -> MinuteTotals {
    MinuteTotals {
        calls: entry.spans,
        errors: entry.errors,
        traces: entry.traces,
        duration_count: entry.durations.count(),
        duration_sum: entry.durations.sum(),
    }
}

/// The number of a name in a list of such, by a map of those that are in it.
fn number<'e, T, S>(known: &mut HashMap<&'e T, u32, S>, all: &mut Vec<T>, name: &'e T) -> u32
where
    T: Clone + Eq + std::hash::Hash,
    S: std::hash::BuildHasher,
{
    let next = all.len() as u32;
    let number = *known.entry(name).or_insert(next);
    if number == next {
        all.push(name.clone());
    }
    number
}

#[cfg(test)]
mod tests {
    use model::Sketch;

    use super::*;

    fn entry(span_name: &str, version: &str, minute: u64, durations: &[u64]) -> SketchEntry {
        let mut sketch = Sketch::new();
        durations.iter().for_each(|&duration| sketch.record(duration));
        SketchEntry {
            operation: OperationName {
                service_name: "shop".to_owned(),
                span_name: span_name.to_owned(),
                kind: None,
            },
            version: version.to_owned(),
            minute,
            spans: durations.len() as u64 + 1,
            errors: 1,
            traces: 1,
            self_times: sketch.clone(),
            durations: sketch,
        }
    }

    #[test]
    fn an_hour_is_all_its_units_and_each_can_be_had_back() {
        let entries = [
            entry("b", "1", 61, &[5, 7]),
            entry("a", "1", 61, &[1]),
            entry("b", "2", 61, &[100]),
            entry("b", "1", 119, &[9]),
            entry("b", "1", 120, &[11]),
        ];
        let sums = HourSums::of(&entries).unwrap();
        assert_eq!(sums.minutes().collect::<Vec<_>>(), [61, 119, 120]);
        let of_hour: Vec<_> = sums.hour(1).collect();
        let names = of_hour
            .iter()
            .map(|(sum, _)| sums.operations[sum.operation as usize].span_name.as_str());
        assert_eq!(names.collect::<Vec<_>>(), ["b", "a"]);
        let (of_b, number) = of_hour[0];
        assert_eq!(
            (of_b.totals.calls, of_b.totals.errors, of_b.totals.traces),
            (7, 3, 3)
        );
        assert_eq!((of_b.totals.self_time_count, of_b.totals.self_time_sum), (4, 121));
        assert_eq!(
            (
                of_b.totals.duration_units.units,
                of_b.totals.duration_units.numerator
            ),
            (3, 121)
        );
        assert_eq!(
            of_b.totals.duration_units.numerator_squares,
            12 * 12 + 100 * 100 + 9 * 9
        );
        let mut times = SketchSum::default();
        times.add_packed(sums.times(), number);
        assert_eq!(
            (times.to_sketch().count(), times.to_sketch().max()),
            (4, Some(100))
        );
        for entry in &entries {
            let units = sums.units(entry.minute).unwrap();
            let is_it = |unit: &&Unit| {
                sums.operations[unit.operation as usize] == entry.operation
                    && sums.versions[unit.version as usize] == entry.version
            };
            let unit = units.iter().find(is_it).unwrap();
            assert_eq!(unit.totals, totals(entry));
        }
        assert_eq!(sums.units(61).unwrap().len(), 3);
        assert_eq!(sums.units(62).unwrap(), []);
    }

    #[test]
    fn what_could_not_be_taken_out_again_is_not_summed_up() {
        assert!(HourSums::of(&[entry("a", "", 1, &[u64::MAX])]).is_none());
        let mut odd = entry("a", "", 1, &[1, 2, 3]);
        odd.spans = 2;
        assert!(HourSums::of(&[odd]).is_none());
    }
}

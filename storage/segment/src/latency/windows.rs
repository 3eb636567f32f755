//! Whole windows, each summed up: whole hours from what a segment sums up to by the hour, other minutes from its sketches,
//! segment by segment. Only of minutes that several segments, or the head, add to are the numbers of each version held,
//! as long as segments yet to be read may add to them, and not how its times are spread.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use model::Sketch;
use storage::{
    MinuteTotals, OperationLatency, OperationName, StorageError, WindowCollector, WindowLatencies,
    WindowQuery,
};

use super::times::Times;
use super::{Counted, Scattered, add_whole, micros_of, touches};
use crate::hour_sums::{HOUR_MINUTES, HourSums};
use crate::reader::SegmentReader;
use crate::rollup::MINUTE;
use crate::search::check;
use crate::sketches::SketchEntry;
use crate::store::Store;
use crate::view::Reading;
use storage_record::bytes::Malformed;

/// Versions of operations, counted by minute, that are held at a time; some 100 MiB. Beyond that the earliest minute
/// is closed, and what comes of it later is a unit of its own.
const UNITS_MAX: usize = 1 << 20;

/// See [`storage::LatencySource::windows`].
pub(crate) fn windows(
    store: &Store,
    reading: &mut Reading<'_>,
    query: &WindowQuery,
    cancelled: &AtomicBool,
) -> Result<WindowLatencies, StorageError> {
    let Some(minutes) = query.minutes() else {
        return Ok(WindowCollector::new(query).finish(reading.completeness()));
    };
    let window = micros_of(&minutes);
    let view = reading.view;
    let head = store.counted_head(view, window, cancelled)?;
    let scattered = Scattered::find(reading, &head, window, cancelled)?;
    let mut whole = Counted::new();
    let taken = add_whole(store, reading, &head, &scattered, &minutes, cancelled, &mut whole)?;
    let mut sums = Sums::new(query, taken);
    for row in whole.values() {
        sums.add(&Row::from(row))?;
    }
    for entry in head.sections.iter().flat_map(|(_, section)| section.times()) {
        sums.add(&Row::from(entry))?;
    }
    let mut segments: Vec<_> = view.segments.iter().collect();
    segments.retain(|segment| touches(segment, window));
    segments.sort_by_key(|segment| segment.footer().summary.first);
    for segment in segments {
        check(cancelled)?;
        let summary = &segment.footer().summary;
        let minutes = (summary.first / MINUTE, summary.last / MINUTE);
        sums.close_before(minutes.0);
        let hours = Hours::of(query, minutes);
        let summed = if hours.whole.is_empty() {
            None
        } else {
            reading.read(segment, SegmentReader::hour_sums)?
        };
        let Some(summed) = summed else {
            let entries = reading.read(segment, SegmentReader::sketches)?;
            entries.iter().try_for_each(|entry| sums.add(&Row::from(entry)))?;
            sums.times.bound(&mut sums.collector);
            continue;
        };
        sums.add_hours(summed, &hours.whole)?;
        if hours.has_others {
            let entries = reading.read(segment, SegmentReader::sketches)?;
            let mut others = entries.iter().filter(|entry| !hours.has(entry.minute));
            others.try_for_each(|entry| sums.add(&Row::from(entry)))?;
            sums.times.bound(&mut sums.collector);
        }
    }
    Ok(sums.finish(reading))
}

/// Which hours of a segment are asked for as a whole.
struct Hours {
    /// Each with its window, ascending.
    whole: Vec<(u64, usize)>,
    /// Whether minutes of other hours are asked for.
    has_others: bool,
}

impl Hours {
    /// `minutes`: the first and the last of the segment. What it has nothing of does not matter.
    fn of(query: &WindowQuery, (first, last): (u64, u64)) -> Self {
        let mut hours = Self {
            whole: Vec::new(),
            has_others: false,
        };
        if query.version.is_some() {
            // Versions are not told apart in an hour.
            hours.has_others = true;
            return hours;
        }
        let asked = query.minutes();
        let asked = asked.map_or((1, 0), |asked| (asked.first_minute, asked.last_minute));
        for hour in first.max(asked.0) / HOUR_MINUTES..=last.min(asked.1) / HOUR_MINUTES {
            let begin = hour * HOUR_MINUTES;
            let minutes = begin.max(first)..=(begin + HOUR_MINUTES - 1).min(last);
            let mut windows = minutes.map(|minute| query.window_of(minute));
            let window = windows.next().flatten();
            match window {
                Some(window) if windows.all(|other| other == Some(window)) => {
                    hours.whole.push((hour, window))
                }
                _ => hours.has_others = true,
            }
        }
        hours
    }

    fn has(&self, minute: u64) -> bool {
        let hour = minute / HOUR_MINUTES;
        self.whole.binary_search_by_key(&hour, |(hour, _)| *hour).is_ok()
    }
}

/// A segment whose hours were counted, while others may have more of its minutes.
struct Summed {
    sums: Arc<HourSums>,
    /// Of its operations and versions the numbers in the answer; `None` for operations beyond the bound.
    operations: Vec<Option<usize>>,
    versions: Vec<u32>,
    /// Minutes whose units were counted with their hour.
    minutes: BTreeSet<u64>,
}

/// By operation and the number of a version.
type Units = HashMap<(usize, u32), MinuteTotals, RandomState>;

/// Windows being summed up.
struct Sums<'q> {
    query: &'q WindowQuery,
    collector: WindowCollector<'q>,
    times: Times,
    versions: HashMap<String, u32, RandomState>,
    /// By minute.
    open: BTreeMap<u64, Units>,
    /// In all open minutes.
    units: usize,
    /// By minute, what parts of traces counted that were read whole.
    taken: BTreeMap<u64, Vec<OperationLatency>>,
    /// Of operations in windows, times of such parts: they are taken away when all times are added up.
    taken_times: Vec<(usize, usize, OperationLatency)>,
    /// Segments that were counted by the hour, and have minutes that are not closed.
    summed: Vec<Summed>,
}

/// What is known of an operation, version and minute, wherever it is.
struct Row<'r> {
    operation: &'r OperationName,
    version: &'r str,
    minute: u64,
    totals: MinuteTotals,
    durations: &'r Sketch,
    self_times: &'r Sketch,
}

impl<'r> From<&'r OperationLatency> for Row<'r> {
    fn from(row: &'r OperationLatency) -> Self {
        Self {
            operation: &row.operation,
            version: &row.version,
            minute: row.minute,
            totals: row.into(),
            durations: &row.durations,
            self_times: &row.self_times,
        }
    }
}

impl<'r> From<&'r SketchEntry> for Row<'r> {
    fn from(entry: &'r SketchEntry) -> Self {
        Self {
            operation: &entry.operation,
            version: &entry.version,
            minute: entry.minute,
            totals: MinuteTotals {
                calls: entry.spans,
                errors: entry.errors,
                traces: entry.traces,
                duration_count: entry.durations.count(),
                duration_sum: entry.durations.sum(),
            },
            durations: &entry.durations,
            self_times: &entry.self_times,
        }
    }
}

impl<'q> Sums<'q> {
    fn new(query: &'q WindowQuery, taken: Counted) -> Self {
        let mut by_minute: BTreeMap<u64, Vec<OperationLatency>> = BTreeMap::new();
        let is_asked_for = |row: &OperationLatency| query.is_about(&row.operation, &row.version);
        for row in taken.into_values().filter(is_asked_for) {
            by_minute.entry(row.minute).or_default().push(row);
        }
        Self {
            query,
            collector: WindowCollector::new(query),
            times: Times::default(),
            versions: HashMap::default(),
            open: BTreeMap::new(),
            units: 0,
            taken: by_minute,
            taken_times: Vec::new(),
            summed: Vec::new(),
        }
    }

    /// Counts hours of a segment, each in its window.
    fn add_hours(&mut self, sums: Arc<HourSums>, hours: &[(u64, usize)]) -> Result<(), StorageError> {
        let mut operations: Vec<Option<usize>> = vec![None; sums.operations.len()];
        self.times.begin(&sums);
        for &(hour, window) in hours {
            for (sum, times) in sums.hour(hour) {
                let name = &sums.operations[sum.operation as usize];
                if !self.query.is_about(name, "") {
                    continue;
                }
                let number = &mut operations[sum.operation as usize];
                *number = number.or_else(|| self.collector.operation(name));
                match *number {
                    Some(number) => {
                        self.collector.add_sums(number, window, &sum.totals);
                        self.times.add_hour(number, window, times);
                    }
                    None => self.collector.add_beyond(window, sum.totals.calls),
                }
            }
        }
        self.times.bound(&mut self.collector);
        let versions = sums.versions.iter();
        let versions = versions.map(|version| self.version(version)).collect();
        let is_counted = |minute: &u64| {
            hours
                .binary_search_by_key(&(minute / HOUR_MINUTES), |hour| hour.0)
                .is_ok()
        };
        let minutes: BTreeSet<u64> = sums.minutes().filter(is_counted).collect();
        let shared: Vec<u64> = minutes
            .iter()
            .copied()
            .filter(|&minute| self.is_elsewhere(minute))
            .collect();
        self.summed.push(Summed {
            sums,
            operations,
            versions,
            minutes,
        });
        shared.into_iter().try_for_each(|minute| self.take_out(minute))
    }

    /// Whether units of a minute may be added to.
    fn is_elsewhere(&self, minute: u64) -> bool {
        self.open.contains_key(&minute) || self.taken.contains_key(&minute) || self.is_summed(minute)
    }

    fn is_summed(&self, minute: u64) -> bool {
        self.summed.iter().any(|summed| summed.minutes.contains(&minute))
    }

    /// Holds the units of a minute that were counted with their hour one by one, because others add to them.
    fn take_out(&mut self, minute: u64) -> Result<(), StorageError> {
        let Some(window) = self.query.window_of(minute) else {
            return Ok(());
        };
        for summed in &mut self.summed {
            if !summed.minutes.remove(&minute) {
                continue;
            }
            let open = self.open.entry(minute).or_default();
            let before = open.len();
            for unit in summed.sums.units(minute).map_err(of_sums)? {
                if let Some(operation) = summed.operations[unit.operation as usize] {
                    self.collector.subtract_unit(operation, window, &unit.totals);
                    let version = summed.versions[unit.version as usize];
                    open.entry((operation, version)).or_default().add(&unit.totals);
                }
            }
            self.units += open.len() - before;
        }
        Ok(())
    }

    fn add(&mut self, row: &Row<'_>) -> Result<(), StorageError> {
        let is_asked_for = self.query.is_about(row.operation, row.version);
        let Some(window) = self.query.window_of(row.minute).filter(|_| is_asked_for) else {
            return Ok(());
        };
        let Some(operation) = self.collector.operation(row.operation) else {
            self.collector.add_beyond(window, row.totals.calls);
            return Ok(());
        };
        if self.is_summed(row.minute) {
            self.take_out(row.minute)?;
        }
        self.collector.add_self_times(operation, window, row.self_times);
        self.times
            .add(operation, window, row.durations, &mut self.collector);
        let version = self.version(row.version);
        let units = self.open.entry(row.minute).or_default();
        let before = units.len();
        units.entry((operation, version)).or_default().add(&row.totals);
        self.units += units.len() - before;
        while self.units > UNITS_MAX {
            self.close_first();
        }
        Ok(())
    }

    fn version(&mut self, version: &str) -> u32 {
        let next = self.versions.len() as u32;
        *self.versions.entry_ref(version).or_insert(next)
    }

    /// Nothing will come of minutes before this one.
    fn close_before(&mut self, minute: u64) {
        while self
            .open
            .first_key_value()
            .is_some_and(|(first, _)| *first < minute)
        {
            self.close_first();
        }
        let goes_on = |summed: &Summed| summed.minutes.last().is_some_and(|last| *last >= minute);
        self.summed.retain(goes_on);
    }

    fn close_first(&mut self) {
        if let Some((minute, units)) = self.open.pop_first() {
            self.units -= units.len();
            self.close(minute, units);
        }
    }

    fn close(&mut self, minute: u64, mut units: Units) {
        let Some(window) = self.query.window_of(minute) else {
            return;
        };
        for taken in self.taken.remove(&minute).unwrap_or_default() {
            let Some(operation) = self.collector.operation(&taken.operation) else {
                self.collector.subtract_beyond(window, taken.calls);
                continue;
            };
            let version = self.version(&taken.version);
            // What was counted for the rest of a service is not taken away, as it is not told apart there.
            if let Some(unit) = units.get_mut(&(operation, version)) {
                unit.subtract(&MinuteTotals::from(&taken));
                self.taken_times.push((operation, window, taken));
            }
        }
        for ((operation, _), unit) in units.iter().filter(|(_, unit)| unit.calls > 0) {
            self.collector.add_unit(*operation, window, unit);
        }
    }

    fn finish(mut self, reading: &Reading<'_>) -> WindowLatencies {
        while !self.open.is_empty() {
            self.close_first();
        }
        // Of minutes that have only operations beyond the bound.
        let left: Vec<u64> = self.taken.keys().copied().collect();
        for minute in left {
            self.close(minute, Units::default());
        }
        self.times.settle(&mut self.collector);
        for (operation, window, taken) in self.taken_times {
            self.collector
                .subtract_times(operation, window, &taken.durations, &taken.self_times);
        }
        self.collector.finish(reading.completeness())
    }
}

/// What was summed up was written by this process: a failure is a mistake in it.
fn of_sums(error: Malformed) -> StorageError {
    StorageError::Unavailable(format!("sums of a segment cannot be read: {error}"))
}

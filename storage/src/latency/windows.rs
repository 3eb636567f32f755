//! Whole windows, each summed up: what lists of operations and budgets are made of, which need no minute by itself.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use foldhash::fast::RandomState;
use model::{PackedSketches, Sketch, SketchSum};

use super::{LatencyQuery, OperationLatency, OperationName};
use crate::Completeness;

/// Which windows are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowQuery {
    /// A few windows of minutes since the epoch. A minute counts in the first that has it.
    pub windows: Vec<RangeInclusive<u64>>,
    /// Of this service only.
    pub service_name: Option<String>,
    /// Of spans of this name only.
    pub span_name: Option<String>,
    /// Of this [version](OperationLatency::version) only.
    pub version: Option<String>,
    /// Operations of a kind are one, without service and name, and there are no units.
    pub is_by_kind: bool,
    /// Operations that are told apart at most; which ones is open where there are more.
    pub operations_max: usize,
}

impl WindowQuery {
    /// Asks for every minute from the first one to the last one; `None` where no window has a minute.
    pub fn minutes(&self) -> Option<LatencyQuery> {
        let windows = || self.windows.iter().filter(|window| !window.is_empty());
        Some(LatencyQuery {
            first_minute: windows().map(|window| *window.start()).min()?,
            last_minute: windows().map(|window| *window.end()).max()?,
            service_name: self.service_name.clone(),
        })
    }

    /// Whether it asks for a version of an operation.
    pub fn is_about(&self, operation: &OperationName, version: &str) -> bool {
        let is_wanted =
            |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|wanted| wanted == name);
        is_wanted(&self.service_name, &operation.service_name)
            && is_wanted(&self.span_name, &operation.span_name)
            && is_wanted(&self.version, version)
    }

    /// The number of the window that a minute counts in.
    pub fn window_of(&self, minute: u64) -> Option<usize> {
        self.windows.iter().position(|window| window.contains(&minute))
    }
}

/// What operations did in windows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowLatencies {
    /// By operation, each once, ascending.
    pub operations: Vec<OperationWindows>,
    /// Of each window the spans of operations beyond [`WindowQuery::operations_max`].
    pub calls_beyond: Vec<u64>,
    /// Whether every span of the windows was counted.
    pub completeness: Completeness,
}

/// An operation in all windows, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationWindows {
    /// What was called.
    pub operation: OperationName,
    /// What it did. Some window has calls.
    pub windows: Vec<WindowSums>,
}

/// An operation in a window, all versions of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowSums {
    /// Spans.
    pub calls: u64,
    /// Those that failed.
    pub errors: u64,
    /// Traces, in each minute and version those that have at least one of the spans.
    pub traces: u64,
    /// Microseconds, of spans that have a duration.
    pub durations: Sketch,
    /// Spans of which it is known what they took by themselves.
    pub self_time_count: u64,
    /// Microseconds that these took by themselves.
    pub self_time_sum: u128,
    /// Sums of durations beside how many there are, by minutes of a version.
    pub duration_units: UnitSums,
    /// Failures beside spans, by the same.
    pub error_units: UnitSums,
}

/// How two figures vary together from unit to unit, a unit being the spans of one version in one minute. Whole numbers,
/// so that the order in which units come makes no difference; they stay at their greatest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnitSums {
    /// How many units.
    pub units: u64,
    /// Σ y.
    pub numerator: u128,
    /// Σ y².
    pub numerator_squares: u128,
    /// Σ x.
    pub denominator: u128,
    /// Σ x².
    pub denominator_squares: u128,
    /// Σ x·y.
    pub products: u128,
}

impl UnitSums {
    /// One unit more: y and x.
    pub fn add(&mut self, numerator: u128, denominator: u64) {
        let denominator = u128::from(denominator);
        self.units += 1;
        for (sum, more) in [
            (&mut self.numerator, numerator),
            (&mut self.numerator_squares, numerator.saturating_mul(numerator)),
            (&mut self.denominator, denominator),
            (&mut self.denominator_squares, denominator * denominator),
            (&mut self.products, numerator.saturating_mul(denominator)),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

impl UnitSums {
    /// The units of another.
    pub fn merge(&mut self, other: &Self) {
        self.units += other.units;
        for (sum, more) in self.sums_mut().into_iter().zip(other.sums()) {
            *sum = sum.saturating_add(more);
        }
    }

    /// One unit less, which MUST be among those that were added; the sums are far from their greatest.
    pub fn subtract(&mut self, numerator: u128, denominator: u64) {
        let mut unit = Self::default();
        unit.add(numerator, denominator);
        self.units = self.units.saturating_sub(1);
        for (sum, less) in self.sums_mut().into_iter().zip(unit.sums()) {
            *sum = sum.saturating_sub(less);
        }
    }

    /// Whether all sums are so small that more than four billion of such can be added up, and taken away again.
    pub fn is_small(&self) -> bool {
        self.sums().into_iter().all(|sum| sum <= u128::MAX >> u32::BITS)
    }

    fn sums(&self) -> [u128; 5] {
        [
            self.numerator,
            self.numerator_squares,
            self.denominator,
            self.denominator_squares,
            self.products,
        ]
    }

    fn sums_mut(&mut self) -> [&mut u128; 5] {
        [
            &mut self.numerator,
            &mut self.numerator_squares,
            &mut self.denominator,
            &mut self.denominator_squares,
            &mut self.products,
        ]
    }
}

/// What is counted of one version of an operation in one minute: a unit, without how its values are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MinuteTotals {
    /// Spans.
    pub calls: u64,
    /// Those that failed.
    pub errors: u64,
    /// Traces that have at least one of them.
    pub traces: u64,
    /// Spans that have a duration.
    pub duration_count: u64,
    /// Microseconds of these.
    pub duration_sum: u128,
}

impl MinuteTotals {
    /// Counts everything `other` counted.
    pub fn add(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.errors = self.errors.saturating_add(other.errors);
        self.traces = self.traces.saturating_add(other.traces);
        self.duration_count = self.duration_count.saturating_add(other.duration_count);
        self.duration_sum = self.duration_sum.saturating_add(other.duration_sum);
    }

    /// Takes away what `other` counted.
    pub fn subtract(&mut self, other: &Self) {
        self.calls = self.calls.saturating_sub(other.calls);
        self.errors = self.errors.saturating_sub(other.errors);
        self.traces = self.traces.saturating_sub(other.traces);
        self.duration_count = self.duration_count.saturating_sub(other.duration_count);
        self.duration_sum = self.duration_sum.saturating_sub(other.duration_sum);
    }
}

/// What is counted of an operation in many minutes, without how its values are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnitTotals {
    /// Spans.
    pub calls: u64,
    /// Those that failed.
    pub errors: u64,
    /// Traces, in each minute and version those that have at least one of the spans.
    pub traces: u64,
    /// Spans of which it is known what they took by themselves.
    pub self_time_count: u64,
    /// Microseconds that these took by themselves.
    pub self_time_sum: u128,
    /// See [`WindowSums::duration_units`].
    pub duration_units: UnitSums,
    /// See [`WindowSums::error_units`].
    pub error_units: UnitSums,
}

impl UnitTotals {
    /// One unit more, and what its spans took by themselves.
    pub fn add(&mut self, unit: &MinuteTotals, self_times: &Sketch) {
        self.calls = self.calls.saturating_add(unit.calls);
        self.errors = self.errors.saturating_add(unit.errors);
        self.traces = self.traces.saturating_add(unit.traces);
        self.self_time_count = self.self_time_count.saturating_add(self_times.count());
        self.self_time_sum = self.self_time_sum.saturating_add(self_times.sum());
        self.duration_units.add(unit.duration_sum, unit.duration_count);
        self.error_units.add(u128::from(unit.errors), unit.calls);
    }
}

impl From<&OperationLatency> for MinuteTotals {
    fn from(row: &OperationLatency) -> Self {
        Self {
            calls: row.calls,
            errors: row.errors,
            traces: row.traces,
            duration_count: row.durations.count(),
            duration_sum: row.durations.sum(),
        }
    }
}

/// Sums windows up.
#[derive(Debug)]
pub struct WindowCollector<'q> {
    query: &'q WindowQuery,
    numbers: HashMap<OperationName, usize, RandomState>,
    // Of each operation its windows.
    sums: Vec<Vec<Collected>>,
    calls_beyond: Vec<u64>,
    // Of one operation and window at a time, so that what is added lies together in memory.
    adding: SketchSum,
}

/// Sums while they are collected.
#[derive(Clone, Debug, Default)]
struct Collected {
    // Its durations are those that came in [`WindowCollector::add_packed`].
    sums: WindowSums,
    // The others.
    durations: SketchSum,
}

impl Collected {
    /// How all durations are spread, as a sum.
    fn durations(&mut self) -> &mut SketchSum {
        self.durations.add(&std::mem::take(&mut self.sums.durations));
        &mut self.durations
    }

    fn finish(mut self) -> WindowSums {
        if !self.durations.is_empty() {
            self.sums.durations = self.durations().to_sketch();
        }
        self.sums
    }
}

impl<'q> WindowCollector<'q> {
    /// Holds nothing.
    pub fn new(query: &'q WindowQuery) -> Self {
        Self {
            query,
            numbers: HashMap::default(),
            sums: Vec::new(),
            calls_beyond: vec![0; query.windows.len()],
            adding: SketchSum::default(),
        }
    }

    /// Counts all that is known of an operation, version and minute; each MUST come once.
    pub fn add(&mut self, row: &OperationLatency) {
        let is_asked_for = self.query.is_about(&row.operation, &row.version);
        let Some(window) = self.query.window_of(row.minute).filter(|_| is_asked_for) else {
            return;
        };
        match self.operation(&row.operation) {
            Some(operation) => {
                self.add_times(operation, window, &row.durations, &row.self_times);
                self.add_unit(operation, window, &row.into());
            }
            None => self.add_beyond(window, row.calls),
        }
    }

    /// The number of an operation; `None` where there are too many.
    pub fn operation(&mut self, name: &OperationName) -> Option<usize> {
        let of_kind;
        let name = if self.query.is_by_kind {
            of_kind = OperationName {
                kind: name.kind,
                ..OperationName::default()
            };
            &of_kind
        } else {
            name
        };
        if let Some(&number) = self.numbers.get(name) {
            return Some(number);
        }
        let number = self.sums.len();
        if number >= self.query.operations_max {
            return None;
        }
        self.numbers.insert(name.clone(), number);
        self.sums
            .push(vec![Collected::default(); self.query.windows.len()]);
        Some(number)
    }

    /// Counts times of an operation in a window, by their numbers.
    pub fn add_times(&mut self, operation: usize, window: usize, durations: &Sketch, self_times: &Sketch) {
        self.sums[operation][window].durations.add(durations);
        self.add_self_times(operation, window, self_times);
    }

    /// Counts what spans of an operation took by themselves.
    pub fn add_self_times(&mut self, operation: usize, window: usize, self_times: &Sketch) {
        let sums = &mut self.sums[operation][window].sums;
        sums.self_time_count = sums.self_time_count.saturating_add(self_times.count());
        sums.self_time_sum = sums.self_time_sum.saturating_add(self_times.sum());
    }

    /// Takes away times that were counted.
    pub fn subtract_times(
        &mut self,
        operation: usize,
        window: usize,
        durations: &Sketch,
        self_times: &Sketch,
    ) {
        let collected = &mut self.sums[operation][window];
        collected.durations().subtract(durations);
        let sums = &mut collected.sums;
        sums.self_time_count = sums.self_time_count.saturating_sub(self_times.count());
        sums.self_time_sum = sums.self_time_sum.saturating_sub(self_times.sum());
    }

    /// Counts one version of an operation in one minute of a window; its times are counted beside it.
    pub fn add_unit(&mut self, operation: usize, window: usize, unit: &MinuteTotals) {
        let sums = &mut self.sums[operation][window].sums;
        sums.calls = sums.calls.saturating_add(unit.calls);
        sums.errors = sums.errors.saturating_add(unit.errors);
        sums.traces = sums.traces.saturating_add(unit.traces);
        if !self.query.is_by_kind {
            sums.duration_units.add(unit.duration_sum, unit.duration_count);
            sums.error_units.add(u128::from(unit.errors), unit.calls);
        }
    }

    /// Takes away a unit that was counted with others; its times stay.
    pub fn subtract_unit(&mut self, operation: usize, window: usize, unit: &MinuteTotals) {
        let sums = &mut self.sums[operation][window].sums;
        sums.calls = sums.calls.saturating_sub(unit.calls);
        sums.errors = sums.errors.saturating_sub(unit.errors);
        sums.traces = sums.traces.saturating_sub(unit.traces);
        if !self.query.is_by_kind {
            sums.duration_units
                .subtract(unit.duration_sum, unit.duration_count);
            sums.error_units.subtract(u128::from(unit.errors), unit.calls);
        }
    }

    /// Counts durations of an operation in a window, many at once: sketches by their numbers.
    pub fn add_packed<'t>(
        &mut self,
        operation: usize,
        window: usize,
        durations: impl Iterator<Item = (&'t PackedSketches, usize)>,
    ) {
        for (packed, number) in durations {
            self.adding.add_packed(packed, number);
        }
        let added = self.adding.take();
        self.sums[operation][window].sums.durations.merge(&added);
    }

    /// Counts an operation in many minutes of a window at once: their units; their durations are counted beside them.
    pub fn add_sums(&mut self, operation: usize, window: usize, sums: &UnitTotals) {
        let all = &mut self.sums[operation][window].sums;
        all.calls = all.calls.saturating_add(sums.calls);
        all.errors = all.errors.saturating_add(sums.errors);
        all.traces = all.traces.saturating_add(sums.traces);
        all.self_time_count = all.self_time_count.saturating_add(sums.self_time_count);
        all.self_time_sum = all.self_time_sum.saturating_add(sums.self_time_sum);
        if !self.query.is_by_kind {
            all.duration_units.merge(&sums.duration_units);
            all.error_units.merge(&sums.error_units);
        }
    }

    /// Counts spans of an operation that has no number.
    pub fn add_beyond(&mut self, window: usize, calls: u64) {
        let beyond = &mut self.calls_beyond[window];
        *beyond = beyond.saturating_add(calls);
    }

    /// Takes away spans that were counted for no operation.
    pub fn subtract_beyond(&mut self, window: usize, calls: u64) {
        let beyond = &mut self.calls_beyond[window];
        *beyond = beyond.saturating_sub(calls);
    }

    /// What was counted.
    pub fn finish(self, completeness: Completeness) -> WindowLatencies {
        let mut sums = self.sums;
        let mut windows_of = |number: usize| -> Vec<WindowSums> {
            let collected = std::mem::take(&mut sums[number]).into_iter();
            collected.map(Collected::finish).collect()
        };
        let mut operations: Vec<_> = self
            .numbers
            .into_iter()
            .map(|(operation, number)| OperationWindows {
                windows: windows_of(number),
                operation,
            })
            .filter(|operation| operation.windows.iter().any(|sums| sums.calls > 0))
            .collect();
        operations.sort_unstable_by(|a, b| a.operation.cmp(&b.operation));
        WindowLatencies {
            operations,
            calls_beyond: self.calls_beyond,
            completeness,
        }
    }
}

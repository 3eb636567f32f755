//! Candidates of the head: which of its traces may match a query, with what is known of them without their rows.
//!
//! All traces are looked at, by their shapes. A value that a shape leaves open is looked for in the bytes of all rows at
//! once: where it is nowhere, no trace is a candidate by it.

use std::collections::HashMap;

use storage::StorageError;

use crate::candidates::Candidates;
use crate::conditions::{Met, ShapesMeet};
use crate::head::{Generation, HeadTrace};
use crate::needle::Needle;
use crate::rows::{RowRef, TraceRows};
use crate::search::check;
use crate::trace_table::{TraceEntry, TraceTimes};
use crate::view::Reading;

/// A trace of the head, or what is known of it so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HeadCandidate {
    pub(crate) low: u64,
    /// The newest timestamp of a span.
    pub(crate) last: u64,
    /// When the first span began and the last one ended, microseconds since the epoch, 0 for never.
    first: u64,
    end: u64,
    /// At most.
    pub(crate) errors: u64,
    /// Conditions that it meets, and that it may meet.
    surely: Met,
    perhaps: Met,
    touches: bool,
    /// Whether all of it is in one generation: then [`Candidates::look`] says more.
    pub(crate) is_whole: bool,
}

impl HeadCandidate {
    /// Microseconds.
    pub(crate) fn duration(&self) -> u64 {
        self.end.saturating_sub(self.first)
    }

    fn join(&mut self, part: &Self) {
        self.low = part.low;
        self.last = self.last.max(part.last);
        self.first = match (self.first, part.first) {
            (0, first) | (first, 0) => first,
            (first, other) => first.min(other),
        };
        self.end = self.end.max(part.end);
        self.errors += part.errors;
        self.surely |= part.surely;
        self.perhaps |= part.perhaps;
        self.touches |= part.touches;
    }

    fn matches(&self, all: Met) -> bool {
        self.touches && self.perhaps & all == all
    }
}

impl<'q> Candidates<'q> {
    /// Traces of the head that may match.
    pub(crate) fn of_head(&mut self, reading: &mut Reading<'_>) -> Result<Vec<HeadCandidate>, StorageError> {
        let view = reading.view;
        let in_segments = reading.also_in_segments();
        let in_generations = view.in_several_generations();
        let all_are_whole = in_segments.is_empty() && in_generations.is_empty();
        let is_split = |low| in_segments.contains(&low) || in_generations.contains(&low);
        let all = self.conditions.all_met();
        let mut found = Vec::new();
        let mut split: HashMap<u64, HeadCandidate> = HashMap::new();
        for generation in view.generations() {
            check(self.cancelled)?;
            let mut parts = Vec::new();
            self.visit(generation, |part| {
                if !all_are_whole || part.matches(all) {
                    parts.push(part);
                }
            });
            for part in parts {
                if !all_are_whole && is_split(part.low) {
                    split.entry(part.low).or_default().join(&part);
                } else if part.matches(all) {
                    found.push(part);
                }
            }
        }
        for low in in_segments {
            let candidate = split.entry(low).or_default();
            candidate.low = low;
            self.join_segments(reading, candidate)?;
        }
        found.extend(split.into_values().filter(|candidate| candidate.matches(all)));
        Ok(found)
    }

    /// Gives `visit` what is known of every trace of a generation.
    fn visit(&self, generation: &Generation, mut visit: impl FnMut(HeadCandidate)) {
        let meet = self.conditions.of_shapes(generation);
        let parts = self.open_in_parts(generation, &meet);
        generation.for_each_of_parts(|part, trace| {
            let by_shapes = meet.together(trace.shapes());
            let by_duration = self.conditions.met_by_duration(trace.longest);
            visit(HeadCandidate {
                low: trace.low,
                last: trace.last,
                first: trace.first,
                end: trace.end,
                errors: if by_shapes.may_fail {
                    trace.span_count() as u64
                } else {
                    0
                },
                surely: by_shapes.surely,
                perhaps: by_shapes.surely | by_shapes.perhaps & parts[part] & by_duration,
                touches: touches(trace, self.window),
                is_whole: true,
            });
        });
    }

    /// For each part of a generation the conditions that a value there may meet.
    fn open_in_parts(&self, generation: &Generation, meet: &ShapesMeet) -> Vec<Met> {
        let open = meet.open();
        let mut parts: Vec<Met> = Vec::new();
        for (number, value) in self.conditions.values().into_iter().enumerate() {
            let value = value.filter(|_| open >> number & 1 == 1);
            let Some(needle) = value.and_then(Needle::of) else {
                continue;
            };
            let with = generation.parts_with(|bytes| needle.is_in(bytes));
            parts.resize(with.len(), Met::MAX);
            for (part, _) in parts.iter_mut().zip(with).filter(|(_, is_there)| !is_there) {
                *part &= !(1 << number);
            }
        }
        parts.resize(generation.parts(), Met::MAX);
        parts
    }

    /// Joins what segments have of a trace of the head.
    fn join_segments(
        &mut self,
        reading: &mut Reading<'_>,
        candidate: &mut HeadCandidate,
    ) -> Result<(), StorageError> {
        let low = candidate.low;
        let segments = reading.view.segments.iter();
        for segment in segments.filter(|segment| segment.may_hold(low)) {
            check(self.cancelled)?;
            let Some((ordinal, entry)) = reading.read(segment, |segment| segment.find_entry(low))? else {
                continue;
            };
            candidate.join(&of_entry(&entry, self.window));
            for number in self.conditions.numbers() {
                if candidate.perhaps >> number & 1 == 0 && self.may_meet(reading, segment, ordinal, number)? {
                    candidate.perhaps |= 1 << number;
                }
            }
        }
        Ok(())
    }

    /// Whether it depends on values in its rows if a trace matches.
    pub(crate) fn is_open(&self, candidate: &HeadCandidate) -> bool {
        let values = self.conditions.values().into_iter().enumerate();
        values
            .filter(|(_, value)| value.is_some())
            .any(|(number, _)| candidate.surely >> number & 1 == 0)
    }

    /// Looks at the rows of a trace: whether it may still match, and with how many errors, which are counted if
    /// `by_errors`. It was in one generation, but spans of it may have come into another since: all are looked at.
    pub(crate) fn look(
        &self,
        reading: &Reading<'_>,
        candidate: &HeadCandidate,
        by_errors: bool,
    ) -> Option<u64> {
        let (mut met, mut errors) = (candidate.surely, 0);
        if !self.may_have_values(reading, candidate) {
            return None;
        }
        for generation in reading.view.generations() {
            let Some(rows) = self.look_in(generation, candidate.low, &mut met) else {
                continue;
            };
            if by_errors {
                errors += errors_of(generation, &rows);
            }
        }
        let all = self.conditions.all_met();
        (met & all == all).then_some(errors)
    }

    /// Whether what the conditions that are open want may be in the bytes of a trace's rows.
    fn may_have_values(&self, reading: &Reading<'_>, candidate: &HeadCandidate) -> bool {
        let values = self.conditions.values().into_iter().enumerate();
        let open = values.filter(|(number, _)| candidate.surely >> number & 1 == 0);
        let needles = open.filter_map(|(_, value)| Needle::of(value?));
        needles.into_iter().all(|needle| {
            let mut generations = reading.view.generations();
            generations.any(|generation| generation.trace_has(candidate.low, |bytes| needle.is_in(bytes)))
        })
    }

    /// Adds to `met` what the rows of a trace in a generation meet; gives the rows, if there are any.
    fn look_in(&self, generation: &Generation, low: u64, met: &mut Met) -> Option<TraceRows> {
        let mut rows = TraceRows::default();
        generation.rows_of(low)?.read(usize::MAX, &mut rows);
        for (number, value) in self.conditions.values().into_iter().enumerate() {
            let is_met = || {
                let mut values = rows.iter().flat_map(RowRef::values);
                value.is_none_or(|wanted| values.any(|value| wanted.is_met_by(value)))
            };
            if *met >> number & 1 == 0 && is_met() {
                *met |= 1 << number;
            }
        }
        Some(rows)
    }
}

/// How many of some rows are of spans that failed.
fn errors_of(generation: &Generation, rows: &TraceRows) -> u64 {
    generation.with_shapes(|table| {
        let is_error = |row: &RowRef<'_>| {
            row.span(table)
                .is_ok_and(|span| span.tags().any(|tag| tag.0 == "error"))
        };
        rows.iter().filter(is_error).count() as u64
    })
}

fn of_entry(entry: &TraceEntry, window: (u64, u64)) -> HeadCandidate {
    let times = &entry.times;
    HeadCandidate {
        low: entry.low,
        last: times.last,
        first: times.first,
        end: if times.last == 0 {
            0
        } else {
            times.first.saturating_add(times.duration)
        },
        errors: u64::from(entry.error_count),
        touches: times.touches(window),
        ..HeadCandidate::default()
    }
}

fn touches(trace: &HeadTrace, window: (u64, u64)) -> bool {
    let times = TraceTimes {
        first: trace.first,
        last: trace.last,
        ..TraceTimes::default()
    };
    times.touches(window)
}

//! Candidates: which traces of the head and of a segment may match a query.
//!
//! Each condition of the query gives a set of traces (`conditions.rs`). Of a trace that is in one place the sets of
//! that place decide. Of a trace that is in several, each condition may be met in any of them.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use storage::{StorageError, TraceQuery};

use crate::conditions::{Conditions, Met, Plan};
use crate::head::HeadTrace;
use crate::reader::SegmentReader;
use crate::search::check;
use crate::splits::{SplitTrace, Splits, splits_of};
use crate::trace_set::TraceSet;
use crate::trace_table::{Ordinal, TraceTimes};
use crate::view::Reading;

/// What it costs to read and verify a trace, counted in entries of lists.
const VERIFY_COSTS: u64 = 5_000;

/// See the head of this file.
pub(crate) struct Candidates<'q> {
    conditions: Conditions<'q>,
    window: (u64, u64),
    cancelled: &'q AtomicBool,
    /// By the numbers of segments.
    plans: HashMap<u64, Option<Rc<Plan>>>,
    /// By the numbers of a segment and of a condition.
    sets: HashMap<(u64, usize), Rc<TraceSet>>,
    splits: HashMap<u64, Arc<Splits>>,
    found: HashMap<u64, TraceSet>,
    none: TraceSet,
}

/// What is known of a trace in the head that is elsewhere, too.
#[derive(Default)]
struct Joint {
    met: Met,
    last: u64,
    touches: bool,
}

impl<'q> Candidates<'q> {
    pub(crate) fn new(query: &'q TraceQuery, cancelled: &'q AtomicBool) -> Self {
        Self {
            conditions: Conditions::of(query),
            window: query.window(),
            cancelled,
            plans: HashMap::new(),
            sets: HashMap::new(),
            splits: HashMap::new(),
            found: HashMap::new(),
            none: TraceSet::default(),
        }
    }

    /// Low identifiers of traces of the head that may match, each with its newest timestamp wherever it is.
    pub(crate) fn of_head(&mut self, reading: &mut Reading<'_>) -> Result<Vec<(u64, u64)>, StorageError> {
        let view = reading.view;
        let in_segments = reading.also_in_segments();
        let none_is_split = in_segments.is_empty() && view.frozen.is_empty();
        let is_split = |low| in_segments.contains(&low) || view.is_in_several_generations(low);
        let (window, all_met) = (self.window, self.conditions.all_met());
        let matches = |joint: &Joint| joint.touches && joint.met & all_met == all_met;
        let mut found = Vec::new();
        let mut split: HashMap<u64, Joint> = HashMap::new();
        for generation in view.generations() {
            check(self.cancelled)?;
            let meet = generation.with_shapes(|table| self.conditions.of_shapes(table));
            let mut parts = Vec::new();
            generation.for_each(|low, trace| {
                let part = Joint {
                    met: meet.met_by(trace.shapes()),
                    last: trace.last,
                    touches: touches(trace, window),
                };
                if !none_is_split || matches(&part) {
                    parts.push((low, part));
                }
            });
            for (low, part) in parts {
                if !none_is_split && is_split(low) {
                    split.entry(low).or_default().join(&part);
                } else if matches(&part) {
                    found.push((low, part.last));
                }
            }
        }
        for low in in_segments {
            self.join_segments(reading, low, split.entry(low).or_default())?;
        }
        split.retain(|_, joint| matches(joint));
        found.extend(split.into_iter().map(|(low, joint)| (low, joint.last)));
        Ok(found)
    }

    /// Joins what segments have of a trace of the head.
    fn join_segments(
        &mut self,
        reading: &mut Reading<'_>,
        low: u64,
        joint: &mut Joint,
    ) -> Result<(), StorageError> {
        for segment in reading
            .view
            .segments
            .iter()
            .filter(|segment| segment.may_hold(low))
        {
            check(self.cancelled)?;
            let Some((ordinal, entry)) = reading.read(segment, |segment| segment.find_entry(low))? else {
                continue;
            };
            joint.last = joint.last.max(entry.times.last);
            joint.touches |= entry.times.touches(self.window);
            for number in self.conditions.numbers() {
                if joint.met >> number & 1 == 0 && self.may_meet(reading, segment, ordinal, number)? {
                    joint.met |= 1 << number;
                }
            }
        }
        Ok(())
    }

    /// Finds out which traces of a segment may match.
    pub(crate) fn find(
        &mut self,
        reading: &mut Reading<'_>,
        segment: &SegmentReader,
    ) -> Result<(), StorageError> {
        let mut whole = TraceSet::all(segment.footer().summary.traces);
        let splits = self.splits_of(reading, segment)?;
        let mut split: Vec<&SplitTrace> = splits.traces.iter().collect();
        let plan = self.plan(reading, segment)?;
        let cost = |number| {
            plan.as_ref()
                .map_or(0, |plan| self.conditions.cost(number, plan, segment))
        };
        let mut numbers: Vec<_> = self
            .conditions
            .numbers()
            .map(|number| (cost(number), number))
            .collect();
        numbers.sort_unstable();
        for (index, (cost, number)) in numbers.into_iter().enumerate() {
            let left = u64::from(whole.len());
            // The first that is skipped is followed by costlier ones.
            if split.is_empty() && index > 0 && left * VERIFY_COSTS <= cost || left == 0 && split.is_empty() {
                break;
            }
            let met = self.set(reading, segment, number)?;
            whole.intersect(&met);
            let mut kept = Vec::with_capacity(split.len());
            for trace in split {
                if met.contains(trace.ordinal) || self.may_be_met_elsewhere(reading, trace, number)? {
                    kept.push(trace);
                }
            }
            split = kept;
        }
        for trace in split {
            // The trace table has as many traces as the footer says, or the ordinal would not have been found.
            let _ = whole.insert(trace.ordinal);
        }
        self.found.insert(segment.number(), whole);
        Ok(())
    }

    /// What [`Candidates::find`] found.
    pub(crate) fn of_segment(&self, number: u64) -> &TraceSet {
        self.found.get(&number).unwrap_or(&self.none)
    }

    /// As [`splits_of`], remembered.
    pub(crate) fn splits_of(
        &mut self,
        reading: &mut Reading<'_>,
        segment: &SegmentReader,
    ) -> Result<Arc<Splits>, StorageError> {
        if let Some(known) = self.splits.get(&segment.number()) {
            return Ok(known.clone());
        }
        check(self.cancelled)?;
        let splits = splits_of(reading, segment)?;
        self.splits.insert(segment.number(), splits.clone());
        Ok(splits)
    }

    fn may_be_met_elsewhere(
        &mut self,
        reading: &mut Reading<'_>,
        trace: &SplitTrace,
        number: usize,
    ) -> Result<bool, StorageError> {
        for &(other, ordinal) in &trace.others {
            if let Some(other) = reading.view.segment(other)
                && self.may_meet(reading, other, ordinal, number)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a trace may meet a condition by what a segment has of it.
    fn may_meet(
        &mut self,
        reading: &mut Reading<'_>,
        segment: &SegmentReader,
        ordinal: Ordinal,
        number: usize,
    ) -> Result<bool, StorageError> {
        // What was stored while search was disabled is in no list.
        Ok(!segment.footer().indexed || self.set(reading, segment, number)?.contains(ordinal))
    }

    /// The traces of a segment that may meet a condition.
    fn set(
        &mut self,
        reading: &mut Reading<'_>,
        segment: &SegmentReader,
        number: usize,
    ) -> Result<Rc<TraceSet>, StorageError> {
        let key = (segment.number(), number);
        if let Some(known) = self.sets.get(&key) {
            return Ok(known.clone());
        }
        let set = match self.plan(reading, segment)? {
            None => TraceSet::default(),
            Some(plan) => reading.read(segment, |segment| {
                self.conditions
                    .traces_meeting(number, &plan, segment, self.cancelled)
            })?,
        };
        let set = Rc::new(set);
        self.sets.insert(key, set.clone());
        Ok(set)
    }

    fn plan(
        &mut self,
        reading: &mut Reading<'_>,
        segment: &SegmentReader,
    ) -> Result<Option<Rc<Plan>>, StorageError> {
        if let Some(known) = self.plans.get(&segment.number()) {
            return Ok(known.clone());
        }
        check(self.cancelled)?;
        let plan = reading.read(segment, |segment| self.conditions.plan(segment))?;
        let plan = plan.map(Rc::new);
        self.plans.insert(segment.number(), plan.clone());
        Ok(plan)
    }
}

impl Joint {
    fn join(&mut self, part: &Self) {
        self.met |= part.met;
        self.last = self.last.max(part.last);
        self.touches |= part.touches;
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

//! Candidates: which traces of a segment may match a query; `head_candidates.rs` has those of the head.
//!
//! Each condition of the query gives a set of traces (`conditions.rs`). Of a trace that is in one place the sets of
//! that place decide. Of a trace that is in several, each condition may be met in any of them.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use storage::{StorageError, TraceQuery};

use crate::conditions::{Conditions, Plan};
use crate::reader::SegmentReader;
use crate::search::check;
use crate::splits::{SplitTrace, Splits, splits_of};
use crate::trace_set::TraceSet;
use crate::trace_table::Ordinal;
use crate::view::Reading;

/// What it costs to read and verify a trace, counted in entries of lists.
const VERIFY_COSTS: u64 = 5_000;

/// See the head of this file.
pub(crate) struct Candidates<'q> {
    pub(crate) conditions: Conditions<'q>,
    pub(crate) window: (u64, u64),
    pub(crate) cancelled: &'q AtomicBool,
    /// By the numbers of segments.
    plans: HashMap<u64, Option<Rc<Plan>>>,
    /// By the numbers of a segment and of a condition.
    sets: HashMap<(u64, usize), Rc<TraceSet>>,
    splits: HashMap<u64, Arc<Splits>>,
    found: HashMap<u64, TraceSet>,
    none: TraceSet,
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
    pub(crate) fn may_meet(
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

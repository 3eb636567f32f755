//! Makes profiles.

use crate::critical_path::for_each_piece;
use crate::{Interval, SpanTree, Timeline, TraceId, TraceNode};

use super::relations::Relations;
use super::{Call, CallPlace, CallSums, Callee, Entry, SpanFacts, TraceProfile};

/// A trace that was merged, arranged as a tree and timed.
#[derive(Debug)]
pub struct ArrangedTrace<'a, S> {
    /// As [`crate::merge`] or [`crate::merge_outlines`] gives them.
    pub spans: &'a [S],
    /// Of these spans.
    pub tree: &'a SpanTree,
    /// Of these spans; afterwards with the clocks of callers and callees aligned.
    pub timeline: &'a mut Timeline,
    /// One of each span.
    pub facts: &'a [SpanFacts],
}

/// Profiles one trace after the other, in the same memory. O(n log n), and nothing recurses.
#[derive(Clone, Debug, Default)]
pub struct TraceProfiler {
    relations: Relations,
    // Places with the spans that have them, sorted; then of each span the number of its sums.
    places: Vec<(CallPlace, u32)>,
    numbers: Vec<u32>,
    path_micros: Vec<u64>,
    open: Vec<(usize, Interval)>,
    failed_below: Vec<bool>,
    // The last span of each caller and operation, by the number of their first sums.
    last_calls: Vec<u32>,
    firsts: Vec<u32>,
    profile: Option<TraceProfile>,
}

/// No span.
const NONE: u32 = u32::MAX;

impl TraceProfiler {
    /// Profiles a trace; `None` if it has no spans. Its numbers are those of the facts.
    ///
    /// # Panics
    /// If the tree, the timeline or the facts are of a different number of spans.
    pub fn profile<S: TraceNode>(
        &mut self,
        trace_id: TraceId,
        timestamp: u64,
        trace: ArrangedTrace<'_, S>,
    ) -> Option<&TraceProfile> {
        let ArrangedTrace {
            spans,
            tree,
            timeline,
            facts,
        } = trace;
        assert_eq!(spans.len(), tree.len(), "a tree of these spans");
        assert_eq!(spans.len(), facts.len(), "facts of these spans");
        let entry = timeline.entry().or_else(|| first_top(spans, tree))?;
        let duration = timeline.interval(entry).map(Interval::duration);
        self.relations.rebuild(spans, tree, timeline);
        let mut calls = self.profile.take().map_or_else(Vec::new, |profile| profile.calls);
        calls.clear();
        self.place_spans(spans, tree, facts, &mut calls);
        self.add_times(timeline, &mut calls);
        self.add_failures(spans, tree, &mut calls);
        self.profile = Some(TraceProfile {
            trace_id,
            timestamp,
            entry: Entry {
                operation: facts[entry].operation,
                duration,
                failed: spans[entry].is_error(),
            },
            cut: timeline.cut(),
            calls,
        });
        self.profile.as_ref()
    }

    /// Finds out which spans are the same call at the same place.
    fn place_spans<S: TraceNode>(
        &mut self,
        spans: &[S],
        tree: &SpanTree,
        facts: &[SpanFacts],
        calls: &mut Vec<CallSums>,
    ) {
        self.places.clear();
        for (index, (span, own)) in spans.iter().zip(facts).enumerate() {
            let caller = tree.parent(index).map(|parent| &facts[parent]);
            let callee = match self.relations.answer(index) {
                Some(answer) => Callee::Instrumented(facts[answer].operation),
                None if self.relations.is_unanswered(span, index) => {
                    own.callee.map_or(Callee::None, Callee::Uninstrumented)
                }
                None => Callee::None,
            };
            let place = CallPlace {
                call: Call {
                    caller: caller.map(|caller| caller.operation),
                    operation: own.operation,
                    callee,
                },
                instance: own.instance,
                caller_instance: caller.map_or(0, |caller| caller.instance),
            };
            self.places.push((place, index as u32));
        }
        self.places.sort_unstable();
        self.numbers.clear();
        self.numbers.resize(spans.len(), 0);
        for &(place, index) in &self.places {
            match calls.last_mut() {
                Some(last) if last.place == place => last.calls += 1,
                _ => calls.push(CallSums {
                    place,
                    calls: 1,
                    ..CallSums::default()
                }),
            }
            self.numbers[index as usize] = calls.len() as u32 - 1;
        }
    }

    fn add_times(&mut self, timeline: &Timeline, calls: &mut [CallSums]) {
        let Self {
            numbers,
            path_micros,
            open,
            ..
        } = self;
        path_micros.clear();
        path_micros.resize(numbers.len(), 0);
        for_each_piece(timeline, open, |piece| {
            path_micros[piece.span] += piece.interval.duration();
        });
        for (index, (&number, path_micros)) in numbers.iter().zip(path_micros).enumerate() {
            let sums = &mut calls[number as usize];
            sums.path_micros += *path_micros;
            let Some(interval) = timeline.interval(index) else {
                continue;
            };
            let (self_time, overlap) = timeline.self_time_and_overlap(index).unwrap_or_default();
            sums.self_micros = sums.self_micros.saturating_add(self_time);
            sums.overlap_micros = sums.overlap_micros.saturating_add(overlap);
            sums.duration_micros = sums.duration_micros.saturating_add(interval.duration());
        }
    }

    /// Counts what failed, where that began, and what was tried again.
    fn add_failures<S: TraceNode>(&mut self, spans: &[S], tree: &SpanTree, calls: &mut [CallSums]) {
        let Self {
            numbers,
            failed_below,
            ..
        } = self;
        failed_below.clear();
        failed_below.resize(spans.len(), false);
        let mut any_failed = false;
        for index in tree.breadth_first().rev() {
            let failed = spans[index].is_error();
            any_failed |= failed;
            if failed {
                let sums = &mut calls[numbers[index] as usize];
                sums.failed += 1;
                sums.failed_first += u32::from(!failed_below[index]);
            }
            // A local span is a part of what is above it.
            let is_told = failed || (spans[index].kind().is_none() && failed_below[index]);
            if let Some(parent) = tree.parent(index) {
                failed_below[parent] |= is_told;
            }
        }
        if any_failed {
            self.count_retries(spans, tree, calls);
        }
    }

    fn count_retries<S: TraceNode>(&mut self, spans: &[S], tree: &SpanTree, calls: &mut [CallSums]) {
        let Self {
            relations,
            numbers,
            last_calls,
            firsts,
            ..
        } = self;
        firsts.clear();
        let whom = |sums: &CallSums| (sums.place.call.caller, sums.place.call.operation);
        for number in 0..calls.len() {
            let is_same = number > 0 && whom(&calls[number - 1]) == whom(&calls[number]);
            let first = if is_same {
                firsts[number - 1]
            } else {
                number as u32
            };
            firsts.push(first);
        }
        last_calls.clear();
        last_calls.resize(calls.len(), NONE);
        let answer = |index| relations.answer(index).map(|answer| &spans[answer]);
        let failed = |index: usize| spans[index].is_error() || answer(index).is_some_and(S::is_error);
        let callee = |index| {
            let answering = answer(index).and_then(S::local_name);
            answering.or_else(|| spans[index].remote_name())
        };
        // Siblings follow each other, by timestamp.
        for index in tree.breadth_first() {
            let number = numbers[index] as usize;
            let last = std::mem::replace(&mut last_calls[firsts[number] as usize], index as u32) as usize;
            if last == NONE as usize
                || tree.parent(index).is_none()
                || tree.parent(last) != tree.parent(index)
            {
                continue;
            }
            let is_elsewhere = callee(last)
                .zip(callee(index))
                .is_some_and(|(last, own)| last != own);
            calls[number].retries += u32::from(failed(last) && !is_elsewhere);
        }
    }
}

/// Where a trace enters of which no span is timed: its root, or else the first to start of the spans at the top.
fn first_top<S: TraceNode>(spans: &[S], tree: &SpanTree) -> Option<usize> {
    let started = |index: &usize| spans[*index].timestamp().is_some();
    tree.tops().find(started).or_else(|| tree.tops().next())
}

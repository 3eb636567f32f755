//! When the spans of a trace ran, what ran inside what, and the time each spent on its own.
//!
//! Reported times are often wrong: children outlive their parents, clocks of hosts differ, durations are missing.
//! Nothing here corrects them; times are cut to what can be true together.

use std::borrow::Borrow;

use crate::{Span, SpanTree};

/// When a span ran, microseconds since the epoch: from `start`, included, to `end`, excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The span's timestamp.
    pub start: u64,
    /// Its timestamp plus its duration.
    pub end: u64,
}

impl Interval {
    /// Microseconds from start to end.
    pub fn duration(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// The part of it within `other`; may be of no duration.
    pub fn clip(self, other: Self) -> Self {
        let start = self.start.max(other.start).min(other.end);
        let end = self.end.min(other.end).max(start);
        Self { start, end }
    }
}

/// The spans of a trace that have both a timestamp and a duration, and which of them ran inside which.
///
/// A span that lacks either is looked through: what is below it counts as below the nearest span above that has
/// both. Spans are named by their index, as in the [`SpanTree`].
#[derive(Clone, Debug)]
pub struct Timeline {
    intervals: Vec<Option<Interval>>,
    // The timed children of span i, by end, latest first: children[starts[i]..starts[i + 1]].
    starts: Vec<u32>,
    children: Vec<u32>,
    entry: Option<usize>,
}

impl Timeline {
    /// Reads the times of the spans that `tree` was built from.
    ///
    /// # Panics
    /// If the tree was built from a different number of spans.
    pub fn build<S: Borrow<Span>>(spans: &[S], tree: &SpanTree) -> Self {
        assert_eq!(spans.len(), tree.len(), "a tree of these spans");
        let intervals: Vec<_> = spans.iter().map(|span| interval(span.borrow())).collect();
        let mut parents: Vec<Option<u32>> = vec![None; spans.len()];
        let mut entry: Option<(Interval, usize)> = None;
        for index in tree.breadth_first() {
            parents[index] = tree
                .parent(index)
                .and_then(|parent| intervals[parent].map(|_| parent as u32).or(parents[parent]));
            let Some(interval) = intervals[index] else {
                continue;
            };
            let earlier =
                |(first, _): (Interval, usize)| (interval.start, first.end) < (first.start, interval.end);
            if parents[index].is_none() && entry.is_none_or(earlier) {
                entry = Some((interval, index));
            }
        }
        let mut timeline = Self {
            intervals,
            starts: Vec::new(),
            children: Vec::new(),
            entry: entry.map(|(_, index)| index),
        };
        timeline.group_children(&parents);
        timeline
    }

    /// The span the trace entered by: its root; if that is not timed or missing, the first to start of the spans
    /// with no timed span above, and of those the last to end. `None` if no span is timed.
    pub fn entry(&self) -> Option<usize> {
        self.entry
    }

    /// When a span ran; `None` if its timestamp or duration is missing.
    ///
    /// # Panics
    /// If there is no such span.
    pub fn interval(&self, index: usize) -> Option<Interval> {
        self.intervals[index]
    }

    /// The timed spans right below a span, with their intervals as reported, by end, latest first; of equal ends
    /// by start.
    ///
    /// # Panics
    /// If there is no such span.
    pub fn children(&self, index: usize) -> impl Iterator<Item = (usize, Interval)> + Clone + '_ {
        let family = &self.children[self.starts[index] as usize..self.starts[index + 1] as usize];
        family
            .iter()
            .filter_map(|&child| Some((child as usize, self.intervals[child as usize]?)))
    }

    /// Microseconds in which a span ran and none of its children did: its duration less the union of their
    /// intervals, cut to its own. `None` if the span is not timed.
    ///
    /// # Panics
    /// If there is no such span.
    pub fn self_time(&self, index: usize) -> Option<u64> {
        let own = self.intervals[index]?;
        // Children come by end, latest first: what is still to be covered lies before all that was.
        let mut uncovered_end = own.end;
        let mut covered = 0;
        for (_, child) in self.children(index) {
            let fresh = child.clip(Interval {
                start: own.start,
                end: uncovered_end,
            });
            if fresh.duration() > 0 {
                covered += fresh.duration();
                uncovered_end = fresh.start;
            }
        }
        Some(own.duration() - covered)
    }

    /// How much of what was reported cannot be true.
    pub fn cut(&self) -> TimeCut {
        let mut cut = TimeCut::default();
        for (index, own) in self.intervals.iter().enumerate() {
            let Some(own) = own else { continue };
            for (_, child) in self.children(index) {
                let outside = child.duration() - child.clip(*own).duration();
                cut.reported_micros = cut.reported_micros.saturating_add(child.duration());
                cut.cut_micros = cut.cut_micros.saturating_add(outside);
            }
        }
        cut
    }

    /// A counting sort by parent, then a sort of each family.
    fn group_children(&mut self, parents: &[Option<u32>]) {
        let timed_children = || {
            let timed = parents.iter().zip(&self.intervals).enumerate();
            timed.filter_map(|(index, (parent, interval))| Some((index, (*parent)? as usize, (*interval)?)))
        };
        let mut next = vec![0u32; parents.len() + 1];
        for (_, parent, _) in timed_children() {
            next[parent + 1] += 1;
        }
        for node in 1..next.len() {
            next[node] += next[node - 1];
        }
        let starts = next.clone();
        let mut children = vec![0; starts[parents.len()] as usize];
        for (index, parent, _) in timed_children() {
            children[next[parent] as usize] = index as u32;
            next[parent] += 1;
        }
        for bounds in starts.windows(2) {
            let family = &mut children[bounds[0] as usize..bounds[1] as usize];
            family.sort_by_key(|&child| {
                let interval = self.intervals[child as usize];
                interval.map(|interval| (std::cmp::Reverse(interval.end), interval.start))
            });
        }
        (self.starts, self.children) = (starts, children);
    }
}

/// How much of the time that the spans of a trace report lies outside their parents.
///
/// Clocks that differ, children that outlive their parents, and work that nobody waits for all show here. Below
/// a high share, where time went in a trace is not to be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeCut {
    /// Microseconds of all timed spans that are below another.
    pub reported_micros: u64,
    /// Those of them outside the span above.
    pub cut_micros: u64,
}

impl TimeCut {
    /// The part cut, from 0 to 1; 0 if nothing was reported.
    pub fn share(self) -> f64 {
        if self.reported_micros == 0 {
            0.0
        } else {
            self.cut_micros as f64 / self.reported_micros as f64
        }
    }
}

fn interval(span: &Span) -> Option<Interval> {
    let start = span.timestamp?;
    Some(Interval {
        start,
        end: start.saturating_add(span.duration?),
    })
}

//! When the spans of a trace ran, what ran inside what, and the time each spent on its own.
//!
//! Reported times are often wrong: children outlive their parents, clocks of hosts differ, durations are missing.
//! Nothing here corrects them; times are cut to what can be true together.

use crate::{SpanTree, TraceNode};

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

    /// As long, `offset` microseconds later; `None` if that is out of range.
    pub fn shift(self, offset: i64) -> Option<Self> {
        Some(Self {
            start: self.start.checked_add_signed(offset)?,
            end: self.end.checked_add_signed(offset)?,
        })
    }
}

/// How much of a span its children cover, cut to it, in microseconds.
#[derive(Default)]
struct Cover {
    union: u64,
    /// Each child by itself.
    sum: u64,
}

/// The spans of a trace that have both a timestamp and a duration, and which of them ran inside which.
///
/// A span that lacks either is looked through: what is below it counts as below the nearest span above that has
/// both. Spans are named by their index, as in the [`SpanTree`].
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    intervals: Vec<Option<Interval>>,
    // The timed children of span i, by end, latest first: children[starts[i]..starts[i + 1]].
    starts: Vec<u32>,
    children: Vec<u32>,
    entry: Option<usize>,
    // What building takes, kept for the next trace: the timed span right above each, and where a family goes on.
    above: Vec<u32>,
    ends: Vec<u32>,
}

/// No span.
const NONE: u32 = u32::MAX;

impl Timeline {
    /// Reads the times of the spans that `tree` was built from.
    ///
    /// # Panics
    /// If the tree was built from a different number of spans.
    pub fn build<S: TraceNode>(spans: &[S], tree: &SpanTree) -> Self {
        let mut timeline = Self::default();
        timeline.rebuild(spans, tree);
        timeline
    }

    /// As [`Timeline::build`], in the memory of the timeline of another trace.
    ///
    /// # Panics
    /// If the tree was built from a different number of spans.
    pub fn rebuild<S: TraceNode>(&mut self, spans: &[S], tree: &SpanTree) {
        assert_eq!(spans.len(), tree.len(), "a tree of these spans");
        let Self { intervals, above, .. } = self;
        intervals.clear();
        intervals.extend(spans.iter().map(interval));
        above.clear();
        above.resize(spans.len(), NONE);
        let mut entry: Option<(Interval, usize)> = None;
        for index in tree.breadth_first() {
            above[index] = tree.parent(index).map_or(NONE, |parent| {
                intervals[parent].map_or(above[parent], |_| parent as u32)
            });
            let Some(interval) = intervals[index] else {
                continue;
            };
            let earlier =
                |(first, _): (Interval, usize)| (interval.start, first.end) < (first.start, interval.end);
            if above[index] == NONE && entry.is_none_or(earlier) {
                entry = Some((interval, index));
            }
        }
        self.entry = entry.map(|(_, index)| index);
        self.group_children();
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
        Some(own.duration() - self.cover(index, own).union)
    }

    /// The self time of a span, and its *overlap*: microseconds by which its children, cut to it, ran beside one
    /// another, which is the sum of their durations less their union. `None` if the span is not timed.
    ///
    /// # Panics
    /// If there is no such span.
    pub fn self_time_and_overlap(&self, index: usize) -> Option<(u64, u64)> {
        let own = self.intervals[index]?;
        let cover = self.cover(index, own);
        Some((own.duration() - cover.union, cover.sum - cover.union))
    }

    fn cover(&self, index: usize, own: Interval) -> Cover {
        // Children come by end, latest first: what is still to be covered lies before all that was.
        let mut uncovered_end = own.end;
        let mut cover = Cover::default();
        for (_, child) in self.children(index) {
            let clipped = child.clip(own);
            cover.sum = cover.sum.saturating_add(clipped.duration());
            let fresh = clipped.end.min(uncovered_end).saturating_sub(clipped.start);
            if fresh > 0 {
                cover.union += fresh;
                uncovered_end = clipped.start;
            }
        }
        cover
    }

    /// Moves spans in time, span i by `offsets[i]` microseconds; one that would leave the range of time stays.
    ///
    /// # Panics
    /// If there are fewer offsets than spans.
    pub fn shift(&mut self, offsets: &[i64]) {
        for (interval, &offset) in self.intervals.iter_mut().zip(&offsets[..self.above.len()]) {
            let shifted = interval.and_then(|interval| interval.shift(offset));
            *interval = shifted.or(*interval);
        }
        self.group_children();
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
    fn group_children(&mut self) {
        let Self {
            intervals,
            starts,
            children,
            above,
            ends,
            ..
        } = self;
        let timed_children = || {
            let timed = above.iter().zip(intervals.iter()).zip(0..);
            timed
                .filter(|((above, interval), _)| **above != NONE && interval.is_some())
                .map(|((&above, _), index)| (above as usize, index))
        };
        starts.clear();
        starts.resize(above.len() + 1, 0);
        for (parent, _) in timed_children() {
            starts[parent + 1] += 1;
        }
        for node in 1..starts.len() {
            starts[node] += starts[node - 1];
        }
        ends.clone_from(starts);
        children.clear();
        children.resize(starts[above.len()] as usize, 0);
        for (parent, index) in timed_children() {
            children[ends[parent] as usize] = index;
            ends[parent] += 1;
        }
        for bounds in starts.windows(2) {
            let family = &mut children[bounds[0] as usize..bounds[1] as usize];
            family.sort_unstable_by_key(|&child| {
                let interval = intervals[child as usize];
                let times = interval.map(|interval| (std::cmp::Reverse(interval.end), interval.start));
                (times, child)
            });
        }
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

fn interval<S: TraceNode>(span: &S) -> Option<Interval> {
    let duration = span.duration()?;
    // What would end after all time begins earlier: durations are what has to add up.
    let start = span.timestamp()?.min(u64::MAX - duration);
    Some(Interval {
        start,
        end: start + duration,
    })
}

//! What a request waited for: the critical path of a trace, in exact microseconds.
//!
//! From the end of the entry span backwards, at each instant the path is in the child that ended last before it,
//! and in that child's children the same way; what no child covers is the span's own. So the entry span's interval
//! falls into pieces that belong to one span each, and their durations add up to its duration exactly, whatever
//! else is wrong with the trace.

use crate::{Interval, Timeline};

/// The pieces of a trace's entry span.
#[derive(Clone, Debug)]
pub struct CriticalPath {
    entry: usize,
    pieces: Vec<Piece>,
}

/// A stretch of the critical path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The span it belongs to, by its index.
    pub span: usize,
    /// When; never of no duration.
    pub interval: Interval,
}

impl CriticalPath {
    /// Walks the path; `None` if no span is timed.
    ///
    /// Of children that ended before an instant, the last to end is on the path; one that had not ended yet counts
    /// as having ended right then. Of several such it is the first to start, and of those the last to end.
    /// O(n log n), and nothing recurses.
    pub fn of(timeline: &Timeline) -> Option<Self> {
        let entry = timeline.entry()?;
        let mut pieces = Vec::new();
        for_each_piece(timeline, &mut Vec::new(), |piece| pieces.push(piece));
        pieces.sort_unstable_by_key(|piece| piece.interval.start);
        Some(Self { entry, pieces })
    }

    /// The span whose duration is explained, by its index.
    pub fn entry(&self) -> usize {
        self.entry
    }

    /// The pieces from first to last, each starting where the one before ends; at most twice as many as spans.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Microseconds: the duration of the entry span, and the sum of its pieces.
    pub fn duration(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.interval.duration()).sum()
    }
}

/// Gives `found` every piece of the critical path, in no particular order. `open` is memory to work in.
pub(crate) fn for_each_piece(
    timeline: &Timeline,
    open: &mut Vec<(usize, Interval)>,
    mut found: impl FnMut(Piece),
) {
    open.clear();
    let entry = timeline.entry();
    open.extend(entry.and_then(|entry| Some((entry, timeline.interval(entry)?))));
    while let Some((span, window)) = open.pop() {
        walk_span(timeline, span, window, &mut found, open);
    }
}

/// Cuts the window of one span into its own pieces and windows of its children.
///
/// The children come by end, latest first. Those that had not ended when the walk reaches an instant compete for it;
/// the winner is the first to start, and the walk goes on at its start, where none of the others ran.
fn walk_span(
    timeline: &Timeline,
    span: usize,
    window: Interval,
    found: &mut impl FnMut(Piece),
    open: &mut Vec<(usize, Interval)>,
) {
    let mut own = |start: u64, end: u64| {
        if start < end {
            found(Piece {
                span,
                interval: Interval { start, end },
            });
        }
    };
    let mut now = window.end;
    let mut children = timeline.children(span).peekable();
    while now > window.start {
        let mut winner: Option<(usize, Interval)> = None;
        while let Some((child, interval)) = children.next_if(|(_, interval)| interval.end >= now) {
            if interval.start < winner.map_or(now, |(_, first)| first.start) {
                winner = Some((child, interval));
            }
        }
        if let Some((child, interval)) = winner {
            let start = interval.start.max(window.start);
            open.push((child, Interval { start, end: now }));
            now = start;
        } else {
            let next_end = children
                .peek()
                .map_or(window.start, |(_, interval)| interval.end.max(window.start));
            own(next_end, now);
            now = next_end;
        }
    }
}

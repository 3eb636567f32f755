//! Who answers whom in a trace, and by how much the clocks of the two differ.
//!
//! As links are found ([`crate::LinkFinder`]): local spans may be between the two sides of a call, and what the server
//! says of itself is better than what its client says of it.

use crate::{Interval, Kind, SpanTree, Timeline, TraceNode};

/// No span.
const NONE: u32 = u32::MAX;

/// What a span is to the spans around it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// One side of a call: it waits for the other.
    Calls,
    /// It sends a message.
    Sends,
    Answers,
    Receives,
    Local,
}

impl Role {
    fn of<S: TraceNode>(span: &S) -> Self {
        match span.kind() {
            Some(Kind::Client) => Self::Calls,
            Some(Kind::Producer) => Self::Sends,
            Some(Kind::Server) => Self::Answers,
            Some(Kind::Consumer) => Self::Receives,
            // Old instrumentation tells both sides instead of the kind.
            None if span.local_name().is_some() && span.remote_name().is_some() => Self::Calls,
            None => Self::Local,
        }
    }

    fn is_caller(self) -> bool {
        matches!(self, Self::Calls | Self::Sends)
    }
}

/// Relations of the spans of one trace after the other, in the same memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Relations {
    // Of each span the nearest one above that is not local.
    remote_ancestors: Vec<u32>,
    answers: Vec<u32>,
    // Whether a span is one side of a call whose caller is right above, in the same service.
    calls_through: Vec<bool>,
    offsets: Vec<i64>,
}

impl Relations {
    /// Finds out who answers whom, and moves what ran by clocks that differ.
    pub(super) fn rebuild<S: TraceNode>(&mut self, spans: &[S], tree: &SpanTree, timeline: &mut Timeline) {
        for numbers in [&mut self.remote_ancestors, &mut self.answers] {
            numbers.clear();
            numbers.resize(spans.len(), NONE);
        }
        self.calls_through.clear();
        self.calls_through.resize(spans.len(), false);
        self.offsets.clear();
        self.offsets.resize(spans.len(), 0);
        let mut is_shifted = false;
        for index in tree.breadth_first() {
            let Some(parent) = tree.parent(index) else {
                continue;
            };
            self.remote_ancestors[index] = match Role::of(&spans[parent]) {
                Role::Local => self.remote_ancestors[parent],
                _ => parent as u32,
            };
            self.relate(spans, parent, index);
            self.offsets[index] = self.offset(spans, timeline, parent, index);
            is_shifted |= self.offsets[index] != 0;
        }
        if is_shifted {
            timeline.shift(&self.offsets);
        }
    }

    /// The first span that answers another: the other side of what it waits for.
    pub(super) fn answer(&self, caller: usize) -> Option<usize> {
        Some(self.answers[caller])
            .filter(|&answer| answer != NONE)
            .map(|answer| answer as usize)
    }

    /// Whether nobody answers a span that calls, and nothing says that it only led to another call.
    pub(super) fn is_unanswered<S: TraceNode>(&self, span: &S, index: usize) -> bool {
        Role::of(span).is_caller() && self.answers[index] == NONE && !self.calls_through[index]
    }

    fn relate<S: TraceNode>(&mut self, spans: &[S], parent: usize, index: usize) {
        let role = Role::of(&spans[index]);
        let elsewhere = |other: &S| match (other.local_name(), spans[index].local_name()) {
            (Some(theirs), Some(own)) => theirs != own,
            _ => false,
        };
        if role.is_caller() {
            // One that is elsewhere ran in a server that is missing.
            self.calls_through[parent] |= !elsewhere(&spans[parent]);
            return;
        }
        let Some(caller) = spans.get(self.remote_ancestors[index] as usize) else {
            return;
        };
        let answers = role != Role::Local || elsewhere(caller);
        let first = &mut self.answers[self.remote_ancestors[index] as usize];
        if Role::of(caller).is_caller() && answers && *first == NONE {
            *first = index as u32;
        }
    }

    /// By how many microseconds a span is to be moved. What is below another ran by the same clock, unless it is the
    /// answer to a call from elsewhere: that lies within the call. One that is longer than the call may go on after
    /// it, but cannot have begun before. Nobody knows how long messages are on their way.
    fn offset<S: TraceNode>(&self, spans: &[S], timeline: &Timeline, parent: usize, index: usize) -> i64 {
        let inherited = self.offsets[parent];
        let caller = self.remote_ancestors[index] as usize;
        let Some(caller_span) = spans.get(caller) else {
            return inherited;
        };
        let is_answer = Role::of(&spans[index]) == Role::Answers && Role::of(caller_span) == Role::Calls;
        if !is_answer || spans[index].place() == caller_span.place() {
            return inherited;
        }
        let moved = |index: usize, offset| timeline.interval(index)?.shift(offset);
        let (Some(call), Some(own), Some(reported)) = (
            moved(caller, self.offsets[caller]),
            moved(index, inherited),
            timeline.interval(index),
        ) else {
            return inherited;
        };
        aligned_start(own, call)
            .and_then(|start| i64::try_from(i128::from(start) - i128::from(reported.start)).ok())
            .unwrap_or(inherited)
    }
}

/// When an answer began; `None` if it may be as it is.
fn aligned_start(answer: Interval, call: Interval) -> Option<u64> {
    if answer.start >= call.start && answer.end <= call.end {
        return None;
    }
    match call.duration().checked_sub(answer.duration()) {
        Some(on_the_way) => Some(call.start + on_the_way / 2),
        None => Some(call.start).filter(|&start| answer.start < start),
    }
}

//! The spans of a trace, each once, as a tree, with their clocks corrected: the *sides* of operations, of which a call
//! that shares an identifier has two.

use std::borrow::Cow;

use model::{Span, SpanId, SpanTree};

use super::skew::{self, Move};

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Sides<'a> {
    /// As [`model::merge`] gives them, by identifier.
    pub(super) spans: Vec<Cow<'a, Span>>,
    pub(super) tree: SpanTree,
    /// Of each span.
    pub(super) moves: Vec<Move>,
}

/// Why a span is not below the one that it names as its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Orphan {
    /// That span is not there.
    MissingParent(SpanId),
    /// That span is below it.
    Cycle(SpanId),
}

impl<'a> Sides<'a> {
    pub(super) fn of(stored: &'a [Span]) -> Self {
        let mut spans = model::merge(stored);
        begin_at_shared_root(&mut spans);
        let tree = SpanTree::build(&spans);
        let moves = skew::moves(&spans, &tree);
        Self { spans, tree, moves }
    }

    /// When a span began, corrected.
    pub(super) fn start(&self, index: usize) -> Option<u64> {
        let timestamp = self.spans[index].timestamp?;
        Some(skew::moved(timestamp, self.moves[index].micros))
    }

    /// Whether a span is the other side of the one above it.
    pub(super) fn is_other_side(&self, index: usize) -> bool {
        let parent = self.tree.parent(index);
        parent.is_some_and(|parent| self.spans[parent].id == self.spans[index].id)
    }

    /// `None` of a span that is below its parent, or names none.
    pub(super) fn orphan(&self, index: usize) -> Option<Orphan> {
        let parent_id = self.spans[index].parent_id?;
        if self.is_other_side(index) {
            return None;
        }
        let parent = self.tree.parent(index);
        if parent.is_some_and(|parent| self.spans[parent].id == parent_id) {
            return None;
        }
        let is_there = self
            .spans
            .binary_search_by_key(&parent_id, |span| span.id)
            .is_ok();
        Some(if is_there {
            Orphan::Cycle(parent_id)
        } else {
            Orphan::MissingParent(parent_id)
        })
    }

    /// The sides that have an identifier.
    pub(super) fn with_id(&self, id: SpanId) -> std::ops::Range<usize> {
        let start = self.spans.partition_point(|span| span.id < id);
        let end = self.spans.partition_point(|span| span.id <= id);
        start..end
    }
}

/// Where the only span without a parent says that its client reported it too, and that client did not: the trace begins
/// there all the same.
fn begin_at_shared_root(spans: &mut [Cow<'_, Span>]) {
    let mut parentless = spans.iter_mut().filter(|span| span.parent_id.is_none());
    if let (Some(only), None) = (parentless.next(), parentless.next())
        && only.shared
    {
        only.to_mut().shared = false;
    }
}

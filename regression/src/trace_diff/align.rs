//! Which span of one trace is which of another.
//!
//! From the tops down: children of two spans that are one another's are matched by their operation, the first of it with
//! the first, the second with the second. What is left over on a side is on that side only, with everything below it.
//! O(n log n), and nothing recurses.

use model::{OperationNumber, SpanTree};

/// A span of either trace, or both of them where they are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Aligned {
    /// The row above; `None` at the top.
    pub(super) parent: Option<u32>,
    /// How many rows are above.
    pub(super) depth: u32,
    /// Its index among the baseline's spans.
    pub(super) baseline: Option<usize>,
    /// Its index among the candidate's.
    pub(super) candidate: Option<usize>,
}

/// One trace to be aligned: its tree and the operation of each span, in numbers that both traces share.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) tree: &'a SpanTree,
    pub(super) operations: &'a [OperationNumber],
}

impl Side<'_> {
    /// What is right below a span; nothing below none.
    fn children(&self, span: Option<usize>) -> Vec<usize> {
        span.map_or_else(Vec::new, |span| self.tree.children(span).collect())
    }
}

/// Every span of both, each once; a row comes after the one above it, in the order of a walk down the trees.
pub(super) fn align(baseline: Side<'_>, candidate: Side<'_>) -> Vec<Aligned> {
    let mut rows = Vec::with_capacity(baseline.tree.len().max(candidate.tree.len()));
    let mut open = Vec::new();
    let tops = (baseline.tree.tops().collect(), candidate.tree.tops().collect());
    open_family(
        (baseline, candidate),
        (tops.0, tops.1),
        Aligned::default(),
        &mut open,
    );
    while let Some(row) = open.pop() {
        let below = Aligned {
            parent: Some(rows.len() as u32),
            depth: row.depth + 1,
            ..Aligned::default()
        };
        rows.push(row);
        let families = (baseline.children(row.baseline), candidate.children(row.candidate));
        open_family((baseline, candidate), families, below, &mut open);
    }
    rows
}

/// Opens the rows of two families that are below the same row, so that the first is on top.
fn open_family(
    (baseline, candidate): (Side<'_>, Side<'_>),
    (mut ours, theirs): (Vec<usize>, Vec<usize>),
    place: Aligned,
    open: &mut Vec<Aligned>,
) {
    let mut by_operation: Vec<(OperationNumber, usize)> = ours
        .iter()
        .enumerate()
        .map(|(position, &span)| (baseline.operations[span], position))
        .collect();
    by_operation.sort_unstable();
    let mut next_of: Vec<usize> = (0..by_operation.len()).collect();
    let mut partners = vec![None; ours.len()];
    // What only the candidate has stands behind what it follows there: by that position, then in its own order.
    let mut added: Vec<(usize, usize)> = Vec::new();
    let mut follows = 0;
    for span in theirs {
        let operation = candidate.operations[span];
        let first = by_operation.partition_point(|&(other, _)| other < operation);
        let free = next_of.get(first).copied();
        match free.and_then(|free| by_operation.get(free)) {
            Some(&(other, position)) if other == operation => {
                next_of[first] += 1;
                partners[position] = Some(span);
                follows = position + 1;
            }
            _ => added.push((follows, span)),
        }
    }
    added.sort_by_key(|&(follows, _)| follows);
    // Last first, because the last to be opened is the first to be taken.
    for position in (0..=ours.len()).rev() {
        while let Some((_, span)) = added.pop_if(|(follows, _)| *follows == position) {
            open.push(Aligned {
                candidate: Some(span),
                ..place
            });
        }
        if let (Some(span), Some(before)) = (ours.pop(), position.checked_sub(1)) {
            open.push(Aligned {
                baseline: Some(span),
                candidate: partners[before],
                ..place
            });
        }
    }
}

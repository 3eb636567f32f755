//! Merging without texts, for the traces where nothing has to be joined: nearly all.

use crate::merge::{KnownEndpoint, Side, repaired};
use crate::{Place, SpanOutline};

/// Arranges outlines as [`merge`](crate::merge) arranges their spans, which are distinct: sorts them and repairs what
/// old instrumentation leaves out of the server's half. What that takes beside the outlines is nothing.
///
/// Returns false, and leaves the outlines in any order, where spans may be pieces of one: joining them takes their
/// texts, and so does the order of two that are one side of one id.
pub fn merge_outlines(outlines: &mut [SpanOutline]) -> bool {
    outlines.sort_unstable_by_key(|span| (span.id, Side::of(span)));
    let is_whole = |pair: &[SpanOutline]| match (Side::of(&pair[0]), Side::of(&pair[1])) {
        _ if pair[0].id != pair[1].id => true,
        (a, b) if a == b => false,
        (_, Side::Shared) => true,
        _ => contradict(pair[0].place, pair[1].place),
    };
    if !outlines.windows(2).all(is_whole) {
        return false;
    }
    for index in 1..outlines.len() {
        let (before, rest) = outlines.split_at_mut(index);
        let span = &mut rest[0];
        (span.shared, span.parent_id) = repaired(&before[index - 1], span);
    }
    true
}

/// Whether two local endpoints cannot be what is known of one.
fn contradict(a: Option<Place>, b: Option<Place>) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return false };
    let mut known = KnownEndpoint::default();
    !(known.accept(a.name, a.ip, a.port) && known.accept(b.name, b.ip, b.port))
}

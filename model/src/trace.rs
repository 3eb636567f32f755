//! A trace: spans with one identifier, merged and arranged as a tree (`zipkin.md` 4.4).

use crate::Span;

/// The timestamp searches and dependency windows go by: that of the first parentless span that has one, else
/// the least of all; `None` when no span has one. Microseconds since the epoch (`zipkin.md` 5.1).
pub fn trace_timestamp(spans: &[Span]) -> Option<u64> {
    spans
        .iter()
        .filter(|span| span.parent_id.is_none())
        .find_map(|span| span.timestamp)
        .or_else(|| spans.iter().filter_map(|span| span.timestamp).min())
}

//! What is said of a trace as a whole. Its spans are joined by [`crate::merge`] and arranged by
//! [`crate::SpanTree`].

use crate::Span;

/// The timestamp searches and dependency windows go by: the least of parentless spans, else the least of all;
/// `None` when no span has one. Microseconds since the epoch.
///
/// `zipkin.md` 5.1 says the *first* parentless span; of several, which broken traces have, that is the one that
/// arrived first. The order of arrival is not kept by every store, so the least decides, wherever spans are.
pub fn trace_timestamp(spans: &[Span]) -> Option<u64> {
    let parentless = spans.iter().filter(|span| span.parent_id.is_none());
    parentless
        .filter_map(|span| span.timestamp)
        .min()
        .or_else(|| spans.iter().filter_map(|span| span.timestamp).min())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SpanBatch, SpanDraft, SpanId, TraceId};

    /// A span with a parent (0 is none) and a timestamp (0 is none).
    fn span(parent: u64, timestamp: i64) -> Span {
        let mut batch = SpanBatch::new();
        let draft = SpanDraft {
            trace_id: TraceId::new(0, 1),
            id: Some(SpanId::new(9)),
            parent_id: Some(SpanId::new(parent)),
            timestamp,
            ..SpanDraft::default()
        };
        batch.finish(&draft).unwrap();
        batch.get(0).to_span()
    }

    #[test]
    fn the_least_timestamp_of_parentless_spans_decides() {
        let spans = [span(1, 5), span(0, 0), span(0, 9), span(0, 7)];
        assert_eq!(trace_timestamp(&spans), Some(7));
        let backwards: Vec<_> = spans.into_iter().rev().collect();
        assert_eq!(trace_timestamp(&backwards), Some(7), "whatever the order");
    }

    #[test]
    fn else_the_least_timestamp_does() {
        assert_eq!(
            trace_timestamp(&[span(0, 0), span(1, 5), span(1, 3), span(1, 0)]),
            Some(3)
        );
        assert_eq!(trace_timestamp(&[span(0, 0), span(1, 0)]), None);
        assert_eq!(trace_timestamp(&[]), None);
    }
}

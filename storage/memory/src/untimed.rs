//! Traces of which no span has a timestamp, by their identifiers: no window finds them.

use model::TraceId;
use storage::{Completeness, Found, untimed_after};

use crate::{MemoryStore, SPANS_BETWEEN_YIELDS};

/// See [`storage::SpanSource::untimed`].
pub(crate) async fn find(store: &MemoryStore, after: Option<TraceId>, limit: usize) -> Found {
    let strict = store.config.options.strict_trace_id;
    let mut traces = Vec::new();
    let (mut from, mut looked_at) = (after.map_or(0, TraceId::low), 0);
    while traces.len() < limit {
        let of_shards = store.shards.iter().map(|shard| shard.read().untimed(from));
        let Some(low) = of_shards.flatten().min() else {
            break;
        };
        // It may have got a timestamp, or been evicted, meanwhile.
        let spans = store
            .snapshot(low)
            .map(|spans| spans.to_vec())
            .unwrap_or_default();
        looked_at += spans.len() + 1;
        traces.extend(untimed_after(spans, strict, after));
        let Some(next) = low.checked_add(1) else { break };
        from = next;
        if looked_at >= SPANS_BETWEEN_YIELDS {
            looked_at = 0;
            tokio::task::yield_now().await;
        }
    }
    traces.truncate(limit);
    Found {
        traces,
        completeness: Completeness::Complete,
    }
}

//! Keeps the number of spans below the bound: the traces that began first go, whole.
//!
//! Spans are added first and counted when duplicates are dropped, so sending a batch again evicts nothing. A
//! batch may for a moment exceed the bound by its own size. What goes is decided by time alone: a batch older
//! than everything in a full store is itself what goes, and a single trace that grows beyond the bound is, when
//! nothing older is left, evicted like any other and starts anew with the spans that follow.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::Ordering;

use crate::MemoryStore;

impl MemoryStore {
    /// Evicts until the bound holds.
    pub(crate) fn evict(&self) {
        if self.span_count() <= self.config.spans_max {
            return;
        }
        let _evicting = self.evicting.lock();
        let oldest = |index: usize| {
            self.shards[index]
                .read()
                .oldest()
                .map(|(began, low)| (began, low, index))
        };
        let mut candidates: BinaryHeap<_> = (0..self.shards.len()).filter_map(oldest).map(Reverse).collect();
        while self.span_count() > self.config.spans_max {
            let Some(Reverse((_, low, index))) = candidates.pop() else {
                break;
            };
            // Freed after the lock is released.
            let evicted = self.shards[index].write().remove(low);
            if let Some(trace) = evicted {
                self.spans.fetch_sub(trace.spans().len(), Ordering::Relaxed);
            }
            candidates.extend(oldest(index).map(Reverse));
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{Endpoint, Span, SpanBatch, SpanId, TraceId};
    use storage::{SpanSink, SpanSource, TraceQuery, TraceQueryBuilder};

    use crate::{MemoryConfig, MemoryStore};

    fn span(trace: u64, id: u64, timestamp: u64) -> Span {
        let service = Endpoint {
            service_name: Some(format!("service-{trace}")),
            ..Endpoint::default()
        };
        Span {
            trace_id: TraceId::new(0, trace).unwrap(),
            parent_id: None,
            id: SpanId::new(id),
            kind: None,
            name: Some(format!("name-{trace}")),
            timestamp: Some(timestamp).filter(|&timestamp| timestamp != 0),
            duration: None,
            local_endpoint: Some(service.clone()),
            remote_endpoint: Some(service),
            annotations: Vec::new(),
            tags: Vec::new(),
            debug: false,
            shared: false,
        }
    }

    async fn accept(store: &MemoryStore, spans: impl IntoIterator<Item = Span>) {
        let mut batch = SpanBatch::new();
        spans.into_iter().for_each(|span| batch.push_span(&span));
        store.accept(&batch).await.unwrap();
    }

    async fn kept(store: &MemoryStore, traces: std::ops::RangeInclusive<u64>) -> Vec<u64> {
        let ids: Vec<_> = traces.map(|trace| TraceId::new(0, trace).unwrap()).collect();
        let mut kept: Vec<_> = store
            .traces(&ids)
            .await
            .unwrap()
            .iter()
            .map(|trace| trace[0].trace_id.low())
            .collect();
        kept.sort_unstable();
        kept
    }

    fn store(spans_max: usize) -> MemoryStore {
        MemoryStore::new(MemoryConfig {
            spans_max,
            ..MemoryConfig::default()
        })
    }

    #[tokio::test]
    async fn the_oldest_traces_go_whole() {
        let store = store(10);
        for trace in 1..=5 {
            accept(&store, (1..=2).map(|id| span(trace, id, trace * 1000 + id))).await;
        }
        assert_eq!(kept(&store, 1..=5).await, [1, 2, 3, 4, 5]);
        accept(&store, [span(6, 1, 6000)]).await;
        assert_eq!(kept(&store, 1..=6).await, [2, 3, 4, 5, 6]);
        assert_eq!(store.span_count(), 9);
    }

    #[tokio::test]
    async fn a_trace_without_time_goes_first() {
        let store = store(2);
        accept(&store, [span(1, 1, 1), span(2, 1, 0), span(3, 1, 2)]).await;
        assert_eq!(kept(&store, 1..=3).await, [1, 3]);
    }

    #[tokio::test]
    async fn names_and_index_entries_vanish_with_their_last_trace() {
        let store = store(2);
        // Moves to a second place before it is evicted.
        accept(&store, [span(1, 1, 1_000)]).await;
        accept(&store, [span(1, 2, 9_000_000)]).await;
        accept(&store, [span(2, 1, 2_000), span(3, 1, 3_000)]).await;
        assert_eq!(store.service_names().await.unwrap(), ["service-2", "service-3"]);
        assert_eq!(store.span_names("service-1").await.unwrap(), Vec::<String>::new());
        assert_eq!(
            store.remote_service_names("service-1").await.unwrap(),
            Vec::<String>::new()
        );
        for shard in &store.shards {
            let shard = shard.read();
            let traces = [1, 2, 3]
                .iter()
                .filter(|low| shard.trace(**low).is_some())
                .count();
            assert_eq!(shard.by_time(None).unwrap().len(), traces);
        }
    }

    #[tokio::test]
    async fn a_service_that_stays_forgets_the_traces_that_go() {
        let store = store(3);
        // Most of these numbers fall into one shard.
        for (number, trace) in (1..).zip([1, 1 + 34, 1 + 55, 1 + 89, 1 + 144]) {
            let shared = span(94, 0, 0).local_endpoint;
            accept(
                &store,
                [Span {
                    local_endpoint: shared,
                    ..span(trace, 1, number)
                }],
            )
            .await;
        }
        let entries = |shard: &crate::Shard| shard.by_time(Some("service-94")).map_or(0, |index| index.len());
        assert_eq!(
            store
                .shards
                .iter()
                .map(|shard| entries(&shard.read()))
                .sum::<usize>(),
            3
        );
        assert_eq!(
            store.span_names("service-94").await.unwrap(),
            ["name-145", "name-56", "name-90"]
        );
        assert_eq!(store.remote_service_names("service-94").await.unwrap().len(), 3);
    }

    #[tokio::test]
    async fn sending_again_evicts_nothing() {
        let store = store(2);
        accept(&store, [span(1, 1, 1), span(2, 1, 2)]).await;
        accept(&store, [span(2, 1, 2)]).await;
        assert_eq!(kept(&store, 1..=2).await, [1, 2]);
    }

    #[tokio::test]
    async fn a_trace_beyond_the_bound_does_not_grow_without_end() {
        let store = store(100);
        for id in 0..1000 {
            accept(&store, [span(1, id, 1 + id)]).await;
            assert!(store.span_count() <= 100);
        }
        let query = TraceQueryBuilder {
            end_ts: 10,
            lookback: 10,
            limit: 1,
            ..TraceQuery::builder()
        };
        let found = store.search(&query.build().unwrap()).await.unwrap();
        assert!(found.traces[0].iter().any(|span| span.id.value() == 999));
    }
}

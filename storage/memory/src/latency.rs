//! Latency and profiles: counted from spans, a trace at a time.

use std::collections::BTreeMap;

use storage::{
    BoxFuture, Completeness, Latencies, LatencyQuery, LatencySource, OperationLatency, ProfileCollector,
    ProfileQuery, Profiles, Result, WindowCollector, WindowLatencies, WindowQuery, add_latencies,
};

use crate::MemoryStore;

/// Microseconds of a minute.
const MINUTE: u64 = 60_000_000;

impl LatencySource for MemoryStore {
    fn latencies<'a>(&'a self, query: &'a LatencyQuery) -> BoxFuture<'a, Result<Latencies>> {
        Box::pin(async move {
            Ok(Latencies {
                operations: self.count_latencies(query).await,
                completeness: Completeness::Complete,
            })
        })
    }

    fn windows<'a>(&'a self, query: &'a WindowQuery) -> BoxFuture<'a, Result<WindowLatencies>> {
        Box::pin(async move {
            let mut collector = WindowCollector::new(query);
            if let Some(minutes) = query.minutes() {
                let rows = self.count_latencies(&minutes).await;
                rows.iter().for_each(|row| collector.add(row));
            }
            Ok(collector.finish(Completeness::Complete))
        })
    }

    fn profiles<'a>(&'a self, query: &'a ProfileQuery) -> BoxFuture<'a, Result<Profiles>> {
        Box::pin(async move {
            let mut collector = ProfileCollector::new(query);
            self.for_each_trace(query.window, |spans| {
                collector.add_spans(spans, &self.config.options.version_tags);
            })
            .await;
            Ok(collector.finish(Completeness::Complete))
        })
    }
}

impl MemoryStore {
    /// By operation, version and minute, ascending; never more than there are spans.
    async fn count_latencies(&self, query: &LatencyQuery) -> Vec<OperationLatency> {
        let first = query.first_minute.saturating_mul(MINUTE);
        let end = query.last_minute.saturating_add(1).saturating_mul(MINUTE);
        let mut counted = BTreeMap::new();
        self.for_each_trace((first, end.saturating_sub(1)), |spans| {
            add_latencies(&mut counted, spans, &self.config.options.version_tags, query);
        })
        .await;
        counted.into_values().collect()
    }
}

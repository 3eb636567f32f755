//! Latency and profiles: counted from spans, a trace at a time.

use std::collections::BTreeMap;

use storage::{
    BoxFuture, Completeness, Latencies, LatencyQuery, LatencySource, ProfileCollector, ProfileQuery,
    Profiles, Result, add_latencies,
};

use crate::MemoryStore;

/// Microseconds of a minute.
const MINUTE: u64 = 60_000_000;

impl LatencySource for MemoryStore {
    fn latencies<'a>(&'a self, query: &'a LatencyQuery) -> BoxFuture<'a, Result<Latencies>> {
        Box::pin(async move {
            let first = query.first_minute.saturating_mul(MINUTE);
            let end = query.last_minute.saturating_add(1).saturating_mul(MINUTE);
            let mut counted = BTreeMap::new();
            self.for_each_trace((first, end.saturating_sub(1)), |spans| {
                add_latencies(&mut counted, spans, &self.config.options.version_tags, query);
            })
            .await;
            Ok(Latencies {
                operations: counted.into_values().collect(),
                completeness: Completeness::Complete,
            })
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

//! Latency and profiles: counted from spans, a trace at a time.

use std::collections::BTreeMap;

use storage::{
    BoxFuture, Completeness, Latencies, LatencyQuery, LatencySource, OperationLatency, ProfileCollector,
    ProfileQuery, Profiles, Result, WindowCollector, WindowLatencies, WindowQuery, add_latencies,
};

use crate::MySqlStore;
use crate::schema::Schema;

/// Microseconds of a minute.
const MINUTE: u64 = 60_000_000;

impl LatencySource for MySqlStore {
    fn latencies<'a>(&'a self, query: &'a LatencyQuery) -> BoxFuture<'a, Result<Latencies>> {
        Box::pin(async move {
            let schema = self.schema().await?;
            let operations = self.answer(self.count_latencies(query, &schema)).await?;
            Ok(Latencies {
                operations,
                completeness: Completeness::Complete,
            })
        })
    }

    fn windows<'a>(&'a self, query: &'a WindowQuery) -> BoxFuture<'a, Result<WindowLatencies>> {
        Box::pin(async move {
            let schema = self.schema().await?;
            let mut collector = WindowCollector::new(query);
            if let Some(minutes) = query.minutes() {
                let rows = self.answer(self.count_latencies(&minutes, &schema)).await?;
                rows.iter().for_each(|row| collector.add(row));
            }
            Ok(collector.finish(Completeness::Complete))
        })
    }

    fn profiles<'a>(&'a self, query: &'a ProfileQuery) -> BoxFuture<'a, Result<Profiles>> {
        Box::pin(async move {
            let schema = self.schema().await?;
            let mut collector = ProfileCollector::new(query);
            let version_tags = &self.config.options.version_tags;
            let visited = self.for_each_trace(query.window, &schema, |spans| {
                collector.add_spans(spans, version_tags);
            });
            self.answer(visited).await?;
            Ok(collector.finish(Completeness::Complete))
        })
    }
}

impl MySqlStore {
    /// By operation, version and minute, ascending.
    async fn count_latencies(
        &self,
        query: &LatencyQuery,
        schema: &Schema,
    ) -> sqlx::Result<Vec<OperationLatency>> {
        let first = query.first_minute.saturating_mul(MINUTE);
        let end = query.last_minute.saturating_add(1).saturating_mul(MINUTE);
        let mut counted = BTreeMap::new();
        let version_tags = &self.config.options.version_tags;
        self.for_each_trace((first, end.saturating_sub(1)), schema, |spans| {
            add_latencies(&mut counted, spans, version_tags, query);
        })
        .await?;
        Ok(counted.into_values().collect())
    }
}

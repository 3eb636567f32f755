//! Profiles of traces, made once and then answered from: the reports of five deployments ask many times about the same
//! traces, and a store in memory would take each of them apart every time.

use std::sync::Arc;

use model::Span;
use storage::{
    BoxFuture, Completeness, Latencies, LatencyQuery, LatencySource, ProfileCollector, ProfileQuery,
    Profiles, Result, WindowLatencies, WindowQuery,
};

/// Answers about profiles by itself, and about everything else as the store does.
pub(super) struct Profiled {
    profiles: Profiles,
    store: Arc<dyn LatencySource>,
}

impl Profiled {
    /// Of traces that the store has, each with all its spans.
    pub(super) fn new(traces: &[Vec<Span>], version_tags: &[String], store: Arc<dyn LatencySource>) -> Self {
        let every_trace = ProfileQuery {
            window: (0, u64::MAX),
            service_name: None,
            entry: None,
            limit: usize::MAX,
            seed: 0,
        };
        let mut collector = ProfileCollector::new(&every_trace);
        for spans in traces {
            collector.add_spans(spans, version_tags);
        }
        Self {
            profiles: collector.finish(Completeness::Complete),
            store,
        }
    }
}

impl LatencySource for Profiled {
    fn latencies<'a>(&'a self, query: &'a LatencyQuery) -> BoxFuture<'a, Result<Latencies>> {
        self.store.latencies(query)
    }

    fn windows<'a>(&'a self, query: &'a WindowQuery) -> BoxFuture<'a, Result<WindowLatencies>> {
        self.store.windows(query)
    }

    fn profiles<'a>(&'a self, query: &'a ProfileQuery) -> BoxFuture<'a, Result<Profiles>> {
        let mut collector = ProfileCollector::new(query);
        let source = collector.source(&self.profiles.table);
        for profile in &self.profiles.profiles {
            collector.add(&source, profile);
        }
        let found = collector.finish(self.profiles.completeness.clone());
        Box::pin(std::future::ready(Ok(found)))
    }
}

#[cfg(test)]
mod tests {
    use model::{Kind, SpanBatch};
    use storage::{OperationName, SpanSink, StoreOptions};
    use storage_memory::{MemoryConfig, MemoryStore};

    use super::super::super::{Purpose, Seed, cases};
    use super::*;

    #[tokio::test]
    async fn a_store_of_the_same_spans_answers_the_same() {
        let cases = cases();
        let case = cases.iter().find(|case| case.name == "hard/lost_spans").unwrap();
        let seed = Seed {
            purpose: Purpose::Tune,
            number: 1,
        };
        let scenario = case.scenario_of(seed, 200).unwrap();
        let store = Arc::new(MemoryStore::new(MemoryConfig::default()));
        let mut batch = SpanBatch::new();
        scenario
            .traces
            .iter()
            .flatten()
            .for_each(|span| batch.push_span(span));
        store.accept(&batch).await.unwrap();
        let version_tags = StoreOptions::default().version_tags;
        let profiled = Profiled::new(
            &scenario.traces,
            &version_tags,
            Arc::clone(&store) as Arc<dyn LatencySource>,
        );

        let deployment = &scenario.deployments[0];
        let root = scenario.traces[0].iter().find(|span| span.parent_id.is_none());
        let entry = OperationName::of(root.unwrap());
        assert_eq!(entry.kind, Some(Kind::Server));
        let all = ProfileQuery {
            window: (0, u64::MAX),
            service_name: None,
            entry: None,
            limit: 20_000,
            seed: 7,
        };
        let queries = [
            all.clone(),
            ProfileQuery {
                window: (deployment.start, scenario.asked),
                service_name: Some(deployment.service_name.clone()),
                ..all.clone()
            },
            ProfileQuery {
                entry: Some(entry),
                ..all.clone()
            },
            ProfileQuery { limit: 50, ..all },
        ];
        for query in &queries {
            let (own, stored) = (profiled.profiles(query).await, store.profiles(query).await);
            let (own, stored) = (own.unwrap(), stored.unwrap());
            assert!(!own.profiles.is_empty(), "{query:?}");
            assert_eq!(own.matched, stored.matched, "{query:?}");
            assert!(own.profiles == stored.profiles, "{query:?}");
            let tables = [own.table, stored.table].map(|table| {
                (
                    table.names().to_vec(),
                    table.operations().to_vec(),
                    table.instances().to_vec(),
                )
            });
            assert!(tables[0] == tables[1], "{query:?}");
        }
    }
}

//! Latencies and profiles of traces, counted once and then answered from: reports of five deployments ask many
//! questions about the same traces, and a store of spans would take each trace apart for every one of them.

use std::collections::BTreeMap;

use model::Span;
use storage::{
    BoxFuture, Completeness, Latencies, LatencyQuery, LatencySource, OperationLatency, ProfileCollector,
    ProfileQuery, Profiles, Result, add_latencies,
};

/// Everything that the traces of a scenario can be asked for.
#[derive(Debug)]
pub(super) struct Counted {
    operations: Vec<OperationLatency>,
    profiles: Profiles,
}

impl Counted {
    /// Counts all spans of each trace.
    pub(super) fn new(traces: &[Vec<Span>], version_tags: &[String]) -> Self {
        let every_minute = LatencyQuery {
            first_minute: 0,
            last_minute: u64::MAX,
            service_name: None,
        };
        let every_trace = ProfileQuery {
            window: (0, u64::MAX),
            service_name: None,
            entry: None,
            limit: usize::MAX,
            seed: 0,
        };
        let mut counted = BTreeMap::new();
        let mut collector = ProfileCollector::new(&every_trace);
        for spans in traces {
            add_latencies(&mut counted, spans, version_tags, &every_minute);
            collector.add_spans(spans, version_tags);
        }
        Self {
            operations: counted.into_values().collect(),
            profiles: collector.finish(Completeness::Complete),
        }
    }
}

impl LatencySource for Counted {
    fn latencies<'a>(&'a self, query: &'a LatencyQuery) -> BoxFuture<'a, Result<Latencies>> {
        let is_asked_for = |latency: &&OperationLatency| {
            query.contains(latency.minute) && query.is_about(&latency.operation.service_name)
        };
        let latencies = Latencies {
            operations: self.operations.iter().filter(is_asked_for).cloned().collect(),
            completeness: Completeness::Complete,
        };
        Box::pin(std::future::ready(Ok(latencies)))
    }

    fn profiles<'a>(&'a self, query: &'a ProfileQuery) -> BoxFuture<'a, Result<Profiles>> {
        let mut collector = ProfileCollector::new(query);
        let source = collector.source(&self.profiles.table);
        for profile in &self.profiles.profiles {
            collector.add(&source, profile);
        }
        Box::pin(std::future::ready(Ok(
            collector.finish(self.profiles.completeness.clone())
        )))
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
        let store = MemoryStore::new(MemoryConfig::default());
        let mut batch = SpanBatch::new();
        scenario
            .traces
            .iter()
            .flatten()
            .for_each(|span| batch.push_span(span));
        store.accept(&batch).await.unwrap();
        let counted = Counted::new(&scenario.traces, &StoreOptions::default().version_tags);

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
            let (own, stored) = (counted.profiles(query).await, store.profiles(query).await);
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
        let whole = LatencyQuery {
            first_minute: 0,
            last_minute: u64::MAX / 60_000_000 - 1,
            service_name: None,
        };
        let start = deployment.start / 60_000_000;
        let queries = [
            whole.clone(),
            LatencyQuery {
                first_minute: start,
                last_minute: start + 3,
                service_name: Some(deployment.service_name.clone()),
            },
        ];
        for query in &queries {
            let own = counted.latencies(query).await.unwrap();
            assert!(!own.operations.is_empty(), "{query:?}");
            assert!(own == store.latencies(query).await.unwrap(), "{query:?}");
        }
    }
}

//! A store behind a spool keeps the contract, once what was accepted has been delivered.

use std::sync::Arc;
use std::time::Duration;

use model::{Span, SpanBatch, TraceId};
use storage::contract::Stores;
use storage::{
    BoxFuture, Capabilities, Completeness, Dependencies, DependencyQuery, Found, Result, SpanSink,
    SpanSource, TraceQuery,
};
use storage_journal::{LossyDisk, SyncPolicy};
use storage_memory::{MemoryConfig, MemoryStore};
use storage_spool::{Spool, SpoolConfig};

/// Accepts when the backend has it.
struct Delivered(Arc<Spool>);

impl SpanSink for Delivered {
    fn accept<'a>(&'a self, batch: &'a SpanBatch) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.0.accept(batch).await?;
            self.0.drained().await;
            Ok(())
        })
    }
}

impl SpanSource for Delivered {
    fn trace(&self, trace_id: TraceId) -> BoxFuture<'_, Result<Vec<Span>>> {
        self.0.trace(trace_id)
    }

    fn traces<'a>(&'a self, trace_ids: &'a [TraceId]) -> BoxFuture<'a, Result<Vec<Vec<Span>>>> {
        self.0.traces(trace_ids)
    }

    fn search<'a>(&'a self, query: &'a TraceQuery) -> BoxFuture<'a, Result<Found>> {
        self.0.search(query)
    }

    fn untimed(&self, after: Option<TraceId>, limit: usize) -> BoxFuture<'_, Result<Found>> {
        self.0.untimed(after, limit)
    }

    fn service_names(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        self.0.service_names()
    }

    fn span_names<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        self.0.span_names(service_name)
    }

    fn remote_service_names<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        self.0.remote_service_names(service_name)
    }

    fn autocomplete_values<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        self.0.autocomplete_values(key)
    }

    fn dependencies(&self, query: DependencyQuery) -> BoxFuture<'_, Result<Dependencies>> {
        self.0.dependencies(query)
    }

    fn completeness(&self) -> Completeness {
        self.0.completeness()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        self.0.health()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keeps_the_contract() {
    let report = storage::contract::run(
        |options| {
            let store = Arc::new(MemoryStore::new(MemoryConfig {
                options,
                ..MemoryConfig::default()
            }));
            // Of the crash tests' concern: here are thousands of batches.
            let config = SpoolConfig {
                sync: SyncPolicy::Os,
                late_after: Duration::from_secs(3600),
                ..SpoolConfig::new(Arc::new(|| 0))
            };
            let (sink, source) = (Arc::clone(&store) as _, store as _);
            let spool = Spool::open_on(Arc::new(LossyDisk::new()), config, sink, source)
                .unwrap_or_else(|error| panic!("{error}"));
            let store = Arc::new(Delivered(spool));
            Box::pin(async {
                Stores {
                    store,
                    reopen: None,
                    deployments: None,
                }
            })
        },
        &[],
    )
    .await;
    let needs_more = ["restart/", "deployments/", "deployments_restart/"];
    assert!(
        report
            .not_offered
            .iter()
            .all(|case| needs_more.iter().any(|group| case.starts_with(group))),
        "{:?}",
        report.not_offered
    );
    assert!(report.passed.len() > 100, "{} cases", report.passed.len());
}

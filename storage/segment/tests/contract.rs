//! The segment store keeps the contract wherever spans are: in the head, in segments, in both.

use std::sync::Arc;

use model::{Span, SpanBatch, TraceId};
use storage::contract::{self, Store, Stores};
use storage::{
    BoxFuture, Capabilities, Completeness, Dependencies, DependencyQuery, Found, Latencies, LatencyQuery,
    LatencySource, ProfileQuery, Profiles, Result, SpanSink, SpanSource, StoreOptions, TraceQuery,
    WindowLatencies, WindowQuery,
};
use storage_segment::SegmentStore;

mod support;

/// When a store under test seals what it was given.
#[derive(Clone, Copy, Debug)]
enum Sealing {
    Never,
    AfterEveryBatch,
    /// So that traces are in several places.
    AfterEverySecondBatch,
}

/// A segment store that seals as told.
struct Sealed {
    store: Arc<SegmentStore>,
    sealing: Sealing,
    batches: std::sync::atomic::AtomicUsize,
    /// Outlives the store in it.
    _directory: Arc<tempfile::TempDir>,
}

impl SpanSink for Sealed {
    fn accept<'a>(&'a self, batch: &'a SpanBatch) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.store.accept(batch).await?;
            let number = self.batches.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let due = match self.sealing {
                Sealing::Never => false,
                Sealing::AfterEveryBatch => true,
                Sealing::AfterEverySecondBatch => number.is_multiple_of(2),
            };
            if due {
                tokio::task::block_in_place(|| self.store.seal_all())
            } else {
                Ok(())
            }
        })
    }
}

impl SpanSource for Sealed {
    fn trace(&self, trace_id: TraceId) -> BoxFuture<'_, Result<Vec<Span>>> {
        self.store.trace(trace_id)
    }

    fn traces<'a>(&'a self, trace_ids: &'a [TraceId]) -> BoxFuture<'a, Result<Vec<Vec<Span>>>> {
        self.store.traces(trace_ids)
    }

    fn search<'a>(&'a self, query: &'a TraceQuery) -> BoxFuture<'a, Result<Found>> {
        self.store.search(query)
    }

    fn untimed(&self, after: Option<TraceId>, limit: usize) -> BoxFuture<'_, Result<Found>> {
        self.store.untimed(after, limit)
    }

    fn service_names(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        self.store.service_names()
    }

    fn span_names<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        self.store.span_names(service_name)
    }

    fn remote_service_names<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        self.store.remote_service_names(service_name)
    }

    fn autocomplete_values<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        self.store.autocomplete_values(key)
    }

    fn dependencies(&self, query: DependencyQuery) -> BoxFuture<'_, Result<Dependencies>> {
        self.store.dependencies(query)
    }

    fn completeness(&self) -> Completeness {
        self.store.completeness()
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        self.store.health()
    }
}

impl LatencySource for Sealed {
    fn latencies<'a>(&'a self, query: &'a LatencyQuery) -> BoxFuture<'a, Result<Latencies>> {
        self.store.latencies(query)
    }

    fn windows<'a>(&'a self, query: &'a WindowQuery) -> BoxFuture<'a, Result<WindowLatencies>> {
        self.store.windows(query)
    }

    fn profiles<'a>(&'a self, query: &'a ProfileQuery) -> BoxFuture<'a, Result<Profiles>> {
        self.store.profiles(query)
    }
}

fn sealed(directory: Arc<tempfile::TempDir>, options: StoreOptions, sealing: Sealing) -> Sealed {
    let config = support::config(directory.path(), options);
    Sealed {
        store: SegmentStore::open(config).expect("a temporary directory can be used"),
        sealing,
        batches: Default::default(),
        _directory: directory,
    }
}

fn open(directory: Arc<tempfile::TempDir>, options: StoreOptions, sealing: Sealing) -> Stores {
    let again = directory.clone();
    let sealed = sealed(directory, options.clone(), sealing);
    let deployments = Arc::clone(&sealed.store) as Arc<dyn storage::DeploymentStore>;
    Stores {
        store: Arc::new(sealed),
        reopen: Some(Box::new(move |store: Arc<dyn Store>| {
            Box::pin(async move {
                assert_eq!(
                    Arc::strong_count(&store),
                    1,
                    "a store is restarted by its last user"
                );
                drop(store);
                open(again, options, sealing)
            })
        })),
        deployments: Some(deployments),
    }
}

async fn keeps_the_contract(sealing: Sealing) {
    let report = contract::run(
        move |options| {
            Box::pin(async move {
                let directory = Arc::new(tempfile::tempdir().expect("a temporary directory"));
                open(directory, options, sealing)
            })
        },
        &[],
    )
    .await;
    assert_eq!(report.not_offered, [""; 0], "the segment store offers everything");
    let open: &(dyn Fn(StoreOptions) -> BoxFuture<'static, Arc<dyn contract::latency::Store>> + Sync) =
        &move |options| {
            Box::pin(async move {
                let directory = Arc::new(tempfile::tempdir().expect("a temporary directory"));
                Arc::new(sealed(directory, options, sealing)) as Arc<dyn contract::latency::Store>
            })
        };
    contract::latency::run(open).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_the_head() {
    keeps_the_contract(Sealing::Never).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_segments() {
    keeps_the_contract(Sealing::AfterEveryBatch).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_head_and_segments() {
    keeps_the_contract(Sealing::AfterEverySecondBatch).await;
}

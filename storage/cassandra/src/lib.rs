//! Zipkin's Cassandra storage, in exactly its tables (`zipkin.md` 8.2): what Zipkin wrote is read, and what is written here
//! Zipkin reads. Cassandra 4.1 and 5.
//!
//! Zipkin's tables find candidates, [`TraceQuery::matches`] decides, so that the same question has the same answer as with
//! every other storage. What the tables cannot tell:
//!
//! - Spans that Zipkin wrote without the name of a service are found only by others of their trace.
//! - Spans that it wrote without a name are not found by the service on the other side, and those with a tag of more than 256
//!   characters not by its key.
//! - Of a trace that has spans in a window, those that meet a condition are looked for from a minute before it to an hour
//!   after it.
//! - What is older than three days no search finds, unless the tables say otherwise: they are created as Zipkin does. An answer
//!   that reaches further back says that it is partial.
//! - What Cassandra leaves out of an index of annotations and tags, because it cannot open a file of it, is left out here.
//!
//! Deployments, reports and objectives are in tables of its own beside those (`records.rs`).
//!
//! It is not: a queue. Spans wait for a cluster that is away in the spool before this store.

mod config;
mod dependencies;
mod error;
mod index;
mod link;
mod names;
mod read;
mod records;
mod rows;
mod scan;
mod schema;
mod search;
mod untimed;
mod walk;
mod write;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{Span, TraceId};
use parking_lot::{Mutex, RwLock};
use scylla::value::CqlTimeuuid;
use storage::{
    BoxFuture, Capabilities, Completeness, Dependencies, DependencyQuery, Found, KnownRecords, Result,
    SpanSource, StorageError, TraceQuery, count_links,
};

pub use crate::config::{CassandraConfig, Clock, Cluster, Tls};
use crate::error::Failure;
use crate::link::Link;
use crate::names::KnownNames;
use crate::rows::Key;

/// Whoever waited for somebody else to connect in vain does not try again at once.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The store. Opened without the cluster: it connects when there is something to do, and again after every failure.
#[derive(Debug)]
pub struct CassandraStore {
    config: CassandraConfig,
    /// Made by the first who needs it, and again when the tables turn out to be others.
    link: RwLock<Option<Arc<Link>>>,
    /// Held by who connects: when that failed last, and why.
    connecting: tokio::sync::Mutex<Option<(Instant, StorageError)>>,
    known_names: KnownNames,
    records: KnownRecords,
    /// The last change of deployments whose records are known to have rows.
    settled: Mutex<Option<CqlTimeuuid>>,
    /// The traces without a timestamp that somebody is being told, page by page.
    untimed: tokio::sync::Mutex<Option<BTreeSet<Key>>>,
}

impl CassandraStore {
    /// A store in a cluster that need not be there yet. Must be used in a runtime.
    pub fn new(config: CassandraConfig) -> Self {
        Self {
            config,
            link: RwLock::default(),
            connecting: tokio::sync::Mutex::default(),
            known_names: KnownNames::default(),
            records: KnownRecords::default(),
            settled: Mutex::default(),
            untimed: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.config.options.strict_trace_id
    }

    pub(crate) fn is_searched(&self) -> bool {
        self.config.options.search_enabled
    }

    /// The connections, which are made where there are none.
    pub(crate) async fn link(&self) -> Result<Arc<Link>> {
        if let Some(link) = self.known_link() {
            return Ok(link);
        }
        let mut failed = self.connecting.lock().await;
        if let Some(link) = self.known_link() {
            return Ok(link);
        }
        if let Some((_, error)) = failed.as_ref().filter(|failed| failed.0.elapsed() < RETRY_AFTER) {
            return Err(error.clone());
        }
        match Link::open(&self.config.cluster, self.is_searched()).await {
            Ok(link) => {
                let link = Arc::new(link);
                // The tables may be others than those that names were written to.
                self.known_names.forget();
                *self.link.write() = Some(Arc::clone(&link));
                *failed = None;
                Ok(link)
            }
            Err(failure) => {
                let error = failure.tell(&self.config.cluster.place());
                *failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    fn known_link(&self) -> Option<Arc<Link>> {
        self.link.read().clone()
    }

    /// An answer, or what its failure means.
    pub(crate) async fn answer<T>(
        &self,
        asked: impl Future<Output = std::result::Result<T, Failure>>,
    ) -> Result<T> {
        asked.await.map_err(|failure| {
            self.learn(&failure);
            failure.tell(&self.config.cluster.place())
        })
    }

    /// Connects and looks at the tables again before the next question, where there is no connection or they are not what they
    /// were.
    pub(crate) fn learn(&self, failure: &Failure) {
        if failure.is_of_schema() || failure.is_unreached() {
            *self.link.write() = None;
        }
    }

    /// Whether a window, in microseconds, reaches further back than the tables that searches go by.
    pub(crate) fn is_beyond_search(&self, link: &Link, (start, _): (u64, u64)) -> bool {
        let oldest = |seconds: u64| (self.config.now)().saturating_sub(seconds * 1000) * 1000;
        link.schema
            .searched_seconds
            .is_some_and(|seconds| start < oldest(seconds))
    }
}

impl SpanSource for CassandraStore {
    fn trace(&self, trace_id: TraceId) -> BoxFuture<'_, Result<Vec<Span>>> {
        Box::pin(async move {
            let traces = self.traces_by_id(std::slice::from_ref(&trace_id)).await?;
            Ok(traces.into_iter().next().unwrap_or_default())
        })
    }

    fn traces<'a>(&'a self, trace_ids: &'a [TraceId]) -> BoxFuture<'a, Result<Vec<Vec<Span>>>> {
        Box::pin(self.traces_by_id(trace_ids))
    }

    fn search<'a>(&'a self, query: &'a TraceQuery) -> BoxFuture<'a, Result<Found>> {
        Box::pin(async move {
            if !self.is_searched() {
                return Ok(Found::default());
            }
            let link = self.link().await?;
            let mut found = self.answer(self.find(&link, query)).await?;
            if self.is_beyond_search(&link, query.window()) {
                let reason =
                    "what was written longer ago than Cassandra's tables keep it for searches is not found";
                found.completeness = found.completeness.and(Completeness::Partial(reason.to_owned()));
            }
            Ok(found)
        })
    }

    fn untimed(&self, after: Option<TraceId>, limit: usize) -> BoxFuture<'_, Result<Found>> {
        Box::pin(async move {
            let link = self.link().await?;
            self.answer(self.find_untimed(&link, after, limit)).await
        })
    }

    fn service_names(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        Box::pin(async move {
            if !self.is_searched() {
                return Ok(Vec::new());
            }
            self.list_services().await
        })
    }

    fn span_names<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(async move {
            if !self.is_searched() {
                return Ok(Vec::new());
            }
            self.list_span_names(service_name).await
        })
    }

    fn remote_service_names<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(async move {
            if !self.is_searched() {
                return Ok(Vec::new());
            }
            self.list_remote_services(service_name).await
        })
    }

    fn autocomplete_values<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(async move {
            let mut keys = self.config.options.autocomplete_keys.iter();
            if !self.is_searched() || !keys.any(|known| known == key) {
                return Ok(Vec::new());
            }
            self.list_values(key).await
        })
    }

    fn dependencies(&self, query: DependencyQuery) -> BoxFuture<'_, Result<Dependencies>> {
        Box::pin(async move {
            let link = self.link().await?;
            let daily = self.answer(self.daily_links(&link, query.window())).await?;
            count_links(self, query, &daily).await
        })
    }

    fn completeness(&self) -> Completeness {
        Completeness::Complete
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            raw_spans: true,
            durable: true,
            orders: true,
        }
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let link = self.link().await?;
            self.answer(link.ping()).await
        })
    }
}

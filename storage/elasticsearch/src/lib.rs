//! Zipkin's Elasticsearch storage, in exactly its indexes (`zipkin.md` 8.3): what Zipkin wrote is read, and what is
//! written here Zipkin reads. Elasticsearch 7 to 9, OpenSearch 1 to 3.
//!
//! A document is a span. Zipkin's indexes find candidates, [`TraceQuery::matches`] decides, so that the same question has
//! the same answer as with every other storage. What is written is found by searches once its index was refreshed: whoever
//! asks after this server has written has that done first.
//!
//! Deployments, reports and objectives are in an index of its own beside those (`records.rs`).
//!
//! It is not: a queue. Spans wait for a cluster that is away in the spool before this store.

mod client;
mod conditions;
mod config;
mod dependencies;
mod documents;
mod indexes;
mod login;
mod names;
mod read;
mod ready;
mod records;
mod scan;
mod search;
mod slices;
mod templates;
mod terms;
mod untimed;
mod write;

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use model::{Span, TraceId};
use reqwest::Method;
use serde::Deserialize;
use storage::{
    BoxFuture, Capabilities, Completeness, Dependencies, DependencyQuery, Found, KnownRecords, Result,
    SpanSource, StorageError, TraceQuery, count_links,
};

use crate::client::Client;
pub use crate::config::{Clock, Cluster, ElasticsearchConfig, Login, Trust};
use crate::indexes::{Contents, Names};
use crate::names::Suggestions;
use crate::read::LENIENT;

/// The store. Opened without the cluster: it connects when there is something to do, and again after every failure.
#[derive(Debug)]
pub struct ElasticsearchStore {
    config: ElasticsearchConfig,
    client: Client,
    names: Names,
    /// Whether the cluster is known to be one that is spoken to, with the templates that were asked for.
    is_ready: AtomicBool,
    /// Held by who makes it so.
    readying: tokio::sync::Mutex<()>,
    /// How often something was written, and of these how many the indexes were refreshed after.
    writes: AtomicU64,
    refreshed: tokio::sync::Mutex<u64>,
    suggestions: Suggestions,
    records: KnownRecords,
    record_index: String,
    /// The last change whose records are known to have documents.
    settled: AtomicI64,
}

#[derive(Deserialize)]
struct ClusterHealth {
    status: String,
}

impl ElasticsearchStore {
    /// A store in a cluster that need not be there yet. Must be called in a runtime.
    ///
    /// # Errors
    /// [`StorageError::Invalid`] where the configuration makes no client, such as authorities that cannot be read.
    pub fn new(config: ElasticsearchConfig) -> Result<Self> {
        Ok(Self {
            client: Client::new(&config.cluster)?,
            names: Names::new(&config.cluster.index, config.cluster.date_separator),
            is_ready: AtomicBool::new(false),
            readying: tokio::sync::Mutex::default(),
            // What it wrote before it was started is found as well.
            writes: AtomicU64::new(1),
            refreshed: tokio::sync::Mutex::default(),
            suggestions: Suggestions::default(),
            records: KnownRecords::default(),
            record_index: format!("tracehound_{}", config.cluster.index),
            settled: AtomicI64::new(0),
            config,
        })
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.config.options.strict_trace_id
    }

    pub(crate) fn is_searched(&self) -> bool {
        self.config.options.search_enabled
    }

    /// What this server has written is found by searches after this.
    pub(crate) async fn fresh(&self) -> Result<()> {
        self.ready().await?;
        let mut refreshed = self.refreshed.lock().await;
        let writes = self.writes.load(Ordering::SeqCst);
        if *refreshed == writes {
            return Ok(());
        }
        let indexes = [Contents::Spans, Contents::Autocomplete].map(|contents| self.names.all(contents));
        let path = format!("/{}/_refresh?{LENIENT}", indexes.join(","));
        self.client.send(Method::POST, &path, None).await?.accepted()?;
        *refreshed = writes;
        Ok(())
    }

    async fn check_health(&self) -> Result<()> {
        self.ready().await?;
        let path = format!("/_cluster/health/{}", self.names.all(Contents::Spans));
        let health: ClusterHealth = self.client.ask(Method::GET, &path, None).await?;
        match health.status.as_str() {
            "red" => Err(StorageError::Unavailable(
                "Elasticsearch: the indexes of spans are red: some shards are not there".to_owned(),
            )),
            _ => Ok(()),
        }
    }
}

impl SpanSource for ElasticsearchStore {
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
            self.find(query).await
        })
    }

    fn untimed(&self, after: Option<TraceId>, limit: usize) -> BoxFuture<'_, Result<Found>> {
        Box::pin(self.find_untimed(after, limit))
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
            let daily = self.daily_links(query.window()).await?;
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
        Box::pin(self.check_health())
    }
}

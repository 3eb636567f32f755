//! Zipkin's MySQL storage, in exactly its tables (`zipkin.md` 8.1): what Zipkin wrote is read, and what is written here
//! Zipkin reads. MySQL 8 and MariaDB.
//!
//! Zipkin's tables hold v1 spans (`rows.rs`). They find candidates, [`TraceQuery::matches`] decides, so that the same
//! question has the same answer as with every other storage. What the tables cannot tell:
//!
//! - All reports on one span share a row: its name, parent, duration and `debug` are one for all of them, and of the
//!   begin of a server's half only the annotation `sr` tells, by which no window finds it.
//! - Names, keys and annotations end after 255 characters, values of tags after 65,535 bytes.
//!
//! Deployments, reports and objectives are in tables of its own beside those (`records.rs`).
//!
//! It is not: a queue. Spans wait for a server that is away in the spool before this store.

mod candidates;
mod conditions;
mod config;
mod dependencies;
mod error;
mod in_time;
mod names;
mod read;
mod records;
mod rows;
mod scan;
mod schema;
mod search;
mod untimed;
mod write;

use std::sync::Arc;
use std::time::Duration;

use model::{Span, TraceId};
use parking_lot::RwLock;
use sqlx::{Connection, MySqlPool};
use storage::{
    BoxFuture, Capabilities, Completeness, Dependencies, DependencyQuery, Found, KnownRecords, Result,
    SpanSource, StorageError, TraceQuery, count_links,
};

pub use crate::config::{Clock, MySqlConfig, MySqlServer, Tls};
use crate::in_time::InTime;
use crate::schema::Schema;

/// How long it may take to find out why there is no connection.
const REASON_TIMEOUT: Duration = Duration::from_secs(2);

/// The store. Opened without the server: it connects when there is something to do, and again after every failure.
#[derive(Debug)]
pub struct MySqlStore {
    config: MySqlConfig,
    pool: MySqlPool,
    /// Looked at by the first who needs it, and again when it turns out to be another.
    schema: RwLock<Option<Arc<Schema>>>,
    /// Held by who looks.
    looking: tokio::sync::Mutex<()>,
    records: KnownRecords,
}

impl MySqlStore {
    /// A store on a server that need not be there yet. Must be called in a runtime.
    pub fn new(config: MySqlConfig) -> Self {
        Self {
            pool: config.server.pool(),
            schema: RwLock::default(),
            looking: tokio::sync::Mutex::default(),
            records: KnownRecords::default(),
            config,
        }
    }

    /// Closes the connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    pub(crate) fn pool(&self) -> &MySqlPool {
        &self.pool
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.config.options.strict_trace_id
    }

    pub(crate) fn is_searched(&self) -> bool {
        self.config.options.search_enabled
    }

    /// What is known of the tables, which are created where that is asked for.
    pub(crate) async fn schema(&self) -> Result<Arc<Schema>> {
        if let Some(schema) = self.known_schema() {
            return Ok(schema);
        }
        let _looking = self.looking.lock().await;
        if let Some(schema) = self.known_schema() {
            return Ok(schema);
        }
        let schema = match self.look_at_schema().await {
            Ok(Some(schema)) => Arc::new(schema),
            Ok(None) => return Err(schema::missing(&self.config.server.place())),
            Err(error) => return Err(self.tell(error).await),
        };
        tracing::info!(
            ?schema,
            place = self.config.server.place(),
            "found Zipkin's tables"
        );
        *self.schema.write() = Some(Arc::clone(&schema));
        Ok(schema)
    }

    fn known_schema(&self) -> Option<Arc<Schema>> {
        self.schema.read().clone()
    }

    async fn look_at_schema(&self) -> sqlx::Result<Option<Schema>> {
        let mut connection = self.pool.acquire().await?;
        if self.config.server.ensure_schema {
            Schema::create(&mut connection).await?;
        }
        Schema::probe(&mut connection).await
    }

    /// What an error means, with its reason.
    pub(crate) async fn tell(&self, error: sqlx::Error) -> StorageError {
        if error::is_of_schema(&error) {
            *self.schema.write() = None;
        }
        let place = self.config.server.place();
        if !matches!(error, sqlx::Error::PoolTimedOut) {
            return error::tell(&error, &place);
        }
        match tokio::time::timeout(REASON_TIMEOUT, self.config.server.try_connection()).await {
            Ok(Err(reason)) => error::tell(&reason, &place),
            Ok(Ok(())) => error::tell(&error, &place),
            Err(_) => StorageError::Unavailable(format!(
                "MySQL at {place} cannot be reached: no answer within {} s",
                REASON_TIMEOUT.as_secs()
            )),
        }
    }

    /// An answer, or what its error means.
    pub(crate) async fn answer<T>(&self, asked: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
        match asked.await {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.tell(error).await),
        }
    }

    async fn ping(&self) -> sqlx::Result<()> {
        self.pool.acquire().await?.ping().in_time().await
    }
}

impl SpanSource for MySqlStore {
    fn trace(&self, trace_id: TraceId) -> BoxFuture<'_, Result<Vec<Span>>> {
        Box::pin(async move {
            let traces = self.traces(std::slice::from_ref(&trace_id)).await?;
            Ok(traces.into_iter().next().unwrap_or_default())
        })
    }

    fn traces<'a>(&'a self, trace_ids: &'a [TraceId]) -> BoxFuture<'a, Result<Vec<Vec<Span>>>> {
        Box::pin(async move {
            let schema = self.schema().await?;
            self.answer(self.traces_by_id(trace_ids, &schema)).await
        })
    }

    fn search<'a>(&'a self, query: &'a TraceQuery) -> BoxFuture<'a, Result<Found>> {
        Box::pin(async move {
            if !self.is_searched() {
                return Ok(Found::default());
            }
            let schema = self.schema().await?;
            self.answer(self.find(query, &schema)).await
        })
    }

    fn untimed(&self, after: Option<TraceId>, limit: usize) -> BoxFuture<'_, Result<Found>> {
        Box::pin(async move {
            let schema = self.schema().await?;
            self.answer(self.find_untimed(after, limit, &schema)).await
        })
    }

    fn service_names(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        Box::pin(async move {
            if !self.is_searched() {
                return Ok(Vec::new());
            }
            self.schema().await?;
            self.answer(self.list_services()).await
        })
    }

    fn span_names<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(async move {
            if !self.is_searched() {
                return Ok(Vec::new());
            }
            let schema = self.schema().await?;
            self.answer(self.list_span_names(service_name, &schema)).await
        })
    }

    fn remote_service_names<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(async move {
            if !self.is_searched() {
                return Ok(Vec::new());
            }
            let schema = self.schema().await?;
            self.answer(self.list_remote_services(service_name, &schema))
                .await
        })
    }

    fn autocomplete_values<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(async move {
            let is_known = self
                .config
                .options
                .autocomplete_keys
                .iter()
                .any(|known| known == key);
            if !self.is_searched() || !is_known {
                return Ok(Vec::new());
            }
            let schema = self.schema().await?;
            self.answer(self.list_values(key, &schema)).await
        })
    }

    fn dependencies(&self, query: DependencyQuery) -> BoxFuture<'_, Result<Dependencies>> {
        Box::pin(async move {
            let schema = self.schema().await?;
            let daily = self.answer(self.daily_links(query.window(), &schema)).await?;
            count_links(self, query, &daily).await
        })
    }

    fn completeness(&self) -> Completeness {
        Completeness::Complete
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            raw_spans: false,
            durable: true,
            orders: true,
        }
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.schema().await?;
            self.answer(self.ping()).await
        })
    }
}

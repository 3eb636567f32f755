//! The store under test as cases speak to it: errors are failures, and what has no order is sorted.

use std::sync::Arc;

use model::{DependencyLink, Deployment, Slo, Span, SpanBatch, TraceId};

use super::fixtures::sorted;
use super::{Reopen, Store, Stores};
use crate::{
    Completeness, DependencyQuery, DeploymentPatch, DeploymentQuery, DeploymentStore, History, Patched, Put,
    Result, TraceQueryBuilder,
};

/// A fresh store, or one that was reopened.
pub(super) struct Subject {
    store: Arc<dyn Store>,
    reopen: Option<Reopen>,
    deployments: Option<Arc<dyn DeploymentStore>>,
}

impl Subject {
    pub(super) fn new(stores: Stores) -> Self {
        Self {
            store: stores.store,
            reopen: stores.reopen,
            deployments: stores.deployments,
        }
    }

    /// For cases that share the store between tasks.
    pub(super) fn share(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            reopen: None,
            deployments: self.deployments.clone(),
        }
    }

    /// Stops the store and opens what it left behind.
    pub(super) async fn restart(self) -> Self {
        let Some(reopen) = self.reopen else {
            panic!("only a durable store is restarted")
        };
        drop(self.deployments);
        Self::new(reopen(self.store).await)
    }

    /// Stores spans in one batch.
    pub(super) async fn accept(&self, spans: &[Span]) {
        let mut batch = SpanBatch::new();
        spans.iter().for_each(|span| batch.push_span(span));
        self.store
            .accept(&batch)
            .await
            .unwrap_or_else(|error| panic!("accept: {error}"));
    }

    /// The spans of a trace, sorted.
    pub(super) async fn trace(&self, trace_id: TraceId) -> Vec<Span> {
        sorted(
            self.store
                .trace(trace_id)
                .await
                .unwrap_or_else(|error| panic!("trace {trace_id}: {error}")),
        )
    }

    /// Traces by identifier, sorted by that of their first span.
    pub(super) async fn traces(&self, trace_ids: &[TraceId]) -> Vec<Vec<Span>> {
        let traces = self
            .store
            .traces(trace_ids)
            .await
            .unwrap_or_else(|error| panic!("traces: {error}"));
        let mut traces: Vec<_> = traces.into_iter().map(sorted).collect();
        traces.sort_by_key(|trace| trace.first().map(|span| span.trace_id));
        traces
    }

    /// The traces a search finds, in its order, each sorted.
    pub(super) async fn search(&self, query: TraceQueryBuilder) -> Vec<Vec<Span>> {
        let query = query
            .build()
            .unwrap_or_else(|error| panic!("a case asks a wrong question: {error}"));
        let found = self
            .store
            .search(&query)
            .await
            .unwrap_or_else(|error| panic!("search: {error}"));
        found.traces.into_iter().map(sorted).collect()
    }

    /// A page of traces without a timestamp, each sorted.
    pub(super) async fn untimed(&self, after: Option<TraceId>, limit: usize) -> Vec<Vec<Span>> {
        let found = self.store.untimed(after, limit).await;
        let found = found.unwrap_or_else(|error| panic!("untimed: {error}"));
        assert_eq!(found.completeness, Completeness::Complete, "untimed");
        found.traces.into_iter().map(sorted).collect()
    }

    /// The identifiers of the traces a search finds, in its order.
    pub(super) async fn found(&self, query: TraceQueryBuilder) -> Vec<TraceId> {
        let traces = self.search(query).await;
        traces
            .iter()
            .map(|trace| {
                trace
                    .first()
                    .unwrap_or_else(|| panic!("a trace without spans was found"))
                    .trace_id
            })
            .collect()
    }

    pub(super) async fn service_names(&self) -> Vec<String> {
        self.store
            .service_names()
            .await
            .unwrap_or_else(|error| panic!("service names: {error}"))
    }

    pub(super) async fn span_names(&self, service_name: &str) -> Vec<String> {
        self.store
            .span_names(service_name)
            .await
            .unwrap_or_else(|error| panic!("span names: {error}"))
    }

    pub(super) async fn remote_service_names(&self, service_name: &str) -> Vec<String> {
        let names = self.store.remote_service_names(service_name).await;
        names.unwrap_or_else(|error| panic!("remote service names: {error}"))
    }

    pub(super) async fn autocomplete_values(&self, key: &str) -> Vec<String> {
        let values = self.store.autocomplete_values(key).await;
        values.unwrap_or_else(|error| panic!("autocomplete values: {error}"))
    }

    /// The links of a window that ends at `end_ts`, both in milliseconds; sorted. No case leaves a reason to leave out
    /// a trace.
    pub(super) async fn links(&self, end_ts: u64, lookback: u64) -> Vec<DependencyLink> {
        let query = DependencyQuery::new(end_ts as i64, lookback as i64)
            .unwrap_or_else(|error| panic!("a case asks a wrong question: {error}"));
        let found = self.store.dependencies(query).await;
        let mut found = found.unwrap_or_else(|error| panic!("dependencies: {error}"));
        assert_eq!(found.completeness, Completeness::Complete, "dependencies");
        found.links.sort();
        found.links
    }

    fn deployment_store(&self) -> &dyn DeploymentStore {
        let Some(deployments) = &self.deployments else {
            panic!("the case needs a store that keeps deployments")
        };
        deployments.as_ref()
    }

    pub(super) async fn try_put(&self, deployment: Deployment) -> Result<Put> {
        self.deployment_store().put_deployment(deployment).await
    }

    pub(super) async fn put(&self, deployment: Deployment) -> Put {
        succeed(self.try_put(deployment).await)
    }

    pub(super) async fn try_patch(&self, id: &str, patch: DeploymentPatch) -> Result<Patched> {
        self.deployment_store().patch_deployment(id, patch).await
    }

    pub(super) async fn patch(&self, id: &str, patch: DeploymentPatch) -> Patched {
        succeed(self.try_patch(id, patch).await)
    }

    pub(super) async fn deployment(&self, id: &str) -> Option<Arc<Deployment>> {
        succeed(self.deployment_store().deployment(id).await)
    }

    pub(super) async fn list(&self, query: DeploymentQuery) -> Vec<Arc<Deployment>> {
        succeed(self.deployment_store().deployments(&query).await)
    }

    pub(super) async fn history(&self, service_name: &str) -> History {
        succeed(self.deployment_store().history(service_name).await)
    }

    pub(super) async fn delete(&self, id: &str) -> bool {
        succeed(self.deployment_store().delete_deployment(id).await)
    }

    pub(super) async fn put_report(&self, id: &str, report: &[u8]) -> bool {
        succeed(self.deployment_store().put_report(id, report.to_vec()).await)
    }

    pub(super) async fn report(&self, id: &str) -> Option<Vec<u8>> {
        succeed(self.deployment_store().report(id).await)
    }

    pub(super) async fn put_slo(&self, slo: Slo) -> bool {
        succeed(self.deployment_store().put_slo(slo).await)
    }

    pub(super) async fn slo(&self, name: &str) -> Option<Slo> {
        succeed(self.deployment_store().slo(name).await)
    }

    pub(super) async fn slos(&self) -> Vec<Slo> {
        succeed(self.deployment_store().slos().await)
    }

    pub(super) async fn delete_slo(&self, name: &str) -> bool {
        succeed(self.deployment_store().delete_slo(name).await)
    }
}

#[track_caller]
fn succeed<T>(done: Result<T>) -> T {
    done.unwrap_or_else(|error| panic!("deployments: {error}"))
}

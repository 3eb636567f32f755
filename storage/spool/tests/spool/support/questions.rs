//! The questions of a backend, which are those of its memory store while it is there.

use std::sync::Arc;

use model::{Span, TraceId};
use storage::{
    BoxFuture, Capabilities, Completeness, Dependencies, DependencyQuery, Found, Result, SpanSource,
    TraceQuery,
};

use super::Backend;

pub(crate) struct Questions(pub(crate) Arc<Backend>);

impl SpanSource for Questions {
    fn trace(&self, trace_id: TraceId) -> BoxFuture<'_, Result<Vec<Span>>> {
        self.0.store.trace(trace_id)
    }

    fn traces<'a>(&'a self, trace_ids: &'a [TraceId]) -> BoxFuture<'a, Result<Vec<Vec<Span>>>> {
        self.0.store.traces(trace_ids)
    }

    fn search<'a>(&'a self, query: &'a TraceQuery) -> BoxFuture<'a, Result<Found>> {
        self.0.store.search(query)
    }

    fn untimed(&self, after: Option<TraceId>, limit: usize) -> BoxFuture<'_, Result<Found>> {
        self.0.store.untimed(after, limit)
    }

    fn service_names(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        self.0.store.service_names()
    }

    fn span_names<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        self.0.store.span_names(service_name)
    }

    fn remote_service_names<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        self.0.store.remote_service_names(service_name)
    }

    fn autocomplete_values<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        self.0.store.autocomplete_values(key)
    }

    fn dependencies(&self, query: DependencyQuery) -> BoxFuture<'_, Result<Dependencies>> {
        self.0.store.dependencies(query)
    }

    fn completeness(&self) -> Completeness {
        self.0.store.completeness()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.store.capabilities()
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        let failure = self.0.failure.borrow().clone();
        Box::pin(std::future::ready(failure.map_or(Ok(()), Err)))
    }
}

//! What a request asks of the store, as children of its span, in the words of Zipkin's server.

use std::sync::Arc;
use std::time::Duration;

use model::{Span, SpanBatch, TraceId};
use storage::{
    BoxFuture, Capabilities, Completeness, Dependencies, DependencyQuery, Found, Result, SpanSink,
    SpanSource, TraceQuery,
};

use super::span::{CURRENT, OpenSpan};

/// Records what a store is asked; asks the store itself and answers what it answers.
pub(crate) struct TracedSource(Arc<dyn SpanSource>);

/// The same of what it is given.
pub(crate) struct TracedSink(Arc<dyn SpanSink>);

impl TracedSource {
    pub(crate) fn new(source: Arc<dyn SpanSource>) -> Self {
        Self(source)
    }
}

impl TracedSink {
    pub(crate) fn new(sink: Arc<dyn SpanSink>) -> Self {
        Self(sink)
    }
}

/// Where the task's request is not traced, the call goes on as it is.
fn traced<'a, T: 'a>(name: &str, call: BoxFuture<'a, Result<T>>) -> BoxFuture<'a, Result<T>> {
    let Ok(mut span) = CURRENT.try_with(|parent| OpenSpan::child(parent, name)) else {
        return call;
    };
    Box::pin(async move {
        let outcome = call.await;
        if let Err(error) = &outcome {
            span.tag("error", error.to_string());
        }
        span.finish();
        outcome
    })
}

impl SpanSink for TracedSink {
    fn accept<'a>(&'a self, batch: &'a SpanBatch) -> BoxFuture<'a, Result<()>> {
        traced("accept-spans", self.0.accept(batch))
    }

    fn check_room(&self) -> Result<Duration> {
        self.0.check_room()
    }
}

impl SpanSource for TracedSource {
    fn trace(&self, trace_id: TraceId) -> BoxFuture<'_, Result<Vec<Span>>> {
        traced("get-trace", self.0.trace(trace_id))
    }

    fn traces<'a>(&'a self, trace_ids: &'a [TraceId]) -> BoxFuture<'a, Result<Vec<Vec<Span>>>> {
        traced("get-traces", self.0.traces(trace_ids))
    }

    fn search<'a>(&'a self, query: &'a TraceQuery) -> BoxFuture<'a, Result<Found>> {
        traced("get-traces", self.0.search(query))
    }

    fn untimed(&self, after: Option<TraceId>, limit: usize) -> BoxFuture<'_, Result<Found>> {
        traced("get-traces", self.0.untimed(after, limit))
    }

    fn service_names(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        traced("get-service-names", self.0.service_names())
    }

    fn span_names<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        traced("get-span-names", self.0.span_names(service_name))
    }

    fn remote_service_names<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        traced(
            "get-remote-service-names",
            self.0.remote_service_names(service_name),
        )
    }

    fn autocomplete_values<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        traced("get-values", self.0.autocomplete_values(key))
    }

    fn dependencies(&self, query: DependencyQuery) -> BoxFuture<'_, Result<Dependencies>> {
        traced("get-dependencies", self.0.dependencies(query))
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

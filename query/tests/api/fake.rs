//! A store that answers the same to everything: with spans, late, or not at all.

use std::time::Duration;

use model::{Span, SpanId, TraceId};
use storage::{
    BoxFuture, Capabilities, Completeness, Dependencies, DependencyQuery, Found, Result, SpanSource,
    StorageError, TraceQuery,
};

/// See the head of this file. The default answers at once that there is nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fake {
    pub(crate) traces: Vec<Vec<Span>>,
    /// Of answers that tell it themselves.
    pub(crate) completeness: Completeness,
    /// Of the store as a whole.
    pub(crate) store_completeness: Completeness,
    pub(crate) delay: Duration,
    pub(crate) failure: Option<StorageError>,
    pub(crate) capabilities: Capabilities,
}

impl Fake {
    pub(crate) fn failing(failure: StorageError) -> Self {
        Self {
            failure: Some(failure),
            ..Self::default()
        }
    }

    fn answer<'a, T: Send + 'a>(&'a self, answer: T) -> BoxFuture<'a, Result<T>> {
        Box::pin(async move {
            if !self.delay.is_zero() {
                tokio::time::sleep(self.delay).await;
            }
            match &self.failure {
                Some(failure) => Err(failure.clone()),
                None => Ok(answer),
            }
        })
    }
}

impl SpanSource for Fake {
    fn trace(&self, _: TraceId) -> BoxFuture<'_, Result<Vec<Span>>> {
        self.answer(self.traces.first().cloned().unwrap_or_default())
    }

    fn traces<'a>(&'a self, _: &'a [TraceId]) -> BoxFuture<'a, Result<Vec<Vec<Span>>>> {
        self.answer(self.traces.clone())
    }

    fn search<'a>(&'a self, _: &'a TraceQuery) -> BoxFuture<'a, Result<Found>> {
        self.answer(Found {
            traces: self.traces.clone(),
            completeness: self.completeness.clone(),
        })
    }

    fn untimed(&self, _: Option<TraceId>, _: usize) -> BoxFuture<'_, Result<Found>> {
        self.answer(Found {
            traces: self.traces.clone(),
            completeness: self.completeness.clone(),
        })
    }

    fn service_names(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        self.answer(Vec::new())
    }

    fn span_names<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        self.answer(Vec::new())
    }

    fn remote_service_names<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        self.answer(Vec::new())
    }

    fn autocomplete_values<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        self.answer(Vec::new())
    }

    fn dependencies(&self, _: DependencyQuery) -> BoxFuture<'_, Result<Dependencies>> {
        self.answer(Dependencies {
            links: Vec::new(),
            completeness: self.completeness.clone(),
        })
    }

    fn completeness(&self) -> Completeness {
        self.store_completeness.clone()
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        self.answer(())
    }
}

/// A span with nothing but identifiers and a name.
pub(crate) fn span(trace_id: u64, id: u64, name: &str) -> Span {
    Span {
        trace_id: TraceId::new(0, trace_id).expect("not zero"),
        parent_id: None,
        id: SpanId::new(id),
        kind: None,
        name: Some(name.to_owned()),
        timestamp: None,
        duration: None,
        local_endpoint: None,
        remote_endpoint: None,
        annotations: Vec::new(),
        tags: Vec::new(),
        debug: false,
        shared: false,
    }
}

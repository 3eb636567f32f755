//! A trace as it is looked at: one row an operation, clocks corrected, in the order in which a timeline shows them, with
//! what each took by itself and what the request waited for.
//!
//! Read in this order: `sides` joins the spans of a trace and finds out whose clock differs (`skew`); `rows` makes one
//! row of the sides of an operation and puts the rows into order; `columns` is what is answered, a list a field, so that
//! a trace of 100,000 spans is a few megabytes; `upload` reads traces that are not stored. What is done is O(n log n) in
//! the spans, and nothing recurses.

use std::sync::Arc;

use bytes::Bytes;
use model::{Span, TraceId};
use serde::Serialize;
use storage::StorageError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Query;
use crate::answer::{Answer, Failure};
use crate::params::{self, Params};

mod columns;
pub(crate) mod http;
mod rows;
mod sides;
mod skew;
mod upload;

pub(crate) use columns::{RowSpans, TraceView};
pub use upload::UploadLimits;

/// Rows beyond this many are left out, those that come last.
const ROWS_MAX: usize = 1_000_000;

/// How many views are made at a time; others wait. Of 100,000 spans one takes some tenths of a second.
const MADE_AT_ONCE: usize = 2;

/// How many traces that are not stored are read at a time; more are refused.
const UPLOADED_AT_ONCE: usize = 4;

/// What bounds work on traces that is done beside the runtime's workers.
#[derive(Debug)]
pub(crate) struct Turns {
    making: Arc<Semaphore>,
    uploading: Arc<Semaphore>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            making: Arc::new(Semaphore::new(MADE_AT_ONCE)),
            uploading: Arc::new(Semaphore::new(UPLOADED_AT_ONCE)),
        }
    }
}

impl Turns {
    /// Until it is dropped, the memory of one more body may be used.
    fn uploading(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let turn = Arc::clone(&self.uploading).try_acquire_owned();
        turn.map_err(|_| {
            let what = format!("{UPLOADED_AT_ONCE} traces are being read already");
            Failure::Storage(StorageError::Overloaded(what))
        })
    }

    /// Works where it holds nobody up, once it is its turn.
    pub(crate) async fn make<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let turn = Arc::clone(&self.making).acquire_owned().await;
        let work = move || {
            // Held until the work is done, even if nobody waits for it any more.
            let _turn = turn;
            work()
        };
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}

impl Query {
    /// `/traceView/{id}`; the identifier as it stands in the path, still escaped.
    pub(crate) async fn trace_view(&self, escaped_id: &str) -> Result<Answer, Failure> {
        let spans = self.spans_of(escaped_id).await?;
        let version_tags = self.config.version_tags.clone();
        let view = move || Ok(written(&columns::view(&spans, &version_tags, ROWS_MAX)));
        let json = self.turns.make(view).await?;
        Ok(Answer::written(json))
    }

    /// `/traceView/{id}/{span id}`: the spans of one row, as they are stored.
    pub(crate) async fn trace_view_spans(
        &self,
        escaped_id: &str,
        escaped_span_id: &str,
    ) -> Result<Answer, Failure> {
        let span_id = params::span_id(escaped_span_id)?;
        let spans = self.spans_of(escaped_id).await?;
        let found = move || match columns::row_spans(&spans, span_id) {
            Some(found) => Ok(written(&found)),
            None => Err(Failure::SpanNotFound(span_id)),
        };
        let json = self.turns.make(found).await?;
        Ok(Answer::written(json))
    }

    /// `POST /traceView`: the view of a trace that is not stored, of a body as it came.
    pub(crate) async fn trace_view_of(
        &self,
        body: upload::Upload,
        params: &Params<'_>,
    ) -> Result<Answer, Failure> {
        let wanted = params.get("traceId").filter(|text| !text.is_empty());
        let wanted = wanted.map(TraceId::parse).transpose()?;
        let version_tags = self.config.version_tags.clone();
        let inflated_bytes_max = self.config.upload.inflated_bytes_max;
        let view = move || {
            let traces = body.read(wanted, inflated_bytes_max)?;
            let mut view = columns::view(&traces.chosen, &version_tags, ROWS_MAX);
            view.trace_ids = Some(traces.ids.iter().map(TraceId::to_string).collect());
            view.trace_count = Some(traces.count);
            Ok((written(&view), traces.completeness))
        };
        let (json, completeness) = self.turns.make(view).await?;
        Ok(Answer::written(json).with_completeness(completeness))
    }

    async fn spans_of(&self, escaped_id: &str) -> Result<Vec<Span>, Failure> {
        let trace_id = params::trace_id(escaped_id)?;
        let spans = self.source.trace(trace_id).await?;
        if spans.is_empty() {
            return Err(Failure::NotFound(trace_id));
        }
        Ok(spans)
    }
}

fn written(value: &impl Serialize) -> Bytes {
    let json = serde_json::to_vec(value).expect("views are strings, numbers and lists of them");
    Bytes::from(json)
}

#[cfg(test)]
mod tests;

//! What an endpoint hands back: an answer, or why there is none.

use std::time::Duration;

use bytes::Bytes;
use model::{IdError, SpanId, TraceId};
use serde::Serialize;
use storage::{Completeness, QueryError, SpanSource, StorageError};

use crate::span_json::SpanJson;

/// JSON for a client, and what it should know about it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) body: Body,
    /// Whether the client may keep it for [`crate::QueryConfig::names_max_age_s`].
    pub(crate) cacheable: bool,
    pub(crate) completeness: Completeness,
    /// The parameters of the next page, where there is one.
    pub(crate) next: Option<String>,
}

/// The JSON itself.
#[derive(Debug)]
pub(crate) enum Body {
    /// Small: written already.
    Whole(Vec<u8>),
    /// Long, and written already where that held nobody up.
    Written(Bytes),
    /// Spans, written while they are sent.
    Spans(SpanJson),
}

impl Answer {
    /// A value of ours, complete and not to be cached.
    pub(crate) fn json(value: &impl Serialize) -> Self {
        let json = serde_json::to_vec(value).expect("answers are strings, numbers and lists of them");
        Self {
            body: Body::Whole(json),
            cacheable: false,
            completeness: Completeness::Complete,
            next: None,
        }
    }

    /// Written already.
    pub(crate) fn written(json: Bytes) -> Self {
        Self {
            body: Body::Written(json),
            cacheable: false,
            completeness: Completeness::Complete,
            next: None,
        }
    }

    /// Spans as they were reported.
    pub(crate) fn spans(spans: SpanJson, completeness: Completeness) -> Self {
        Self {
            body: Body::Spans(spans),
            cacheable: false,
            completeness,
            next: None,
        }
    }

    /// What an answer does not say of itself, its source does.
    pub(crate) fn with_completeness_of(self, source: &dyn SpanSource) -> Self {
        match self.completeness {
            Completeness::Complete => self.with_completeness(source.completeness()),
            Completeness::Partial(_) => self,
        }
    }

    pub(crate) fn with_completeness(self, completeness: Completeness) -> Self {
        Self { completeness, ..self }
    }

    pub(crate) fn with_next(self, next: Option<String>) -> Self {
        Self { next, ..self }
    }

    pub(crate) fn with_cacheable(self, cacheable: bool) -> Self {
        Self { cacheable, ..self }
    }
}

/// Why searches find nothing when `SEARCH_ENABLED` is false.
pub(crate) fn search_disabled() -> Completeness {
    Completeness::Partial("search is disabled (SEARCH_ENABLED)".to_owned())
}

/// Why there is no answer. `Display` is what the client reads, in Zipkin's words where Zipkin has any
/// (`zipkin.md` 2.3).
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The request is wrong.
    #[error("{0}")]
    Invalid(String),
    /// There is no such trace.
    #[error("{0} not found")]
    NotFound(TraceId),
    /// The trace has no such span.
    #[error("{0} not found")]
    SpanNotFound(SpanId),
    /// A body is beyond its bound.
    #[error("{0}")]
    TooLarge(String),
    /// A body did not come in time.
    #[error("the body did not arrive within {} ms", .0.as_millis())]
    TooSlow(Duration),
    /// The store did not answer in time.
    #[error("no answer within {0:?} (QUERY_TIMEOUT)")]
    TimedOut(Duration),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<IdError> for Failure {
    fn from(error: IdError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        Self::Invalid(error.to_string())
    }
}

//! Whole traces out of Zipkin's tables.

use std::collections::{BTreeMap, HashSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use model::{IdError, Span, TraceId};
use storage::Result;

use crate::CassandraStore;
use crate::error::Failure;
use crate::link::Link;
use crate::rows;
use crate::rows::{Key, SELECT_SPANS, SpanRow, trace_key};

/// Traces that are read beside each other.
const TRACES_AT_ONCE: usize = 32;

impl CassandraStore {
    pub(crate) fn key(&self, trace_id: TraceId) -> Key {
        rows::key(trace_id, self.is_strict())
    }

    /// What one trace has in common, of an identifier as tables have it; what is none is nobody's.
    pub(crate) fn key_of(&self, text: &str) -> Option<Key> {
        match TraceId::parse(text) {
            Ok(trace_id) => Some(self.key(trace_id)),
            // Half of an identifier may be that.
            Err(IdError::AllZeros(_)) if !self.is_strict() => Some((0, 0)),
            Err(_) => None,
        }
    }

    /// See [`storage::SpanSource::traces`].
    pub(crate) async fn traces_by_id(&self, trace_ids: &[TraceId]) -> Result<Vec<Vec<Span>>> {
        let link = self.link().await?;
        let mut keys: Vec<Key> = trace_ids.iter().map(|&trace_id| self.key(trace_id)).collect();
        keys.sort_unstable();
        keys.dedup();
        self.answer(async {
            let traces = self.load(&link, &keys).await?;
            Ok(traces.into_values().collect())
        })
        .await
    }

    /// The spans of traces, each once, by trace; those that are not there are left out.
    pub(crate) async fn load(
        &self,
        link: &Link,
        keys: &[Key],
    ) -> std::result::Result<BTreeMap<Key, Vec<Span>>, Failure> {
        let traces = stream::iter(keys.iter().copied()).map(|key| async move {
            let spans = self.load_one(link, key).await?;
            Ok::<_, Failure>((key, spans))
        });
        let traces: Vec<(Key, Vec<Span>)> = traces.buffer_unordered(TRACES_AT_ONCE).try_collect().await?;
        Ok(traces.into_iter().filter(|trace| !trace.1.is_empty()).collect())
    }

    async fn load_one(&self, link: &Link, key: Key) -> std::result::Result<Vec<Span>, Failure> {
        let mut spans = Vec::new();
        // Whoever does not write by content, as Zipkin, wrote what was sent twice twice.
        let mut seen = HashSet::new();
        let take = |row: SpanRow| {
            match row.into_span() {
                Ok(span) => {
                    if seen.insert(span.clone()) {
                        spans.push(span);
                    }
                }
                Err(error) => tracing::error!(error, "a row of Cassandra is no span"),
            }
            Ok(())
        };
        link.for_each(SELECT_SPANS, (trace_key(key),), take).await?;
        Ok(spans)
    }
}

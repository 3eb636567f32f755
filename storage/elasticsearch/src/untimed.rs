//! Traces of which no span has a timestamp, by their identifiers: no window finds them.

use std::collections::BTreeMap;

use model::{Span, TraceId};
use serde_json::json;
use storage::{Completeness, Found, Result, StorageError, untimed_after};

use crate::ElasticsearchStore;
use crate::indexes::Contents;
use crate::scan::TRACES_A_READ;

/// Traces with spans without a timestamp, of which there are few.
const TRACES_MAX: usize = 200_000;

impl ElasticsearchStore {
    /// See [`storage::SpanSource::untimed`].
    pub(crate) async fn find_untimed(&self, after: Option<TraceId>, limit: usize) -> Result<Found> {
        self.fresh().await?;
        let query = json!({ "bool": { "must_not": [{ "exists": { "field": "timestamp" } }] } });
        let indexes = self.names.all(Contents::Spans);
        let (ids, is_all) = self.values(&indexes, "traceId", &query, TRACES_MAX).await?;
        if !is_all {
            return Err(StorageError::Unsupported(format!(
                "more than {TRACES_MAX} traces with spans without a timestamp"
            )));
        }
        let mut halves = BTreeMap::<u64, Vec<String>>::new();
        for id in ids {
            if let Ok(trace_id) = TraceId::parse(&id) {
                halves.entry(trace_id.low()).or_default().push(id);
            }
        }
        let mut left = halves.split_off(&after.map_or(0, TraceId::low));
        let mut traces = Vec::new();
        while traces.len() < limit && !left.is_empty() {
            let mut terms = Vec::new();
            let mut now = Vec::new();
            while let Some((low, ids)) = left.pop_first() {
                terms.extend(ids);
                terms.push(format!("{low:016x}"));
                now.push(low);
                if now.len() == TRACES_A_READ {
                    break;
                }
            }
            let mut of_low_half = BTreeMap::<u64, Vec<Span>>::new();
            for span in self.load(terms).await? {
                of_low_half.entry(span.trace_id.low()).or_default().push(span);
            }
            for spans in of_low_half.into_values() {
                traces.extend(untimed_after(spans, self.is_strict(), after));
            }
        }
        traces.truncate(limit);
        Ok(Found {
            traces,
            completeness: Completeness::Complete,
        })
    }
}

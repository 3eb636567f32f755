//! From a query to its traces: candidates by Zipkin's indexes, newest first, of which the definition chooses:
//! [`storage::TraceQuery::matches`].

use std::sync::Arc;

use storage::{BestTraces, Completeness, Found, TraceQuery};

use crate::MySqlStore;
use crate::candidates::Candidates;
use crate::read::TraceKey;
use crate::schema::Schema;

/// Traces that a search looks at; beyond it an answer is partial.
const CANDIDATES_MAX: usize = 100_000;
/// Traces that are read at one time.
const TRACES_A_READ: usize = 64;

impl MySqlStore {
    /// See [`storage::SpanSource::search`].
    pub(crate) async fn find(&self, query: &TraceQuery, schema: &Schema) -> sqlx::Result<Found> {
        let mut best = BestTraces::new(query, self.is_strict());
        let mut all = Candidates::new(query, self.is_strict(), schema);
        while all.seen() < CANDIDATES_MAX {
            let Some(candidates) = all.next(self).await? else {
                return Ok(best.into_found());
            };
            for candidates in candidates.chunks(TRACES_A_READ) {
                if candidates.first().is_none_or(|newest| best.is_decided(newest.1)) {
                    return Ok(best.into_found());
                }
                let keys: Vec<TraceKey> = candidates.iter().map(|candidate| candidate.0).collect();
                let traces = self.load(&keys, !self.is_strict(), schema).await?;
                traces
                    .into_values()
                    .for_each(|trace| best.consider(Arc::new(trace)));
            }
        }
        let mut found = best.into_found();
        let seen = all.seen();
        found.completeness = Completeness::Partial(format!("only the newest {seen} traces were looked at"));
        Ok(found)
    }
}

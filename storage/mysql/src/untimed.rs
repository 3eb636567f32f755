//! Traces of which no span has a timestamp, by their identifiers: no window finds them.

use model::TraceId;
use sqlx::{AssertSqlSafe, Row};
use storage::{Completeness, Found, untimed_after};

use crate::MySqlStore;
use crate::in_time::InTime;
use crate::read::TraceKey;
use crate::schema::Schema;

/// Low halves that are looked at together, at least.
const PAGE_MIN: usize = 64;

impl MySqlStore {
    /// See [`storage::SpanSource::untimed`].
    pub(crate) async fn find_untimed(
        &self,
        after: Option<TraceId>,
        limit: usize,
        schema: &Schema,
    ) -> sqlx::Result<Found> {
        let mut traces = Vec::new();
        let mut from = after.map_or(0, TraceId::low);
        let page = limit.saturating_add(1).clamp(PAGE_MIN, 1000);
        // Identifiers are compared without a sign. What is answered may have got a timestamp meanwhile.
        while traces.len() < limit {
            let sql = "SELECT DISTINCT s.trace_id FROM zipkin_spans s WHERE s.start_ts IS NULL \
                       AND CAST(s.trace_id AS UNSIGNED) >= ? ORDER BY CAST(s.trace_id AS UNSIGNED) LIMIT ?";
            let rows = sqlx::query(AssertSqlSafe(sql))
                .bind(from)
                .bind(page as i64)
                .fetch_all(self.pool())
                .in_time()
                .await?;
            let mut keys: Vec<TraceKey> = Vec::with_capacity(rows.len());
            for row in &rows {
                keys.push((0, row.try_get(0)?));
            }
            let mut of_low_half = self.load(&keys, true, schema).await?;
            for key in &keys {
                let spans = of_low_half.remove(key).unwrap_or_default();
                traces.extend(untimed_after(spans, self.is_strict(), after));
            }
            let last = keys.last().map(|&(_, low)| low as u64);
            match last.and_then(|low| low.checked_add(1)) {
                Some(next) if keys.len() == page => from = next,
                _ => break,
            }
        }
        traces.truncate(limit);
        Ok(Found {
            traces,
            completeness: Completeness::Complete,
        })
    }
}

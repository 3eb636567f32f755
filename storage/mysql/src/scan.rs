//! All traces of a window, one after the other: what is counted from traces goes by this.

use std::collections::HashSet;

use sqlx::{AssertSqlSafe, Row};
use storage::{BoxFuture, Result, Visit, VisitTraces};

use crate::MySqlStore;
use crate::read::TraceKey;
use crate::schema::Schema;

/// Spans that are asked for together, in the order of their begin.
const SPANS_A_PAGE: i64 = 5_000;
/// Traces that are read at one time.
const TRACES_A_READ: usize = 64;

/// By how much a server's half of a span may begin later, or seem to begin earlier, than the client's, whose begin the
/// row has. Microseconds.
const MARGIN: u64 = 60_000_000;

/// Where a page ends: the begin of its last span, and the span.
#[derive(Clone, Copy, Debug)]
struct Place {
    start_ts: i64,
    trace_id: TraceKey,
    id: i64,
}

impl VisitTraces for MySqlStore {
    fn version_tags(&self) -> &[String] {
        &self.config.options.version_tags
    }

    fn visit_traces<'a>(&'a self, window: (u64, u64), visit: Visit<'a>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let schema = self.schema().await?;
            self.answer(self.visit_all(window, visit, &schema)).await
        })
    }
}

impl MySqlStore {
    async fn visit_all(
        &self,
        (start, end): (u64, u64),
        visit: Visit<'_>,
        schema: &Schema,
    ) -> sqlx::Result<()> {
        let (start, end) = (start.saturating_sub(MARGIN), end.saturating_add(MARGIN));
        let mut seen: HashSet<i64> = HashSet::new();
        let mut place = Place {
            start_ts: signed(start).saturating_sub(1),
            trace_id: (i64::MAX, i64::MAX),
            id: i64::MAX,
        };
        loop {
            let page = self.page_after(place, signed(end), schema).await?;
            let new = page.iter().filter(|place| seen.insert(place.trace_id.1));
            let keys: Vec<TraceKey> = new.map(|place| (0, place.trace_id.1)).collect();
            for keys in keys.chunks(TRACES_A_READ) {
                let traces = self.load(keys, true, schema).await?;
                traces.values().for_each(|spans| visit(spans));
            }
            match page.last() {
                Some(last) if page.len() as i64 == SPANS_A_PAGE => place = *last,
                _ => return Ok(()),
            }
        }
    }

    async fn page_after(&self, after: Place, end: i64, schema: &Schema) -> sqlx::Result<Vec<Place>> {
        let high = schema.high("s");
        // The order of the index on `start_ts`, which ends in the primary key.
        let order = match schema.has_trace_id_high {
            true => "s.start_ts, s.trace_id_high, s.trace_id, s.id",
            false => "s.start_ts, s.trace_id, s.id",
        };
        let sql = format!(
            "SELECT s.start_ts, {high}, s.trace_id, s.id FROM zipkin_spans s \
             WHERE s.start_ts BETWEEN ? AND ? AND (s.start_ts > ? OR {high} > ? \
             OR {high} = ? AND (s.trace_id > ? OR s.trace_id = ? AND s.id > ?)) ORDER BY {order} LIMIT ?"
        );
        let (high, low) = after.trace_id;
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(after.start_ts)
            .bind(end)
            .bind(after.start_ts)
            .bind(high)
            .bind(high)
            .bind(low)
            .bind(low)
            .bind(after.id)
            .bind(SPANS_A_PAGE)
            .fetch_all(self.pool())
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Place {
                    start_ts: row.try_get(0)?,
                    trace_id: (row.try_get(1)?, row.try_get(2)?),
                    id: row.try_get(3)?,
                })
            })
            .collect()
    }
}

/// Timestamps beyond what the column holds are nobody's.
pub(crate) fn signed(micros: u64) -> i64 {
    i64::try_from(micros).unwrap_or(i64::MAX)
}

//! All traces of a window, one after the other: what is counted from traces goes by this.

use std::collections::HashSet;

use sqlx::{AssertSqlSafe, Row};
use storage::{BoxFuture, Result, Visit, VisitTraces};

use crate::MySqlStore;
use crate::conditions::{Conditions, Value};
use crate::in_time::InTime;
use crate::read::{Statement, TraceKey};
use crate::schema::Schema;

/// Spans that are asked for together, in the order of their begin.
const SPANS_A_PAGE: usize = 5_000;
/// Traces that are read at one time.
const TRACES_A_READ: usize = 64;

/// By how much a server's half of a span may begin later, or seem to begin earlier, than the client's, whose begin the
/// row has. Microseconds.
const MARGIN: u64 = 60_000_000;

/// Where a page ends: the begin of its last span, and the span.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) start_ts: i64,
    pub(crate) trace_id: TraceKey,
    id: i64,
}

/// How spans are walked: by their begins, and as the primary key has them where these are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Backward,
}

impl Direction {
    /// Before the first span that begins at that time.
    pub(crate) fn from(self, start_ts: i64) -> Place {
        let (start_ts, most) = match self {
            Self::Forward => (start_ts.saturating_sub(1), i64::MAX),
            Self::Backward => (start_ts.saturating_add(1), i64::MIN),
        };
        Place {
            start_ts,
            trace_id: (most, most),
            id: most,
        }
    }
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
        let mut place = Direction::Forward.from(signed(start));
        loop {
            let page = self
                .page(
                    Direction::Forward,
                    place,
                    signed(end),
                    &Conditions::default(),
                    SPANS_A_PAGE,
                    schema,
                )
                .await?;
            let new = page.iter().filter(|place| seen.insert(place.trace_id.1));
            let keys: Vec<TraceKey> = new.map(|place| (0, place.trace_id.1)).collect();
            for keys in keys.chunks(TRACES_A_READ) {
                let traces = self.load(keys, true, schema).await?;
                traces.values().for_each(|spans| visit(spans));
            }
            match page.last() {
                Some(last) if page.len() == SPANS_A_PAGE => place = *last,
                _ => return Ok(()),
            }
        }
    }

    /// Spans `s` that meet conditions, from a place to a last begin.
    pub(crate) async fn page(
        &self,
        direction: Direction,
        after: Place,
        until: i64,
        conditions: &Conditions,
        limit: usize,
        schema: &Schema,
    ) -> sqlx::Result<Vec<Place>> {
        let sql = page_sql(direction, conditions, schema);
        let (first, last) = match direction {
            Direction::Forward => (after.start_ts, until),
            Direction::Backward => (until, after.start_ts),
        };
        let (high, low) = after.trace_id;
        let statement = sqlx::query(AssertSqlSafe(sql))
            .bind(first)
            .bind(last)
            .bind(after.start_ts)
            .bind(high)
            .bind(high)
            .bind(low)
            .bind(low)
            .bind(after.id);
        let rows = bind(statement, conditions.values.clone())
            .bind(limit as i64)
            .fetch_all(self.pool())
            .in_time()
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

/// In the order of the index on `start_ts`, which ends in the primary key.
fn page_sql(direction: Direction, conditions: &Conditions, schema: &Schema) -> String {
    let high = schema.high("s");
    let (beyond, order) = match direction {
        Direction::Forward => (">", ""),
        Direction::Backward => ("<", " DESC"),
    };
    let highs = match schema.has_trace_id_high {
        true => format!("s.trace_id_high{order}, "),
        false => String::new(),
    };
    format!(
        "SELECT s.start_ts, {high}, s.trace_id, s.id FROM zipkin_spans s \
         WHERE s.start_ts BETWEEN ? AND ? AND (s.start_ts {beyond} ? OR {high} {beyond} ? \
         OR {high} = ? AND (s.trace_id {beyond} ? OR s.trace_id = ? AND s.id {beyond} ?)){} \
         ORDER BY s.start_ts{order}, {highs}s.trace_id{order}, s.id{order} LIMIT ?",
        conditions.sql
    )
}

/// Binds the values of conditions.
pub(crate) fn bind(statement: Statement<'_>, values: Vec<Value>) -> Statement<'_> {
    values
        .into_iter()
        .fold(statement, |statement, value| match value {
            Value::Number(number) => statement.bind(number),
            Value::Text(text) => statement.bind(text),
            Value::Bytes(bytes) => statement.bind(bytes),
        })
}

/// Timestamps beyond what the column holds are nobody's.
pub(crate) fn signed(micros: u64) -> i64 {
    i64::try_from(micros).unwrap_or(i64::MAX)
}

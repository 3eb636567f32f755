//! Whole traces out of Zipkin's tables: rows of spans and rows of annotations, read in one transaction, so that a span
//! is never seen in part.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use model::{Span, TraceId};
use sqlx::mysql::MySqlRow;
use sqlx::{AssertSqlSafe, MySqlConnection, Row};

use crate::MySqlStore;
use crate::in_time::InTime;
use crate::rows::{AnnotationRow, EndpointColumns, SpanRow, to_spans};
use crate::schema::Schema;

/// How many traces a statement asks for: few different numbers, so that each is prepared once a connection.
const STATEMENT_TRACES: [usize; 3] = [64, 8, 1];

/// The halves of a trace identifier as columns hold them.
pub(crate) type TraceKey = (i64, i64);

pub(crate) fn key_of(trace_id: TraceId) -> TraceKey {
    (trace_id.high() as i64, trace_id.low() as i64)
}

impl MySqlStore {
    /// See [`storage::SpanSource::traces`].
    pub(crate) async fn traces_by_id(
        &self,
        trace_ids: &[TraceId],
        schema: &Schema,
    ) -> sqlx::Result<Vec<Vec<Span>>> {
        let keys: Vec<TraceKey> = trace_ids.iter().copied().map(key_of).collect();
        let traces = self.load(&keys, !self.is_strict(), schema).await?;
        Ok(traces.into_values().collect())
    }

    /// The spans of traces, by trace: as long as identifiers are compared in full, these; otherwise all whose low half
    /// is the same, by that.
    pub(crate) async fn load(
        &self,
        keys: &[TraceKey],
        by_low_half: bool,
        schema: &Schema,
    ) -> sqlx::Result<BTreeMap<TraceKey, Vec<Span>>> {
        let mut traces: BTreeMap<TraceKey, Vec<Span>> = BTreeMap::new();
        if keys.is_empty() {
            return Ok(traces);
        }
        let mut transaction = self.pool().begin().in_time().await?;
        let all;
        let keys = match by_low_half && schema.has_trace_id_high {
            true => {
                all = same_low_half(&mut transaction, keys).await?;
                &all
            }
            false => keys,
        };
        for keys in statements(keys) {
            for span in read(&mut transaction, keys, schema).await? {
                let (high, low) = key_of(span.trace_id);
                let key = if by_low_half { (0, low) } else { (high, low) };
                traces.entry(key).or_default().push(span);
            }
        }
        transaction.commit().in_time().await?;
        Ok(traces)
    }
}

/// Pieces as long as a statement takes.
pub(crate) fn statements(keys: &[TraceKey]) -> impl Iterator<Item = &[TraceKey]> {
    let mut rest = keys;
    std::iter::from_fn(move || {
        let length = STATEMENT_TRACES
            .into_iter()
            .find(|&length| length <= rest.len())?;
        let (now, later) = rest.split_at(length);
        rest = later;
        Some(now)
    })
}

/// The keys, and those of all traces that have rows of annotations under the same low half; every span does that has a
/// high one.
pub(crate) async fn same_low_half(
    connection: &mut MySqlConnection,
    keys: &[TraceKey],
) -> sqlx::Result<Vec<TraceKey>> {
    let mut found: BTreeSet<TraceKey> = keys.iter().copied().collect();
    found.extend(keys.iter().map(|&(_, low)| (0, low)));
    for keys in statements(keys) {
        let sql = format!(
            "SELECT DISTINCT trace_id_high, trace_id FROM zipkin_annotations WHERE trace_id IN ({})",
            vec!["?"; keys.len()].join(", ")
        );
        let mut statement = sqlx::query(AssertSqlSafe(sql));
        for &(_, low) in keys {
            statement = statement.bind(low);
        }
        for row in statement.fetch_all(&mut *connection).in_time().await? {
            found.insert((row.try_get(0)?, row.try_get(1)?));
        }
    }
    Ok(found.into_iter().collect())
}

async fn read(
    connection: &mut MySqlConnection,
    keys: &[TraceKey],
    schema: &Schema,
) -> sqlx::Result<Vec<Span>> {
    let condition = key_conditions("t", keys.len(), schema);
    let high = schema.high("t");
    let sql = format!(
        "SELECT {high}, t.trace_id, t.id, t.name, t.parent_id, CAST(COALESCE(t.debug, 0) AS UNSIGNED), \
         t.start_ts, t.duration FROM zipkin_spans t WHERE {condition}"
    );
    let rows = bind_keys(sqlx::query(AssertSqlSafe(sql)), keys);
    let rows = rows.fetch_all(&mut *connection).in_time().await?;
    let spans = rows.iter().map(span_row).collect::<sqlx::Result<Vec<_>>>()?;
    if spans.is_empty() {
        return Ok(Vec::new());
    }
    let ipv6 = if schema.has_ipv6 {
        "t.endpoint_ipv6"
    } else {
        "NULL"
    };
    let sql = format!(
        "SELECT {high}, t.trace_id, t.span_id, t.a_key, t.a_value, t.a_type, t.a_timestamp, \
         t.endpoint_service_name, t.endpoint_ipv4, t.endpoint_port, CAST({ipv6} AS BINARY) \
         FROM zipkin_annotations t WHERE {condition}"
    );
    let rows = bind_keys(sqlx::query(AssertSqlSafe(sql)), keys);
    let rows = rows.fetch_all(&mut *connection).in_time().await?;
    let annotations = rows
        .iter()
        .map(annotation_row)
        .collect::<sqlx::Result<Vec<_>>>()?;
    Ok(to_spans(&spans, &annotations))
}

pub(crate) type Statement<'q> = sqlx::query::Query<'q, sqlx::MySql, sqlx::mysql::MySqlArguments>;

/// That a row of a table is of one of so many traces.
pub(crate) fn key_conditions(table: &str, count: usize, schema: &Schema) -> String {
    let one = match schema.has_trace_id_high {
        true => format!("({table}.trace_id_high = ? AND {table}.trace_id = ?)"),
        false => format!("(? = 0 AND {table}.trace_id = ?)"),
    };
    vec![one; count].join(" OR ")
}

pub(crate) fn bind_keys<'q>(statement: Statement<'q>, keys: &[TraceKey]) -> Statement<'q> {
    let bind = |statement: Statement<'q>, &(high, low): &TraceKey| statement.bind(high).bind(low);
    keys.iter().fold(statement, bind)
}

fn span_row(row: &MySqlRow) -> sqlx::Result<SpanRow<'_>> {
    Ok(SpanRow {
        trace_id: (row.try_get(0)?, row.try_get(1)?),
        id: row.try_get(2)?,
        name: Cow::Borrowed(row.try_get(3)?),
        // Its address says it better.
        remote_service_name: Cow::Borrowed(""),
        parent_id: row.try_get(4)?,
        debug: row.try_get::<u64, _>(5)? != 0,
        start_ts: row.try_get(6)?,
        duration: row.try_get(7)?,
    })
}

fn annotation_row(row: &MySqlRow) -> sqlx::Result<AnnotationRow<'_>> {
    let ipv6: Option<&[u8]> = row.try_get(10)?;
    let endpoint = EndpointColumns {
        service_name: Cow::Borrowed(row.try_get::<Option<&str>, _>(7)?.unwrap_or_default()),
        ipv4: row.try_get(8)?,
        ipv6: ipv6.and_then(|octets| octets.try_into().ok()),
        port: row.try_get(9)?,
    };
    Ok(AnnotationRow {
        trace_id: (row.try_get(0)?, row.try_get(1)?),
        span_id: row.try_get(2)?,
        key: Cow::Borrowed(row.try_get(3)?),
        value: row.try_get::<Option<&[u8]>, _>(4)?.map(Cow::Borrowed),
        kind: row.try_get(5)?,
        timestamp: row.try_get::<Option<i64>, _>(6)?.unwrap_or_default(),
        endpoint: Some(endpoint),
    })
}

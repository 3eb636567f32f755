//! From a query to its traces: candidates by Zipkin's indexes, newest first, of which the definition chooses.
//!
//! Every condition becomes one that a matching trace meets in any case ([`conditions`]); different spans of a trace may
//! meet different ones. [`storage::TraceQuery::matches`] decides.

use std::collections::HashSet;
use std::sync::Arc;

use sqlx::{AssertSqlSafe, Row};
use storage::{BestTraces, Completeness, Found, Order, TraceQuery};

use crate::MySqlStore;
use crate::read::TraceKey;
use crate::rows::{ADDRESS, ANNOTATION, TAG};
use crate::scan::signed;
use crate::schema::Schema;

/// Traces that a search looks at; beyond it an answer is partial.
const CANDIDATES_MAX: usize = 100_000;
/// Candidates of the first statement, unless the limit is more: mostly enough.
const CANDIDATES_MIN: usize = 64;
/// Traces that are read at one time.
const TRACES_A_READ: usize = 64;

/// A value of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// Conditions of a statement, with the values for their question marks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    pub(crate) sql: String,
    pub(crate) values: Vec<Value>,
}

impl MySqlStore {
    /// See [`storage::SpanSource::search`].
    pub(crate) async fn find(&self, query: &TraceQuery, schema: &Schema) -> sqlx::Result<Found> {
        let mut best = BestTraces::new(query, self.is_strict());
        let mut seen = HashSet::new();
        let first = query.limit().saturating_mul(2).max(CANDIDATES_MIN);
        let mut limits = vec![CANDIDATES_MAX];
        if query.order() == Order::Newest && first < CANDIDATES_MAX {
            limits.insert(0, first);
        }
        for limit in limits {
            let candidates = self.candidates(query, limit, schema).await?;
            let is_all = candidates.len() < limit;
            let new: Vec<_> = candidates
                .into_iter()
                .filter(|candidate| seen.insert(candidate.0))
                .collect();
            for candidates in new.chunks(TRACES_A_READ) {
                if candidates.first().is_none_or(|newest| best.is_decided(newest.1)) {
                    return Ok(best.into_found());
                }
                let keys: Vec<TraceKey> = candidates.iter().map(|candidate| candidate.0).collect();
                let traces = self.load(&keys, !self.is_strict(), schema).await?;
                traces
                    .into_values()
                    .for_each(|trace| best.consider(Arc::new(trace)));
            }
            if is_all {
                return Ok(best.into_found());
            }
        }
        let mut found = best.into_found();
        found.completeness =
            Completeness::Partial(format!("only the newest {CANDIDATES_MAX} traces were looked at"));
        Ok(found)
    }

    /// Traces that may match, newest first, each with the newest begin of a span in the window.
    async fn candidates(
        &self,
        query: &TraceQuery,
        limit: usize,
        schema: &Schema,
    ) -> sqlx::Result<Vec<(TraceKey, u64)>> {
        let (start, end) = query.window();
        let is_strict = self.is_strict() && schema.has_trace_id_high;
        let (high, group) = match is_strict {
            true => ("s.trace_id_high", "s.trace_id_high, s.trace_id"),
            false => ("CAST(0 AS SIGNED)", "s.trace_id"),
        };
        let conditions = conditions(query, is_strict, schema);
        let sql = format!(
            "SELECT t.high, t.low, t.newest FROM (SELECT {high} AS high, s.trace_id AS low, \
             MAX(s.start_ts) AS newest FROM zipkin_spans s WHERE s.start_ts BETWEEN ? AND ? GROUP BY {group}) t \
             WHERE TRUE{} ORDER BY t.newest DESC LIMIT ?",
            conditions.sql
        );
        let mut statement = sqlx::query(AssertSqlSafe(sql))
            .bind(signed(start))
            .bind(signed(end));
        for value in conditions.values {
            statement = match value {
                Value::Number(number) => statement.bind(number),
                Value::Text(text) => statement.bind(text),
                Value::Bytes(bytes) => statement.bind(bytes),
            };
        }
        let rows = statement.bind(limit as i64).fetch_all(self.pool()).await?;
        let candidate = |row: &sqlx::mysql::MySqlRow| {
            let newest: i64 = row.try_get(2)?;
            Ok(((row.try_get(0)?, row.try_get(1)?), newest as u64))
        };
        rows.iter().map(candidate).collect()
    }
}

/// What every matching trace meets, of traces `t`.
pub(crate) fn conditions(query: &TraceQuery, is_strict: bool, schema: &Schema) -> Conditions {
    let mut conditions = Conditions::default();
    let of_trace = |table: &str| match is_strict {
        true => format!("{table}.trace_id_high = t.high AND {table}.trace_id = t.low"),
        false => format!("{table}.trace_id = t.low"),
    };
    let mut add = |table: &str, condition: &str, values: Vec<Value>| {
        let is_there = format!(
            " AND EXISTS (SELECT 1 FROM {table} c WHERE {} AND {condition})",
            of_trace("c")
        );
        conditions.sql.push_str(&is_there);
        conditions.values.extend(values);
    };
    let text = |text: &str| Value::Text(schema.fit(text).into_owned());
    if let Some(name) = query.service_name() {
        let logged = format!("c.endpoint_service_name = ? AND c.a_type <> {ADDRESS}");
        add("zipkin_annotations", &logged, vec![text(name)]);
    }
    if let Some(name) = query.remote_service_name() {
        let address = format!("c.endpoint_service_name = ? AND c.a_type = {ADDRESS}");
        add("zipkin_annotations", &address, vec![text(name)]);
    }
    if let Some(name) = query.span_name() {
        add("zipkin_spans", "c.name = ?", vec![text(name)]);
    }
    for (key, value) in query.annotation_query().conditions() {
        if value.is_empty() {
            let either = format!("c.a_key = ? AND c.a_type IN ({ANNOTATION}, {TAG})");
            add("zipkin_annotations", &either, vec![text(key)]);
        } else {
            let tag = format!("c.a_key = ? AND c.a_type = {TAG} AND c.a_value = ?");
            let value = Value::Bytes(Schema::fit_value(value).to_vec());
            add("zipkin_annotations", &tag, vec![text(key), value]);
        }
    }
    if let Some(min) = query.min_duration() {
        let min = Value::Number(signed(min));
        // The row has the duration of one half of a span; of the other there are the begin and the end.
        let either = format!(
            " AND (EXISTS (SELECT 1 FROM zipkin_spans c WHERE {} AND c.duration >= ?) OR EXISTS (SELECT 1 \
             FROM zipkin_annotations b JOIN zipkin_annotations e ON {} AND e.span_id = b.span_id \
             AND e.a_key IN ('cr', 'ss', 'ws', 'mr') WHERE {} AND b.a_key IN ('cs', 'sr', 'ms', 'wr') \
             AND e.a_timestamp >= b.a_timestamp + ?))",
            of_trace("c"),
            of_trace("e"),
            of_trace("b"),
        );
        conditions.sql.push_str(&either);
        conditions.values.extend([min.clone(), min]);
    }
    conditions
}

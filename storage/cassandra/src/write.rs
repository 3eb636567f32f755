//! Spans into Zipkin's tables: rows of one partition together, partitions beside each other.

use std::collections::HashMap;
use std::hash::Hash;

use futures_util::future::BoxFuture as Boxed;
use futures_util::stream::{self, TryStreamExt};
use model::{Span, SpanBatch};
use scylla::serialize::row::SerializeRow;
use scylla::value::CqlTimeuuid;
use storage::{BoxFuture, Result, SpanSink, note_versions};

use crate::CassandraStore;
use crate::error::Failure;
use crate::link::Link;
use crate::names::NewNames;
use crate::rows::{
    INSERT_SEARCHED_SPAN, INSERT_SPAN, Moment, NewSearchedSpan, NewSpan, bytes_of, fit, trace_key,
};

/// Statements that are on their way at one time: what a batch of spans makes more of waits for those before.
const STATEMENTS_AT_ONCE: usize = 128;
/// Rows that are sent together have no more bytes, about: a node warns of 5 KiB and refuses 50.
const TOGETHER_BYTES: usize = 4 << 10;

const INSERT_BY_SPAN: &str = "INSERT INTO trace_by_service_span (service, span, bucket, ts, trace_id, duration) VALUES (?, ?, ?, ?, ?, ?)";
const INSERT_BY_REMOTE: &str = "INSERT INTO trace_by_service_remote_service \
     (service, remote_service, bucket, ts, trace_id) VALUES (?, ?, ?, ?, ?)";

type BySpan = (String, String, i32, CqlTimeuuid, String, i64);
type ByRemote = (String, String, i32, CqlTimeuuid, String);

impl SpanSink for CassandraStore {
    fn accept<'a>(&'a self, batch: &'a SpanBatch) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if batch.is_empty() {
                return Ok(());
            }
            let link = self.link().await?;
            let spans: Vec<Span> = batch.iter().map(|span| span.to_span()).collect();
            let names = self.new_names(&spans, &link.schema);
            let statements = self.statements(&spans, &names, &link);
            self.answer(write_all(statements)).await?;
            self.known_names.written(names);
            if !link.schema.has_records {
                return Ok(());
            }
            note_versions(self, batch, &self.config.options, (self.config.now)()).await
        })
    }
}

type Statement<'a> = Boxed<'a, std::result::Result<(), Failure>>;

async fn write_all(statements: Vec<Statement<'_>>) -> std::result::Result<(), Failure> {
    stream::iter(statements.into_iter().map(Ok))
        .try_for_each_concurrent(STATEMENTS_AT_ONCE, |statement| statement)
        .await
}

impl CassandraStore {
    fn statements<'a>(&self, spans: &[Span], names: &NewNames, link: &'a Link) -> Vec<Statement<'a>> {
        let now_ms = (self.config.now)();
        let moments: Vec<Moment> = spans.iter().map(|span| Moment::of(span, now_ms)).collect();
        let spans = || spans.iter().zip(moments.iter().copied());
        let mut statements = Vec::new();
        let is_searched = self.is_searched() && link.schema.has_query_columns;
        let new = |(span, moment)| NewSpan::of(span, moment, self.is_strict());
        let key = |row: &NewSpan| row.trace_id.clone();
        if is_searched {
            let rows = spans().map(|(span, moment)| (new((span, moment)).searched(span), bytes_of(span)));
            let key = |row: &NewSearchedSpan| key(&row.span);
            push(&mut statements, link, INSERT_SEARCHED_SPAN, rows, key);
        } else {
            let rows = spans().map(|(span, moment)| (new((span, moment)), bytes_of(span)));
            push(&mut statements, link, INSERT_SPAN, rows, key);
        }
        if self.is_searched() {
            // Those without a time as well, by when they came: others of their trace may have one, and these its conditions.
            let rows = spans().flat_map(|(span, moment)| self.by_span(span, moment));
            let rows = rows.map(|row| with_bytes(row, |row| row_bytes(&row.0, &row.1)));
            push(&mut statements, link, INSERT_BY_SPAN, rows, |row: &BySpan| {
                (row.0.clone(), row.1.clone(), row.2)
            });
            if link.schema.has_remote_services {
                let rows = spans().filter_map(|(span, moment)| self.by_remote(span, moment));
                let rows = rows.map(|row| with_bytes(row, |row| row_bytes(&row.0, &row.1)));
                push(&mut statements, link, INSERT_BY_REMOTE, rows, |row: &ByRemote| {
                    (row.0.clone(), row.1.clone(), row.2)
                });
            }
        }
        for (text, pairs) in names.by_table() {
            let rows = pairs.map(|(one, other)| ((one.clone(), other.clone()), row_bytes(one, other)));
            push(&mut statements, link, text, rows, |row: &(String, String)| {
                row.0.clone()
            });
        }
        statements
    }

    /// By its service with and without its name. A service without a name, of which Zipkin has none here, is found by an
    /// empty one, by which nobody asks but who looks for all.
    fn by_span(&self, span: &Span, moment: Moment) -> impl Iterator<Item = BySpan> {
        let service = fit(span.local_service_name().unwrap_or_default()).to_owned();
        let name = span.name.as_deref().map(|name| fit(name).to_owned());
        let trace_id = trace_key(self.key(span.trace_id));
        let millis = span.duration.map_or(0, |micros| (micros / 1000) as i64);
        let names = [Some(String::new()), name].into_iter().flatten();
        names.map(move |name| {
            (
                service.clone(),
                name,
                moment.bucket,
                moment.uuid,
                trace_id.clone(),
                millis,
            )
        })
    }

    fn by_remote(&self, span: &Span, moment: Moment) -> Option<ByRemote> {
        let (service, remote) = (span.local_service_name()?, span.remote_service_name()?);
        let trace_id = trace_key(self.key(span.trace_id));
        Some((
            fit(service).to_owned(),
            fit(remote).to_owned(),
            moment.bucket,
            moment.uuid,
            trace_id,
        ))
    }
}

/// Bytes of a row with two names.
fn row_bytes(one: &str, other: &str) -> usize {
    one.len() + other.len() + 80
}

fn with_bytes<V>(row: V, bytes: impl Fn(&V) -> usize) -> (V, usize) {
    let bytes = bytes(&row);
    (row, bytes)
}

/// Statements for rows, those of one partition together.
fn push<'a, V, K>(
    statements: &mut Vec<Statement<'a>>,
    link: &'a Link,
    text: &'static str,
    rows: impl Iterator<Item = (V, usize)>,
    key: impl Fn(&V) -> K,
) where
    V: SerializeRow + Send + Sync + 'a,
    K: Eq + Hash,
{
    for rows in together(rows, key) {
        statements.push(Box::pin(async move { link.write_together(text, &rows).await }));
    }
}

/// Rows of one partition, in pieces of few bytes.
fn together<V, K: Eq + Hash>(rows: impl Iterator<Item = (V, usize)>, key: impl Fn(&V) -> K) -> Vec<Vec<V>> {
    let mut pieces: Vec<Vec<V>> = Vec::new();
    // The piece of a partition that still has room, and how many bytes it has.
    let mut open: HashMap<K, (usize, usize)> = HashMap::new();
    for (row, bytes) in rows {
        match open.get_mut(&key(&row)) {
            Some((piece, so_far)) if *so_far + bytes <= TOGETHER_BYTES => {
                *so_far += bytes;
                pieces[*piece].push(row);
            }
            _ => {
                open.insert(key(&row), (pieces.len(), bytes));
                pieces.push(vec![row]);
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_partition_are_together_as_long_as_they_are_small() {
        let rows = [("a", 1), ("b", 2), ("a", 3), ("a", 4)];
        let sized = |bytes| rows.into_iter().map(move |row| (row, bytes));
        assert_eq!(
            together(sized(10), |row| row.0),
            [vec![("a", 1), ("a", 3), ("a", 4)], vec![("b", 2)]]
        );
        assert_eq!(
            together(sized(TOGETHER_BYTES / 2), |row| row.0),
            [vec![("a", 1), ("a", 3)], vec![("b", 2)], vec![("a", 4)]]
        );
    }
}

//! Spans into Zipkin's tables: multi-row upserts, a batch in one transaction.

use std::time::Duration;

use model::{Span, SpanBatch};
use sqlx::mysql::MySqlArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, MySql, MySqlConnection};
use storage::{BoxFuture, Result, SpanSink, note_versions};

use crate::MySqlStore;
use crate::error;
use crate::in_time::InTime;
use crate::rows::{AnnotationRow, EndpointColumns, Rows, SpanRow};
use crate::schema::Schema;

/// How many rows a statement has: few different numbers, so that each is prepared once a connection.
const STATEMENT_ROWS: [usize; 4] = [500, 100, 10, 1];

/// How often a batch is tried that another writer stood in the way of, and how long it waits for that one at first.
const CONFLICTS_MAX: u32 = 5;
const CONFLICT_PAUSE: Duration = Duration::from_millis(20);

impl SpanSink for MySqlStore {
    fn accept<'a>(&'a self, batch: &'a SpanBatch) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if batch.is_empty() {
                return Ok(());
            }
            let schema = self.schema().await?;
            let spans: Vec<Span> = batch.iter().map(|span| span.to_span()).collect();
            let rows = Rows::of(&spans, &schema);
            let mut conflicts = 0;
            loop {
                match self.write(&rows, &schema).await {
                    Err(error) if error::is_conflict(&error) && conflicts < CONFLICTS_MAX => {
                        tokio::time::sleep(CONFLICT_PAUSE * 2u32.pow(conflicts)).await;
                        conflicts += 1;
                    }
                    Err(error) => return Err(self.tell(error).await),
                    Ok(()) => break,
                }
            }
            if !schema.has_records {
                return Ok(());
            }
            note_versions(self, batch, &self.config.options, (self.config.now)()).await
        })
    }
}

impl MySqlStore {
    /// All rows or none.
    async fn write(&self, rows: &Rows<'_>, schema: &Schema) -> sqlx::Result<()> {
        let mut transaction = self.pool().begin().in_time().await?;
        for (spans, is_shared) in [(&rows.spans, false), (&rows.shared, true)] {
            let table = SpanTable { schema, is_shared };
            insert(&mut transaction, &table, spans, schema.statement_bytes_max).await?;
        }
        let table = AnnotationTable { schema };
        insert(
            &mut transaction,
            &table,
            &rows.annotations,
            schema.statement_bytes_max,
        )
        .await?;
        transaction.commit().in_time().await
    }
}

type Statement<'q> = Query<'q, MySql, MySqlArguments>;

/// How rows are written to a table.
trait Table<Row> {
    /// The statement but for the values.
    fn parts(&self) -> (String, usize, &'static str);

    /// Bytes of text in a row.
    fn bytes(&self, row: &Row) -> usize;

    fn bind<'q>(&self, statement: Statement<'q>, row: &'q Row) -> Statement<'q>;
}

async fn insert<Row>(
    connection: &mut MySqlConnection,
    table: &impl Table<Row>,
    rows: &[Row],
    bytes_max: usize,
) -> sqlx::Result<()> {
    let (into, columns, on_duplicate) = table.parts();
    let values = format!("({})", vec!["?"; columns].join(", "));
    let mut rest = rows;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fitting = rest.iter().take_while(|row| {
            bytes += table.bytes(row);
            bytes <= bytes_max
        });
        let fitting = fitting.count();
        let rows = STATEMENT_ROWS
            .into_iter()
            .find(|&rows| rows <= fitting)
            .unwrap_or(1);
        let (now, later) = rest.split_at(rows);
        rest = later;
        let sql = format!(
            "{into} VALUES {} {on_duplicate}",
            vec![values.as_str(); rows].join(", ")
        );
        let mut statement = sqlx::query(AssertSqlSafe(sql));
        for row in now {
            statement = table.bind(statement, row);
        }
        statement.execute(&mut *connection).in_time().await?;
    }
    Ok(())
}

/// `zipkin_spans`: what a later report knows takes the place of what an earlier one said.
struct SpanTable<'s> {
    schema: &'s Schema,
    is_shared: bool,
}

impl Table<SpanRow<'_>> for SpanTable<'_> {
    fn parts(&self) -> (String, usize, &'static str) {
        let mut columns = vec![
            "trace_id",
            "id",
            "name",
            "parent_id",
            "debug",
            "start_ts",
            "duration",
        ];
        if self.schema.has_trace_id_high {
            columns.push("trace_id_high");
        }
        if self.schema.has_remote_service_name {
            columns.push("remote_service_name");
        }
        let into = format!("INSERT INTO zipkin_spans ({})", columns.join(", "));
        (into, columns.len(), self.on_duplicate())
    }

    fn bytes(&self, row: &SpanRow<'_>) -> usize {
        row.name.len() + row.remote_service_name.len() + 80
    }

    fn bind<'q>(&self, statement: Statement<'q>, row: &'q SpanRow<'_>) -> Statement<'q> {
        let mut statement = statement
            .bind(row.trace_id.1)
            .bind(row.id)
            .bind(row.name.as_ref())
            .bind(row.parent_id)
            .bind(row.debug)
            .bind(row.start_ts)
            .bind(row.duration);
        if self.schema.has_trace_id_high {
            statement = statement.bind(row.trace_id.0);
        }
        if self.schema.has_remote_service_name {
            statement = statement.bind(row.remote_service_name.as_ref());
        }
        statement
    }
}

/// What is the same in all statements for rows of spans that are there already.
macro_rules! on_duplicate {
    ($start_ts:literal, $remote_service_name:literal) => {
        concat!(
            "ON DUPLICATE KEY UPDATE \
             name = IF(VALUES(name) = '' OR VALUES(name) = 'unknown' AND name <> '', name, VALUES(name)), \
             parent_id = COALESCE(VALUES(parent_id), parent_id), \
             debug = IF(VALUES(debug), VALUES(debug), debug), \
             duration = COALESCE(VALUES(duration), duration), start_ts = ",
            $start_ts,
            $remote_service_name
        )
    };
}

impl SpanTable<'_> {
    fn on_duplicate(&self) -> &'static str {
        // The server's half of a span knows when the span began only as long as nobody else says it.
        match (self.is_shared, self.schema.has_remote_service_name) {
            (false, false) => on_duplicate!("COALESCE(VALUES(start_ts), start_ts)", ""),
            (true, false) => on_duplicate!("COALESCE(start_ts, VALUES(start_ts))", ""),
            (false, true) => on_duplicate!(
                "COALESCE(VALUES(start_ts), start_ts)",
                ", remote_service_name = IF(VALUES(remote_service_name) = '', remote_service_name, \
                 VALUES(remote_service_name))"
            ),
            (true, true) => on_duplicate!(
                "COALESCE(start_ts, VALUES(start_ts))",
                ", remote_service_name = IF(VALUES(remote_service_name) = '', remote_service_name, \
                 VALUES(remote_service_name))"
            ),
        }
    }
}

/// `zipkin_annotations`: what is there stays.
struct AnnotationTable<'s> {
    schema: &'s Schema,
}

impl Table<AnnotationRow<'_>> for AnnotationTable<'_> {
    fn parts(&self) -> (String, usize, &'static str) {
        let mut columns = vec![
            "trace_id",
            "span_id",
            "a_key",
            "a_value",
            "a_type",
            "a_timestamp",
            "endpoint_service_name",
            "endpoint_ipv4",
            "endpoint_port",
        ];
        if self.schema.has_trace_id_high {
            columns.push("trace_id_high");
        }
        if self.schema.has_ipv6 {
            columns.push("endpoint_ipv6");
        }
        let into = format!("INSERT INTO zipkin_annotations ({})", columns.join(", "));
        (
            into,
            columns.len(),
            "ON DUPLICATE KEY UPDATE span_id = zipkin_annotations.span_id",
        )
    }

    fn bytes(&self, row: &AnnotationRow<'_>) -> usize {
        let service_name = row
            .endpoint
            .as_ref()
            .map_or(0, |endpoint| endpoint.service_name.len());
        row.key.len() + row.value.as_ref().map_or(0, |value| value.len()) + service_name + 80
    }

    fn bind<'q>(&self, statement: Statement<'q>, row: &'q AnnotationRow<'_>) -> Statement<'q> {
        let endpoint = row.endpoint.as_ref();
        let port = |endpoint: &EndpointColumns<'_>| endpoint.port;
        let mut statement = statement
            .bind(row.trace_id.1)
            .bind(row.span_id)
            .bind(row.key.as_ref())
            .bind(row.value.as_deref())
            .bind(row.kind)
            .bind(row.timestamp)
            .bind(endpoint.map(|endpoint| endpoint.service_name.as_ref()))
            .bind(endpoint.and_then(|endpoint| endpoint.ipv4))
            .bind(endpoint.and_then(port));
        if self.schema.has_trace_id_high {
            statement = statement.bind(row.trace_id.0);
        }
        if self.schema.has_ipv6 {
            let ipv6 = endpoint.and_then(|endpoint| endpoint.ipv6.as_ref());
            statement = statement.bind(ipv6.map(|octets| octets.as_slice()));
        }
        statement
    }
}

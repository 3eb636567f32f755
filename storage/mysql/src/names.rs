//! Names of services and spans, and values of tags, as the tables have them.

use sqlx::AssertSqlSafe;

use crate::MySqlStore;
use crate::in_time::InTime;
use crate::rows::{ADDRESS, ANNOTATION, TAG};
use crate::schema::Schema;

/// Values of a tag that are suggested; who has more has a tag that nobody chooses from.
const VALUES_MAX: i64 = 20_000;

/// Annotations that say which side of a remote operation a service was.
const CORE: &str = "('cs', 'cr', 'sr', 'ss', 'ms', 'ws', 'mr', 'wr')";

impl MySqlStore {
    /// Services that logged something: those of which there are only addresses are not here. The index has each name at
    /// hand, and mostly the first of its rows is enough.
    pub(crate) async fn list_services(&self) -> sqlx::Result<Vec<String>> {
        let sql = format!(
            "SELECT n.name FROM (SELECT DISTINCT endpoint_service_name AS name FROM zipkin_annotations) n \
             WHERE n.name <> '' AND (SELECT 1 FROM zipkin_annotations c \
             WHERE c.endpoint_service_name = n.name AND c.a_type + 0 <> {ADDRESS} LIMIT 1) IS NOT NULL"
        );
        let names = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_all(self.pool())
            .in_time()
            .await?;
        Ok(sorted(names))
    }

    /// See [`storage::SpanSource::span_names`].
    pub(crate) async fn list_span_names(
        &self,
        service_name: &str,
        schema: &Schema,
    ) -> sqlx::Result<Vec<String>> {
        let sql = format!(
            "SELECT DISTINCT s.name FROM zipkin_annotations l JOIN zipkin_spans s \
             ON {} = {} AND s.trace_id = l.trace_id AND s.id = l.span_id \
             WHERE l.endpoint_service_name = ? AND l.a_type <> {ADDRESS} AND s.name <> ''",
            schema.high("s"),
            schema.high("l"),
        );
        let names = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(schema.fit(service_name).into_owned())
            .fetch_all(self.pool())
            .in_time()
            .await?;
        Ok(sorted(names))
    }

    /// Of clients the servers they called, of servers the clients that called them, of both ends of messages the
    /// broker; of a span without a side whomever it names.
    pub(crate) async fn list_remote_services(
        &self,
        service_name: &str,
        schema: &Schema,
    ) -> sqlx::Result<Vec<String>> {
        let same_span = |other: &str| {
            let (l, high) = (schema.high("l"), schema.high(other));
            format!("{high} = {l} AND {other}.trace_id = l.trace_id AND {other}.span_id = l.span_id")
        };
        let sql = format!(
            "SELECT DISTINCT r.endpoint_service_name FROM zipkin_annotations l JOIN zipkin_annotations r \
             ON {} AND r.a_type = {ADDRESS} AND r.endpoint_service_name <> '' \
             WHERE l.endpoint_service_name = ? AND l.a_type <> {ADDRESS} AND ( \
             l.a_type = {ANNOTATION} AND l.a_key IN ('cs', 'cr') AND r.a_key = 'sa' \
             OR l.a_type = {ANNOTATION} AND l.a_key IN ('sr', 'ss') AND r.a_key = 'ca' \
             OR l.a_type = {ANNOTATION} AND l.a_key IN ('ms', 'ws', 'mr', 'wr') AND r.a_key = 'ma' \
             OR NOT EXISTS (SELECT 1 FROM zipkin_annotations k WHERE {} AND k.a_type = {ANNOTATION} \
             AND k.a_key IN {CORE}))",
            same_span("r"),
            same_span("k"),
        );
        let names = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(schema.fit(service_name).into_owned())
            .fetch_all(self.pool())
            .in_time()
            .await?;
        Ok(sorted(names))
    }

    /// Values of a tag.
    pub(crate) async fn list_values(&self, key: &str, schema: &Schema) -> sqlx::Result<Vec<String>> {
        let sql = format!(
            "SELECT DISTINCT COALESCE(a_value, '') FROM zipkin_annotations \
             WHERE a_key = ? AND a_type = {TAG} LIMIT {VALUES_MAX}"
        );
        let values: Vec<Vec<u8>> = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(schema.fit(key).into_owned())
            .fetch_all(self.pool())
            .in_time()
            .await?;
        let values = values
            .iter()
            .map(|value| String::from_utf8_lossy(value).into_owned());
        Ok(sorted(values.collect()))
    }
}

/// As texts are compared here, whatever the collation of a column.
fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names.dedup();
    names
}

//! Which of Zipkin's tables and columns there are: older releases had fewer, and a server that does not search has fewer.

use std::collections::HashSet;

use scylla::client::caching_session::CachingSession;
use scylla::statement::Statement;

use crate::config::Cluster;
use crate::error::Failure;
use crate::link::{read, rows};

const SPANS: &str = include_str!("schema.cql");
const SEARCH: &str = include_str!("search.cql");
const SASI: &str = include_str!("sasi.cql");
const RECORDS: &str = include_str!("tracehound.cql");

/// What was found out about the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Schema {
    /// The table of spans, and that of links which Zipkin's job counts.
    has_spans: bool,
    /// Tables that traces and names are searched by.
    pub(crate) has_search: bool,
    pub(crate) has_remote_services: bool,
    pub(crate) has_autocomplete: bool,
    /// The columns of spans that `has_annotation_index` is of.
    pub(crate) has_query_columns: bool,
    pub(crate) has_annotation_index: bool,
    pub(crate) has_duration_index: bool,
    /// Tables of our own.
    pub(crate) has_records: bool,
}

impl Schema {
    /// Looks at the tables of a keyspace, and creates what is missing where that is asked for.
    pub(crate) async fn find(
        session: &CachingSession,
        cluster: &Cluster,
        is_searched: bool,
    ) -> Result<Self, Failure> {
        let mut schema = probe(session, &cluster.keyspace).await?;
        if cluster.ensure_schema && !schema.is_whole(is_searched) {
            schema.create(session, &cluster.keyspace, is_searched).await?;
            schema = probe(session, &cluster.keyspace).await?;
        }
        schema.require(&cluster.keyspace, is_searched)?;
        tracing::info!(?schema, place = cluster.place(), "found Zipkin's tables");
        Ok(schema)
    }

    fn is_whole(&self, is_searched: bool) -> bool {
        let tables = self.has_search && self.has_remote_services && self.has_autocomplete;
        let indexes = self.has_query_columns && self.has_annotation_index && self.has_duration_index;
        self.has_spans && self.has_records && (!is_searched || tables && indexes)
    }

    fn require(&self, keyspace: &str, is_searched: bool) -> Result<(), Failure> {
        let missing = match (self.has_spans, self.has_search || !is_searched) {
            (false, _) => "span",
            (true, false) => "trace_by_service_span",
            (true, true) => return Ok(()),
        };
        Err(Failure::other(format!(
            "there is no table {missing} in the keyspace {keyspace}; create Zipkin's schema, or set CASSANDRA_ENSURE_SCHEMA=true"
        )))
    }

    async fn create(
        &self,
        session: &CachingSession,
        keyspace: &str,
        is_searched: bool,
    ) -> Result<(), Failure> {
        run(session, keyspace, SPANS).await?;
        run(session, keyspace, RECORDS).await?;
        if !is_searched {
            return Ok(());
        }
        run(session, keyspace, SEARCH).await?;
        if !self.has_query_columns {
            let add = "ALTER TABLE {keyspace}.span ADD (l_service text, annotation_query text)";
            if let Err(error) = run(session, keyspace, add).await
                && !probe(session, keyspace).await?.has_query_columns
            {
                return Err(error);
            }
        }
        match run(session, keyspace, SASI).await {
            Err(error) if error.is_refusal() => {
                tracing::warn!(
                    reason = error.tell(keyspace).to_string(),
                    "searches by tags, annotations and durations read more: Cassandra refuses SASI indexes, \
                     see sasi_indexes_enabled in its cassandra.yaml"
                );
                Ok(())
            }
            done => done,
        }
    }
}

async fn run(session: &CachingSession, keyspace: &str, statements: &str) -> Result<(), Failure> {
    for text in split(statements, keyspace) {
        session
            .get_session()
            .query_unpaged(Statement::new(text), ())
            .await?;
    }
    Ok(())
}

/// One statement after the other, without comments.
fn split(statements: &str, keyspace: &str) -> Vec<String> {
    let lines = statements.lines().filter(|line| !line.starts_with("--"));
    let statements = lines
        .collect::<Vec<_>>()
        .join("\n")
        .replace("{keyspace}", keyspace);
    let statements = statements.split(';').map(|statement| statement.trim().to_owned());
    statements.filter(|statement| !statement.is_empty()).collect()
}

async fn probe(session: &CachingSession, keyspace: &str) -> Result<Schema, Failure> {
    let columns = "SELECT table_name, column_name FROM system_schema.columns WHERE keyspace_name = ?";
    let columns: Vec<(String, String)> = rows(session, read(columns), (keyspace,)).await?;
    let indexes = "SELECT table_name, options FROM system_schema.indexes WHERE keyspace_name = ?";
    let indexes: Vec<(String, Option<std::collections::HashMap<String, String>>)> =
        rows(session, read(indexes), (keyspace,)).await?;
    let columns: HashSet<(&str, &str)> = columns
        .iter()
        .map(|(table, column)| (table.as_str(), column.as_str()))
        .collect();
    let has = |table, column| columns.contains(&(table, column));
    // By their columns: whoever created them gave them names.
    let has_index = |table: &str, column: &str| {
        indexes.iter().any(|(of, options)| {
            let target = options.as_ref().and_then(|options| options.get("target"));
            of == table && target.is_some_and(|target| target.trim_matches('"') == column)
        })
    };
    Ok(Schema {
        has_spans: has("span", "ts_uuid") && has("dependency", "calls"),
        has_search: has("trace_by_service_span", "ts") && has("span_by_service", "span"),
        has_remote_services: has("trace_by_service_remote_service", "ts")
            && has("remote_service_by_service", "remote_service"),
        has_autocomplete: has("autocomplete_tags", "value"),
        has_query_columns: has("span", "l_service") && has("span", "annotation_query"),
        has_annotation_index: has_index("span", "annotation_query"),
        has_duration_index: has_index("trace_by_service_span", "duration"),
        has_records: has("tracehound_head", "revision")
            && has("tracehound_changes", "change")
            && has("tracehound_records", "revision"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_no_statements() {
        for (statements, count) in [(SPANS, 5), (SEARCH, 5), (SASI, 3), (RECORDS, 3)] {
            let statements = split(statements, "zipkin2");
            assert_eq!(statements.len(), count, "{statements:?}");
            assert!(
                statements
                    .iter()
                    .all(|statement| statement.starts_with("CREATE ")),
                "{statements:?}"
            );
        }
    }

    #[test]
    fn what_is_missing_is_told_by_name() {
        let told = |schema: Schema, is_searched| match schema.require("zipkin2", is_searched) {
            Ok(()) => String::new(),
            Err(error) => error.tell("here").to_string(),
        };
        let nothing = Schema::default();
        assert!(told(nothing, true).contains("no table span in the keyspace zipkin2"));
        let spans = Schema {
            has_spans: true,
            ..nothing
        };
        assert!(told(spans, true).contains("trace_by_service_span"));
        assert_eq!(told(spans, false), "");
    }
}

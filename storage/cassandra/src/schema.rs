//! Which of Zipkin's tables and columns there are: older releases had fewer, and a server that does not search has fewer.

use std::collections::HashSet;

use scylla::client::caching_session::CachingSession;
use scylla::statement::Statement;

use crate::config::Cluster;
use crate::error::Failure;
use crate::link::{read, rows};

const KEYSPACE: &str = include_str!("keyspace.cql");
const SPANS: &str = include_str!("schema.cql");
const SEARCH: &str = include_str!("search.cql");
const SASI: &str = include_str!("sasi.cql");
const RECORDS: &str = include_str!("tracehound.cql");
/// What a table of spans lacks that was made by a server which does not search.
const QUERY_COLUMNS: &str = "ALTER TABLE {keyspace}.span ADD (l_service text, annotation_query text)";

/// What was found out about the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Schema {
    has_keyspace: bool,
    /// The table of spans, and that of links which Zipkin's job counts.
    has_spans: bool,
    /// Tables that traces and names are searched by.
    pub(crate) has_search: bool,
    pub(crate) has_remote_services: bool,
    pub(crate) has_autocomplete: bool,
    /// The columns of spans that `has_annotation_index` is of.
    pub(crate) has_query_columns: bool,
    pub(crate) has_annotation_index: bool,
    has_duration_index: bool,
    /// How long a span is found by these tables, where it stays longer itself.
    pub(crate) searched_seconds: Option<u64>,
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
        self.has_spans && self.has_records && (!is_searched || self.has_tables() && self.has_indexes())
    }

    fn has_tables(&self) -> bool {
        self.has_search && self.has_remote_services && self.has_autocomplete
    }

    fn has_indexes(&self) -> bool {
        self.has_query_columns && self.has_annotation_index && self.has_duration_index
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

    /// Only what is missing: whoever may write to tables need not be allowed to create any.
    async fn create(
        &self,
        session: &CachingSession,
        keyspace: &str,
        is_searched: bool,
    ) -> Result<(), Failure> {
        let groups = [
            (self.has_keyspace, KEYSPACE),
            (self.has_spans, SPANS),
            (self.has_records, RECORDS),
            (self.has_tables() || !is_searched, SEARCH),
        ];
        for (is_there, statements) in groups {
            if !is_there {
                run(session, keyspace, statements).await?;
            }
        }
        if !is_searched || self.has_indexes() {
            return Ok(());
        }
        if !self.has_query_columns
            && let Err(error) = run(session, keyspace, QUERY_COLUMNS).await
            // Another server may have been faster.
            && !probe(session, keyspace).await?.has_query_columns
        {
            return Err(error);
        }
        match run(session, keyspace, SASI).await {
            Err(error) if error.is_refusal() => {
                tracing::warn!(
                    reason = error.tell(keyspace).to_string(),
                    "searches by tags and annotations read more: Cassandra refuses SASI indexes, \
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
    let keyspaces = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?";
    let keyspaces: Vec<(String,)> = rows(session, read(keyspaces), (keyspace,)).await?;
    let lifetimes =
        "SELECT table_name, default_time_to_live FROM system_schema.tables WHERE keyspace_name = ?";
    let lifetimes: Vec<(String, Option<i32>)> = rows(session, read(lifetimes), (keyspace,)).await?;
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
        has_keyspace: !keyspaces.is_empty(),
        searched_seconds: searched_seconds(&lifetimes),
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

/// How long what is found by tables stays in them, where spans stay longer. For ever is told by nothing or by 0.
fn searched_seconds(lifetimes: &[(String, Option<i32>)]) -> Option<u64> {
    let of = |name: &str| {
        let found = lifetimes.iter().find(|lifetime| lifetime.0 == name);
        let seconds = found.and_then(|lifetime| lifetime.1).unwrap_or_default();
        u64::try_from(seconds).ok().filter(|&seconds| seconds > 0)
    };
    let searched = of("trace_by_service_span")?;
    of("span").is_none_or(|kept| kept > searched).then_some(searched)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_no_statements() {
        for (statements, count) in [(KEYSPACE, 1), (SPANS, 4), (SEARCH, 5), (SASI, 3), (RECORDS, 3)] {
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
    fn searches_reach_as_far_as_their_tables() {
        let lifetimes = |span, searched| {
            let lifetime = |name: &str, seconds| (name.to_owned(), Some(seconds));
            searched_seconds(&[
                lifetime("span", span),
                lifetime("trace_by_service_span", searched),
            ])
        };
        assert_eq!(lifetimes(604_800, 259_200), Some(259_200));
        assert_eq!(lifetimes(0, 259_200), Some(259_200));
        assert_eq!(lifetimes(604_800, 0), None);
        assert_eq!(lifetimes(604_800, 604_800), None);
        assert_eq!(searched_seconds(&[]), None);
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

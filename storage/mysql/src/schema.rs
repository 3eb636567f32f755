//! Which of Zipkin's tables and columns there are: older releases had fewer, and their data are read and written too.

use std::borrow::Cow;

use sqlx::{AssertSqlSafe, Executor, MySqlConnection, Row};
use storage::StorageError;

use crate::config::is_mariadb;
use crate::in_time::InTime;

/// `VARCHAR(255)`, in characters: as in Zipkin's schema.
const TEXT_CHARS_MAX: usize = 255;
/// `BLOB`.
const VALUE_BYTES_MAX: usize = 65_535;
/// A statement has no more text than this, and no more than a quarter of what the server takes.
const STATEMENT_BYTES_MAX: usize = 1 << 20;

/// What was found out about the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schema {
    /// Without it, the low 64 bits of trace identifiers are all there is.
    pub(crate) has_trace_id_high: bool,
    pub(crate) has_remote_service_name: bool,
    pub(crate) has_ipv6: bool,
    pub(crate) has_dependencies: bool,
    pub(crate) has_error_count: bool,
    /// Tables of our own.
    pub(crate) has_records: bool,
    /// Characters beyond the first plane have no place in `utf8` of three bytes.
    pub(crate) is_utf8mb4: bool,
    pub(crate) statement_bytes_max: usize,
}

impl Schema {
    /// Looks at the tables of the database; `None` where those of spans are missing.
    pub(crate) async fn probe(connection: &mut MySqlConnection) -> sqlx::Result<Option<Self>> {
        let rows = sqlx::query(
            "SELECT CAST(CONCAT(LOWER(table_name), '.', LOWER(column_name)) AS CHAR), \
             CAST(COALESCE(character_set_name, '') AS CHAR) FROM information_schema.columns \
             WHERE table_schema = DATABASE() \
             AND LOWER(table_name) IN ('zipkin_spans', 'zipkin_annotations', 'zipkin_dependencies', 'tracehound_records', 'tracehound_revisions')",
        )
        .fetch_all(&mut *connection)
        .in_time()
        .await?;
        let mut columns: Vec<(String, String)> = Vec::with_capacity(rows.len());
        for row in &rows {
            columns.push((row.try_get(0)?, row.try_get(1)?));
        }
        let has = |name: &str| columns.iter().any(|column| column.0 == name);
        if !has("zipkin_spans.trace_id") || !has("zipkin_annotations.trace_id") {
            return Ok(None);
        }
        let packet: u64 = sqlx::query_scalar("SELECT CAST(@@max_allowed_packet AS UNSIGNED)")
            .fetch_one(&mut *connection)
            .in_time()
            .await?;
        Ok(Some(Self {
            has_trace_id_high: has("zipkin_spans.trace_id_high") && has("zipkin_annotations.trace_id_high"),
            has_remote_service_name: has("zipkin_spans.remote_service_name"),
            has_ipv6: has("zipkin_annotations.endpoint_ipv6"),
            has_dependencies: has("zipkin_dependencies.call_count"),
            has_error_count: has("zipkin_dependencies.error_count"),
            has_records: has("tracehound_records.revision") && has("tracehound_revisions.revision"),
            is_utf8mb4: columns
                .iter()
                .all(|(_, characters)| characters.is_empty() || characters == "utf8mb4"),
            statement_bytes_max: STATEMENT_BYTES_MAX.min(packet as usize / 4),
        }))
    }

    /// Creates the tables that are missing.
    pub(crate) async fn create(connection: &mut MySqlConnection) -> sqlx::Result<()> {
        let version: String = sqlx::query_scalar("SELECT VERSION()")
            .fetch_one(&mut *connection)
            .in_time()
            .await?;
        let collation = match is_mariadb(&version) {
            true => "utf8mb4_nopad_bin",
            false => "utf8mb4_0900_bin",
        };
        let zipkins = include_str!("schema.sql").split(';');
        for statement in zipkins.chain(include_str!("tracehound.sql").split(';')) {
            let statement = statement.replace("{collation}", collation);
            connection.execute(AssertSqlSafe(statement)).in_time().await?;
        }
        Ok(())
    }

    /// The column of the high halves of trace identifiers in a table, or what stands for it.
    pub(crate) fn high(&self, table: &str) -> String {
        match self.has_trace_id_high {
            true => format!("{table}.trace_id_high"),
            false => "CAST(0 AS SIGNED)".to_owned(),
        }
    }

    /// A text as a column of texts takes it: cut, and without characters that it cannot have.
    pub(crate) fn fit<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let cut = match text.char_indices().nth(TEXT_CHARS_MAX) {
            Some((end, _)) => &text[..end],
            None => text,
        };
        if self.is_utf8mb4 || cut.chars().all(|character| character <= '\u{ffff}') {
            return Cow::Borrowed(cut);
        }
        let in_first_plane = |character| match character {
            '\u{10000}'.. => char::REPLACEMENT_CHARACTER,
            _ => character,
        };
        Cow::Owned(cut.chars().map(in_first_plane).collect())
    }

    /// The value of a tag as its column takes it: cut between two characters.
    pub(crate) fn fit_value(value: &str) -> &[u8] {
        &value.as_bytes()[..value.floor_char_boundary(VALUE_BYTES_MAX)]
    }
}

/// What to say where there are no tables.
pub(crate) fn missing(place: &str) -> StorageError {
    StorageError::Unavailable(format!(
        "MySQL at {place}: there is no table zipkin_spans or zipkin_annotations; \
         create Zipkin's schema, or set MYSQL_ENSURE_SCHEMA=true"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(is_utf8mb4: bool) -> Schema {
        Schema {
            has_trace_id_high: true,
            has_remote_service_name: true,
            has_ipv6: true,
            has_dependencies: true,
            has_error_count: true,
            has_records: true,
            is_utf8mb4,
            statement_bytes_max: STATEMENT_BYTES_MAX,
        }
    }

    #[test]
    fn a_text_is_cut_to_what_its_column_holds() {
        let long = "é".repeat(300);
        assert_eq!(schema(true).fit(&long), "é".repeat(255));
        assert_eq!(schema(true).fit("🦀"), "🦀");
        assert_eq!(schema(false).fit("a🦀b"), "a\u{fffd}b");
        assert_eq!(Schema::fit_value(&"é".repeat(40_000)).len(), 65_534);
        assert_eq!(Schema::fit_value("short"), b"short");
    }
}

//! Rows of `tracehound_records`, and the number of their last change.

use sqlx::{MySqlConnection, Row};

/// What is in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Deployment = 1,
    Report = 2,
    Slo = 3,
    Version = 4,
}

/// A row; nothing in it where it is gone.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) kind: Kind,
    pub(super) name: Vec<u8>,
    pub(super) body: Option<Vec<u8>>,
}

/// The number of the last change, locked for whoever is going to change something.
pub(super) async fn revision(connection: &mut MySqlConnection, is_locked: bool) -> sqlx::Result<i64> {
    let sql = match is_locked {
        true => "SELECT revision FROM tracehound_revisions WHERE id = 1 FOR UPDATE",
        false => "SELECT revision FROM tracehound_revisions WHERE id = 1",
    };
    sqlx::query_scalar(sql).fetch_one(connection).await
}

/// Makes a change the last one.
pub(super) async fn bump(connection: &mut MySqlConnection, to: i64) -> sqlx::Result<()> {
    let statement = sqlx::query("UPDATE tracehound_revisions SET revision = ? WHERE id = 1").bind(to);
    statement.execute(connection).await.map(drop)
}

/// What was written after a change, in the order in which it was; not reports, which nobody keeps in memory.
pub(super) async fn changed_after(connection: &mut MySqlConnection, known: i64) -> sqlx::Result<Vec<Record>> {
    let rows = sqlx::query(
        "SELECT kind, name, body FROM tracehound_records WHERE revision > ? AND kind <> 2 ORDER BY revision",
    )
    .bind(known)
    .fetch_all(connection)
    .await?;
    let mut records = Vec::with_capacity(rows.len());
    for row in &rows {
        let kind = match row.try_get::<i8, _>(0)? {
            1 => Kind::Deployment,
            3 => Kind::Slo,
            4 => Kind::Version,
            kind => {
                tracing::warn!(
                    kind,
                    "a row of tracehound_records is of a kind that is not known here"
                );
                continue;
            }
        };
        records.push(Record {
            kind,
            name: row.try_get(1)?,
            body: row.try_get(2)?,
        });
    }
    Ok(records)
}

/// Writes a row in the place of the one before.
pub(super) async fn write(
    connection: &mut MySqlConnection,
    kind: Kind,
    name: &[u8],
    body: Option<&[u8]>,
    revision: i64,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO tracehound_records (kind, name_hash, name, body, revision) \
         VALUES (?, UNHEX(SHA2(?, 256)), ?, ?, ?) \
         ON DUPLICATE KEY UPDATE body = VALUES(body), revision = VALUES(revision)",
    )
    .bind(kind as i8)
    .bind(name)
    .bind(name)
    .bind(body)
    .bind(revision)
    .execute(connection)
    .await
    .map(drop)
}

/// The body of a row.
pub(super) async fn read(
    connection: &mut MySqlConnection,
    kind: Kind,
    name: &[u8],
) -> sqlx::Result<Option<Vec<u8>>> {
    let body: Option<Option<Vec<u8>>> = sqlx::query_scalar(
        "SELECT body FROM tracehound_records WHERE kind = ? AND name_hash = UNHEX(SHA2(?, 256))",
    )
    .bind(kind as i8)
    .bind(name)
    .fetch_optional(connection)
    .await?;
    Ok(body.flatten())
}

/// Takes a row away of which the others need not hear.
pub(super) async fn remove(connection: &mut MySqlConnection, kind: Kind, name: &[u8]) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM tracehound_records WHERE kind = ? AND name_hash = UNHEX(SHA2(?, 256))")
        .bind(kind as i8)
        .bind(name)
        .execute(connection)
        .await
        .map(drop)
}

//! Rows of `tracehound_records`, and the number of their last change: whoever changes something holds that one locked.

use sqlx::{MySqlConnection, Row};
use storage::{
    BoxFuture, Changes, KnownRecords, Record, RecordBody, RecordKind, RecordTable, Result, StorageError,
};

use crate::MySqlStore;
use crate::in_time::InTime;

impl RecordTable for MySqlStore {
    fn known_records(&self) -> &KnownRecords {
        &self.records
    }

    fn revision(&self) -> BoxFuture<'_, Result<i64>> {
        Box::pin(async move {
            self.require_records().await?;
            self.answer(async { revision(&mut *self.pool().acquire().await?, false).await })
                .await
        })
    }

    fn changed_after(&self, known: i64) -> BoxFuture<'_, Result<Changes>> {
        Box::pin(async move {
            self.require_records().await?;
            self.answer(self.read_changes(known)).await
        })
    }

    fn change<'a>(&'a self, last: i64, records: &'a [Record]) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            self.require_records().await?;
            self.answer(self.write_change(last, records)).await
        })
    }

    fn body<'a>(&'a self, kind: RecordKind, name: &'a [u8]) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            self.require_records().await?;
            self.answer(async { read(&mut *self.pool().acquire().await?, kind, name).await })
                .await
        })
    }
}

impl MySqlStore {
    async fn require_records(&self) -> Result<()> {
        if self.schema().await?.has_records {
            return Ok(());
        }
        Err(StorageError::Unavailable(format!(
            "MySQL at {}: there is no table tracehound_records; set MYSQL_ENSURE_SCHEMA=true to have it created",
            self.config.server.place()
        )))
    }

    /// All as of one moment.
    async fn read_changes(&self, known: i64) -> sqlx::Result<Changes> {
        let mut transaction = self.pool().begin().in_time().await?;
        let revision = revision(&mut transaction, false).await?;
        let records = changed_after(&mut transaction, known).await?;
        transaction.commit().in_time().await?;
        Ok(Changes { revision, records })
    }

    async fn write_change(&self, last: i64, records: &[Record]) -> sqlx::Result<bool> {
        let mut transaction = self.pool().begin().in_time().await?;
        if revision(&mut transaction, true).await? != last {
            return Ok(false);
        }
        for record in records {
            write(&mut transaction, record, last + 1).await?;
        }
        let bump = sqlx::query("UPDATE tracehound_revisions SET revision = ? WHERE id = 1");
        bump.bind(last + 1).execute(&mut *transaction).in_time().await?;
        transaction.commit().in_time().await?;
        Ok(true)
    }
}

/// The number of the last change, locked for whoever is going to change something.
async fn revision(connection: &mut MySqlConnection, is_locked: bool) -> sqlx::Result<i64> {
    let sql = match is_locked {
        true => "SELECT revision FROM tracehound_revisions WHERE id = 1 FOR UPDATE",
        false => "SELECT revision FROM tracehound_revisions WHERE id = 1",
    };
    sqlx::query_scalar(sql).fetch_one(connection).in_time().await
}

async fn changed_after(connection: &mut MySqlConnection, known: i64) -> sqlx::Result<Vec<Record>> {
    let rows = sqlx::query(
        "SELECT kind, name, body FROM tracehound_records WHERE revision > ? AND kind <> 2 ORDER BY revision",
    )
    .bind(known)
    .fetch_all(connection)
    .in_time()
    .await?;
    let mut records = Vec::with_capacity(rows.len());
    for row in &rows {
        let number = row.try_get::<i8, _>(0)?;
        let Some(kind) = RecordKind::of(number.into()) else {
            tracing::warn!(
                kind = number,
                "a row of tracehound_records is of a kind that is not known here"
            );
            continue;
        };
        let body: Option<Vec<u8>> = row.try_get(2)?;
        records.push(Record {
            kind,
            name: row.try_get(1)?,
            body: body.map_or(RecordBody::Gone, RecordBody::Text),
        });
    }
    Ok(records)
}

/// Writes a row in the place of the one before.
async fn write(connection: &mut MySqlConnection, record: &Record, revision: i64) -> sqlx::Result<()> {
    let (kind, name) = (record.kind as i8, record.name.as_slice());
    let body = match &record.body {
        RecordBody::Text(text) => Some(text.as_slice()),
        RecordBody::Gone => None,
        RecordBody::Forgotten => {
            let sql = "DELETE FROM tracehound_records WHERE kind = ? AND name_hash = UNHEX(SHA2(?, 256))";
            let statement = sqlx::query(sql).bind(kind).bind(name);
            return statement.execute(connection).in_time().await.map(drop);
        }
    };
    sqlx::query(
        "INSERT INTO tracehound_records (kind, name_hash, name, body, revision) \
         VALUES (?, UNHEX(SHA2(?, 256)), ?, ?, ?) \
         ON DUPLICATE KEY UPDATE body = VALUES(body), revision = VALUES(revision)",
    )
    .bind(kind)
    .bind(name)
    .bind(name)
    .bind(body)
    .bind(revision)
    .execute(connection)
    .in_time()
    .await
    .map(drop)
}

async fn read(
    connection: &mut MySqlConnection,
    kind: RecordKind,
    name: &[u8],
) -> sqlx::Result<Option<Vec<u8>>> {
    let body: Option<Option<Vec<u8>>> = sqlx::query_scalar(
        "SELECT body FROM tracehound_records WHERE kind = ? AND name_hash = UNHEX(SHA2(?, 256))",
    )
    .bind(kind as i8)
    .bind(name)
    .fetch_optional(connection)
    .in_time()
    .await?;
    Ok(body.flatten())
}

//! Deployments and what belongs to them, in tables of our own beside Zipkin's.
//!
//! What makes a change is one row, the head: it has the number of the last change and by what the records that it wrote are
//! found, and is replaced only as it was read, by a lightweight transaction. Every record has a row of its own besides, which
//! is written with the number of its change for a timestamp, so that the later change stands however they come. Those of a
//! change are written after the head, and by whoever makes the next change before it, should the other have died in between.
//! Whoever reads takes the head first, then the records of its change, then the rows: those of a change are deleted only once
//! its rows are there.

use std::hash::{BuildHasher, RandomState};

use futures_util::stream::{self, TryStreamExt};
use scylla::DeserializeRow;
use scylla::frame::types::Consistency;
use scylla::value::CqlTimeuuid;
use sha2::{Digest, Sha256};
use storage::{
    BoxFuture, Changes, KnownRecords, Record, RecordBody, RecordKind, RecordTable, Result, StorageError,
};

use crate::CassandraStore;
use crate::error::Failure;
use crate::link::{Link, read};
use crate::rows::time_uuid;

/// Rows that are written beside each other.
const ROWS_AT_ONCE: usize = 32;

const HEAD: &str = "SELECT revision, change FROM tracehound_head WHERE id = 0";
const FIRST: &str = "INSERT INTO tracehound_head (id, revision, change) VALUES (0, ?, ?) IF NOT EXISTS";
const NEXT: &str = "UPDATE tracehound_head SET revision = ?, change = ? WHERE id = 0 IF revision = ?";
const ADD: &str = "INSERT INTO tracehound_changes (change, number, kind, name, body, is_forgotten) VALUES (?, ?, ?, ?, ?, ?)";
const OF_CHANGE: &str = "SELECT kind, name, body, is_forgotten FROM tracehound_changes WHERE change = ?";
const FORGET_CHANGE: &str = "DELETE FROM tracehound_changes WHERE change = ?";
const WRITE: &str = "INSERT INTO tracehound_records (kind, name_hash, name, body, revision) VALUES (?, ?, ?, ?, ?) \
     USING TIMESTAMP ?";
const DELETE: &str = "DELETE FROM tracehound_records USING TIMESTAMP ? WHERE kind = ? AND name_hash = ?";
const OF_KIND: &str = "SELECT name, body, revision FROM tracehound_records WHERE kind = ?";
const BODY: &str = "SELECT body FROM tracehound_records WHERE kind = ? AND name_hash = ?";

/// The last change.
#[derive(Clone, Copy, Debug, DeserializeRow)]
struct Head {
    revision: i64,
    change: CqlTimeuuid,
}

/// A record of a change.
#[derive(Clone, Debug, DeserializeRow)]
struct Changed {
    kind: i32,
    name: Vec<u8>,
    body: Option<Vec<u8>>,
    is_forgotten: bool,
}

impl Changed {
    fn of(record: &Record) -> Self {
        Self {
            kind: record.kind as i32,
            name: record.name.clone(),
            body: match &record.body {
                RecordBody::Text(text) => Some(text.clone()),
                RecordBody::Gone | RecordBody::Forgotten => None,
            },
            is_forgotten: record.body == RecordBody::Forgotten,
        }
    }

    /// `None` where it is not for memory, or nothing that is known here.
    fn into_record(self) -> Option<Record> {
        let Some(kind) = RecordKind::of(self.kind.into()) else {
            tracing::warn!(
                kind = self.kind,
                "a record in Cassandra is of a kind that is not known here"
            );
            return None;
        };
        let is_kept = kind != RecordKind::Report && !self.is_forgotten;
        is_kept.then(|| record(kind, self.name, self.body))
    }
}

/// What the row of a record is found by.
fn hash(name: &[u8]) -> Vec<u8> {
    Sha256::digest(name).to_vec()
}

fn record(kind: RecordKind, name: Vec<u8>, body: Option<Vec<u8>>) -> Record {
    let body = body.map_or(RecordBody::Gone, RecordBody::Text);
    Record { kind, name, body }
}

impl RecordTable for CassandraStore {
    fn known_records(&self) -> &KnownRecords {
        &self.records
    }

    fn revision(&self) -> BoxFuture<'_, Result<i64>> {
        Box::pin(async move {
            let link = self.with_records().await?;
            let head = self.answer(head(&link)).await?;
            Ok(head.map_or(0, |head| head.revision))
        })
    }

    fn changed_after(&self, known: i64) -> BoxFuture<'_, Result<Changes>> {
        Box::pin(async move {
            let link = self.with_records().await?;
            self.answer(read_changes(&link, known)).await
        })
    }

    fn change<'a>(&'a self, last: i64, records: &'a [Record]) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let link = self.with_records().await?;
            self.answer(self.write_change(&link, last, records)).await
        })
    }

    fn body<'a>(&'a self, kind: RecordKind, name: &'a [u8]) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            let link = self.with_records().await?;
            self.answer(read_body(&link, kind, name)).await
        })
    }
}

impl CassandraStore {
    async fn with_records(&self) -> Result<std::sync::Arc<Link>> {
        let link = self.link().await?;
        match link.schema.has_records {
            true => Ok(link),
            false => Err(StorageError::Unavailable(format!(
                "Cassandra at {}: there is no table tracehound_records; set CASSANDRA_ENSURE_SCHEMA=true to have it created",
                self.config.cluster.place()
            ))),
        }
    }

    async fn write_change(
        &self,
        link: &Link,
        last: i64,
        records: &[Record],
    ) -> std::result::Result<bool, Failure> {
        let before = head(link).await?;
        if before.map_or(0, |head| head.revision) != last {
            return Ok(false);
        }
        if let Some(head) = before {
            self.settle(link, head).await?;
        }
        let now = Head {
            revision: last + 1,
            change: time_uuid((self.config.now)(), RandomState::new().hash_one(last)),
        };
        add_change(link, now.change, records).await?;
        if !replace(link, last, now).await? {
            link.write(FORGET_CHANGE, (now.change,)).await?;
            return Ok(false);
        }
        if let Err(failure) = self.settle(link, now).await {
            tracing::warn!(
                ?failure,
                "a change of deployments waits in its head for the next one"
            );
        } else if let Some(before) = before {
            link.write(FORGET_CHANGE, (before.change,)).await?;
        }
        Ok(true)
    }

    /// Writes the rows of the records of a change, unless that is known to have been done: of that change, since another table
    /// may begin again at its number. What a later change wrote stays.
    async fn settle(&self, link: &Link, head: Head) -> std::result::Result<(), Failure> {
        if *self.settled.lock() == Some(head.change) {
            return Ok(());
        }
        let records: Vec<Changed> = link.rows(OF_CHANGE, (head.change,)).await?;
        stream::iter(records.iter().map(Ok))
            .try_for_each_concurrent(ROWS_AT_ONCE, |record| settle_one(link, record, head.revision))
            .await?;
        *self.settled.lock() = Some(head.change);
        Ok(())
    }
}

async fn settle_one(link: &Link, record: &Changed, revision: i64) -> std::result::Result<(), Failure> {
    match record.is_forgotten {
        true => {
            link.write(DELETE, (revision, record.kind, hash(&record.name)))
                .await
        }
        false => {
            let hash = hash(&record.name);
            let values = (record.kind, hash, &record.name, &record.body, revision, revision);
            link.write(WRITE, values).await
        }
    }
}

/// The head as the last change left it, also where that is not everywhere yet.
async fn head(link: &Link) -> std::result::Result<Option<Head>, Failure> {
    let mut statement = read(HEAD);
    statement.set_consistency(Consistency::LocalSerial);
    let rows: Vec<Head> = link.rows_of(statement, ()).await?;
    Ok(rows.into_iter().next())
}

async fn add_change(
    link: &Link,
    change: CqlTimeuuid,
    records: &[Record],
) -> std::result::Result<(), Failure> {
    let numbered = (0_i32..).zip(records.iter().map(Changed::of));
    let rows: Vec<_> = numbered
        .map(|(number, record)| {
            (
                change,
                number,
                record.kind,
                record.name,
                record.body,
                record.is_forgotten,
            )
        })
        .collect();
    stream::iter(rows.into_iter().map(Ok))
        .try_for_each_concurrent(ROWS_AT_ONCE, |row| async move { link.write(ADD, row).await })
        .await
}

/// Replaces the head if the last change is still the last; where nobody can tell, what the head says then.
async fn replace(link: &Link, last: i64, now: Head) -> std::result::Result<bool, Failure> {
    let replaced = match last {
        0 => link.change(FIRST, (now.revision, now.change)).await,
        last => link.change(NEXT, (now.revision, now.change, last)).await,
    };
    match replaced {
        Err(failure) if failure.is_unknown() => {
            Ok(head(link).await?.is_some_and(|head| head.change == now.change))
        }
        replaced => replaced,
    }
}

async fn read_changes(link: &Link, known: i64) -> std::result::Result<Changes, Failure> {
    let Some(head) = head(link).await? else {
        return Ok(Changes::default());
    };
    let last: Vec<Changed> = match known < head.revision {
        true => link.rows(OF_CHANGE, (head.change,)).await?,
        false => Vec::new(),
    };
    let mut changed: Vec<(i64, Record)> = Vec::new();
    for kind in [RecordKind::Deployment, RecordKind::Slo, RecordKind::Version] {
        let rows: Vec<(Vec<u8>, Option<Vec<u8>>, i64)> = link.rows(OF_KIND, (kind as i32,)).await?;
        let rows = rows.into_iter().filter(|row| row.2 > known);
        changed.extend(rows.map(|(name, body, revision)| (revision, record(kind, name, body))));
    }
    changed.sort_by_key(|changed| changed.0);
    let records = changed.into_iter().map(|changed| changed.1);
    Ok(Changes {
        revision: head.revision,
        records: records
            .chain(last.into_iter().filter_map(Changed::into_record))
            .collect(),
    })
}

async fn read_body(
    link: &Link,
    kind: RecordKind,
    name: &[u8],
) -> std::result::Result<Option<Vec<u8>>, Failure> {
    let Some(head) = head(link).await? else {
        return Ok(None);
    };
    let last: Vec<Changed> = link.rows(OF_CHANGE, (head.change,)).await?;
    let kind = kind as i32;
    if let Some(record) = last
        .into_iter()
        .find(|record| record.kind == kind && record.name == name)
    {
        return Ok(record.body);
    }
    let rows: Vec<(Option<Vec<u8>>,)> = link.rows(BODY, (kind, hash(name))).await?;
    Ok(rows.into_iter().next().and_then(|row| row.0))
}

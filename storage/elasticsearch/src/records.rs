//! Deployments and what belongs to them, in an index of our own beside Zipkin's: `tracehound_zipkin`.
//!
//! There are no transactions. What makes a change is one document, the head: it has the number of the last change and the
//! records that it wrote, and is replaced only as it was read, by its sequence number. Every record has a document of its
//! own besides, whose version is the number of the change that wrote it; those of a change are written after the head,
//! and by whoever makes the next change before it, should the other have died in between. Whoever reads takes the head
//! before the documents.

use std::sync::atomic::Ordering;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use storage::{
    BoxFuture, Changes, KnownRecords, Record, RecordBody, RecordKind, RecordTable, Result, StorageError,
};

use crate::ElasticsearchStore;
use crate::client::{LINES, ReasonParts};

/// The identifier of the head's document.
const HEAD: &str = "head";

/// A document as `_doc` answers it.
#[derive(Deserialize)]
struct Found<T> {
    #[serde(rename = "_source")]
    source: Option<T>,
    #[serde(rename = "_seq_no", default)]
    sequence_number: u64,
    #[serde(rename = "_primary_term", default)]
    primary_term: u64,
}

#[derive(Debug, Default, Deserialize, Serialize)]
struct Head {
    revision: i64,
    records: Vec<Stored>,
}

/// A record in a document. Names and bodies are in base64: they may be any bytes.
#[derive(Debug, Deserialize, Serialize)]
struct Stored {
    kind: i64,
    /// The change that wrote it.
    revision: i64,
    name: String,
    /// Nothing where it is gone.
    body: Option<String>,
    /// It has no document any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_forgotten: bool,
}

impl Stored {
    fn of(record: &Record, revision: i64) -> Self {
        Self {
            kind: record.kind as i64,
            revision,
            name: BASE64_STANDARD.encode(&record.name),
            body: match &record.body {
                RecordBody::Text(text) => Some(BASE64_STANDARD.encode(text)),
                RecordBody::Gone | RecordBody::Forgotten => None,
            },
            is_forgotten: record.body == RecordBody::Forgotten,
        }
    }

    /// `None` where it is not for memory, or nothing that is known here.
    fn record(&self) -> Option<Record> {
        let Some(kind) = RecordKind::of(self.kind) else {
            tracing::warn!(
                kind = self.kind,
                "a record in Elasticsearch is of a kind that is not known here"
            );
            return None;
        };
        if kind == RecordKind::Report || self.is_forgotten {
            return None;
        }
        let body = self.body.as_deref().map(decode).transpose();
        match (decode(&self.name), body) {
            (Ok(name), Ok(body)) => Some(Record {
                kind,
                name,
                body: body.map_or(RecordBody::Gone, RecordBody::Text),
            }),
            (Err(error), _) | (_, Err(error)) => {
                tracing::error!(%error, "a record in Elasticsearch cannot be read");
                None
            }
        }
    }

    fn id(&self) -> String {
        document_id(self.kind, self.name.as_bytes())
    }
}

fn decode(text: &str) -> Result<Vec<u8>> {
    let decoded = BASE64_STANDARD.decode(text);
    decoded.map_err(|error| StorageError::Corrupt(format!("a record in Elasticsearch is no base64: {error}")))
}

/// Of a record's kind and its name in base64.
fn document_id(kind: i64, name: &[u8]) -> String {
    let hash = Sha256::digest(name);
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{kind}-{hash}")
}

/// What became of the documents of a change.
#[derive(Deserialize)]
struct Outcome {
    #[serde(default)]
    items: Vec<std::collections::BTreeMap<String, ItemOutcome>>,
}

#[derive(Deserialize)]
struct ItemOutcome {
    status: u16,
    error: Option<ReasonParts>,
}

impl RecordTable for ElasticsearchStore {
    fn known_records(&self) -> &KnownRecords {
        &self.records
    }

    fn revision(&self) -> BoxFuture<'_, Result<i64>> {
        Box::pin(async move {
            let path = format!("/{}/_doc/{HEAD}?_source_includes=revision", self.record_index);
            #[derive(Deserialize)]
            struct Revision {
                revision: i64,
            }
            let found: Option<Found<Revision>> = self.get(&path).await?;
            Ok(found
                .and_then(|found| found.source)
                .map_or(0, |head| head.revision))
        })
    }

    fn changed_after(&self, known: i64) -> BoxFuture<'_, Result<Changes>> {
        Box::pin(async move {
            let Some((head, _)) = self.head().await? else {
                return Ok(Changes::default());
            };
            let mut stored = Vec::new();
            if known + 1 < head.revision {
                let path = format!("/{}/_refresh", self.record_index);
                self.client.send(Method::POST, &path, None).await?.accepted()?;
                let query = json!({ "range": { "revision": { "gt": known } } });
                for hit in self.documents(&self.record_index, &query).await? {
                    match serde_json::from_str::<Stored>(hit.source.get()) {
                        Ok(record) => stored.push(record),
                        Err(error) => tracing::error!(%error, "a document in Elasticsearch is no record"),
                    }
                }
                stored.sort_by_key(|record| record.revision);
            }
            if known < head.revision {
                stored.extend(head.records);
            }
            Ok(Changes {
                revision: head.revision,
                records: stored.iter().filter_map(Stored::record).collect(),
            })
        })
    }

    fn change<'a>(&'a self, last: i64, records: &'a [Record]) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let head = self.head().await?;
            let replaces = match &head {
                Some((head, _)) if head.revision != last => return Ok(false),
                Some((head, replaces)) => {
                    if self.settled.load(Ordering::SeqCst) < head.revision {
                        self.settle(head).await?;
                    }
                    replaces.as_str()
                }
                None if last != 0 => return Ok(false),
                None => {
                    self.create_record_index().await?;
                    "op_type=create"
                }
            };
            let revision = last + 1;
            let head = Head {
                revision,
                records: records
                    .iter()
                    .map(|record| Stored::of(record, revision))
                    .collect(),
            };
            let path = format!("/{}/_doc/{HEAD}?{replaces}", self.record_index);
            let body = serde_json::to_value(&head)
                .map_err(|error| StorageError::Corrupt(format!("a record cannot be written: {error}")))?;
            let answer = self.client.send(Method::PUT, &path, Some(&body)).await?;
            if answer.status == StatusCode::CONFLICT {
                return Ok(false);
            }
            answer.accepted()?;
            if let Err(error) = self.settle(&head).await {
                tracing::warn!(%error, "a change of deployments waits in its head for the next one");
            }
            Ok(true)
        })
    }

    fn body<'a>(&'a self, kind: RecordKind, name: &'a [u8]) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            let Some((head, _)) = self.head().await? else {
                return Ok(None);
            };
            let name = BASE64_STANDARD.encode(name);
            let is_it = |stored: &&Stored| stored.kind == kind as i64 && stored.name == name;
            let stored = match head.records.into_iter().find(|stored| is_it(&stored)) {
                Some(stored) => Some(stored),
                None => {
                    let id = document_id(kind as i64, name.as_bytes());
                    let found: Option<Found<Stored>> =
                        self.get(&format!("/{}/_doc/{id}", self.record_index)).await?;
                    found.and_then(|found| found.source)
                }
            };
            let body = stored.and_then(|stored| stored.body);
            body.as_deref().map(decode).transpose()
        })
    }
}

impl ElasticsearchStore {
    /// A document, as it is written last.
    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<Option<Found<T>>> {
        self.ready().await?;
        let answer = self.client.send(Method::GET, path, None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        answer.read().map(Some)
    }

    /// The head, and how to replace it and no other.
    async fn head(&self) -> Result<Option<(Head, String)>> {
        let path = format!("/{}/_doc/{HEAD}", self.record_index);
        let found: Option<Found<Head>> = self.get(&path).await?;
        Ok(found.and_then(|found| {
            let replaces = format!(
                "if_seq_no={}&if_primary_term={}",
                found.sequence_number, found.primary_term
            );
            found.source.map(|head| (head, replaces))
        }))
    }

    async fn create_record_index(&self) -> Result<()> {
        let body = json!({
            "settings": {
                "index.number_of_shards": 1,
                "index.number_of_replicas": self.config.cluster.replicas,
            },
            "mappings": {
                "dynamic": false,
                "properties": { "kind": { "type": "byte" }, "revision": { "type": "long" } },
            },
        });
        let path = format!("/{}", self.record_index);
        if self
            .client
            .send(Method::HEAD, &path, None)
            .await?
            .status
            .is_success()
        {
            return Ok(());
        }
        let answer = self.client.send(Method::PUT, &path, Some(&body)).await?;
        // Another server was faster.
        let is_there = String::from_utf8_lossy(&answer.body).contains("resource_already_exists_exception");
        if is_there { Ok(()) } else { answer.accepted() }
    }

    /// Writes the documents of a change that the head has. Those that are there already, or of a later change, stay.
    async fn settle(&self, head: &Head) -> Result<()> {
        let mut bulk = Vec::new();
        for record in &head.records {
            let place = json!({
                "_index": self.record_index,
                "_id": record.id(),
                "version": head.revision,
                "version_type": "external",
            });
            let lines = match record.is_forgotten {
                true => format!("{}\n", json!({ "delete": place })),
                false => format!("{}\n{}\n", json!({ "index": place }), json!(record)),
            };
            bulk.extend_from_slice(lines.as_bytes());
        }
        if !bulk.is_empty() {
            let answer = self
                .client
                .send_bytes(Method::POST, "/_bulk", LINES, bulk)
                .await?;
            let outcome: Outcome = answer.read()?;
            let failed = outcome.items.iter().flat_map(|item| item.values());
            let mut failed = failed.filter(|item| item.status >= 300 && ![404, 409].contains(&item.status));
            if let Some(item) = failed.next() {
                let why = item.error.as_ref().map(ReasonParts::told).unwrap_or_default();
                let told = format!("Elasticsearch did not store a record: {}: {why}", item.status);
                return Err(StorageError::Unavailable(told));
            }
        }
        self.settled.fetch_max(head.revision, Ordering::SeqCst);
        Ok(())
    }
}

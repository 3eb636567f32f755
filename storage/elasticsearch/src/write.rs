//! Spans into the day's indexes by `_bulk`, each document with its outcome.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use model::{Span, SpanBatch};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use storage::{BoxFuture, Result, SpanSink, StorageError, note_versions};

use crate::ElasticsearchStore;
use crate::client::{LINES, ReasonParts};
use crate::documents::{Document, moment_of};
use crate::indexes::Contents;

/// A request is sent once it is that long: a cluster that is slow has done it before `ES_TIMEOUT`, and a batch of several
/// makes its way.
const BULK_BYTES: usize = 1 << 20;

/// The outcome of a request, but for documents that were stored.
#[derive(Deserialize)]
struct Outcome {
    #[serde(default)]
    errors: bool,
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: Option<ItemOutcome>,
}

#[derive(Deserialize)]
struct ItemOutcome {
    #[serde(rename = "_id", default)]
    id: Option<String>,
    status: u16,
    error: Option<ReasonParts>,
}

impl SpanSink for ElasticsearchStore {
    fn accept<'a>(&'a self, batch: &'a SpanBatch) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if batch.is_empty() {
                return Ok(());
            }
            self.ready().await?;
            let spans: Vec<Span> = batch.iter().map(|span| span.to_span()).collect();
            let stored = self.write_spans(&spans).await;
            // Also where it failed: some of it may be there.
            self.writes.fetch_add(1, Ordering::SeqCst);
            stored?;
            note_versions(self, batch, &self.config.options, (self.config.now)()).await
        })
    }
}

impl ElasticsearchStore {
    async fn write_spans(&self, spans: &[Span]) -> Result<()> {
        let options = &self.config.options;
        let now = (self.config.now)().saturating_mul(1000);
        let mut bulk = Vec::new();
        for span in spans {
            let index = self.names.at(Contents::Spans, moment_of(span).unwrap_or(now));
            let document = Document::of(span, options.search_enabled);
            push(&mut bulk, &index, &document.id, &document.json);
            if bulk.len() >= BULK_BYTES {
                self.write(std::mem::take(&mut bulk)).await?;
            }
        }
        let values = self.new_values(spans, now);
        for (index, id, json) in values.documents() {
            push(&mut bulk, index, id, json.as_bytes());
            if bulk.len() >= BULK_BYTES {
                self.write(std::mem::take(&mut bulk)).await?;
            }
        }
        if !bulk.is_empty() {
            self.write(bulk).await?;
        }
        self.suggestions.written(values);
        Ok(())
    }

    async fn write(&self, bulk: Vec<u8>) -> Result<()> {
        let mut path =
            "/_bulk?filter_path=errors,items.index._id,items.index.status,items.index.error".to_owned();
        if let Some(pipeline) = &self.config.cluster.pipeline {
            path.push_str("&pipeline=");
            path.extend(utf8_percent_encode(pipeline, NON_ALPHANUMERIC));
        }
        let answer = self.client.send_bytes(Method::POST, &path, LINES, bulk).await?;
        let outcome: Outcome = answer.read()?;
        if !outcome.errors {
            return Ok(());
        }
        let failed = outcome.items.iter().filter_map(|item| item.index.as_ref());
        let failed: Vec<&ItemOutcome> = failed.filter(|item| item.error.is_some()).collect();
        Err(worst(&failed))
    }
}

fn push(bulk: &mut Vec<u8>, index: &str, id: &str, document: &[u8]) {
    let action = json!({ "index": { "_index": index, "_id": id } });
    bulk.extend_from_slice(action.to_string().as_bytes());
    bulk.push(b'\n');
    bulk.extend_from_slice(document);
    bulk.push(b'\n');
}

/// What becomes of a batch of which some documents were not stored: it is sent again as long as that may help.
fn worst(failed: &[&ItemOutcome]) -> StorageError {
    let again = failed.iter().find(|item| !is_hopeless(item));
    let Some(item) = again.or(failed.first()) else {
        return StorageError::Unavailable(
            "Elasticsearch did not store a batch, and does not say why".to_owned(),
        );
    };
    let why = item.error.as_ref().map(ReasonParts::told).unwrap_or_default();
    let id = item.id.as_deref().unwrap_or_default();
    let told = format!(
        "Elasticsearch did not store {} documents, such as {id}: {}: {why}",
        failed.len(),
        item.status
    );
    match (again.is_some(), item.status) {
        (false, _) => StorageError::Invalid(told),
        (true, 429) => StorageError::Overloaded(told),
        (true, _) => StorageError::Unavailable(told),
    }
}

/// Whether the document itself is what cannot be stored. A missing pipeline is refused by the same words as a field.
fn is_hopeless(item: &ItemOutcome) -> bool {
    let Some(error) = &item.error else { return false };
    let of_document = [
        "mapper_parsing_exception",
        "document_parsing_exception",
        "illegal_argument_exception",
    ];
    let is_about_pipeline = error
        .reason
        .as_ref()
        .is_some_and(|reason| reason.contains("pipeline"));
    item.status == 400 && of_document.contains(&error.kind.as_str()) && !is_about_pipeline
}

/// Values of tags that are suggested, and not written yet.
#[derive(Debug, Default)]
pub(crate) struct NewValues {
    pub(crate) hour: u64,
    /// Index, identifier and document.
    pub(crate) documents: HashSet<(String, String, String)>,
}

impl NewValues {
    fn documents(&self) -> impl Iterator<Item = (&String, &String, &String)> {
        self.documents.iter().map(|(index, id, json)| (index, id, json))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(status: u16, kind: &str, reason: &str) -> ItemOutcome {
        let error = json!({ "type": kind, "reason": reason });
        ItemOutcome {
            id: Some("1-a".to_owned()),
            status,
            error: serde_json::from_value(error).ok(),
        }
    }

    #[test]
    fn only_what_can_never_be_stored_is_refused() {
        let bad = item(400, "mapper_parsing_exception", "failed to parse");
        let full = item(429, "es_rejected_execution_exception", "queue");
        let shards = item(400, "validation_exception", "maximum shards open");
        let pipeline = item(
            400,
            "illegal_argument_exception",
            "pipeline with id [a] does not exist",
        );
        assert!(matches!(worst(&[&bad]), StorageError::Invalid(_)));
        assert!(matches!(worst(&[&bad, &full]), StorageError::Overloaded(_)));
        assert!(matches!(worst(&[&shards]), StorageError::Unavailable(_)));
        assert!(matches!(worst(&[&pipeline]), StorageError::Unavailable(_)));
    }
}

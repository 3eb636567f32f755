//! Lists of names, and of values of tags.

use std::collections::{BTreeSet, HashSet};

use model::Span;
use parking_lot::Mutex;
use serde_json::{Value, json};
use storage::Result;

use crate::ElasticsearchStore;
use crate::documents::{NAME_BYTES_MAX, content_id, fit, moment_of, term};
use crate::indexes::Contents;
use crate::write::NewValues;

/// Longer lists are cut.
const NAMES_MAX: usize = 100_000;
/// Bytes of a document's identifier.
const ID_BYTES_MAX: usize = 512;
/// As many values as Zipkin remembers to have written.
const REMEMBERED_MAX: usize = 20_000;
const HOUR_MS: u64 = 3_600_000;

/// Values that were written within the hour, which need not be again.
#[derive(Debug, Default)]
pub(crate) struct Suggestions {
    written: Mutex<Written>,
}

#[derive(Debug, Default)]
struct Written {
    hour: u64,
    /// Index and identifier.
    values: HashSet<(String, String)>,
}

impl Suggestions {
    fn are_known(&self, hour: u64, value: &(String, String)) -> bool {
        let written = self.written.lock();
        written.hour == hour && written.values.contains(value)
    }

    /// To be called when they are stored.
    pub(crate) fn written(&self, new: NewValues) {
        let mut written = self.written.lock();
        if written.hour != new.hour || written.values.len() + new.documents.len() > REMEMBERED_MAX {
            written.values.clear();
            written.hour = new.hour;
        }
        let room = REMEMBERED_MAX - written.values.len().min(REMEMBERED_MAX);
        let values = new.documents.into_iter().map(|(index, id, _)| (index, id));
        written.values.extend(values.take(room));
    }
}

impl ElasticsearchStore {
    /// The values of tags in spans that are suggested; `now` in microseconds.
    pub(crate) fn new_values(&self, spans: &[Span], now: u64) -> NewValues {
        let hour = now / 1000 / HOUR_MS;
        let mut new = NewValues {
            hour,
            ..NewValues::default()
        };
        let keys = &self.config.options.autocomplete_keys;
        if !self.is_searched() || keys.is_empty() {
            return new;
        }
        for span in spans {
            for (key, value) in span
                .tags
                .iter()
                .filter(|(key, value)| keys.contains(key) && !value.is_empty())
            {
                if key.len().max(value.len()) > NAME_BYTES_MAX {
                    continue;
                }
                let id = value_id(key, value);
                let index = self
                    .names
                    .at(Contents::Autocomplete, moment_of(span).unwrap_or(now));
                let value_key = (index, id);
                if !self.suggestions.are_known(hour, &value_key) {
                    let json = json!({ "tagKey": key, "tagValue": value }).to_string();
                    new.documents.insert((value_key.0, value_key.1, json));
                }
            }
        }
        new
    }

    pub(crate) async fn list_services(&self) -> Result<Vec<String>> {
        self.list(
            Contents::Spans,
            "localEndpoint.serviceName",
            json!({ "match_all": {} }),
        )
        .await
    }

    pub(crate) async fn list_span_names(&self, service_name: &str) -> Result<Vec<String>> {
        self.list(Contents::Spans, "name", of_service(service_name)).await
    }

    pub(crate) async fn list_remote_services(&self, service_name: &str) -> Result<Vec<String>> {
        self.list(
            Contents::Spans,
            "remoteEndpoint.serviceName",
            of_service(service_name),
        )
        .await
    }

    pub(crate) async fn list_values(&self, key: &str) -> Result<Vec<String>> {
        self.list(
            Contents::Autocomplete,
            "tagValue",
            json!({ "term": { "tagKey": key } }),
        )
        .await
    }

    async fn list(&self, contents: Contents, field: &str, query: Value) -> Result<Vec<String>> {
        self.fresh().await?;
        let (names, _) = self
            .values(&self.names.all(contents), field, &query, NAMES_MAX)
            .await?;
        let names: BTreeSet<String> = names.into_iter().filter(|name| !name.is_empty()).collect();
        Ok(names.into_iter().collect())
    }
}

/// The identifier of a value's document: as Zipkin's, but for long values, which Zipkin does not write and an identifier has
/// no place for.
fn value_id(key: &str, value: &str) -> String {
    match term(key, value) {
        Some(id) if id.len() <= ID_BYTES_MAX => id,
        _ => content_id(format!("{key}={value}").as_bytes()),
    }
}

fn of_service(service_name: &str) -> Value {
    json!({ "term": { "localEndpoint.serviceName": fit(&service_name.to_lowercase()) } })
}

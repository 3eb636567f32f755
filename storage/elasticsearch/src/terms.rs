//! Which different values a field has: names, and identifiers of traces.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use storage::Result;

use crate::ElasticsearchStore;
use crate::read::{LENIENT, WHOLE};

/// Values of an answer.
const PAGE: usize = 5_000;

#[derive(Deserialize)]
struct Answer {
    aggregations: Option<Aggregations>,
}

#[derive(Deserialize)]
struct Aggregations {
    values: Values,
}

#[derive(Deserialize)]
struct Values {
    after_key: Option<Value>,
    #[serde(default)]
    buckets: Vec<Bucket>,
}

#[derive(Deserialize)]
struct Bucket {
    key: Key,
}

#[derive(Deserialize)]
struct Key {
    value: String,
}

impl ElasticsearchStore {
    /// The different values of a field in the documents that a query finds, ascending; with more than `max`, these, and
    /// false.
    pub(crate) async fn values(
        &self,
        indexes: &str,
        field: &str,
        query: &Value,
        max: usize,
    ) -> Result<(Vec<String>, bool)> {
        let path = format!("/{indexes}/_search?{LENIENT}&{WHOLE}");
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let mut values = json!({
                "size": PAGE.min(max + 1),
                "sources": [{ "value": { "terms": { "field": field } } }],
            });
            if let Some(after) = after {
                values["after"] = after;
            }
            let body = json!({
                "size": 0,
                "track_total_hits": false,
                "query": query,
                "aggs": { "values": { "composite": values } },
            });
            let answer: Answer = self.client.ask(Method::POST, &path, Some(&body)).await?;
            // Without any index there is nothing to count by.
            let Some(Aggregations { values }) = answer.aggregations else {
                return Ok((found, true));
            };
            found.extend(values.buckets.into_iter().map(|bucket| bucket.key.value));
            if found.len() > max {
                found.truncate(max);
                return Ok((found, false));
            }
            match values.after_key {
                Some(key) => after = Some(key),
                None => return Ok((found, true)),
            }
        }
    }
}

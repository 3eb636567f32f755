//! What a cluster must be before spans are written or looked for: one that is spoken to, with templates.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use storage::{Result, StorageError};

use crate::ElasticsearchStore;
use crate::indexes::Contents;
use crate::templates::templates;

/// The oldest that is spoken to: the documents of those before have types.
const VERSION_MIN: u64 = 7;
/// A moment whose index the templates must be for; any would do.
const SOME_MOMENT: u64 = 0;

#[derive(Deserialize)]
struct About {
    version: Version,
}

#[derive(Deserialize)]
struct Version {
    number: String,
    distribution: Option<String>,
}

/// A template, as `_template` answers it.
#[derive(Deserialize)]
struct Template {
    #[serde(default)]
    index_patterns: Vec<String>,
    #[serde(default)]
    mappings: Value,
}

#[derive(Deserialize)]
struct ComposableTemplates {
    index_templates: Vec<NamedTemplate>,
}

#[derive(Deserialize)]
struct NamedTemplate {
    index_template: ComposableTemplate,
}

/// As `_index_template` answers it: what it says, or which others say it.
#[derive(Deserialize)]
struct ComposableTemplate {
    #[serde(deserialize_with = "one_or_many")]
    index_patterns: Vec<String>,
    #[serde(default)]
    template: Value,
    #[serde(default)]
    composed_of: Vec<String>,
}

impl ElasticsearchStore {
    /// The cluster is one that is spoken to, and has the templates, after this.
    pub(crate) async fn ready(&self) -> Result<()> {
        if self.is_ready.load(Ordering::Acquire) {
            return Ok(());
        }
        let _readying = self.readying.lock().await;
        if self.is_ready.load(Ordering::Acquire) {
            return Ok(());
        }
        let about: About = self.client.ask(Method::GET, "/", None).await?;
        let Version { number, distribution } = about.version;
        let major = number
            .split('.')
            .next()
            .and_then(|major| major.parse::<u64>().ok());
        let is_opensearch = distribution.as_deref() == Some("opensearch");
        if !is_opensearch && major.is_none_or(|major| major < VERSION_MIN) {
            return Err(StorageError::Unavailable(format!(
                "Elasticsearch {number} is not supported: 7 to 9, or OpenSearch"
            )));
        }
        match self.config.cluster.ensure_templates {
            true => self.write_templates().await?,
            false => self.require_template().await?,
        }
        tracing::info!(number, is_opensearch, "found Elasticsearch");
        self.is_ready.store(true, Ordering::Release);
        Ok(())
    }

    async fn write_templates(&self) -> Result<()> {
        for (path, body) in templates(&self.config.cluster, self.is_strict(), self.is_searched()) {
            self.client
                .send(Method::PUT, &path, Some(&body))
                .await?
                .accepted()?;
        }
        Ok(())
    }

    /// Without a template, an index would take each tag for a field of its own, and spans that do not fit together not at
    /// all.
    async fn require_template(&self) -> Result<()> {
        let index = self.names.at(Contents::Spans, SOME_MOMENT);
        let composable: Option<ComposableTemplates> = self.listed("/_index_template").await?;
        let legacy: Option<BTreeMap<String, Template>> = self.listed("/_template").await?;
        if composable.is_none() && legacy.is_none() {
            tracing::warn!("whether there are index templates may not be asked");
            return Ok(());
        }
        let composable = composable.map_or_else(Vec::new, |answer| answer.index_templates);
        let is_there = composable.iter().any(|named| named.index_template.is_for(&index))
            || legacy
                .unwrap_or_default()
                .values()
                .any(|template| template.is_for(&index));
        match is_there {
            true => Ok(()),
            false => Err(StorageError::Unavailable(format!(
                "Elasticsearch has no index template for indexes such as {index}: ES_ENSURE_TEMPLATES=true writes them"
            ))),
        }
    }

    /// A list of templates; `None` where it may not be asked for, or there is no such list.
    async fn listed<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        let answer = self.client.send(Method::GET, path, None).await?;
        // Elasticsearch before 7.8 takes the name of the newer list for an index that cannot be.
        let unknown = [
            StatusCode::FORBIDDEN,
            StatusCode::NOT_FOUND,
            StatusCode::BAD_REQUEST,
            StatusCode::METHOD_NOT_ALLOWED,
        ];
        if unknown.contains(&answer.status) {
            return Ok(None);
        }
        answer.read().map(Some)
    }
}

impl Template {
    fn is_for(&self, index: &str) -> bool {
        fits(&self.index_patterns, index) && maps_spans(&self.mappings)
    }
}

impl ComposableTemplate {
    fn is_for(&self, index: &str) -> bool {
        fits(&self.index_patterns, index)
            && (maps_spans(&self.template["mappings"]) || !self.composed_of.is_empty())
    }
}

fn maps_spans(mappings: &Value) -> bool {
    mappings["properties"]["traceId"].is_object()
}

/// Whether a pattern fits a name; `*` is any text.
fn fits(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| {
        let mut parts = pattern.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        for part in parts {
            let Some((_, after)) = rest.split_once(part) else {
                return false;
            };
            rest = after;
        }
        rest.ends_with(last)
    })
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(read: D) -> std::result::Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(read)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patterns_are_of_stars() {
        let fits = |pattern: &str| fits(&[pattern.to_owned()], "zipkin-span-1970-01-01");
        for pattern in [
            "*",
            "zipkin-*",
            "zipkin-span-1970-01-01",
            "z*span*1970*",
            "*-01",
            "*-*01-01",
        ] {
            assert!(fits(pattern), "{pattern}");
        }
        for pattern in [
            "",
            "zipkin",
            "zipkin-span-",
            "*-02",
            "zipkin-span-1970-01-01-*01",
            "z*tag*1",
        ] {
            assert!(!fits(pattern), "{pattern}");
        }
    }

    #[test]
    fn a_template_must_say_something_of_spans() {
        let of = |body: Value| -> ComposableTemplate {
            serde_json::from_value(body).unwrap_or_else(|error| panic!("{error}"))
        };
        let mappings = json!({ "properties": { "traceId": { "type": "keyword" } } });
        let index = "zipkin-span-1970-01-01";
        assert!(of(json!({ "index_patterns": "zip*", "template": { "mappings": mappings } })).is_for(index));
        assert!(of(json!({ "index_patterns": ["zip*"], "composed_of": ["spans"] })).is_for(index));
        assert!(!of(json!({ "index_patterns": ["*"], "template": { "settings": {} } })).is_for(index));
        assert!(!of(json!({ "index_patterns": ["x*"], "template": { "mappings": mappings } })).is_for(index));
    }
}

//! Zipkin's index templates (`zipkin.md` 8.3), which say how documents are indexed.

use serde_json::{Value, json};

use crate::config::Cluster;
use crate::indexes::Contents;

/// Characters beyond which text is not indexed.
pub(crate) const INDEXED_CHARS_MAX: usize = 256;

const CONTENTS: [Contents; 3] = [Contents::Spans, Contents::Dependencies, Contents::Autocomplete];

/// Where templates are put, and what.
pub(crate) fn templates(cluster: &Cluster, is_strict: bool, is_searched: bool) -> Vec<(String, Value)> {
    let place = match cluster.template_priority {
        Some(_) => "_index_template",
        None => "_template",
    };
    let template = |contents: Contents| {
        let mappings = match contents {
            Contents::Spans => spans(is_strict, is_searched),
            Contents::Dependencies => json!({ "enabled": false }),
            Contents::Autocomplete => json!({
                "enabled": true,
                "properties": { "tagKey": keyword(), "tagValue": keyword() },
            }),
        };
        let mut settings = json!({
            "index.number_of_shards": cluster.shards,
            "index.number_of_replicas": cluster.replicas,
            "index.requests.cache.enable": true,
        });
        if contents == Contents::Spans && !is_strict {
            settings["analysis"] = low_half_analysis();
        }
        let patterns = format!("{}-{}-*", cluster.index, contents.name());
        let body = match cluster.template_priority {
            Some(priority) => json!({
                "index_patterns": [patterns],
                "priority": priority,
                "template": { "settings": settings, "mappings": mappings },
            }),
            None => json!({ "index_patterns": [patterns], "settings": settings, "mappings": mappings }),
        };
        (
            format!("/{place}/{}-{}_template", cluster.index, contents.name()),
            body,
        )
    };
    CONTENTS.map(template).into()
}

fn keyword() -> Value {
    json!({ "type": "keyword", "norms": false })
}

fn spans(is_strict: bool, is_searched: bool) -> Value {
    let trace_id = match is_strict {
        true => keyword(),
        false => json!({ "type": "text", "fielddata": "true", "analyzer": "traceId_analyzer" }),
    };
    if !is_searched {
        return json!({
            "properties": {
                "traceId": trace_id,
                "annotations": { "enabled": false },
                "tags": { "enabled": false },
            },
        });
    }
    let endpoint = json!({
        "type": "object",
        "dynamic": false,
        "properties": { "serviceName": keyword() },
    });
    json!({
        "_source": { "excludes": ["_q"] },
        "dynamic_templates": [{
            "strings": {
                "mapping": { "type": "keyword", "norms": false, "ignore_above": INDEXED_CHARS_MAX },
                "match_mapping_type": "string",
                "match": "*",
            },
        }],
        "properties": {
            "traceId": trace_id,
            "name": keyword(),
            "localEndpoint": endpoint,
            "remoteEndpoint": endpoint,
            "timestamp_millis": { "type": "date", "format": "epoch_millis" },
            "duration": { "type": "long" },
            "annotations": { "enabled": false },
            "tags": { "enabled": false },
            "_q": keyword(),
        },
    })
}

/// An identifier is found by its low half, and whole.
fn low_half_analysis() -> Value {
    json!({
        "analyzer": {
            "traceId_analyzer": {
                "type": "custom",
                "tokenizer": "keyword",
                "filter": "traceId_filter",
            },
        },
        "filter": {
            "traceId_filter": {
                "type": "pattern_capture",
                "patterns": ["([0-9a-f]{1,16})$"],
                "preserve_original": true,
            },
        },
    })
}

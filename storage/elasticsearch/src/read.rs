//! Whole traces, and other documents, however many there are: a page, and the rest by scrolling.

use model::{Span, TraceId};
use reqwest::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use storage::Result;

use crate::ElasticsearchStore;
use crate::documents::spans_of;
use crate::indexes::Contents;

/// As many documents as an answer may have (`index.max_result_window`).
const PAGE: usize = 10_000;
/// How long a node keeps what is scrolled through, from one page to the next.
const SCROLL: &str = "1m";
/// Indexes need not be there, and nothing is left out where some cannot answer.
pub(crate) const LENIENT: &str = "allow_no_indices=true&expand_wildcards=open&ignore_unavailable=true";
pub(crate) const WHOLE: &str = "allow_partial_search_results=false";

#[derive(Deserialize)]
struct Page {
    #[serde(rename = "_scroll_id")]
    scroll_id: Option<String>,
    hits: Hits,
}

#[derive(Deserialize)]
struct Hits {
    total: Option<Total>,
    #[serde(default)]
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
struct Total {
    value: usize,
}

/// A document that was found.
#[derive(Debug, Deserialize)]
pub(crate) struct Hit {
    #[serde(rename = "_index")]
    pub(crate) index: String,
    #[serde(rename = "_source")]
    pub(crate) source: Box<RawValue>,
}

impl ElasticsearchStore {
    /// See [`storage::SpanSource::traces`]: traces by their identifiers, or where these are not compared in full, by the
    /// low halves.
    pub(crate) async fn traces_by_id(&self, trace_ids: &[TraceId]) -> Result<Vec<Vec<Span>>> {
        self.fresh().await?;
        let terms = trace_ids
            .iter()
            .flat_map(|&trace_id| self.terms_of(trace_id))
            .collect();
        let spans = self.load(terms).await?;
        let asked: Vec<_> = trace_ids.iter().map(|&trace_id| self.key(trace_id)).collect();
        let mut traces = std::collections::BTreeMap::<_, Vec<Span>>::new();
        for span in spans {
            let key = self.key(span.trace_id);
            if asked.contains(&key) {
                traces.entry(key).or_default().push(span);
            }
        }
        Ok(traces.into_values().collect())
    }

    /// What is one trace has one key.
    pub(crate) fn key(&self, trace_id: TraceId) -> (u64, u64) {
        let high = if self.is_strict() { trace_id.high() } else { 0 };
        (trace_id.low(), high)
    }

    /// What finds a trace.
    pub(crate) fn terms_of(&self, trace_id: TraceId) -> Vec<String> {
        match self.is_strict() || trace_id.high() == 0 {
            true => vec![trace_id.to_string()],
            false => vec![trace_id.to_string(), format!("{:016x}", trace_id.low())],
        }
    }

    /// The spans that bear one of some trace identifiers, each once.
    pub(crate) async fn load(&self, mut trace_ids: Vec<String>) -> Result<Vec<Span>> {
        trace_ids.sort_unstable();
        trace_ids.dedup();
        if trace_ids.is_empty() {
            return Ok(Vec::new());
        }
        let query = json!({ "terms": { "traceId": trace_ids } });
        let hits = self.documents(&self.names.all(Contents::Spans), &query).await?;
        Ok(spans_of(hits.iter().map(|hit| hit.source.as_ref())))
    }

    /// All documents that a query finds, in no particular order.
    pub(crate) async fn documents(&self, indexes: &str, query: &Value) -> Result<Vec<Hit>> {
        let body = json!({ "size": PAGE, "track_total_hits": true, "query": query, "sort": ["_doc"] });
        let path = format!("/{indexes}/_search?{LENIENT}&{WHOLE}");
        let page: Page = self.client.ask(Method::POST, &path, Some(&body)).await?;
        let total = page.hits.total.map_or(0, |total| total.value);
        if total <= page.hits.hits.len() {
            return Ok(page.hits.hits);
        }
        self.scroll(&path, &body, total).await
    }

    async fn scroll(&self, path: &str, body: &Value, total: usize) -> Result<Vec<Hit>> {
        let path = format!("{path}&scroll={SCROLL}");
        let mut page: Page = self.client.ask(Method::POST, &path, Some(body)).await?;
        let mut hits = Vec::with_capacity(total);
        loop {
            let is_last = page.hits.hits.is_empty();
            hits.append(&mut page.hits.hits);
            let Some(scroll_id) = page.scroll_id.take() else {
                return Ok(hits);
            };
            if is_last {
                let done = json!({ "scroll_id": [scroll_id] });
                // It goes by itself after a while.
                if let Err(error) = self
                    .client
                    .send(Method::DELETE, "/_search/scroll", Some(&done))
                    .await
                {
                    tracing::debug!(%error, "what was scrolled through could not be freed");
                }
                return Ok(hits);
            }
            let next = json!({ "scroll": SCROLL, "scroll_id": scroll_id });
            page = self
                .client
                .ask(Method::POST, "/_search/scroll", Some(&next))
                .await?;
        }
    }
}

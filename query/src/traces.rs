//! Traces by identifier and by search, as they were reported: nothing is merged or corrected on the way out
//! (`zipkin.md` 4.3).

use storage::{Found, Order, StorageError, TraceQuery};

use crate::Query;
use crate::answer::{Answer, Failure, search_disabled};
use crate::params::{self, Params};
use crate::span_json::SpanJson;

/// What a search found.
pub(crate) struct Page {
    pub(crate) query: TraceQuery,
    pub(crate) found: Found,
    /// Where there are more: the parameters of the next page.
    pub(crate) next: Option<String>,
}

impl Query {
    /// `/trace/{id}`; the identifier as it stands in the path, still escaped.
    pub(crate) async fn trace(&self, escaped_id: &str) -> Result<Answer, Failure> {
        let trace_id = params::trace_id(escaped_id)?;
        let spans = self.source.trace(trace_id).await?;
        if spans.is_empty() {
            return Err(Failure::NotFound(trace_id));
        }
        Ok(Answer::spans(SpanJson::trace(spans), Default::default()))
    }

    /// `/traceMany`: the traces there are of those asked for.
    pub(crate) async fn trace_many(&self, params: &Params<'_>) -> Result<Answer, Failure> {
        let trace_ids = params::trace_ids(params.required("traceIds")?)?;
        let traces = self.source.traces(&trace_ids).await?;
        Ok(Answer::spans(SpanJson::traces(traces), Default::default()))
    }

    /// `/traces`.
    pub(crate) async fn traces(&self, params: &Params<'_>) -> Result<Answer, Failure> {
        let Page { found, next, .. } = self.search(params).await?;
        Ok(Answer::spans(SpanJson::traces(found.traces), found.completeness).with_next(next))
    }

    /// `/traces/untimed`: traces that no window finds, a page of them by their identifiers. Asked again with `after`
    /// the last one of an answer until there are none, it gives each once.
    pub(crate) async fn untimed(&self, params: &Params<'_>) -> Result<Answer, Failure> {
        let (after, limit) = params::untimed_page(params)?;
        let found = self.source.untimed(after, limit).await?;
        Ok(Answer::spans(SpanJson::traces(found.traces), found.completeness))
    }

    /// What `/traces` and `/traceSummaries` have in common. A question is checked even when search is disabled,
    /// as in Zipkin.
    pub(crate) async fn search(&self, params: &Params<'_>) -> Result<Page, Failure> {
        let query = params::trace_query(params, &self.config)?;
        if !self.config.search_enabled {
            let found = Found {
                traces: Vec::new(),
                completeness: search_disabled(),
            };
            let next = None;
            return Ok(Page { query, found, next });
        }
        self.check_order(&query)?;
        let mut found = self.source.search(&query.and_one_more()).await?;
        let is_more = found.traces.len() > query.limit();
        found.traces.truncate(query.limit());
        let last = found.traces.last().filter(|trace| is_more && !trace.is_empty());
        let next = last.map(|trace| params.with_after(query.position(trace)));
        Ok(Page { query, found, next })
    }

    /// A store that cannot order the whole window would answer something else than what was asked.
    fn check_order(&self, query: &TraceQuery) -> Result<(), StorageError> {
        if query.order() == Order::Newest || self.source.capabilities().orders {
            return Ok(());
        }
        Err(StorageError::Unsupported(
            "this storage sorts by newest only".to_owned(),
        ))
    }
}

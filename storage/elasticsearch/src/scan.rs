//! All traces of a window: what is counted from traces goes by this.

use std::collections::BTreeMap;

use model::{Span, TraceId};
use storage::{BoxFuture, Result, StorageError, Visit, VisitTraces};

use crate::ElasticsearchStore;
use crate::slices::{Slices, within};

/// Traces that are read at one time.
pub(crate) const TRACES_A_READ: usize = 64;
/// Traces that are counted for one answer.
const TRACES_MAX: usize = 4_000_000;
/// By how much spans of one trace that is told by two identifiers, the one being half of the other, may be outside of a
/// window. Microseconds.
const MARGIN: u64 = 60_000_000;

impl VisitTraces for ElasticsearchStore {
    fn version_tags(&self) -> &[String] {
        &self.config.options.version_tags
    }

    fn visit_traces<'a>(&'a self, (start, end): (u64, u64), visit: Visit<'a>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.fresh().await?;
            let ids = self
                .ids_of((start.saturating_sub(MARGIN), end.saturating_add(MARGIN)))
                .await?;
            let mut halves: Vec<&[TraceId]> = ids.chunk_by(|one, next| one.low() == next.low()).collect();
            while !halves.is_empty() {
                let now = halves.split_off(halves.len().saturating_sub(TRACES_A_READ));
                // Those that were cut in half on their way as well.
                let terms = now.iter().flat_map(|ids| {
                    let half = format!("{:016x}", ids[0].low());
                    ids.iter().map(TraceId::to_string).chain([half])
                });
                let mut traces = BTreeMap::<u64, Vec<Span>>::new();
                for span in self.load(terms.collect()).await? {
                    traces.entry(span.trace_id.low()).or_default().push(span);
                }
                traces.values().for_each(|spans| visit(spans));
            }
            Ok(())
        })
    }
}

impl ElasticsearchStore {
    /// The identifiers of traces that have a span in a window, by their low halves.
    async fn ids_of(&self, window: (u64, u64)) -> Result<Vec<TraceId>> {
        let mut ids: Vec<TraceId> = Vec::new();
        let mut slices = Slices::of(window);
        while let Some(slice) = slices.next(self).await? {
            let indexes = self.indexes_of(slice);
            let (found, _) = self
                .values(&indexes, "traceId", &within(slice), TRACES_MAX)
                .await?;
            ids.extend(found.iter().filter_map(|id| TraceId::parse(id).ok()));
            if ids.len() > TRACES_MAX {
                return Err(StorageError::Unsupported(format!(
                    "counting more than {TRACES_MAX} traces of Elasticsearch for one answer: ask for a shorter window"
                )));
            }
        }
        ids.sort_unstable_by_key(|id| (id.low(), id.high()));
        ids.dedup();
        Ok(ids)
    }
}

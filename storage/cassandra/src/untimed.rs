//! Traces of which no span has a timestamp, by their identifiers: no window finds them, and no table.

use std::collections::{BTreeMap, BTreeSet};

use model::{Span, TraceId};
use storage::{Completeness, Found, untimed_after};

use crate::CassandraStore;
use crate::error::Failure;
use crate::link::Link;
use crate::rows::Key;
use crate::scan::TRACES_A_READ;

/// Traces without a timestamp, of which there are few.
const TRACES_MAX: usize = 200_000;

impl CassandraStore {
    /// See [`storage::SpanSource::untimed`]. To find them takes a look at all rows: those that a first page was told of are
    /// remembered for the next ones.
    pub(crate) async fn find_untimed(
        &self,
        link: &Link,
        after: Option<TraceId>,
        limit: usize,
    ) -> Result<Found, Failure> {
        let mut known = self.untimed.lock().await;
        let keys = match known.take().filter(|_| after.is_some()) {
            Some(keys) => keys,
            None => self.keys_without_time(link, TRACES_MAX).await?,
        };
        let traces = self.untimed_among(link, &keys, after, limit).await;
        *known = Some(keys);
        Ok(Found {
            traces: traces?,
            completeness: Completeness::Complete,
        })
    }

    async fn untimed_among(
        &self,
        link: &Link,
        keys: &BTreeSet<Key>,
        after: Option<TraceId>,
        limit: usize,
    ) -> Result<Vec<Vec<Span>>, Failure> {
        let from = after.map_or(0, TraceId::low);
        let left: Vec<Key> = keys.range((from, 0)..).copied().collect();
        let halves: Vec<&[Key]> = left.chunk_by(|one, next| one.0 == next.0).collect();
        let mut traces = Vec::new();
        for halves in halves.chunks(TRACES_A_READ) {
            if traces.len() >= limit {
                break;
            }
            let now: Vec<Key> = halves.iter().copied().flatten().copied().collect();
            let mut of_low_half = BTreeMap::<u64, Vec<Span>>::new();
            for ((low, _), mut spans) in self.load(link, &now).await? {
                of_low_half.entry(low).or_default().append(&mut spans);
            }
            for spans in of_low_half.into_values() {
                traces.extend(untimed_after(spans, self.is_strict(), after));
            }
        }
        traces.truncate(limit);
        Ok(traces)
    }
}

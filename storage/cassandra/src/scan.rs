//! All traces of a window: what is counted from traces goes by this.

use std::collections::{BTreeMap, BTreeSet};

use model::Span;
use storage::{BoxFuture, Result, Visit, VisitTraces};

use crate::CassandraStore;
use crate::error::Failure;
use crate::index::in_millis;
use crate::link::Link;
use crate::rows::Key;
use crate::walk::Walk;

/// Traces that are read at one time.
pub(crate) const TRACES_A_READ: usize = 64;
/// Traces that are counted for one answer.
const TRACES_MAX: usize = 4_000_000;
/// By how much spans of one trace that is told by two identifiers, the one being half of the other, may be outside of a
/// window. Microseconds.
const MARGIN: u64 = 60_000_000;

/// Every row of spans, by partitions.
const ALL: &str = "SELECT trace_id, ts FROM span";

impl VisitTraces for CassandraStore {
    fn version_tags(&self) -> &[String] {
        &self.config.options.version_tags
    }

    fn visit_traces<'a>(&'a self, window: (u64, u64), visit: Visit<'a>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let link = self.link().await?;
            self.answer(self.visit_all(&link, window, visit)).await
        })
    }
}

impl CassandraStore {
    async fn visit_all(
        &self,
        link: &Link,
        (start, end): (u64, u64),
        visit: Visit<'_>,
    ) -> std::result::Result<(), Failure> {
        let window = (start.saturating_sub(MARGIN), end.saturating_add(MARGIN));
        let has_tables = self.is_searched() && link.schema.has_search;
        let keys = match has_tables && !self.is_beyond_search(link, window) {
            true => self.keys_of(link, window).await?,
            false => self.keys_among_all(link, window).await?,
        };
        let keys: Vec<Key> = keys.into_iter().collect();
        let mut halves: Vec<&[Key]> = keys.chunk_by(|one, next| one.0 == next.0).collect();
        while !halves.is_empty() {
            let now = halves.split_off(halves.len().saturating_sub(TRACES_A_READ));
            let now: Vec<Key> = now.into_iter().flatten().copied().collect();
            let mut traces = BTreeMap::<u64, Vec<Span>>::new();
            for ((low, _), mut spans) in self.load(link, &now).await? {
                traces.entry(low).or_default().append(&mut spans);
            }
            traces.values().for_each(|spans| visit(spans));
        }
        Ok(())
    }

    /// The traces that have a span in a window, by the tables that searches go by.
    async fn keys_of(&self, link: &Link, window: (u64, u64)) -> std::result::Result<BTreeSet<Key>, Failure> {
        let window = in_millis(window);
        let days = self.days(link, window).await?;
        let mut walk = Walk::new(self, link, &days, window);
        let mut keys = BTreeSet::new();
        while let Some(stretch) = walk.next().await? {
            keys.extend(stretch.traces.into_iter().map(|trace| trace.0));
            require_few(keys.len())?;
        }
        Ok(keys)
    }

    /// The same where there are no such tables, or they do not reach back so far: all rows are looked at.
    async fn keys_among_all(
        &self,
        link: &Link,
        (start, end): (u64, u64),
    ) -> std::result::Result<BTreeSet<Key>, Failure> {
        let mut keys = BTreeSet::new();
        let take = |(trace_id, ts): (String, Option<i64>)| {
            let is_there = ts
                .and_then(|ts| u64::try_from(ts).ok())
                .is_some_and(|ts| (start..=end).contains(&ts));
            keys.extend(self.key_of(&trace_id).filter(|_| is_there));
            require_few(keys.len())
        };
        link.for_each(ALL, (), take).await?;
        Ok(keys)
    }

    /// The traces of which no span has a timestamp. All rows are looked at.
    pub(crate) async fn keys_without_time(
        &self,
        link: &Link,
        most: usize,
    ) -> std::result::Result<BTreeSet<Key>, Failure> {
        let mut keys = BTreeSet::new();
        // The partition that is looked at, as long as nothing in it has a timestamp.
        let mut untimed: Option<String> = None;
        let mut last = String::new();
        let take = |(trace_id, ts): (String, Option<i64>)| {
            if trace_id != last {
                keys.extend(untimed.take().and_then(|trace_id| self.key_of(&trace_id)));
                untimed = Some(trace_id.clone());
                last = trace_id;
            }
            if ts.is_some_and(|ts| ts > 0) {
                untimed = None;
            }
            match keys.len() > most {
                true => Err(Failure::unsupported(format!(
                    "more than {most} traces without a timestamp"
                ))),
                false => Ok(()),
            }
        };
        link.for_each(ALL, (), take).await?;
        keys.extend(untimed.and_then(|trace_id| self.key_of(&trace_id)));
        Ok(keys)
    }
}

fn require_few(traces: usize) -> std::result::Result<(), Failure> {
    if traces <= TRACES_MAX {
        return Ok(());
    }
    Err(Failure::unsupported(format!(
        "counting more than {TRACES_MAX} traces of Cassandra for one answer: ask for a shorter window"
    )))
}

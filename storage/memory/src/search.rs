//! From a query to its traces: candidates from the newest on, until no later one could be among the first.
//!
//! 1. Every shard and reach of the time index (of the service, if one is asked for) is read by a cursor, newest
//!    first, a few entries at a time.
//! 2. [`Candidates`] merges the cursors: each trace once, in descending order of a bound that none of its
//!    timestamps in the window exceeds.
//! 3. [`storage::BestTraces`] decides by [`TraceQuery::matches`], keeps the best `limit` by [`TraceQuery::rank`], and for
//!    [`Order::Newest`] is decided as soon as the next bound is not above the worst of them. Other orders
//!    look at every candidate.

use std::collections::{BinaryHeap, HashSet, VecDeque};

use parking_lot::RwLock;

use crate::shard::Shard;
use crate::shard_index;
use crate::time_index::Cursor;

/// Entries read from an index under one lock: enough for most searches, and copied in a microsecond.
const ENTRIES_A_READ: usize = 32;

/// Traces that may have a span in a window, each once, by descending bound: no span of the trace in the window
/// is newer. Spans that arrive while it is read may be missed or break the order, earlier ones may not.
pub(crate) struct Candidates<'a> {
    shards: &'a [RwLock<Shard>],
    service_name: Option<&'a str>,
    window: (u64, u64),
    runs: Vec<Run>,
    frontier: BinaryHeap<(u64, Next)>,
    seen: HashSet<u64>,
}

/// What is read of one reach of one shard.
struct Run {
    shard: usize,
    cursor: Cursor,
    entries: VecDeque<(u64, u64)>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    /// The index of a run whose next entry has this bound.
    Run(usize),
    /// A trace with this bound.
    Trace(u64),
}

impl<'a> Candidates<'a> {
    pub(crate) fn new(
        shards: &'a [RwLock<Shard>],
        service_name: Option<&'a str>,
        window: (u64, u64),
    ) -> Self {
        let mut runs = Vec::new();
        for (shard, locked) in shards.iter().enumerate() {
            let locked = locked.read();
            let reaches = locked
                .by_time(service_name)
                .into_iter()
                .flat_map(|index| index.reaches());
            runs.extend(reaches.map(|reach_bits| Run {
                shard,
                cursor: Cursor::new(reach_bits, window),
                entries: VecDeque::new(),
            }));
        }
        let frontier = BinaryHeap::with_capacity(runs.len() + 1);
        let mut candidates = Self {
            shards,
            service_name,
            window,
            runs,
            frontier,
            seen: HashSet::new(),
        };
        for run in 0..candidates.runs.len() {
            candidates.advance(run);
        }
        candidates
    }

    /// Puts a run back into the frontier, at its next entry.
    fn advance(&mut self, index: usize) {
        let run = &mut self.runs[index];
        if run.entries.is_empty() {
            let shard = self.shards[run.shard].read();
            let Some(by_time) = shard.by_time(self.service_name) else {
                return;
            };
            run.entries = run.cursor.read(by_time, ENTRIES_A_READ).into();
        }
        if let Some((bound, _)) = run.entries.front() {
            self.frontier
                .push(((*bound).min(self.window.1), Next::Run(index)));
        }
    }

    /// The bound of a trace met at a place: what it really reaches, which is often much less than the place, or
    /// not into the window at all.
    fn sharpen(&self, low: u64) -> Option<u64> {
        let shard = self.shards[shard_index(low)].read();
        let (first, last) = shard.trace(low)?.extent()?;
        let (start, end) = self.window;
        (first <= end && last >= start).then_some(last.min(end))
    }
}

impl Iterator for Candidates<'_> {
    type Item = (u64, u64);

    fn next(&mut self) -> Option<(u64, u64)> {
        loop {
            match self.frontier.pop()? {
                (bound, Next::Trace(low)) => return Some((bound, low)),
                (_, Next::Run(index)) => {
                    if let Some((_, low)) = self.runs[index].entries.pop_front()
                        && self.seen.insert(low)
                        && let Some(bound) = self.sharpen(low)
                    {
                        self.frontier.push((bound, Next::Trace(low)));
                    }
                    self.advance(index);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{Endpoint, Span, SpanBatch, SpanId, TraceId};
    use storage::{BestTraces, Order, SpanSink, TraceQuery, TraceQueryBuilder};

    use super::*;
    use crate::{MemoryConfig, MemoryStore};

    const TRACES: u64 = 20_000;

    /// A trace each 10 ms, from the epoch on, of one service, that lasts longer than that: a duration must not be
    /// taken for a time.
    async fn busy_store() -> MemoryStore {
        let store = MemoryStore::new(MemoryConfig::default());
        let mut batch = SpanBatch::new();
        for low in 1..=TRACES {
            batch.push_span(&Span {
                trace_id: TraceId::new(0, low).unwrap(),
                parent_id: None,
                id: SpanId::new(1),
                kind: None,
                name: None,
                timestamp: Some(low * 10_000),
                duration: Some(1 << 41),
                local_endpoint: Some(Endpoint {
                    service_name: Some("web".to_owned()),
                    ..Endpoint::default()
                }),
                remote_endpoint: None,
                annotations: Vec::new(),
                tags: Vec::new(),
                debug: false,
                shared: false,
            });
        }
        store.accept(&batch).await.unwrap();
        store
    }

    #[tokio::test]
    async fn candidates_come_newest_first_and_few_are_read_ahead() {
        let store = busy_store().await;
        for end in [TRACES * 10_000, TRACES * 5_000] {
            let mut candidates = Candidates::new(&store.shards, Some("web"), (0, end));
            let first: Vec<_> = candidates.by_ref().take(10).collect();
            let expected: Vec<_> = (0..10)
                .map(|back| (end - back * 10_000, end / 10_000 - back))
                .collect();
            assert_eq!(first, expected);
            assert!(
                candidates.seen.len() < 100,
                "{} traces looked up",
                candidates.seen.len()
            );
        }
    }

    #[tokio::test]
    async fn a_search_for_the_newest_is_decided_early_and_others_are_not() {
        let store = busy_store().await;
        for (order, decided) in [
            (Order::Newest, true),
            (Order::Slowest, false),
            (Order::Errors, false),
        ] {
            let builder = TraceQueryBuilder {
                end_ts: 1 << 40,
                lookback: 1 << 40,
                limit: 5,
                order,
                ..TraceQuery::builder()
            };
            let query = builder.build().unwrap();
            let mut search = BestTraces::new(&query, true);
            for low in (TRACES - 4)..=TRACES {
                assert!(!search.is_decided(u64::MAX));
                search.consider(store.snapshot(low).unwrap());
            }
            assert_eq!(search.is_decided((TRACES - 5) * 10_000), decided, "{order:?}");
            assert!(!search.is_decided((TRACES - 3) * 10_000), "a newer one may come");
        }
    }
}

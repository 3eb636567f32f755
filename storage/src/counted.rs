//! Latency, profiles and links of stores that keep no sums: counted from spans, a trace at a time.
//!
//! Such a store says how its traces are visited ([`VisitTraces`]) and has [`LatencySource`] and [`count_links`] by that.

use std::collections::BTreeMap;

use model::{DependencyLinker, Span};

use crate::{
    BoxFuture, Completeness, Dependencies, DependencyQuery, Latencies, LatencyQuery, LatencySource,
    OperationLatency, ProfileCollector, ProfileQuery, Profiles, Result, WindowCollector, WindowLatencies,
    WindowQuery, add_latencies,
};

/// Microseconds of a minute.
const MINUTE: u64 = 60_000_000;
/// Microseconds of a day.
const DAY: u64 = 86_400_000_000;

/// What is done with the spans of a trace.
pub type Visit<'a> = &'a mut (dyn FnMut(&[Span]) + Send);

/// A store whose traces can be visited one after the other.
pub trait VisitTraces: Send + Sync {
    /// [`StoreOptions::version_tags`](crate::StoreOptions::version_tags).
    fn version_tags(&self) -> &[String];

    /// Gives `visit` all spans of every trace, by the low half of its identifier, that has a span in a window
    /// (microseconds since the epoch, inclusive), once; it MAY give some traces beside it. What is stored meanwhile MAY
    /// be seen or not.
    fn visit_traces<'a>(&'a self, window: (u64, u64), visit: Visit<'a>) -> BoxFuture<'a, Result<()>>;
}

impl<T: VisitTraces> LatencySource for T {
    fn latencies<'a>(&'a self, query: &'a LatencyQuery) -> BoxFuture<'a, Result<Latencies>> {
        Box::pin(async move {
            Ok(Latencies {
                operations: count_latencies(self, query).await?,
                completeness: Completeness::Complete,
            })
        })
    }

    fn windows<'a>(&'a self, query: &'a WindowQuery) -> BoxFuture<'a, Result<WindowLatencies>> {
        Box::pin(async move {
            let mut collector = WindowCollector::new(query);
            if let Some(minutes) = query.minutes() {
                let rows = count_latencies(self, &minutes).await?;
                rows.iter().for_each(|row| collector.add(row));
            }
            Ok(collector.finish(Completeness::Complete))
        })
    }

    fn profiles<'a>(&'a self, query: &'a ProfileQuery) -> BoxFuture<'a, Result<Profiles>> {
        Box::pin(async move {
            let mut collector = ProfileCollector::new(query);
            self.visit_traces(query.window, &mut |spans| {
                collector.add_spans(spans, self.version_tags());
            })
            .await?;
            Ok(collector.finish(Completeness::Complete))
        })
    }
}

/// By operation, version and minute, ascending; never more than there are spans.
async fn count_latencies(store: &impl VisitTraces, query: &LatencyQuery) -> Result<Vec<OperationLatency>> {
    let first = query.first_minute.saturating_mul(MINUTE);
    let end = query.last_minute.saturating_add(1).saturating_mul(MINUTE);
    let mut counted = BTreeMap::new();
    let window = (first, end.saturating_sub(1));
    store
        .visit_traces(window, &mut |spans| {
            add_latencies(&mut counted, spans, store.version_tags(), query);
        })
        .await?;
    Ok(counted.into_values().collect())
}

/// How often a service called another on a day, as Zipkin's job counted it (`zipkin.md` 8.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DailyLink {
    /// Days since the epoch, in UTC.
    pub day: u64,
    /// Who called.
    pub parent: String,
    /// Who was called.
    pub child: String,
    /// How often.
    pub calls: i64,
    /// How often in vain.
    pub errors: i64,
}

/// The days since the epoch that lie wholly in a window: those whose [`DailyLink`]s stand for what began on them.
pub fn whole_days((start, end): (u64, u64)) -> std::ops::Range<u64> {
    start.div_ceil(DAY)..end.saturating_add(1) / DAY
}

/// Links between services: counted from the traces of a window, but for the [`whole_days`] of it that Zipkin's job has
/// counted already. Those are taken as they are, and traces that began on such a day are not counted again: who has the
/// job run often deletes old spans.
///
/// # Errors
/// As [`VisitTraces::visit_traces`].
pub async fn count_links(
    store: &impl VisitTraces,
    query: DependencyQuery,
    daily: &[DailyLink],
) -> Result<Dependencies> {
    let mut counted_days: Vec<u64> = daily.iter().map(|link| link.day).collect();
    counted_days.sort_unstable();
    counted_days.dedup();
    let mut linker = DependencyLinker::new();
    for stretch in between(&counted_days, query.window()) {
        store
            .visit_traces(stretch, &mut |spans| {
                let timestamp = model::trace_timestamp(spans);
                if timestamp.is_some_and(|timestamp| (stretch.0..=stretch.1).contains(&timestamp)) {
                    linker.put_trace(spans);
                }
            })
            .await?;
    }
    let mut counts = linker.into_counts();
    for link in daily {
        counts.add(&link.parent, &link.child, link.calls, link.errors);
    }
    Ok(Dependencies {
        links: counts.links(),
        completeness: Completeness::Complete,
    })
}

/// What is left of a window without some days, ascending: stretches of microseconds, both ends included.
fn between(days: &[u64], (start, end): (u64, u64)) -> Vec<(u64, u64)> {
    let mut stretches = Vec::new();
    let mut from = start;
    for day in days {
        let (begin, next) = (day * DAY, (day + 1) * DAY);
        if from < begin {
            stretches.push((from, begin - 1));
        }
        from = next;
    }
    if from <= end {
        stretches.push((from, end));
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_that_were_counted_are_cut_out_of_the_window() {
        let window = (DAY / 2, 5 * DAY);
        assert_eq!(between(&[], window), [window]);
        assert_eq!(
            between(&[1, 3], window),
            [(DAY / 2, DAY - 1), (2 * DAY, 3 * DAY - 1), (4 * DAY, 5 * DAY)]
        );
        assert_eq!(between(&[0], (0, DAY - 1)), []);
    }

    #[test]
    fn only_days_that_lie_wholly_in_a_window_are_taken_from_the_job() {
        assert_eq!(whole_days((0, 2 * DAY - 1)), 0..2);
        assert_eq!(whole_days((1, 2 * DAY - 2)), 1..1);
        assert!(whole_days((DAY + 1, 2 * DAY)).is_empty());
    }
}

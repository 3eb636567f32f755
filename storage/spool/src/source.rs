//! Questions go to the backend; answers say what is still on its way to it.

use std::time::Duration;

use model::{Span, TraceId};
use storage::{
    BoxFuture, Capabilities, Completeness, Dependencies, DependencyQuery, Found, Result, SpanSource,
    StorageError, TraceQuery,
};

use crate::spool::Spool;
use crate::stats::SpoolStats;

/// A backend that says nothing within this is taken for one that is away: health checks do not wait longer.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// From this share of its bytes on, a spool whose backend is away is not well, in percent.
const NEARLY_FULL_PERCENT: u64 = 90;

impl SpanSource for Spool {
    fn trace(&self, trace_id: TraceId) -> BoxFuture<'_, Result<Vec<Span>>> {
        self.shared.source.trace(trace_id)
    }

    fn traces<'a>(&'a self, trace_ids: &'a [TraceId]) -> BoxFuture<'a, Result<Vec<Vec<Span>>>> {
        self.shared.source.traces(trace_ids)
    }

    fn search<'a>(&'a self, query: &'a TraceQuery) -> BoxFuture<'a, Result<Found>> {
        Box::pin(async move {
            // Before the question: what is delivered meanwhile may be missing from the answer.
            let late = self.late();
            let mut found = self.shared.source.search(query).await?;
            found.completeness = found.completeness.and(late);
            Ok(found)
        })
    }

    fn untimed(&self, after: Option<TraceId>, limit: usize) -> BoxFuture<'_, Result<Found>> {
        Box::pin(async move {
            let late = self.late();
            let mut found = self.shared.source.untimed(after, limit).await?;
            found.completeness = found.completeness.and(late);
            Ok(found)
        })
    }

    fn service_names(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        self.shared.source.service_names()
    }

    fn span_names<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        self.shared.source.span_names(service_name)
    }

    fn remote_service_names<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        self.shared.source.remote_service_names(service_name)
    }

    fn autocomplete_values<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Vec<String>>> {
        self.shared.source.autocomplete_values(key)
    }

    fn dependencies(&self, query: DependencyQuery) -> BoxFuture<'_, Result<Dependencies>> {
        Box::pin(async move {
            let late = self.late();
            let mut found = self.shared.source.dependencies(query).await?;
            found.completeness = found.completeness.and(late);
            Ok(found)
        })
    }

    fn completeness(&self) -> Completeness {
        self.shared.source.completeness().and(self.late())
    }

    fn capabilities(&self) -> Capabilities {
        self.shared.source.capabilities()
    }

    /// Well as long as it takes spans: a backend that is away is told by [`Spool::stats`], and is an error here only
    /// when the spool is nearly full.
    fn health(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.working()?;
            let stats = self.stats();
            if stats.depth_bytes * 100 < stats.bytes_max * NEARLY_FULL_PERCENT {
                return Ok(());
            }
            let health = tokio::time::timeout(HEALTH_TIMEOUT, self.shared.source.health()).await;
            let error = match health {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {} s", HEALTH_TIMEOUT.as_secs()),
            };
            Err(StorageError::Unavailable(format!(
                "{} of at most {} bytes wait for the backend, which is away: {error}",
                stats.depth_bytes, stats.bytes_max
            )))
        })
    }
}

impl Spool {
    /// What was accepted and cannot be found.
    fn late(&self) -> Completeness {
        let stats = self.stats();
        let mut reasons = Vec::new();
        if stats.oldest_age > self.shared.config.late_after {
            let (spans, seconds) = (stats.depth_spans, stats.oldest_age.as_secs());
            reasons.push(format!(
                "{spans} spans are on their way to the backend, the oldest for {seconds} s"
            ));
        }
        reasons.extend(unfindable(&stats));
        match reasons.is_empty() {
            true => Completeness::Complete,
            false => Completeness::Partial(reasons.join("; ")),
        }
    }
}

fn unfindable(stats: &SpoolStats) -> impl Iterator<Item = String> {
    let refused = (stats.refused_files > 0).then(|| {
        let files = stats.refused_files;
        format!("the backend refused spans, which are in {files} files of the spool's directory refused")
    });
    let damaged = (stats.damaged > 0).then(|| {
        let places = stats.damaged;
        format!("the spool was damaged in {places} places, what was there is lost")
    });
    refused.into_iter().chain(damaged)
}

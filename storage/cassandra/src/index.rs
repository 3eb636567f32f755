//! What Zipkin's tables find traces by: rows of a service, of a day, newest first.

use std::collections::{BTreeMap, HashSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use scylla::value::{CqlTimestamp, CqlTimeuuid};

use crate::CassandraStore;
use crate::error::Failure;
use crate::link::Link;
use crate::rows::Key;
use crate::rows::{DAY_MS, MOMENT_MAX_MS, millis_of};

/// Where not more days are asked for, every service is looked for on each of them; otherwise it is looked first where there is
/// something.
const DAYS_TRIED_MAX: usize = 3;
/// Partitions that are read beside each other.
const PARTITIONS_AT_ONCE: usize = 32;

const BY_SPAN: &str = "SELECT ts, trace_id FROM trace_by_service_span WHERE service = ? AND span = ? AND bucket = ? \
     AND ts >= minTimeuuid(?) AND ts <= maxTimeuuid(?) LIMIT ?";
const BY_DURATION: &str = "SELECT ts, trace_id FROM trace_by_service_span WHERE service = ? AND span = ? AND bucket = ? \
     AND ts >= minTimeuuid(?) AND ts <= maxTimeuuid(?) AND duration >= ? AND duration <= ? LIMIT ? ALLOW FILTERING";
const BY_REMOTE: &str = "SELECT ts, trace_id FROM trace_by_service_remote_service WHERE service = ? \
     AND remote_service = ? AND bucket = ? AND ts >= minTimeuuid(?) AND ts <= maxTimeuuid(?) LIMIT ?";

type Entry = (CqlTimeuuid, String);

/// Milliseconds since the epoch, both ends included.
pub(crate) type Window = (u64, u64);

/// A window of microseconds as tables know time.
pub(crate) fn in_millis((start, end): (u64, u64)) -> Window {
    ((start / 1000).min(MOMENT_MAX_MS), (end / 1000).min(MOMENT_MAX_MS))
}

/// Services that have spans, by the days on which they have them.
pub(crate) type Days = BTreeMap<i32, Vec<String>>;

/// What a row of an index must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lookup<'q> {
    /// Of a service, and of an operation of it where there is a name.
    Span(&'q str, &'q str),
    /// The same, of so many milliseconds.
    Duration(&'q str, &'q str, (i64, i64)),
    /// Of a service and one that it speaks with.
    Remote(&'q str, &'q str),
}

impl Lookup<'_> {
    pub(crate) const fn service(&self) -> &str {
        match self {
            Self::Span(service, _) | Self::Duration(service, ..) | Self::Remote(service, _) => service,
        }
    }
}

impl CassandraStore {
    /// The days of a window that have something, as far as that is known, with the services that have it.
    pub(crate) async fn days(&self, link: &Link, (start, end): Window) -> Result<Days, Failure> {
        let (first, last) = ((start / DAY_MS) as i32, (end / DAY_MS) as i32);
        let mut days = Days::new();
        if (last - first) as usize >= DAYS_TRIED_MAX {
            let partitions = "SELECT DISTINCT service, span, bucket FROM trace_by_service_span";
            let add = |(service, name, bucket): (String, String, i32)| {
                if name.is_empty() && (first..=last).contains(&bucket) {
                    days.entry(bucket).or_default().push(service);
                }
                Ok(())
            };
            link.for_each(partitions, (), add).await?;
            return Ok(days);
        }
        let services: Vec<(String,)> = link
            .rows("SELECT DISTINCT service FROM span_by_service", ())
            .await?;
        let mut services: Vec<String> = services.into_iter().map(|row| row.0).collect();
        // Spans of which nobody says whose they are.
        services.push(String::new());
        days.extend((first..=last).map(|day| (day, services.clone())));
        Ok(days)
    }

    /// When traces have such a row, of a day and of a window, newest first.
    pub(crate) async fn entries(
        &self,
        link: &Link,
        lookup: &Lookup<'_>,
        bucket: i32,
        (start, end): Window,
        limit: usize,
    ) -> Result<Vec<(Key, u64)>, Failure> {
        let from = CqlTimestamp(start as i64);
        let to = CqlTimestamp(end as i64);
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let rows: Vec<Entry> = match lookup {
            Lookup::Span(service, name) => {
                link.rows(BY_SPAN, (service, name, bucket, from, to, limit))
                    .await?
            }
            Lookup::Duration(service, name, (min, max)) => {
                link.rows(BY_DURATION, (service, name, bucket, from, to, min, max, limit))
                    .await?
            }
            Lookup::Remote(service, remote) => {
                link.rows(BY_REMOTE, (service, remote, bucket, from, to, limit))
                    .await?
            }
        };
        let entry = |(ts, trace_id): Entry| Some((self.key_of(&trace_id)?, millis_of(ts)));
        Ok(rows.into_iter().filter_map(entry).collect())
    }

    /// The traces that have such a row on some days; `None` where there are more rows than some.
    pub(crate) async fn traces_with(
        &self,
        link: &Link,
        lookup: &Lookup<'_>,
        days: &Days,
        window: Window,
        rows_max: usize,
    ) -> Result<Option<HashSet<Key>>, Failure> {
        let mut traces = HashSet::new();
        let mut room = rows_max;
        for (&bucket, services) in days.iter().rev() {
            if !services.iter().any(|service| service == lookup.service()) {
                continue;
            }
            let entries = self.entries(link, lookup, bucket, window, room).await?;
            room = room.saturating_sub(entries.len());
            if room == 0 {
                return Ok(None);
            }
            traces.extend(entries.into_iter().map(|entry| entry.0));
        }
        Ok(Some(traces))
    }

    /// When traces have spans of any of some services; of each service at most so many rows.
    pub(crate) async fn entries_of_all<'a>(
        &'a self,
        link: &'a Link,
        services: &'a [String],
        bucket: i32,
        window: Window,
        rows_max: usize,
    ) -> Result<Vec<Vec<(Key, u64)>>, Failure> {
        let of_service = |service: &'a str| async move {
            let lookup = Lookup::Span(service, "");
            self.entries(link, &lookup, bucket, window, rows_max).await
        };
        let partitions: Vec<_> = services.iter().map(|service| of_service(service)).collect();
        stream::iter(partitions)
            .buffer_unordered(PARTITIONS_AT_ONCE)
            .try_collect()
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_holds_its_microseconds_and_ends_where_identifiers_do() {
        assert_eq!(in_millis((1_999, 5_001)), (1, 5));
        assert_eq!(in_millis((0, u64::MAX)), (0, MOMENT_MAX_MS));
    }
}

//! What Zipkin's tables find traces by: rows of a service, of a day, newest first.

use std::collections::{BTreeMap, HashSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use scylla::value::{CqlTimestamp, CqlTimeuuid};

use crate::CassandraStore;
use crate::error::Failure;
use crate::link::Link;
use crate::rows::{DAY_MS, Key, MOMENT_MAX_MS, millis_of};

/// Where not more days are asked for, every service is looked for on each of them; otherwise it is looked first where there is
/// something.
const DAYS_TRIED_MAX: usize = 3;
/// Partitions that are read beside each other.
const PARTITIONS_AT_ONCE: usize = 32;

const BY_SPAN: &str = "SELECT ts, trace_id, duration FROM trace_by_service_span WHERE service = ? AND span = ? AND bucket = ? \
     AND ts >= minTimeuuid(?) AND ts <= maxTimeuuid(?) LIMIT ?";
const BY_REMOTE: &str = "SELECT ts, trace_id FROM trace_by_service_remote_service WHERE service = ? \
     AND remote_service = ? AND bucket = ? AND ts >= minTimeuuid(?) AND ts <= maxTimeuuid(?) LIMIT ?";

/// Any duration, in milliseconds, both ends included.
pub(crate) const ANY: (i64, i64) = (i64::MIN, i64::MAX);

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
    /// Of a service, and of an operation of it where there is a name, of so many milliseconds. Zipkin has an index for these,
    /// which is not asked: what Cassandra cannot open of an index it leaves out in silence.
    Span(&'q str, &'q str, (i64, i64)),
    /// Of a service and one that it speaks with.
    Remote(&'q str, &'q str),
}

impl Lookup<'_> {
    pub(crate) const fn service(&self) -> &str {
        match self {
            Self::Span(service, ..) | Self::Remote(service, _) => service,
        }
    }
}

/// Rows of an index.
#[derive(Debug)]
pub(crate) struct Entries {
    /// How many were read.
    pub(crate) read: usize,
    /// The traces of those that are as they must be, each with the milliseconds of its row.
    pub(crate) found: Vec<(Key, u64)>,
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
    ) -> Result<Entries, Failure> {
        let from = CqlTimestamp(start as i64);
        let to = CqlTimestamp(end as i64);
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        match lookup {
            Lookup::Span(service, name, (min, max)) => {
                let values = (service, name, bucket, from, to, limit);
                let rows: Vec<(CqlTimeuuid, String, Option<i64>)> = link.rows(BY_SPAN, values).await?;
                let lasts = |millis: i64| (*min..=*max).contains(&millis);
                let read = rows.len();
                let rows = rows.into_iter().filter(|row| lasts(row.2.unwrap_or_default()));
                Ok(self.entries_of(read, rows.map(|row| (row.0, row.1))))
            }
            Lookup::Remote(service, remote) => {
                let values = (service, remote, bucket, from, to, limit);
                let rows: Vec<(CqlTimeuuid, String)> = link.rows(BY_REMOTE, values).await?;
                Ok(self.entries_of(rows.len(), rows.into_iter()))
            }
        }
    }

    fn entries_of(&self, read: usize, rows: impl Iterator<Item = (CqlTimeuuid, String)>) -> Entries {
        let found = rows.filter_map(|(ts, trace_id)| Some((self.key_of(&trace_id)?, millis_of(ts))));
        Entries {
            read,
            found: found.collect(),
        }
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
            room = room.saturating_sub(entries.read);
            if room == 0 {
                return Ok(None);
            }
            traces.extend(entries.found.into_iter().map(|entry| entry.0));
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
    ) -> Result<Vec<Entries>, Failure> {
        let of_service = |service: &'a str| async move {
            let lookup = Lookup::Span(service, "", ANY);
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

//! Good and bad requests of an objective, by minute.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use model::{Indicator, Sketch, Slo};
use storage::{Completeness, OperationLatency};

use super::CountedBy;
use super::statuses::{Statuses, read_statuses};
use crate::charts::{BySide, CallSide, Minutes, for_each_latency};
use crate::sources::Sources;

/// Requests that can be judged.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct RequestCounts {
    pub(super) valid: u64,
    /// A part of one where it is a share of what was not read.
    pub(super) bad: f64,
}

impl RequestCounts {
    pub(super) fn bad_requests(self) -> u64 {
        (self.bad.round() as u64).min(self.valid)
    }

    /// `None` without requests.
    pub(super) fn bad_share(self) -> Option<f64> {
        (self.valid > 0).then(|| self.bad / self.valid as f64)
    }

    /// Without a part of them.
    pub(super) fn without(self, part: Self) -> Self {
        Self {
            valid: self.valid.saturating_sub(part.valid),
            bad: (self.bad - part.bad).max(0.0),
        }
    }
}

impl AddAssign for RequestCounts {
    fn add_assign(&mut self, other: Self) {
        self.valid += other.valid;
        self.bad += other.bad;
    }
}

/// Requests, and those of them that one version served.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct VersionedCounts {
    pub(super) all: RequestCounts,
    pub(super) of_version: RequestCounts,
}

/// What is known of a window.
#[derive(Clone, Debug)]
pub(super) struct MinuteCounts {
    pub(super) minutes: BTreeMap<u64, VersionedCounts>,
    pub(super) side: CallSide,
    pub(super) counted_by: CountedBy,
    pub(super) completeness: Completeness,
}

impl MinuteCounts {
    /// Nothing of a window that ends before it begins.
    pub(super) fn sum(&self, window: Minutes) -> VersionedCounts {
        let mut sum = VersionedCounts::default();
        if window.first > window.last {
            return sum;
        }
        for counts in self
            .minutes
            .range(window.first..=window.last)
            .map(|entry| entry.1)
        {
            sum.all += counts.all;
            sum.of_version += counts.of_version;
        }
        sum
    }
}

/// Counts the requests of an objective, and those of a version of its service.
///
/// # Errors
/// Where the store cannot answer.
pub(super) async fn count_requests(
    sources: &Sources,
    slo: &Slo,
    window: Minutes,
    version: Option<&str>,
) -> storage::Result<MinuteCounts> {
    let mut sides = BySide::<BTreeMap<u64, VersionedCounts>>::default();
    let add = |row: OperationLatency| {
        let is_named = |wanted: &String| *wanted == row.operation.span_name;
        if slo.span_name.as_ref().is_none_or(is_named) {
            let minutes = sides.of_kind(row.operation.kind);
            let counts = minutes.entry(row.minute).or_default();
            let judged = judge(slo.indicator, &row);
            counts.all += judged;
            if version == Some(row.version.as_str()) {
                counts.of_version += judged;
            }
        }
    };
    let mut completeness =
        for_each_latency(sources.latency.as_ref(), window, Some(&slo.service_name), add).await?;
    let (side, mut minutes) = sides.requests(BTreeMap::is_empty);
    let counted_by = match slo.indicator {
        Indicator::Latency { .. } => CountedBy::Duration,
        Indicator::Availability => match read_statuses(sources, slo, window, side).await? {
            Some((statuses, searched)) => {
                completeness = completeness.and(searched);
                judge_by_status(&mut minutes, &statuses)
            }
            None => CountedBy::ErrorTag,
        },
    };
    Ok(MinuteCounts {
        minutes,
        side,
        counted_by,
        completeness,
    })
}

fn judge(indicator: Indicator, row: &OperationLatency) -> RequestCounts {
    match indicator {
        Indicator::Availability => RequestCounts {
            valid: row.calls,
            bad: row.errors as f64,
        },
        Indicator::Latency { threshold_ms } => RequestCounts {
            valid: row.durations.count(),
            bad: slower(&row.durations, threshold_ms.saturating_mul(1_000)) as f64,
        },
    }
}

/// How many durations are above a threshold, microseconds. Those in its own bucket are taken to be within: a bucket ends
/// at most 0.8 % above what is in it.
fn slower(durations: &Sketch, threshold: u64) -> u64 {
    let slower = durations.buckets().filter(|bucket| bucket.lower > threshold);
    slower.map(|bucket| bucket.count).sum()
}

/// Puts what statuses say in the place of what `error` tags say.
pub(super) fn judge_by_status(
    minutes: &mut BTreeMap<u64, VersionedCounts>,
    statuses: &Statuses,
) -> CountedBy {
    let (mut failed, mut bad) = (0.0, 0.0);
    for (minute, counts) in minutes.range(statuses.read_from..) {
        failed += counts.all.bad;
        bad += statuses.bad(*minute, counts.all);
    }
    if failed > 0.0 && !statuses.any_failed {
        return CountedBy::ErrorTag;
    }
    let share_of_unread = if failed > 0.0 {
        (bad / failed).min(1.0)
    } else {
        1.0
    };
    let mut is_sampled = false;
    for (&minute, counts) in minutes {
        let failed = counts.all.bad;
        let bad = if minute >= statuses.read_from {
            statuses.bad(minute, counts.all)
        } else {
            is_sampled |= failed > 0.0;
            failed * share_of_unread
        };
        // Of versions it is not known which requests were judged anew: each has its share.
        counts.of_version.bad = if failed > 0.0 {
            (counts.of_version.bad * (bad / failed)).min(counts.of_version.valid as f64)
        } else {
            bad * counts.of_version.valid as f64 / (counts.all.valid as f64).max(1.0)
        };
        counts.all.bad = bad;
    }
    if is_sampled {
        CountedBy::HttpStatusSampled
    } else {
        CountedBy::HttpStatus
    }
}

//! Good and bad requests of an objective, in windows.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use model::{Indicator, Sketch, Slo};
use storage::{Completeness, OperationWindows, WindowLatencies, WindowQuery, WindowSums};

use super::CountedBy;
use super::statuses::{Statuses, read_statuses};
use crate::charts::{BySide, CallSide, Minutes};
use crate::sources::Sources;

/// Kinds of spans, and none.
const KINDS: usize = 5;

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

/// What is known of windows, in pieces that each of them has whole or not at all.
#[derive(Clone, Debug)]
pub(super) struct PieceCounts {
    /// By the first minute of each. A piece ends where the next one begins.
    pub(super) pieces: BTreeMap<u64, VersionedCounts>,
    pub(super) side: CallSide,
    pub(super) counted_by: CountedBy,
    pub(super) completeness: Completeness,
}

impl PieceCounts {
    /// Of a window that was asked for; nothing of one that ends before it begins.
    pub(super) fn sum(&self, window: Minutes) -> VersionedCounts {
        let mut sum = VersionedCounts::default();
        if window.first > window.last {
            return sum;
        }
        for (_, counts) in self.pieces.range(window.first..=window.last) {
            sum.all += counts.all;
            sum.of_version += counts.of_version;
        }
        sum
    }
}

/// Counts the requests of an objective in windows, and those of a version of its service. The store is asked once, and
/// once more for the version, however long the windows are.
///
/// # Errors
/// Where the store cannot answer.
pub(super) async fn count_requests(
    sources: &Sources,
    slo: &Slo,
    windows: &[Minutes],
    version: Option<&str>,
) -> storage::Result<PieceCounts> {
    let searched = match (slo.indicator, around(windows)) {
        (Indicator::Availability, Some(whole)) => read_statuses(sources, slo, whole).await?,
        _ => None,
    };
    let read_from = searched.as_ref().map(|searched| searched.read_from);
    let pieces = pieces(windows, read_from);
    let mut sides = BySide::<BTreeMap<u64, VersionedCounts>>::default();
    let mut query = WindowQuery {
        windows: pieces.iter().map(|piece| piece.first..=piece.last).collect(),
        service_name: Some(slo.service_name.clone()),
        span_name: slo.span_name.clone(),
        is_by_kind: true,
        operations_max: KINDS,
        ..WindowQuery::default()
    };
    let found = sources.latency.windows(&query).await?;
    let mut completeness = found.completeness.clone();
    add(&mut sides, &pieces, slo.indicator, found, |counts| {
        &mut counts.all
    });
    if version.is_some() {
        query.version = version.map(str::to_owned);
        let found = sources.latency.windows(&query).await?;
        completeness = completeness.and(found.completeness.clone());
        add(&mut sides, &pieces, slo.indicator, found, |counts| {
            &mut counts.of_version
        });
    }
    let (side, mut pieces) = sides.requests(BTreeMap::is_empty);
    let counted_by = match (slo.indicator, searched) {
        (Indicator::Latency { .. }, _) => CountedBy::Duration,
        (Indicator::Availability, None) => CountedBy::ErrorTag,
        (Indicator::Availability, Some(searched)) => {
            completeness = completeness.and(searched.completeness.clone());
            judge_by_status(&mut pieces, &searched.of_side(side))
        }
    };
    Ok(PieceCounts {
        pieces,
        side,
        counted_by,
        completeness,
    })
}

/// From the first to the last minute of windows that have any.
fn around(windows: &[Minutes]) -> Option<Minutes> {
    let windows = || windows.iter().filter(|window| window.count() > 0);
    Some(Minutes {
        first: windows().map(|window| window.first).min()?,
        last: windows().map(|window| window.last).max()?,
    })
}

/// Windows, cut wherever one of them begins or ends and at `cut`; ascending.
fn pieces(windows: &[Minutes], cut: Option<u64>) -> Vec<Minutes> {
    let windows: Vec<Minutes> = windows
        .iter()
        .copied()
        .filter(|window| window.count() > 0)
        .collect();
    let ends = windows
        .iter()
        .flat_map(|window| [window.first, window.last.saturating_add(1)]);
    let mut cuts: Vec<u64> = ends.chain(cut).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let between = cuts.windows(2).map(|cuts| Minutes {
        first: cuts[0],
        last: cuts[1] - 1,
    });
    let is_asked_for = |piece: &Minutes| {
        windows
            .iter()
            .any(|window| window.first <= piece.first && piece.last <= window.last)
    };
    between.filter(is_asked_for).collect()
}

/// Adds what was found in pieces to what is counted of each side.
fn add(
    sides: &mut BySide<BTreeMap<u64, VersionedCounts>>,
    pieces: &[Minutes],
    indicator: Indicator,
    found: WindowLatencies,
    part: impl Fn(&mut VersionedCounts) -> &mut RequestCounts,
) {
    for OperationWindows { operation, windows } in found.operations {
        for (piece, sums) in pieces.iter().zip(windows).filter(|(_, sums)| sums.calls > 0) {
            let side = sides.of_kind(operation.kind);
            *part(side.entry(piece.first).or_default()) += judge(indicator, &sums);
        }
    }
}

fn judge(indicator: Indicator, sums: &WindowSums) -> RequestCounts {
    match indicator {
        Indicator::Availability => RequestCounts {
            valid: sums.calls,
            bad: sums.errors as f64,
        },
        Indicator::Latency { threshold_ms } => RequestCounts {
            valid: sums.durations.count(),
            bad: slower(&sums.durations, threshold_ms.saturating_mul(1_000)) as f64,
        },
    }
}

/// How many durations are above a threshold, microseconds. Those in its own bucket are taken to be within: a bucket ends
/// at most 0.8 % above what is in it.
fn slower(durations: &Sketch, threshold: u64) -> u64 {
    let slower = durations.buckets().filter(|bucket| bucket.lower > threshold);
    slower.map(|bucket| bucket.count).sum()
}

/// Puts what statuses say in the place of what `error` tags say. A piece begins where statuses begin to be known.
pub(super) fn judge_by_status(pieces: &mut BTreeMap<u64, VersionedCounts>, statuses: &Statuses) -> CountedBy {
    let nexts = pieces.keys().copied().skip(1).chain([u64::MAX]);
    let nexts: Vec<u64> = nexts.collect();
    let is_read = |first: u64| first >= statuses.read_from;
    let (mut failed, mut bad) = (0.0, 0.0);
    for ((&first, counts), &next) in pieces
        .iter()
        .zip(&nexts)
        .filter(|((first, _), _)| is_read(**first))
    {
        failed += counts.all.bad;
        bad += statuses.bad(first..next, counts.all);
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
    for ((&first, counts), &next) in pieces.iter_mut().zip(&nexts) {
        let failed = counts.all.bad;
        let bad = if is_read(first) {
            statuses.bad(first..next, counts.all)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn windows_are_cut_into_pieces_that_each_has_whole_or_not_at_all(
            drawn in prop::collection::vec((0..60u64, 0..60u64), 0..8),
            cut in prop::option::of(0..70u64),
        ) {
            let windows: Vec<Minutes> = drawn.iter().map(|&(first, last)| Minutes { first, last }).collect();
            let pieces = pieces(&windows, cut);
            prop_assert!(pieces.windows(2).all(|two| two[0].last < two[1].first));
            let of = |window: &Minutes| window.first..=window.last;
            for minute in 0..80 {
                let is_asked_for = windows.iter().any(|window| of(window).contains(&minute));
                let is_there = pieces.iter().any(|piece| of(piece).contains(&minute));
                prop_assert_eq!(is_asked_for, is_there, "{}", minute);
            }
            for piece in &pieces {
                for window in &windows {
                    let has = |minute| of(window).contains(&minute);
                    prop_assert!(of(piece).all(has) || !of(piece).any(has), "{:?} {:?}", piece, window);
                }
                prop_assert!(cut.is_none_or(|cut| cut <= piece.first || cut > piece.last));
            }
        }
    }
}

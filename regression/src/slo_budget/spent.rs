//! What a deployment cost: the bad requests beyond what was usual before it, as a share of the budget.

use model::Deployment;

use super::burn::{FAST_WINDOWS, HOUR_MINUTES, is_fast};
use super::minutes::{PieceCounts, RequestCounts};
use crate::charts::{MINUTE_MS, Minutes};
use crate::sources::Sources;
use crate::statistics::{Arms, DesignEffect, Proportion, proportion_difference};

/// What was usual is told by as much time as the deployment was live, but at least an hour and at most a day.
const BEFORE_MINUTES_MIN: u64 = 60;
const BEFORE_MINUTES_MAX: u64 = 24 * 60;
/// Fewer bad requests in an hour say nothing of a version, however fast they spend a small budget.
const BAD_MIN: u64 = 5;
/// Of the interval in which a version has to fail more often than usual: a rollout is asked about again and again.
const LEVEL: f64 = 0.998;

/// When a deployment was live, and the time before that it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub(super) before: Minutes,
    pub(super) live: Minutes,
}

impl Life {
    /// From its start until it was taken back, the next one began, or `end_ts`, epoch milliseconds.
    ///
    /// # Errors
    /// Where deployments cannot be read.
    pub(super) async fn of(sources: &Sources, deployment: &Deployment, end_ts: u64) -> storage::Result<Self> {
        let next = match &deployment.superseded_by {
            Some(id) => sources.deployments.deployment(id).await?,
            None => None,
        };
        let ends = [deployment.rolled_back_ts, next.map(|next| next.start_ts)];
        let last_ts = ends.into_iter().flatten().fold(end_ts, u64::min);
        Ok(Self::between(deployment.start_ts, last_ts))
    }

    /// Epoch milliseconds.
    pub(super) fn between(start_ts: u64, end_ts: u64) -> Self {
        let first = start_ts / MINUTE_MS;
        let live = Minutes {
            first,
            last: (end_ts / MINUTE_MS).max(first),
        };
        let length = live.count().clamp(BEFORE_MINUTES_MIN, BEFORE_MINUTES_MAX);
        let before = Minutes {
            first: first.saturating_sub(length),
            last: first.saturating_sub(1),
        };
        Self { before, live }
    }

    /// What of its life is in the window of a budget: what it spent earlier is forgiven. What came before it stays.
    pub(super) fn within(self, window: Minutes) -> Self {
        let live = Minutes {
            first: self.live.first.max(window.first),
            last: self.live.last,
        };
        Self { live, ..self }
    }

    /// The share of a budget that was spent, 0 where it was no worse than before. `None` where there is nothing to
    /// compare, or no budget.
    pub(super) fn spent(self, counts: &PieceCounts, budget_requests: f64) -> Option<f64> {
        let usual = self.usual(counts).bad_share()?;
        let own = self.own(counts, self.live);
        let beyond = own.bad - usual * own.valid as f64;
        (own.valid > 0 && budget_requests > 0.0).then(|| beyond.max(0.0) / budget_requests)
    }

    /// Whether it spends the budget so fast that the first alert would fire for its requests alone, at the end of its
    /// life, and surely fails more often than what served before it and beside it.
    pub(super) fn spends_fast(self, counts: &PieceCounts, objective: f64) -> bool {
        let in_last = |minutes: u64| self.own(counts, self.last_of_it(minutes));
        let own = self.own(counts, self.live);
        in_last(HOUR_MINUTES).bad_requests() >= BAD_MIN
            && is_fast(objective, in_last)
            && is_surely_worse(own, self.usual(counts))
            && self
                .beside(counts, own)
                .is_none_or(|beside| is_surely_worse(own, beside))
    }

    /// All windows that are summed up for it, but the time before it.
    pub(super) fn windows(self) -> impl Iterator<Item = Minutes> {
        let last = [HOUR_MINUTES].into_iter().chain(FAST_WINDOWS);
        last.map(move |minutes| self.last_of_it(minutes))
            .chain([self.live])
    }

    /// The end of the time that it was live.
    fn last_of_it(self, minutes: u64) -> Minutes {
        let first = (self.live.last + 1).saturating_sub(minutes);
        Minutes {
            first: first.max(self.live.first),
            last: self.live.last,
        }
    }

    /// Of a part of the time that it was live, the requests that bear its version; where none ever does, all.
    fn own(self, counts: &PieceCounts, part: Minutes) -> RequestCounts {
        let part = counts.sum(part);
        if counts.sum(self.live).of_version.valid > 0 {
            part.of_version
        } else {
            part.all
        }
    }

    /// What served before it.
    fn usual(self, counts: &PieceCounts) -> RequestCounts {
        let before = counts.sum(self.before);
        before.all.without(before.of_version)
    }

    /// What served while it was live and was not its own, if that is enough to tell: failing as its own did, it would
    /// have failed as often as has to be seen.
    fn beside(self, counts: &PieceCounts, own: RequestCounts) -> Option<RequestCounts> {
        let others = counts.sum(self.live).all.without(own);
        let expected = own.bad_share()? * others.valid as f64;
        (expected >= BAD_MIN as f64).then_some(others)
    }
}

fn is_surely_worse(own: RequestCounts, usual: RequestCounts) -> bool {
    let share = |counts: RequestCounts| Proportion::new(counts.bad_requests(), counts.valid);
    let arms = Arms {
        baseline: share(usual),
        candidate: share(own),
    };
    let difference = proportion_difference(&[arms], LEVEL, DesignEffect::NONE);
    difference.is_some_and(|difference| difference.low > 0.0)
}

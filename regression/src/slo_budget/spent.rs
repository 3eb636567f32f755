//! What a deployment cost: the bad requests beyond what was usual before it, as a share of the budget.

use model::Deployment;

use super::minutes::MinuteCounts;
use crate::charts::{MINUTE_MS, Minutes};
use crate::sources::Sources;

/// What was usual is told by as much time as the deployment was live, but at least an hour and at most a day.
const BEFORE_MINUTES_MIN: u64 = 60;
const BEFORE_MINUTES_MAX: u64 = 24 * 60;

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

    /// The share of a budget that was spent, 0 where it was no worse than before. While it was live, the requests count
    /// that bear its version; where none does, all. `None` where there is nothing to compare, or no budget.
    pub(super) fn spent(self, counts: &MinuteCounts, budget_requests: f64) -> Option<f64> {
        let (before, live) = (counts.sum(self.before), counts.sum(self.live));
        let usual = before.all.without(before.of_version).bad_share()?;
        let own = if live.of_version.valid > 0 {
            live.of_version
        } else {
            live.all
        };
        let beyond = own.bad - usual * own.valid as f64;
        (own.valid > 0 && budget_requests > 0.0).then(|| beyond.max(0.0) / budget_requests)
    }
}

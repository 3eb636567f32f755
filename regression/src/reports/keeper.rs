//! Makes and keeps the reports of finished deployments, so that they outlive their spans even if nobody asks.

use model::Deployment;
use storage::DeploymentQuery;

use super::Reports;

/// Deployments that are looked through for finished ones at one time: the newest.
const LOOKED_THROUGH_MAX: usize = 1_000;
/// How far these began back, milliseconds: a version may serve for long before the next one ends its observation.
const BEGAN_MS: u64 = 90 * DAY_MS;
/// How long after they were finished, milliseconds: spans that are older are seldom kept.
const FINISHED_MS: u64 = 14 * DAY_MS;
const DAY_MS: u64 = 24 * 60 * 60_000;
/// When what failed is tried again, milliseconds; twice as late each time, up to the second.
const RETRY_FIRST_MS: u64 = 60_000;
const RETRY_LAST_MS: u64 = 60 * 60_000;

/// When a report that could not be made is tried again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retry {
    /// Epoch milliseconds.
    next_ts: u64,
    wait_ms: u64,
}

impl Retry {
    /// After a failure at `now`, and perhaps others before it.
    fn after(earlier: Option<Self>, now: u64) -> Self {
        let twice = |retry: Self| retry.wait_ms.saturating_mul(2).min(RETRY_LAST_MS);
        let wait_ms = earlier.map_or(RETRY_FIRST_MS, twice);
        Self {
            next_ts: now.saturating_add(wait_ms),
            wait_ms,
        }
    }
}

impl Reports {
    /// Makes and keeps the reports of deployments that were finished within the last two weeks and have none. To be
    /// called now and then.
    ///
    /// # Errors
    /// Where a source cannot answer: the last such error, after all others were looked at.
    pub async fn keep_finished(&self) -> storage::Result<()> {
        let now = (self.sources.now)();
        let query = DeploymentQuery {
            end_ts: Some(now),
            lookback: Some(BEGAN_MS),
            limit: LOOKED_THROUGH_MAX,
            ..DeploymentQuery::default()
        };
        let mut outcome = Ok(());
        for deployment in self.sources.deployments.deployments(&query).await? {
            // Analysed since it was finished, without enough data, it is not analysed again and again.
            let known_until = self.known(&deployment).map_or(0, |known| known.until);
            let finished_at = self.finished_at(&deployment).await?;
            let is_due =
                |finished_at| known_until < finished_at && finished_at >= now.saturating_sub(FINISHED_MS);
            if finished_at.is_some_and(is_due) && self.may_try(&deployment, now) {
                let made = self.read_in_background(&deployment).await;
                self.note(&deployment, made.is_ok());
                outcome = made.map(drop).and(outcome);
            }
        }
        outcome
    }

    fn may_try(&self, deployment: &Deployment, now: u64) -> bool {
        let retry = self.retries.get(&deployment.id);
        retry.is_none_or(|retry| retry.next_ts <= now)
    }

    fn note(&self, deployment: &Deployment, is_made: bool) {
        if is_made {
            self.retries.remove(&deployment.id);
        } else {
            let retry = Retry::after(self.retries.get(&deployment.id), (self.sources.now)());
            self.retries.insert(deployment.id.clone(), retry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_tried_later_each_time_up_to_an_hour() {
        let (mut retry, mut waits) = (None, Vec::new());
        for _ in 0..8 {
            let next = Retry::after(retry, 1_000_000);
            assert_eq!(next.next_ts, 1_000_000 + next.wait_ms);
            waits.push(next.wait_ms / 60_000);
            retry = Some(next);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    }
}

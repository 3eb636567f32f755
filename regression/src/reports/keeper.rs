//! Makes and keeps the reports of finished deployments, so that they outlive their spans even if nobody asks.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use model::Deployment;
use storage::DeploymentQuery;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::Reports;
use crate::share::Share;

/// How often it is looked for deployments that were finished.
const LOOKED_EVERY: Duration = Duration::from_secs(60);
/// Who could not take all that it was offered has to catch up for so long at least.
const CALM: Duration = Duration::from_secs(10);

/// When reports are made that nobody asked for.
#[derive(Clone)]
pub struct KeepOptions {
    /// What they may take.
    pub share: Share,
    /// Messages that the server has refused so far for want of room. As long as these become more no report is begun.
    pub refused: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl fmt::Debug for KeepOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeepOptions")
            .field("share", &self.share)
            .finish_non_exhaustive()
    }
}

impl KeepOptions {
    /// Waits until nothing has been refused for a while.
    async fn calm(&self) {
        let mut before = (self.refused)();
        loop {
            sleep(CALM).await;
            let now = (self.refused)();
            if now == before {
                return;
            }
            before = now;
        }
    }
}

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
    /// Makes and keeps, for as long as anybody else holds `reports`, those of deployments that were finished within the
    /// last two weeks and have none. After each it rests, so that they take no more than their share of the time: after
    /// an import, or where spans come late, many deployments are finished at one time. None is begun while the server
    /// has more to do than it can.
    pub async fn keep_finished(reports: Weak<Self>, options: KeepOptions) {
        let mut now_and_then = interval(LOOKED_EVERY);
        now_and_then.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            now_and_then.tick().await;
            let Some(asked) = reports.upgrade() else { return };
            let due = asked.unkept().await.unwrap_or_else(|error| {
                tracing::warn!(%error, "finished deployments cannot be listed: their reports are not kept yet");
                Vec::new()
            });
            drop(asked);
            for deployment in due {
                options.calm().await;
                let Some(asked) = reports.upgrade() else { return };
                let began = Instant::now();
                if let Err(error) = asked.keep_unasked(&deployment).await {
                    tracing::warn!(deployment = deployment.id, %error, "the report of a finished deployment is not kept yet");
                }
                drop(asked);
                sleep(options.share.rest_after(began.elapsed())).await;
            }
        }
    }

    /// Deployments that were finished within the last two weeks, have no report that is kept, and are to be tried now;
    /// the newest first.
    ///
    /// One of which that cannot be said is tried later, like one that fails.
    ///
    /// # Errors
    /// Where deployments cannot be listed.
    pub async fn unkept(&self) -> storage::Result<Vec<Arc<Deployment>>> {
        let now = (self.sources.now)();
        let query = DeploymentQuery {
            end_ts: Some(now),
            lookback: Some(BEGAN_MS),
            limit: LOOKED_THROUGH_MAX,
            ..DeploymentQuery::default()
        };
        let mut unkept = Vec::new();
        for deployment in self.sources.deployments.deployments(&query).await? {
            if !self.may_try(&deployment, now) {
                continue;
            }
            match self.is_unkept(&deployment, now).await {
                Ok(true) => unkept.push(deployment),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(deployment = deployment.id, %error, "whether a report is kept cannot be read yet");
                    self.note(&deployment, false);
                }
            }
        }
        Ok(unkept)
    }

    /// Whether a deployment was finished of late and its report is not kept.
    async fn is_unkept(&self, deployment: &Arc<Deployment>, now: u64) -> storage::Result<bool> {
        let finished_at = self.finished_at(deployment).await?;
        let is_late = |finished_at: u64| finished_at < now.saturating_sub(FINISHED_MS);
        let Some(finished_at) = finished_at.filter(|finished_at| !is_late(*finished_at)) else {
            return Ok(false);
        };
        self.outcome(deployment).await?;
        // Analysed since it was finished, without enough data, it is not analysed again and again.
        let known_until = self.known(deployment).map_or(0, |known| known.until);
        Ok(known_until < finished_at)
    }

    /// Makes and keeps the report of a finished deployment though nobody asks. After a failure it is not among those to
    /// be tried for a while.
    ///
    /// # Errors
    /// Where a source cannot answer, or it takes too long.
    pub async fn keep_unasked(&self, deployment: &Arc<Deployment>) -> storage::Result<()> {
        let made = self.read_in_background(deployment).await;
        self.note(deployment, made.is_ok());
        made.map(drop)
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

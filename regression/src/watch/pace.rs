//! How often a rollout is looked at: often while it is young, seldom later, and never for more than a share of the time.

use std::time::Duration;

use model::Deployment;

use crate::analysis::Options;
use crate::reports::finished_ts;
use crate::share::Share;

/// How rollouts are watched.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchOptions {
    /// Watched at one time, the newest; each has five metrics.
    pub deployments_max: usize,
    /// What reports may take.
    pub share: Share,
    /// How often it is looked for deployments that are new or changed.
    pub scan_interval: Duration,
    /// Between two looks at a rollout that just began, changed, or ended.
    pub interval_min: Duration,
    /// Between two looks at an old one.
    pub interval_max: Duration,
    /// A report that takes longer is given up.
    pub report_timeout: Duration,
    /// How long after its end a rollout is observed, milliseconds: as the analysis has it.
    pub monitor_ms: u64,
    /// How long one is watched that never ends, milliseconds.
    pub endless_ms: u64,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            deployments_max: 32,
            share: Share::default(),
            scan_interval: Duration::from_secs(2),
            interval_min: Duration::from_secs(5),
            interval_max: Duration::from_secs(300),
            report_timeout: Duration::from_secs(60),
            monitor_ms: Options::default().monitor_ms,
            endless_ms: 24 * 60 * 60_000,
        }
    }
}

/// A rollout of this age is looked at once in a hundred and twentieth of it: every 5 s until it is ten minutes old, every
/// 30 s when it is an hour.
const LOOKS_AN_AGE: u32 = 120;

impl WatchOptions {
    /// How long after a look the next one is due, `age_ms` after something last happened to the rollout.
    pub(super) fn interval(&self, age_ms: u64) -> Duration {
        let interval = Duration::from_millis(age_ms) / LOOKS_AN_AGE;
        interval.max(self.interval_min).min(self.interval_max)
    }

    /// Until when a rollout is watched, epoch milliseconds: until its report is the last one, but not for ever.
    /// `superseded_ts` is when the next one of its service began.
    pub(super) fn watched_until(&self, deployment: &Deployment, superseded_ts: Option<u64>) -> u64 {
        let endless = deployment.start_ts.saturating_add(self.endless_ms);
        finished_ts(deployment, superseded_ts, self.monitor_ms).unwrap_or(endless)
    }
}

/// When something last happened to a rollout that is not in the future, epoch milliseconds.
pub(super) fn last_step(deployment: &Deployment, now: u64) -> u64 {
    let switches = deployment.instances.iter().map(|instance| instance.switch_ts);
    let steps = switches.chain(deployment.end_ts).chain(deployment.rolled_back_ts);
    let past = steps.filter(|step| *step <= now);
    past.max().unwrap_or(0).max(deployment.start_ts)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use model::SwitchedInstance;

    use super::*;

    #[test]
    fn intervals_grow_with_age_within_bounds() {
        let options = WatchOptions::default();
        let seconds = |age_ms| options.interval(age_ms).as_secs_f64();
        assert_eq!((seconds(0), seconds(600_000)), (5.0, 5.0));
        assert_eq!((seconds(3_600_000), seconds(u64::MAX)), (30.0, 300.0));
    }

    #[test]
    fn a_rollout_is_watched_until_it_is_finished_or_nobody_tells_that_it_is() {
        let options = WatchOptions::default();
        let (hour, late) = (3_600_000, 600_000);
        let mut rollout = Deployment {
            start_ts: 1_000,
            ..Deployment::default()
        };
        let until = |rollout: &Deployment, superseded| options.watched_until(rollout, superseded);
        assert_eq!(until(&rollout, None), 1_000 + 24 * hour);
        // However long it takes.
        rollout.end_ts = Some(72 * hour);
        assert_eq!(until(&rollout, None), 73 * hour + late);
        assert_eq!(until(&rollout, Some(5_000)), 5_000 + late);
        rollout.rolled_back_ts = Some(4_000);
        assert_eq!(until(&rollout, Some(5_000)), 4_000 + late);
    }

    #[test]
    fn the_last_step_is_the_newest_that_was_taken() {
        let switch = |switch_ts| SwitchedInstance {
            switch_ts,
            ip: IpAddr::from([10, 0, 0, 1]),
            port: None,
        };
        let mut rollout = Deployment {
            start_ts: 100,
            ..Deployment::default()
        };
        assert_eq!(last_step(&rollout, 1_000), 100);
        rollout.instances = vec![switch(200), switch(5_000)];
        assert_eq!(last_step(&rollout, 1_000), 200);
        rollout.end_ts = Some(900);
        assert_eq!(last_step(&rollout, 1_000), 900);
    }
}

//! Everything that a report is made from, asked of the sources.

use std::sync::Arc;

use model::{Deployment, environments_agree};
use storage::{DeploymentQuery, History, ProfileQuery, Profiles};

use crate::Sources;

use super::options::Options;

/// What the sources answered.
#[derive(Debug)]
pub(super) struct Gathered {
    /// Traces before the rollout began.
    pub(super) before: Profiles,
    /// Traces since then.
    pub(super) since: Profiles,
    /// All deployments of the service.
    pub(super) history: History,
    /// Deployments of other services at about the same time.
    pub(super) others: Vec<Arc<Deployment>>,
    /// What is stored until then was looked at, epoch microseconds.
    pub(super) until: u64,
    /// Whether that is all there will be.
    pub(super) now: u64,
}

/// For how long a rollout that does not end is looked back at, milliseconds.
const GOES_ON_MAX_MS: u64 = 6 * 60 * 60_000;
/// Deployments of others this long before may still be taken for this one, milliseconds.
const OTHERS_BEFORE_MS: u64 = 10 * 60_000;

pub(super) async fn gather(
    sources: &Sources,
    deployment: &Deployment,
    end_ts: Option<u64>,
    options: &Options,
) -> storage::Result<Gathered> {
    let now = end_ts.unwrap_or_else(|| (sources.now)());
    let history = sources.deployments.history(&deployment.service_name).await?;
    let until = last_moment(deployment, &history, now, options);
    let start = deployment.start_ts;
    let length = until
        .saturating_sub(deployment.end_ts.unwrap_or(start))
        .clamp(options.window_min_ms, options.window_max_ms);
    let query = |from: u64, to: u64, limit: usize| ProfileQuery {
        window: (
            from.saturating_mul(1000),
            to.saturating_mul(1000).saturating_sub(1),
        ),
        service_name: Some(deployment.service_name.clone()),
        entry: None,
        limit,
        seed: options.seed,
    };
    let before = query(start.saturating_sub(length), start, options.traces_max);
    let since = query(
        start.max(until.saturating_sub(GOES_ON_MAX_MS)),
        until.saturating_add(1),
        options.traces_max.saturating_mul(2),
    );
    let before = sources.latency.profiles(&before).await?;
    let since = sources.latency.profiles(&since).await?;
    let others = DeploymentQuery {
        service_name: None,
        environment: deployment.environment.clone(),
        end_ts: Some(until),
        lookback: Some(until.saturating_sub(start).saturating_add(OTHERS_BEFORE_MS)),
        limit: options.deployments_max,
    };
    let mut others = sources.deployments.deployments(&others).await?;
    others.retain(|other| other.service_name != deployment.service_name);
    Ok(Gathered {
        before,
        since,
        history,
        others,
        until: until.saturating_mul(1000),
        now,
    })
}

/// Until when the deployment was the newest in its environment, and not longer than is looked at.
fn last_moment(deployment: &Deployment, history: &History, now: u64, options: &Options) -> u64 {
    let next = history
        .iter()
        .filter(|other| other.id != deployment.id && other.start_ts > deployment.start_ts)
        .filter(|other| environments_agree(other.environment.as_deref(), deployment.environment.as_deref()))
        .map(|other| other.start_ts)
        .min();
    let longest = deployment
        .end_ts
        .map(|end| end.saturating_add(options.window_max_ms));
    [Some(now), next, deployment.rolled_back_ts, longest]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(now)
        .max(deployment.start_ts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_is_the_newest_until_the_next_one_of_its_environment() {
        let to = |environment: Option<&str>, start_ts: u64| Deployment {
            id: start_ts.to_string(),
            environment: environment.map(str::to_owned),
            start_ts,
            ..Deployment::default()
        };
        let last = |next: Deployment| {
            let history: History = [to(Some("prod"), 1_000), next].map(Arc::new).into();
            last_moment(&history[0], &history, 9_000, &Options::default())
        };
        assert_eq!(last(to(Some("prod"), 2_000)), 2_000);
        assert_eq!(last(to(None, 2_000)), 2_000);
        assert_eq!(last(to(Some("staging"), 2_000)), 9_000);
    }
}

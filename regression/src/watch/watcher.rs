//! The loop: finds rollouts that go on, asks for their reports one at a time, and tells what changed.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use model::Deployment;
use parking_lot::Mutex;
use storage::{BoxFuture, DeploymentQuery, DeploymentStore, DurationHistogram, StorageError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::event::Change;
use super::events::Events;
use super::pace::WatchOptions;
use super::rollout::Rollout;
use super::standing::{Effect, Shown, Standing};
use crate::report::Report;
use crate::reports::Reports;
use crate::sources::Clock;

/// Deployments that are looked through, the newest.
const LISTED_MAX: usize = 1_000;

/// Makes the report of a deployment by what is stored now, or answers the one that is kept.
pub type Ask = Arc<dyn Fn(Arc<Deployment>) -> BoxFuture<'static, storage::Result<Arc<Report>>> + Send + Sync>;

/// What a watcher asks.
#[derive(Clone)]
pub struct WatchSources {
    /// Which deployments there are.
    pub deployments: Arc<dyn DeploymentStore>,
    /// What became of one.
    pub report: Ask,
    /// How many spans have been taken so far: where that stands still, there is nothing new.
    pub spans_taken: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Epoch milliseconds.
    pub now: Clock,
}

impl WatchSources {
    /// Those that the API answers by.
    pub fn new(reports: &Arc<Reports>, spans_taken: Arc<dyn Fn() -> u64 + Send + Sync>) -> Self {
        let sources = reports.sources();
        let asked = Arc::clone(reports);
        Self {
            deployments: Arc::clone(&sources.deployments),
            report: Arc::new(move |deployment| {
                let reports = Arc::clone(&asked);
                Box::pin(async move { reports.read_in_background(&deployment).await })
            }),
            spans_taken,
            now: Arc::clone(&sources.now),
        }
    }
}

impl fmt::Debug for WatchSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchSources").finish_non_exhaustive()
    }
}

/// What is watched, and how that goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WatchStats {
    /// The newest first; of one service, version and environment one.
    pub deployments: Vec<WatchedDeployment>,
    /// Rollouts that are looked at.
    pub watched: usize,
    /// Rollouts that go on and are not, because there are too many.
    pub unwatched: usize,
    /// Reports that could not be made.
    pub failures: u64,
    /// Reports that were not asked for because no span had come since the last one.
    pub skipped: u64,
}

/// What is thought of a deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchedDeployment {
    /// Who was deployed.
    pub service_name: String,
    /// What.
    pub version: String,
    /// Where, as far as that was told.
    pub environment: Option<String>,
    /// Verdict, decision, score.
    pub standing: Standing,
    /// Of what was found, the largest.
    pub effect: Option<Effect>,
}

/// Asks a watcher how it goes.
#[derive(Clone, Debug)]
pub struct WatchMonitor {
    stats: Arc<Mutex<WatchStats>>,
    report_time: Arc<DurationHistogram>,
}

impl WatchMonitor {
    /// As of now.
    pub fn stats(&self) -> WatchStats {
        self.stats.lock().clone()
    }

    /// How long reports took.
    pub fn report_time(&self) -> Arc<DurationHistogram> {
        Arc::clone(&self.report_time)
    }
}

/// A watcher that runs until it is stopped.
#[derive(Debug)]
pub struct Watch {
    monitor: WatchMonitor,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Watches from now on, and tells by `events`.
    pub fn start(sources: WatchSources, options: WatchOptions, events: Events) -> Self {
        let mut watcher = Watcher::new(sources, options, events);
        let monitor = watcher.monitor.clone();
        let (stop, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            loop {
                // A look that is under way is given up: it changes nothing.
                let wake = tokio::select! {
                    wake = watcher.turn() => wake,
                    _ = stopped.wait_for(|stopped| *stopped) => return,
                };
                tokio::select! {
                    () = sleep_until(wake) => {}
                    _ = stopped.wait_for(|stopped| *stopped) => return,
                }
            }
        });
        Self { monitor, stop, task }
    }

    /// Tells how it goes.
    pub fn monitor(&self) -> WatchMonitor {
        self.monitor.clone()
    }

    /// Ends it.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(failure) = self.task.await {
            tracing::error!(%failure, "what watched the deployments failed");
        }
    }
}

/// See the head of this file.
#[derive(Debug)]
struct Watcher {
    sources: WatchSources,
    options: WatchOptions,
    events: Events,
    monitor: WatchMonitor,
    /// Deployments that were noticed while they went on, by identifier.
    rollouts: HashMap<String, Rollout>,
    has_scanned: bool,
    next_scan: Instant,
    /// Until then no report is asked for, so that they take no more than their share.
    rest_until: Instant,
}

impl Watcher {
    fn new(sources: WatchSources, options: WatchOptions, events: Events) -> Self {
        let monitor = WatchMonitor {
            stats: Arc::default(),
            report_time: Arc::default(),
        };
        Self {
            sources,
            options,
            events,
            monitor,
            rollouts: HashMap::new(),
            has_scanned: false,
            next_scan: Instant::now(),
            rest_until: Instant::now(),
        }
    }

    /// Does what is due, one report at most; when there is something to do again.
    async fn turn(&mut self) -> Instant {
        let now = Instant::now();
        if self.next_scan <= now {
            self.next_scan = now + self.options.scan_interval;
            if let Err(error) = self.scan().await {
                tracing::warn!(%error, "deployments to be watched cannot be listed");
            }
        }
        let now = Instant::now();
        if self.rest_until <= now
            && let Some(id) = self.most_due(now)
        {
            self.look(&id).await;
        }
        self.show();
        let dues = self.rollouts.values().filter_map(Rollout::due);
        let look = dues.min().map(|due| due.max(self.rest_until));
        look.map_or(self.next_scan, |look| look.min(self.next_scan))
    }

    /// Looks for rollouts that began, changed or are over.
    async fn scan(&mut self) -> storage::Result<()> {
        let now = (self.sources.now)();
        let query = DeploymentQuery {
            end_ts: Some(now),
            limit: LISTED_MAX,
            ..DeploymentQuery::default()
        };
        let listed = self.sources.deployments.deployments(&query).await?;
        self.follow(&listed).await?;
        let starts: HashMap<&str, u64> = listed
            .iter()
            .map(|deployment| (deployment.id.as_str(), deployment.start_ts))
            .collect();
        let mut places = self.options.deployments_max;
        for deployment in &listed {
            let next = deployment.superseded_by.as_deref();
            let superseded_ts = next.and_then(|next| starts.get(next).copied());
            let is_over = self.options.watched_until(deployment, superseded_ts) <= now;
            if is_over && !self.rollouts.contains_key(&deployment.id) {
                continue;
            }
            let was_there = !self.has_scanned;
            let rollout = self
                .rollouts
                .entry(deployment.id.clone())
                .or_insert_with(|| Rollout::new(deployment, superseded_ts, now, was_there));
            let wants_place = rollout.wants_place(is_over);
            rollout.place(is_over, places > 0);
            places = places.saturating_sub(usize::from(wants_place));
            let steps = rollout.update(deployment, superseded_ts, now);
            for kind in steps {
                self.tell(&deployment.id, &Change::Rollout(kind));
            }
        }
        self.has_scanned = true;
        Ok(())
    }

    /// Drops what is gone; an inferred deployment may go on as the declared one that absorbed it.
    async fn follow(&mut self, listed: &[Arc<Deployment>]) -> storage::Result<()> {
        let ids: HashSet<&str> = listed.iter().map(|deployment| deployment.id.as_str()).collect();
        let gone = self.rollouts.keys().filter(|id| !ids.contains(id.as_str()));
        let gone: Vec<String> = gone.cloned().collect();
        for id in gone {
            let found = self.sources.deployments.deployment(&id).await?;
            let Some(rollout) = self.rollouts.remove(&id) else {
                continue;
            };
            if let Some(absorbing) = found.filter(|found| found.id != id) {
                self.rollouts.entry(absorbing.id.clone()).or_insert(rollout);
            }
        }
        Ok(())
    }

    /// Of rollouts that are due, the one that has been for the longest.
    fn most_due(&self, now: Instant) -> Option<String> {
        let due = self
            .rollouts
            .iter()
            .filter_map(|(id, rollout)| Some((rollout.due().filter(|due| *due <= now)?, id)));
        due.min().map(|(_, id)| id.clone())
    }

    /// Has a report made and tells what is new in it.
    async fn look(&mut self, id: &str) {
        let Some(rollout) = self.rollouts.get_mut(id) else {
            return;
        };
        let spans = (self.sources.spans_taken)();
        if rollout.is_up_to_date(spans, &self.options) {
            rollout.postpone(&self.options, (self.sources.now)());
            self.monitor.stats.lock().skipped += 1;
            return;
        }
        let began = Instant::now();
        let report = (self.sources.report)(Arc::clone(&rollout.deployment));
        let report = timeout(self.options.report_timeout, report)
            .await
            .unwrap_or_else(|_| Err(too_long(&self.options)));
        let took = began.elapsed();
        self.monitor.report_time.record(took);
        self.rest_until = Instant::now() + self.options.share.rest_after(took);
        let changes = self.take(id, report);
        if let Some(rollout) = self.rollouts.get_mut(id) {
            rollout.looked(spans, began);
            rollout.postpone(&self.options, (self.sources.now)());
        }
        for change in changes {
            self.tell(id, &change);
        }
    }

    fn take(&mut self, id: &str, report: storage::Result<Arc<Report>>) -> Vec<Change> {
        let Some(rollout) = self.rollouts.get_mut(id) else {
            return Vec::new();
        };
        match report {
            Ok(report) => {
                rollout.is_failing = false;
                rollout.shown = Shown::of(&report);
                rollout.told.take(&report)
            }
            Err(error) => {
                // Once, and not every few seconds for as long as it lasts.
                if !std::mem::replace(&mut rollout.is_failing, true) {
                    tracing::warn!(deployment = id, %error, "a rollout that is watched has no report");
                }
                self.monitor.stats.lock().failures += 1;
                Vec::new()
            }
        }
    }

    fn tell(&self, id: &str, change: &Change) {
        if let Some(rollout) = self.rollouts.get(id) {
            let (now, standing) = ((self.sources.now)(), rollout.shown.standing);
            self.events.publish(now, &rollout.deployment, standing, change);
        }
    }

    /// For metrics.
    fn show(&self) {
        let watched = self.rollouts.values().filter(|rollout| rollout.is_watched());
        let mut watched: Vec<&Rollout> = watched.collect();
        watched.sort_by(|a, b| {
            let key = |rollout: &Rollout| (rollout.deployment.start_ts, rollout.deployment.id.clone());
            key(b).cmp(&key(a))
        });
        let mut labels = HashSet::new();
        let mut deployments = Vec::new();
        for rollout in &watched {
            let Deployment {
                service_name,
                version,
                environment,
                ..
            } = &*rollout.deployment;
            if labels.insert((service_name, version, environment)) {
                deployments.push(WatchedDeployment {
                    service_name: service_name.clone(),
                    version: version.clone(),
                    environment: environment.clone(),
                    standing: rollout.shown.standing,
                    effect: rollout.shown.effect,
                });
            }
        }
        let waiting = self.rollouts.values().filter(|rollout| rollout.is_waiting());
        let unwatched = waiting.count();
        let mut stats = self.monitor.stats.lock();
        stats.watched = watched.len();
        stats.unwatched = unwatched;
        stats.deployments = deployments;
    }
}

fn too_long(options: &WatchOptions) -> StorageError {
    let limit = options.report_timeout.as_millis();
    StorageError::Timeout(format!("the report took longer than {limit} ms"))
}

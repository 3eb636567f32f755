//! Reports of deployments: where a question for one is answered from.
//!
//! The report of a finished deployment is kept in the store, so that it outlives the spans, and is answered byte for
//! byte; `finished.rs` says when that is, `keeper.rs` sees to it. Any other is made when it is asked for
//! (`analyses.rs`), when it is its turn (`turns.rs`). `regressions.rs` gathers the findings of many, `populations.rs`
//! finds traces that are compared without a deployment.

mod analyses;
mod finished;
pub(crate) mod http;
mod keeper;
mod populations;
mod regressions;
#[cfg(test)]
pub(crate) mod tests;
mod turns;

use finished::describe;
pub(crate) use finished::{Outcome, finished_ts};

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::Deployment;
use quick_cache::sync::Cache;
use storage::{Completeness, StorageError};
use tokio::sync::Mutex;

use crate::analysis::{self, Options};
use crate::report::{Report, Verdict};
use crate::sources::Sources;
use analyses::Analyses;
pub use keeper::KeepOptions;
use keeper::Retry;
use turns::{Turns, apart};

/// Charts, lists, budgets and traces side by side that are made at one time: each holds sums of a long window, or two
/// large traces. They do not wait for analyses, which take longer.
const LOOKS_MAX: usize = 4;
/// Deployments whose outcome is remembered; some hundred bytes each.
const OUTCOMES_MAX: usize = 10_000;
/// Deployments whose report could not be made for nobody, and which wait for the next try.
const RETRIES_MAX: usize = 1_000;
/// How long a report may take that nobody waits for.
const BACKGROUND_TIMEOUT: Duration = Duration::from_secs(60);
/// What is kept is the last word.
const KEPT: u64 = u64::MAX;

/// How reports are made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `QUERY_TIMEOUT`: an answer that is not there by then fails.
    pub timeout: Duration,
    /// `QUERY_LOOKBACK`: how far a question looks back that does not say, in milliseconds.
    pub lookback_ms: u64,
    /// `VERSION_TAGS`: the first of these tags that a span bears names the version that served it.
    pub version_tags: Vec<String>,
    /// Sizes, levels and times that an analysis goes by.
    pub options: Options,
}

/// What a server has that is told nothing.
impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(11),
            lookback_ms: 24 * 60 * 60_000,
            version_tags: ["service.version", "version", "app.version"]
                .map(String::from)
                .to_vec(),
            options: Options::default(),
        }
    }
}

/// Answers questions for reports.
pub struct Reports {
    sources: Sources,
    settings: Settings,
    analyses: Arc<Analyses>,
    looks: Turns,
    /// Held by who makes a report that nobody waits for: of two analyses at one time, one at least is for somebody.
    background: Mutex<()>,
    outcomes: Cache<String, Known>,
    retries: Cache<String, Retry>,
}

impl fmt::Debug for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reports")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// What is known of a deployment as it was when that was found out.
#[derive(Clone)]
struct Known {
    deployment: Arc<Deployment>,
    /// Until when it was analysed, epoch milliseconds: 0 if it was not, [`KEPT`] if the report is kept.
    until: u64,
    /// `None` if it was not.
    outcome: Option<Outcome>,
}

/// A report as it is answered.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// As it was kept.
    Kept(Vec<u8>),
    /// Just made.
    Made(Arc<Report>),
}

impl Found {
    /// What it says.
    pub(crate) async fn read(self) -> storage::Result<Arc<Report>> {
        match self {
            Self::Made(report) => Ok(report),
            Self::Kept(bytes) => {
                let read = apart(move || serde_json::from_slice(&bytes)).await?;
                let damaged = |error| StorageError::Corrupt(format!("a kept report: {error}"));
                read.map(Arc::new).map_err(damaged)
            }
        }
    }

    /// As it is answered, and whether it is of everything that is stored.
    pub(crate) async fn into_bytes(self) -> storage::Result<(Vec<u8>, Completeness)> {
        match self {
            // Only what is of all spans is kept.
            Self::Kept(bytes) => Ok((bytes, Completeness::Complete)),
            Self::Made(report) => {
                let completeness = report.completeness();
                Ok((written(report).await?, completeness))
            }
        }
    }
}

/// A report as it is answered and kept.
async fn written(report: Arc<Report>) -> storage::Result<Vec<u8>> {
    let bytes = apart(move || serde_json::to_vec(&*report)).await?;
    bytes.map_err(|error| StorageError::Corrupt(format!("a report: {error}")))
}

impl Reports {
    /// Has no report yet but those that are kept.
    pub fn new(sources: Sources, settings: Settings) -> Self {
        Self {
            analyses: Arc::new(Analyses::new(settings.timeout)),
            looks: Turns::new(LOOKS_MAX, settings.timeout),
            background: Mutex::new(()),
            outcomes: Cache::new(OUTCOMES_MAX),
            retries: Cache::new(RETRIES_MAX),
            sources,
            settings,
        }
    }

    pub(crate) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// What it was told.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Does other work that is as heavy as an analysis, in turn with those.
    ///
    /// # Errors
    /// What the work fails with, [`StorageError::Overloaded`] and [`StorageError::Timeout`].
    pub(crate) async fn run<T, F>(&self, work: impl FnOnce() -> F + Send + 'static) -> storage::Result<T>
    where
        F: Future<Output = storage::Result<T>>,
        T: Send + 'static,
    {
        self.analyses.turns().run(work).await
    }

    /// Does work that is lighter than an analysis and yet too heavy for a thread that takes spans: a few at a time.
    ///
    /// # Errors
    /// Those of [`Self::run`].
    pub(crate) async fn look<T, F>(&self, work: impl FnOnce() -> F + Send + 'static) -> storage::Result<T>
    where
        F: Future<Output = storage::Result<T>>,
        T: Send + 'static,
    {
        self.looks.run(work).await
    }

    /// The report of a deployment by what was stored until a moment, or until now: then the kept one, if there is one
    /// that is of the deployment as it is, and otherwise one that is kept if the deployment is finished.
    ///
    /// # Errors
    /// Where a source cannot answer, [`StorageError::Overloaded`] where too much is asked at one time, and
    /// [`StorageError::Timeout`].
    pub(crate) async fn report(
        &self,
        deployment: &Arc<Deployment>,
        end_ts: Option<u64>,
    ) -> storage::Result<Found> {
        self.report_within(deployment, end_ts, self.settings.timeout)
            .await
    }

    async fn report_within(
        &self,
        deployment: &Arc<Deployment>,
        end_ts: Option<u64>,
        limit: Duration,
    ) -> storage::Result<Found> {
        if end_ts.is_some() {
            return self.analyse(deployment, end_ts, limit).await.map(Found::Made);
        }
        if let Some((outcome, kept)) = self.kept(deployment).await? {
            self.remember(deployment, KEPT, Some(outcome));
            return Ok(Found::Kept(kept));
        }
        self.make(deployment, limit).await.map(Found::Made)
    }

    /// The same, read. A kept one that cannot be read is made again.
    ///
    /// # Errors
    /// Those of [`Self::report`].
    pub(crate) async fn read(&self, deployment: &Arc<Deployment>) -> storage::Result<Arc<Report>> {
        self.read_within(deployment, self.settings.timeout).await
    }

    /// The same for nobody who waits: it may take longer, and one at a time is made.
    ///
    /// # Errors
    /// Those of [`Self::report`].
    pub(crate) async fn read_in_background(
        &self,
        deployment: &Arc<Deployment>,
    ) -> storage::Result<Arc<Report>> {
        let _turn = self.background.lock().await;
        let limit = self.settings.timeout.max(BACKGROUND_TIMEOUT);
        self.read_within(deployment, limit).await
    }

    async fn read_within(
        &self,
        deployment: &Arc<Deployment>,
        limit: Duration,
    ) -> storage::Result<Arc<Report>> {
        match self.report_within(deployment, None, limit).await?.read().await {
            Err(error @ StorageError::Corrupt(_)) => {
                tracing::warn!(deployment = deployment.id, %error, "made again");
                self.make(deployment, limit).await
            }
            read => read,
        }
    }

    /// What is kept of a deployment as it is now, and what that came to. What is damaged is as if it were not there: it
    /// must not keep a list from being answered.
    async fn kept(&self, deployment: &Arc<Deployment>) -> storage::Result<Option<(Outcome, Vec<u8>)>> {
        let kept = match self.sources.deployments.report(&deployment.id).await {
            Err(error @ StorageError::Corrupt(_)) => {
                tracing::warn!(deployment = deployment.id, %error, "a kept report is left out");
                None
            }
            kept => kept?,
        };
        let Some(kept) = kept else { return Ok(None) };
        let deployment = Arc::clone(deployment);
        apart(move || Some((finished::outcome_of(&kept, &deployment)?, kept))).await
    }

    /// The current report, kept if the deployment is finished. It is of the moment at which that was so, whenever it is
    /// asked for: budgets and what goes on would be others later.
    async fn make(&self, deployment: &Arc<Deployment>, limit: Duration) -> storage::Result<Arc<Report>> {
        let finished_at = self.finished_at(deployment).await?;
        let report = self.analyse(deployment, finished_at, limit).await?;
        let outcome = Outcome {
            verdict: report.verdict,
            decision: report.decision,
            score: report.score,
        };
        self.remember(deployment, (self.sources.now)(), Some(outcome));
        if finished_at.is_some() {
            self.keep(deployment, Arc::clone(&report)).await?;
        }
        Ok(report)
    }

    async fn analyse(
        &self,
        deployment: &Arc<Deployment>,
        end_ts: Option<u64>,
        limit: Duration,
    ) -> storage::Result<Arc<Report>> {
        let (sources, options) = (self.sources.clone(), self.settings.options.clone());
        let judged = Arc::clone(deployment);
        let work = move || async move { analysis::analyse(&sources, &judged, end_ts, &options).await };
        self.analyses.analyse(deployment, end_ts, limit, work).await
    }

    /// Keeps what was found of a finished deployment. One without enough data is asked again: its spans may still be
    /// imported, and what was kept before they were dropped says more. So is one that is of a part of the spans only,
    /// which may be mended.
    async fn keep(&self, deployment: &Deployment, report: Arc<Report>) -> storage::Result<()> {
        let is_whole = report.completeness() == Completeness::Complete;
        if report.verdict == Verdict::InsufficientData || !is_whole {
            return Ok(());
        }
        let bytes = written(report).await?;
        match self.sources.deployments.put_report(&deployment.id, bytes).await {
            // Larger than what is kept: it is made again whenever it is asked for.
            Err(StorageError::Invalid(what)) => {
                tracing::warn!(deployment = deployment.id, what, "a report is not kept")
            }
            kept => drop(kept?),
        }
        Ok(())
    }

    /// Since when a deployment is finished, epoch milliseconds; `None` if it is not yet.
    pub(crate) async fn finished_at(&self, deployment: &Deployment) -> storage::Result<Option<u64>> {
        let successor = match &deployment.superseded_by {
            Some(id) => self.sources.deployments.deployment(id).await?,
            None => None,
        };
        let successor_ts = successor.map(|successor| successor.start_ts);
        let finished_ts = finished_ts(deployment, successor_ts, self.settings.options.monitor_ms);
        Ok(finished_ts.filter(|finished_ts| *finished_ts <= (self.sources.now)()))
    }

    /// Only answers to questions without a moment of their own: what was known earlier is not what is known now.
    fn remember(&self, deployment: &Arc<Deployment>, until: u64, outcome: Option<Outcome>) {
        if self.known(deployment).is_none_or(|known| known.until <= until) {
            let known = Known {
                deployment: Arc::clone(deployment),
                until,
                outcome,
            };
            self.outcomes.insert(deployment.id.clone(), known);
        }
    }

    /// What was found out of a deployment as it is now.
    fn known(&self, deployment: &Arc<Deployment>) -> Option<Known> {
        let known = self.outcomes.get(&deployment.id);
        known.filter(|known| known.deployment == *deployment)
    }

    /// What is known already of a deployment, as it is now; nothing is analysed.
    ///
    /// # Errors
    /// Where a kept report cannot be read.
    pub(crate) async fn outcome(&self, deployment: &Arc<Deployment>) -> storage::Result<Option<Outcome>> {
        if let Some(known) = self.known(deployment) {
            return Ok(known.outcome);
        }
        let kept = self.kept(deployment).await?;
        let outcome = kept.map(|(outcome, _)| outcome);
        let until = if outcome.is_some() { KEPT } else { 0 };
        self.remember(deployment, until, outcome);
        Ok(outcome)
    }
}

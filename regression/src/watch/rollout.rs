//! A rollout that is followed: what of it was told, and when it is looked at next.

use std::sync::Arc;
use std::time::Duration;

use model::Deployment;
use tokio::time::Instant;

use super::event::EventKind;
use super::pace::{WatchOptions, last_step};
use super::standing::{Shown, Told};

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Rollout {
    pub(super) deployment: Arc<Deployment>,
    pub(super) told: Told,
    pub(super) shown: Shown,
    /// Whether the last look failed.
    pub(super) is_failing: bool,
    stage: Stage,
    steps: Steps,
    next_look: Instant,
    last_look: Option<Look>,
}

/// Where a rollout is with us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// There is no place for it.
    Waiting,
    /// It is looked at.
    Watched,
    /// It is over, and looked at for the last time.
    Ending,
    /// That was done.
    Settled,
}

#[derive(Clone, Copy, Debug)]
struct Look {
    at: Instant,
    /// Spans that had been taken before it.
    spans: u64,
}

/// What happened to a rollout itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Steps {
    has_begun: bool,
    has_ended: bool,
    is_rolled_back: bool,
    is_superseded: bool,
}

impl Steps {
    fn of(deployment: &Deployment, superseded_ts: Option<u64>, now: u64) -> Self {
        Self {
            has_begun: true,
            has_ended: deployment.end_ts.is_some_and(|end_ts| end_ts <= now),
            is_rolled_back: deployment.rolled_back_ts.is_some_and(|ts| ts <= now),
            is_superseded: superseded_ts.is_some(),
        }
    }

    /// In the order in which they are told.
    fn kinds(self) -> [(EventKind, bool); 4] {
        [
            (EventKind::DeploymentBegan, self.has_begun),
            (EventKind::DeploymentEnded, self.has_ended),
            (EventKind::DeploymentRolledBack, self.is_rolled_back),
            (EventKind::DeploymentSuperseded, self.is_superseded),
        ]
    }
}

impl Rollout {
    /// One that nothing was told of. Of one that `was_there` before anybody could notice what happened to it, that is
    /// not told either.
    pub(super) fn new(
        deployment: &Arc<Deployment>,
        superseded_ts: Option<u64>,
        now: u64,
        was_there: bool,
    ) -> Self {
        let steps = match was_there {
            true => Steps::of(deployment, superseded_ts, now),
            false => Steps::default(),
        };
        Self {
            deployment: Arc::clone(deployment),
            told: Told::default(),
            shown: Shown::UNKNOWN,
            is_failing: false,
            stage: Stage::Waiting,
            steps,
            next_look: Instant::now(),
            last_look: None,
        }
    }

    /// Takes the deployment as it is now; what happened to it since, to be told.
    pub(super) fn update(
        &mut self,
        deployment: &Arc<Deployment>,
        superseded_ts: Option<u64>,
        now: u64,
    ) -> Vec<EventKind> {
        if self.deployment != *deployment {
            // What is compared may be something else now, whether or not new spans have come.
            self.deployment = Arc::clone(deployment);
            self.last_look = None;
            self.next_look = self.next_look.min(Instant::now());
        }
        let before = std::mem::replace(&mut self.steps, Steps::of(deployment, superseded_ts, now));
        let steps = self.steps.kinds().into_iter().zip(before.kinds());
        let new = steps.filter(|((_, is), (_, was))| *is && !was);
        new.map(|((kind, _), _)| kind).collect()
    }

    /// Gives it a place, or none, depending on whether it is over and whether there is one.
    pub(super) fn place(&mut self, is_over: bool, has_room: bool) {
        self.stage = match (self.stage, is_over, has_room) {
            (Stage::Watched, true, _) => {
                self.next_look = Instant::now();
                Stage::Ending
            }
            (Stage::Ending, true, true) => Stage::Ending,
            (_, true, _) => Stage::Settled,
            (_, false, true) => Stage::Watched,
            (_, false, false) => Stage::Waiting,
        };
    }

    /// Whether it needs a place.
    pub(super) fn wants_place(&self, is_over: bool) -> bool {
        !is_over || matches!(self.stage, Stage::Watched | Stage::Ending)
    }

    pub(super) fn is_watched(&self) -> bool {
        matches!(self.stage, Stage::Watched | Stage::Ending)
    }

    /// Whether it goes on and there is no place for it.
    pub(super) fn is_waiting(&self) -> bool {
        self.stage == Stage::Waiting
    }

    /// When it is to be looked at; `None` where it is not.
    pub(super) fn due(&self) -> Option<Instant> {
        self.is_watched().then_some(self.next_look)
    }

    /// Whether a look could not find anything new. Now and then one is worth it even so: time passes.
    pub(super) fn is_up_to_date(&self, spans: u64, options: &WatchOptions) -> bool {
        let is_recent = |look: Look| look.spans == spans && look.at.elapsed() < options.interval_max;
        self.stage == Stage::Watched && !self.is_failing && self.last_look.is_some_and(is_recent)
    }

    /// It was looked at, before which so many spans had been taken.
    pub(super) fn looked(&mut self, spans: u64, at: Instant) {
        self.last_look = Some(Look { at, spans });
        if self.stage == Stage::Ending && !self.is_failing {
            self.stage = Stage::Settled;
        }
    }

    /// The next look is due after an interval that fits its age.
    pub(super) fn postpone(&mut self, options: &WatchOptions, now: u64) {
        let age_ms = now.saturating_sub(last_step(&self.deployment, now));
        let interval: Duration = options.interval(age_ms);
        self.next_look = Instant::now() + interval;
    }
}

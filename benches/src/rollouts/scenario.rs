//! What an analysis is given: traces, deployments, the moment at which it is asked. And, for who judges it, the truth.

use std::fmt;
use std::net::Ipv4Addr;

use model::Span;
use serde::Serialize;

use super::rollout::Strategy;
use super::topology::Shape;
use super::truth::{Explanation, Truth};

/// Which seeds methods may be fitted to. The two never meet: the kind is a bit of the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To look at while a method is made.
    Tune,
    /// To be reported, and never looked at before.
    Report,
}

/// The number of a scenario of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Seed {
    /// What it may be used for.
    pub purpose: Purpose,
    /// From 0.
    pub number: u64,
}

impl Seed {
    /// What randomness starts from; different for every purpose and number.
    pub fn value(self) -> u64 {
        self.number << 1 | u64::from(self.purpose == Purpose::Report)
    }
}

/// How versions are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Knowledge {
    /// Spans bear a tag, and deployments are declared.
    Tags,
    /// Spans bear none; deployments are declared with the instances that switched.
    Instances,
    /// Spans bear none; only when a deployment began and ended is declared.
    Window,
    /// Spans bear a tag; nobody declares anything.
    Inferred,
}

/// One version of one service going live.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// Which service.
    pub service_name: String,
    /// What goes live.
    pub version: String,
    /// What it replaces.
    pub previous_version: String,
    /// How; a judge may show it and must not need it.
    pub strategy: Option<Strategy>,
    /// Microseconds since the epoch.
    pub start: u64,
    /// When the last instance had switched.
    pub end: Option<u64>,
    /// When it was taken back.
    pub rolled_back: Option<u64>,
    /// Instances that switched, where they are declared.
    pub instances: Vec<SwitchedInstance>,
    /// False for what an analysis has to find out itself.
    pub is_declared: bool,
    /// How many traces only one of both versions served, the old one first.
    pub requests: [u64; 2],
}

impl Deployment {
    /// Of the smaller side.
    pub fn requests_a_side(&self) -> u64 {
        self.requests[0].min(self.requests[1])
    }
}

/// An instance that took the new version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SwitchedInstance {
    /// Where it serves.
    pub ip: Ipv4Addr,
    /// See `ip`.
    pub port: u16,
    /// Microseconds since the epoch.
    pub switched: u64,
}

/// What a scenario is made of, for tables.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Labels {
    /// How services are arranged; `None` for real ones.
    pub shape: Option<Shape>,
    /// Of the deployment that the scenario is about.
    pub strategy: Option<Strategy>,
    /// How versions are known.
    pub knowledge: Knowledge,
    /// Deployments beside the one that the scenario is about.
    pub decoys: usize,
}

/// A case to judge.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it is a case of: `fault/…`, `innocent/…`, `hard/…` or `real/…`.
    pub name: String,
    /// Which of them; 0 for real ones.
    pub seed: u64,
    /// Spans of each trace, in the order of the traces' begin. Only what had arrived when the question is asked.
    pub traces: Vec<Vec<Span>>,
    /// Spans that arrive after that, if there is anybody to send them to.
    pub late: Vec<(u64, Span)>,
    /// What went live, the subject of the scenario first.
    pub deployments: Vec<Deployment>,
    /// When the question is asked, microseconds since the epoch.
    pub asked: u64,
    /// What it is made of.
    pub labels: Labels,
    /// What an analysis must not look at.
    pub truth: Truth,
}

impl Scenario {
    /// The same, asked earlier: traces that had not ended are not there, and what had not happened is not declared.
    #[must_use]
    pub fn asked_at(&self, asked: u64) -> Self {
        let has_ended = |trace: &&Vec<Span>| {
            trace
                .iter()
                .all(|span| span.timestamp.unwrap_or(0) + span.duration.unwrap_or(0) <= asked)
        };
        let mut earlier = Self {
            traces: self.traces.iter().filter(has_ended).cloned().collect(),
            late: Vec::new(),
            asked,
            name: self.name.clone(),
            deployments: self.deployments.clone(),
            truth: self.truth.clone(),
            ..*self
        };
        for deployment in &mut earlier.deployments {
            deployment.end = deployment.end.filter(|end| *end <= asked);
            deployment.rolled_back = deployment.rolled_back.filter(|back| *back <= asked);
            deployment.instances.retain(|instance| instance.switched <= asked);
        }
        earlier
    }

    /// The same, asked as soon after the last wave as a verdict should be there: two minutes.
    #[must_use]
    pub fn asked_promptly(&self) -> Self {
        let last_wave = self.deployments[0].end.unwrap_or(self.asked);
        self.asked_at(last_wave + 120_000_000)
    }

    /// How many spans it has.
    pub fn spans(&self) -> usize {
        self.traces.iter().map(Vec::len).sum()
    }

    /// Whether nobody is guilty of anything.
    pub fn is_innocent(&self) -> bool {
        self.truth.guilty().is_empty()
    }

    /// What else is true of it.
    pub fn explanation(&self) -> Option<Explanation> {
        self.truth.explanation
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} #{}", self.name, self.seed)
    }
}

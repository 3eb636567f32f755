//! What is true of a scenario: which deployment changed what, why, and what it cost. The words are those of the
//! rollout API, so that an analysis can be compared with it field by field.

use model::Kind;
use serde::Serialize;

/// (service, span name, span kind): what the API calls an operation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// Who recorded it.
    pub service_name: String,
    /// Lower case.
    pub span_name: String,
    /// `None` for a local span.
    #[serde(serialize_with = "kind_name", skip_serializing_if = "Option::is_none")]
    pub span_kind: Option<Kind>,
}

fn kind_name<S: serde::Serializer>(kind: &Option<Kind>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.map_or("", Kind::as_str))
}

impl Operation {
    /// One side of an operation.
    pub fn new(service_name: &str, span_name: &str, span_kind: Option<Kind>) -> Self {
        Self {
            service_name: service_name.to_owned(),
            span_name: span_name.to_owned(),
            span_kind,
        }
    }

    /// The operation is the same, whichever side of it is meant.
    pub fn is_side_of(&self, other: &Self) -> bool {
        self.service_name == other.service_name && self.span_name == other.span_name
    }
}

/// How a deployment changed an operation; the API's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Its own work takes longer.
    SelfTime,
    /// It calls something more often.
    MoreCalls,
    /// It calls something it did not call.
    NewCall,
    /// It calls again what failed.
    Retries,
    /// It waits for one call before it begins the next.
    SerializedCalls,
    /// It asks for more, and the callee takes longer for it.
    SlowerCallee,
    /// Its calls wait before they are served.
    Queueing,
    /// It fails.
    Errors,
}

impl Cause {
    /// All of them, in the order of the specification.
    pub const ALL: [Self; 8] = [
        Self::SelfTime,
        Self::MoreCalls,
        Self::NewCall,
        Self::Retries,
        Self::SerializedCalls,
        Self::SlowerCallee,
        Self::Queueing,
        Self::Errors,
    ];

    /// As the API writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SelfTime => "self_time",
            Self::MoreCalls => "more_calls",
            Self::NewCall => "new_call",
            Self::Retries => "retries",
            Self::SerializedCalls => "serialized_calls",
            Self::SlowerCallee => "slower_callee",
            Self::Queueing => "queueing",
            Self::Errors => "errors",
        }
    }
}

/// What a deployment turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Something became slower or failed more.
    Regressed,
    /// Something became faster.
    Improved,
    /// Nothing that matters changed, and that could have been seen.
    Unchanged,
    /// It cannot be said.
    InsufficientData,
}

/// What a pipeline should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Go on.
    Continue,
    /// Go back.
    Rollback,
    /// Ask again.
    Wait,
}

/// What changed where no deployment is to blame for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Explanation {
    /// More requests, or fewer.
    Load,
    /// Other requests.
    MixShift,
    /// Another deployment did it.
    OtherDeployment,
    /// What it calls is slow for everybody.
    CalleeDegraded,
    /// One instance is slow.
    BadInstance,
    /// New instances are slow at first.
    WarmUp,
    /// It went away.
    Transient,
    /// What happened at the same time cannot be told apart.
    Confounded,
}

/// A change of behaviour that a deployment brought.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Culprit {
    /// Which deployment, by its place in [`super::Scenario::deployments`].
    pub deployment: usize,
    /// The operation that behaves differently; on real data only its service may be known.
    pub origin_service: String,
    /// See [`Culprit::origin_service`].
    pub origin: Option<Operation>,
    /// What it calls differently, or more often.
    pub callee: Option<Operation>,
    /// Why; on real data it may not be known.
    pub cause: Option<Cause>,
    /// How large it was made: a share of the origin's own time for `self_time`, of the time of the whole operation
    /// for other causes of slowness, of the requests for `errors`. Negative for an improvement.
    pub size: f64,
    /// What it did to entry operations, found by running the same requests without it. Empty on real data.
    pub contributions: Vec<Contribution>,
}

/// What a culprit cost an entry operation.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Contribution {
    /// Whose requests.
    pub entry: Operation,
    /// Requests of it that the new version served, and the old one did not.
    pub requests: u64,
    /// Microseconds that the fault added to each of them, on average.
    pub micros: f64,
    /// Microseconds that they would have taken without it, on average.
    pub mean_without: f64,
    /// Share of them that failed only because of it.
    pub failed: f64,
}

/// Changes below this are listed but never found, in microseconds of an entry operation's mean; see
/// [`MATTERING_SHARE`].
const MATTERING_MICROS: f64 = 1_000.0;
/// The same, as a share of it. One of both is enough.
const MATTERING_SHARE: f64 = 0.01;
/// Requests that fail because of a culprit matter from this share on.
const MATTERING_FAILURES: f64 = 0.005;

impl Culprit {
    /// The entry operation that it cost the most, over all its requests.
    pub fn worst(&self) -> Option<&Contribution> {
        let total = |contribution: &&Contribution| contribution.micros.abs() * contribution.requests as f64;
        self.contributions
            .iter()
            .max_by(|a, b| total(a).total_cmp(&total(b)))
    }

    /// Whether anybody who waits for an answer is worse off for it, or better off for an improvement. A slower branch
    /// that nothing waits for does not matter.
    pub fn matters(&self) -> bool {
        let sign = if self.is_improvement() { -1.0 } else { 1.0 };
        self.contributions.is_empty()
            || self.contributions.iter().any(|found| {
                let moved = sign * found.micros;
                moved >= MATTERING_MICROS
                    || moved >= MATTERING_SHARE * found.mean_without
                    || found.failed >= MATTERING_FAILURES
            })
    }

    /// An improvement is found too, and never blamed.
    pub fn is_improvement(&self) -> bool {
        self.size < 0.0
    }

    /// Large enough that every analysis should find it.
    pub fn is_large(&self) -> bool {
        self.size
            >= if self.cause == Some(Cause::Errors) {
                0.05
            } else {
                0.20
            }
    }
}

/// What is true.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Truth {
    /// Every change that a deployment brought; several may be of one deployment.
    pub culprits: Vec<Culprit>,
    /// What changed besides, if anything did.
    pub explanation: Option<Explanation>,
}

impl Truth {
    /// Whether a deployment made anything worse.
    pub fn is_guilty(&self, deployment: usize) -> bool {
        self.culprits
            .iter()
            .any(|culprit| culprit.deployment == deployment && !culprit.is_improvement())
    }

    /// What an analysis that has enough data should say of a deployment.
    pub fn verdict(&self, deployment: usize) -> Verdict {
        let mut own = self
            .culprits
            .iter()
            .filter(|own| own.deployment == deployment && own.matters());
        if own.clone().any(|culprit| !culprit.is_improvement()) {
            Verdict::Regressed
        } else if own.next().is_some() {
            Verdict::Improved
        } else {
            Verdict::Unchanged
        }
    }

    /// Deployments that made something worse, each once.
    pub fn guilty(&self) -> Vec<usize> {
        let mut guilty: Vec<usize> = self
            .culprits
            .iter()
            .filter(|culprit| !culprit.is_improvement())
            .map(|culprit| culprit.deployment)
            .collect();
        guilty.sort_unstable();
        guilty.dedup();
        guilty
    }
}

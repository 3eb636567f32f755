//! Two rollouts at about the same time: requests that differ in one of the versions only tell which of them it was.

use model::NameNumber;

use super::evidence::{Evidence, MeanChange, Observed, Seen};
use super::population::{Chosen, Facts, MINUTE, Served};
use super::side::Side;
use super::study::Study;
use super::traces::Traces;

use crate::report::Design;

/// Another deployment, and who served each trace by its versions.
#[derive(Debug)]
pub(super) struct Other {
    pub(super) service: NameNumber,
    pub(super) id: String,
    /// By trace.
    pub(super) served: Vec<Served>,
}

/// What is left of a change where the other deployment's version is the same on both sides, up to which it is the
/// other's.
const LEFT_MAX: f64 = 0.35;
/// One-sided, at which what is missing is held to be missing.
const Z_REAL: f64 = 1.645;
/// Observations a side that a part of a comparison needs to say something.
const PART_MIN: u64 = 15;
/// Requests around a rollout are compared as far as this from it, microseconds: drift is small within it.
const AROUND: u64 = 15 * MINUTE;

/// All traces of either version from some time before to some time after, those of the rollout itself included: there
/// both versions of one service meet one version of another.
pub(super) fn choose_all(traces: &Traces<'_>, facts: &[Facts], first: &Chosen) -> Chosen {
    let (from, to) = (first.windows[0].0, first.windows[1].1);
    let (one, other) = (first.windows[0].1, first.windows[1].0);
    let from = from.max(one.min(other).saturating_sub(AROUND));
    let to = to.min(one.max(other).saturating_add(AROUND));
    let known = traces.all().iter().zip(facts).enumerate();
    let chosen = known.filter_map(|(number, (trace, facts))| match facts.served {
        Served::By(side) => {
            let is_inside = (from..=to).contains(&trace.profile.timestamp);
            (facts.is_warm && is_inside).then_some((number, side))
        }
        _ => None,
    });
    Chosen {
        design: Design::BeforeAfter,
        traces: chosen.collect(),
        windows: [(from, to); 2],
        not_comparable: 0,
    }
}

impl Other {
    /// Whether a change is this deployment's: where its version is the same on both sides, nothing is left.
    pub(super) fn explains(&self, study: &Study<'_>, member: usize, evidence: &Evidence) -> bool {
        let observed = study.observed(member);
        let whole = evidence.change.estimate;
        let Some(held) = self.held(&observed) else {
            return false;
        };
        let sign = whole.signum();
        let is_small = held.estimate * sign <= LEFT_MAX * whole.abs();
        let is_less = (whole - held.estimate) * sign >= Z_REAL * held.standard_error;
        is_small && is_less
    }

    /// The change among requests that the same version of the other service served, of both its versions.
    fn held(&self, observed: &Observed<'_>) -> Option<MeanChange> {
        let within = |version: Side| {
            let side = |seen: &Seen| {
                let is_same = self.served[seen.trace as usize] == Served::By(version);
                is_same.then_some(seen.side)
            };
            let change = observed.mean_change(side)?;
            let enough = change.observations.baseline.min(change.observations.candidate) >= PART_MIN;
            (enough && change.standard_error > 0.0).then_some(change)
        };
        match (within(Side::Baseline), within(Side::Candidate)) {
            (Some(one), Some(other)) => Some(joined(&one, &other)),
            (one, other) => one.or(other),
        }
    }
}

/// Two estimates of the same, each weighted by how sure it is.
fn joined(one: &MeanChange, other: &MeanChange) -> MeanChange {
    let weight = |change: &MeanChange| 1.0 / (change.standard_error * change.standard_error);
    let (of_one, of_other) = (weight(one), weight(other));
    let sum = of_one + of_other;
    MeanChange {
        estimate: (one.estimate * of_one + other.estimate * of_other) / sum,
        standard_error: (1.0 / sum).sqrt(),
        baseline_mean: (one.baseline_mean * of_one + other.baseline_mean * of_other) / sum,
        observations: one.observations,
    }
}

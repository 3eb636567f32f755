//! Two rollouts at about the same time: requests that differ in one of the versions only tell which of them it was.

use model::NameNumber;

use super::evidence::{Evidence, MeanChange, Observed, Seen};
use super::population::{Chosen, Facts, MINUTE};
use super::serving::Served;
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
/// What one version does of a change, from which on it does most of it.
const MOST: f64 = 0.5;
/// One-sided, at which what a version does is held to be real.
const Z_SURE: f64 = 3.0;
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
        is_small: false,
    }
}

impl Other {
    /// Whether a change is this deployment's: requests that differ in its version alone differ by most of it, and
    /// requests that differ in the version that is judged alone do not. `None` where no requests tell.
    pub(super) fn explains(&self, study: &Study<'_>, member: usize, evidence: &Evidence) -> Option<bool> {
        let observed = study.observed(member);
        let own = held(&observed, |seen| Some(seen.side), |seen| self.version(seen))?;
        let theirs = held(&observed, |seen| self.version(seen), |seen| Some(seen.side));
        Some(is_theirs(evidence.change.estimate, &own, theirs.as_ref()))
    }

    /// Which of its versions served a trace.
    fn version(&self, seen: &Seen) -> Option<Side> {
        match self.served[seen.trace as usize] {
            Served::By(version) => Some(version),
            _ => None,
        }
    }
}

/// The change between what `between` tells apart, among requests of which `within` is the same.
fn held(
    observed: &Observed<'_>,
    between: impl Fn(&Seen) -> Option<Side>,
    within: impl Fn(&Seen) -> Option<Side>,
) -> Option<MeanChange> {
    let among = |version: Side| {
        let side = |seen: &Seen| between(seen).filter(|_| within(seen) == Some(version));
        let change = observed.mean_change(side)?;
        let enough = change.observations.baseline.min(change.observations.candidate) >= PART_MIN;
        (enough && change.standard_error > 0.0).then_some(change)
    };
    match (among(Side::Baseline), among(Side::Candidate)) {
        (Some(one), Some(other)) => Some(joined(&one, &other)),
        (one, other) => one.or(other),
    }
}

/// Whether of a whole change so little is one version's own that it is the other's: the more that one is seen to do,
/// the more may be left.
fn is_theirs(whole: f64, own: &MeanChange, theirs: Option<&MeanChange>) -> bool {
    let sign = whole.signum();
    let do_most = theirs
        .is_some_and(|theirs| theirs.estimate * sign >= MOST * whole.abs() && theirs.z(0.0) * sign >= Z_SURE);
    let left_max = if do_most { MOST } else { LEFT_MAX };
    let is_less = (whole - own.estimate) * sign >= Z_REAL * own.standard_error;
    own.estimate * sign <= left_max * whole.abs() && is_less
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

#[cfg(test)]
mod tests {
    use super::*;

    fn change(estimate: f64, standard_error: f64) -> MeanChange {
        MeanChange {
            estimate,
            standard_error,
            baseline_mean: 10_000.0,
            observations: Default::default(),
        }
    }

    #[test]
    fn a_change_is_whose_version_does_it() {
        // Little of it is left.
        assert!(is_theirs(7_000.0, &change(1_000.0, 500.0), None));
        // Nearly half is left, and the other is seen to do the rest.
        let theirs = change(4_600.0, 700.0);
        assert!(is_theirs(7_000.0, &change(2_900.0, 700.0), Some(&theirs)));
        assert!(!is_theirs(7_000.0, &change(2_900.0, 700.0), None));
        assert!(is_theirs(
            -7_000.0,
            &change(-2_900.0, 700.0),
            Some(&change(-4_600.0, 700.0))
        ));
    }

    #[test]
    fn what_a_version_does_by_itself_is_its_own() {
        assert!(!is_theirs(
            7_000.0,
            &change(6_900.0, 300.0),
            Some(&change(100.0, 300.0))
        ));
        // Both do most of it.
        assert!(!is_theirs(
            7_000.0,
            &change(4_000.0, 700.0),
            Some(&change(4_600.0, 700.0))
        ));
        // Nobody can tell.
        assert!(!is_theirs(
            7_000.0,
            &change(2_900.0, 700.0),
            Some(&change(4_600.0, 2_000.0))
        ));
        assert!(!is_theirs(7_000.0, &change(1_000.0, 9_000.0), None));
    }
}

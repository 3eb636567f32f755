//! Was it the deployment? What changed is held against everything else that could have done it.

use model::{Callee, OperationNumber};

use crate::report::{Design, Explanation};

use super::cause::{Sizes, Suspect};
use super::evidence::{Evidence, MeanChange, Observed, Seen};
use super::family::What;
use super::load::Load;
use super::separation::Other;
use super::side::Side;
use super::study::Study;

/// What a judgement is made with.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) study: &'a Study<'a>,
    pub(super) load: &'a Load,
    /// What others deployed at the same time.
    pub(super) others: &'a [Other],
    /// Requests of the rollout too, where others deployed something: among them are such that differ in one version.
    pub(super) around: Option<&'a Study<'a>>,
    /// The other design, where both can be made: what it says may clear a suspect.
    pub(super) second: Option<&'a Study<'a>>,
}

/// What came of a suspect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) explanation: Option<Explanation>,
    pub(super) deployment_id: Option<String>,
    pub(super) instance: Option<u32>,
}

impl Judged {
    pub(super) const GUILTY: Self = Self {
        explanation: None,
        deployment_id: None,
        instance: None,
    };

    fn by(explanation: Explanation) -> Self {
        Self {
            explanation: Some(explanation),
            ..Self::GUILTY
        }
    }
}

/// One-sided, at which a difference within a comparison is held to be real.
const Z_REAL: f64 = 1.645;
/// What is left of a change when one instance is left out, up to which it is that instance's.
const LEFT_MAX: f64 = 0.35;
/// What is left of a change in the end, up to which it went away.
const STAYED_MIN: f64 = 0.5;
/// Standard errors by which less than that must be left.
const GONE_SURE: f64 = 2.0;
/// Observations a side that a part of a comparison needs to say something.
const PART_MIN: u64 = 20;

impl Case<'_> {
    pub(super) fn judge(&self, suspect: &Suspect, sizes: &Sizes<'_>) -> Judged {
        if let Some(judged) = self.linked(suspect) {
            return judged;
        }
        let observed = self.study.observed(suspect.member);
        let Some(evidence) = &self.study.evidence[suspect.member] else {
            return Judged::by(Explanation::Confounded);
        };
        if let Some(instance) = self.bad_instance(&observed, evidence, sizes) {
            return Judged {
                explanation: Some(Explanation::BadInstance),
                instance: Some(instance),
                ..Judged::GUILTY
            };
        }
        if is_transient(&observed, evidence) {
            return Judged::by(Explanation::Transient);
        }
        if let Some(other) = self.other(suspect, evidence) {
            return Judged {
                explanation: Some(Explanation::OtherDeployment),
                deployment_id: Some(other.id.clone()),
                instance: None,
            };
        }
        if self.study.comparison.design == Design::BeforeAfter
            && let Some(explanation) = self.before_after(suspect, &observed, evidence, sizes)
        {
            return Judged::by(explanation);
        }
        if let Some(other) = self.inseparable(suspect) {
            return Judged {
                explanation: Some(Explanation::Confounded),
                deployment_id: Some(other.id.clone()),
                instance: None,
            };
        }
        if self.is_cleared(suspect, evidence) {
            return Judged::by(Explanation::Confounded);
        }
        Judged::GUILTY
    }

    /// What shows to be of another service is that one's deployment's, if it was deployed at the same time.
    fn linked(&self, suspect: &Suspect) -> Option<Judged> {
        let other = self
            .others
            .iter()
            .find(|other| Some(other.service) == suspect.whose);
        match other {
            Some(Other { id, .. }) => Some(Judged {
                explanation: Some(Explanation::OtherDeployment),
                deployment_id: Some(id.clone()),
                instance: None,
            }),
            None => suspect.explanation.map(Judged::by),
        }
    }

    /// The other deployment without which nothing is left. What no requests tell of a wait between two services, they
    /// may tell of other calls between them.
    fn other(&self, suspect: &Suspect, evidence: &Evidence) -> Option<&Other> {
        let around = self.around?;
        self.others.iter().find(|other| {
            let explained = other.explains(around, suspect.member, evidence);
            explained.unwrap_or_else(|| {
                let alike = self.waits_alike(suspect.member, other);
                let found = alike.filter_map(|(member, evidence)| other.explains(around, member, evidence));
                let (explained, all) = found.fold((0, 0), |(explained, all), is_explained| {
                    (explained + usize::from(is_explained), all + 1)
                });
                explained * 2 > all
            })
        })
    }

    /// The deployment of the service whose operation alone asks for what takes longer, where no requests tell their
    /// versions apart: it may ask for more.
    fn inseparable(&self, suspect: &Suspect) -> Option<&Other> {
        let operation = self.study.members[suspect.member].what.own_time_of()?;
        let caller = self.study.traces.operation(self.only_caller(operation)?).service;
        let other = self.others.iter().find(|other| other.service == caller)?;
        let evidence = self.study.evidence[suspect.member].as_ref()?;
        let told = other.explains(self.around?, suspect.member, evidence);
        told.is_none().then_some(other)
    }

    /// The one operation that calls another; `None` if several do, or nobody known.
    fn only_caller(&self, operation: OperationNumber) -> Option<OperationNumber> {
        let calls = self.study.traces.calls().iter();
        let asking = calls.filter(|call| call.callee == Callee::Instrumented(operation));
        let mut callers: Vec<OperationNumber> =
            asking.map(|call| call.caller.unwrap_or(call.operation)).collect();
        callers.sort_unstable();
        callers.dedup();
        match callers[..] {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Other members that wait longer between the same services, if the other end was deployed as well.
    fn waits_alike(&self, member: usize, other: &Other) -> impl Iterator<Item = (usize, &Evidence)> {
        let service = other.service;
        let is_wait_for = move |what: What| match what {
            What::OutgoingGap(site) => self.study.traces.operation(site.callee).service == service,
            _ => false,
        };
        let is_asked = is_wait_for(self.study.members[member].what);
        let all = self.study.members.iter().zip(&self.study.evidence).enumerate();
        all.filter_map(move |(number, (alike, evidence))| {
            let evidence = evidence.as_ref()?;
            let is_longer = evidence.change.low > 0.0;
            (is_asked && number != member && is_longer && is_wait_for(alike.what))
                .then_some((number, evidence))
        })
    }

    /// The instance without which nothing is left, where others have enough to say so.
    fn bad_instance(&self, observed: &Observed<'_>, evidence: &Evidence, sizes: &Sizes<'_>) -> Option<u32> {
        let whole = evidence.change.estimate;
        let mut instances: Vec<(u32, Side, f64)> = Vec::new();
        for found in observed.observations {
            let seen = observed.seen(found);
            let key = (seen.instance(), seen.side);
            match instances.iter_mut().find(|known| (known.0, known.1) == key) {
                Some(known) => known.2 += found.denominator,
                None => instances.push((key.0, key.1, found.denominator)),
            }
        }
        instances.sort_by_key(|known| (known.1, known.0));
        // Many instances cannot be one bad one.
        const INSTANCES_MAX: usize = 64;
        for side in [Side::Candidate, Side::Baseline] {
            let of_side: Vec<&(u32, Side, f64)> = instances.iter().filter(|known| known.1 == side).collect();
            if of_side.len() < 2 || of_side.len() > INSTANCES_MAX {
                continue;
            }
            for &&(instance, ..) in &of_side {
                let without = |seen: &Seen| {
                    let is_left_out = seen.side == side && seen.instance() == instance;
                    (!is_left_out).then_some(seen.side)
                };
                let Some(left) = observed.mean_change(without) else {
                    continue;
                };
                if left.observations.baseline.min(left.observations.candidate) < PART_MIN {
                    continue;
                }
                let is_gone = left.estimate * whole.signum() <= LEFT_MAX * whole.abs()
                    && (whole - left.estimate) * whole.signum() >= Z_REAL * left.standard_error;
                let is_small = left.relative().abs() < sizes.min_relative();
                if is_gone && (is_small || left.z(0.0).abs() < Z_REAL) {
                    return Some(instance);
                }
            }
        }
        None
    }

    /// What explains a change between two times, if anything does.
    fn before_after(
        &self,
        suspect: &Suspect,
        observed: &Observed<'_>,
        evidence: &Evidence,
        sizes: &Sizes<'_>,
    ) -> Option<Explanation> {
        let what = self.study.members[suspect.member].what;
        if matches!(what, What::Calls(_) | What::Overlap { .. } | What::Errors { .. }) {
            return began_before(observed, evidence).then_some(Explanation::Confounded);
        }
        let elsewhere = if self.load.grew() {
            Explanation::Load
        } else {
            Explanation::Confounded
        };
        // Everything else changed likewise.
        let adjusted = self.study.adjusted[suspect.member].as_ref();
        let is_left = adjusted.is_some_and(|adjusted| {
            self.study.left.p_values[suspect.member] <= sizes.options.false_discovery_rate
                && adjusted.is_sure()
                && sizes.is_large(what, adjusted)
                && adjusted.change.estimate * evidence.change.estimate > 0.0
        });
        if suspect.is_regression && !is_left {
            return Some(elsewhere);
        }
        if suspect.is_regression
            && self.load.grew()
            && self.load.explains(self.study, what, observed, evidence, sizes)
        {
            return Some(Explanation::Load);
        }
        began_before(observed, evidence).then_some(Explanation::Confounded)
    }

    /// The design that does not decide saw enough to see it, and did not.
    fn is_cleared(&self, suspect: &Suspect, evidence: &Evidence) -> bool {
        let Some(second) = self.second else { return false };
        let what = self.study.members[suspect.member].what;
        let found = second
            .member_of(what)
            .and_then(|member| second.evidence[member].as_ref());
        let Some(found) = found else { return false };
        let expected = evidence.change.estimate;
        match expected > 0.0 {
            true => found.change.high < expected / 3.0,
            false => found.change.low > expected / 3.0,
        }
    }
}

/// Whether of a change surely less than half is left in the last third of the time. A third of what is known knows
/// little, so that it is not enough that there seems to be less.
fn is_transient(observed: &Observed<'_>, evidence: &Evidence) -> bool {
    lost(observed, evidence).is_some_and(|lost| lost > GONE_SURE)
}

/// By how many standard errors less is left in the last third than half of what was there before; `None` where that
/// part is too small to say.
fn lost(observed: &Observed<'_>, evidence: &Evidence) -> Option<f64> {
    let mut times: Vec<u64> = observed
        .observations
        .iter()
        .map(|found| observed.seen(found))
        .filter(|seen| seen.side == Side::Candidate)
        .map(|seen| seen.timestamp)
        .collect();
    times.sort_unstable();
    let from = *times.get(times.len() * 2 / 3)?;
    let is_concurrent = observed.is_concurrent;
    let late = observed.mean_change(|seen| {
        let is_late = seen.timestamp >= from;
        (is_late || (seen.side == Side::Baseline && !is_concurrent)).then_some(seen.side)
    })?;
    let early = observed.mean_change(|seen| {
        let is_early = seen.timestamp < from;
        (is_early || seen.side == Side::Baseline && !is_concurrent).then_some(seen.side)
    })?;
    if late.observations.baseline.min(late.observations.candidate) < PART_MIN {
        return None;
    }
    let sign = evidence.change.estimate.signum();
    let lost = (STAYED_MIN * early.estimate - late.estimate) * sign;
    let error = late.standard_error.hypot(STAYED_MIN * early.standard_error);
    (error > 0.0).then(|| lost / error)
}

/// Whether the last third of the baseline was already changed by half as much, and surely so.
fn began_before(observed: &Observed<'_>, evidence: &Evidence) -> bool {
    let mut times: Vec<u64> = observed
        .observations
        .iter()
        .map(|found| observed.seen(found))
        .filter(|seen| seen.side == Side::Baseline)
        .map(|seen| seen.timestamp)
        .collect();
    times.sort_unstable();
    let Some(&from) = times.get(times.len() * 2 / 3) else {
        return false;
    };
    let earlier: Option<MeanChange> = observed.mean_change(|seen| {
        let side = if seen.timestamp >= from {
            Side::Candidate
        } else {
            Side::Baseline
        };
        (seen.side == Side::Baseline).then_some(side)
    });
    earlier.is_some_and(|earlier| {
        let sign = evidence.change.estimate.signum();
        earlier.z(0.0) * sign > Z_REAL && earlier.estimate * sign > 0.4 * evidence.change.estimate.abs()
    })
}

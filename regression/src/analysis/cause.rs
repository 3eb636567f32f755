//! What changed enough to be spoken of, and why it changed, by what changed beside it.

use std::collections::BTreeMap;

use model::{NameNumber, OperationNumber};

use crate::report::{Cause, Design, Explanation};

use super::evidence::Evidence;
use super::family::{CallSite, What};
use super::gaps;
use super::options::Options;
use super::study::{Contribution, Study};

/// A change with its cause, before anybody is blamed for it.
#[derive(Clone, Debug)]
pub(super) struct Suspect {
    /// The member that shows it.
    pub(super) member: usize,
    /// All members that are the same change.
    pub(super) members: Vec<usize>,
    pub(super) cause: Cause,
    pub(super) origin: OperationNumber,
    pub(super) callee: Option<OperationNumber>,
    /// By entry operation, the one that lost most first.
    pub(super) contributions: Vec<Contribution>,
    /// What it did to all requests together, once contributions have intervals.
    pub(super) whole: Option<Moved>,
    pub(super) p_value: f64,
    /// Whether something became worse.
    pub(super) is_regression: bool,
    /// What explains it, where that shows already.
    pub(super) explanation: Option<Explanation>,
    /// The other service that it seems to be of, where that shows: it is that service's if it was deployed as well.
    pub(super) whose: Option<NameNumber>,
}

/// What something did to the mean of some requests, microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moved {
    pub(super) micros: f64,
    /// How far the 95 % interval extends to either side; `None` where that is not known.
    pub(super) error: Option<f64>,
}

impl Moved {
    /// Whether it is for the worse, or for the better, and so much of the interval excludes that it is nothing.
    fn is_sure(self, is_worse: bool, extent: f64) -> bool {
        let is_right_way = (self.micros > 0.0) == is_worse;
        is_right_way && self.error.is_none_or(|error| extent * error < self.micros.abs())
    }
}

/// Everything in the family that changed significantly and by enough, each change once.
pub(super) fn find_suspects(study: &Study<'_>, options: &Options) -> Vec<Suspect> {
    let judge = Sizes { study, options };
    let mut suspects = Vec::new();
    for number in 0..study.members.len() {
        if judge.is_found(number)
            && let Some(suspect) = suspect(study, number)
            && judge.moves_an_entry(&suspect)
        {
            suspects.push(suspect);
        }
    }
    keep_one_of_each_own_time(study, &mut suspects);
    gaps::settle(study, &judge, &mut suspects);
    drop_shadows(&mut suspects);
    suspects
}

/// What is large enough.
pub(super) struct Sizes<'a> {
    pub(super) study: &'a Study<'a>,
    pub(super) options: &'a Options,
}

impl Sizes<'_> {
    /// The least relative change that matters.
    pub(super) fn min_relative(&self) -> f64 {
        match self.study.comparison.design {
            Design::Concurrent => self.options.min_relative_concurrent,
            Design::BeforeAfter => self.options.min_relative_before_after,
        }
    }

    /// As much of the 95 % interval of a contribution as must not reach 0. Where both versions served at the same time it
    /// may be wrong on the side that is asked for only, 1.645 of 1.96: that calls take longer is sure already. Between
    /// two times there is more than intervals know. What is asked of each of several entry operations has to be surer:
    /// 99 % instead of 95 %, 2.576 of 1.96.
    fn extent(&self, suspect: &Suspect) -> f64 {
        let of_several = match self.study.members[suspect.member].what.entry() {
            Some(_) => 2.576 / 1.96,
            None => 1.0,
        };
        match self.study.comparison.design {
            Design::Concurrent => 0.84 * of_several,
            Design::BeforeAfter => of_several,
        }
    }

    /// Significant, and large enough a call.
    fn is_found(&self, member: usize) -> bool {
        let Some(evidence) = &self.study.evidence[member] else {
            return false;
        };
        if self.study.comparison.is_small {
            return self.is_plain(member, evidence);
        }
        // A tail alone may be told by its own test, and then moves no mean for sure: nobody is blamed for that.
        evidence.is_sure()
            && self.p_value(member) <= self.options.false_discovery_rate
            && self.is_large(self.study.members[member].what, evidence)
    }

    /// What even a handful of requests shows, whatever the weather of the minutes in which they were: nearly all are
    /// slower than nearly all before, twice as slow, and not by chance.
    fn is_plain(&self, member: usize, evidence: &Evidence) -> bool {
        const SUPERIORITY_MIN: f64 = 0.9;
        const RELATIVE_MIN: f64 = 1.0;
        const MICROS_MIN: f64 = 5_000.0;
        const P_VALUE_MAX: f64 = 0.001;
        self.study.members[member].what.is_time_of_a_call()
            && evidence.superiority >= SUPERIORITY_MIN
            && evidence.relative() >= RELATIVE_MIN
            && evidence.change.estimate >= MICROS_MIN
            && self.p_value(member) <= P_VALUE_MAX
    }

    /// In the family, as if nothing else had changed: what else explains it is told later, and by its name.
    pub(super) fn p_value(&self, member: usize) -> f64 {
        self.study.raw.p_values[member]
    }

    pub(super) fn is_large(&self, what: What, evidence: &Evidence) -> bool {
        let change = evidence.change;
        let relative = evidence.relative().abs();
        match what {
            What::Errors { .. } => change.estimate.abs() >= self.options.min_error_rate,
            What::Calls(_) => relative >= self.min_relative(),
            _ => {
                // What is a millisecond within its error is not held to be less.
                let error = (change.high - change.low) / 4.0;
                relative >= self.min_relative() && change.estimate.abs() + error >= self.options.min_micros
            }
        }
    }

    pub(super) fn moves_an_entry(&self, suspect: &Suspect) -> bool {
        suspect.cause == Cause::Errors
            || suspect
                .contributions
                .iter()
                .any(|contribution| self.moves(suspect, contribution))
    }

    /// Once contributions have intervals: whether one is large enough, and it or what all requests together lost
    /// excludes that nothing happened. A call may take longer for sure while nobody is seen to wait for it: that is no
    /// reason to blame anybody.
    pub(super) fn surely_moves_an_entry(&self, suspect: &Suspect) -> bool {
        let extent = self.extent(suspect);
        let is_sure = |moved: Moved| moved.is_sure(suspect.is_regression, extent);
        let whole_is_sure = suspect.whole.is_some_and(is_sure);
        let is_found = |contribution: &Contribution| {
            let Contribution { micros, error, .. } = *contribution;
            self.moves(suspect, contribution) && (whole_is_sure || is_sure(Moved { micros, error }))
        };
        suspect.cause == Cause::Errors || suspect.contributions.iter().any(is_found)
    }

    fn moves(&self, suspect: &Suspect, contribution: &Contribution) -> bool {
        let is_right_way = (contribution.micros > 0.0) == suspect.is_regression;
        let moved = contribution.micros.abs();
        let least_relative = self.options.min_entry_relative * self.study.entry_mean(contribution.entry);
        is_right_way && (moved >= self.options.min_entry_micros || moved >= least_relative)
    }
}

/// What a member that changed says by itself.
fn suspect(study: &Study<'_>, member: usize) -> Option<Suspect> {
    let what = study.members[member].what;
    let evidence = study.evidence[member].as_ref()?;
    let grew = evidence.change.estimate > 0.0;
    let (cause, callee) = match what {
        What::OwnTime { .. } | What::OwnTimeFor { .. } => (Cause::SelfTime, None),
        What::OutgoingGap(site) => (Cause::Queueing, Some(site.callee)),
        What::IncomingGap { .. } => (Cause::Queueing, None),
        What::CalleeTime(site) => (Cause::SlowerCallee, Some(site.callee)),
        What::Calls(site) => (cause_of_calls(study, member, site), Some(site.callee)),
        What::Overlap { .. } => (Cause::SerializedCalls, None),
        What::Errors { .. } => (Cause::Errors, None),
    };
    let contributions = study.contributions(member);
    // Less that runs side by side is worse.
    let is_regression = if cause == Cause::SerializedCalls {
        !grew
    } else {
        grew
    };
    let total: f64 = contributions.iter().map(|contribution| contribution.total).sum();
    // Whoever waits for nothing of it does not care.
    (cause == Cause::Errors || (total > 0.0) == is_regression).then(|| Suspect {
        member,
        members: vec![member],
        cause,
        origin: what.operation(),
        callee,
        contributions,
        whole: None,
        p_value: study.raw.p_values[member],
        is_regression,
        explanation: None,
        whose: None,
    })
}

/// Share of added calls that follow a failed one, from which on they are retries.
const RETRIED_MIN: f64 = 0.5;
/// Calls in the baseline, as a share of those of the candidate, up to which a call is new.
const NEW_MAX: f64 = 0.01;

fn cause_of_calls(study: &Study<'_>, member: usize, site: CallSite) -> Cause {
    let nodes = study.members[member].nodes();
    let (mut calls, mut retries) = ((0.0, 0.0), (0.0, 0.0));
    for ((node, arms), stratum) in study
        .sums
        .iter()
        .flat_map(|stratum| stratum.nodes.iter().map(move |found| (found, stratum)))
    {
        if nodes.binary_search(node).is_err() {
            continue;
        }
        // As many as if the baseline had had the candidate's traffic.
        let traffic = stratum.traces.candidate as f64 / stratum.traces.baseline.max(1) as f64;
        calls.0 += arms.baseline.calls * traffic;
        calls.1 += arms.candidate.calls;
        retries.0 += arms.baseline.retries * traffic;
        retries.1 += arms.candidate.retries;
    }
    let is_new_service = !was_called(study, site);
    if retries.1 - retries.0 >= RETRIED_MIN * (calls.1 - calls.0) && retries.1 > retries.0 {
        Cause::Retries
    } else if calls.0 <= NEW_MAX * calls.1 && is_new_service {
        Cause::NewCall
    } else {
        Cause::MoreCalls
    }
}

/// Whether the baseline made a call from the same operation to the same callee, however it was recorded.
fn was_called(study: &Study<'_>, site: CallSite) -> bool {
    let sites = study.members.iter().filter_map(|member| match member.what {
        What::Calls(other) => Some((other, member)),
        _ => None,
    });
    let mut same = sites.filter(|(other, _)| other.caller == site.caller && other.callee == site.callee);
    same.any(|(_, member)| {
        let of_node = |node: &u32| {
            let calls = study.calls_of(*node);
            calls.baseline > NEW_MAX * calls.candidate
        };
        member.nodes().iter().any(of_node)
    })
}

/// An operation that takes longer for all requests is told once, and for some of them as well: what is worse goes first,
/// then what all requests tell, then what is surest.
fn keep_one_of_each_own_time(study: &Study<'_>, suspects: &mut Vec<Suspect>) {
    let own_time = |suspect: &Suspect| study.members[suspect.member].what.own_time_of();
    let place = |suspect: &Suspect| {
        let is_of_some = study.members[suspect.member].what.entry().is_some();
        (!suspect.is_regression, is_of_some, suspect.p_value)
    };
    let mut best: BTreeMap<OperationNumber, ((bool, bool, f64), usize)> = BTreeMap::new();
    for suspect in suspects.iter() {
        let Some(operation) = own_time(suspect) else {
            continue;
        };
        let (place, member) = (place(suspect), suspect.member);
        let best = best.entry(operation).or_insert((place, member));
        if place < best.0 {
            *best = (place, member);
        }
    }
    suspects.retain(|suspect| {
        let kept = own_time(suspect).and_then(|operation| best.get(&operation));
        kept.is_none_or(|(_, member)| *member == suspect.member)
    });
}

/// Takes out what only shows another change from another side.
fn drop_shadows(suspects: &mut Vec<Suspect>) {
    let shape: Vec<(OperationNumber, Cause, f64)> = suspects
        .iter()
        .map(|suspect| (suspect.origin, suspect.cause, total(suspect)))
        .collect();
    suspects.retain(|suspect| match suspect.cause {
        // Calls that take longer, shorter or are more also run side by side otherwise.
        Cause::SerializedCalls => !shape.iter().any(|&(origin, cause, other)| {
            origin == suspect.origin
                && matches!(
                    cause,
                    Cause::SlowerCallee
                        | Cause::MoreCalls
                        | Cause::NewCall
                        | Cause::Retries
                        | Cause::Queueing
                )
                && (suspect.is_regression == (other > 0.0))
                && other.abs() > total(suspect).abs() / 2.0
        }),
        _ => true,
    });
}

pub(super) fn total(suspect: &Suspect) -> f64 {
    suspect
        .contributions
        .iter()
        .map(|contribution| contribution.total)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moved_is_sure_if_its_interval_is_on_one_side() {
        let moved = |micros: f64, error: f64| Moved {
            micros,
            error: Some(error),
        };
        assert!(moved(1_000.0, 990.0).is_sure(true, 1.0));
        assert!(!moved(1_000.0, 1_010.0).is_sure(true, 1.0));
        assert!(moved(1_000.0, 1_010.0).is_sure(true, 0.84));
        assert!(!moved(1_000.0, 1_200.0).is_sure(true, 0.84));
        assert!(!moved(1_000.0, 10.0).is_sure(false, 1.0), "it is slower");
        assert!(moved(-1_000.0, 10.0).is_sure(false, 1.0));
    }
}

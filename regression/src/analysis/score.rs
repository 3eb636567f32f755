//! A number from 0 to 100 out of graded checks, and what a pipeline should do.

use crate::report::{Cause, Check, Decision, Verdict};

use super::cause::{Sizes, Suspect};
use super::evidence::Evidence;
use super::family::What;
use super::names::operation_text;
use super::study::Study;

const LATENCY: (&str, f64) = ("latency", 40.0);
const ERRORS: (&str, f64) = ("errors", 30.0);
const STRUCTURE: (&str, f64) = ("structure", 15.0);
const ENTRIES: (&str, f64) = ("entries", 15.0);

/// Relative change from which on a grade is 0: twice the baseline.
const WORST: f64 = 1.0;
/// A quantity that carries this share of an entry operation, and at least doubled, fails a deployment alone.
const CARRIED_MIN: f64 = 0.2;
/// So many failures, at least doubled, do as well.
const FAILURES_MIN: f64 = 5.0;
/// Failures of a kind that was never seen do from this share on.
const NEW_FAILURES_MIN: f64 = 0.01;
/// A deployment that made something worse has at most this, times the worst grade of what its users felt: what passes at
/// 90 must not hide one operation that is half as slow again among many that are not.
const WORSENED_MAX: f64 = 89.0;
/// Weight without data from which on there is no score.
const UNKNOWN_MAX: f64 = 50.0;

/// The checks, and what they come to.
#[derive(Clone, Debug)]
pub(super) struct Scored {
    pub(super) checks: Vec<Check>,
    pub(super) score: Option<f64>,
    pub(super) kayenta_score: Option<f64>,
}

/// `guilty` are the suspects that the deployment caused.
pub(super) fn score(study: &Study<'_>, sizes: &Sizes<'_>, guilty: &[&Suspect]) -> Scored {
    let mut checks = Vec::new();
    for (group, weight) in [LATENCY, ERRORS, STRUCTURE] {
        let is_of_group = |what: What| group_of(what).0 == group;
        let members: Vec<usize> = (0..study.members.len())
            .filter(|&member| is_of_group(study.members[member].what))
            .filter(|&member| is_worth_a_check(study, member, guilty))
            .collect();
        let shares = shares(study, &members, group == LATENCY.0);
        for (&member, share) in members.iter().zip(shares) {
            checks.push(member_check(study, sizes, guilty, member, group, weight * share));
        }
        if members.is_empty() {
            checks.push(no_data(group, weight));
        }
    }
    entry_checks(study, sizes, guilty, &mut checks);
    let score = total(&checks);
    let kayenta_score = kayenta(&checks);
    Scored {
        checks,
        score,
        kayenta_score,
    }
}

/// The group of a quantity, and its part of the score.
pub(super) fn group_of(what: What) -> (&'static str, f64) {
    match what {
        What::OwnTime { .. }
        | What::OwnTimeFor { .. }
        | What::OutgoingGap(_)
        | What::IncomingGap { .. }
        | What::CalleeTime(_) => LATENCY,
        What::Errors { .. } => ERRORS,
        What::Calls(_) | What::Overlap { .. } => STRUCTURE,
    }
}

/// What nobody ever did side by side says nothing about serialisation, and what some requests take of an operation only
/// where it is what changed: all requests have a check already.
fn is_worth_a_check(study: &Study<'_>, member: usize, guilty: &[&Suspect]) -> bool {
    let evidence = study.evidence[member].as_ref();
    match study.members[member].what {
        What::Overlap { .. } => evidence.is_some_and(|found| found.baseline_mean > 0.0),
        What::OwnTimeFor { .. } => guilty.iter().any(|suspect| suspect.members.contains(&member)),
        _ => true,
    }
}

/// Times by how much of the whole they are, others evenly.
fn shares(study: &Study<'_>, members: &[usize], by_time: bool) -> Vec<f64> {
    let weight = |&member: &usize| {
        let evidence = study.evidence[member].as_ref();
        match (evidence, by_time) {
            (Some(found), true) => {
                (found.baseline_mean * found.requests.candidate as f64).max(f64::MIN_POSITIVE)
            }
            (None, true) => 0.0,
            (_, false) => 1.0,
        }
    };
    let weights: Vec<f64> = members.iter().map(weight).collect();
    let sum: f64 = weights.iter().sum();
    let even = 1.0 / members.len().max(1) as f64;
    weights
        .iter()
        .map(|weight| if sum > 0.0 { weight / sum } else { even })
        .collect()
}

fn no_data(group: &str, weight: f64) -> Check {
    Check {
        group: group.to_owned(),
        name: "no data".to_owned(),
        weight,
        grade: None,
        critical: false,
        reason: None,
    }
}

fn member_check(
    study: &Study<'_>,
    sizes: &Sizes<'_>,
    guilty: &[&Suspect],
    member: usize,
    group: &str,
    weight: f64,
) -> Check {
    let what = study.members[member].what;
    let evidence = study.evidence[member].as_ref();
    let suspect = guilty.iter().find(|suspect| suspect.members.contains(&member));
    let (mut grade, mut critical, mut reason) = (evidence.map(|_| 1.0), false, None);
    if let (Some(evidence), Some(suspect)) = (evidence, suspect) {
        let relative = match what {
            What::Overlap { .. } => suspect
                .contributions
                .first()
                .map_or(0.0, |worst| worst.micros / study.entry_mean(worst.entry).max(1.0)),
            _ => evidence.relative().abs(),
        };
        grade = Some(grade_of(relative, sizes.min_relative()));
        critical = is_critical(study, sizes, suspect, evidence, what);
        reason = Some(format!("{:+.1} %", (relative * 100.0).min(1e6)));
    }
    Check {
        group: group.to_owned(),
        name: name(study, what),
        weight,
        grade,
        critical,
        reason,
    }
}

/// 1 at the smallest size that matters, 0 at twice the baseline.
fn grade_of(relative: f64, smallest: f64) -> f64 {
    (1.0 - (relative - smallest) / (WORST - smallest)).clamp(0.0, 1.0)
}

fn is_critical(
    study: &Study<'_>,
    sizes: &Sizes<'_>,
    suspect: &Suspect,
    evidence: &Evidence,
    what: What,
) -> bool {
    if suspect.cause == Cause::Errors {
        let after = evidence.baseline_mean + evidence.change.estimate;
        let failures = after * evidence.requests.candidate as f64;
        let doubled = evidence.baseline_mean + evidence.change.low >= 2.0 * evidence.baseline_mean;
        let is_new = evidence.baseline_mean == 0.0 && after >= NEW_FAILURES_MIN;
        return failures >= FAILURES_MIN && (doubled || is_new);
    }
    let doubled = what.is_time_of_a_call() && evidence.change.low >= evidence.baseline_mean;
    doubled
        && evidence.baseline_mean >= sizes.options.min_micros
        && suspect.contributions.iter().any(|found| {
            found.micros + evidence.baseline_mean
                >= CARRIED_MIN * (study.entry_mean(found.entry) + found.micros)
        })
}

fn entry_checks(study: &Study<'_>, sizes: &Sizes<'_>, guilty: &[&Suspect], checks: &mut Vec<Check>) {
    let entries = study.comparison.entries.iter().enumerate();
    let compared: Vec<(u32, u64)> = entries
        .map(|(entry, totals)| {
            (
                entry as u32,
                totals.answered.baseline.min(totals.answered.candidate),
            )
        })
        .filter(|(_, answered)| *answered > 0)
        .collect();
    let (group, weight) = ENTRIES;
    if compared.is_empty() {
        checks.push(no_data(group, weight));
        return;
    }
    for &(entry, answered) in &compared {
        let lost: f64 = guilty
            .iter()
            .flat_map(|suspect| &suspect.contributions)
            .filter(|found| found.entry == entry)
            .map(|found| found.micros)
            .sum();
        let relative = lost / study.entry_mean(entry).max(1.0);
        let has_data = answered >= sizes.options.min_traces as u64;
        let is_moved = relative >= sizes.options.min_entry_relative;
        let grade = if is_moved {
            grade_of(relative, sizes.options.min_entry_relative)
        } else {
            1.0
        };
        checks.push(Check {
            group: group.to_owned(),
            name: operation_text(study.traces, entry),
            weight: weight / compared.len() as f64,
            grade: has_data.then_some(grade),
            critical: false,
            reason: is_moved.then(|| format!("{:+.1} %", relative * 100.0)),
        });
    }
}

fn name(study: &Study<'_>, what: What) -> String {
    let text = |operation| operation_text(study.traces, operation);
    match what {
        What::OwnTime { operation } => format!("time of {} itself", text(operation)),
        What::OwnTimeFor { operation, entry } => {
            format!("time of {} itself for {}", text(operation), text(entry))
        }
        What::OutgoingGap(site) => format!("wait of {} for {}", text(site.caller), text(site.callee)),
        What::IncomingGap { operation } => format!("wait for {}", text(operation)),
        What::CalleeTime(site) => format!("answers of {} to {}", text(site.callee), text(site.caller)),
        What::Calls(site) => format!("calls of {} to {}", text(site.caller), text(site.callee)),
        What::Overlap { operation } => format!("calls of {} side by side", text(operation)),
        What::Errors { operation } => format!("failures of {}", text(operation)),
    }
}

/// 100 · Σ weight · grade / Σ weight of what has data, and at most [`most`]; 0 where something is critical.
fn total(checks: &[Check]) -> Option<f64> {
    let unknown: f64 = checks
        .iter()
        .filter(|check| check.grade.is_none())
        .map(|check| check.weight)
        .sum();
    if unknown >= UNKNOWN_MAX {
        return None;
    }
    if checks.iter().any(|check| check.critical) {
        return Some(0.0);
    }
    // A group without data hands its weight to the others; so does a check within its group.
    let (mut sum, mut weights) = (0.0, 0.0);
    for (group, weight) in [LATENCY, ERRORS, STRUCTURE, ENTRIES] {
        let known = checks.iter().filter(|check| check.group == group);
        let (graded, of_group) = known.fold((0.0, 0.0), |(graded, of_group), check| match check.grade {
            Some(grade) => (graded + check.weight * grade, of_group + check.weight),
            None => (graded, of_group),
        });
        if of_group > 0.0 {
            sum += weight * graded / of_group;
            weights += weight;
        }
    }
    (weights > 0.0).then(|| round((100.0 * sum / weights).min(most(checks))))
}

/// What the score cannot be above: what failed counts by its own grade, what became slower by those of entry operations.
fn most(checks: &[Check]) -> f64 {
    let is_felt =
        |check: &&Check| check.group == ENTRIES.0 || check.group == ERRORS.0 && check.reason.is_some();
    if checks.iter().all(|check| check.reason.is_none()) {
        return 100.0;
    }
    let felt = checks.iter().filter(is_felt).filter_map(|check| check.grade);
    WORSENED_MAX * felt.fold(1.0, f64::min)
}

/// Passed or not, by group.
fn kayenta(checks: &[Check]) -> Option<f64> {
    let known: Vec<&Check> = checks.iter().filter(|check| check.grade.is_some()).collect();
    if known.is_empty() {
        return None;
    }
    if known.iter().any(|check| check.critical) || known.len() * 2 <= checks.len() {
        return Some(0.0);
    }
    let score: f64 = [LATENCY, ERRORS, STRUCTURE, ENTRIES]
        .iter()
        .map(|(group, weight)| {
            let of_group: Vec<&&Check> = known.iter().filter(|check| check.group == *group).collect();
            let passed = of_group.iter().filter(|check| check.reason.is_none()).count();
            let share = if of_group.is_empty() {
                1.0
            } else {
                passed as f64 / of_group.len() as f64
            };
            weight * share
        })
        .sum();
    Some(round(score))
}

fn round(score: f64) -> f64 {
    (score * 100.0).round() / 100.0
}

/// What a pipeline is told by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) verdict: Verdict,
    pub(super) score: Option<f64>,
    /// Whether something that the deployment caused is certain however often it is looked at.
    pub(super) is_certain: bool,
    /// Whether more data can be waited for.
    pub(super) is_open: bool,
}

pub(super) fn decide(standing: Standing, marginal: f64, pass: f64) -> Decision {
    let is_marginal = standing
        .score
        .is_some_and(|score| (marginal..pass).contains(&score));
    match standing.verdict {
        Verdict::Regressed if standing.is_certain => Decision::Rollback,
        Verdict::Regressed | Verdict::InsufficientData if standing.is_open => Decision::Wait,
        _ if is_marginal && standing.is_open => Decision::Wait,
        _ => Decision::Continue,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(group: (&str, f64), grade: f64, reason: Option<&str>) -> Check {
        Check {
            group: group.0.to_owned(),
            name: String::new(),
            weight: group.1,
            grade: Some(grade),
            critical: false,
            reason: reason.map(str::to_owned),
        }
    }

    fn score_of(
        latency: (f64, Option<&str>),
        errors: (f64, Option<&str>),
        entry: (f64, Option<&str>),
    ) -> f64 {
        let checks = [
            check(LATENCY, latency.0, latency.1),
            check(ERRORS, errors.0, errors.1),
            check(STRUCTURE, 1.0, None),
            check(ENTRIES, entry.0, entry.1),
        ];
        total(&checks).expect("everything has data")
    }

    #[test]
    fn what_is_fine_has_all() {
        assert_eq!(score_of((1.0, None), (1.0, None), (1.0, None)), 100.0);
    }

    #[test]
    fn what_users_feel_is_not_hidden_by_what_they_do_not() {
        let worse = Some("+38.9 %");
        assert_eq!(score_of((0.9, worse), (1.0, None), (0.6, worse)), 53.4);
        assert_eq!(score_of((1.0, None), (0.5, worse), (1.0, None)), 44.5);
    }

    #[test]
    fn what_users_hardly_feel_does_not_pass_either() {
        assert_eq!(score_of((0.2, Some("+80.0 %")), (1.0, None), (1.0, None)), 68.0);
        assert_eq!(score_of((0.95, Some("+5.0 %")), (1.0, None), (1.0, None)), 89.0);
    }
}

//! Bounds of the lists of a report, which otherwise grow with the traffic; what has no room is counted.

use crate::report::{Check, Report};

use super::options::Options;

/// Checks of a report: those that cost most of the score stay.
const CHECKS_MAX: usize = 1_000;
/// Entry operations whose change is told: those that lost the most time stay.
const CHANGES_MAX: usize = 1_000;
/// Entry operations that a finding names as its victims.
pub(super) const VICTIMS_MAX: usize = 100;

/// Shortens what is too long. As many findings as blame something may be there of what else happened.
pub(super) fn bound(report: &mut Report, options: &Options) {
    report.omitted.findings += cut(&mut report.findings, 2 * options.findings_max);
    report.omitted.change += cut(&mut report.change, CHANGES_MAX);
    report.omitted.checks += cut_checks(&mut report.checks);
}

/// Leaves the first so many, and tells how many others there were.
fn cut<T>(list: &mut Vec<T>, most: usize) -> u64 {
    let beyond = list.len().saturating_sub(most);
    list.truncate(most);
    beyond as u64
}

/// Those that stay are in the order that they had.
fn cut_checks(checks: &mut Vec<Check>) -> u64 {
    if checks.len() <= CHECKS_MAX {
        return 0;
    }
    let cost = |check: &Check| check.weight * (1.0 - check.grade.unwrap_or(1.0));
    let mut worst: Vec<usize> = (0..checks.len()).collect();
    worst.sort_by(|&a, &b| {
        let (one, other) = (&checks[a], &checks[b]);
        let by_cost = cost(other).total_cmp(&cost(one));
        let by_weight = other.weight.total_cmp(&one.weight);
        other
            .critical
            .cmp(&one.critical)
            .then(by_cost)
            .then(by_weight)
            .then(a.cmp(&b))
    });
    let mut stays = vec![false; checks.len()];
    for &check in &worst[..CHECKS_MAX] {
        stays[check] = true;
    }
    let mut stays = stays.into_iter();
    checks.retain(|_| stays.next().unwrap_or(false));
    (worst.len() - CHECKS_MAX) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{EntryChange, Operation, Sides, Verdict};
    use crate::reports::tests::{finding, report};

    #[test]
    fn what_has_no_room_is_counted_and_what_matters_stays_in_its_order() {
        let check = |name: usize, grade, critical| Check {
            group: "latency".to_owned(),
            name: name.to_string(),
            weight: 0.01,
            grade,
            critical,
            reason: None,
        };
        let change = |number: i64| EntryChange {
            entry: Operation::default(),
            requests: Sides::default(),
            total: number,
            within: 0,
            mix_shift: 0,
            explained: 0,
            remainder: 0,
        };
        let mut long = report(Verdict::Regressed);
        long.findings = (0..250).map(|number| finding("slow", number, true)).collect();
        long.change = (0..CHANGES_MAX as i64 + 7).map(change).collect();
        long.checks = (0..CHECKS_MAX + 3)
            .map(|name| check(name, Some(1.0), false))
            .collect();
        long.checks[CHECKS_MAX + 1] = check(CHECKS_MAX + 1, Some(0.5), false);
        long.checks[CHECKS_MAX + 2] = check(CHECKS_MAX + 2, None, true);
        bound(&mut long, &Options::default());
        let omitted = &long.omitted;
        assert_eq!((omitted.findings, omitted.change, omitted.checks), (50, 7, 3));
        assert_eq!(long.findings.last().unwrap().contribution, 199);
        assert_eq!(long.change.last().unwrap().total, CHANGES_MAX as i64 - 1);
        let names: Vec<usize> = long
            .checks
            .iter()
            .map(|check| check.name.parse().unwrap())
            .collect();
        let stay = (0..CHECKS_MAX - 2).chain([CHECKS_MAX + 1, CHECKS_MAX + 2]);
        assert_eq!(names, stay.collect::<Vec<_>>());
        let mut short = report(Verdict::Unchanged);
        short.checks = vec![check(0, None, false)];
        let before = short.clone();
        bound(&mut short, &Options::default());
        assert_eq!(short, before);
    }
}

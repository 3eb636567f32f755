//! Budgets from counts: rates, alerts, and what a deployment spent.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::minutes::{PieceCounts, VersionedCounts, judge_by_status};
use super::statuses::Statuses;
use super::*;

const END: u64 = 30_000_000;

/// Of the minutes before [`END`], the newest first: how many requests, how many of them bad, and the same of a version.
fn counts(minutes: impl IntoIterator<Item = ((u64, u64), (u64, u64))>) -> PieceCounts {
    let requests = |(valid, bad): (u64, u64)| RequestCounts {
        valid,
        bad: bad as f64,
    };
    PieceCounts {
        pieces: (0..END)
            .rev()
            .zip(minutes)
            .map(|(minute, (all, of_version))| {
                let counts = VersionedCounts {
                    all: requests(all),
                    of_version: requests(of_version),
                };
                (minute, counts)
            })
            .collect(),
        side: CallSide::Server,
        counted_by: CountedBy::HttpStatus,
        completeness: Completeness::Complete,
    }
}

/// The last moment of the newest minute.
fn now() -> u64 {
    END * 60_000 - 1
}

fn firing(counts: &PieceCounts, objective: f64) -> Vec<bool> {
    let alerts = alerts(counts, objective, now());
    alerts.iter().map(|alert| alert.firing).collect()
}

#[test]
fn an_alert_needs_both_of_its_windows() {
    // Minutes in which one of so many fails, at an objective of 0.999: a burn rate of 1000 / so many.
    let at = |rate: f64, minutes: usize| vec![((10_000, (rate * 10.0) as u64), (0, 0)); minutes];
    let day = 24 * 60;
    assert_eq!(firing(&counts(at(14.5, 60)), 0.999), [true; 4]);
    assert_eq!(
        firing(&counts(at(6.5, 3 * day)), 0.999),
        [false, true, true, true]
    );
    assert_eq!(
        firing(&counts(at(3.1, 3 * day)), 0.999),
        [false, false, true, true]
    );
    assert_eq!(
        firing(&counts(at(1.1, 3 * day)), 0.999),
        [false, false, false, true]
    );
    assert_eq!(firing(&counts(at(0.9, 3 * day)), 0.999), [false; 4]);
    // Over since five minutes: the hour is still bad, but nobody has to get up.
    let over = [at(0.0, 5), at(20.0, 55)].concat();
    assert!(!firing(&counts(over), 0.999)[0]);
    // Began right now: the five minutes are bad, the hour is not.
    let began = [at(20.0, 5), at(0.0, 3 * day)].concat();
    assert_eq!(firing(&counts(began), 0.999), [false; 4]);
    assert_eq!(firing(&counts([]), 0.999), [false; 4]);
}

#[test]
fn a_deployment_spent_what_is_beyond_the_rate_before_it() {
    let live = |minutes: u64| Life::between((END - minutes) * 60_000, now());
    // One of a hundred before; five of a hundred since ten minutes.
    let rising = counts((0..200).map(|age| ((100, if age < 10 { 5 } else { 1 }), (0, 0))));
    let spent = live(10).spent(&rising, 100.0).unwrap();
    assert!((spent - 0.4).abs() < 1e-12, "{spent}");
    // A canary that served a tenth and failed at half of it.
    let canary = counts((0..200).map(|age| {
        if age < 10 {
            ((100, 6), (10, 5))
        } else {
            ((100, 1), (0, 0))
        }
    }));
    let spent = live(10).spent(&canary, 100.0).unwrap();
    assert!((spent - 0.49).abs() < 1e-12, "{spent}");
    let better = counts((0..200).map(|age| ((100, if age < 10 { 0 } else { 3 }), (0, 0))));
    assert_eq!(live(10).spent(&better, 100.0), Some(0.0));
    let first = counts((0..10).map(|_| ((100, 3), (0, 0))));
    assert_eq!(live(10).spent(&first, 100.0), None, "nothing was there before");
    assert_eq!(live(10).spent(&rising, 0.0), None, "no budget");
}

#[test]
fn what_was_spent_before_the_window_is_forgiven() {
    let life = Life::between((END - 100) * 60_000, now());
    let window = |minutes| Minutes::until(now(), minutes);
    // Ten of a hundred fail since it is live; none did before.
    let counts = counts((0..300).map(|age| ((100, if age < 100 { 10 } else { 0 }), (0, 0))));
    assert_eq!(life.within(window(200)), life);
    assert_eq!(life.spent(&counts, 1_000.0), Some(1.0));
    assert_eq!(life.within(window(40)).spent(&counts, 1_000.0), Some(0.4));
    let over = Life::between((END - 100) * 60_000, (END - 90) * 60_000).within(window(40));
    assert_eq!(over.spent(&counts, 1_000.0), None);
    assert!(!over.spends_fast(&counts, 0.999));
}

#[test]
fn only_what_a_version_surely_fails_more_often_than_others_is_burnt_fast_by_it() {
    let live = |minutes: u64| Life::between((END - minutes) * 60_000, now());
    // Of the hundred requests of a minute, ten are of the version; so many of both fail.
    let failing = |all: u64, of_version: u64| {
        counts((0..300).map(move |age| match age {
            0..60 => ((100, all), (10, of_version)),
            _ => ((100, 0), (0, 0)),
        }))
    };
    assert!(live(60).spends_fast(&failing(1, 1), 0.999));
    // One bad request, at a burn rate of 20: after many good ones, that is a sure change.
    let one = counts((0..300).map(|age| match age {
        0 => ((100, 1), (100, 1)),
        1..10 => ((100, 0), (100, 0)),
        _ => ((10_000, 0), (0, 0)),
    }));
    assert!(!live(10).spends_fast(&one, 0.99995));
    assert!(!live(60).spends_fast(&failing(1, 0), 0.999), "the others fail");
    assert!(
        !live(60).spends_fast(&failing(10, 1), 0.999),
        "the others fail just as often"
    );
    assert!(!live(60).spends_fast(&failing(1, 1), 0.99), "slowly");
    // An hour after it was taken back, what fails now is not its fault.
    let taken_back = Life::between((END - 200) * 60_000, (END - 70) * 60_000);
    assert!(!taken_back.spends_fast(&failing(1, 1), 0.999));
    // Without versions, all requests are its own; and they failed before as well.
    let always = counts((0..300).map(|_| ((100, 2), (0, 0))));
    assert!(!live(60).spends_fast(&always, 0.999));
    let after = |age: usize| {
        if age < 60 {
            ((100, 2), (0, 0))
        } else {
            ((100, 0), (0, 0))
        }
    };
    assert!(live(60).spends_fast(&counts((0..300).map(after)), 0.999));
}

#[test]
fn what_came_before_is_as_long_but_between_an_hour_and_a_day() {
    let before = |minutes: u64| {
        let life = Life::between((END - minutes) * 60_000, now());
        assert_eq!((life.live.count(), life.live.last), (minutes, END - 1));
        assert_eq!(life.before.last + 1, life.live.first);
        life.before.count()
    };
    assert_eq!([before(10), before(300), before(5_000)], [60, 300, 1_440]);
}

#[test]
fn a_search_that_meets_no_failure_though_there_are_some_judges_nothing() {
    let mut minutes = counts([((100, 5), (10, 2))]).pieces;
    let before = minutes.clone();
    assert_eq!(
        judge_by_status(&mut minutes, &Statuses::default()),
        CountedBy::ErrorTag
    );
    assert_eq!(minutes, before);
}

#[test]
fn a_budget_that_a_regression_spends_fast_is_critical_and_nothing_else_is() {
    let state = |fast_burn| SloState {
        name: "cart".to_owned(),
        objective: 0.999,
        budget_remaining: Some(0.2),
        burn_rate: Some(20.0),
        spent_by_deployment: Some(0.1),
        fast_burn,
    };
    let report = |verdict: &str| -> Report {
        let population = serde_json::json!({"startTs": 0, "endTs": 0, "traces": 0, "spans": 0});
        let left_out = serde_json::json!({
            "bothVersions": 0, "unknownVersion": 0, "warmUp": 0, "notSampled": 0, "notComparable": 0, "cutMicros": 0,
        });
        let report = serde_json::json!({
            "verdict": verdict, "decision": "wait", "score": 81.0, "baseline": population, "candidate": population,
            "findings": [], "change": [], "checks": [], "operations": [], "slo": [], "leftOut": left_out,
            "completeness": "complete",
        });
        serde_json::from_value(report).unwrap()
    };
    for (verdict, state, decision, score) in [
        ("regressed", state(true), Decision::Rollback, 0.0),
        ("regressed", state(false), Decision::Wait, 81.0),
        ("unchanged", state(true), Decision::Wait, 81.0),
    ] {
        let mut report = report(verdict);
        add_objectives(&mut report, (vec![state.clone()], Completeness::Complete));
        assert_eq!(
            (report.decision, report.score),
            (decision, Some(score)),
            "{verdict} {state:?}"
        );
        assert_eq!(report.checks.len(), usize::from(score == 0.0));
        assert_eq!(report.slo, [state]);
    }
}

fn any_minutes() -> impl Strategy<Value = Vec<((u64, u64), (u64, u64))>> {
    let minute = (0..200u64, 0..=100u64, 0..=100u64, 0..=100u64).prop_map(|(valid, bad, share, part)| {
        let bad = valid * bad / 100;
        let of_version = valid * share / 100;
        ((valid, bad), (of_version, (of_version * part / 100).min(bad)))
    });
    prop::collection::vec(minute, 1..400)
}

proptest! {
    #[test]
    fn windows_add_up_to_the_whole(minutes in any_minutes(), cut in 0..400u64) {
        let counts = counts(minutes);
        let (older, newer) = (
            counts.sum(Minutes { first: 0, last: END - 1 - cut }),
            counts.sum(Minutes { first: END - cut, last: END }),
        );
        let whole = counts.sum(Minutes { first: 0, last: END });
        prop_assert_eq!(older.all.valid + newer.all.valid, whole.all.valid);
        prop_assert_eq!(older.all.bad + newer.all.bad, whole.all.bad);
        prop_assert_eq!(whole.all.without(newer.all), older.all);
    }

    #[test]
    fn rates_are_the_share_of_the_budget_and_what_is_left_is_the_rest(minutes in any_minutes(), objective in 0.01..0.9999f64) {
        let counts = counts(minutes);
        let whole = counts.sum(Minutes { first: 0, last: END }).all;
        let budget = (1.0 - objective) * whole.valid as f64;
        match (remaining(budget, whole), burn_rate(whole, objective)) {
            (Some(left), Some(rate)) => prop_assert!((1.0 - left - rate).abs() <= 1e-9 * rate.max(1.0)),
            (left, rate) => prop_assert_eq!((left, rate, whole.valid), (None, None, 0)),
        }
        for rate in burn_rates(&counts, objective, now()) {
            let json = serde_json::to_value(rate).unwrap();
            prop_assert!(json["bad"].as_u64() <= json["valid"].as_u64());
        }
    }

    #[test]
    fn judging_anew_leaves_every_count_possible(minutes in any_minutes(), read_from in 0..400u64) {
        let mut minutes: BTreeMap<u64, VersionedCounts> = counts(minutes).pieces;
        let mut statuses = Statuses::default();
        (statuses.read_from, statuses.any_failed) = (END - read_from, true);
        let before = minutes.clone();
        judge_by_status(&mut minutes, &statuses);
        for (minute, counts) in &minutes {
            prop_assert_eq!(counts.all.valid, before[minute].all.valid);
            prop_assert!(counts.all.bad >= 0.0 && counts.all.bad <= counts.all.valid as f64);
            prop_assert!(counts.of_version.bad >= 0.0 && counts.of_version.bad <= counts.of_version.valid as f64);
            // Nothing differs, so nothing changes.
            prop_assert_eq!(counts.all.bad, before[minute].all.bad);
        }
    }
}

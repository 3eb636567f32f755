//! What happens beside a rollout is told, by its name, and blames nobody.

use std::sync::Arc;

use model::Deployment;

use crate::report::{Explanation, Finding, Report, Verdict};
use crate::statistics::Random;

use super::super::options::Options;
use super::super::rollout;
use super::is_told;
use super::shop::{MINUTE_MS, Request, START, Shop, UNTIL, canary_of, deployment, entry_of, of_canary};

/// The finding of an explanation, which has to blame nobody and cost nothing.
fn told(report: &Report, explanation: Explanation) -> &Finding {
    let mut findings = report.findings.iter();
    let found = findings.find(|found| found.explanation == Some(explanation));
    let found = found.unwrap_or_else(|| panic!("{:?}", report.findings));
    assert!(
        !found.caused_by_deployment && found.contribution == 0,
        "{found:?}"
    );
    assert_ne!(report.verdict, Verdict::Regressed);
    found
}

/// A canary of a tenth: requests every `pause` milliseconds of a time, ten minutes before the start and after it.
fn small_canary(pause: impl Fn(u64) -> u64, change: impl Fn(Request, u64) -> Request) -> Report {
    shop_of_canary(pause, change).report(&deployment(None), UNTIL)
}

fn shop_of_canary(pause: impl Fn(u64) -> u64, change: impl Fn(Request, u64) -> Request) -> Shop {
    let mut shop = Shop::new();
    let random = &mut Random::new(5);
    let (mut at, mut number) = (START - 10 * MINUTE_MS, 0);
    while at < START + 10 * MINUTE_MS {
        let is_new = at >= START && number % 10 == 9;
        let instance = (number % 3) as u8;
        let request = if is_new {
            Request::at(at, "2.0", 10)
        } else {
            Request::at(at, "1.0", 1 + instance)
        };
        shop.add(change(request, number).vary(random));
        number += 1;
        at += pause(at);
    }
    shop
}

#[test]
fn more_requests_are_load() {
    let since_start = |at: u64| if at < START { 600 } else { 400 };
    let report = small_canary(since_start, |request, _| request);
    let found = told(&report, Explanation::Load);
    assert!(
        found
            .summary
            .contains("150.0 requests a minute since the rollout began, before 100.0"),
        "{}",
        found.summary
    );
    assert_eq!(found.origin.service_name, "cart");
    let peak = START + MINUTE_MS..START + 5 * MINUTE_MS;
    let for_minutes = |at: u64| if peak.contains(&at) { 300 } else { 500 };
    let report = small_canary(for_minutes, |request, _| request);
    let found = told(&report, Explanation::Load);
    assert!(
        found.summary.contains("1.7 times as many requests for 240 s"),
        "{}",
        found.summary
    );
}

#[test]
fn load_is_told_where_nothing_can_be_compared() {
    let since_start = |at: u64| if at < START { 600 } else { 400 };
    let report = small_canary(since_start, |request, _| Request {
        version: "1.0",
        ..request
    });
    assert_eq!(report.verdict, Verdict::InsufficientData);
    told(&report, Explanation::Load);
}

#[test]
fn other_entry_operations_are_mix_shift() {
    let of_twenty_since_start = |since: u64| {
        let change = |request: Request, number| Request {
            entry: entry_of(number % 20 < if request.at < START { 4 } else { since }),
            ..request
        };
        small_canary(|_| 500, change)
    };
    let report = of_twenty_since_start(8);
    let found = told(&report, Explanation::MixShift);
    assert!(
        found
            .summary
            .contains("get /other is 40 % of the requests since the rollout began, before 20 %"),
        "{}",
        found.summary
    );
    let report = of_twenty_since_start(5);
    assert!(!is_told(&report, Explanation::MixShift), "{:?}", report.findings);
}

#[test]
fn paths_that_are_asked_for_more_often_by_chance_are_no_mix_shift() {
    let random = std::cell::RefCell::new(Random::new(9));
    let shop = canary_of(
        |request| Request {
            recommendations: random.borrow_mut().integer().is_multiple_of(4).then_some(300_000),
            ..request
        },
        |request, _| request,
    );
    let report = shop.report(&deployment(None), UNTIL);
    let moved = report.change[0].mix_shift.abs();
    assert!(moved > 6_000, "chance moves the mean: {:?}", report.change);
    assert!(!is_told(&report, Explanation::MixShift), "{:?}", report.findings);
}

/// What is not deployed takes so many times as long from a minute after the start on, in percent.
fn slower(request: &Request, time: u64, percent: u64) -> u64 {
    if request.at < START + MINUTE_MS {
        time
    } else {
        time * percent / 100
    }
}

#[test]
fn a_callee_that_is_slow_for_everybody_is_degraded() {
    let report = small_canary(
        |_| 500,
        |request, _| Request {
            query: slower(&request, request.query, 150),
            ..request
        },
    );
    let found = told(&report, Explanation::CalleeDegraded);
    assert_eq!(found.origin.service_name, "postgres");
    assert!(
        found
            .summary
            .starts_with("postgres select, which cart depends on, takes 1.5 times as long by itself"),
        "{}",
        found.summary
    );
    let report = small_canary(
        |_| 500,
        |request, _| Request {
            web_own: slower(&request, request.web_own, 150),
            query: slower(&request, request.query, 150),
            ..request
        },
    );
    assert!(
        !is_told(&report, Explanation::CalleeDegraded),
        "all that nobody deployed: {:?}",
        report.findings
    );
}

#[test]
fn a_callee_that_was_deployed_as_well_is_not_called_degraded() {
    let shop = shop_of_canary(
        |_| 500,
        |request, _| Request {
            recommendations: Some(slower(&request, 8_000, 200)),
            ..request
        },
    );
    let cart = deployment(None);
    let mut gathered = shop.gathered(&cart, UNTIL);
    let report = rollout::report(&gathered, &cart, &Options::default());
    let found = told(&report, Explanation::CalleeDegraded);
    assert_eq!(found.origin.service_name, "recommendations");
    gathered.others.push(Arc::new(Deployment {
        id: "d2".to_owned(),
        service_name: "recommendations".to_owned(),
        ..cart.clone()
    }));
    let report = rollout::report(&gathered, &cart, &Options::default());
    assert!(
        !is_told(&report, Explanation::CalleeDegraded),
        "{:?}",
        report.findings
    );
}

#[test]
fn what_a_new_version_asks_for_is_no_degraded_callee() {
    // One of its instances alone, so that the version is not blamed.
    let report = of_canary(|request, _| Request {
        query: request.query * if request.instance == 11 { 4 } else { 1 },
        ..request
    });
    assert_ne!(report.verdict, Verdict::Regressed);
    assert!(
        !is_told(&report, Explanation::CalleeDegraded),
        "{:?}",
        report.findings
    );
    // It serves nearly everything, and is to blame.
    let mut shop = Shop::new();
    let random = &mut Random::new(5);
    for number in 0..2_400u64 {
        let at = START - 10 * MINUTE_MS + number * 500;
        let request = if at < START || number % 6 == 0 {
            Request::at(at, "1.0", 1)
        } else {
            Request {
                query: 8_000,
                ..Request::at(at, "2.0", 10)
            }
        };
        shop.add(request.vary(random));
    }
    let report = shop.report(&deployment(None), UNTIL);
    assert_eq!(report.verdict, Verdict::Regressed);
    assert!(
        !is_told(&report, Explanation::CalleeDegraded),
        "{:?}",
        report.findings
    );
}

#[test]
fn one_slow_instance_of_the_old_version_is_named() {
    let report = small_canary(
        |_| 500,
        |request, _| Request {
            cart_own: request.cart_own * if request.instance == 2 { 16 } else { 10 } / 10,
            ..request
        },
    );
    let found = told(&report, Explanation::BadInstance);
    assert_eq!(found.instance.as_deref(), Some("10.0.0.2:80"));
    // A version that is slower on all of its instances has no bad one.
    let report = of_canary(|request, _| Request {
        cart_own: request.cart_own * 2,
        ..request
    });
    assert!(
        !is_told(&report, Explanation::BadInstance),
        "{:?}",
        report.findings
    );
}

/// What is left of a slowdown after so many milliseconds, in percent.
fn left_of(milliseconds: u64, of: f64) -> u64 {
    (100.0 * (-(milliseconds as f64) / of).exp()) as u64
}

#[test]
fn what_new_instances_show_at_first_is_warm_up() {
    let report = of_canary(|request, _| Request {
        cart_own: request.cart_own * (100 + 2 * left_of(request.at - START, 15e3)) / 100,
        ..request
    });
    told(&report, Explanation::WarmUp);
    assert!(!is_told(&report, Explanation::Transient), "{:?}", report.findings);
}

#[test]
fn what_all_instances_show_at_first_is_transient() {
    let report = small_canary(
        |_| 500,
        |request, _| {
            let left = request
                .at
                .checked_sub(START)
                .map_or(0, |since| left_of(since, 120e3));
            Request {
                cart_own: request.cart_own * (100 + left) / 100,
                ..request
            }
        },
    );
    told(&report, Explanation::Transient);
    assert!(!is_told(&report, Explanation::WarmUp), "{:?}", report.findings);
    let report = small_canary(
        |_| 500,
        |request, _| Request {
            cart_own: request.cart_own * if request.at < START { 1 } else { 2 },
            ..request
        },
    );
    assert!(!is_told(&report, Explanation::Transient), "{:?}", report.findings);
}

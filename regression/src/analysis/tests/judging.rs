//! What is said of a deployment, by what it did.

use std::sync::Arc;

use model::Deployment;

use crate::report::{Cause, Decision, Design, Explanation, Finding, Report, Verdict};

use super::super::options::Options;
use super::super::rollout;
use super::is_told;
use super::shop::{
    MINUTE_MS, Request, START, Shop, UNTIL, canary, canary_of, deployment, entry_of, of_canary, switched,
};

/// The finding that comes first, which has to blame the deployment.
fn blamed(report: &Report) -> &Finding {
    assert_eq!(report.verdict, Verdict::Regressed, "{report:?}");
    let first = &report.findings[0];
    assert!(first.caused_by_deployment, "{first:?}");
    first
}

/// Of everything at once, with the change from the start on.
fn of_switch(change: impl Fn(Request, u64) -> Request) -> Report {
    let shop = switched(|request, number| {
        if request.at >= START {
            change(request, number)
        } else {
            request
        }
    });
    shop.report(&deployment(Some(START)), UNTIL)
}

#[test]
fn nothing_that_changed_blames_nobody() {
    let report = of_canary(|request, _| request);
    assert_eq!(report.design, Some(Design::Concurrent));
    assert_eq!(report.verdict, Verdict::Unchanged, "{:?}", report.findings);
    assert_eq!(report.decision, Decision::Continue);
    assert_eq!(report.score, Some(100.0));
    assert!(report.findings.is_empty());
}

#[test]
fn local_spans_do_not_divide_what_an_operation_does_itself() {
    let divided = |request| Request {
        cart_own: 8_000,
        prepare: 6_000,
        ..request
    };
    // Either part by less than is spoken of.
    let slower = |request: Request, _| Request {
        cart_own: request.cart_own + 800,
        prepare: request.prepare + 800,
        ..request
    };
    let report = canary_of(divided, slower).report(&deployment(None), UNTIL);
    let first = blamed(&report);
    assert_eq!(
        (first.cause, first.origin.span_name.as_str()),
        (Cause::SelfTime, "get /cart")
    );
    assert!((1_200..2_000).contains(&first.contribution), "{first:?}");
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
}

#[test]
fn its_own_work_is_self_time() {
    let report = of_canary(|request, _| Request {
        cart_own: request.cart_own + 6_000,
        ..request
    });
    let first = blamed(&report);
    assert_eq!(first.cause, Cause::SelfTime);
    assert_eq!(
        (
            first.origin.service_name.as_str(),
            first.origin.span_name.as_str()
        ),
        ("cart", "get /cart")
    );
    assert_eq!(first.entry.service_name, "web");
    assert!((5_000..7_000).contains(&first.contribution), "{first:?}");
    assert!(
        first.contribution_low <= 6_000 && 6_000 <= first.contribution_high,
        "{first:?}"
    );
    assert_eq!(report.decision, Decision::Rollback);
    assert!(
        report.score.is_some_and(|score| score < 90.0),
        "{:?}",
        report.score
    );
    assert_eq!(first.victims.len(), 1);
    assert_eq!(
        (first.exemplars.baseline.len(), first.exemplars.candidate.len()),
        (3, 3)
    );
    assert_eq!(report.findings.len(), 1);
}

/// Every fifth second requests enter by another operation.
fn by_two(request: Request) -> Request {
    let is_other = (request.at / 1_000).is_multiple_of(5);
    Request {
        entry: entry_of(is_other),
        ..request
    }
}

#[test]
fn what_only_some_requests_wait_for_is_told_of_them() {
    // By a fifth for a fifth of the requests: too little of all of them to be spoken of.
    let slower = |request: Request, _| match request.entry {
        "get /other" => Request {
            cart_own: request.cart_own + 4_000,
            ..request
        },
        _ => request,
    };
    let report = canary_of(by_two, slower).report(&deployment(None), UNTIL);
    let first = blamed(&report);
    assert_eq!(first.cause, Cause::SelfTime);
    assert_eq!(first.origin.span_name, "get /cart");
    assert_eq!(first.entry.span_name, "get /other");
    assert!((3_000..5_000).contains(&first.contribution), "{first:?}");
    assert!(
        first.summary.contains("for requests of web get /other"),
        "{}",
        first.summary
    );
    let victims: Vec<&str> = first
        .victims
        .iter()
        .map(|victim| victim.operation.span_name.as_str())
        .collect();
    assert_eq!(victims, ["get /other"]);
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    let checks = report.checks.iter().filter(|check| check.reason.is_some());
    let failed: Vec<&str> = checks.map(|check| check.name.as_str()).collect();
    assert_eq!(
        failed,
        [
            "time of cart get /cart itself for web get /other",
            "web get /other"
        ]
    );
    assert_eq!(report.decision, Decision::Rollback);
}

#[test]
fn what_all_requests_wait_for_is_told_once() {
    let slower = |request: Request, _| Request {
        cart_own: request.cart_own + 4_000,
        ..request
    };
    let report = canary_of(by_two, slower).report(&deployment(None), UNTIL);
    let first = blamed(&report);
    assert!(!first.summary.contains("for requests of"), "{}", first.summary);
    assert_eq!(first.victims.len(), 2);
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    let is_of_one = |name: &str| name.contains(" itself for ");
    assert!(
        !report.checks.iter().any(|check| is_of_one(&check.name)),
        "{:?}",
        report.checks
    );
}

#[test]
fn what_no_request_is_surely_seen_to_wait_for_blames_nobody() {
    // Every call takes longer, beside one that takes longer still; three requests of a thousand waited for it.
    let hidden = |request| Request {
        advertisements: Some(100_000),
        ..request
    };
    let slower = |request: Request, number| Request {
        cart_own: request.cart_own + if number % 301 == 0 { 1_500_000 } else { 6_000 },
        ..request
    };
    let report = canary_of(hidden, slower).report(&deployment(None), UNTIL);
    let blamed = |finding: &&Finding| finding.caused_by_deployment;
    assert_eq!(report.findings.iter().find(blamed), None);
    assert_ne!(report.verdict, Verdict::Regressed);
}

#[test]
fn more_queries_are_more_calls() {
    let report = of_canary(|request, _| Request {
        queries: 5,
        ..request
    });
    let first = blamed(&report);
    assert_eq!(first.cause, Cause::MoreCalls);
    assert_eq!(first.callee.as_ref().unwrap().service_name, "postgres");
    assert!((11_000..13_000).contains(&first.contribution), "{first:?}");
    assert!(
        first.summary.contains("5.0 times a request, before 2.0"),
        "{}",
        first.summary
    );
}

#[test]
fn queries_again_after_a_failure_are_retries() {
    let report = of_canary(|request, _| Request {
        queries: 3,
        retries: 1,
        ..request
    });
    assert_eq!(blamed(&report).cause, Cause::Retries);
}

#[test]
fn a_call_that_was_never_made_is_new() {
    let report = of_canary(|request, number| Request {
        recommendations: (number % 4 == 1).then_some(12_000),
        ..request
    });
    let first = blamed(&report);
    assert_eq!(first.cause, Cause::NewCall);
    assert_eq!(first.callee.as_ref().unwrap().service_name, "recommendations");
    assert!(
        (5_000..7_000).contains(&first.contribution),
        "half of the requests: {first:?}"
    );
}

#[test]
fn a_call_is_new_where_it_was_made_for_other_requests_only() {
    let mut shop = super::shop::Shop::new();
    let random = &mut crate::statistics::Random::new(3);
    for number in 0..2_400u64 {
        let is_new = number % 2 == 1;
        let mut request = Request::at(START + number * 500, "1.0", 1 + (number / 2 % 3) as u8).vary(random);
        request.web_version = if is_new { "2.0" } else { "1.0" };
        let is_other = number / 2 % 3 == 0;
        request.entry = entry_of(is_other);
        // Of the new version's every fifth: so few that the others would be compared without them.
        request.advertisements = (is_other || is_new && number / 2 % 5 == 1).then_some(100_000);
        shop.add(request);
    }
    let of_web = model::Deployment {
        service_name: "web".to_owned(),
        ..deployment(None)
    };
    let report = shop.report(&of_web, UNTIL);
    let first = blamed(&report);
    assert_eq!(first.cause, Cause::NewCall, "{first:?}");
    assert_eq!(first.callee.as_ref().unwrap().service_name, "ads");
    assert_eq!(first.entry.span_name, "get /");
}

#[test]
fn one_after_the_other_is_serialised() {
    let mut shop = super::shop::Shop::new();
    let random = &mut crate::statistics::Random::new(3);
    for number in 0..2_400u64 {
        let is_new = number % 2 == 1;
        let version = if is_new { "2.0" } else { "1.0" };
        let mut request = Request::at(
            START + number * 500,
            version,
            (number / 2 % 3) as u8 + 10 * u8::from(is_new),
        )
        .vary(random);
        request.overlap = if is_new { 0 } else { request.query };
        shop.add(request);
    }
    let report = shop.report(&deployment(None), UNTIL);
    let first = blamed(&report);
    assert_eq!(first.cause, Cause::SerializedCalls, "{report:?}");
    assert!((3_500..4_500).contains(&first.contribution), "{first:?}");
}

#[test]
fn heavier_queries_of_the_new_version_alone_are_its_own() {
    let report = of_canary(|request, _| Request {
        query: request.query * 2,
        ..request
    });
    assert_eq!(blamed(&report).cause, Cause::SlowerCallee);
}

#[test]
fn a_database_that_is_slow_since_the_switch_is_not_blamed_on_it() {
    let report = of_switch(|request, _| Request {
        query: request.query * 2,
        ..request
    });
    assert_eq!(report.design, Some(Design::BeforeAfter));
    let first = &report.findings[0];
    assert!(!first.caused_by_deployment);
    assert_eq!(first.explanation, Some(Explanation::CalleeDegraded));
    assert_ne!(report.decision, Decision::Rollback);
}

#[test]
fn requests_that_wait_for_it_are_queueing() {
    let report = of_canary(|request, _| Request {
        gap: request.gap + 5_000,
        ..request
    });
    let first = blamed(&report);
    assert_eq!(first.cause, Cause::Queueing);
    assert_eq!(first.origin.service_name, "cart");
}

#[test]
fn failures_are_errors_and_no_time() {
    let report = of_canary(|request, number| Request {
        has_failed: number % 20 == 1,
        cart_own: if number % 20 == 1 { 100 } else { request.cart_own },
        ..request
    });
    let first = blamed(&report);
    assert_eq!(first.cause, Cause::Errors);
    assert_eq!(first.contribution, 0);
    assert!((first.error_rate_change.unwrap() - 0.1).abs() < 0.01, "{first:?}");
    assert_eq!(report.score, Some(0.0), "failures that were never seen");
}

/// As many as would be enough, if they did not have one reason.
#[test]
fn failures_at_one_moment_are_no_error_rate() {
    let failing = |fails: fn(u64) -> bool| {
        of_canary(move |request, number| Request {
            has_failed: fails(number),
            ..request
        })
    };
    let spread = failing(|number| number % 100 == 1);
    assert_eq!(blamed(&spread).cause, Cause::Errors);
    let change = blamed(&spread).error_rate_change.unwrap();
    assert!((change - 0.02).abs() < 0.003, "{change}");
    let at_once = failing(|number| (1_201..1_300).contains(&number) && number % 6 == 1);
    assert!(at_once.findings.is_empty(), "{:?}", at_once.findings);
}

/// While a rollout goes on it may be looked at often: failures have to be surer then.
#[test]
fn failures_while_a_rollout_goes_on_are_followed() {
    let decision = |every: u64| {
        let report = of_canary(|request, number| Request {
            has_failed: number % every == 1,
            ..request
        });
        assert_eq!(blamed(&report).cause, Cause::Errors);
        report.decision
    };
    assert_eq!(decision(20), Decision::Rollback);
    // Nine failures, all of one version: once in 256 by chance, and more often if it is asked again and again.
    assert_eq!(decision(200), Decision::Wait);
}

#[test]
fn faster_is_improved_and_costs_no_score() {
    let report = of_canary(|request, _| Request {
        cart_own: request.cart_own / 2,
        ..request
    });
    assert_eq!(report.verdict, Verdict::Improved);
    assert_eq!(report.score, Some(100.0));
    assert!(report.findings[0].contribution < 0);
}

#[test]
fn one_bad_instance_does_not_convict_a_version() {
    let report = of_canary(|request, _| Request {
        cart_own: if request.instance == 11 {
            request.cart_own * 2
        } else {
            request.cart_own
        },
        ..request
    });
    let first = &report.findings[0];
    assert_eq!(first.explanation, Some(Explanation::BadInstance), "{first:?}");
    assert_eq!(first.instance.as_deref(), Some("10.0.0.11:80"));
    assert_ne!(report.verdict, Verdict::Regressed);
}

#[test]
fn what_goes_away_is_transient() {
    let report = of_switch(|request, _| {
        let minutes = (request.at - START) as f64 / MINUTE_MS as f64;
        Request {
            cart_own: (request.cart_own as f64 * (1.0 + 2.0 * (-minutes / 2.0).exp())) as u64,
            ..request
        }
    });
    let first = &report.findings[0];
    assert_eq!(first.explanation, Some(Explanation::Transient), "{first:?}");
    assert_ne!(report.verdict, Verdict::Regressed);
}

/// Of the last third half is seen by chance, and that less than half is left is not sure.
#[test]
fn what_may_have_stayed_is_not_transient() {
    let report = of_canary(|request, number| Request {
        cart_own: request.cart_own + if number < 1_840 { 2_000 } else { 1_400 },
        ..request
    });
    assert_eq!(blamed(&report).cause, Cause::SelfTime);
    let gone = of_canary(|request, number| Request {
        cart_own: request.cart_own + if number < 1_840 { 2_400 } else { 0 },
        ..request
    });
    let first = &gone.findings[0];
    assert_eq!(first.explanation, Some(Explanation::Transient), "{first:?}");
}

#[test]
fn instances_that_are_not_warm_are_reported_apart() {
    let report = of_switch(|request, _| Request {
        cart_own: if request.at < START + MINUTE_MS {
            request.cart_own * 3
        } else {
            request.cart_own
        },
        ..request
    });
    assert_ne!(report.verdict, Verdict::Regressed, "{:?}", report.findings);
    assert!(is_told(&report, Explanation::WarmUp));
    assert!(report.left_out.warm_up > 100);
}

#[test]
fn what_became_slower_everywhere_is_not_its_doing() {
    let slower = |time: u64| time * 5 / 4;
    let report = of_switch(|request, _| Request {
        web_own: slower(request.web_own),
        cart_own: slower(request.cart_own),
        ..request
    });
    assert_ne!(report.verdict, Verdict::Regressed);
    assert!(
        report.findings.iter().all(|found| !found.caused_by_deployment),
        "{:?}",
        report.findings
    );
}

#[test]
fn what_all_services_that_were_deployed_have_in_common_is_of_none_of_them() {
    let of = |web: u64, liked: u64, cart: u64| {
        let shop = switched(|request, number| {
            let is_since = request.at >= START;
            let slower = |time: u64, percent: u64| time * if is_since { 100 + percent } else { 100 } / 100;
            Request {
                web_own: slower(request.web_own, web),
                cart_own: slower(request.cart_own, cart),
                recommendations: Some(slower(3_000 + request.web_own / 10, liked)),
                entry: entry_of(number % 2 == 1),
                ..request
            }
        });
        let others = ["web", "recommendations"];
        report_beside(&shop, &others)
    };
    let is_blamed = |report: &Report| report.findings.iter().any(|finding| finding.caused_by_deployment);
    let drifted = of(30, 30, 30);
    assert!(!is_blamed(&drifted), "{drifted:?}");
    // One of them is as slow for a reason of its own: the other one says that it is not the weather.
    assert!(is_blamed(&of(30, 0, 30)));
    assert!(is_blamed(&of(0, 30, 30)));
}

#[test]
fn what_began_before_the_switch_is_not_its_doing() {
    let shop = switched(|request, _| Request {
        cart_own: request.cart_own * if request.at + 4 * MINUTE_MS > START { 2 } else { 1 },
        ..request
    });
    let report = shop.report(&deployment(Some(START)), UNTIL);
    assert_ne!(report.verdict, Verdict::Regressed);
    assert!(is_told(&report, Explanation::Confounded));
}

#[test]
fn other_requests_are_mix_shift_and_no_slowdown() {
    let report = of_canary(|request, _| request);
    assert!(
        report.change.iter().all(|change| change.mix_shift.abs() < 500),
        "{:?}",
        report.change
    );
    let shop = switched(|request, number| {
        let is_long = if request.at >= START {
            number % 4 != 0
        } else {
            number % 4 == 0
        };
        Request {
            recommendations: is_long.then_some(30_000),
            ..request
        }
    });
    // Both kinds of request are there on both sides, only more often.
    let report = shop.report(&deployment(Some(START)), UNTIL);
    let change = &report.change[0];
    assert!(change.total > 12_000 && change.within.abs() < 1_000, "{change:?}");
    assert_ne!(report.verdict, Verdict::Regressed, "{:?}", report.findings);
    assert!(is_told(&report, Explanation::MixShift));
}

#[test]
fn a_tenth_in_the_tail_is_seen_in_the_tail() {
    let report = of_canary(|request, number| Request {
        cart_own: request.cart_own + if number % 20 == 1 { 40_000 } else { 0 },
        ..request
    });
    assert_eq!(blamed(&report).cause, Cause::SelfTime);
}

#[test]
fn few_requests_are_not_enough() {
    let mut shop = super::shop::Shop::new();
    for number in 0..40u64 {
        let version = if number % 2 == 1 { "2.0" } else { "1.0" };
        shop.add(Request::at(START + number * 1_000, version, 1));
    }
    let report = shop.report(&deployment(None), UNTIL);
    assert_eq!(report.verdict, Verdict::InsufficientData);
    assert_eq!(report.decision, Decision::Wait);
    assert_eq!(report.score, None);
    assert!(report.missing.is_some());
}

#[test]
fn findings_and_the_rest_add_up() {
    let report = of_canary(|request, _| Request {
        cart_own: request.cart_own + 6_000,
        queries: 4,
        ..request
    });
    assert_eq!(report.findings.len(), 2);
    for change in &report.change {
        assert_eq!(change.total, change.within + change.mix_shift);
        assert_eq!(change.within, change.explained + change.remainder);
        let own = report.findings.iter().filter(|found| found.entry == change.entry);
        assert_eq!(change.explained, own.map(|found| found.contribution).sum::<i64>());
        assert!(change.remainder.abs() < 1_000, "{change:?}");
    }
}

#[test]
fn the_same_traces_in_another_order_give_the_same_report() {
    let shop = canary(|request, number| Request {
        cart_own: request.cart_own + number % 3 * 4_000,
        ..request
    });
    let told = |report: Report| serde_json::to_vec(&report).unwrap();
    let forth = told(shop.report(&deployment(None), UNTIL));
    let back = told(shop.reversed().report(&deployment(None), UNTIL));
    assert_eq!(forth, back);
}

/// Cart works longer after the switch for requests of which `is_longer` says so; half of them enter by another
/// operation of web, which was deployed with it.
fn of_switch_beside_web(is_longer: impl Fn(&Request) -> bool) -> Report {
    let shop = switched(|request, number| {
        let request = Request {
            entry: entry_of(number % 2 == 1),
            ..request
        };
        let more = if request.at >= START && is_longer(&request) {
            8_000
        } else {
            0
        };
        Request {
            cart_own: request.cart_own + more,
            ..request
        }
    });
    report_beside(&shop, &["web"])
}

/// Of cart, where others were deployed at the same time: d2, d3 and so on.
fn report_beside(shop: &Shop, others: &[&str]) -> Report {
    let cart = deployment(Some(START));
    let mut gathered = shop.gathered(&cart, UNTIL);
    gathered.others = (2..)
        .zip(others)
        .map(|(number, service)| {
            Arc::new(Deployment {
                id: format!("d{number}"),
                service_name: (*service).to_owned(),
                ..cart.clone()
            })
        })
        .collect();
    rollout::report(&gathered, &cart, &Options::default())
}

#[test]
fn work_for_one_caller_alone_is_that_callers_deployment() {
    let report = of_switch_beside_web(|request| request.entry == "get /");
    let own = report
        .findings
        .iter()
        .find(|finding| finding.cause == Cause::SelfTime && finding.contribution > 0);
    let own = own.unwrap_or_else(|| panic!("{report:?}"));
    assert_eq!(own.explanation, Some(Explanation::OtherDeployment), "{own:?}");
    assert_eq!(own.deployment_id.as_deref(), Some("d2"));
    assert_ne!(report.verdict, Verdict::Regressed);
    // Asked by everybody, it is its own.
    assert_eq!(blamed(&of_switch_beside_web(|_| true)).cause, Cause::SelfTime);
}

#[test]
fn what_the_only_caller_may_have_asked_for_is_confounded() {
    let shop = switched(|request, _| Request {
        cart_own: request.cart_own + if request.at >= START { 8_000 } else { 0 },
        ..request
    });
    let report = report_beside(&shop, &["web"]);
    let own = |finding: &&Finding| finding.cause == Cause::SelfTime && finding.contribution > 0;
    let own = report.findings.iter().find(own).unwrap();
    assert_eq!(own.explanation, Some(Explanation::Confounded), "{own:?}");
    assert_eq!(own.deployment_id.as_deref(), Some("d2"));
    assert!(own.summary.contains("the deployment d2"), "{}", own.summary);
    // Where web was not deployed, nobody asks for more.
    assert_eq!(blamed(&report_beside(&shop, &[])).cause, Cause::SelfTime);
}

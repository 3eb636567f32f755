//! What is seen of systems that are not well: versions that die, hardly any requests, more operations than anybody looks
//! at.

use std::time::{Duration, Instant};

use crate::report::{Decision, Report, Verdict};
use crate::statistics::Random;

use super::shop::{MINUTE_MS, Request, START, Shop, canary, deployment};

/// When it dies, of twenty minutes that begin five before the start.
const DIES: u64 = START + 5 * MINUTE_MS;

/// A canary that answers nothing more from then on, and until then took so much longer, microseconds.
fn dead(slower: u64) -> Shop {
    let lives = canary(|request, _| Request {
        cart_own: request.cart_own + slower,
        ..request
    });
    lives.without(|at, version| version == "2.0" && at >= DIES)
}

/// What is said so long after it died.
fn of_dead(slower: u64, after_ms: u64) -> Report {
    dead(slower).report(&deployment(None), DIES + after_ms)
}

#[test]
fn who_died_is_waited_for_however_well_it_answered() {
    let report = of_dead(0, 8 * MINUTE_MS);
    assert_eq!(
        (report.verdict, report.decision, report.score),
        (Verdict::InsufficientData, Decision::Wait, None)
    );
    let told = "cart 2.0 answered 50 % of the requests and has answered none for 8 minutes, in which the previous version went on";
    assert_eq!(report.missing.as_deref(), Some(told));
    // What comes late may still come.
    let report = of_dead(0, 2 * MINUTE_MS);
    assert_eq!((report.verdict, report.missing), (Verdict::Unchanged, None));
}

#[test]
fn who_died_is_blamed_for_what_it_did_before() {
    let report = of_dead(6_000, 8 * MINUTE_MS);
    assert_eq!((report.verdict, report.missing), (Verdict::Regressed, None));
}

#[test]
fn who_was_taken_back_or_answers_a_few_only_is_not_called_silent() {
    let mut taken_back = deployment(None);
    taken_back.rolled_back_ts = Some(DIES);
    assert_eq!(
        dead(0).report(&taken_back, DIES + 8 * MINUTE_MS).verdict,
        Verdict::Unchanged
    );
    // One in forty: of 960 requests it would have been met by 24.
    let seldom = dead(0).without(|at, version| version == "2.0" && !at.is_multiple_of(20_000));
    let missing = seldom
        .report(&deployment(None), DIES + 8 * MINUTE_MS)
        .missing
        .unwrap();
    assert!(!missing.contains("answered none"), "{missing}");
}

#[test]
fn where_nobody_answers_any_more_nobody_may_be_asking() {
    let report = canary(|request, _| request).report(&deployment(None), START + 40 * MINUTE_MS);
    assert_eq!((report.verdict, report.missing), (Verdict::Unchanged, None));
}

#[test]
fn a_request_a_minute_is_not_enough_and_says_so() {
    let mut shop = Shop::new();
    let random = &mut Random::new(3);
    for minute in 0..40u64 {
        let at = START - 20 * MINUTE_MS + minute * MINUTE_MS;
        let (version, instance) = if at < START { ("1.0", 1) } else { ("2.0", 10) };
        shop.add(Request::at(at, version, instance).vary(random));
    }
    let report = shop.report(&deployment(Some(START)), START + 20 * MINUTE_MS);
    assert_eq!(
        (report.verdict, report.decision),
        (Verdict::InsufficientData, Decision::Wait)
    );
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert!(report.missing.is_some());
}

#[test]
fn ten_thousand_operations_take_bounded_time_and_room() {
    let began = Instant::now();
    let names: Vec<&'static str> = (0..10_000)
        .map(|number| &*format!("get /{number}").leak())
        .collect();
    let mut shop = Shop::new();
    let random = &mut Random::new(5);
    for number in 0..40_000u64 {
        let at = START - 10 * MINUTE_MS + number * 30;
        let (version, instance) = if at < START { ("1.0", 1) } else { ("2.0", 10) };
        let request = Request::at(at, version, instance).vary(random);
        // Every other request is for what is seldom asked for.
        let entry = match number % 2 {
            0 => "get /",
            _ => names[number as usize / 2 % names.len()],
        };
        shop.add(Request { entry, ..request });
    }
    let report = shop.report(&deployment(Some(START)), START + 10 * MINUTE_MS);
    assert_eq!(report.verdict, Verdict::Unchanged, "{:?}", report.missing);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert!(
        (2..=500).contains(&report.operations.len()),
        "{}",
        report.operations.len()
    );
    assert!(
        (1..=500).contains(&report.change.len()),
        "{}",
        report.change.len()
    );
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

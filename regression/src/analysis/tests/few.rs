//! What is said of a handful of requests.

use super::super::options::Options;
use super::shop::{Request, START, Shop, UNTIL, deployment};
use crate::report::{Cause, Decision, Report, Verdict};
use crate::statistics::Random;

/// Sixteen requests before a switch and eight after it, within two minutes, of processes that nobody knows.
fn of_few(change: impl Fn(Request, u64) -> Request) -> Report {
    of((16, 8), change)
}

fn of((before, after): (u64, u64), change: impl Fn(Request, u64) -> Request) -> Report {
    let mut shop = Shop::new();
    let random = &mut Random::new(21);
    for number in 0..before {
        shop.add(Request::at(START - before * 4_000 + number * 4_000, "1.0", 0).vary(random));
    }
    for number in 0..after {
        let request = Request::at(START + number * 4_000, "2.0", 0).vary(random);
        shop.add(change(request, number));
    }
    shop.report(&deployment(Some(START)), START + 100_000)
}

#[test]
fn a_few_show_what_is_plain_and_more_is_waited_for() {
    let report = of_few(|request, number| Request {
        // The first was there before the fault began.
        cart_own: if number > 0 { 90_000 } else { request.cart_own },
        ..request
    });
    assert_eq!(report.verdict, Verdict::Regressed, "{report:?}");
    let first = &report.findings[0];
    assert!(first.caused_by_deployment, "{first:?}");
    assert_eq!(
        (first.cause, first.origin.span_name.as_str()),
        (Cause::SelfTime, "get /cart")
    );
    assert_eq!(report.decision, Decision::Wait);
}

#[test]
fn a_few_do_not_show_what_weather_does() {
    // Every one of them takes longer than any before, which is no chance, but not twice as long.
    let not_twice = of_few(|request, _| Request {
        cart_own: 34_000,
        ..request
    });
    assert_eq!(not_twice.verdict, Verdict::InsufficientData);
    assert!(not_twice.findings.is_empty(), "{:?}", not_twice.findings);
    let nothing = of_few(|request, _| request);
    assert_eq!(
        nothing.verdict,
        Verdict::InsufficientData,
        "a few do not show that nothing changed"
    );
    // Several times as long, but a quarter of them is as before.
    let most_of_them = of((20, 20), |request, number| Request {
        cart_own: if number % 4 > 0 { 90_000 } else { request.cart_own },
        ..request
    });
    assert_eq!(most_of_them.verdict, Verdict::InsufficientData);
    assert!(most_of_them.findings.is_empty(), "{:?}", most_of_them.findings);
    assert!(Options::default().min_traces > 20);
}

/// Twelve requests a side of each of eight entry operations, in the same minutes.
#[test]
fn a_few_of_many_entry_operations_are_many() {
    const ENTRIES: [&str; 8] = [
        "get /a", "get /b", "get /c", "get /d", "get /e", "get /f", "get /g", "get /h",
    ];
    let report = |each: u64| {
        let mut shop = Shop::new();
        let random = &mut Random::new(23);
        for number in 0..each * 2 * ENTRIES.len() as u64 {
            let is_new = number % 2 == 1;
            let (version, first) = if is_new { ("2.0", 10) } else { ("1.0", 1) };
            let request = Request {
                entry: ENTRIES[(number / 2) as usize % ENTRIES.len()],
                ..Request::at(START + 70_000 + number * 3_000, version, first)
            };
            let mut request = request.vary(random);
            // What a few of one entry operation alone would not show: it is not twice as long.
            request.cart_own += if is_new { 15_000 } else { 0 };
            shop.add(request);
        }
        shop.report(&deployment(None), UNTIL)
    };
    let found = report(12);
    assert_eq!(found.verdict, Verdict::Regressed, "{found:?}");
    assert_eq!(
        (
            found.findings[0].cause,
            found.findings[0].origin.span_name.as_str()
        ),
        (Cause::SelfTime, "get /cart")
    );
    assert_eq!(report(6).verdict, Verdict::InsufficientData);
}

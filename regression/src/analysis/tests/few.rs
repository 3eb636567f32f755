//! What is said of a handful of requests.

use super::super::options::Options;
use super::shop::{Request, START, Shop, deployment};
use crate::report::{Cause, Decision, Report, Verdict};
use crate::statistics::Random;

/// Sixteen requests before a switch and eight after it, within two minutes, of processes that nobody knows.
fn of_few(change: impl Fn(Request, u64) -> Request) -> Report {
    let mut shop = Shop::new();
    let random = &mut Random::new(21);
    for number in 0..16 {
        shop.add(Request::at(START - 64_000 + number * 4_000, "1.0", 0).vary(random));
    }
    for number in 0..8 {
        let request = Request::at(START + number * 4_000, "2.0", 0).vary(random);
        shop.add(change(request, number));
    }
    shop.report(&deployment(Some(START)), START + 60_000)
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
    let half_more = of_few(|request, _| Request {
        cart_own: request.cart_own + request.cart_own / 2,
        ..request
    });
    assert_eq!(half_more.verdict, Verdict::InsufficientData);
    assert!(half_more.findings.is_empty(), "{:?}", half_more.findings);
    let nothing = of_few(|request, _| request);
    assert_eq!(
        nothing.verdict,
        Verdict::InsufficientData,
        "a few do not show that nothing changed"
    );
    let half_of_them = of_few(|request, number| Request {
        cart_own: if number % 2 == 0 { 90_000 } else { request.cart_own },
        ..request
    });
    assert_eq!(half_of_them.verdict, Verdict::InsufficientData);
    assert!(Options::default().min_traces > 16);
}

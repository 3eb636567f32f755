//! What a finding did to every entry operation, and what is left.

use crate::report::{Cause, Report};
use crate::statistics::Random;

use super::shop::{Request, START, Shop, UNTIL, canary, deployment, of_canary};

#[test]
fn a_finding_explains_every_entry_operation_that_waits_for_it() {
    let mut shop = canary(|request, _| Request {
        cart_own: request.cart_own + 6_000,
        ..request
    });
    let random = &mut Random::new(3);
    for number in 0..1_200u64 {
        let (version, instance) = if number % 2 == 1 { ("2.0", 10) } else { ("1.0", 1) };
        let mut request = Request::at(START + number * 1_000, version, instance).vary(random);
        request.cart_own += number % 2 * 6_000;
        shop.add(Request {
            entry: "get /other",
            ..request
        });
    }
    let report = shop.report(&deployment(None), UNTIL);
    // That there are more requests, and others, is told beside it.
    let blamed = report.findings.iter().filter(|found| found.caused_by_deployment);
    assert_eq!(blamed.count(), 1);
    assert_eq!(report.change.len(), 2);
    for change in &report.change {
        assert_eq!(change.within, change.explained + change.remainder);
        assert!((4_500..7_500).contains(&change.explained), "{change:?}");
        assert!(change.remainder.abs() < 1_500, "{change:?}");
    }
}

#[test]
fn durations_of_any_length_are_added_up() {
    let report = of_canary(|request, number| Request {
        web_own: if number > 2_300 {
            i64::MAX as u64
        } else {
            request.web_own
        },
        ..request
    });
    let change = &report.change[0];
    assert!(change.within > 1 << 55, "{change:?}");
    assert!(change.total > 1 << 55, "{change:?}");
}

/// Twenty minutes of a canary beside whose calls others run, and what is added to the work of cart's new version costs
/// its requests, microseconds.
fn beside(added: u64) -> (Report, f64) {
    let mut shop = Shop::new();
    let random = &mut Random::new(13);
    let (mut cost, mut requests) = (0, 0);
    for number in 0..2_400u64 {
        let is_new = number % 2 == 1;
        let (version, instance) = if is_new { ("2.0", 10) } else { ("1.0", 1) };
        let mut request = Request::at(START + number * 500, version, instance).vary(random);
        let shown = 22_000 + random.integer() % 16_000;
        request.advertisements = Some(shown);
        if is_new {
            let called = request.gap + request.cart_own + u64::from(request.queries) * request.query;
            cost += (called + added).max(shown) - called.max(shown);
            requests += 1;
            request.cart_own += added;
        }
        shop.add(request);
    }
    let report = shop.report(&deployment(None), UNTIL);
    (report, cost as f64 / f64::from(requests))
}

#[test]
fn what_runs_beside_and_is_waited_for_less_is_taken_off() {
    let (report, cost) = beside(9_000);
    let first = &report.findings[0];
    assert_eq!(first.cause, Cause::SelfTime);
    assert!(cost < 7_500.0, "most of it is waited for: {cost}");
    assert!(
        (first.contribution as f64 - cost).abs() < 0.15 * cost,
        "{first:?} {cost}"
    );
    assert!(first.contribution_low as f64 <= cost, "{first:?} {cost}");
    assert!(first.contribution_high as f64 >= cost, "{first:?} {cost}");
}

#[test]
fn an_interval_is_as_wide_as_what_it_is_of_varies() {
    let width = |noise: u64| {
        let report = of_canary(|request, number| Request {
            cart_own: request.cart_own + 6_000 + Random::new(number).integer() % 16 * noise,
            ..request
        });
        let first = &report.findings[0];
        first.contribution_high - first.contribution_low
    };
    let (narrow, wide) = (width(0), width(2_000));
    assert!(narrow > 500, "{narrow}");
    assert!(wide > narrow * 5 / 4, "{wide} {narrow}");
}

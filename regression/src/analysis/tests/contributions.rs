//! What a finding did to every entry operation, and what is left.

use crate::report::Report;

use super::shop::{MINUTE_MS, Request, START, canary, deployment};

const UNTIL: u64 = START + 20 * MINUTE_MS;

fn of_canary(change: impl Fn(Request, u64) -> Request) -> Report {
    canary(change).report(&deployment(None), UNTIL)
}

#[test]
fn a_finding_explains_every_entry_operation_that_waits_for_it() {
    let mut shop = canary(|request, _| Request {
        cart_own: request.cart_own + 6_000,
        ..request
    });
    let random = &mut crate::statistics::Random::new(3);
    for number in 0..1_200u64 {
        let (version, instance) = if number % 2 == 1 { ("2.0", 10) } else { ("1.0", 1) };
        let mut request = Request::at(START + number * 1_000, version, instance).vary(random);
        request.cart_own += number % 2 * 6_000;
        shop.add(Request {
            is_other_entry: true,
            ..request
        });
    }
    let report = shop.report(&deployment(None), UNTIL);
    assert_eq!(report.findings.len(), 1);
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

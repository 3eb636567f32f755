//! Who is compared with whom.

use crate::report::Design;

use super::super::options::Options;
use super::super::rollout;
use super::shop::{MINUTE_MS, Request, START, Shop, canary, deployment};

#[test]
fn traces_of_both_versions_and_of_none_are_left_out_and_counted() {
    let mut shop = canary(|request, _| request);
    for number in 0..10 {
        shop.add(Request::at(START + MINUTE_MS + number, "", 30));
        shop.add(Request::at(START + MINUTE_MS + number, "3.0", 31));
    }
    let until = START + 20 * MINUTE_MS;
    let report = shop.report(&deployment(None), until);
    assert_eq!(report.left_out.unknown_version, 10);
    assert!(report.left_out.not_comparable >= 10);
    assert_eq!(report.baseline.version.as_deref(), Some("1.0"));
    assert_eq!(report.candidate.version.as_deref(), Some("2.0"));
    assert!(report.baseline.start_ts >= START, "the same minutes");
    assert_eq!(report.baseline.spans, report.baseline.traces * 5);
}

#[test]
fn windows_of_a_rollout_tell_versions_apart_where_no_tag_does() {
    let mut shop = Shop::new();
    let random = &mut crate::statistics::Random::new(5);
    let end = START + 2 * MINUTE_MS;
    for number in 0..2_400u64 {
        let mut request =
            Request::at(START - 10 * MINUTE_MS + number * 600, "", 1 + (number % 3) as u8).vary(random);
        request.cart_own += if request.at > end { 8_000 } else { 0 };
        shop.add(request);
    }
    let mut declared = deployment(Some(end));
    let until = START + 14 * MINUTE_MS;
    let report = shop.report(&declared, until);
    assert_eq!(report.design, Some(Design::BeforeAfter));
    assert!(report.left_out.unknown_version > 100, "the rollout itself");
    assert!(report.candidate.start_ts > end && report.baseline.end_ts < START);
    assert!(report.findings[0].caused_by_deployment, "{:?}", report.findings);
    // What it replaces need not have a name.
    declared.previous_version = None;
    let report = shop.report(&declared, until);
    assert_eq!(report.baseline.version, None);
    assert!(report.findings[0].caused_by_deployment);
}

#[test]
fn two_populations_are_compared_without_a_deployment() {
    let shop = canary(|request, _| Request {
        cart_own: request.cart_own + 6_000,
        ..request
    });
    let before = shop.profiles(0, START);
    let mut since = shop.profiles(START, START + 20 * MINUTE_MS);
    since.profiles.retain(|profile| {
        profile.calls.iter().any(|sums| {
            let instance = since.table.instances()[sums.place.instance as usize];
            since.table.name(instance.version) == "2.0"
        })
    });
    let report = rollout::compare(&before, &since, &Options::default());
    let first = &report.findings[0];
    assert_eq!(first.origin.service_name, "cart");
    assert!((5_000..7_000).contains(&first.contribution), "{first:?}");
    assert_eq!(report.deployment, None);
}

#[test]
fn what_has_no_address_is_never_new() {
    let served_within_a_minute = |instance: u8| {
        let mut shop = Shop::new();
        let random = &mut crate::statistics::Random::new(3);
        for number in 0..500u64 {
            let at = START - 210_000 + number * 500;
            let version = if at >= START { "2.0" } else { "1.0" };
            shop.add(Request::at(at, version, instance).vary(random));
        }
        shop.report(&deployment(Some(START)), START + MINUTE_MS)
    };
    let unknown = served_within_a_minute(0);
    assert_eq!(unknown.left_out.warm_up, 0);
    assert!(unknown.candidate.traces >= 79, "{:?}", unknown.candidate);
    let new = served_within_a_minute(10);
    assert_eq!((new.left_out.warm_up, new.candidate.traces), (80, 0));
}

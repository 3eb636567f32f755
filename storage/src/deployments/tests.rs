//! The bounds of a register, with small ones.

use std::collections::BTreeMap;

use model::Deployment;

use super::{DeploymentLimits, DeploymentQuery, Interest, PutPlan, Register, Sighting};

fn register() -> Register {
    Register::new(DeploymentLimits {
        deployments_max: 5,
        service_deployments_max: 3,
        versions_max: 4,
        service_versions_max: 3,
        new_versions_an_hour_max: 1000,
        ..DeploymentLimits::default()
    })
}

fn deployment(service_name: &str, start_ts: u64) -> Deployment {
    Deployment {
        service_name: service_name.to_owned(),
        version: format!("v{start_ts}"),
        start_ts,
        ..Deployment::default()
    }
}

/// Declares; gives the starts of those that went.
fn put(register: &mut Register, deployment: Deployment) -> Vec<String> {
    match register.plan_put(deployment) {
        Ok(PutPlan::Add(deployment)) => register.apply(*deployment),
        other => panic!("{other:?}"),
    }
}

fn starts(register: &Register) -> Vec<u64> {
    let listed = register.list(&DeploymentQuery {
        limit: 100,
        ..DeploymentQuery::default()
    });
    listed.iter().map(|one| one.start_ts).collect()
}

fn sight(register: &mut Register, service_name: &str, version: &str, first_ts: u64, now_ms: u64) -> bool {
    let sighting = Sighting {
        service_name,
        environment: "",
        version,
        first_ts,
        instances: BTreeMap::new(),
    };
    register.sight(&sighting, now_ms)
}

#[test]
fn the_oldest_deployment_goes_where_there_are_too_many() {
    let mut register = register();
    for start_ts in [10, 20, 30] {
        assert!(put(&mut register, deployment("cart", start_ts)).is_empty());
    }
    assert_eq!(put(&mut register, deployment("cart", 40)).len(), 1);
    assert_eq!(starts(&register), [40, 30, 20]);
    let too_old = register.plan_put(deployment("cart", 5));
    assert!(too_old.is_err(), "{too_old:?}");
    for start_ts in [1, 2] {
        assert!(put(&mut register, deployment("web", start_ts)).is_empty());
    }
    // The oldest of all, whosever it is.
    assert_eq!(put(&mut register, deployment("db", 50)).len(), 1);
    assert_eq!(starts(&register), [50, 40, 30, 20, 2]);
}

#[test]
fn versions_are_bounded_and_the_oldest_of_a_service_is_forgotten() {
    let mut register = register();
    for (version, at) in [("1", 1), ("2", 2), ("3", 3), ("4", 4)] {
        assert!(sight(&mut register, "cart", version, at, at));
    }
    let mut seen: Vec<_> = register.seen().map(|seen| seen.2.to_owned()).collect();
    seen.sort_unstable();
    assert_eq!(seen, ["2", "3", "4"]);
    assert!(sight(&mut register, "web", "1", 1, 1));
    assert!(!sight(&mut register, "db", "1", 1, 1), "there is no room");
    assert_eq!(register.versions_left_out(), 1);
}

#[test]
fn spans_are_of_no_interest_when_nothing_was_new_for_an_hour() {
    let mut register = register();
    assert!(sight(&mut register, "cart", "1", 1000, 0));
    assert!(!sight(&mut register, "cart", "1", 2000, 10));
    assert_eq!(register.interest("cart", "", "1", 3_600_000), Interest::Fresh);
    assert_eq!(register.interest("cart", "", "1", 3_600_001), Interest::None);
    assert!(sight(&mut register, "cart", "1", 999, 20));
    assert_eq!(register.interest("cart", "", "1", 3_600_001), Interest::Fresh);
    assert_eq!(register.interest("cart", "", "2", u64::MAX), Interest::Fresh);
}

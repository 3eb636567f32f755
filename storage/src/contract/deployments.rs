//! What a store that keeps deployments must do: [`crate::DeploymentStore`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use model::{Deployment, Indicator, Slo, Span, Strategy, SwitchedInstance};

use super::fixtures::{Build, span, today, trace_id};
use super::{Case, Subject, case};
use crate::{DeploymentPatch, DeploymentQuery, Patched, Put, StorageError};

pub(super) const CASES: &[Case] = &[
    case!(a_deployment_is_there_as_it_was_declared, Deployments),
    case!(declared_again_nothing_is_added, Deployments),
    case!(what_contradicts_is_told, Deployments),
    case!(a_patch_adds, Deployments),
    case!(a_list_is_newest_first_and_of_what_is_asked_for, Deployments),
    case!(what_is_deleted_is_gone, Deployments),
    case!(reports_are_kept_byte_for_byte, Deployments),
    case!(objectives_are_kept_by_name, Deployments),
    case!(the_second_version_of_a_service_is_a_deployment, Deployments),
    case!(what_is_inferred_does_not_depend_on_arrival, Deployments),
    case!(a_declared_deployment_absorbs_the_inferred_one, Deployments),
    case!(an_inferred_deployment_can_be_added_to_and_deleted, Deployments),
    case!(an_older_version_is_a_rollback, Deployments),
    case!(environments_are_told_apart, Deployments),
    case!(declared_twice_at_once_it_is_there_once, Deployments),
    case!(a_tag_that_is_always_different_is_bounded, Deployments),
    case!(too_much_is_refused, Deployments),
];

pub(super) const DURABLE_CASES: &[Case] = &[
    case!(deployments_are_there_after_a_restart, DurableDeployments),
    case!(
        old_versions_are_not_inferred_again_after_a_restart,
        DurableDeployments
    ),
];

/// So many milliseconds after midnight.
fn at(millis: u64) -> u64 {
    today() + millis
}

fn instance(last: u8, millis: u64) -> SwitchedInstance {
    SwitchedInstance {
        switch_ts: at(millis),
        ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)),
        port: Some(8080),
    }
}

fn deployment(service_name: &str, version: &str, start: u64) -> Deployment {
    Deployment {
        service_name: service_name.to_owned(),
        version: version.to_owned(),
        start_ts: at(start),
        ..Deployment::default()
    }
}

fn whole(id: &str) -> Deployment {
    Deployment {
        id: id.to_owned(),
        previous_version: Some("1.0".to_owned()),
        environment: Some("prod".to_owned()),
        strategy: Some(Strategy::Canary),
        end_ts: Some(at(9000)),
        instances: vec![instance(1, 2000), instance(2, 3000)],
        metadata: [("commit".to_owned(), "9f31c2e".to_owned())].into(),
        ..deployment("cart", "2.0", 1000)
    }
}

/// A span of a version that begins so many milliseconds after midnight, from an address.
fn of_version(service: &str, version: &str, millis: u64, last: u8) -> Span {
    let mut span = span(trace_id(millis + 1), millis)
        .local(service)
        .tag("service.version", version);
    if let Some(local) = &mut span.local_endpoint {
        local.ip.v4 = Some(Ipv4Addr::new(10, 0, 0, last));
        local.port = 8080;
    }
    span
}

fn everything() -> DeploymentQuery {
    DeploymentQuery {
        limit: 1000,
        ..DeploymentQuery::default()
    }
}

fn told(listed: &[Arc<Deployment>]) -> Vec<(&str, u64)> {
    let told = listed
        .iter()
        .map(|one| (one.version.as_str(), one.start_ts - today()));
    told.collect()
}

async fn added(subject: &Subject, deployment: Deployment) -> Arc<Deployment> {
    match subject.put(deployment).await {
        Put::Added(added) => added,
        other => panic!("not added: {other:?}"),
    }
}

async fn a_deployment_is_there_as_it_was_declared(subject: Subject) {
    let declared = whole("ci-412");
    assert_eq!(*added(&subject, declared.clone()).await, declared);
    assert_eq!(subject.deployment("ci-412").await.as_deref(), Some(&declared));
    assert_eq!(subject.deployment("ci-413").await, None);
    assert_eq!(subject.list(everything()).await, [Arc::new(declared.clone())]);
    assert_eq!(*subject.history("cart").await, [Arc::new(declared)]);
    assert_eq!(*subject.history("web").await, []);
}

async fn declared_again_nothing_is_added(subject: Subject) {
    let unnamed = added(&subject, deployment("cart", "2.0", 1000)).await;
    assert!(!unnamed.id.is_empty());
    let again = subject.put(deployment("cart", "2.0", 1000)).await;
    assert_eq!(again, Put::Present(unnamed.clone()));
    let named = added(&subject, whole("ci-412")).await;
    let again = Deployment {
        end_ts: None,
        metadata: BTreeMap::new(),
        ..whole("ci-412")
    };
    assert_eq!(subject.put(again).await, Put::Present(named));
    let unnamed_again = Deployment {
        id: unnamed.id.clone(),
        ..deployment("cart", "2.0", 1000)
    };
    assert!(matches!(subject.put(unnamed_again).await, Put::Present(_)));
    assert_eq!(subject.list(everything()).await.len(), 2);
}

async fn what_contradicts_is_told(subject: Subject) {
    let there = added(&subject, whole("ci-412")).await;
    type Change = fn(&mut Deployment);
    let wrong: [(&str, Change); 8] = [
        ("id", |one| one.id = "ci-413".to_owned()),
        ("serviceName", |one| one.service_name = "web".to_owned()),
        ("version", |one| one.version = "2.1".to_owned()),
        ("environment", |one| one.environment = None),
        ("startTs", |one| one.start_ts += 1),
        ("previousVersion", |one| {
            one.previous_version = Some("0.9".to_owned())
        }),
        ("strategy", |one| one.strategy = Some(Strategy::Rolling)),
        ("endTs", |one| one.end_ts = Some(at(9001))),
    ];
    for (field, change) in wrong {
        let mut other = whole("ci-412");
        change(&mut other);
        match subject.put(other).await {
            Put::Contradicts(what) => {
                assert!(what.starts_with(&format!("{field}: ")), "{field}: {what}");
                assert!(what.contains("ci-412"), "{what}");
            }
            other => panic!("{field}: {other:?}"),
        }
    }
    assert_eq!(subject.list(everything()).await, [there]);
}

async fn a_patch_adds(subject: Subject) {
    let id = added(&subject, deployment("cart", "2.0", 1000)).await.id.clone();
    let patch = DeploymentPatch {
        end_ts: Some(at(5000)),
        instances: vec![instance(2, 3000), instance(1, 2000)],
        metadata: [("url".to_owned(), "https://ci.example/1".to_owned())].into(),
        ..DeploymentPatch::default()
    };
    let Patched::Done(patched) = subject.patch(&id, patch.clone()).await else {
        panic!("not patched")
    };
    assert_eq!(patched.end_ts, Some(at(5000)));
    assert_eq!(patched.instances, [instance(1, 2000), instance(2, 3000)]);
    assert_eq!(patched.metadata, patch.metadata);
    assert_eq!(subject.patch(&id, patch).await, Patched::Done(patched));
    let more = DeploymentPatch {
        rolled_back_ts: Some(at(8000)),
        instances: vec![instance(3, 4000)],
        metadata: [("url".to_owned(), "https://ci.example/2".to_owned())].into(),
        ..DeploymentPatch::default()
    };
    subject.patch(&id, more).await;
    let Some(now) = subject.deployment(&id).await else {
        panic!("it is gone")
    };
    assert_eq!((now.rolled_back_ts, now.instances.len()), (Some(at(8000)), 3));
    assert_eq!(now.metadata["url"], "https://ci.example/2");
    for wrong in [
        DeploymentPatch {
            end_ts: Some(at(5001)),
            ..DeploymentPatch::default()
        },
        DeploymentPatch {
            instances: vec![instance(1, 2001)],
            ..DeploymentPatch::default()
        },
    ] {
        assert!(matches!(subject.patch(&id, wrong).await, Patched::Contradicts(_)));
    }
    assert_eq!(subject.deployment(&id).await, Some(now));
    let nobody = subject.patch("nobody", DeploymentPatch::default()).await;
    assert_eq!(nobody, Patched::Absent);
}

async fn a_list_is_newest_first_and_of_what_is_asked_for(subject: Subject) {
    for (service, version, start) in [("cart", "2.0", 1000), ("web", "7", 2000), ("cart", "3.0", 3000)] {
        added(&subject, deployment(service, version, start)).await;
    }
    let staged = Deployment {
        environment: Some("staging".to_owned()),
        ..deployment("cart", "4.0", 4000)
    };
    added(&subject, staged).await;
    let all = subject.list(everything()).await;
    assert_eq!(
        told(&all),
        [("4.0", 4000), ("3.0", 3000), ("7", 2000), ("2.0", 1000)]
    );
    type Change = fn(&mut DeploymentQuery);
    let asked: [(Change, &[&str]); 5] = [
        (|query| query.limit = 2, &["4.0", "3.0"]),
        (
            |query| query.service_name = Some("cart".to_owned()),
            &["4.0", "3.0", "2.0"],
        ),
        (
            |query| query.environment = Some("prod".to_owned()),
            &["3.0", "7", "2.0"],
        ),
        (|query| query.end_ts = Some(at(3000)), &["3.0", "7", "2.0"]),
        (
            |query| {
                query.end_ts = Some(at(3000));
                query.lookback = Some(1000);
            },
            &["3.0", "7"],
        ),
    ];
    for (change, expected) in asked {
        let mut query = everything();
        change(&mut query);
        let listed = subject.list(query.clone()).await;
        let versions: Vec<&str> = listed.iter().map(|one| one.version.as_str()).collect();
        assert_eq!(versions, expected, "{query:?}");
    }
}

async fn what_is_deleted_is_gone(subject: Subject) {
    added(&subject, whole("ci-412")).await;
    assert!(subject.put_report("ci-412", b"report").await);
    assert!(subject.delete("ci-412").await);
    assert!(!subject.delete("ci-412").await);
    assert_eq!(subject.deployment("ci-412").await, None);
    assert_eq!(subject.list(everything()).await, []);
    assert_eq!(subject.report("ci-412").await, None);
    // Of a deployment that is declared anew, nothing is known.
    added(&subject, whole("ci-412")).await;
    assert_eq!(subject.report("ci-412").await, None);
}

async fn reports_are_kept_byte_for_byte(subject: Subject) {
    assert!(
        !subject.put_report("ci-412", b"{}").await,
        "there is no such deployment"
    );
    added(&subject, whole("ci-412")).await;
    assert_eq!(subject.report("ci-412").await, None);
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    assert!(subject.put_report("ci-412", &bytes).await);
    assert_eq!(subject.report("ci-412").await, Some(bytes));
    assert!(subject.put_report("ci-412", b"").await);
    assert_eq!(subject.report("ci-412").await, Some(Vec::new()));
}

fn slo(name: &str) -> Slo {
    Slo {
        name: name.to_owned(),
        service_name: "cart".to_owned(),
        span_name: Some("get /cart".to_owned()),
        indicator: Indicator::Latency { threshold_ms: 250 },
        objective: 0.9995,
        window_days: 28,
    }
}

async fn objectives_are_kept_by_name(subject: Subject) {
    assert!(subject.put_slo(slo("b")).await);
    assert!(subject.put_slo(slo("a")).await);
    let other = Slo {
        indicator: Indicator::Availability,
        span_name: None,
        ..slo("b")
    };
    assert!(!subject.put_slo(other.clone()).await, "it replaces one");
    assert_eq!(subject.slos().await, [slo("a"), other.clone()]);
    assert_eq!(subject.slo("b").await, Some(other));
    assert!(subject.delete_slo("b").await);
    assert!(!subject.delete_slo("b").await);
    assert_eq!(subject.slo("b").await, None);
    assert_eq!(subject.slos().await, [slo("a")]);
}

async fn the_second_version_of_a_service_is_a_deployment(subject: Subject) {
    let old: Vec<_> = (0..20).map(|low| of_version("cart", "1.0", low, 1)).collect();
    subject.accept(&old).await;
    // Neither is a service without a version, nor a span without a service.
    subject.accept(&[span(trace_id(7), 7).local("web")]).await;
    assert_eq!(subject.list(everything()).await, []);
    subject
        .accept(&[
            of_version("cart", "2.0", 300_000, 2),
            of_version("cart", "1.0", 300_100, 1),
            of_version("cart", "2.0", 200_000, 1),
        ])
        .await;
    subject.accept(&[of_version("cart", "2.0", 250_000, 2)]).await;
    let listed = subject.list(everything()).await;
    assert_eq!(told(&listed), [("2.0", 200_000)]);
    let inferred = &listed[0];
    assert!(inferred.is_inferred);
    assert_eq!(inferred.previous_version.as_deref(), Some("1.0"));
    assert_eq!(inferred.instances, [instance(1, 200_000), instance(2, 250_000)]);
    assert_eq!(subject.deployment(&inferred.id).await.as_ref(), Some(inferred));
}

async fn what_is_inferred_does_not_depend_on_arrival(subject: Subject) {
    let mut spans = Vec::new();
    for (version, begin) in [("1.0", 0), ("2.0", 100_000), ("3.0", 200_000)] {
        spans.extend((0..10).map(|n| of_version("cart", version, begin + 7000 * n, n as u8 + 1)));
    }
    // The newest first, and mixed: the order of arrival is not the order of time.
    spans.reverse();
    spans.sort_by_key(|span| span.timestamp.unwrap_or(0) / 1000 % 3);
    for batch in spans.chunks(4) {
        subject.accept(batch).await;
    }
    let listed = subject.list(everything()).await;
    assert_eq!(told(&listed), [("3.0", 200_000), ("2.0", 100_000)]);
    let previous: Vec<_> = listed.iter().map(|one| one.previous_version.as_deref()).collect();
    assert_eq!(previous, [Some("2.0"), Some("1.0")]);
    assert!(listed.iter().all(|one| one.instances.len() == 10));
    assert_eq!(listed[1].instances[9], instance(10, 163_000));
}

async fn a_declared_deployment_absorbs_the_inferred_one(subject: Subject) {
    subject.accept(&[of_version("cart", "1.0", 0, 1)]).await;
    subject.accept(&[of_version("cart", "2.0", 5000, 1)]).await;
    let inferred = subject.list(everything()).await.remove(0);
    let declared = added(&subject, deployment("cart", "2.0", 4000)).await;
    assert!(!declared.is_inferred);
    assert_eq!(
        declared.instances,
        [instance(1, 5000)],
        "spans tell its instances"
    );
    assert_eq!(declared.previous_version.as_deref(), Some("1.0"));
    assert_eq!(subject.list(everything()).await, std::slice::from_ref(&declared));
    assert_eq!(subject.deployment(&inferred.id).await, Some(declared));
    // The other way round: declared before its first span, and late.
    let later = added(&subject, deployment("cart", "3.0", 9000)).await;
    subject.accept(&[of_version("cart", "3.0", 99_000, 3)]).await;
    let listed = subject.list(everything()).await;
    assert_eq!(told(&listed), [("3.0", 9000), ("2.0", 4000)]);
    assert_eq!(listed[0].id, later.id);
    // One that comes back is not what its spans told the first time.
    added(&subject, deployment("cart", "1.0", 200_000)).await;
    added(&subject, deployment("cart", "2.0", 300_000)).await;
    assert_eq!(subject.list(everything()).await.len(), 4);
    assert!(subject.delete(&inferred.id).await);
    assert_eq!(told(&subject.list(everything()).await).len(), 3);
}

async fn an_inferred_deployment_can_be_added_to_and_deleted(subject: Subject) {
    subject.accept(&[of_version("cart", "1.0", 0, 1)]).await;
    subject.accept(&[of_version("cart", "2.0", 5000, 1)]).await;
    let id = subject.list(everything()).await[0].id.clone();
    let patch = DeploymentPatch {
        end_ts: Some(at(9000)),
        ..DeploymentPatch::default()
    };
    let Patched::Done(patched) = subject.patch(&id, patch).await else {
        panic!("not patched")
    };
    assert_eq!(
        (patched.id.as_str(), patched.end_ts),
        (id.as_str(), Some(at(9000)))
    );
    assert!(patched.is_inferred);
    subject.accept(&[of_version("cart", "2.0", 6000, 2)]).await;
    let listed = subject.list(everything()).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].instances, [instance(1, 5000), instance(2, 6000)]);
    assert!(subject.delete(&id).await);
    subject.accept(&[of_version("cart", "2.0", 7000, 3)]).await;
    assert_eq!(subject.list(everything()).await, []);
    assert_eq!(subject.deployment(&id).await, None);
}

async fn an_older_version_is_a_rollback(subject: Subject) {
    subject.accept(&[of_version("cart", "1.0", 0, 1)]).await;
    let bad = added(&subject, deployment("cart", "2.0", 1000)).await;
    let back = added(&subject, deployment("cart", "1.0", 2000)).await;
    assert!(back.is_rollback);
    assert_eq!(back.previous_version.as_deref(), Some("2.0"));
    let bad = subject.deployment(&bad.id).await;
    let Some(bad) = bad else { panic!("it is gone") };
    assert!(!bad.is_rollback);
    assert_eq!(bad.superseded_by.as_ref(), Some(&back.id));
    // One that is taken back makes what it replaced live again.
    let patch = DeploymentPatch {
        rolled_back_ts: Some(at(4000)),
        ..DeploymentPatch::default()
    };
    let third = added(&subject, deployment("cart", "3.0", 3000)).await;
    subject.patch(&third.id, patch).await;
    let fourth = added(&subject, deployment("cart", "4.0", 5000)).await;
    assert_eq!(fourth.previous_version.as_deref(), Some("1.0"));
    assert!(!fourth.is_rollback);
}

async fn environments_are_told_apart(subject: Subject) {
    let in_environment = |version: &str, environment: &str, millis| {
        of_version("cart", version, millis, 1).tag("deployment.environment", environment)
    };
    for (version, environment, millis) in [
        ("1.0", "prod", 1),
        ("1.0", "staging", 2),
        ("2.0", "staging", 1000),
        ("2.0", "prod", 2000),
    ] {
        subject
            .accept(&[in_environment(version, environment, millis)])
            .await;
    }
    let listed = subject.list(everything()).await;
    let told: Vec<_> = listed
        .iter()
        .map(|one| (one.environment.as_deref(), one.start_ts - today()))
        .collect();
    assert_eq!(told, [(Some("prod"), 2000), (Some("staging"), 1000)]);
    assert_eq!(listed[1].superseded_by, None, "prod says nothing of staging");
    let declared = Deployment {
        environment: Some("prod".to_owned()),
        ..deployment("cart", "2.0", 1500)
    };
    added(&subject, declared).await;
    assert_eq!(subject.list(everything()).await.len(), 2);
}

async fn declared_twice_at_once_it_is_there_once(subject: Subject) {
    const AT_ONCE: usize = 16;
    let tasks: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let subject = subject.share();
            tokio::spawn(async move { subject.put(deployment("cart", "2.0", 1000)).await })
        })
        .collect();
    let (mut added, mut ids) = (0, BTreeSet::new());
    for task in tasks {
        match task.await {
            Ok(Put::Added(one)) => {
                added += 1;
                ids.insert(one.id.clone());
            }
            Ok(Put::Present(one)) => {
                ids.insert(one.id.clone());
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((added, ids.len()), (1, 1));
    assert_eq!(subject.list(everything()).await.len(), 1);
}

async fn a_tag_that_is_always_different_is_bounded(subject: Subject) {
    let spans: Vec<_> = (0..2000)
        .map(|n| of_version("cart", &format!("request-{n}"), n, 1))
        .collect();
    for batch in spans.chunks(500) {
        subject.accept(batch).await;
    }
    let listed = subject.list(DeploymentQuery {
        limit: usize::MAX,
        ..everything()
    });
    let count = listed.await.len();
    assert!((1..200).contains(&count), "{count} deployments");
    // Another service is not concerned.
    subject.accept(&[of_version("web", "1", 1, 1)]).await;
    subject.accept(&[of_version("web", "2", 2, 1)]).await;
    assert_eq!(subject.history("web").await.len(), 1);
}

async fn too_much_is_refused(subject: Subject) {
    let long = Deployment {
        metadata: [("log".to_owned(), "x".repeat(1 << 20))].into(),
        ..deployment("cart", "2.0", 1000)
    };
    let refused = subject.try_put(long).await;
    assert!(matches!(refused, Err(StorageError::Invalid(_))), "{refused:?}");
    let id = added(&subject, deployment("cart", "2.0", 1000)).await.id.clone();
    let before = DeploymentPatch {
        end_ts: Some(at(999)),
        ..DeploymentPatch::default()
    };
    let refused = subject.try_patch(&id, before).await;
    assert!(matches!(refused, Err(StorageError::Invalid(_))), "{refused:?}");
    let instances = (0..20_000u32).map(|n| SwitchedInstance {
        switch_ts: at(1000),
        ip: IpAddr::V4(Ipv4Addr::from(n)),
        port: None,
    });
    let many = DeploymentPatch {
        instances: instances.collect(),
        ..DeploymentPatch::default()
    };
    let refused = subject.try_patch(&id, many).await;
    assert!(matches!(refused, Err(StorageError::Invalid(_))), "{refused:?}");
    assert_eq!(subject.deployment(&id).await.map(|one| one.end_ts), Some(None));
}

async fn deployments_are_there_after_a_restart(subject: Subject) {
    subject.accept(&[of_version("cart", "0.9", 0, 1)]).await;
    subject.accept(&[of_version("cart", "1.0", 500, 1)]).await;
    added(&subject, whole("ci-412")).await;
    added(&subject, deployment("web", "7", 1000)).await;
    subject.put_report("ci-412", b"{\"verdict\":1}").await;
    subject.put_slo(slo("a")).await;
    subject.put_slo(slo("b")).await;
    subject.delete_slo("a").await;
    let gone = added(&subject, deployment("web", "8", 2000)).await;
    subject.delete(&gone.id).await;
    let before = subject.list(everything()).await;
    assert_eq!(before.len(), 3);
    let mut subject = subject;
    for _ in 0..2 {
        subject = subject.restart().await;
        assert_eq!(subject.list(everything()).await, before);
        assert_eq!(
            subject.report("ci-412").await.as_deref(),
            Some(&b"{\"verdict\":1}"[..])
        );
        assert_eq!(subject.slos().await, [slo("b")]);
    }
    assert!(matches!(subject.put(whole("ci-412")).await, Put::Present(_)));
}

async fn old_versions_are_not_inferred_again_after_a_restart(subject: Subject) {
    for (version, millis) in [("1.0", 0), ("2.0", 1000), ("3.0", 2000)] {
        subject.accept(&[of_version("cart", version, millis, 1)]).await;
    }
    let second = subject.history("cart").await[0].id.clone();
    assert!(subject.delete(&second).await);
    let before = subject.list(everything()).await;
    assert_eq!(told(&before), [("3.0", 2000)]);
    let subject = subject.restart().await;
    assert_eq!(subject.list(everything()).await, before);
    for (version, millis) in [("1.0", 9000), ("2.0", 9001), ("3.0", 9002)] {
        subject.accept(&[of_version("cart", version, millis, 1)]).await;
    }
    assert_eq!(subject.list(everything()).await, before);
    let subject = subject.restart().await;
    assert_eq!(subject.list(everything()).await, before);
}

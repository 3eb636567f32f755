//! The battery itself: it is complete, and a store that keeps nothing does not pass it.

use std::collections::BTreeMap;

use model::{Span, SpanBatch, TraceId};

use super::*;
use crate::{Completeness, Dependencies, DependencyQuery, Found, TraceQuery};

/// How many of Zipkin's 85 cases are in which group, and its class of its kit.
const KIT: [(&str, &[&str], usize); 9] = [
    ("ITSpanStore", &["span_store", "search_conditions"], 28),
    ("ITTraces", &["traces"], 6),
    ("ITServiceAndSpanNames", &["service_and_span_names"], 13),
    ("ITDependencies", &["dependencies"], 24),
    ("ITStrictTraceIdFalse", &["strict_trace_id_false"], 5),
    ("ITSearchEnabledFalse", &["search_enabled_false"], 4),
    ("ITAutocompleteTags", &["autocomplete_tags"], 2),
    ("ITSpanStoreHeavy", &["span_store_heavy"], 2),
    ("ITDependenciesHeavy", &["dependencies_heavy"], 1),
];

#[test]
fn all_85_cases_of_zipkins_kit_are_here() {
    let counts: BTreeMap<_, _> = GROUPS
        .iter()
        .map(|group| (group.name, group.cases.len()))
        .collect();
    for (class, groups, expected) in KIT {
        assert_eq!(
            groups.iter().map(|group| counts[group]).sum::<usize>(),
            expected,
            "{class}"
        );
    }
    assert_eq!(KIT.iter().map(|class| class.2).sum::<usize>(), 85);
}

#[test]
fn every_case_has_a_name_of_its_own() {
    for group in GROUPS {
        assert_eq!(
            GROUPS.iter().filter(|other| other.name == group.name).count(),
            1,
            "{}",
            group.name
        );
        for case in group.cases {
            let same = group.cases.iter().filter(|other| other.name == case.name).count();
            assert_eq!(same, 1, "{}/{}", group.name, case.name);
        }
    }
}

/// Acknowledges everything and keeps nothing.
struct Forgetful {
    durable: bool,
}

fn nothing<'a, T: Default + Send + 'a>() -> BoxFuture<'a, crate::Result<T>> {
    Box::pin(async { Ok(T::default()) })
}

impl SpanSink for Forgetful {
    fn accept<'a>(&'a self, _: &'a SpanBatch) -> BoxFuture<'a, crate::Result<()>> {
        nothing()
    }
}

impl SpanSource for Forgetful {
    fn trace(&self, _: TraceId) -> BoxFuture<'_, crate::Result<Vec<Span>>> {
        nothing()
    }

    fn traces<'a>(&'a self, _: &'a [TraceId]) -> BoxFuture<'a, crate::Result<Vec<Vec<Span>>>> {
        nothing()
    }

    fn search<'a>(&'a self, _: &'a TraceQuery) -> BoxFuture<'a, crate::Result<Found>> {
        nothing()
    }

    fn untimed(&self, _: Option<TraceId>, _: usize) -> BoxFuture<'_, crate::Result<Found>> {
        nothing()
    }

    fn service_names(&self) -> BoxFuture<'_, crate::Result<Vec<String>>> {
        nothing()
    }

    fn span_names<'a>(&'a self, _: &'a str) -> BoxFuture<'a, crate::Result<Vec<String>>> {
        nothing()
    }

    fn remote_service_names<'a>(&'a self, _: &'a str) -> BoxFuture<'a, crate::Result<Vec<String>>> {
        nothing()
    }

    fn autocomplete_values<'a>(&'a self, _: &'a str) -> BoxFuture<'a, crate::Result<Vec<String>>> {
        nothing()
    }

    fn dependencies(&self, _: DependencyQuery) -> BoxFuture<'_, crate::Result<Dependencies>> {
        nothing()
    }

    fn completeness(&self) -> Completeness {
        Completeness::Complete
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            raw_spans: true,
            durable: self.durable,
            orders: true,
        }
    }

    fn health(&self) -> BoxFuture<'_, crate::Result<()>> {
        nothing()
    }
}

fn forgetful(durable: bool) -> BoxFuture<'static, Stores> {
    Box::pin(async move {
        let reopen: Reopen = Box::new(|_| forgetful(true));
        Stores {
            store: Arc::new(Forgetful { durable }),
            reopen: Some(reopen).filter(|_| durable),
            deployments: None,
        }
    })
}

/// The names of the cases in a list of failures.
fn failed(failures: &str) -> Vec<&str> {
    failures
        .lines()
        .filter_map(|line| line.strip_prefix("- ")?.split_once(": "))
        .map(|line| line.0)
        .collect()
}

#[tokio::test]
async fn a_store_that_keeps_nothing_passes_where_nothing_is_expected() {
    let failures = check(|_| forgetful(true), &[]).await.unwrap_err();
    let failed = failed(&failures);
    let capabilities = Forgetful { durable: true }.capabilities();
    let all = GROUPS.iter().flat_map(|group| {
        let offered = group.cases.iter();
        offered
            .filter(|case| super::is_offered(case.needs, capabilities, false))
            .map(|case| format!("{}/{}", group.name, case.name))
    });
    let passed: Vec<_> = all.filter(|name| !failed.contains(&name.as_str())).collect();
    assert_eq!(
        passed,
        [
            "span_store/all_should_work_when_empty",
            "service_and_span_names/get_local_service_names_no_service_name",
            "dependencies/empty"
        ]
    );
}

#[tokio::test]
async fn excuses_must_be_true_known_and_reasoned() {
    let names = GROUPS.iter().flat_map(|group| {
        group
            .cases
            .iter()
            .map(|case| format!("{}/{}", group.name, case.name))
    });
    let names: Vec<_> = names.collect();
    let mut excuses: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), "keeps nothing"))
        .collect();
    excuses.push(("traces/no_such_case", "gone"));
    excuses[1].1 = " ";
    let failures = check(|_| forgetful(true), &excuses).await.unwrap_err();
    assert!(
        failures.contains("span_store/all_should_work_when_empty: is excused, but passes"),
        "{failures}"
    );
    assert!(
        failures.contains("traces/no_such_case: is excused, but there is no such case"),
        "{failures}"
    );
    assert!(
        failures.contains(&format!("{}: is excused without a reason", names[1])),
        "{failures}"
    );
    assert!(
        !failed(&failures).contains(&"traces/get_trace_deduplicates"),
        "{failures}"
    );
}

#[tokio::test]
async fn a_durable_store_must_offer_a_restart() {
    let open = |_| -> BoxFuture<'static, Stores> {
        Box::pin(async {
            Stores {
                store: Arc::new(Forgetful { durable: true }),
                reopen: None,
                deployments: None,
            }
        })
    };
    let failures = check(open, &[]).await.unwrap_err();
    assert!(
        failed(&failures).contains(&"span_store/all_should_work_when_empty"),
        "{failures}"
    );
}

//! The battery every backend passes: the docs of [`SpanSink`] and [`SpanSource`] as a table of cases.
//!
//! The groups that name a class of Zipkin's own kit hold all its 85 cases in our words, with its method names in
//! snake case (`zipkin.md` 6.1); the rest is ours. A backend runs it on the real thing:
//!
//! ```text
//! #[tokio::test(flavor = "multi_thread")]
//! async fn keeps_the_contract() {
//!     storage::contract::run(|options| Box::pin(async { … a fresh, empty store … }), &[]).await;
//! }
//! ```
//!
//! Each case runs in a task of its own, on a store of its own, and speaks to it only through the traits. The
//! battery, not the backend, decides what is left out: cases for a capability the store does not declare. A
//! backend may excuse a case for a reason; an excused case that passes fails the run.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use crate::{BoxFuture, Capabilities, DeploymentStore, SpanSink, SpanSource, StoreOptions};

pub mod elsewhere;
pub mod fixtures;
pub mod latency;
pub mod sharing;
mod subject;

mod autocomplete_tags;
mod concurrency;
mod dependencies;
mod dependency_windows;
mod deployments;
mod duplicates;
mod heavy;
mod hostile_text;
mod identifiers;
mod orders;
mod restart;
mod search_conditions;
mod search_enabled_false;
mod service_and_span_names;
mod span_store;
mod stragglers;
mod strict_trace_id_false;
mod text_search;
mod traces;
mod untimed;
mod windows;

use subject::Subject;

/// A case that takes longer than this hangs or is not linear: the slowest take a few seconds in a debug build.
const CASE_SECONDS_MAX: u64 = 60;

/// Both sides of a store.
pub trait Store: SpanSink + SpanSource {}

impl<T: SpanSink + SpanSource> Store for T {}

/// What a backend opens for one case. Dropping it frees what it occupies.
pub struct Stores {
    /// Fresh and empty, with the options asked for.
    pub store: Arc<dyn Store>,
    /// For a store that declares [`Capabilities::durable`], and only for that: how to restart it.
    pub reopen: Option<Reopen>,
    /// The same store, if it keeps deployments.
    pub deployments: Option<Arc<dyn DeploymentStore>>,
}

/// Stops the store it is given (the last reference to it) and opens what that left behind.
pub type Reopen = Box<dyn FnOnce(Arc<dyn Store>) -> BoxFuture<'static, Stores> + Send + Sync>;

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stores")
            .field("reopen", &self.reopen.is_some())
            .field("deployments", &self.deployments.is_some())
            .finish_non_exhaustive()
    }
}

/// What came of a run without a failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Cases that passed, as `group/case`.
    pub passed: Vec<String>,
    /// Cases that failed and are excused.
    pub excused: Vec<String>,
    /// Cases for a capability that the store does not declare.
    pub not_offered: Vec<String>,
}

/// Cases that share options.
struct Group {
    name: &'static str,
    options: fn() -> StoreOptions,
    cases: &'static [Case],
}

/// One thing a store must do. It panics when the store does not.
struct Case {
    name: &'static str,
    needs: Needs,
    run: fn(Subject) -> BoxFuture<'static, ()>,
}

/// The capability without which a case is left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    RawSpans,
    Orders,
    Durable,
    Deployments,
    DurableDeployments,
}

/// A [`Case`] named as the function that runs it.
macro_rules! case {
    ($run:ident) => {
        case!($run, Nothing)
    };
    ($run:ident, $needs:ident) => {
        crate::contract::Case {
            name: stringify!($run),
            needs: crate::contract::Needs::$needs,
            run: |subject| Box::pin($run(subject)),
        }
    };
}
use case;

const GROUPS: &[Group] = &[
    // Zipkin's kit.
    Group {
        name: "span_store",
        options: StoreOptions::default,
        cases: span_store::CASES,
    },
    Group {
        name: "search_conditions",
        options: StoreOptions::default,
        cases: search_conditions::CASES,
    },
    Group {
        name: "traces",
        options: StoreOptions::default,
        cases: traces::CASES,
    },
    Group {
        name: "service_and_span_names",
        options: StoreOptions::default,
        cases: service_and_span_names::CASES,
    },
    Group {
        name: "dependencies",
        options: StoreOptions::default,
        cases: dependencies::CASES,
    },
    Group {
        name: "strict_trace_id_false",
        options: strict_trace_id_false::options,
        cases: strict_trace_id_false::CASES,
    },
    Group {
        name: "search_enabled_false",
        options: search_enabled_false::options,
        cases: search_enabled_false::CASES,
    },
    Group {
        name: "autocomplete_tags",
        options: autocomplete_tags::options,
        cases: autocomplete_tags::CASES,
    },
    Group {
        name: "span_store_heavy",
        options: StoreOptions::default,
        cases: heavy::SPAN_STORE_CASES,
    },
    Group {
        name: "dependencies_heavy",
        options: StoreOptions::default,
        cases: heavy::DEPENDENCIES_CASES,
    },
    // Ours.
    Group {
        name: "stragglers",
        options: StoreOptions::default,
        cases: stragglers::CASES,
    },
    Group {
        name: "duplicates",
        options: StoreOptions::default,
        cases: duplicates::CASES,
    },
    Group {
        name: "identifiers",
        options: StoreOptions::default,
        cases: identifiers::CASES,
    },
    Group {
        name: "identifiers_not_strict",
        options: strict_trace_id_false::options,
        cases: identifiers::NOT_STRICT_CASES,
    },
    Group {
        name: "windows",
        options: StoreOptions::default,
        cases: windows::CASES,
    },
    Group {
        name: "dependency_windows",
        options: StoreOptions::default,
        cases: dependency_windows::CASES,
    },
    Group {
        name: "untimed",
        options: StoreOptions::default,
        cases: untimed::CASES,
    },
    Group {
        name: "untimed_not_strict",
        options: strict_trace_id_false::options,
        cases: untimed::NOT_STRICT_CASES,
    },
    Group {
        name: "untimed_not_searched",
        options: search_enabled_false::options,
        cases: untimed::CASES,
    },
    Group {
        name: "orders",
        options: StoreOptions::default,
        cases: orders::CASES,
    },
    Group {
        name: "hostile_text",
        options: hostile_text::options,
        cases: hostile_text::CASES,
    },
    Group {
        name: "text_search",
        options: StoreOptions::default,
        cases: text_search::CASES,
    },
    Group {
        name: "heavy",
        options: StoreOptions::default,
        cases: heavy::CASES,
    },
    Group {
        name: "concurrency",
        options: StoreOptions::default,
        cases: concurrency::CASES,
    },
    Group {
        name: "restart",
        options: restart::options,
        cases: restart::CASES,
    },
    Group {
        name: "deployments",
        options: StoreOptions::default,
        cases: deployments::CASES,
    },
    Group {
        name: "deployments_restart",
        options: StoreOptions::default,
        cases: deployments::DURABLE_CASES,
    },
];

/// Runs all cases; `excuses` are `(group/case, reason)`.
///
/// # Panics
/// With the list of all failures, if there are any. See [`check`].
pub async fn run(
    open: impl Fn(StoreOptions) -> BoxFuture<'static, Stores>,
    excuses: &[(&str, &str)],
) -> Report {
    check(open, excuses)
        .await
        .unwrap_or_else(|failures| panic!("{failures}"))
}

/// Runs all cases, like [`run`].
///
/// # Errors
/// The list of all failures, a line each: cases that failed and why, excused cases that passed, and excuses
/// that name no case or give no reason.
pub async fn check(
    open: impl Fn(StoreOptions) -> BoxFuture<'static, Stores>,
    excuses: &[(&str, &str)],
) -> Result<Report, String> {
    let mut report = Report::default();
    let mut failures = Vec::new();
    for group in GROUPS {
        for case in group.cases {
            let name = format!("{}/{}", group.name, case.name);
            let outcome = run_case(case, open((group.options)()).await).await;
            let excused = excuses.iter().any(|excuse| excuse.0 == name);
            match outcome {
                Outcome::Passed if excused => failures.push(format!("{name}: is excused, but passes")),
                Outcome::Passed => report.passed.push(name),
                Outcome::NotOffered => report.not_offered.push(name),
                Outcome::Failed(_) if excused => report.excused.push(name),
                Outcome::Failed(reason) => failures.push(format!("{name}: {reason}")),
            }
        }
    }
    for (name, reason) in excuses {
        let known = GROUPS.iter().any(|group| {
            group
                .cases
                .iter()
                .any(|case| name.strip_prefix(group.name) == Some(&format!("/{}", case.name)))
        });
        if !known {
            failures.push(format!("{name}: is excused, but there is no such case"));
        }
        if reason.trim().is_empty() {
            failures.push(format!("{name}: is excused without a reason"));
        }
    }
    if failures.is_empty() {
        Ok(report)
    } else {
        Err(describe(&failures))
    }
}

/// Runs one case, `group/case`: to look into a failure, or to see that a faulty store is found out.
///
/// # Errors
/// Why it failed, or that there is no such case, or that the store does not declare the capability it needs.
pub async fn check_case(
    open: impl Fn(StoreOptions) -> BoxFuture<'static, Stores>,
    name: &str,
) -> Result<(), String> {
    for group in GROUPS {
        for case in group.cases {
            if name.strip_prefix(group.name) == Some(&format!("/{}", case.name)) {
                return match run_case(case, open((group.options)()).await).await {
                    Outcome::Passed => Ok(()),
                    Outcome::NotOffered => Err("the store does not declare what it needs".to_owned()),
                    Outcome::Failed(reason) => Err(reason),
                };
            }
        }
    }
    Err(format!("{name}: there is no such case"))
}

enum Outcome {
    Passed,
    NotOffered,
    Failed(String),
}

async fn run_case(case: &Case, stores: Stores) -> Outcome {
    let capabilities = stores.store.capabilities();
    if capabilities.durable != stores.reopen.is_some() {
        return Outcome::Failed("a store is durable if and only if it can be reopened".to_owned());
    }
    if !is_offered(case.needs, capabilities, stores.deployments.is_some()) {
        return Outcome::NotOffered;
    }
    let limit = Duration::from_secs(CASE_SECONDS_MAX);
    // A task of its own catches a panic, of the case or of the store.
    match tokio::spawn(tokio::time::timeout(limit, (case.run)(Subject::new(stores)))).await {
        Ok(Ok(())) => Outcome::Passed,
        Ok(Err(_)) => Outcome::Failed(format!("not finished after {CASE_SECONDS_MAX} s")),
        Err(stopped) => Outcome::Failed(match stopped.try_into_panic() {
            Ok(panic) => panic_message(panic.as_ref()),
            Err(stopped) => stopped.to_string(),
        }),
    }
}

fn is_offered(needs: Needs, capabilities: Capabilities, deployments: bool) -> bool {
    match needs {
        Needs::Nothing => true,
        Needs::RawSpans => capabilities.raw_spans,
        Needs::Orders => capabilities.orders,
        Needs::Durable => capabilities.durable,
        Needs::Deployments => deployments,
        Needs::DurableDeployments => deployments && capabilities.durable,
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("panicked")
        .to_owned()
}

/// One failure a paragraph, long ones cut: a battery on hostile data fails with long texts.
fn describe(failures: &[String]) -> String {
    const CHARACTERS_MAX: usize = 2_000;
    let cases: usize = GROUPS.iter().map(|group| group.cases.len()).sum();
    let mut text = format!("{} failures in {cases} cases:", failures.len());
    for failure in failures {
        let cut: String = failure.chars().take(CHARACTERS_MAX).collect();
        let more = if cut.len() < failure.len() { " …" } else { "" };
        let written = write!(text, "\n- {cut}{more}");
        debug_assert!(written.is_ok(), "writing to a string does not fail");
    }
    text
}

#[cfg(test)]
mod tests;

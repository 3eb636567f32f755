//! Which services there are, and what each does when it is asked.

use crate::b3::Style;
use crate::work::Work;

/// A service of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Service {
    Web,
    Gateway,
    Inventory,
    Pricing,
    Warehouse,
    Payments,
    Bank,
    Search,
}

/// What a service does when it is asked for a path.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// What it takes by itself.
    pub(crate) work: Work,
    pub(crate) calls: Vec<Call>,
    pub(crate) calls_run: Run,
    /// The share of requests that fail by its own fault.
    pub(crate) failing: f64,
}

/// How calls are arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    SideBySide,
    OneAfterAnother,
}

/// What an operation asks another for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) service: Service,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// How often, one after another.
    pub(crate) times: u32,
    /// For how many things at once: what is asked for more takes longer.
    pub(crate) items: u32,
    /// The share of calls that are made in a way that the callee refuses, and then made again.
    pub(crate) refused: f64,
}

impl Service {
    pub(crate) const ALL: [Self; 8] = [
        Self::Web,
        Self::Gateway,
        Self::Inventory,
        Self::Pricing,
        Self::Warehouse,
        Self::Payments,
        Self::Bank,
        Self::Search,
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.name() == name)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Gateway => "gateway",
            Self::Inventory => "inventory",
            Self::Pricing => "pricing",
            Self::Warehouse => "warehouse",
            Self::Payments => "payments",
            Self::Bank => "bank",
            Self::Search => "search",
        }
    }

    /// The one that is live at first.
    pub(crate) const fn version(self) -> &'static str {
        match self {
            Self::Web => "5.1.0",
            Self::Gateway => "3.0.4",
            Self::Inventory => "1.4.2",
            Self::Pricing => "4.0.1",
            Self::Warehouse => "2.7.0",
            Self::Payments => "9.1",
            Self::Bank => "1.0",
            Self::Search => "2.2.0",
        }
    }

    pub(crate) const fn instances(self) -> usize {
        match self {
            Self::Inventory => 4,
            Self::Warehouse | Self::Payments | Self::Search => 2,
            _ => 1,
        }
    }

    /// How it writes B3 where it calls others: libraries differ.
    pub(crate) const fn style(self) -> Style {
        match self {
            Self::Web | Self::Payments => Style::Single,
            _ => Style::Several,
        }
    }

    /// What its first version does.
    pub(crate) fn operations(self) -> Vec<Operation> {
        use Service::{Bank, Gateway, Inventory, Payments, Pricing, Search, Warehouse};
        match self {
            Self::Web => vec![
                get(
                    "/product",
                    Work::of(2.0, 0.2),
                    vec![call(Gateway, "GET", "/product")],
                ),
                post(
                    "/checkout",
                    Work::of(3.0, 0.2),
                    vec![call(Gateway, "POST", "/checkout")],
                ),
                get(
                    "/search",
                    Work::of(2.0, 0.2),
                    vec![call(Gateway, "GET", "/search")],
                ),
            ],
            Self::Gateway => vec![
                get(
                    "/product",
                    Work::of(2.0, 0.2),
                    vec![call(Inventory, "GET", "/stock")],
                ),
                post(
                    "/checkout",
                    Work::of(2.0, 0.2),
                    vec![
                        call(Inventory, "POST", "/reserve"),
                        call(Payments, "POST", "/charge"),
                    ],
                ),
                get("/search", Work::of(2.0, 0.2), vec![call(Search, "GET", "/query")]),
            ],
            Self::Inventory => vec![
                Operation {
                    calls_run: Run::SideBySide,
                    ..get(
                        "/stock",
                        Work::of(6.0, 0.25),
                        vec![call(Pricing, "GET", "/price"), call(Warehouse, "GET", "/level")],
                    )
                },
                post(
                    "/reserve",
                    Work::of(4.0, 0.25),
                    vec![call(Warehouse, "POST", "/hold")],
                ),
            ],
            // Heavy tail, whoever asks.
            Self::Pricing => vec![get("/price", Work::of(16.0, 0.3).slow(0.03, 5.0), Vec::new())],
            Self::Warehouse => vec![
                get("/level", Work::of(19.0, 0.25), Vec::new()),
                post("/hold", Work::of(8.0, 0.25), Vec::new()),
            ],
            Self::Payments => vec![post(
                "/charge",
                Work::of(8.0, 0.25),
                vec![call(Bank, "POST", "/authorise")],
            )],
            Self::Bank => vec![post("/authorise", Work::of(25.0, 0.25), Vec::new())],
            // What is in its cache is found at once, the rest is not.
            Self::Search => vec![get("/query", Work::of(9.0, 0.2).slow(0.4, 6.0), Vec::new())],
        }
    }
}

fn get(path: &'static str, work: Work, calls: Vec<Call>) -> Operation {
    operation("GET", path, work, calls)
}

fn post(path: &'static str, work: Work, calls: Vec<Call>) -> Operation {
    operation("POST", path, work, calls)
}

fn operation(method: &'static str, path: &'static str, work: Work, calls: Vec<Call>) -> Operation {
    Operation {
        method,
        path,
        work,
        calls,
        calls_run: Run::OneAfterAnother,
        failing: 0.0,
    }
}

fn call(service: Service, method: &'static str, path: &'static str) -> Call {
    Call {
        service,
        method,
        path,
        times: 1,
        items: 1,
        refused: 0.0,
    }
}

/// Zipkin's names are in lower case.
pub(crate) fn span_name(method: &str, path: &str) -> String {
    format!("{} {path}", method.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_called_is_there() {
        for service in Service::ALL {
            for operation in service.operations() {
                for call in operation.calls {
                    let offered = call.service.operations();
                    let is_there =
                        |offered: &Operation| (offered.method, offered.path) == (call.method, call.path);
                    assert!(offered.iter().any(is_there), "{service:?} calls {call:?}");
                }
            }
        }
    }
}

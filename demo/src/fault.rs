//! What a new version does otherwise: what the demo injects, and nobody else is told.

use crate::topology::{Call, Operation, Run, Service};
use crate::truth::{Named, Truth};

/// What is wrong with a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `inventory` calls one after another what it called side by side.
    Serialised,
    /// `inventory` asks `pricing` for each item by itself.
    MoreCalls,
    /// `inventory` asks `pricing` for more at once.
    HeavierCalls,
    /// `inventory` takes longer itself.
    SelfTime,
    /// A new version of `warehouse`, which `inventory` calls, takes longer: `inventory` is innocent.
    SlowCallee,
    /// `inventory` fails now and then.
    Errors,
    /// `inventory` asks `warehouse` in a way that it refuses, and asks again.
    Retries,
    /// Nothing.
    None,
}

/// What the new versions are called.
const INVENTORY: &str = "1.4.3";
const PAYMENTS: &str = "9.2";
const WAREHOUSE: &str = "2.8.0";

/// Sizes of the faults: large enough to matter, small enough to be no matter of seconds on a dashboard.
const CALLS: u32 = 3;
const ITEMS: u32 = 8;
const SELF_TIME: f64 = 2.5;
const SLOW_CALLEE: f64 = 1.8;
const FAILING: f64 = 0.08;
const REFUSED: f64 = 0.5;

/// A deployment of the demo.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Planned {
    pub(crate) service: Service,
    pub(crate) version: &'static str,
    /// When instances switch: the first after so many waves, each next after so many more.
    pub(crate) first_wave: f64,
    pub(crate) waves_between: f64,
}

/// Which of its versions an instance serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// The one that is live at first.
    First,
    /// What is deployed in a demo with this fault.
    With(Fault),
}

impl Release {
    pub(crate) fn fault(self) -> Option<Fault> {
        match self {
            Self::First => None,
            Self::With(fault) => Some(fault),
        }
    }

    /// What it calls itself. Who is not deployed has one version.
    pub(crate) fn version(self, service: Service) -> &'static str {
        let planned = self.fault().map(Fault::deployments).unwrap_or_default();
        let planned = planned.iter().find(|planned| planned.service == service);
        planned.map_or(service.version(), |planned| planned.version)
    }

    /// What it does.
    pub(crate) fn operations(self, service: Service) -> Vec<Operation> {
        match self {
            Self::First => service.operations(),
            Self::With(fault) => fault.operations(service),
        }
    }
}

impl Fault {
    /// All of them, and none.
    pub const ALL: [Self; 8] = [
        Self::Serialised,
        Self::MoreCalls,
        Self::HeavierCalls,
        Self::SelfTime,
        Self::SlowCallee,
        Self::Errors,
        Self::Retries,
        Self::None,
    ];

    /// The one that the command line calls so.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }

    /// As the command line has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Serialised => "serialised",
            Self::MoreCalls => "more-calls",
            Self::HeavierCalls => "heavier-calls",
            Self::SelfTime => "self-time",
            Self::SlowCallee => "slow-callee",
            Self::Errors => "errors",
            Self::Retries => "retries",
            Self::None => "none",
        }
    }

    /// Who is deployed. The first is the one that is watched while it goes on.
    pub(crate) fn deployments(self) -> Vec<Planned> {
        let rolling = |service, version, first_wave, waves_between| Planned {
            service,
            version,
            first_wave,
            waves_between,
        };
        let mut planned = vec![
            rolling(Service::Inventory, INVENTORY, 0.0, 1.0),
            // Harmless, and at the same time.
            rolling(Service::Payments, PAYMENTS, 0.6, 2.0),
        ];
        if self == Self::SlowCallee {
            planned.insert(0, rolling(Service::Warehouse, WAREHOUSE, 0.3, 1.6));
        }
        planned
    }

    /// What a service does in its new version.
    pub(crate) fn operations(self, service: Service) -> Vec<Operation> {
        let mut operations = service.operations();
        for operation in &mut operations {
            match (service, operation.path) {
                (Service::Inventory, "/stock") => self.change_stock(operation),
                (Service::Warehouse, "/level") if self == Self::SlowCallee => {
                    operation.work.median_ms *= SLOW_CALLEE;
                }
                _ => {}
            }
        }
        operations
    }

    fn change_stock(self, stock: &mut Operation) {
        let pricing = |call: &&mut Call| call.service == Service::Pricing;
        let warehouse = |call: &&mut Call| call.service == Service::Warehouse;
        match self {
            Self::Serialised => stock.calls_run = Run::OneAfterAnother,
            Self::MoreCalls => {
                let calls = stock.calls.iter_mut().filter(pricing);
                calls.for_each(|call| call.times = CALLS);
            }
            Self::HeavierCalls => {
                let calls = stock.calls.iter_mut().filter(pricing);
                calls.for_each(|call| call.items = ITEMS);
            }
            Self::SelfTime => stock.work.median_ms *= SELF_TIME,
            Self::Errors => stock.failing = FAILING,
            Self::Retries => {
                let calls = stock.calls.iter_mut().filter(warehouse);
                calls.for_each(|call| call.refused = REFUSED);
            }
            Self::SlowCallee | Self::None => {}
        }
    }

    /// What is true of a demo with it.
    pub fn truth(self) -> Option<Truth> {
        let stock = Named::new("inventory", "get /stock");
        let (origin, cause, callee) = match self {
            Self::Serialised => (stock, "serialized_calls", None),
            Self::MoreCalls => (stock, "more_calls", Some(Named::new("pricing", "get /price"))),
            Self::HeavierCalls => (stock, "slower_callee", Some(Named::new("pricing", "get /price"))),
            Self::SelfTime => (stock, "self_time", None),
            Self::SlowCallee => (Named::new("warehouse", "get /level"), "self_time", None),
            Self::Errors => (stock, "errors", None),
            Self::Retries => (stock, "retries", Some(Named::new("warehouse", "get /level"))),
            Self::None => return None,
        };
        let version = if self == Self::SlowCallee {
            WAREHOUSE
        } else {
            INVENTORY
        };
        Some(Truth {
            version,
            origin,
            cause,
            callee,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::span_name;

    #[test]
    fn every_fault_changes_one_operation_and_none_changes_nothing() {
        for fault in Fault::ALL {
            let mut changed = Vec::new();
            for planned in fault.deployments() {
                let before = planned.service.operations();
                let after = fault.operations(planned.service);
                for (before, after) in before.iter().zip(&after) {
                    if before != after {
                        changed.push((
                            planned.service.name(),
                            span_name(after.method, after.path),
                            planned.version,
                        ));
                    }
                }
            }
            let truth = fault.truth();
            let told = truth.map(|truth| {
                let Named { service, span } = truth.origin;
                (service, span.to_owned(), truth.version)
            });
            assert_eq!(changed, Vec::from_iter(told), "{fault:?}");
        }
    }
}

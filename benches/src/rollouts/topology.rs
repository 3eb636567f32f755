//! Systems of services that call each other: chains, fans and diamonds with a shared database, seeded.
//!
//! A [`Handler`] is what a service does for one kind of request: its own work, cut into stretches by the steps in
//! which it calls others, one call after the other or all at once.

use crate::workload::Random;

use super::latency::Distribution;

/// How services are arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Each calls the next.
    Chain,
    /// One calls many.
    FanOut,
    /// Many call one, which has a database that all share.
    Diamond,
}

/// A system.
#[derive(Clone, Debug)]
pub(super) struct Topology {
    pub(super) shape: Shape,
    pub(super) services: Vec<Service>,
    pub(super) handlers: Vec<Handler>,
    /// Handlers of the first service, and how often they are asked.
    pub(super) entries: Vec<(usize, f64)>,
}

#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) port: u16,
    pub(super) instances: usize,
    /// False for a database: only its callers report spans.
    pub(super) is_instrumented: bool,
    /// Requests that all its instances serve at once, and the share of them that is busy before anything changes.
    pub(super) workers: u32,
    pub(super) utilisation: f64,
}

#[derive(Clone, Debug)]
pub(super) struct Handler {
    pub(super) service: usize,
    pub(super) name: String,
    /// Its own work, all stretches together, microseconds.
    pub(super) own: Distribution,
    /// Share of its last stretch that a local span covers; 0 for none.
    pub(super) local_share: f64,
    pub(super) error_rate: f64,
    pub(super) steps: Vec<Step>,
}

/// Calls that are begun together, or one after the other.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) is_parallel: bool,
    pub(super) calls: Vec<Call>,
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    /// A handler.
    pub(super) callee: usize,
    /// Of being made at all.
    pub(super) probability: f64,
    /// From the client's start to the server's, and back again, microseconds each.
    pub(super) way: Distribution,
    pub(super) reported: Reported,
}

/// How instrumentation reports a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reported {
    /// Client and server share an identifier, as B3 has it.
    Shared,
    /// The server's span is a child of the client's.
    Separate,
    /// Only the client reports it.
    ClientOnly,
    /// A message: nobody waits for who consumes it.
    Message,
}

const NAMES: [&str; 11] = [
    "checkout",
    "cart",
    "inventory",
    "pricing",
    "payment",
    "shipping",
    "catalog",
    "search",
    "account",
    "loyalty",
    "media",
];
const VERBS: [&str; 4] = ["get", "put", "list", "find"];
const DATABASES: [&str; 2] = ["postgres", "redis"];
const ENTRIES: [&str; 4] = ["get /home", "get /product", "post /order", "get /account"];

impl Topology {
    pub(super) fn new(random: &mut Random, shape: Shape) -> Self {
        let widths: &[usize] = match (shape, random.below(2)) {
            (Shape::Chain, 0) => &[1, 1, 1, 1],
            (Shape::Chain, _) => &[1, 1, 1, 1, 1],
            (Shape::FanOut, 0) => &[1, 4, 2],
            (Shape::FanOut, _) => &[1, 6, 3],
            (Shape::Diamond, 0) => &[1, 2, 1],
            (Shape::Diamond, _) => &[1, 3, 2, 1],
        };
        let mut topology = Self {
            shape,
            services: Vec::new(),
            handlers: Vec::new(),
            entries: Vec::new(),
        };
        let mut layers: Vec<Vec<usize>> = Vec::new();
        for (layer, &width) in widths.iter().enumerate() {
            layers.push(
                (0..width)
                    .map(|_| topology.add_service(random, layer > 0))
                    .collect(),
            );
        }
        let databases = DATABASES.map(|name| topology.add_database(random, name));
        // From the last layer up, so that what is called is there.
        let mut below: Vec<Vec<usize>> = Vec::new();
        for (depth, layer) in layers.iter().enumerate().rev() {
            let handlers = layer.iter().map(|&service| match depth {
                0 => Vec::new(),
                _ => topology.add_handlers(random, service, &below, databases),
            });
            let handlers: Vec<Vec<usize>> = handlers.collect();
            if depth == 0 {
                topology.add_entries(random, layer[0], &below);
            }
            below = handlers;
        }
        topology
    }

    fn add_service(&mut self, random: &mut Random, is_inner: bool) -> usize {
        let name = if is_inner {
            NAMES[(self.services.len() - 1) % NAMES.len()]
        } else {
            "web"
        };
        self.services.push(Service {
            name,
            port: 8_080 + self.services.len() as u16,
            instances: 3 + random.below(4),
            is_instrumented: true,
            workers: 8 + random.below(24) as u32,
            utilisation: 0.2 + 0.35 * random.unit(),
        });
        self.services.len() - 1
    }

    /// With a query of each kind.
    fn add_database(&mut self, random: &mut Random, name: &'static str) -> usize {
        self.services.push(Service {
            name,
            port: 5_432 + self.services.len() as u16,
            instances: 1,
            is_instrumented: false,
            workers: 16,
            utilisation: 0.2 + 0.3 * random.unit(),
        });
        self.handlers.push(Handler {
            service: self.services.len() - 1,
            name: if name == "redis" { "get" } else { "select" }.to_owned(),
            own: Distribution::LogNormal {
                median: 1_500.0 + 5_000.0 * random.unit(),
                sigma: 0.3 + 0.4 * random.unit(),
            },
            local_share: 0.0,
            error_rate: 0.000_5,
            steps: Vec::new(),
        });
        self.handlers.len() - 1
    }

    /// One to three kinds of requests, each with a way of its own through the layer below.
    fn add_handlers(
        &mut self,
        random: &mut Random,
        service: usize,
        below: &[Vec<usize>],
        databases: [usize; 2],
    ) -> Vec<usize> {
        let count = 1 + random.below(3);
        (0..count)
            .map(|number| {
                let mut steps = Vec::new();
                let targets: Vec<usize> = match self.shape {
                    Shape::FanOut if !below.is_empty() && random.chance(0.4) => {
                        vec![random.below(below.len())]
                    }
                    Shape::FanOut => Vec::new(),
                    _ => (0..below.len()).collect(),
                };
                for target in targets {
                    let callee = random.pick(&below[target]);
                    steps.push(Step::one(call(random, callee, &self.handlers)));
                }
                steps.push(self.queries(random, databases));
                let local_share = if random.chance(0.3) { 0.6 } else { 0.0 };
                self.add_handler(random, service, number, local_share, steps)
            })
            .collect()
    }

    /// One query, or two at once.
    fn queries(&self, random: &mut Random, databases: [usize; 2]) -> Step {
        let is_parallel = random.chance(0.6);
        let first = random.below(2);
        let made = if is_parallel {
            vec![first, 1 - first]
        } else {
            vec![first]
        };
        Step {
            is_parallel,
            calls: made
                .into_iter()
                .map(|which| Call {
                    reported: Reported::ClientOnly,
                    ..call(random, databases[which], &self.handlers)
                })
                .collect(),
        }
    }

    fn add_handler(
        &mut self,
        random: &mut Random,
        service: usize,
        number: usize,
        local_share: f64,
        steps: Vec<Step>,
    ) -> usize {
        let name = format!("{} /{}", VERBS[number % VERBS.len()], self.services[service].name);
        let own = own_work(random);
        let error_rate = 0.002 * random.unit();
        self.handlers.push(Handler {
            service,
            name,
            own,
            local_share,
            error_rate,
            steps,
        });
        self.handlers.len() - 1
    }

    /// What users ask for. The first of them calls everything; the others a part.
    fn add_entries(&mut self, random: &mut Random, service: usize, below: &[Vec<usize>]) {
        let count = 2 + random.below(3);
        for (number, name) in ENTRIES.iter().enumerate().take(count) {
            let targets: Vec<usize> = (0..below.len())
                .filter(|target| {
                    number == 0 || below.len() == 1 || random.chance(0.6) || *target == number % below.len()
                })
                .collect();
            let mut calls: Vec<Call> = targets
                .into_iter()
                .map(|target| {
                    let callee = random.pick(&below[target]);
                    call(random, callee, &self.handlers)
                })
                .collect();
            let parallel: Vec<Call> = if calls.len() > 1 {
                calls.drain(..calls.len() / 2 + 1).collect()
            } else {
                Vec::new()
            };
            let mut steps: Vec<Step> = calls.into_iter().map(Step::one).collect();
            if !parallel.is_empty() {
                steps.push(Step {
                    is_parallel: parallel.len() > 1,
                    calls: parallel,
                });
            }
            let handler = self.add_handler(random, service, number, 0.0, steps);
            self.handlers[handler].name = (*name).to_owned();
            self.entries.push((handler, 0.3 + random.unit()));
        }
    }

    /// Handlers of a service.
    pub(super) fn handlers_of(&self, service: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.handlers.len()).filter(move |&handler| self.handlers[handler].service == service)
    }

    /// Every call: who makes it, in which step, and as which of it.
    pub(super) fn calls(&self) -> impl Iterator<Item = (usize, usize, usize, &Call)> {
        self.handlers.iter().enumerate().flat_map(|(handler, found)| {
            found.steps.iter().enumerate().flat_map(move |(step, found)| {
                let calls = found.calls.iter().enumerate();
                calls.map(move |(number, call)| (handler, step, number, call))
            })
        })
    }
}

impl Step {
    fn one(call: Call) -> Self {
        Self {
            is_parallel: false,
            calls: vec![call],
        }
    }
}

fn own_work(random: &mut Random) -> Distribution {
    let median = 5_000.0 * (6.0f64).powf(random.unit());
    let sigma = 0.3 + 0.4 * random.unit();
    match random.below(8) {
        0 => Distribution::Pareto {
            least: median / 1.3,
            shape: 2.6,
        },
        1 => Distribution::Bimodal {
            fast: median / 2.0,
            slow: median * 3.0,
            slow_share: 0.2,
            sigma: 0.3,
        },
        _ => Distribution::LogNormal { median, sigma },
    }
}

/// As its caller makes it: nearly always, sometimes not.
fn call(random: &mut Random, callee: usize, handlers: &[Handler]) -> Call {
    let is_leaf = handlers[callee].steps.is_empty();
    Call {
        callee,
        probability: if random.chance(0.2) && !is_leaf { 0.7 } else { 1.0 },
        way: Distribution::LogNormal {
            median: 150.0 + 600.0 * random.unit(),
            sigma: 0.4,
        },
        reported: match random.below(20) {
            0 => Reported::Message,
            1..=9 => Reported::Shared,
            _ => Reported::Separate,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_of_the_sizes_promised_and_nothing_calls_itself() {
        for seed in 0..60 {
            for shape in [Shape::Chain, Shape::FanOut, Shape::Diamond] {
                let topology = Topology::new(&mut Random::new(seed), shape);
                assert!(
                    (5..=12).contains(&topology.services.len()),
                    "{}",
                    topology.services.len()
                );
                assert!((2..=4).contains(&topology.entries.len()));
                for (caller, _, _, call) in topology.calls() {
                    assert!(
                        call.callee < caller,
                        "calls go down: {caller} calls {}",
                        call.callee
                    );
                    let callee = &topology.services[topology.handlers[call.callee].service];
                    assert_eq!(!callee.is_instrumented, call.reported == Reported::ClientOnly);
                }
            }
        }
    }
}

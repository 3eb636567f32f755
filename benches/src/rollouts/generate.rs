//! Makes scenarios: requests arrive, each happens as it is and once without each fault, and what differs is the truth.

use model::Kind as Side;

use crate::workload::{EPOCH_US, Random, mix};

use super::catalogue::{Case, Recipe};
use super::fault::Fault;
use super::rollout::{MINUTE, Strategy, Version};
use super::scenario::{Deployment, Knowledge, Labels, Scenario, Seed, SwitchedInstance};
use super::setting::Setting;
use super::simulation::{Request, Simulation, Visit, choose};
use super::spans::{Reporter, arrival};
use super::topology::{Reported, Topology};
use super::truth::{Contribution, Culprit, Operation, Truth};

/// Tags that name versions, as instrumentation has them.
const VERSION_TAGS: [&str; 3] = ["service.version", "version", "app.version"];
/// How long after the last request the question is asked, microseconds.
const ASKED_AFTER: f64 = 10e6;

impl Case {
    /// One of its scenarios, the same for the same seed.
    ///
    /// # Errors
    /// Where there can be no such scenario.
    pub fn scenario(&self, seed: Seed) -> anyhow::Result<Scenario> {
        self.scenario_of(seed, u64::MAX)
    }

    /// The same with so many traces at most, about: the same system and rollouts at a lower rate.
    ///
    /// # Errors
    /// As [`Case::scenario`].
    pub fn scenario_of(&self, seed: Seed, traces_max: u64) -> anyhow::Result<Scenario> {
        let random = &mut Random::new(self.randomness(seed));
        let mut recipe = self.recipe(seed, random);
        recipe.traces = recipe.traces.min(traces_max);
        let setting = Setting::new(&recipe, random)?;
        if self.power().is_some() {
            // So many requests of the operation that has the fault; not all reach it.
            recipe.traces = ((recipe.traces as f64 / setting.visits) as u64).min(traces_max);
        }
        let randomness = random.next();
        let simulation = Simulation::new(
            &setting.topology,
            &setting.fleet,
            &setting.environment,
            &setting.faults,
            randomness,
        );
        let versions = versions(&setting, random);
        let is_tagged = matches!(recipe.knowledge, Knowledge::Tags | Knowledge::Inferred);
        let tag = is_tagged.then(|| random.pick(&VERSION_TAGS));
        let reporter = Reporter::new(&simulation, tag, &versions, randomness);
        let asked = EPOCH_US + (recipe.minutes as f64 * MINUTE + ASKED_AFTER) as u64;
        let mut made = Making::new(&setting, asked);
        let mut visits = Vec::new();
        for request in arrivals(&recipe, &setting, randomness) {
            let duration = simulation.run(request, None, &mut visits);
            made.take(&reporter, request, &visits);
            made.weigh(&simulation, request, duration, &visits);
        }
        made.late.sort_by_key(|(arrival, _)| *arrival);
        let deployments = deployments(&recipe, &setting, &versions, &made);
        Ok(Scenario {
            name: self.name.clone(),
            seed: seed.number,
            deployments,
            asked,
            labels: Labels {
                shape: Some(setting.topology.shape),
                strategy: Some(recipe.strategy),
                knowledge: recipe.knowledge,
                decoys: setting.rollouts.len() - 1,
            },
            truth: Truth {
                culprits: culprits(&setting, &made.weights),
                explanation: recipe
                    .confounders
                    .iter()
                    .find_map(|confounder| confounder.explanation()),
            },
            traces: made.traces,
            late: made.late,
        })
    }
}

/// The old and the new version of each service.
fn versions(setting: &Setting, random: &mut Random) -> Vec<[String; 2]> {
    let services = setting.topology.services.iter();
    services
        .map(|_| {
            let (major, minor) = (1 + random.below(4), random.below(20));
            [format!("{major}.{minor}.0"), format!("{major}.{}.0", minor + 1)]
        })
        .collect()
}

/// Poisson arrivals at the rate of each minute.
fn arrivals<'a>(recipe: &Recipe, setting: &'a Setting, seed: u64) -> impl Iterator<Item = Request> + 'a {
    let environment = &setting.environment;
    let total: f64 = environment.load.iter().sum();
    let rate = recipe.traces as f64 / total;
    let end = environment.minutes() as f64 * MINUTE;
    let mut random = Random::new(mix(seed ^ 5));
    let (mut at, mut number) = (0.0, 0);
    let before = setting.topology.entries.clone();
    let after = environment.mix.as_ref().map(|(from, weights)| {
        let entries = before.iter().zip(weights);
        (
            *from,
            entries
                .map(|((handler, _), weight)| (*handler, *weight))
                .collect::<Vec<_>>(),
        )
    });
    std::iter::from_fn(move || {
        at += random.exponential(MINUTE / (rate * environment.load[environment.minute(at)]));
        number += 1;
        let entries = match &after {
            Some((from, entries)) if at >= *from => entries,
            _ => &before,
        };
        let entry = choose(entries, random.unit());
        (at < end).then_some(Request { number, at, entry })
    })
}

/// What each fault did to the requests of each entry operation, in sums.
#[derive(Clone, Copy, Debug, Default)]
struct Weight {
    requests: u64,
    micros: f64,
    without: f64,
    failed: u64,
}

/// A scenario in the making.
struct Making<'a> {
    setting: &'a Setting,
    asked: u64,
    traces: Vec<Vec<model::Span>>,
    late: Vec<(u64, model::Span)>,
    /// By fault, then entry.
    weights: Vec<Vec<Weight>>,
    /// By rollout: requests that only the old and only the new version served.
    requests: Vec<[u64; 2]>,
    /// Visits of a run without a fault.
    scratch: Vec<Visit>,
}

impl<'a> Making<'a> {
    fn new(setting: &'a Setting, asked: u64) -> Self {
        Self {
            setting,
            asked,
            traces: Vec::new(),
            late: Vec::new(),
            weights: vec![vec![Weight::default(); setting.topology.entries.len()]; setting.faults.len()],
            requests: vec![[0; 2]; setting.rollouts.len()],
            scratch: Vec::new(),
        }
    }

    /// Keeps what is reported of a request: now, or when it arrives.
    fn take(&mut self, reporter: &Reporter<'_>, request: Request, visits: &[Visit]) {
        let mut spans = reporter.report(request, visits);
        let environment = &self.setting.environment;
        if environment.late.0 > 0.0 {
            spans.retain(|span| {
                let arrival = arrival(span, environment);
                if arrival > self.asked {
                    self.late.push((arrival, span.clone()));
                }
                arrival <= self.asked
            });
        }
        if !spans.is_empty() {
            self.traces.push(spans);
        }
    }

    /// Counts a request for the deployments it met, and finds what their faults did to it.
    fn weigh(&mut self, simulation: &Simulation<'_>, request: Request, duration: f64, visits: &[Visit]) {
        for (number, rollout) in self.setting.rollouts.iter().enumerate() {
            let Some(version) = self.only_version(rollout.service, visits) else {
                continue;
            };
            self.requests[number][version as usize] += 1;
            if version == Version::Old {
                continue;
            }
            let faults = self.setting.faults.iter().enumerate();
            for (fault, _) in faults.filter(|(_, fault)| fault.deployment == number) {
                let without = simulation.run(request, Some(fault), &mut self.scratch);
                let weight = &mut self.weights[fault][request.entry];
                weight.requests += 1;
                weight.micros += duration - without;
                weight.without += without;
                weight.failed += u64::from(visits[0].is_error && !self.scratch[0].is_error);
            }
        }
    }

    /// The version of a service that served a request; `None` where none or both did.
    fn only_version(&self, service: usize, visits: &[Visit]) -> Option<Version> {
        let mut versions = visits.iter().filter_map(|visit| {
            let instance = &self.setting.fleet.instances[visit.instance?];
            (instance.service == service).then_some(visit.version)
        });
        let first = versions.next()?;
        versions.all(|version| version == first).then_some(first)
    }
}

fn deployments(
    recipe: &Recipe,
    setting: &Setting,
    versions: &[[String; 2]],
    made: &Making<'_>,
) -> Vec<Deployment> {
    let moment = |at: f64| EPOCH_US + at as u64;
    let rollouts = setting.rollouts.iter().enumerate();
    rollouts
        .map(|(number, rollout)| {
            let instances = setting.fleet.instances.iter();
            let switched = instances
                .filter(|instance| instance.service == rollout.service)
                .filter_map(|instance| {
                    let (from, _) = instance
                        .versions
                        .iter()
                        .find(|(_, version)| *version == Version::New)?;
                    Some(SwitchedInstance {
                        ip: instance.ip,
                        port: instance.port,
                        switched: moment(*from),
                    })
                });
            let [previous_version, version] = versions[rollout.service].clone();
            Deployment {
                service_name: setting.topology.services[rollout.service].name.to_owned(),
                version,
                previous_version,
                strategy: Some(rollout.strategy),
                start: moment(rollout.start),
                end: setting.fleet.ends[number].map(moment),
                rolled_back: setting.fleet.rolled_back[number].map(moment),
                instances: if recipe.knowledge == Knowledge::Instances {
                    switched.collect()
                } else {
                    Vec::new()
                },
                is_declared: recipe.knowledge != Knowledge::Inferred,
                requests: made.requests[number],
            }
        })
        .collect()
}

fn culprits(setting: &Setting, weights: &[Vec<Weight>]) -> Vec<Culprit> {
    let topology = &setting.topology;
    let culprit = |(fault, weights): (&Fault, &Vec<Weight>)| Culprit {
        deployment: fault.deployment,
        origin_service: topology.services[fault.service].name.to_owned(),
        origin: Some(operation(topology, fault.handler)),
        callee: fault.callee.map(|callee| Operation {
            span_kind: Some(Side::Client),
            ..operation(topology, callee)
        }),
        cause: Some(fault.kind.cause()),
        size: fault.size,
        contributions: weights
            .iter()
            .zip(&topology.entries)
            .filter(|(weight, _)| weight.requests > 0)
            .map(|(weight, (entry, _))| Contribution {
                entry: operation(topology, *entry),
                requests: weight.requests,
                micros: weight.micros / weight.requests as f64,
                mean_without: weight.without / weight.requests as f64,
                failed: weight.failed as f64 / weight.requests as f64,
            })
            .collect(),
    };
    setting.faults.iter().zip(weights).map(culprit).collect()
}

/// The server's side of a handler, as it is reported.
fn operation(topology: &Topology, handler: usize) -> Operation {
    let found = &topology.handlers[handler];
    let mut calls = topology
        .calls()
        .filter(|(_, _, _, call)| call.callee == handler)
        .peekable();
    let is_message =
        calls.peek().is_some() && calls.all(|(_, _, _, call)| call.reported == Reported::Message);
    let side = if is_message { Side::Consumer } else { Side::Server };
    Operation::new(topology.services[found.service].name, &found.name, Some(side))
}

impl Strategy {
    /// As tables call it.
    pub fn name(self) -> String {
        match self {
            Self::Canary { share } => format!("canary {:.0} %", share * 100.0),
            Self::InPlace => "in place".to_owned(),
            Self::RolledBack => "rolled back".to_owned(),
            Self::NeverEnds => "never ends".to_owned(),
            Self::Flapping => "flapping".to_owned(),
            Self::Rolling => "rolling".to_owned(),
            Self::BlueGreen => "blue/green".to_owned(),
            Self::Recreate => "recreate".to_owned(),
        }
    }
}

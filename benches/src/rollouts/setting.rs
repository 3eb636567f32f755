//! Makes of a recipe what a simulation needs: a system that can have the fault, rollouts, instances, surroundings.

use anyhow::bail;

use crate::workload::Random;

use super::catalogue::{Confounder, Recipe};
use super::environment::{Decay, Environment};
use super::fault::{Choice, Fault, Kind};
use super::latency::Distribution;
use super::means::Means;
use super::rollout::{Fleet, MINUTE, Rollout, Strategy, Version};
use super::simulation::Simulation;
use super::topology::Topology;

/// Everything but the requests.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) topology: Topology,
    /// The subject's first.
    pub(super) rollouts: Vec<Rollout>,
    pub(super) fleet: Fleet,
    pub(super) environment: Environment,
    pub(super) faults: Vec<Fault>,
    /// How often a request visits the operation that has the first fault.
    pub(super) visits: f64,
}

/// Systems that are drawn until one can have the faults.
const ATTEMPTS_MAX: usize = 200;

impl Setting {
    /// # Errors
    /// Where no system that is drawn can have what is asked for.
    pub(super) fn new(recipe: &Recipe, random: &mut Random) -> anyhow::Result<Self> {
        for _ in 0..ATTEMPTS_MAX {
            if let Some(setting) = Self::attempt(recipe, random) {
                return Ok(setting);
            }
        }
        bail!("no system of {ATTEMPTS_MAX} can have {:?}", recipe.faults)
    }

    fn attempt(recipe: &Recipe, random: &mut Random) -> Option<Self> {
        let mut topology = Topology::new(random, recipe.shape);
        let means = means(&topology, random);
        let targets = targets(recipe, &topology, &means, random)?;
        if let Some(sigma) = recipe.sigma {
            for &(handler, _, _) in &targets {
                let median = topology.handlers[handler].own.mean() / (sigma * sigma / 2.0).exp();
                topology.handlers[handler].own = Distribution::LogNormal { median, sigma };
            }
        }
        let means = if recipe.sigma.is_some() {
            self::means(&topology, random)
        } else {
            means
        };
        let mut services: Vec<usize> = targets
            .iter()
            .map(|&(handler, _, _)| topology.handlers[handler].service)
            .collect();
        let mut others: Vec<usize> = Choice {
            topology: &topology,
            means: &means,
        }
        .handlers()
        .map(|handler| topology.handlers[handler].service)
        .filter(|service| !services.contains(service))
        .collect();
        others.sort_unstable();
        others.dedup();
        if recipe.subject_is_innocent || services.is_empty() {
            if others.is_empty() {
                return None;
            }
            services.insert(0, others.swap_remove(random.below(others.len())));
        }
        for _ in 0..recipe.decoys.min(others.len()) {
            services.push(others.swap_remove(random.below(others.len())));
        }
        let faults = make_faults(recipe, &topology, &means, &targets)?;
        let rollouts = rollouts(recipe, &services, random);
        let fleet = Fleet::new(&topology, &rollouts, random);
        let environment = surroundings(recipe, &topology, &rollouts, &fleet, random);
        Some(Self {
            topology,
            rollouts,
            fleet,
            environment,
            faults,
            visits: targets
                .first()
                .map_or(1.0, |&(handler, _, _)| means.visits[handler]),
        })
    }
}

/// Where each fault of a recipe goes: handlers of services that differ.
fn targets(
    recipe: &Recipe,
    topology: &Topology,
    means: &Means,
    random: &mut Random,
) -> Option<Vec<(usize, Kind, f64)>> {
    let choice = Choice { topology, means };
    let mut targets: Vec<(usize, Kind, f64)> = Vec::new();
    for &(kind, size) in &recipe.faults {
        let mut able = choice.able(kind);
        able.retain(|&handler| {
            let service = topology.handlers[handler].service;
            targets
                .iter()
                .all(|&(other, _, _)| topology.handlers[other].service != service)
        });
        if able.is_empty() {
            return None;
        }
        targets.push((random.pick(&able), kind, size));
    }
    Some(targets)
}

fn make_faults(
    recipe: &Recipe,
    topology: &Topology,
    means: &Means,
    targets: &[(usize, Kind, f64)],
) -> Option<Vec<Fault>> {
    let choice = Choice { topology, means };
    let mut faults = Vec::new();
    for (number, &(handler, kind, size)) in targets.iter().enumerate() {
        let deployment = number + usize::from(recipe.subject_is_innocent);
        faults.extend(choice.faults(kind, size, handler, deployment)?);
    }
    Some(faults)
}

/// The system on a quiet day.
fn means(topology: &Topology, random: &mut Random) -> Means {
    let fleet = Fleet::new(topology, &[], random);
    let environment = Environment::quiet(5);
    let simulation = Simulation::new(topology, &fleet, &environment, &[], random.next());
    Means::measure(&simulation, random)
}

fn rollouts(recipe: &Recipe, services: &[usize], random: &mut Random) -> Vec<Rollout> {
    let lead = recipe.lead_minutes as f64;
    let all = services.iter().enumerate();
    all.map(|(number, &service)| Rollout {
        service,
        // Others at the same time are of the same kind, so that the same is known of their versions.
        strategy: recipe.strategy,
        start: (lead
            + if number == 0 {
                random.unit()
            } else {
                4.0 * random.unit() - 1.5
            })
            * MINUTE,
        wave: recipe.wave_minutes * MINUTE,
    })
    .collect()
}

fn surroundings(
    recipe: &Recipe,
    topology: &Topology,
    rollouts: &[Rollout],
    fleet: &Fleet,
    random: &mut Random,
) -> Environment {
    let mut environment = Environment::quiet(recipe.minutes);
    environment.weather = 0.02 + 0.05 * random.unit();
    let subject = &rollouts[0];
    let start = environment.minute(subject.start);
    for &confounder in &recipe.confounders {
        match confounder {
            Confounder::LoadIncrease => {
                let more = 1.3 + 0.4 * random.unit();
                environment.load[start..]
                    .iter_mut()
                    .for_each(|load| *load *= more);
            }
            Confounder::LoadSpike => {
                let more = 1.4 + 0.4 * random.unit();
                environment.load[start..]
                    .iter_mut()
                    .take(4)
                    .for_each(|load| *load *= more);
            }
            Confounder::LoadSlope => {
                let minutes = environment.load.len() as f64;
                for (minute, load) in environment.load.iter_mut().enumerate() {
                    *load *= 0.75 + 0.6 * minute as f64 / minutes;
                }
            }
            Confounder::MixShift => environment.mix = Some((subject.start, shifted(topology, random))),
            Confounder::DegradingCallee => {
                let from = subject.start + (5.0 * random.unit() - 2.0) * MINUTE;
                let times = 1.3 + 0.9 * random.unit();
                let slower = called_by(topology, subject.service)
                    .into_iter()
                    .map(|callee| (callee, from, times));
                environment.degraded.extend(slower);
            }
            Confounder::ColdStart => {
                environment.cold_start = Some(Decay {
                    service: subject.service,
                    from: 0.0,
                    extra: 1.0 + 2.0 * random.unit(),
                    micros: (10.0 + 10.0 * random.unit()) * 1e6,
                });
            }
            Confounder::BadHostNew => environment.bad_host = bad_host(fleet, subject, Version::New, random),
            Confounder::BadHostOld => environment.bad_host = bad_host(fleet, subject, Version::Old, random),
            Confounder::CacheFlush => {
                environment.cache_flush = Some(Decay {
                    service: subject.service,
                    from: subject.start,
                    extra: 0.5 + random.unit(),
                    micros: (1.5 + 1.5 * random.unit()) * MINUTE,
                });
            }
            Confounder::Drift => environment.drift = 0.1 + 0.15 * random.unit(),
            Confounder::ClockSkew => environment.clock_skew = random.pick(&[50e3, 50e3, 2e6]),
            Confounder::LostSpans => environment.lost = 0.02 + 0.06 * random.unit(),
            Confounder::LateSpans => environment.late = (0.1, 60.0 * MINUTE),
        }
    }
    environment
}

/// The entry operation that was asked for least is asked for most, and the others as they come.
fn shifted(topology: &Topology, random: &mut Random) -> Vec<f64> {
    let weights: Vec<f64> = topology.entries.iter().map(|(_, weight)| *weight).collect();
    let total: f64 = weights.iter().sum();
    let favoured = random.below(weights.len());
    let weight = |(number, weight): (usize, &f64)| {
        if number == favoured {
            weight + total
        } else {
            *weight
        }
    };
    weights.iter().enumerate().map(weight).collect()
}

/// What a service calls that is not deployed with it: its database where it has one.
fn called_by(topology: &Topology, service: usize) -> Vec<usize> {
    let callees = topology
        .calls()
        .filter(|(caller, ..)| topology.handlers[*caller].service == service);
    let mut callees: Vec<usize> = callees.map(|(_, _, _, call)| call.callee).collect();
    callees.sort_unstable();
    callees.dedup();
    let is_database = |callee: &usize| !topology.services[topology.handlers[*callee].service].is_instrumented;
    match callees.iter().copied().find(is_database) {
        Some(database) => vec![database],
        // An entry calls services only: all databases of the system, in which they spend their time.
        None => (0..topology.handlers.len()).filter(is_database).collect(),
    }
}

fn bad_host(fleet: &Fleet, subject: &Rollout, version: Version, random: &mut Random) -> Option<(usize, f64)> {
    let last = |number: &usize| {
        fleet.instances[*number]
            .versions
            .last()
            .map(|(_, version)| *version)
    };
    let hosts: Vec<usize> = (0..fleet.instances.len())
        .filter(|&number| fleet.instances[number].service == subject.service)
        .filter(|number| match subject.strategy {
            // The same hosts serve both versions.
            Strategy::InPlace | Strategy::Flapping => true,
            _ => last(number) == Some(version),
        })
        .collect();
    (!hosts.is_empty()).then(|| (random.pick(&hosts), 1.5 + random.unit()))
}

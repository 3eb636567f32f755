//! Who calls whom: services, their operations and instances, drawn once from a seed.
//!
//! Calls only go from a service to one further down the list, so there are no cycles; the first three are where
//! requests come in.

use std::net::Ipv4Addr;

use super::random::Random;
use super::vocabulary::{LOCAL_STEPS, METHODS, RESOURCES, SERVICES, TABLES, TOPICS};

pub(super) const ENTRANCES: usize = 3;
pub(super) const OPERATIONS: usize = 10;
pub(super) const STATEMENTS: usize = 5;

/// What instruments a service: it decides names, tags and whether span ids are shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stack {
    /// Spring with Brave: shares span ids over B3, names clients after routes.
    Spring,
    /// Node with OpenTelemetry: more tags, clients named after the method.
    Node,
    /// A thread pool with a hand-written tracer.
    Threads,
}

#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) stack: Stack,
    pub(super) port: u16,
    pub(super) instances: Vec<Instance>,
    pub(super) operations: Vec<Operation>,
    pub(super) database: Database,
    /// The old and the new one; a rollout is always half done somewhere.
    pub(super) versions: [String; 2],
}

#[derive(Debug)]
pub(super) struct Instance {
    /// Counted over all services: who reports.
    pub(super) reporter: usize,
    pub(super) address: Ipv4Addr,
    /// Of [`Service::versions`].
    pub(super) version: usize,
}

#[derive(Debug)]
pub(super) struct Operation {
    pub(super) method: &'static str,
    /// With `{id}` where an identifier goes, at most once.
    pub(super) route: String,
    pub(super) span_name: String,
    pub(super) controller: String,
    pub(super) steps: Vec<Step>,
    /// Time of its own, microseconds.
    pub(super) median_us: f64,
    /// Its steps run side by side.
    pub(super) parallel: bool,
}

/// One thing an operation does while it serves a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Call {
        service: usize,
        operation: usize,
    },
    Query {
        statement: usize,
    },
    Cache,
    Local {
        step: usize,
    },
    Send {
        topic: usize,
        service: usize,
        operation: usize,
    },
}

#[derive(Debug)]
pub(super) struct Database {
    pub(super) system: &'static str,
    pub(super) port: u16,
    pub(super) host: String,
    pub(super) name: &'static str,
    /// With `{id}`, `{user}`, `{small}` and `{hex}` where literals go.
    pub(super) statements: [String; STATEMENTS],
}

pub(super) fn services(random: &mut Random) -> Vec<Service> {
    let mut reporters = 0;
    (0..SERVICES.len())
        .map(|index| service(index, &mut reporters, random))
        .collect()
}

fn service(index: usize, reporters: &mut usize, random: &mut Random) -> Service {
    let stack = random.pick(&[Stack::Spring, Stack::Node, Stack::Threads]);
    let count = 4 + random.below(9);
    let instances = (0..count).map(|number| {
        *reporters += 1;
        let (third, fourth) = (random.below(256) as u8, 1 + random.below(254) as u8);
        Instance {
            reporter: *reporters - 1,
            address: Ipv4Addr::new(10, 20 + (index % 4) as u8, third, fourth),
            version: usize::from(number * 3 < count),
        }
    });
    Service {
        name: SERVICES[index],
        stack,
        port: if stack == Stack::Node { 3000 } else { 8080 },
        instances: instances.collect(),
        operations: (0..OPERATIONS)
            .map(|number| operation(index, number, random))
            .collect(),
        database: database(index),
        versions: [
            format!("{}.{}.{}", 1 + index % 4, random.below(30), random.below(12)),
            format!("{}.{}.{}", 1 + index % 4, 30 + random.below(4), random.below(5)),
        ],
    }
}

fn operation(service: usize, number: usize, random: &mut Random) -> Operation {
    let resource = RESOURCES[(service * 7 + number * 3) % RESOURCES.len()];
    let other = RESOURCES[(service * 3 + number + 1) % RESOURCES.len()];
    let method = METHODS[number];
    // The number is in the route where the resource alone could name two operations of a service.
    let route = match number % 5 {
        0 => format!("/api/v1/{resource}"),
        1 => format!("/api/v1/{resource}/{{id}}"),
        2 => format!("/api/v1/{resource}/{{id}}/{other}"),
        3 => format!("/api/v2/{resource}/search"),
        _ => format!("/internal/{resource}/{{id}}"),
    };
    let steps = if service < ENTRANCES {
        4 + random.below(4)
    } else {
        1 + random.below(4)
    };
    Operation {
        method,
        span_name: format!("{} {route}", method.to_lowercase()),
        route,
        controller: format!("{}{}Controller", resource[..1].to_uppercase(), &resource[1..]),
        steps: (0..steps).map(|_| step(service, random)).collect(),
        median_us: random.log_normal(3_000.0, 1.0),
        parallel: number.is_multiple_of(3),
    }
}

fn step(service: usize, random: &mut Random) -> Step {
    let further = SERVICES.len() - 1 - service;
    let query = Step::Query {
        statement: random.below(STATEMENTS),
    };
    let (operation, local) = (random.below(OPERATIONS), random.below(LOCAL_STEPS.len()));
    match random.below(20) {
        0..=9 if further > 0 => Step::Call {
            service: service + 1 + random.skewed(further, 1.6),
            operation,
        },
        10..=12 if further > 0 => Step::Send {
            topic: random.below(TOPICS.len()),
            service: service + 1 + random.below(further),
            operation,
        },
        13 | 14 => Step::Cache,
        15 | 16 => Step::Local { step: local },
        // The entrances keep nothing themselves.
        _ if service < ENTRANCES => Step::Call {
            service: service + 1 + random.skewed(further, 2.0),
            operation,
        },
        _ => query,
    }
}

fn database(index: usize) -> Database {
    let table = |offset: usize| TABLES[(index + offset * 3) % TABLES.len()];
    let name = SERVICES[index].split('-').next().unwrap_or_default();
    let mysql = index.is_multiple_of(3);
    Database {
        system: if mysql { "mysql" } else { "postgresql" },
        port: if mysql { 3306 } else { 5432 },
        host: format!("{name}-db"),
        name,
        statements: [
            format!(
                "SELECT id, state, created_at, total FROM {} WHERE user_id = {{user}} ORDER BY created_at DESC LIMIT 20",
                table(0)
            ),
            format!("SELECT * FROM {} WHERE id = {{id}}", table(1)),
            format!(
                "UPDATE {} SET state = 'DONE', version = {{small}} WHERE id = {{id}} AND version = {{small}}",
                table(2)
            ),
            format!(
                "INSERT INTO {} (id, user_id, reference, amount) VALUES ({{id}}, {{user}}, '{{hex}}', {{small}})",
                table(0)
            ),
            format!(
                "SELECT COUNT(*) FROM {} a JOIN {} b ON b.a_id = a.id WHERE a.depot IN ({{small}}, {{small}}) AND b.name = \"x\"",
                table(1),
                table(2)
            ),
        ],
    }
}

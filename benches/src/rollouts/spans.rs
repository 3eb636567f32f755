//! Visits as instrumentation reports them: client and server halves, shared identifiers or not, addresses, tags, and
//! clocks that are off.

use model::{Endpoint, IpAddresses, Kind, Span, SpanId, TraceId};

use crate::workload::{EPOCH_US, Random, mix};

use super::environment::Environment;
use super::rollout::{Instance, Version};
use super::simulation::{Request, Simulation, Visit};
use super::topology::Reported;

/// Writes spans of a scenario.
#[derive(Debug)]
pub(super) struct Reporter<'a> {
    simulation: &'a Simulation<'a>,
    /// The tag that names versions, where there is one, and the versions of each service: the old one and the new one.
    pub(super) version_tag: Option<&'static str>,
    pub(super) versions: &'a [[String; 2]],
    /// How far the clock of each instance is off, microseconds.
    skews: Vec<f64>,
}

const CLIENT: u64 = 0x2545_f491_4f6c_dd1d;
const LOCAL: u64 = 0x6a09_e667_f3bc_c909;
const LOST: u64 = 0xbb67_ae85_84ca_a73b;
const LATE: u64 = 0x3c6e_f372_fe94_f82b;

impl<'a> Reporter<'a> {
    pub(super) fn new(
        simulation: &'a Simulation<'a>,
        version_tag: Option<&'static str>,
        versions: &'a [[String; 2]],
        seed: u64,
    ) -> Self {
        let random = &mut Random::new(mix(seed ^ 2));
        let skew = simulation.environment.clock_skew;
        Self {
            simulation,
            version_tag,
            versions,
            skews: simulation
                .fleet
                .instances
                .iter()
                .map(|_| skew * random.normal())
                .collect(),
        }
    }

    /// The spans of a request that are not lost, in the order in which its visits began.
    pub(super) fn report(&self, request: Request, visits: &[Visit]) -> Vec<Span> {
        let trace_id = trace_id(visits[0].key);
        let mut spans = Vec::with_capacity(visits.len() * 2);
        for visit in visits {
            let caller = visit.caller.map(|caller| &visits[caller]);
            if let Some(caller) = caller {
                spans.push(self.client(trace_id, visit, caller));
            }
            if visit.reported == Reported::ClientOnly {
                continue;
            }
            if let Some(number) = visit.instance {
                spans.push(self.server(trace_id, visit, number, caller));
                if let Some((start, end)) = visit.local {
                    let instance = self.instance(number);
                    spans.push(Span {
                        parent_id: Some(server_id(visit)),
                        name: Some(format!("prepare {}", self.service(visit))),
                        tags: self.tags(number, visit.version, Vec::new(), false),
                        ..self.timed(trace_id, id(visit.key ^ LOCAL), number, instance, (start, end))
                    });
                }
            }
        }
        let environment = self.simulation.environment;
        if environment.lost > 0.0 {
            let lost = |span: &Span| unit(span, request.number, LOST) < environment.lost;
            spans.retain(|span| !lost(span));
        }
        spans
    }

    fn client(&self, trace_id: TraceId, visit: &Visit, caller: &Visit) -> Span {
        let handler = &self.simulation.topology.handlers[visit.handler];
        let number = caller.instance.unwrap_or(0);
        let callee = &self.simulation.topology.services[handler.service];
        let mut remote = Endpoint {
            service_name: Some(callee.name.to_owned()),
            port: callee.port,
            ..Endpoint::default()
        };
        if let Some(instance) = visit.instance {
            remote.ip = ip(self.instance(instance));
        }
        let tags = match visit.reported {
            Reported::Message => vec![("messaging.channel", callee.name.to_owned())],
            Reported::ClientOnly => vec![("db.system", callee.name.to_owned())],
            _ => http_tags(&handler.name),
        };
        Span {
            parent_id: Some(server_id(caller)),
            kind: Some(if visit.reported == Reported::Message {
                Kind::Producer
            } else {
                Kind::Client
            }),
            name: Some(handler.name.clone()),
            remote_endpoint: Some(remote),
            tags: self.tags(
                number,
                caller.version,
                tags,
                (visit.is_error || visit.is_given_up) && visit.reported != Reported::Message,
            ),
            ..self.timed(
                trace_id,
                client_id(visit),
                number,
                self.instance(number),
                (visit.client_start, visit.client_end),
            )
        }
    }

    fn server(&self, trace_id: TraceId, visit: &Visit, number: usize, caller: Option<&Visit>) -> Span {
        let handler = &self.simulation.topology.handlers[visit.handler];
        let is_shared = visit.reported == Reported::Shared && caller.is_some();
        let parent_id = caller.map(|caller| {
            if is_shared {
                server_id(caller)
            } else {
                client_id(visit)
            }
        });
        let caller_ip = caller.and_then(|caller| caller.instance).map(|number| Endpoint {
            ip: ip(self.instance(number)),
            ..Endpoint::default()
        });
        Span {
            parent_id,
            kind: Some(if visit.reported == Reported::Message {
                Kind::Consumer
            } else {
                Kind::Server
            }),
            name: Some(handler.name.clone()),
            remote_endpoint: caller_ip,
            tags: self.tags(number, visit.version, http_tags(&handler.name), visit.is_error),
            shared: is_shared,
            ..self.timed(
                trace_id,
                server_id(visit),
                number,
                self.instance(number),
                (visit.start, visit.end),
            )
        }
    }

    /// A span of an instance, by its clock.
    fn timed(
        &self,
        trace_id: TraceId,
        id: SpanId,
        number: usize,
        instance: &Instance,
        (start, end): (f64, f64),
    ) -> Span {
        let epoch = EPOCH_US as f64 + self.skews[number];
        let timestamp = (epoch + start) as u64;
        Span {
            trace_id,
            parent_id: None,
            id,
            kind: None,
            name: None,
            timestamp: Some(timestamp),
            duration: Some(((epoch + end) as u64).saturating_sub(timestamp).max(1)),
            local_endpoint: Some(Endpoint {
                service_name: Some(
                    self.simulation.topology.services[instance.service]
                        .name
                        .to_owned(),
                ),
                ip: ip(instance),
                port: instance.port,
            }),
            remote_endpoint: None,
            annotations: Vec::new(),
            tags: Vec::new(),
            debug: false,
            shared: false,
        }
    }

    /// Sorted by key, as everywhere.
    fn tags(
        &self,
        number: usize,
        version: Version,
        mut tags: Vec<(&'static str, String)>,
        is_error: bool,
    ) -> Vec<(String, String)> {
        if is_error {
            tags.push(("error", "500".to_owned()));
            tags.push(("http.status_code", "500".to_owned()));
        }
        if let Some(key) = self.version_tag {
            let [old, new] = &self.versions[self.instance(number).service];
            let value = if version == Version::New { new } else { old };
            tags.push((key, value.clone()));
        }
        tags.sort_unstable_by_key(|(key, _)| *key);
        tags.into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    }

    fn instance(&self, number: usize) -> &Instance {
        &self.simulation.fleet.instances[number]
    }

    fn service(&self, visit: &Visit) -> &'static str {
        let topology = self.simulation.topology;
        topology.services[topology.handlers[visit.handler].service].name
    }
}

/// Microseconds since the epoch at which a span reaches the server: when it ends, or late.
pub(super) fn arrival(span: &Span, environment: &Environment) -> u64 {
    let end = span.timestamp.unwrap_or(0) + span.duration.unwrap_or(0);
    let (share, most) = environment.late;
    let drawn = unit(span, 0, LATE);
    if drawn < share {
        end + (most * drawn / share) as u64
    } else {
        end
    }
}

/// From 0 to 1, of a span alone.
fn unit(span: &Span, number: u64, salt: u64) -> f64 {
    let side = span.kind.map_or(0, |kind| kind as u64);
    Random::new(mix(span.id.value() ^ salt ^ number).wrapping_add(side)).unit()
}

pub(super) fn trace_id(key: u64) -> TraceId {
    let both = TraceId::new(mix(key ^ 3), mix(key ^ 4));
    both.unwrap_or_else(|| unreachable!("two scattered numbers are not both zero: mix is a bijection"))
}

fn id(key: u64) -> SpanId {
    SpanId::new(mix(key).max(1))
}

fn client_id(visit: &Visit) -> SpanId {
    id(visit.key ^ CLIENT)
}

fn server_id(visit: &Visit) -> SpanId {
    if visit.reported == Reported::Shared && visit.caller.is_some() {
        client_id(visit)
    } else {
        id(visit.key)
    }
}

fn ip(instance: &Instance) -> IpAddresses {
    IpAddresses {
        v4: Some(instance.ip),
        v6: None,
    }
}

fn http_tags(name: &str) -> Vec<(&'static str, String)> {
    let (method, path) = name.split_once(' ').unwrap_or((name, "/"));
    vec![
        ("http.method", method.to_ascii_uppercase()),
        ("http.path", path.to_owned()),
    ]
}

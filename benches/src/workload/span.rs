//! What an instrumented service says of what it did: names, endpoints, annotations and tags of one span.

use std::net::Ipv4Addr;

use model::{Annotation, Endpoint, IpAddresses, Kind, Span, SpanId, TraceId};

use super::call::{Activity, Node};
use super::random::{Random, mix};
use super::topology::{Instance, OPERATIONS, Service, Stack};
use super::vocabulary::{ERRORS, EVENTS, FAILED_STATUS_CODES, LOCAL_STEPS, STATUS_CODES, TOPICS};

/// What the spans of a trace have in common.
pub(super) struct Request<'a> {
    pub(super) services: &'a [Service],
    pub(super) nodes: &'a [Node],
    /// Number of a service that has no new version yet.
    pub(super) old_only: Option<usize>,
    pub(super) trace_id: TraceId,
    /// Microseconds since the epoch.
    pub(super) begin_us: u64,
    /// Below 100,000.
    pub(super) user: usize,
    pub(super) request_id: [u64; 2],
}

impl<'a> Request<'a> {
    /// The span of a node. `offset` is the last one written to the broker.
    pub(super) fn span(&self, index: usize, offset: &mut u64, random: &mut Random) -> Span {
        let node = &self.nodes[index];
        let timestamp = self.begin_us + node.begin_us as u64;
        let duration = (node.duration_us as u64).max(1);
        let service = self.service(node);
        let mut tags = self.tags(index, offset, random);
        tags.sort();
        Span {
            trace_id: self.trace_id,
            parent_id: node.parent_id.map(SpanId::new),
            id: SpanId::new(node.id),
            kind: kind(node.activity),
            name: Some(self.name(node)),
            timestamp: Some(timestamp),
            duration: Some(duration),
            local_endpoint: Some(named(service.name, self.instance(node).address, service.port)),
            remote_endpoint: self.remote(node, random),
            annotations: annotations(node, service.stack, (timestamp, duration), random),
            tags,
            debug: false,
            shared: node.shared,
        }
    }

    fn service(&self, node: &Node) -> &'a Service {
        &self.services[node.service]
    }

    fn instance(&self, node: &Node) -> &'a Instance {
        &self.service(node).instances[node.instance]
    }

    fn name(&self, node: &Node) -> String {
        let service = self.service(node);
        match node.activity {
            Activity::Serve { .. } => service.operations[node.operation].span_name.clone(),
            Activity::Call {
                service: to,
                operation,
                ..
            } => {
                let called = &self.services[to].operations[operation];
                match service.stack {
                    Stack::Spring => called.span_name.clone(),
                    Stack::Node | Stack::Threads => called.method.to_lowercase(),
                }
            }
            Activity::Query { statement } => {
                ["select", "select", "update", "insert", "select"][statement].into()
            }
            Activity::Cache { write } => if write { "set" } else { "get" }.into(),
            Activity::Local { step } => LOCAL_STEPS[step].into(),
            Activity::Send { .. } => "send".into(),
            Activity::Receive { .. } => "on-message".into(),
        }
    }

    fn remote(&self, node: &Node, random: &mut Random) -> Option<Endpoint> {
        let service = self.service(node);
        match node.activity {
            // Express does not know who called.
            Activity::Serve { .. } if service.stack == Stack::Node => None,
            Activity::Serve { client: Some(client) } => {
                let from = self.instance(&self.nodes[client]).address;
                let to = self.instance(node).address;
                // A pool of 16 connections between any two instances, each with a port of its own.
                let pair = u64::from(from.to_bits()) << 32 | u64::from(to.to_bits());
                let port = 32_768 + mix(pair ^ random.below(16) as u64) % 28_000;
                Some(address(from, port as u16))
            }
            Activity::Serve { client: None } => {
                let octets = (self.user as u32).to_be_bytes();
                let from = Ipv4Addr::new(80 + octets[3] % 100, octets[1], octets[2], octets[3]);
                Some(address(from, 1_024 + random.below(60_000) as u16))
            }
            Activity::Call {
                service, instance, ..
            } => {
                let to = &self.services[service];
                Some(named(to.name, to.instances[instance].address, to.port))
            }
            Activity::Query { .. } => {
                let database = &service.database;
                Some(named(
                    &database.host,
                    Ipv4Addr::new(10, 200, node.service as u8, 7),
                    database.port,
                ))
            }
            Activity::Cache { .. } => {
                let shard = (node.service % 6) as u8;
                Some(named("redis", Ipv4Addr::new(10, 201, 0, 10 + shard), 6379))
            }
            Activity::Local { .. } => None,
            Activity::Send { .. } | Activity::Receive { .. } => Some(Endpoint {
                service_name: Some("kafka".into()),
                ..Endpoint::default()
            }),
        }
    }

    fn tags(&self, index: usize, offset: &mut u64, random: &mut Random) -> Vec<(String, String)> {
        let node = &self.nodes[index];
        let service = self.service(node);
        let mut tags = Tags(Vec::with_capacity(8));
        let version = match self.old_only {
            Some(old_only) if old_only == node.service => 0,
            _ => self.instance(node).version,
        };
        tags.add("service.version", &service.versions[version]);
        match node.activity {
            Activity::Serve { client } => self.server_tags(node, client, &mut tags, random),
            Activity::Call { .. } => self.client_tags(node, &mut tags, random),
            Activity::Query { statement } => self.query_tags(node, statement, &mut tags, random),
            Activity::Cache { .. } => {
                let what = ["session", "profile"][node.operation % 2];
                tags.add("db.system", "redis");
                tags.add("cache.key", format!("{what}:u-{}", self.user));
                tags.add("cache.hit", random.chance(0.8).to_string());
            }
            Activity::Local { .. } => {
                tags.add(
                    "code.namespace",
                    format!("com.example.{}", service.name.replace('-', ".")),
                );
                tags.add("thread.name", format!("worker-{}", random.below(16)));
            }
            Activity::Send { topic } | Activity::Receive { topic } => {
                let sent = matches!(node.activity, Activity::Send { .. });
                if sent {
                    *offset += 1 + random.below(3) as u64;
                } else {
                    tags.add("kafka.consumer_group", service.name);
                }
                tags.add("kafka.topic", TOPICS[topic]);
                tags.add("kafka.partition", random.below(24).to_string());
                tags.add("kafka.offset", offset.to_string());
            }
        }
        if node.failed {
            tags.add("error", random.pick(&ERRORS));
        }
        tags.0
    }

    fn server_tags(&self, node: &Node, client: Option<usize>, tags: &mut Tags, random: &mut Random) {
        let service = self.service(node);
        let operation = &service.operations[node.operation];
        tags.add("http.method", operation.method);
        tags.add("http.path", self.path(node.service, node.operation, node.subject));
        tags.add("http.status_code", status_code(node, random));
        match service.stack {
            Stack::Spring => {
                tags.add("mvc.controller.class", &operation.controller);
                tags.add("mvc.controller.method", format!("handle{}", node.operation));
            }
            Stack::Node => {
                tags.add("http.route", &operation.route);
                tags.add("http.flavor", "1.1");
                tags.add("otel.scope.name", "@opentelemetry/instrumentation-http");
            }
            Stack::Threads => tags.add("thread.name", format!("http-{}", 1 + random.below(40))),
        }
        if client.is_none() {
            let [high, low] = self.request_id;
            let uuid = format!(
                "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
                high >> 32,
                high >> 16 & 0xffff,
                high & 0xfff,
                low >> 52,
                low & 0xffff_ffff_ffff
            );
            tags.add("http.request_id", uuid);
        }
        if client.is_none() || random.chance(0.4) {
            tags.add("user.id", format!("u-{}", self.user));
        }
    }

    fn client_tags(&self, node: &Node, tags: &mut Tags, random: &mut Random) {
        let Activity::Call {
            service,
            operation,
            instance,
        } = node.activity
        else {
            return;
        };
        let to = &self.services[service];
        let path = self.path(service, operation, node.subject);
        tags.add("http.method", to.operations[operation].method);
        tags.add("http.status_code", status_code(node, random));
        if self.service(node).stack == Stack::Node {
            let address = to.instances[instance].address;
            tags.add("net.peer.name", to.name);
            tags.add("http.url", format!("http://{address}:{}{path}", to.port));
        }
        tags.add("http.path", path);
    }

    fn query_tags(&self, node: &Node, statement: usize, tags: &mut Tags, random: &mut Random) {
        let database = &self.service(node).database;
        tags.add("db.system", database.system);
        tags.add("db.name", database.name);
        tags.add(
            "db.statement",
            self.literals(&database.statements[statement], random),
        );
        if random.chance(0.5) {
            tags.add("db.rows", random.skewed(200, 3.0).to_string());
        }
    }

    /// The path of a request: the same subject of an operation always has the same identifier.
    fn path(&self, service: usize, operation: usize, subject: usize) -> String {
        let number = (service * OPERATIONS + operation) as u64;
        let identifier = 100_000 + mix(number << 32 | subject as u64) % 900_000;
        let route = &self.services[service].operations[operation].route;
        route.replace("{id}", &identifier.to_string())
    }

    /// A statement with its literals, as a driver logs it.
    fn literals(&self, statement: &str, random: &mut Random) -> String {
        let mut written = String::with_capacity(statement.len() + 32);
        let mut rest = statement;
        while let Some((before, after)) = rest.split_once('{') {
            let (what, after) = after.split_once('}').unwrap_or((after, ""));
            written += before;
            written += &match what {
                "user" => self.user.to_string(),
                "small" => (1 + random.below(500)).to_string(),
                "hex" => format!("{:016x}", random.next()),
                _ => (10_000_000 + random.below(5_000_000)).to_string(),
            };
            rest = after;
        }
        written + rest
    }
}

struct Tags(Vec<(String, String)>);

impl Tags {
    fn add(&mut self, key: &str, value: impl Into<TagValue>) {
        self.0.push((key.to_owned(), value.into().0));
    }
}

/// Values are borrowed here and made there.
struct TagValue(String);

impl From<&str> for TagValue {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

impl From<&String> for TagValue {
    fn from(value: &String) -> Self {
        Self(value.clone())
    }
}

impl From<String> for TagValue {
    fn from(value: String) -> Self {
        Self(value)
    }
}

fn kind(activity: Activity) -> Option<Kind> {
    match activity {
        Activity::Serve { .. } => Some(Kind::Server),
        Activity::Call { .. } | Activity::Query { .. } | Activity::Cache { .. } => Some(Kind::Client),
        Activity::Local { .. } => None,
        Activity::Send { .. } => Some(Kind::Producer),
        Activity::Receive { .. } => Some(Kind::Consumer),
    }
}

fn address(address: Ipv4Addr, port: u16) -> Endpoint {
    let mut ip = IpAddresses::default();
    ip.insert(address.into());
    Endpoint {
        service_name: None,
        ip,
        port,
    }
}

fn named(service_name: &str, of: Ipv4Addr, port: u16) -> Endpoint {
    Endpoint {
        service_name: Some(service_name.to_owned()),
        ..address(of, port)
    }
}

fn status_code(node: &Node, random: &mut Random) -> &'static str {
    if node.failed {
        random.pick(&FAILED_STATUS_CODES)
    } else {
        random.pick(&STATUS_CODES)
    }
}

/// Brave notes when bytes went over the wire, now and then; others note an event of their own, rarely.
fn annotations(node: &Node, stack: Stack, times: (u64, u64), random: &mut Random) -> Vec<Annotation> {
    let (timestamp, duration) = times;
    let note = |offset: u64, value: &str| Annotation {
        timestamp: timestamp + offset.min(duration),
        value: value.to_owned(),
    };
    if matches!(node.activity, Activity::Call { .. }) && stack == Stack::Spring && random.chance(0.25) {
        let received = duration.saturating_sub(random.below(60) as u64);
        let mut both = vec![note(20 + random.below(100) as u64, "ws"), note(received, "wr")];
        both.sort();
        both
    } else if random.chance(0.03) {
        vec![note(random.below(duration as usize) as u64, random.pick(&EVENTS))]
    } else {
        Vec::new()
    }
}

//! One request through the services: which spans there are, who caused whom, when, and how long.
//!
//! 1. Steps of operations unfold breadth first until the trace has the size that was drawn.
//! 2. Durations come from the leaves up: what a span waits for is inside it.
//! 3. Begins come from the root down, one step after the other or side by side.

use std::collections::VecDeque;

use super::Rollout;
use super::random::Random;
use super::topology::{ENTRANCES, OPERATIONS, Service, Step};
use super::vocabulary::LOCAL_STEPS;

pub(super) const SPANS_MIN: usize = 5;
pub(super) const SPANS_MAX: usize = 60;
/// Identifiers in the paths of one operation: 240 operations have one, so 50,000 paths in all.
pub(super) const SUBJECTS: usize = 210;
const DEPTH_MAX: usize = 8;
const ERROR_RATE: f64 = 0.01;
/// Not every request needs every step.
const STEP_RATE: f64 = 0.85;
/// A call reaches one of so many neighbouring operations, as its parameters decide.
const OPERATIONS_OF_A_STEP: usize = 5;

/// A span to be.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Which of the services, of its operations, of its instances.
    pub(super) service: usize,
    pub(super) operation: usize,
    pub(super) instance: usize,
    pub(super) activity: Activity,
    pub(super) id: u64,
    /// The id written as its parent's.
    pub(super) parent_id: Option<u64>,
    pub(super) shared: bool,
    /// Which identifier is in the path, below [`SUBJECTS`].
    pub(super) subject: usize,
    pub(super) failed: bool,
    /// Microseconds, from the begin of the trace.
    pub(super) begin_us: f64,
    pub(super) duration_us: f64,
    children: Vec<usize>,
    depth: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    /// Answers a request of the node that is given, or of the world outside.
    Serve {
        client: Option<usize>,
    },
    Call {
        service: usize,
        operation: usize,
        instance: usize,
    },
    Query {
        statement: usize,
    },
    Cache {
        write: bool,
    },
    Local {
        step: usize,
    },
    Send {
        topic: usize,
    },
    Receive {
        topic: usize,
    },
}

/// The nodes of one trace; a parent comes before its children.
pub(super) fn unfold(services: &[Service], rollout: Option<Rollout>, random: &mut Random) -> Vec<Node> {
    let size = (random.log_normal(17.3, 0.58) as usize).clamp(SPANS_MIN, SPANS_MAX);
    let service = random.pick(&[0, 0, 1, 1, ENTRANCES - 1]);
    let mut unfolding = Unfolding {
        services,
        random,
        nodes: Vec::with_capacity(size),
        size,
        open: VecDeque::from([0]),
    };
    unfolding.enter(service);
    while unfolding.nodes.len() < size {
        // A small trace of the root's steps is gone through again: requests loop over things.
        let next = unfolding.open.pop_front().unwrap_or(0);
        unfolding.serve(next);
    }
    let mut nodes = unfolding.nodes;
    last(&mut nodes, services, rollout, random);
    begin(&mut nodes, services, random);
    nodes
}

struct Unfolding<'a> {
    services: &'a [Service],
    random: &'a mut Random,
    nodes: Vec<Node>,
    size: usize,
    /// Those that serve and have not been gone through.
    open: VecDeque<usize>,
}

impl Unfolding<'_> {
    fn enter(&mut self, service: usize) {
        let root = Node {
            service,
            operation: self.random.skewed(OPERATIONS, 1.6),
            instance: self.random.below(self.services[service].instances.len()),
            activity: Activity::Serve { client: None },
            id: self.random.next(),
            parent_id: None,
            shared: false,
            subject: self.random.skewed(SUBJECTS, 1.2),
            failed: false,
            begin_us: 0.0,
            duration_us: 0.0,
            children: Vec::new(),
            depth: 0,
        };
        self.nodes.push(root);
    }

    fn serve(&mut self, index: usize) {
        let node = &self.nodes[index];
        if node.depth >= DEPTH_MAX {
            return;
        }
        let services = self.services;
        for &step in &services[node.service].operations[node.operation].steps {
            match self.size - self.nodes.len() {
                0 => return,
                _ if !self.random.chance(STEP_RATE) => {}
                1 => {
                    let step = self.random.below(LOCAL_STEPS.len());
                    self.take(index, Step::Local { step });
                }
                _ => self.take(index, step),
            }
        }
    }

    fn take(&mut self, parent: usize, step: Step) {
        match step {
            Step::Call { service, operation } => {
                let operation = self.vary(operation);
                let instance = self.random.below(self.services[service].instances.len());
                let activity = Activity::Call {
                    service,
                    operation,
                    instance,
                };
                let client = self.child(parent, activity);
                self.nodes[client].subject = self.random.skewed(SUBJECTS, 1.2);
                self.far_side(client, (service, operation, instance), None);
            }
            Step::Query { statement } => {
                self.child(parent, Activity::Query { statement });
            }
            Step::Cache => {
                let write = self.random.chance(0.3);
                self.child(parent, Activity::Cache { write });
            }
            Step::Local { step } => {
                self.child(parent, Activity::Local { step });
            }
            Step::Send {
                topic,
                service,
                operation,
            } => {
                let operation = self.vary(operation);
                let instance = self.random.below(self.services[service].instances.len());
                let producer = self.child(parent, Activity::Send { topic });
                self.far_side(producer, (service, operation, instance), Some(topic));
            }
        }
    }

    fn vary(&mut self, operation: usize) -> usize {
        (operation + self.random.skewed(OPERATIONS_OF_A_STEP, 1.5)) % OPERATIONS
    }

    /// A span of the instance that serves `parent`.
    fn child(&mut self, parent: usize, activity: Activity) -> usize {
        let above = &self.nodes[parent];
        let node = Node {
            activity,
            id: self.random.next(),
            parent_id: Some(above.id),
            shared: false,
            children: Vec::new(),
            depth: above.depth + 1,
            ..*above
        };
        self.add(parent, node)
    }

    /// Who serves the call, or receives the message, of `client`.
    fn far_side(&mut self, client: usize, to: (usize, usize, usize), topic: Option<usize>) {
        let (service, operation, instance) = to;
        let near = &self.nodes[client];
        let stack = |service: usize| self.services[service].stack;
        let both_share = [near.service, service]
            .iter()
            .all(|&service| stack(service) == super::topology::Stack::Spring);
        let shared = both_share && topic.is_none();
        let node = Node {
            service,
            operation,
            instance,
            activity: match topic {
                Some(topic) => Activity::Receive { topic },
                None => Activity::Serve { client: Some(client) },
            },
            id: if shared { near.id } else { self.random.next() },
            parent_id: if shared { near.parent_id } else { Some(near.id) },
            shared,
            children: Vec::new(),
            ..*near
        };
        let index = self.add(client, node);
        self.open.push_back(index);
    }

    fn add(&mut self, parent: usize, node: Node) -> usize {
        let index = self.nodes.len();
        self.nodes[parent].children.push(index);
        self.nodes.push(node);
        index
    }
}

fn is_parallel(node: &Node, services: &[Service]) -> bool {
    matches!(node.activity, Activity::Serve { .. })
        && services[node.service].operations[node.operation].parallel
}

/// How long each takes: its own time and what it waits for.
fn last(nodes: &mut [Node], services: &[Service], rollout: Option<Rollout>, random: &mut Random) {
    let factor = |node: &Node| match rollout {
        Some(rollout)
            if rollout.service == node.service
                && services[node.service].instances[node.instance].version == 1 =>
        {
            1.0 + rollout.slower
        }
        _ => 1.0,
    };
    for index in (0..nodes.len()).rev() {
        let node = &nodes[index];
        let median = services[node.service].operations[node.operation].median_us;
        let own = match node.activity {
            Activity::Serve { .. } | Activity::Receive { .. } => {
                random.log_normal(median * factor(node), 0.5)
            }
            Activity::Call { .. } => random.log_normal(600.0, 0.6),
            Activity::Query { .. } => random.log_normal(1_200.0, 0.9),
            Activity::Cache { .. } => random.log_normal(350.0, 0.4),
            Activity::Local { .. } => random.log_normal(400.0, 0.8),
            Activity::Send { .. } => random.log_normal(900.0, 0.5),
        };
        let durations = node.children.iter().map(|&child| nodes[child].duration_us);
        let waits = match node.activity {
            // Nobody waits for who receives a message.
            Activity::Send { .. } => 0.0,
            _ if is_parallel(node, services) => durations.fold(0.0, f64::max),
            _ => durations.sum(),
        };
        let failed = random.chance(ERROR_RATE);
        nodes[index].duration_us = own + waits;
        nodes[index].failed = failed;
    }
}

/// When each begins.
fn begin(nodes: &mut [Node], services: &[Service], random: &mut Random) {
    for index in 0..nodes.len() {
        let (begin_us, parallel) = (nodes[index].begin_us, is_parallel(&nodes[index], services));
        let mut offset = match nodes[index].activity {
            // Time on the wire.
            Activity::Call { .. } | Activity::Send { .. } => 100.0 + random.unit() * 400.0,
            _ => nodes[index].duration_us * 0.02 + random.unit() * 200.0,
        };
        for child in std::mem::take(&mut nodes[index].children) {
            nodes[child].begin_us = begin_us + offset;
            offset += if parallel {
                20.0 + random.unit() * 30.0
            } else {
                nodes[child].duration_us + random.unit() * 50.0
            };
        }
    }
}

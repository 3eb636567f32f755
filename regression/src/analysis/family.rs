//! What can convict a deployment: a small family of quantities that are its service's own, so that nobody looks at
//! everything and then asks who is guilty.

use model::{CallSums, Callee, Kind, NameNumber, OperationNumber};

use super::comparison::Compared;
use super::traces::{NodeNumber, Traces};

/// A quantity that a version decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// What one call of an operation takes by itself.
    OwnTime { operation: OperationNumber },
    /// What a call from an operation takes beyond the answer.
    OutgoingGap(CallSite),
    /// What calls to an operation take beyond its answer.
    IncomingGap { operation: OperationNumber },
    /// How long an operation's call is worked on by whom it calls.
    CalleeTime(CallSite),
    /// How often an operation makes a call.
    Calls(CallSite),
    /// How much of what an operation calls runs side by side.
    Overlap { operation: OperationNumber },
    /// How many of its calls fail although nothing they called did.
    Errors { operation: OperationNumber },
}

/// How values of a quantity are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// Microseconds.
    Time,
    /// Calls.
    Count,
    /// Failed or not.
    Share,
}

/// Where a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CallSite {
    /// The operation that calls.
    pub(super) caller: OperationNumber,
    /// The call as it is recorded there.
    pub(super) operation: OperationNumber,
    /// Who answers, or is known to be asked.
    pub(super) callee: OperationNumber,
    /// Whether the callee has spans of its own.
    pub(super) is_instrumented: bool,
}

/// Which of the sums of a call is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Calls,
    OwnTime,
    /// What others took to answer.
    Answer,
    Overlap,
    FailedFirst,
}

/// A quantity as a ratio of sums over calls of a trace.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) what: What,
    field: Field,
    numerator: Vec<NodeNumber>,
    denominator: Vec<NodeNumber>,
}

/// A quantity in one trace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observation {
    /// Place among the traces that are compared.
    pub(super) position: u32,
    pub(super) numerator: f64,
    pub(super) denominator: f64,
}

impl What {
    /// Whether it is what a call takes, and not what it saves.
    pub(super) fn is_time_of_a_call(self) -> bool {
        self.scale() == Scale::Time && !matches!(self, Self::Overlap { .. })
    }

    pub(super) fn scale(self) -> Scale {
        match self {
            Self::Calls(_) => Scale::Count,
            Self::Errors { .. } => Scale::Share,
            _ => Scale::Time,
        }
    }

    /// The operation whose behaviour it is.
    pub(super) fn operation(self) -> OperationNumber {
        match self {
            Self::OwnTime { operation }
            | Self::IncomingGap { operation }
            | Self::Overlap { operation }
            | Self::Errors { operation } => operation,
            Self::OutgoingGap(site) | Self::CalleeTime(site) | Self::Calls(site) => site.caller,
        }
    }
}

impl Member {
    /// The calls whose time or number it is.
    pub(super) fn nodes(&self) -> &[NodeNumber] {
        &self.numerator
    }
}

/// The family of a service, or of all where none was deployed; in the order of what it is about.
pub(super) fn family(traces: &Traces<'_>, service: Option<NameNumber>) -> Vec<Member> {
    let is_own = |operation: OperationNumber| {
        service.is_none_or(|service| traces.operation(operation).service == service)
    };
    let mut found: Vec<(What, Field, NodeNumber)> = Vec::new();
    for (number, call) in traces.calls().iter().enumerate() {
        let node = number as NodeNumber;
        let operation = call.operation;
        if call.callee == Callee::None && is_own(operation) && !is_call(traces, operation) {
            found.push((What::OwnTime { operation }, Field::OwnTime, node));
            found.push((What::Overlap { operation }, Field::Overlap, node));
            found.push((What::Errors { operation }, Field::FailedFirst, node));
        }
        let (callee, is_instrumented) = match call.callee {
            Callee::None => continue,
            Callee::Instrumented(callee) => (callee, true),
            Callee::Uninstrumented(callee) => (callee, false),
        };
        if is_own(operation) {
            let site = CallSite {
                caller: call.caller.unwrap_or(operation),
                operation,
                callee,
                is_instrumented,
            };
            found.push((What::Calls(site), Field::Calls, node));
            if is_instrumented {
                found.push((What::OutgoingGap(site), Field::OwnTime, node));
                found.push((What::CalleeTime(site), Field::Answer, node));
            } else {
                found.push((What::CalleeTime(site), Field::OwnTime, node));
            }
        } else if is_instrumented && is_own(callee) {
            found.push((What::IncomingGap { operation: callee }, Field::OwnTime, node));
        }
    }
    found.sort_unstable_by_key(|&(what, _, node)| (what, node));
    let of_what = found.chunk_by(|one, next| one.0 == next.0);
    of_what.map(|same| member(traces, same)).collect()
}

/// A span that only says that something was called.
pub(super) fn is_call(traces: &Traces<'_>, operation: OperationNumber) -> bool {
    matches!(
        traces.operation(operation).kind,
        Some(Kind::Client | Kind::Producer)
    )
}

fn member(traces: &Traces<'_>, same: &[(What, Field, NodeNumber)]) -> Member {
    let (what, field, _) = same[0];
    let numerator: Vec<NodeNumber> = same.iter().map(|(.., node)| *node).collect();
    let denominator = match what {
        What::Calls(site) => {
            let nodes = traces.calls().iter().enumerate();
            let of_caller = nodes.filter(|(_, call)| call.operation == site.caller);
            of_caller.map(|(node, _)| node as NodeNumber).collect()
        }
        _ => numerator.clone(),
    };
    Member {
        what,
        field,
        numerator,
        denominator,
    }
}

/// Which members a call counts for.
struct Roles {
    starts: Vec<u32>,
    roles: Vec<Role>,
}

#[derive(Clone, Copy)]
struct Role {
    member: u32,
    /// In the numerator; `None` for the denominator.
    field: Option<Field>,
}

impl Roles {
    fn of(members: &[&Member], nodes: usize) -> Self {
        let mut roles: Vec<(NodeNumber, Role)> = Vec::new();
        for (number, member) in members.iter().enumerate() {
            let role = |field| Role {
                member: number as u32,
                field,
            };
            roles.extend(
                member
                    .numerator
                    .iter()
                    .map(|&node| (node, role(Some(member.field)))),
            );
            roles.extend(member.denominator.iter().map(|&node| (node, role(None))));
        }
        roles.sort_by_key(|(node, _)| *node);
        let starts = (0..=nodes).map(|node| roles.partition_point(|(of, _)| (*of as usize) < node) as u32);
        Self {
            starts: starts.collect(),
            roles: roles.into_iter().map(|(_, role)| role).collect(),
        }
    }

    fn of_node(&self, node: NodeNumber) -> &[Role] {
        let node = node as usize;
        &self.roles[self.starts[node] as usize..self.starts[node + 1] as usize]
    }
}

/// The observations of every member, in the order of the traces that are compared: one pass over them.
pub(super) fn observe(
    traces: &Traces<'_>,
    compared: &[Compared],
    members: &[&Member],
) -> Vec<Vec<Observation>> {
    let roles = Roles::of(members, traces.calls().len());
    let mut sums = vec![(0.0f64, 0.0f64); members.len()];
    let mut met: Vec<u32> = Vec::new();
    let mut observed = vec![Vec::new(); members.len()];
    for (position, one) in compared.iter().enumerate() {
        for (node, call) in traces.calls_of(&traces.all()[one.trace as usize]) {
            for role in roles.of_node(node) {
                let sum = &mut sums[role.member as usize];
                match role.field {
                    Some(field) => sum.0 += amount(call, field),
                    None => {
                        if sum.1 == 0.0 {
                            met.push(role.member);
                        }
                        sum.1 += f64::from(call.calls);
                    }
                }
            }
        }
        for member in met.drain(..) {
            let (numerator, denominator) = std::mem::take(&mut sums[member as usize]);
            observed[member as usize].push(Observation {
                position: position as u32,
                numerator,
                denominator,
            });
        }
    }
    observed
}

fn amount(call: &CallSums, field: Field) -> f64 {
    match field {
        Field::Calls => f64::from(call.calls),
        Field::OwnTime => call.self_micros as f64,
        Field::Answer => call.duration_micros.saturating_sub(call.self_micros) as f64,
        Field::Overlap => call.overlap_micros as f64,
        Field::FailedFirst => f64::from(call.failed_first),
    }
}

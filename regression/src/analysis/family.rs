//! What can convict a deployment: a small family of quantities that are its service's own, so that nobody looks at
//! everything and then asks who is guilty.

use model::{Call, CallSums, Callee, Kind, NameNumber, OperationNumber};

use super::comparison::Compared;
use super::traces::{NodeNumber, Traces};

/// A quantity that a version decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// What one call of an operation takes by itself, its local spans included.
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
    /// [`Self::OwnTime`] in requests that entered by one operation of several: a version may take longer for some only.
    OwnTimeFor {
        operation: OperationNumber,
        entry: OperationNumber,
    },
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
    /// Ascending.
    numerator: Vec<NodeNumber>,
    per: Per,
}

/// Of which calls there must be one for a trace to tell the quantity.
#[derive(Clone, Debug)]
enum Per {
    /// These.
    Nodes(Vec<NodeNumber>),
    /// All of an operation, whatever else is asked per call of it.
    Operation(OperationNumber),
}

/// A quantity in one trace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observation {
    /// Place among the traces that are compared.
    pub(super) position: u32,
    pub(super) numerator: f64,
    pub(super) denominator: f64,
}

impl Observation {
    pub(super) fn per_call(&self) -> f64 {
        self.numerator / self.denominator
    }
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

    /// The operation that all requests entered by that tell it; `None` where that may be any.
    pub(super) fn entry(self) -> Option<OperationNumber> {
        match self {
            Self::OwnTimeFor { entry, .. } => Some(entry),
            _ => None,
        }
    }

    /// The operation whose own time it is, if it is that.
    pub(super) fn own_time_of(self) -> Option<OperationNumber> {
        match self {
            Self::OwnTime { operation } | Self::OwnTimeFor { operation, .. } => Some(operation),
            _ => None,
        }
    }

    /// The operation whose behaviour it is.
    pub(super) fn operation(self) -> OperationNumber {
        match self {
            Self::OwnTime { operation }
            | Self::IncomingGap { operation }
            | Self::Overlap { operation }
            | Self::Errors { operation }
            | Self::OwnTimeFor { operation, .. } => operation,
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
    let owners = Owners::of(traces);
    let mut found: Vec<(What, Field, NodeNumber)> = Vec::new();
    for (number, call) in traces.calls().iter().enumerate() {
        let node = number as NodeNumber;
        let operation = call.operation;
        if call.callee == Callee::None && is_own(operation) && !is_call(traces, operation) {
            let of = owners.of_call(traces, call);
            found.push((What::OwnTime { operation: of }, Field::OwnTime, node));
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
    let mut members: Vec<Member> = of_what.map(|same| member(traces, same)).collect();
    members.extend(by_entry(traces, &members));
    members.sort_unstable_by_key(|member| member.what);
    members
}

/// Entry operations of which one operation's time is asked apart; of more, those with most traces.
const ENTRIES_MAX: usize = 8;
/// Traces that such an entry operation has at least, of both sides.
const ENTRY_TRACES_MIN: u32 = 16;

/// The own times of operations that are reached by more than one entry operation, for each of these.
fn by_entry(traces: &Traces<'_>, members: &[Member]) -> Vec<Member> {
    let mut member_of: Vec<Option<u32>> = vec![None; traces.calls().len()];
    for (number, member) in members.iter().enumerate() {
        if let What::OwnTime { .. } = member.what {
            let nodes = member.numerator.iter();
            nodes.for_each(|&node| member_of[node as usize] = Some(number as u32));
        }
    }
    let mut met: Vec<(u32, OperationNumber, u32)> = Vec::new();
    for (number, trace) in traces.all().iter().enumerate() {
        let nodes = traces.calls_of(trace);
        met.extend(nodes.filter_map(|(node, _)| {
            let member = member_of[node as usize]?;
            Some((member, trace.entry, number as u32))
        }));
    }
    met.sort_unstable();
    met.dedup();
    let mut entries: Vec<(u32, u32, OperationNumber)> = met
        .chunk_by(|one, next| (one.0, one.1) == (next.0, next.1))
        .map(|of_entry| (of_entry[0].0, of_entry.len() as u32, of_entry[0].1))
        .filter(|&(_, traces, _)| traces >= ENTRY_TRACES_MIN)
        .collect();
    entries.sort_unstable_by_key(|&(member, traces, entry)| (member, std::cmp::Reverse(traces), entry));
    let of_members = entries.chunk_by(|one, next| one.0 == next.0);
    let several = of_members.filter(|entries| entries.len() > 1);
    several
        .flat_map(|entries| &entries[..entries.len().min(ENTRIES_MAX)])
        .map(|&(member, _, entry)| {
            let all = &members[member as usize];
            let operation = all.what.operation();
            Member {
                what: What::OwnTimeFor { operation, entry },
                ..all.clone()
            }
        })
        .collect()
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
    let per = match what {
        What::Calls(site) => Per::Operation(site.caller),
        What::OwnTime { operation } => {
            let is_its_call = |&node: &NodeNumber| traces.calls()[node as usize].operation == operation;
            Per::Nodes(numerator.iter().copied().filter(is_its_call).collect())
        }
        _ => Per::Nodes(numerator.clone()),
    };
    Member {
        what,
        field,
        numerator,
        per,
    }
}

/// Whose work local spans are: that of the operation that a service was asked for, if there is only one. Spans only
/// divide it, and what a version changes may be spread over them.
struct Owners {
    /// By operation.
    owners: Vec<Owner>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Unknown,
    One(OperationNumber),
    /// Or none that answers calls.
    Several,
}

impl Owners {
    /// Hands owners down from callers to what they call. An operation changes twice at most, so this is linear.
    fn of(traces: &Traces<'_>) -> Self {
        let mut owners = vec![Owner::Unknown; traces.table.operations().len()];
        let mut parts: Vec<(OperationNumber, OperationNumber)> = Vec::new();
        let mut changed: Vec<OperationNumber> = Vec::new();
        for call in traces.calls() {
            let operation = call.operation;
            match part_of(traces, call) {
                Some(caller) => parts.push((caller, operation)),
                None => {
                    let owner = &mut owners[operation as usize];
                    if call.callee == Callee::None && !is_call(traces, operation) {
                        *owner = Owner::One(operation);
                    } else if *owner == Owner::Unknown {
                        *owner = Owner::Several;
                    }
                    changed.push(operation);
                }
            }
        }
        parts.sort_unstable();
        parts.dedup();
        while let Some(caller) = changed.pop() {
            let from = parts.partition_point(|(of, _)| *of < caller);
            let of_caller = parts[from..].iter().take_while(|(of, _)| *of == caller);
            for &(_, part) in of_caller {
                let joined = match (owners[part as usize], owners[caller as usize]) {
                    (Owner::Unknown, other) => other,
                    (known, other) if known == other => known,
                    _ => Owner::Several,
                };
                if joined != owners[part as usize] {
                    owners[part as usize] = joined;
                    changed.push(part);
                }
            }
        }
        Self { owners }
    }

    /// The operation that what a call takes by itself is counted for.
    fn of_call(&self, traces: &Traces<'_>, call: &Call) -> OperationNumber {
        let owner = part_of(traces, call).map(|caller| self.owners[caller as usize]);
        match owner {
            Some(Owner::One(owner)) => owner,
            _ => call.operation,
        }
    }
}

/// Who called, where that is within the service and for nobody else: by a local span, or by a call from under one.
fn part_of(traces: &Traces<'_>, call: &Call) -> Option<OperationNumber> {
    let is_asked_for = matches!(
        traces.operation(call.operation).kind,
        Some(Kind::Server | Kind::Consumer)
    );
    let service = traces.operation(call.operation).service;
    let is_within = |caller: &OperationNumber| traces.operation(*caller).service == service;
    call.caller.filter(is_within).filter(|_| !is_asked_for)
}

/// Things of nodes, those of each together.
struct ByNode<T> {
    starts: Vec<usize>,
    things: Vec<(NodeNumber, T)>,
}

impl<T> ByNode<T> {
    fn of(mut things: Vec<(NodeNumber, T)>, nodes: usize) -> Self {
        things.sort_by_key(|(node, _)| *node);
        let starts = (0..=nodes).map(|node| things.partition_point(|(of, _)| (*of as usize) < node));
        Self {
            starts: starts.collect(),
            things,
        }
    }

    fn of_node(&self, node: NodeNumber) -> &[(NodeNumber, T)] {
        let node = node as usize;
        &self.things[self.starts[node]..self.starts[node + 1]]
    }
}

/// Which members a call counts for.
struct Roles {
    numerators: ByNode<(u32, Field)>,
    /// Divisors by number: those of all members that are per call of the same calls are one.
    denominators: ByNode<u32>,
    /// By divisor.
    members: Vec<Vec<u32>>,
}

impl Roles {
    fn of(traces: &Traces<'_>, family: &[&Member]) -> Self {
        let mut numerators = Vec::new();
        let mut denominators: Vec<(NodeNumber, u32)> = Vec::new();
        let mut members: Vec<Vec<u32>> = Vec::new();
        let mut of_operation: Vec<Option<u32>> = vec![None; traces.table.operations().len()];
        for (number, member) in family.iter().enumerate() {
            let number = number as u32;
            let of_numerator = member.numerator.iter();
            numerators.extend(of_numerator.map(|&node| (node, (number, member.field))));
            let new = members.len() as u32;
            let divisor = match &member.per {
                Per::Nodes(nodes) => {
                    denominators.extend(nodes.iter().map(|&node| (node, new)));
                    new
                }
                Per::Operation(operation) => *of_operation[*operation as usize].get_or_insert(new),
            };
            if divisor == new {
                members.push(Vec::new());
            }
            members[divisor as usize].push(number);
        }
        for (node, call) in traces.calls().iter().enumerate() {
            let divisor = of_operation[call.operation as usize];
            denominators.extend(divisor.map(|divisor| (node as NodeNumber, divisor)));
        }
        Self {
            numerators: ByNode::of(numerators, traces.calls().len()),
            denominators: ByNode::of(denominators, traces.calls().len()),
            members,
        }
    }
}

/// The observations of every member, in the order of the traces that are compared: one pass over them.
pub(super) fn observe(
    traces: &Traces<'_>,
    compared: &[Compared],
    family: &[&Member],
) -> Vec<Vec<Observation>> {
    let roles = Roles::of(traces, family);
    let mut numerators = vec![0.0f64; family.len()];
    let mut denominators = vec![0.0f64; roles.members.len()];
    let (mut met, mut touched): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
    let mut observed = vec![Vec::new(); family.len()];
    for (position, one) in compared.iter().enumerate() {
        for (node, call) in traces.calls_of(&traces.all()[one.trace as usize]) {
            for &(_, (member, field)) in roles.numerators.of_node(node) {
                numerators[member as usize] += amount(call, field);
                touched.push(member);
            }
            for &(_, divisor) in roles.denominators.of_node(node) {
                let calls = &mut denominators[divisor as usize];
                if *calls == 0.0 {
                    met.push(divisor);
                }
                *calls += f64::from(call.calls);
            }
        }
        for divisor in met.drain(..) {
            let denominator = std::mem::take(&mut denominators[divisor as usize]);
            for &member in &roles.members[divisor as usize] {
                observed[member as usize].push(Observation {
                    position: position as u32,
                    numerator: numerators[member as usize],
                    denominator,
                });
            }
        }
        // Also what a trace has without what it is divided by.
        for member in touched.drain(..) {
            numerators[member as usize] = 0.0;
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

//! All traces that an analysis looks at, with one numbering of what was called, whatever they came from.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use model::{
    Call, Instance, InstanceNumber, Operation, OperationNumber, ProfileTable, Renumbering, TraceProfile,
};
use model::{CallSums, Callee};
use storage::Profiles;

/// The number of a call: who calls whom for what.
pub(super) type NodeNumber = u32;

/// Operations and instances of one answer; more have no number of their own.
const ENTRIES_MAX: usize = 1 << 20;

/// Traces by time, of one or two answers.
#[derive(Debug)]
pub(super) struct Traces<'a> {
    pub(super) table: ProfileTable,
    parts: Vec<Renumbering>,
    traces: Vec<Trace<'a>>,
    /// Of every call of every trace, in their order.
    nodes: Vec<NodeNumber>,
    /// Of the same, where they ran, as of the table.
    instances: Vec<InstanceNumber>,
    /// By number, as of the table.
    calls: Vec<Call>,
}

/// A trace, and where its calls are numbered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trace<'a> {
    pub(super) profile: &'a TraceProfile,
    /// Of which of the answers it is.
    pub(super) part: usize,
    /// As of the table.
    pub(super) entry: OperationNumber,
    first_node: usize,
}

impl<'a> Traces<'a> {
    pub(super) fn of(answers: &[&'a Profiles]) -> Self {
        let mut table = ProfileTable::new(ENTRIES_MAX);
        let parts: Vec<Renumbering> = answers.iter().map(|answer| table.absorb(&answer.table)).collect();
        let mut traces = Vec::with_capacity(answers.iter().map(|answer| answer.profiles.len()).sum());
        for (part, answer) in answers.iter().enumerate() {
            traces.extend(answer.profiles.iter().map(|profile| Trace {
                profile,
                part,
                entry: parts[part].operation(profile.entry.operation),
                first_node: 0,
            }));
        }
        traces.sort_by_key(|trace: &Trace<'_>| (trace.profile.timestamp, trace.profile.trace_id, trace.part));
        let mut all = Self {
            table,
            parts,
            traces,
            nodes: Vec::new(),
            instances: Vec::new(),
            calls: Vec::new(),
        };
        all.number_calls();
        all
    }

    /// Numbers calls in the order in which they are met.
    fn number_calls(&mut self) {
        let mut known: HashMap<Call, NodeNumber, RandomState> = HashMap::default();
        // Of each operation: calls of one are mostly the same.
        let mut latest: Vec<Option<(Call, NodeNumber)>> = vec![None; self.table.operations().len()];
        for trace in &mut self.traces {
            trace.first_node = self.nodes.len();
            let part = &self.parts[trace.part];
            for sums in &trace.profile.calls {
                let call = renumbered(sums.place.call, part);
                let latest = &mut latest[call.operation as usize];
                let number = match *latest {
                    Some((same, number)) if same == call => number,
                    _ => *known.entry(call).or_insert_with(|| {
                        self.calls.push(call);
                        (self.calls.len() - 1) as NodeNumber
                    }),
                };
                *latest = Some((call, number));
                self.nodes.push(number);
                self.instances.push(part.instance(sums.place.instance));
            }
        }
    }

    pub(super) fn all(&self) -> &[Trace<'a>] {
        &self.traces
    }

    /// All calls by number.
    pub(super) fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// What was called in a trace, by number.
    pub(super) fn calls_of(
        &self,
        trace: &Trace<'a>,
    ) -> impl Iterator<Item = (NodeNumber, &'a CallSums)> + '_ {
        let nodes = &self.nodes[trace.first_node..][..trace.profile.calls.len()];
        nodes.iter().copied().zip(&trace.profile.calls)
    }

    /// Where the calls of a trace ran, in their order, as of the table.
    pub(super) fn instances_of(&self, trace: &Trace<'a>) -> &[InstanceNumber] {
        &self.instances[trace.first_node..][..trace.profile.calls.len()]
    }

    pub(super) fn operation(&self, number: OperationNumber) -> Operation {
        self.table.operations()[number as usize]
    }

    pub(super) fn instance(&self, number: InstanceNumber) -> Instance {
        self.table.instances()[number as usize]
    }
}

fn renumbered(call: Call, part: &Renumbering) -> Call {
    Call {
        caller: call.caller.map(|caller| part.operation(caller)),
        operation: part.operation(call.operation),
        callee: match call.callee {
            Callee::None => Callee::None,
            Callee::Instrumented(callee) => Callee::Instrumented(part.operation(callee)),
            Callee::Uninstrumented(callee) => Callee::Uninstrumented(part.operation(callee)),
        },
    }
}

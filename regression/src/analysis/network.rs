//! Who calls whom, in any trace.

use model::{NameNumber, OperationNumber};

use super::traces::{NodeNumber, Traces};

/// All calls by who makes them.
pub(super) struct Network {
    /// Caller, called and call; ascending.
    made: Vec<(OperationNumber, OperationNumber, NodeNumber)>,
    operations: usize,
}

impl Network {
    pub(super) fn of(traces: &Traces<'_>) -> Self {
        let calls = traces.calls().iter().enumerate();
        let mut made: Vec<_> = calls
            .filter_map(|(node, call)| Some((call.caller?, call.operation, node as NodeNumber)))
            .collect();
        made.sort_unstable();
        Self {
            made,
            operations: traces.table.operations().len(),
        }
    }

    /// Which operations run because one of these does, themselves too; by operation.
    fn reached(&self, from: impl IntoIterator<Item = OperationNumber>) -> Vec<bool> {
        let mut is_reached = vec![false; self.operations];
        let mut open: Vec<OperationNumber> = from.into_iter().collect();
        while let Some(caller) = open.pop() {
            if !std::mem::replace(&mut is_reached[caller as usize], true) {
                let first = self.made.partition_point(|(other, ..)| *other < caller);
                let made = self.made[first..]
                    .iter()
                    .take_while(|(other, ..)| *other == caller);
                open.extend(made.map(|&(_, called, _)| called));
            }
        }
        is_reached
    }

    /// Which operations run because any of a service does, its own too; by operation.
    pub(super) fn reached_by(&self, traces: &Traces<'_>, service: NameNumber) -> Vec<bool> {
        let operations = 0..self.operations as OperationNumber;
        self.reached(operations.filter(|&operation| traces.operation(operation).service == service))
    }

    /// All calls that are made because an operation runs.
    pub(super) fn below(&self, operation: OperationNumber) -> impl Iterator<Item = NodeNumber> {
        let is_reached = self.reached([operation]);
        let made = self.made.iter();
        made.filter(move |(caller, ..)| is_reached[*caller as usize])
            .map(|&(.., node)| node)
    }
}

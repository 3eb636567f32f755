//! What the comparison of versions needs of one trace, and nothing else of its spans: where the time of its entry
//! span went, to the microsecond, and how often what was called, by whom, and who answered.
//!
//! The entry span's interval is cut along the critical path, and every piece belongs to one *key*: the self time of an
//! operation, or the gap of an edge, which is what a call takes beyond the answer: network, queues, pools. So the
//! pieces of a profile add up to the duration of its entry span, whatever else is wrong with the trace.
//!
//! Operations and instances are numbers of a [`ProfileTable`].

mod profiler;
mod relations;
mod table;

pub use profiler::{ArrangedTrace, TraceProfiler};
pub use table::{Instance, InstanceNumber, Operation, OperationNumber, ProfileTable, Renumbering, SpanFacts};

use crate::{TimeCut, TraceId};

/// What is known of one trace. Two traces of the same spans have equal profiles, in whatever order the spans came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceProfile {
    /// Of all its spans.
    pub trace_id: TraceId,
    /// What windows go by, microseconds since the epoch: [`crate::trace_timestamp`].
    pub timestamp: u64,
    /// What the trace entered by.
    pub entry: Entry,
    /// How much of the reported time could not be true, after clocks were aligned.
    pub cut: TimeCut,
    /// Every span is in exactly one of these; ascending by [`CallSums::place`], each once.
    pub calls: Vec<CallSums>,
}

/// The span that a trace entered by: its root, or where that is missing or not timed, the first to start of the spans
/// without a caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// What it does.
    pub operation: OperationNumber,
    /// Microseconds; `None` if no span of the trace has both a timestamp and a duration.
    pub duration: Option<u64>,
    /// Whether it failed.
    pub failed: bool,
}

/// What an operation does for a caller, and whom it calls for that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Call {
    /// The operation right above; `None` at the top of a trace.
    pub caller: Option<OperationNumber>,
    /// What is called.
    pub operation: OperationNumber,
    /// What it calls, if it is one side of a call.
    pub callee: Callee,
}

/// Who is on the other side of an operation that calls another service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Callee {
    /// It calls nobody, or nobody knows whom.
    #[default]
    None,
    /// An operation with spans of its own: the first that answered.
    Instrumented(OperationNumber),
    /// An operation without spans, known by its caller only.
    Uninstrumented(OperationNumber),
}

/// What carries time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// What an operation takes by itself.
    SelfTime(OperationNumber),
    /// What a call takes beyond the answer.
    Gap {
        /// The operation that calls.
        caller: OperationNumber,
        /// The operation that answers.
        callee: OperationNumber,
    },
}

impl Call {
    /// The operations it names, as often as it names them.
    pub fn operations(self) -> impl Iterator<Item = OperationNumber> {
        let callee = match self.callee {
            Callee::None => None,
            Callee::Instrumented(callee) | Callee::Uninstrumented(callee) => Some(callee),
        };
        [self.caller, Some(self.operation), callee].into_iter().flatten()
    }

    /// Whom its own time belongs to: itself, the edge to whom it calls, or whom it calls where that has no spans.
    pub fn key(self) -> Key {
        match self.callee {
            Callee::None => Key::SelfTime(self.operation),
            Callee::Instrumented(callee) => Key::Gap {
                caller: self.operation,
                callee,
            },
            Callee::Uninstrumented(callee) => Key::SelfTime(callee),
        }
    }
}

/// Which call it is, and which instances took part in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallPlace {
    /// Who calls whom.
    pub call: Call,
    /// Where the operation ran.
    pub instance: InstanceNumber,
    /// Where its caller ran; instance 0 where it has none.
    pub caller_instance: InstanceNumber,
}

/// Sums over the spans of a trace that are the same call at the same place. Sums stay at the greatest number once they
/// reach it, but that of the path, which cannot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallSums {
    /// Which spans.
    pub place: CallPlace,
    /// How many, joined as [`crate::merge`] joins them.
    pub calls: u32,
    /// Those that failed.
    pub failed: u32,
    /// Those that failed although nothing they called did.
    pub failed_first: u32,
    /// Those that follow a failed sibling: the call before, from the same span to the same operation, failed.
    pub retries: u32,
    /// Microseconds on the critical path: the piece of [`Call::key`].
    pub path_micros: u64,
    /// Self times, on the critical path or not.
    pub self_micros: u64,
    /// Durations.
    pub duration_micros: u64,
    /// By how much what was called ran side by side: [`crate::Timeline::self_time_and_overlap`].
    pub overlap_micros: u64,
}

impl TraceProfile {
    /// The pieces of the entry span; of several calls with one key, each by itself. They add up to its duration.
    pub fn pieces(&self) -> impl Iterator<Item = (Key, u64)> + '_ {
        self.calls
            .iter()
            .map(|sums| (sums.place.call.key(), sums.path_micros))
    }

    /// The instances that took part, each once, ascending.
    pub fn instances(&self) -> Vec<InstanceNumber> {
        let mut instances: Vec<_> = self.calls.iter().map(|sums| sums.place.instance).collect();
        instances.sort_unstable();
        instances.dedup();
        instances
    }

    /// The profile with numbers of another table.
    pub fn renumber(&mut self, renumbering: &Renumbering) {
        self.translate(renumbering);
        self.calls.sort_unstable_by_key(|sums| sums.place);
    }

    /// As [`TraceProfile::renumber`], but leaves the calls in the order they have: of many profiles on their way through
    /// several tables, putting them in order each time costs as much as reading them.
    pub fn translate(&mut self, renumbering: &Renumbering) {
        self.entry.operation = renumbering.operation(self.entry.operation);
        for sums in &mut self.calls {
            let CallPlace {
                call,
                instance,
                caller_instance,
            } = &mut sums.place;
            call.caller = call.caller.map(|caller| renumbering.operation(caller));
            call.operation = renumbering.operation(call.operation);
            call.callee = match call.callee {
                Callee::None => Callee::None,
                Callee::Instrumented(callee) => Callee::Instrumented(renumbering.operation(callee)),
                Callee::Uninstrumented(callee) => Callee::Uninstrumented(renumbering.operation(callee)),
            };
            *instance = renumbering.instance(*instance);
            *caller_instance = renumbering.instance(*caller_instance);
        }
    }
}

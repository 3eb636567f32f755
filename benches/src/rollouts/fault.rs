//! What a new version does worse, and how that is made of a size: of every cause that the specification names.

use serde::Serialize;

use super::means::Means;
use super::topology::{Call, Reported, Topology};
use super::truth::Cause;

/// A way in which a version can be worse, as scenarios are asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Every request takes so much longer.
    SelfTimeConstant,
    /// Every request takes so many times as long.
    SelfTimeProportional,
    /// One request in twenty takes much longer.
    SelfTimeTail,
    /// One in five does.
    SelfTimeFifth,
    /// All requests of one entry operation do.
    SelfTimeOneEndpoint,
    /// Every operation of the service takes so many times as long.
    SelfTimeWholeService,
    /// A query a row in place of one (N + 1).
    MoreCalls,
    /// A call to something that was not called.
    NewCall,
    /// Attempts that fail, and others after them.
    Retries,
    /// Calls that were made at once are made one after the other.
    SerializedCalls,
    /// The callee has more to do for what this version asks of it.
    SlowerCallee,
    /// Calls wait before they leave: a pool that is too small, connections made anew.
    QueueingAtCaller,
    /// Requests wait before they are accepted.
    QueueingAtCallee,
    /// Requests fail after they were worked on.
    ErrorsSlow,
    /// Requests fail at once, which makes the service look faster.
    ErrorsFast,
    /// It does less: found, and never blamed.
    Improvement,
}

impl Kind {
    /// Everything that makes something worse.
    pub const FAULTS: [Self; 15] = [
        Self::SelfTimeConstant,
        Self::SelfTimeProportional,
        Self::SelfTimeTail,
        Self::SelfTimeFifth,
        Self::SelfTimeOneEndpoint,
        Self::SelfTimeWholeService,
        Self::MoreCalls,
        Self::NewCall,
        Self::Retries,
        Self::SerializedCalls,
        Self::SlowerCallee,
        Self::QueueingAtCaller,
        Self::QueueingAtCallee,
        Self::ErrorsSlow,
        Self::ErrorsFast,
    ];

    /// As scenarios are called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SelfTimeConstant => "self_time-constant",
            Self::SelfTimeProportional => "self_time-proportional",
            Self::SelfTimeTail => "self_time-tail",
            Self::SelfTimeFifth => "self_time-fifth",
            Self::SelfTimeOneEndpoint => "self_time-endpoint",
            Self::SelfTimeWholeService => "self_time-service",
            Self::MoreCalls => "more_calls",
            Self::NewCall => "new_call",
            Self::Retries => "retries",
            Self::SerializedCalls => "serialized_calls",
            Self::SlowerCallee => "slower_callee",
            Self::QueueingAtCaller => "queueing-caller",
            Self::QueueingAtCallee => "queueing-callee",
            Self::ErrorsSlow => "errors-slow",
            Self::ErrorsFast => "errors-fast",
            Self::Improvement => "improvement",
        }
    }

    /// What an analysis should call it.
    pub const fn cause(self) -> Cause {
        match self {
            Self::SelfTimeConstant
            | Self::SelfTimeProportional
            | Self::SelfTimeTail
            | Self::SelfTimeFifth
            | Self::SelfTimeOneEndpoint
            | Self::SelfTimeWholeService
            | Self::Improvement => Cause::SelfTime,
            Self::MoreCalls => Cause::MoreCalls,
            Self::NewCall => Cause::NewCall,
            Self::Retries => Cause::Retries,
            Self::SerializedCalls => Cause::SerializedCalls,
            Self::SlowerCallee => Cause::SlowerCallee,
            Self::QueueingAtCaller | Self::QueueingAtCallee => Cause::Queueing,
            Self::ErrorsSlow | Self::ErrorsFast => Cause::Errors,
        }
    }

    /// Whether every operation of the service has it.
    const fn is_of_service(self) -> bool {
        matches!(
            self,
            Self::SelfTimeWholeService | Self::QueueingAtCaller | Self::QueueingAtCallee
        )
    }
}

/// What one operation of a new version does otherwise.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// Which rollout brought it, and the service and handler that have it.
    pub(super) deployment: usize,
    pub(super) service: usize,
    pub(super) handler: usize,
    pub(super) kind: Kind,
    /// See [`super::truth::Culprit::size`].
    pub(super) size: f64,
    pub(super) change: Change,
    /// Only requests of this entry operation have it.
    pub(super) entry: Option<usize>,
    /// What it calls otherwise: a handler.
    pub(super) callee: Option<usize>,
}

/// How a visit changes.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Own work is `factor` times as long and `micros` longer, in a share of the requests.
    Own { factor: f64, micros: f64, share: f64 },
    /// A call is made so many more times, on average.
    MoreCalls { step: usize, call: usize, extra: f64 },
    /// At the end this is called, so many times on average.
    NewCall { call: Call, times: f64 },
    /// A first attempt of a call fails in a share of the requests.
    Retries { step: usize, call: usize, share: f64 },
    /// Calls of a step are made one after the other, in a share of the requests.
    Serialized { step: usize, share: f64 },
    /// The callee works so many microseconds longer.
    Heavier { step: usize, call: usize, micros: f64 },
    /// Calls leave so many microseconds later, on average.
    CallerGap { micros: f64 },
    /// Requests are accepted so many microseconds later, on average.
    CalleeGap { micros: f64 },
    /// A share of the requests fail, at once or after the work.
    Errors { rate: f64, is_fast: bool },
}

/// Share of the requests of a tail, and of a fifth.
const TAIL_SHARE: f64 = 0.05;
const FIFTH_SHARE: f64 = 0.2;
/// Calls that one request makes at most, on average, more than before.
const EXTRA_CALLS_MAX: f64 = 40.0;
/// Own work of an operation that is made slower: a tenth more is then a millisecond.
const OWN_MICROS_MIN: f64 = 10_000.0;
/// Share of the requests in which a changed operation takes part, at least.
const VISITED_MIN: f64 = 0.25;
const RETRIED_MAX: f64 = 0.9;

/// A change, the size that it comes to, and what is called otherwise.
struct Made {
    change: Change,
    size: f64,
    callee: Option<usize>,
}

impl Made {
    fn new(change: Change, size: f64) -> Self {
        Self {
            change,
            size,
            callee: None,
        }
    }

    fn to(self, callee: usize) -> Self {
        Self {
            callee: Some(callee),
            ..self
        }
    }
}

/// Where faults of a kind can be, on what was seen of a system.
pub(super) struct Choice<'a> {
    pub(super) topology: &'a Topology,
    pub(super) means: &'a Means,
}

impl Choice<'_> {
    /// Handlers of services that can be deployed, that take part in enough requests, and that somebody waits for.
    pub(super) fn handlers(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.topology.handlers.len()).filter(|&handler| {
            let service = self.topology.handlers[handler].service;
            let mut calls = self
                .topology
                .calls()
                .filter(|(_, _, _, call)| call.callee == handler);
            let is_message = |call: &Call| call.reported == Reported::Message;
            self.topology.services[service].is_instrumented
                && self.means.visits[handler] >= VISITED_MIN
                && (service == 0 || calls.any(|(_, _, _, call)| !is_message(call)))
        })
    }

    /// Handlers that can have a fault of this kind.
    pub(super) fn able(&self, kind: Kind) -> Vec<usize> {
        let is_able = |&handler: &usize| match kind {
            Kind::MoreCalls | Kind::Retries | Kind::SlowerCallee => self.call_of(handler).is_some(),
            Kind::NewCall => self.uncalled(handler).is_some(),
            Kind::SerializedCalls => self.parallel_step(handler).is_some(),
            Kind::QueueingAtCaller => !self.topology.handlers[handler].steps.is_empty(),
            // What enters a system is not seen to wait.
            Kind::QueueingAtCallee => self.topology.handlers[handler].service != 0,
            Kind::ErrorsSlow | Kind::ErrorsFast => true,
            _ => self.means.own[handler] >= OWN_MICROS_MIN,
        };
        self.handlers().filter(is_able).collect()
    }

    /// The first call that is waited for and nearly always made.
    fn call_of(&self, handler: usize) -> Option<(usize, usize)> {
        let steps = self.topology.handlers[handler].steps.iter().enumerate();
        let mut calls = steps.flat_map(|(step, found)| (0..found.calls.len()).map(move |call| (step, call)));
        calls.find(|&(step, call)| {
            let call = &self.topology.handlers[handler].steps[step].calls[call];
            call.probability == 1.0 && call.reported != Reported::Message
        })
    }

    fn parallel_step(&self, handler: usize) -> Option<usize> {
        let steps = &self.topology.handlers[handler].steps;
        steps.iter().position(|step| {
            step.is_parallel
                && step
                    .calls
                    .iter()
                    .filter(|call| call.reported != Reported::Message)
                    .count()
                    > 1
        })
    }

    /// A handler that this one does not call, and that calls nothing above itself.
    fn uncalled(&self, handler: usize) -> Option<usize> {
        let service = self.topology.handlers[handler].service;
        let called = |callee: usize| {
            let steps = self.topology.handlers[handler].steps.iter();
            steps
                .flat_map(|step| &step.calls)
                .any(|call| call.callee == callee)
        };
        (0..handler).rev().find(|&callee| {
            let found = &self.topology.handlers[callee];
            found.service != service && !called(callee) && self.means.visits[callee] > 0.0
        })
    }

    /// A fault of this kind at a handler; of kinds that a whole service has, one for each handler of it.
    /// `None` where it cannot have it.
    pub(super) fn faults(
        &self,
        kind: Kind,
        size: f64,
        handler: usize,
        deployment: usize,
    ) -> Option<Vec<Fault>> {
        let service = self.topology.handlers[handler].service;
        let at: Vec<usize> = if kind.is_of_service() {
            let visited = |&found: &usize| self.means.visits[found] > 0.0;
            self.topology.handlers_of(service).filter(visited).collect()
        } else {
            vec![handler]
        };
        let fault = |handler: usize| {
            let Made { change, size, callee } = self.change(kind, size, handler)?;
            Some(Fault {
                deployment,
                service,
                handler,
                kind,
                size,
                change,
                entry: (kind == Kind::SelfTimeOneEndpoint).then(|| self.means.main_entry[handler]),
                callee,
            })
        };
        let faults: Vec<Fault> = at.into_iter().filter_map(fault).collect();
        (!faults.is_empty()).then_some(faults)
    }

    /// What makes a handler worse by this size.
    fn change(&self, kind: Kind, size: f64, handler: usize) -> Option<Made> {
        let added = size * self.means.duration[handler];
        match kind {
            Kind::MoreCalls | Kind::NewCall | Kind::Retries | Kind::SlowerCallee => {
                self.of_call(kind, added, handler)
            }
            Kind::SerializedCalls => self.serialized(added, handler),
            Kind::QueueingAtCaller => {
                let steps = self.topology.handlers[handler].steps.iter();
                let waited = steps.map(|step| if step.is_parallel { 1 } else { step.calls.len() });
                let waited: usize = waited.sum();
                let micros = added / waited as f64;
                (waited > 0).then(|| Made::new(Change::CallerGap { micros }, size))
            }
            Kind::QueueingAtCallee => Some(Made::new(Change::CalleeGap { micros: added }, size)),
            Kind::ErrorsSlow | Kind::ErrorsFast => {
                let is_fast = kind == Kind::ErrorsFast;
                Some(Made::new(Change::Errors { rate: size, is_fast }, size))
            }
            _ => Some(self.of_own_work(kind, size, handler)),
        }
    }

    fn of_own_work(&self, kind: Kind, size: f64, handler: usize) -> Made {
        let added = size * self.means.own[handler];
        let (factor, micros, share) = match kind {
            Kind::SelfTimeConstant => (1.0, added, 1.0),
            Kind::SelfTimeTail => (1.0, added / TAIL_SHARE, TAIL_SHARE),
            Kind::SelfTimeFifth => (1.0, added / FIFTH_SHARE, FIFTH_SHARE),
            _ => (1.0 + size, 0.0, 1.0),
        };
        Made::new(
            Change::Own {
                factor,
                micros,
                share,
            },
            size,
        )
    }

    /// Calls that add so many microseconds to a handler, or come as near as they may.
    fn of_call(&self, kind: Kind, added: f64, handler: usize) -> Option<Made> {
        let whole = self.means.duration[handler];
        if kind == Kind::NewCall {
            let callee = self.uncalled(handler)?;
            let micros = self.means.call(callee);
            let times = (added / micros).min(EXTRA_CALLS_MAX);
            let call = self.new_call(callee);
            return Some(Made::new(Change::NewCall { call, times }, times * micros / whole).to(callee));
        }
        let (step, call) = self.call_of(handler)?;
        let callee = self.topology.handlers[handler].steps[step].calls[call].callee;
        let micros = self.means.call(callee);
        let (change, gained) = match kind {
            Kind::MoreCalls => {
                let extra = (added / micros).min(EXTRA_CALLS_MAX);
                (Change::MoreCalls { step, call, extra }, extra * micros)
            }
            Kind::Retries => {
                let share = (added / micros).min(RETRIED_MAX);
                (Change::Retries { step, call, share }, share * micros)
            }
            _ => (
                Change::Heavier {
                    step,
                    call,
                    micros: added,
                },
                added,
            ),
        };
        Some(Made::new(change, gained / whole).to(callee))
    }

    fn serialized(&self, added: f64, handler: usize) -> Option<Made> {
        let step = self.parallel_step(handler)?;
        let calls = &self.topology.handlers[handler].steps[step].calls;
        let micros = || {
            calls
                .iter()
                .map(|call| call.probability * self.means.call(call.callee))
        };
        let most = micros().sum::<f64>() - micros().fold(0.0, f64::max);
        let share = (added / most).min(1.0);
        let size = share * most / self.means.duration[handler];
        Some(Made::new(Change::Serialized { step, share }, size))
    }

    /// As others call it.
    fn new_call(&self, callee: usize) -> Call {
        let others = self
            .topology
            .calls()
            .find(|(_, _, _, call)| call.callee == callee);
        let mut call = others.map_or_else(
            || unreachable!("what was visited and is no entry was called"),
            |(_, _, _, call)| call.clone(),
        );
        call.probability = 1.0;
        if call.reported == Reported::Message {
            call.reported = Reported::Separate;
        }
        call
    }
}

//! Which traces are compared: who served them, when, and whether they were warm.

use model::{Deployment, InstanceNumber, NameNumber, ServingVersions};

use crate::report::{Design, LeftOut};

use super::options::Options;
use super::serving::{Served, Serving, Versions, find_served};
use super::side::Side;
use super::traces::{Trace, Traces};

/// Traces a side of an entry operation below which not even the plainest change is told.
pub(super) const FEW_TRACES_MIN: usize = 6;

/// Microseconds of a minute.
pub(super) const MINUTE: u64 = 60_000_000;

/// What is known of a trace beside its profile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) served: Served,
    /// Where the service first took part.
    pub(super) instance: InstanceNumber,
    pub(super) is_warm: bool,
    /// Neither its entry nor the service failed to answer, and it has a duration: its times can be compared.
    pub(super) is_answered: bool,
}

/// When a rollout began and was over, microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Switch {
    pub(super) start: u64,
    /// `None` while both versions serve.
    pub(super) end: Option<u64>,
}

/// The traces of a comparison, by number and side.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) design: Design,
    pub(super) traces: Vec<(usize, Side)>,
    /// Microseconds, of either side.
    pub(super) windows: [(u64, u64); 2],
    pub(super) not_comparable: u64,
    /// So few that only the plainest change is believed.
    pub(super) is_small: bool,
}

/// Finds out who served every trace. `service` is the deployed one.
pub(super) fn find_facts(
    traces: &Traces<'_>,
    service: NameNumber,
    serving: &ServingVersions<'_>,
    versions: Versions<'_>,
) -> Vec<Facts> {
    let question = Serving {
        service,
        serving,
        versions,
    };
    let served = find_served(traces, &[question]).pop().unwrap_or_default();
    let first_instance = |trace: &Trace<'_>| {
        let mut instances = traces.instances_of(trace).iter().copied();
        instances.find(|&number| traces.instance(number).service == service)
    };
    let facts = traces.all().iter().zip(served).map(|(trace, served)| Facts {
        served,
        instance: first_instance(trace).unwrap_or(0),
        is_warm: true,
        is_answered: is_answered(traces, trace, Some(service)),
    });
    facts.collect()
}

/// Whether the times of a trace can be compared. What failed is counted as failed: it may have failed at once.
pub(super) fn is_answered(traces: &Traces<'_>, trace: &Trace<'_>, service: Option<NameNumber>) -> bool {
    let entry = trace.profile.entry;
    let has_failed = |(node, sums): (u32, &model::CallSums)| {
        if sums.failed == 0 {
            return false;
        }
        let operation = traces.operation(traces.calls()[node as usize].operation);
        let is_client = matches!(operation.kind, Some(model::Kind::Client | model::Kind::Producer));
        !is_client && Some(operation.service) == service
    };
    entry.duration.is_some() && !entry.failed && !traces.calls_of(trace).any(has_failed)
}

/// Marks the traces of the candidate that an instance served when it was new. Of what has no address nobody knows which
/// process it is, and when that began: it counts as warm.
pub(super) fn mark_cold(traces: &Traces<'_>, facts: &mut [Facts], declared: &Deployment, warm_up: u64) {
    let mut began = vec![u64::MAX; traces.table.instances().len()];
    for (trace, facts) in traces.all().iter().zip(&*facts) {
        if facts.served == Served::By(Side::Candidate) {
            let first = &mut began[facts.instance as usize];
            *first = trace.profile.timestamp.min(*first);
        }
    }
    let start = declared.start_ts.saturating_mul(1000);
    for (trace, facts) in traces.all().iter().zip(facts) {
        let began = began[facts.instance as usize];
        let is_new = began >= start && !traces.instance(facts.instance).ip.is_empty();
        facts.is_warm = facts.served != Served::By(Side::Candidate)
            || !is_new
            || trace.profile.timestamp >= began.saturating_add(warm_up);
    }
}

/// When both versions no longer served: as declared, else after the last trace of the baseline, if enough follows.
pub(super) fn find_switch(
    traces: &Traces<'_>,
    facts: &[Facts],
    deployment: &Deployment,
    options: &Options,
) -> Switch {
    let start = deployment.start_ts.saturating_mul(1000);
    let declared = deployment.end_ts.map(|end| end.saturating_mul(1000));
    let last_of_baseline = || {
        let after = traces.all().iter().zip(facts).rev();
        let mut of_candidate = 0;
        for (trace, facts) in after {
            match facts.served {
                Served::By(Side::Candidate) => of_candidate += 1,
                Served::By(Side::Baseline) | Served::Both => {
                    let last = trace.profile.timestamp.max(start);
                    return (of_candidate >= options.min_traces).then_some(last);
                }
                _ => {}
            }
        }
        None
    };
    Switch {
        start,
        end: declared.or_else(last_of_baseline),
    }
}

/// The traces of minutes in which both versions served, those of cold instances left out.
pub(super) fn choose_concurrent(traces: &Traces<'_>, facts: &[Facts], from: u64) -> Chosen {
    let minute = |trace: &Trace<'_>| trace.profile.timestamp / MINUTE;
    let first = traces.all().first().map_or(0, minute);
    let last = traces.all().last().map_or(0, minute);
    let mut served = vec![[0u32; 2]; (last - first) as usize + 1];
    let usable = || {
        traces
            .all()
            .iter()
            .zip(facts)
            .enumerate()
            .filter_map(|(number, (trace, facts))| {
                let Served::By(side) = facts.served else {
                    return None;
                };
                (facts.is_warm && trace.profile.timestamp >= from).then_some((number, trace, side))
            })
    };
    for (_, trace, side) in usable() {
        served[(minute(trace) - first) as usize][side as usize] += 1;
    }
    let mut chosen = Chosen {
        design: Design::Concurrent,
        traces: Vec::new(),
        windows: [(u64::MAX, 0); 2],
        not_comparable: 0,
        is_small: false,
    };
    for (number, trace, side) in usable() {
        if served[(minute(trace) - first) as usize].contains(&0) {
            chosen.not_comparable += 1;
        } else {
            chosen.add(number, trace.profile.timestamp, side);
        }
    }
    chosen
}

/// The traces before and after a rollout, of windows of equal length: as long as enough traces need.
pub(super) fn choose_before_after(
    traces: &Traces<'_>,
    facts: &[Facts],
    switch: Switch,
    until: u64,
    options: &Options,
) -> Option<Chosen> {
    let end = switch.end?;
    let usable = |side: Side| {
        traces
            .all()
            .iter()
            .zip(facts)
            .enumerate()
            .filter_map(move |(number, (trace, facts))| {
                let is_inside = match side {
                    Side::Baseline => trace.profile.timestamp < switch.start,
                    Side::Candidate => trace.profile.timestamp > end && trace.profile.timestamp <= until,
                };
                let is_usable = facts.is_warm && is_inside && facts.served == Served::By(side);
                is_usable.then_some((number, trace.profile.timestamp))
            })
    };
    let (shortest, longest) = (options.window_min_ms * 1000, options.window_max_ms * 1000);
    let longest = longest.min(until.saturating_sub(end)).max(shortest);
    // How long each side takes for enough of them.
    let before: Vec<u64> = usable(Side::Baseline).map(|(_, at)| switch.start - at).collect();
    let after: Vec<u64> = usable(Side::Candidate).map(|(_, at)| at - end).collect();
    let enough_before = before.iter().rev().nth(options.window_traces).copied();
    let enough_after = after.get(options.window_traces).copied();
    let length = match (enough_before, enough_after) {
        (Some(before), Some(after)) => before.max(after).clamp(shortest, longest),
        _ => longest,
    };
    let mut chosen = Chosen {
        design: Design::BeforeAfter,
        traces: Vec::new(),
        windows: [(u64::MAX, 0); 2],
        not_comparable: 0,
        is_small: false,
    };
    for side in [Side::Baseline, Side::Candidate] {
        for (number, at) in usable(side) {
            let away = match side {
                Side::Baseline => switch.start - at,
                Side::Candidate => at - end,
            };
            if away <= length {
                chosen.add(number, at, side);
            } else {
                chosen.not_comparable += 1;
            }
        }
    }
    Some(chosen)
}

impl Chosen {
    pub(super) fn add(&mut self, number: usize, at: u64, side: Side) {
        self.traces.push((number, side));
        let window = &mut self.windows[side as usize];
        *window = (window.0.min(at), window.1.max(at));
    }

    pub(super) fn count(&self, wanted: Side) -> usize {
        self.traces.iter().filter(|(_, side)| *side == wanted).count()
    }

    /// Whether each side has so many traces of an entry operation, for most of what the candidate serves; or twice as
    /// many of several, each with a handful: whoever has many entry operations has few requests of each, and together
    /// they tell as much.
    pub(super) fn is_enough(&self, traces: &Traces<'_>, min_traces: usize) -> bool {
        let mut counts = vec![[0usize; 2]; traces.table.operations().len()];
        for &(number, side) in &self.traces {
            counts[traces.all()[number].entry as usize][side as usize] += 1;
        }
        let served = self.count(Side::Candidate);
        // Of entry operations with as many on each side.
        let is_enough = |each: usize, in_all: usize| {
            let comparable = || {
                counts
                    .iter()
                    .filter(|sides| sides.iter().all(|&count| count >= each))
            };
            let of = |side: Side| comparable().map(|sides| sides[side as usize]).sum::<usize>();
            of(Side::Candidate) * 2 > served && of(Side::Baseline).min(of(Side::Candidate)) >= in_all
        };
        is_enough(min_traces, min_traces) || is_enough(FEW_TRACES_MIN.min(min_traces), 2 * min_traces)
    }
}

/// Counts what is in no comparison because of who served it, among traces from a moment on.
pub(super) fn count_left_out(traces: &Traces<'_>, facts: &[Facts], from: u64) -> LeftOut {
    let mut left_out = LeftOut::default();
    for (trace, facts) in traces.all().iter().zip(facts) {
        if trace.profile.timestamp < from {
            continue;
        }
        match facts.served {
            Served::Both => left_out.both_versions += 1,
            Served::Unknown => left_out.unknown_version += 1,
            Served::Other => left_out.not_comparable += 1,
            Served::By(_) => left_out.warm_up += u64::from(!facts.is_warm),
        }
    }
    left_out
}

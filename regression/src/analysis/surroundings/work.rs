//! What the deployed service did for each trace by itself, against what is usual for the same calls of the same version.

use std::collections::BTreeMap;

use model::{Callee, InstanceNumber};

use super::super::family::is_call;
use super::super::serving::Served;
use super::super::side::Side;
use super::Scene;

/// What an instance did for a trace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// Microseconds.
    pub(super) at: u64,
    pub(super) instance: InstanceNumber,
    pub(super) side: Side,
    /// Microseconds since the instance began with the new version; `None` of the old version, of one that served
    /// before the rollout, and where instances have no address.
    pub(super) age: Option<u64>,
    /// The logarithm of how many times as long it took as usual.
    pub(super) times: f64,
}

/// Sums over the calls of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct Usual {
    micros: f64,
    calls: f64,
}

/// All of it, by time, of traces that were served by one version that is known.
pub(super) fn works(scene: &Scene<'_>) -> Vec<Work> {
    let usual = usual(scene);
    let mut works: Vec<Work> = Vec::new();
    for (trace, facts) in scene.traces.all().iter().zip(scene.facts) {
        let Served::By(side) = facts.served else { continue };
        let mut sums: BTreeMap<InstanceNumber, (f64, f64)> = BTreeMap::new();
        for (node, instance, micros, calls) in own_calls(scene, trace) {
            let found = usual[node as usize][side as usize];
            let expected = found.micros / found.calls.max(1.0) * calls;
            let sum = sums.entry(instance).or_default();
            sum.0 += micros;
            sum.1 += expected;
        }
        let long = sums.iter().filter(|(_, sum)| sum.1 >= 1.0);
        works.extend(long.map(|(&instance, &(micros, expected))| Work {
            at: trace.profile.timestamp,
            instance,
            side,
            age: None,
            times: (micros.max(1.0) / expected).ln(),
        }));
    }
    add_ages(scene, &mut works);
    works
}

/// What was usual, by call and side.
fn usual(scene: &Scene<'_>) -> Vec<[Usual; 2]> {
    let mut usual = vec![[Usual::default(); 2]; scene.traces.calls().len()];
    for (trace, facts) in scene.traces.all().iter().zip(scene.facts) {
        let Served::By(side) = facts.served else { continue };
        for (node, _, micros, calls) in own_calls(scene, trace) {
            let sum = &mut usual[node as usize][side as usize];
            sum.micros += micros;
            sum.calls += calls;
        }
    }
    usual
}

/// Number, instance, own time and count of calls in a trace that the service answered. What failed may have failed at
/// once.
fn own_calls<'a>(
    scene: &'a Scene<'_>,
    trace: &'a super::super::traces::Trace<'a>,
) -> impl Iterator<Item = (u32, InstanceNumber, f64, f64)> + 'a {
    let calls = scene.traces.calls_of(trace);
    let placed = calls.zip(scene.traces.instances_of(trace));
    placed.filter_map(move |((node, sums), &instance)| {
        let call = scene.traces.calls()[node as usize];
        let is_own = scene.traces.operation(call.operation).service == scene.service
            && call.callee == Callee::None
            && !is_call(scene.traces, call.operation)
            && sums.failed == 0;
        is_own.then(|| (node, instance, sums.self_micros as f64, f64::from(sums.calls)))
    })
}

fn add_ages(scene: &Scene<'_>, works: &mut [Work]) {
    let mut began = vec![u64::MAX; scene.traces.table.instances().len()];
    for work in works.iter().filter(|work| work.side == Side::Candidate) {
        let first = &mut began[work.instance as usize];
        *first = work.at.min(*first);
    }
    for work in works.iter_mut().filter(|work| work.side == Side::Candidate) {
        let began = began[work.instance as usize];
        let has_address = scene.traces.instance(work.instance).ip != model::IpAddresses::default();
        work.age = (has_address && began >= scene.start).then(|| work.at - began);
    }
}

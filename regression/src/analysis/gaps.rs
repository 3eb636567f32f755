//! Whose gap is it? What a call takes beyond the answer may be the caller's (its pool, its event loop) or the
//! callee's (it accepts late): told by who else sees it.

use model::{Callee, OperationNumber};

use crate::report::{Cause, Design, Explanation};
use crate::statistics::Arms;

use super::cause::{Sizes, Suspect};
use super::family::{CallSite, What};
use super::study::Study;

/// A call between two operations, and how much longer it waits than before.
struct EdgeChange {
    caller: OperationNumber,
    callee: OperationNumber,
    is_instrumented: bool,
    /// Microseconds a call.
    change: f64,
}

/// Calls a side from which on an edge is a witness.
const CALLS_MIN: f64 = 10.0;
/// An edge grew if it did by this share of what the suspected one did.
const LIKEWISE: f64 = 0.4;

/// Gives gaps and slow callees to whom they belong, and makes one of what is one.
pub(super) fn settle(study: &Study<'_>, sizes: &Sizes<'_>, suspects: &mut Vec<Suspect>) {
    let edges = edges(study);
    join_waiting(study, &edges, suspects);
    for suspect in suspects.iter_mut() {
        match (study.members[suspect.member].what, suspect.cause) {
            (What::IncomingGap { operation }, Cause::Queueing) => incoming(study, &edges, operation, suspect),
            (What::OutgoingGap(site), Cause::Queueing) => outgoing(study, &edges, site, suspect),
            (What::CalleeTime(site), Cause::SlowerCallee) => callee(study, site, suspect),
            _ => {}
        }
    }
    suspects.retain(|suspect| sizes.moves_an_entry(suspect));
}

/// A call between two operations while its times are added up.
#[derive(Clone, Copy)]
struct EdgeSums {
    caller: OperationNumber,
    callee: OperationNumber,
    is_instrumented: bool,
    calls: Arms<f64>,
    /// Microseconds, as if both sides had made as many calls as the candidate.
    times: Arms<f64>,
}

impl EdgeSums {
    fn is_same_call(&self, other: &Self) -> bool {
        (self.caller, self.callee, self.is_instrumented)
            == (other.caller, other.callee, other.is_instrumented)
    }
}

/// Every call of the comparison that is waited for, by caller and callee.
fn edges(study: &Study<'_>) -> Vec<EdgeChange> {
    let mut sums: Vec<EdgeSums> = Vec::new();
    for (node, arms) in study.sums.iter().flat_map(|stratum| &stratum.nodes) {
        let call = study.traces.calls()[*node as usize];
        let (callee, is_instrumented) = match call.callee {
            Callee::None => continue,
            Callee::Instrumented(callee) => (callee, true),
            Callee::Uninstrumented(callee) => (callee, false),
        };
        if arms.baseline.calls == 0.0 || arms.candidate.calls == 0.0 {
            continue;
        }
        sums.push(EdgeSums {
            caller: call.caller.unwrap_or(call.operation),
            callee,
            is_instrumented,
            calls: arms.map(|sums| sums.calls),
            times: Arms {
                baseline: arms.baseline.own / arms.baseline.calls * arms.candidate.calls,
                candidate: arms.candidate.own,
            },
        });
    }
    sums.sort_by_key(|sums| (sums.caller, sums.callee, sums.is_instrumented));
    let edges = sums.chunk_by(EdgeSums::is_same_call).filter_map(|same| {
        let add = |of: fn(&EdgeSums) -> f64| same.iter().map(of).sum::<f64>();
        let candidate_calls = add(|sums| sums.calls.candidate);
        let enough = add(|sums| sums.calls.baseline).min(candidate_calls) >= CALLS_MIN;
        let longer = add(|sums| sums.times.candidate - sums.times.baseline);
        enough.then(|| EdgeChange {
            caller: same[0].caller,
            callee: same[0].callee,
            is_instrumented: same[0].is_instrumented,
            change: longer / candidate_calls,
        })
    });
    edges.collect()
}

/// The share of edges that changed as one did.
fn likewise<'e>(edges: impl Iterator<Item = &'e EdgeChange>, change: f64) -> (usize, usize) {
    let (mut same, mut all) = (0, 0);
    for edge in edges {
        all += 1;
        let is_same = edge.change * change.signum() >= LIKEWISE * change.abs();
        same += usize::from(is_same);
    }
    (same, all)
}

fn share((same, all): (usize, usize)) -> f64 {
    if all == 0 { 0.0 } else { same as f64 / all as f64 }
}

fn change_of(study: &Study<'_>, member: usize) -> f64 {
    study.evidence[member]
        .as_ref()
        .map_or(0.0, |found| found.change.estimate)
}

/// Calls of one service that all wait longer wait for it: its pool, its loop. Made one suspect for each operation.
fn join_waiting(study: &Study<'_>, edges: &[EdgeChange], suspects: &mut Vec<Suspect>) {
    let is_waiting = |suspect: &Suspect| match study.members[suspect.member].what {
        What::OutgoingGap(site) => Some(site),
        What::CalleeTime(site) if !site.is_instrumented => Some(site),
        _ => None,
    };
    let mut callers: Vec<OperationNumber> = suspects
        .iter()
        .filter_map(is_waiting)
        .map(|site| site.caller)
        .collect();
    callers.sort_unstable();
    callers.dedup();
    for caller in callers {
        let mine: Vec<usize> = (0..suspects.len())
            .filter(|&number| is_waiting(&suspects[number]).is_some_and(|site| site.caller == caller))
            .collect();
        let first = suspects[mine[0]].clone();
        let change = mine
            .iter()
            .map(|&number| change_of(study, suspects[number].member))
            .fold(f64::INFINITY, |least, change| {
                if change.abs() < least.abs() { change } else { least }
            });
        let service = study.traces.operation(caller).service;
        let of_service = |edge: &&EdgeChange| study.traces.operation(edge.caller).service == service;
        let from_here = likewise(edges.iter().filter(|edge| edge.caller == caller), change);
        let from_service = likewise(edges.iter().filter(of_service), change);
        // Everything that it calls, and more than one thing.
        let all_wait = from_here.0 == from_here.1 && from_service.1 >= 2 && share(from_service) >= 0.75;
        let is_seen_elsewhere = mine.iter().all(|&number| {
            let Some(site) = is_waiting(&suspects[number]) else {
                return false;
            };
            let others = |edge: &&EdgeChange| edge.callee == site.callee && !of_service(edge);
            let seen = likewise(edges.iter().filter(others), change);
            seen.1 > 0 && share(seen) > 0.5
        });
        if !all_wait || is_seen_elsewhere {
            continue;
        }
        let mut joined = Suspect {
            cause: Cause::Queueing,
            members: mine.iter().map(|&number| suspects[number].member).collect(),
            ..first
        };
        for &number in &mine[1..] {
            let other = suspects[number].clone();
            join(&mut joined, &other);
        }
        let mut number = 0;
        suspects.retain(|_| {
            number += 1;
            !mine.contains(&(number - 1))
        });
        suspects.push(joined);
    }
}

fn join(suspect: &mut Suspect, other: &Suspect) {
    for contribution in &other.contributions {
        match suspect
            .contributions
            .iter_mut()
            .find(|known| known.entry == contribution.entry)
        {
            Some(known) => {
                known.micros += contribution.micros;
                known.total += contribution.total;
            }
            None => suspect.contributions.push(*contribution),
        }
    }
    suspect.contributions.sort_by(|a, b| {
        b.total
            .abs()
            .total_cmp(&a.total.abs())
            .then(a.entry.cmp(&b.entry))
    });
    suspect.p_value = suspect.p_value.min(other.p_value);
}

/// Calls to the deployed service wait: its own, unless one of several callers sees it alone, or that caller sees it
/// wherever it calls.
fn incoming(study: &Study<'_>, edges: &[EdgeChange], operation: OperationNumber, suspect: &mut Suspect) {
    let change = change_of(study, suspect.member);
    let service = study.traces.operation(operation).service;
    let into = |edge: &&EdgeChange| study.traces.operation(edge.callee).service == service;
    let seen_by = likewise(edges.iter().filter(|edge| edge.callee == operation), change);
    let of_callee = share(likewise(edges.iter().filter(into), change)).max(share(seen_by));
    let callers: Vec<OperationNumber> = edges
        .iter()
        .filter(|edge| edge.callee == operation)
        .map(|edge| edge.caller)
        .collect();
    let elsewhere = |edge: &&EdgeChange| {
        let caller = study.traces.operation(edge.caller).service;
        let is_of_caller = callers
            .iter()
            .any(|&caller_of| study.traces.operation(caller_of).service == caller);
        is_of_caller && study.traces.operation(edge.callee).service != service && edge.is_instrumented
    };
    let other = likewise(edges.iter().filter(elsewhere), change);
    // Whoever waits longer for everybody waits for itself.
    if other.1 > 0 && share(other) >= 0.75 && share(other) >= of_callee || of_callee < 0.5 {
        suspect.explanation = Some(Explanation::Confounded);
    }
}

/// Calls of the deployed service wait: the callee's, if everybody who calls it waits, and it alone is waited for.
fn outgoing(study: &Study<'_>, edges: &[EdgeChange], site: CallSite, suspect: &mut Suspect) {
    let change = change_of(study, suspect.member);
    let service = study.traces.operation(site.caller).service;
    let callee = study.traces.operation(site.callee).service;
    let is_own = |operation: OperationNumber| study.traces.operation(operation).service == service;
    let from_here = likewise(edges.iter().filter(|edge| is_own(edge.caller)), change);
    let others = likewise(
        edges
            .iter()
            .filter(|edge| study.traces.operation(edge.callee).service == callee && !is_own(edge.caller)),
        change,
    );
    let is_of_callee = others.1 > 0 && share(others) > share(from_here)
        || others.1 > 0 && share(others) >= 0.75 && share(from_here) < 1.0;
    if is_of_callee {
        suspect.explanation = Some(Explanation::CalleeDegraded);
    }
}

/// A callee takes longer: for everybody, or for what this version asks. In the same minutes the old version is
/// everybody. Before and after a rollout others who ask the same must not see it, and there must be such others.
fn callee(study: &Study<'_>, site: CallSite, suspect: &mut Suspect) {
    if study.comparison.design == Design::Concurrent {
        return;
    }
    let relative = study.evidence[suspect.member]
        .as_ref()
        .map_or(0.0, super::evidence::Evidence::relative);
    let witnesses: Vec<f64> = study
        .members
        .iter()
        .enumerate()
        .filter_map(|(number, member)| match member.what {
            What::CalleeTime(other) if other.callee == site.callee && other.caller != site.caller => {
                Some(study.evidence[number].as_ref()?.relative())
            }
            _ => None,
        })
        .chain(others(study, site))
        .collect();
    let same = witnesses
        .iter()
        .filter(|&&other| other >= LIKEWISE * relative)
        .count();
    if witnesses.is_empty() || same * 2 >= witnesses.len() {
        suspect.explanation = Some(Explanation::CalleeDegraded);
    }
}

/// How the same callee changed for calls of other services, as shares.
fn others(study: &Study<'_>, site: CallSite) -> Vec<f64> {
    let service = study.traces.operation(site.caller).service;
    let wanted = if site.is_instrumented {
        Callee::Instrumented(site.callee)
    } else {
        Callee::Uninstrumented(site.callee)
    };
    let mut sums: Vec<(u32, Arms<f64>, Arms<f64>)> = Vec::new();
    for (node, arms) in study.sums.iter().flat_map(|stratum| &stratum.nodes) {
        let call = study.traces.calls()[*node as usize];
        let is_other = call.callee == wanted && study.traces.operation(call.operation).service != service;
        if !is_other || arms.baseline.calls == 0.0 || arms.candidate.calls == 0.0 {
            continue;
        }
        let time = |sums: &super::sums::Sums| {
            if site.is_instrumented {
                sums.answer
            } else {
                sums.own
            }
        };
        let spent = Arms {
            baseline: time(&arms.baseline) / arms.baseline.calls * arms.candidate.calls,
            candidate: time(&arms.candidate),
        };
        let calls = arms.map(|sums| sums.calls);
        match sums.iter_mut().find(|(known, ..)| known == node) {
            Some((_, counted, times)) => {
                counted.baseline += calls.baseline;
                counted.candidate += calls.candidate;
                times.baseline += spent.baseline;
                times.candidate += spent.candidate;
            }
            None => sums.push((*node, calls, spent)),
        }
    }
    let enough = sums.iter().filter(|(_, counted, times)| {
        counted.baseline.min(counted.candidate) >= CALLS_MIN && times.baseline > 0.0
    });
    enough
        .map(|(.., times)| times.candidate / times.baseline - 1.0)
        .collect()
}

//! Whose gap is it? What a call takes beyond the answer may be the caller's (its pool, its event loop) or the
//! callee's (it accepts late): told by who else sees it.

use model::{Call, Callee, Kind, NameNumber, OperationNumber};

use crate::report::{Cause, Design, Explanation};
use crate::statistics::Arms;

use super::cause::{Sizes, Suspect};
use super::family::{CallSite, What};
use super::study::Study;

/// How much longer calls between two operations take than before.
struct EdgeChange {
    caller: OperationNumber,
    callee: OperationNumber,
    is_instrumented: bool,
    /// Of the side that has fewer.
    calls: f64,
    /// What a call waits beyond the answer.
    gap: Difference,
    /// What the callee takes to answer.
    answer: Difference,
}

/// Microseconds a call.
#[derive(Clone, Copy, Default)]
struct Difference {
    estimate: f64,
    standard_error: f64,
}

impl Difference {
    /// Surely in the same direction, and by a good part as much.
    fn is_like(self, change: f64) -> bool {
        let same = self.estimate * change.signum();
        same >= LIKEWISE * change.abs() && same > SURE * self.standard_error
    }

    /// Surely not by as much as would be alike.
    fn is_unlike(self, change: f64) -> bool {
        let same = self.estimate * change.signum();
        same + SURE * self.standard_error < UNLIKE * change.abs()
    }
}

/// Calls a side from which on an edge is a witness.
const CALLS_MIN: f64 = 10.0;
/// Calls from which on one witness is as good as another.
const CALLS_HEARD_MAX: f64 = 200.0;
/// An edge grew if it did by this share of what the suspected one did: a pool that is waited for is not waited for as
/// long by every operation.
const LIKEWISE: f64 = 0.2;
/// An edge did not if it surely stayed below this share.
const UNLIKE: f64 = 0.4;
/// Standard errors at which a difference is held to be one.
const SURE: f64 = 2.0;

/// Gives gaps and slow callees to whom they belong, and makes one of what is one.
pub(super) fn settle(study: &Study<'_>, sizes: &Sizes<'_>, suspects: &mut Vec<Suspect>) {
    if suspects.is_empty() {
        return;
    }
    let edges = edges(study);
    join_waiting(study, &edges, suspects);
    for suspect in suspects.iter_mut() {
        match (study.members[suspect.member].what, suspect.cause) {
            (What::IncomingGap { operation }, Cause::Queueing) => incoming(study, &edges, operation, suspect),
            (What::OutgoingGap(site), Cause::Queueing) => outgoing(study, &edges, site, suspect),
            (What::CalleeTime(site), Cause::SlowerCallee) => callee(study, site, suspect),
            (what, _) => {
                if let Some(operation) = what.own_time_of() {
                    asked_for_more(study, &edges, operation, suspect);
                }
            }
        }
    }
    suspects.retain(|suspect| sizes.moves_an_entry(suspect));
}

/// Sums over traces of what a call of an edge takes.
#[derive(Clone, Copy, Default)]
struct Spread {
    traces: f64,
    sum: f64,
    squares: f64,
}

impl Spread {
    fn add(&mut self, value: f64) {
        self.traces += 1.0;
        self.sum += value;
        self.squares += value * value;
    }

    /// Of the mean; infinite below two traces.
    fn variance(&self) -> f64 {
        if self.traces < 2.0 {
            return f64::INFINITY;
        }
        let mean = self.sum / self.traces;
        (self.squares / self.traces - mean * mean).max(0.0) / (self.traces - 1.0)
    }
}

/// Calls between two operations while their times are added up.
#[derive(Clone, Copy, Default)]
struct EdgeSums {
    calls: Arms<f64>,
    /// Microseconds, as if both sides had made as many calls as the candidate.
    gaps: Arms<f64>,
    answers: Arms<f64>,
    spread_of_gaps: Arms<Spread>,
    spread_of_answers: Arms<Spread>,
}

impl EdgeSums {
    fn difference(&self, times: &Arms<f64>, spread: &Arms<Spread>) -> Difference {
        Difference {
            estimate: (times.candidate - times.baseline) / self.calls.candidate,
            standard_error: (spread.baseline.variance() + spread.candidate.variance()).sqrt(),
        }
    }
}

/// The caller, the callee, and whether the callee has spans of its own.
type EdgeKey = (OperationNumber, OperationNumber, bool);

/// Every call of the comparison that is waited for, by caller and callee.
fn edges(study: &Study<'_>) -> Vec<EdgeChange> {
    let key_of = |call: &Call| -> Option<EdgeKey> {
        let (callee, is_instrumented) = match call.callee {
            Callee::None => return None,
            Callee::Instrumented(callee) => (callee, true),
            Callee::Uninstrumented(callee) => (callee, false),
        };
        let is_message = study.traces.operation(call.operation).kind == Some(Kind::Producer);
        (!is_message).then_some((call.caller.unwrap_or(call.operation), callee, is_instrumented))
    };
    let mut keys: Vec<EdgeKey> = study.traces.calls().iter().filter_map(key_of).collect();
    keys.sort_unstable();
    keys.dedup();
    let number = |call: &Call| key_of(call).and_then(|key| keys.binary_search(&key).ok());
    let of_node: Vec<Option<usize>> = study.traces.calls().iter().map(number).collect();
    let mut sums = vec![EdgeSums::default(); keys.len()];
    for (node, arms) in study.sums.iter().flat_map(|stratum| &stratum.nodes) {
        let Some(edge) = of_node[*node as usize] else {
            continue;
        };
        if arms.baseline.calls == 0.0 || arms.candidate.calls == 0.0 {
            continue;
        }
        let sums = &mut sums[edge];
        let traffic = arms.candidate.calls / arms.baseline.calls;
        sums.calls.baseline += arms.baseline.calls;
        sums.calls.candidate += arms.candidate.calls;
        sums.gaps.baseline += arms.baseline.own * traffic;
        sums.gaps.candidate += arms.candidate.own;
        sums.answers.baseline += arms.baseline.answer * traffic;
        sums.answers.candidate += arms.candidate.answer;
    }
    for compared in &study.comparison.compared {
        for (node, call) in study
            .traces
            .calls_of(&study.traces.all()[compared.trace as usize])
        {
            let Some(edge) = of_node[node as usize] else {
                continue;
            };
            let a_call = |micros: u64| micros as f64 / f64::from(call.calls.max(1));
            let answer = call.duration_micros.saturating_sub(call.self_micros);
            let (side, sums) = (compared.side, &mut sums[edge]);
            side.of_mut(&mut sums.spread_of_gaps)
                .add(a_call(call.self_micros));
            side.of_mut(&mut sums.spread_of_answers).add(a_call(answer));
        }
    }
    let all = keys.iter().zip(&sums);
    all.filter(|(_, sums)| sums.calls.baseline.min(sums.calls.candidate) >= CALLS_MIN)
        .map(|(&(caller, callee, is_instrumented), sums)| EdgeChange {
            caller,
            callee,
            is_instrumented,
            calls: sums.calls.baseline.min(sums.calls.candidate),
            gap: sums.difference(&sums.gaps, &sums.spread_of_gaps),
            answer: sums.difference(&sums.answers, &sums.spread_of_answers),
        })
        .collect()
}

/// The share of edges that wait longer as one does, by how much is known of them; `None` where there are none.
fn share_waiting<'e>(edges: impl Iterator<Item = &'e EdgeChange>, change: f64) -> Option<f64> {
    let (mut same, mut all) = (0.0, 0.0);
    for edge in edges {
        let weight = edge.calls.min(CALLS_HEARD_MAX);
        all += weight;
        if edge.gap.is_like(change) {
            same += weight;
        }
    }
    (all > 0.0).then(|| same / all)
}

/// Which end of calls waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Caller,
    Callee,
    /// Nobody else calls, or is called, who would tell; or all tell the same.
    Either,
}

/// Calls from one service to another wait: for the callee, if everybody who calls it does, and for the caller, if it
/// waits wherever it calls.
fn waiting_end(
    service: impl Fn(OperationNumber) -> NameNumber,
    edges: &[EdgeChange],
    (caller, callee): (NameNumber, NameNumber),
    change: f64,
) -> End {
    let into_callee = |edge: &&EdgeChange| {
        edge.is_instrumented && service(edge.callee) == callee && service(edge.caller) != caller
    };
    let out_of_caller = |edge: &&EdgeChange| service(edge.caller) == caller && service(edge.callee) != callee;
    let others_wait = share_waiting(edges.iter().filter(into_callee), change).map(|share| share >= 0.5);
    let waits_for_others =
        share_waiting(edges.iter().filter(out_of_caller), change).map(|share| share >= 0.5);
    match (others_wait, waits_for_others) {
        (Some(true) | None, Some(false)) | (Some(true), None) => End::Callee,
        (Some(false) | None, Some(true)) | (Some(false), None) => End::Caller,
        (Some(true), Some(true)) | (Some(false), Some(false)) | (None, None) => End::Either,
    }
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
        let from_here = share_waiting(edges.iter().filter(|edge| edge.caller == caller), change);
        let from_service = share_waiting(edges.iter().filter(of_service), change);
        let mut called: Vec<NameNumber> = edges
            .iter()
            .filter(of_service)
            .map(|edge| study.traces.operation(edge.callee).service)
            .collect();
        called.sort_unstable();
        called.dedup();
        // Everything that it calls, and more than one service.
        let all_wait =
            from_here == Some(1.0) && called.len() >= 2 && from_service.is_some_and(|share| share >= 0.75);
        let is_seen_elsewhere = mine.iter().all(|&number| {
            let Some(site) = is_waiting(&suspects[number]) else {
                return false;
            };
            let others = |edge: &&EdgeChange| edge.callee == site.callee && !of_service(edge);
            share_waiting(edges.iter().filter(others), change).is_some_and(|share| share > 0.5)
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

/// Calls to the deployed service wait: its own, unless the caller that loses most waits wherever it calls.
fn incoming(study: &Study<'_>, edges: &[EdgeChange], operation: OperationNumber, suspect: &mut Suspect) {
    let change = change_of(study, suspect.member);
    let service = |operation: OperationNumber| study.traces.operation(operation).service;
    let lost = |edge: &EdgeChange| edge.calls * edge.gap.estimate * change.signum();
    let worst = edges
        .iter()
        .filter(|edge| edge.callee == operation && edge.is_instrumented)
        .max_by(|a, b| lost(a).total_cmp(&lost(b)));
    let Some(worst) = worst else { return };
    let ends = (service(worst.caller), service(operation));
    if waiting_end(service, edges, ends, change) == End::Caller {
        suspect.explanation = Some(Explanation::Confounded);
        suspect.whose = Some(ends.0);
    }
}

/// Calls of the deployed service wait: the callee's, if everybody who calls it waits, and it alone is waited for.
fn outgoing(study: &Study<'_>, edges: &[EdgeChange], site: CallSite, suspect: &mut Suspect) {
    let change = change_of(study, suspect.member);
    let service = |operation: OperationNumber| study.traces.operation(operation).service;
    let ends = (service(site.caller), service(site.callee));
    if waiting_end(service, edges, ends, change) == End::Callee {
        suspect.explanation = Some(Explanation::CalleeDegraded);
        suspect.whose = Some(ends.1);
    }
}

/// An operation works longer for what one caller asks, and not for what others do: that caller asks for more.
fn asked_for_more(
    study: &Study<'_>,
    edges: &[EdgeChange],
    operation: OperationNumber,
    suspect: &mut Suspect,
) {
    let change = change_of(study, suspect.member);
    let asking: Vec<&EdgeChange> = edges
        .iter()
        .filter(|edge| edge.callee == operation && edge.is_instrumented)
        .collect();
    let (slower, others): (Vec<&EdgeChange>, Vec<&EdgeChange>) =
        asking.iter().partition(|edge| edge.answer.is_like(change));
    let Some(first) = slower.first() else { return };
    let service = |edge: &EdgeChange| study.traces.operation(edge.caller).service;
    let is_one = slower.iter().all(|edge| service(edge) == service(first));
    let is_only_asked = !others.is_empty() && others.iter().all(|edge| edge.answer.is_unlike(change));
    if is_one && is_only_asked {
        suspect.whose = Some(service(first));
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
        .filter(|&&other| other >= UNLIKE * relative)
        .count();
    if witnesses.is_empty() || same * 2 >= witnesses.len() {
        suspect.explanation = Some(Explanation::CalleeDegraded);
        suspect.whose = Some(study.traces.operation(site.callee).service);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of(estimate: f64) -> Difference {
        Difference {
            estimate,
            standard_error: 100.0,
        }
    }

    /// Operations are called by their services here.
    fn end(edges: &[(OperationNumber, OperationNumber, f64)]) -> End {
        let edges: Vec<EdgeChange> = edges
            .iter()
            .map(|&(caller, callee, gap)| EdgeChange {
                caller,
                callee,
                is_instrumented: true,
                calls: 100.0,
                gap: of(gap),
                answer: of(0.0),
            })
            .collect();
        waiting_end(|operation| operation as NameNumber, &edges, (1, 2), 5_000.0)
    }

    #[test]
    fn a_callee_is_waited_for_by_everybody() {
        assert!(end(&[(1, 2, 5_000.0), (7, 2, 4_000.0), (1, 8, 50.0)]) == End::Callee);
        assert!(end(&[(1, 2, 5_000.0), (1, 8, 50.0)]) == End::Callee);
        assert!(end(&[(1, 2, 5_000.0), (7, 2, 4_000.0)]) == End::Callee);
    }

    #[test]
    fn a_caller_waits_wherever_it_calls() {
        assert!(end(&[(1, 2, 5_000.0), (7, 2, -50.0), (1, 8, 1_500.0)]) == End::Caller);
        assert!(end(&[(1, 2, 5_000.0), (1, 8, 1_500.0)]) == End::Caller);
        assert!(end(&[(1, 2, 5_000.0), (7, 2, 150.0)]) == End::Caller);
    }

    #[test]
    fn without_a_witness_nobody_knows() {
        assert!(end(&[(1, 2, 5_000.0)]) == End::Either);
        assert!(end(&[(1, 2, 5_000.0), (7, 2, 5_000.0), (1, 8, 5_000.0)]) == End::Either);
    }

    #[test]
    fn what_may_be_chance_is_neither_alike_nor_unlike() {
        let unsure = |estimate| Difference {
            estimate,
            standard_error: 1_500.0,
        };
        assert!(!unsure(2_500.0).is_like(5_000.0) && !unsure(500.0).is_unlike(5_000.0));
        assert!(unsure(-4_000.0).is_like(-5_000.0) && unsure(-4_000.0).is_unlike(5_000.0));
    }
}

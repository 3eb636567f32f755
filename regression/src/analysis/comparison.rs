//! Two sides, divided into strata and blocks: requests are compared with requests of the same kind, and what belongs
//! together is known to.

use model::{NameNumber, OperationNumber};

use crate::report::Design;
use crate::statistics::Arms;

use super::network::Network;
use super::population::{Chosen, Facts, MINUTE};
use super::side::Side;
use super::traces::Traces;

/// A trace of a comparison.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compared {
    pub(super) stratum: u32,
    pub(super) side: Side,
    /// Period and instance, see [`Comparison::block_micros`].
    pub(super) block: u64,
    /// The number of the block among those of the comparison, in their order.
    pub(super) block_number: u32,
    pub(super) trace: u32,
}

/// Requests that can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stratum {
    pub(super) entry: OperationNumber,
    /// Those that were answered.
    pub(super) traces: Arms<u64>,
}

/// All requests of an entry operation, comparable or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EntryTotals {
    pub(super) requests: Arms<u64>,
    /// Those that were answered.
    pub(super) answered: Arms<u64>,
    /// Of those that were answered, microseconds.
    pub(super) durations: Arms<u128>,
    pub(super) failed: Arms<u64>,
}

/// Two populations, arranged.
#[derive(Clone, Debug)]
pub(super) struct Comparison {
    pub(super) design: Design,
    /// Answered traces of strata with both sides, by stratum, side and block.
    pub(super) compared: Vec<Compared>,
    /// Those of an entry operation one after the other, ascending.
    pub(super) strata: Vec<Stratum>,
    /// By operation.
    pub(super) entries: Vec<EntryTotals>,
    /// Every trace of either side, answered or not, by side and block. The stratum is the entry operation.
    pub(super) all: Vec<Compared>,
    pub(super) not_comparable: u64,
    /// See [`Chosen`].
    pub(super) is_small: bool,
    /// How many blocks there are.
    pub(super) blocks: usize,
    /// How long the period of a block is: a minute, and less where a side has only some.
    block_micros: u64,
}

/// Traces of a path that each side needs.
const STRATUM_TRACES_MIN: u64 = 3;
/// Share of the candidate's requests that must be comparable by path, percent.
const COMPARABLE_MIN_PERCENT: u64 = 70;
/// Parts of the time in which both versions served that are compared by themselves.
const PERIODS_MAX: usize = 6;
/// Traces of the smaller side that a period has, at least.
const PERIOD_TRACES_MIN: usize = 60;

/// What tells strata apart: entry, period, path.
type StratumKey = (OperationNumber, u32, u64);

impl Comparison {
    /// `service` is the deployed one, if one is.
    pub(super) fn of(
        traces: &Traces<'_>,
        facts: &[Facts],
        chosen: &Chosen,
        service: Option<NameNumber>,
    ) -> Self {
        let periods = periods(traces, chosen);
        let paths = Paths::of(traces, chosen, service);
        let mut signatures = paths.signatures(traces, chosen);
        let key = |position: usize, signatures: &[u64]| {
            let (number, _) = chosen.traces[position];
            let trace = &traces.all()[number];
            let minute = trace.profile.timestamp / MINUTE;
            let period = periods.partition_point(|&from| from <= minute) as u32;
            (trace.entry, period, signatures[position])
        };
        let mut strata = count_strata(chosen, facts, |position| key(position, &signatures));
        if !is_covered(&strata) {
            signatures.fill(0);
            strata = count_strata(chosen, facts, |position| key(position, &signatures));
        }
        strata.retain(|(_, traces)| traces.baseline >= 2 && traces.candidate >= 2);
        let mut comparison = Self {
            design: chosen.design,
            compared: Vec::with_capacity(chosen.traces.len()),
            strata: strata
                .iter()
                .map(|((entry, ..), traces)| Stratum {
                    entry: *entry,
                    traces: *traces,
                })
                .collect(),
            entries: vec![EntryTotals::default(); traces.table.operations().len()],
            all: Vec::with_capacity(chosen.traces.len()),
            not_comparable: chosen.not_comparable,
            is_small: chosen.is_small,
            blocks: 0,
            block_micros: block_micros(chosen),
        };
        for (position, &(number, side)) in chosen.traces.iter().enumerate() {
            let key = key(position, &signatures);
            let stratum = strata.binary_search_by_key(&key, |(key, _)| *key).ok();
            comparison.add(traces, facts, (number, side), stratum);
        }
        let order = |compared: &Compared| (compared.stratum, compared.side, compared.block, compared.trace);
        comparison.compared.sort_unstable_by_key(order);
        comparison.all.sort_unstable_by_key(order);
        comparison.number_blocks();
        comparison
    }

    fn number_blocks(&mut self) {
        let of_same = |one: &Compared, next: &Compared| one.block == next.block;
        let all = self.all.chunk_by(of_same);
        let mut blocks: Vec<u64> = all.map(|same| same[0].block).collect();
        blocks.sort_unstable();
        blocks.dedup();
        for compared in [&mut self.compared, &mut self.all] {
            for same in compared.chunk_by_mut(of_same) {
                let number = blocks.partition_point(|&block| block < same[0].block) as u32;
                same.iter_mut()
                    .for_each(|compared| compared.block_number = number);
            }
        }
        self.blocks = blocks.len();
    }

    fn add(
        &mut self,
        traces: &Traces<'_>,
        facts: &[Facts],
        (number, side): (usize, Side),
        stratum: Option<usize>,
    ) {
        let trace = &traces.all()[number];
        let facts = &facts[number];
        let compared = Compared {
            stratum: trace.entry,
            side,
            block: (trace.profile.timestamp / self.block_micros) << 24
                | u64::from(facts.instance) & 0xff_ffff,
            // Known when all are there.
            block_number: 0,
            trace: number as u32,
        };
        let totals = &mut self.entries[trace.entry as usize];
        *side.of_mut(&mut totals.requests) += 1;
        *side.of_mut(&mut totals.failed) += u64::from(trace.profile.entry.failed);
        self.all.push(compared);
        if !facts.is_answered {
            return;
        }
        *side.of_mut(&mut totals.answered) += 1;
        *side.of_mut(&mut totals.durations) += u128::from(trace.profile.entry.duration.unwrap_or(0));
        match stratum {
            Some(stratum) => self.compared.push(Compared {
                stratum: stratum as u32,
                ..compared
            }),
            None => self.not_comparable += 1,
        }
    }

    /// Answered traces that are compared.
    pub(super) fn compared_traces(&self) -> Arms<u64> {
        let add = |sum: Arms<u64>, stratum: &Stratum| Arms {
            baseline: sum.baseline + stratum.traces.baseline,
            candidate: sum.candidate + stratum.traces.candidate,
        };
        self.strata.iter().fold(Arms::default(), add)
    }
}

/// So long that blocks are as independent as weather allows, and so short that there are enough of them to tell how
/// much they vary.
fn block_micros(chosen: &Chosen) -> u64 {
    /// A window in which minutes are too few.
    const SHORT: u64 = 6 * MINUTE;
    let lengths = chosen.windows.iter().map(|(from, to)| to.saturating_sub(*from));
    if lengths.min().unwrap_or(0) < SHORT {
        MINUTE / 6
    } else {
        MINUTE
    }
}

/// Minutes at which another period begins, so that a share that grows from minute to minute is not taken for a change.
/// None before and after a rollout.
fn periods(traces: &Traces<'_>, chosen: &Chosen) -> Vec<u64> {
    if chosen.design == Design::BeforeAfter {
        return Vec::new();
    }
    let smaller = chosen.count(Side::Baseline).min(chosen.count(Side::Candidate));
    let wanted = smaller.div_ceil(PERIODS_MAX).max(PERIOD_TRACES_MIN);
    let mut counts = [0usize; 2];
    let mut left = [Side::Baseline, Side::Candidate].map(|side| chosen.count(side));
    let mut begins = Vec::new();
    let mut last_minute = 0;
    for &(number, side) in &chosen.traces {
        let minute = traces.all()[number].profile.timestamp / MINUTE;
        let is_full = counts.iter().chain(&left).all(|&count| count >= wanted);
        if minute != last_minute && is_full {
            begins.push(minute);
            counts = [0; 2];
        }
        last_minute = minute;
        counts[side as usize] += 1;
        left[side as usize] -= 1;
    }
    begins
}

/// Counts the answered traces of each stratum; ascending.
fn count_strata(
    chosen: &Chosen,
    facts: &[Facts],
    key: impl Fn(usize) -> StratumKey,
) -> Vec<(StratumKey, Arms<u64>)> {
    let answered = chosen
        .traces
        .iter()
        .enumerate()
        .filter(|(_, (number, _))| facts[*number].is_answered);
    let mut keys: Vec<(StratumKey, Side)> = answered
        .map(|(position, &(_, side))| (key(position), side))
        .collect();
    keys.sort_unstable();
    let of_key = keys.chunk_by(|one, next| one.0 == next.0);
    of_key
        .map(|same| {
            let candidate = same.iter().filter(|(_, side)| *side == Side::Candidate).count() as u64;
            let arms = Arms {
                baseline: same.len() as u64 - candidate,
                candidate,
            };
            (same[0].0, arms)
        })
        .collect()
}

fn is_covered(strata: &[(StratumKey, Arms<u64>)]) -> bool {
    let (mut covered, mut all) = (0, 0);
    for (_, traces) in strata {
        all += traces.candidate;
        if traces.baseline.min(traces.candidate) >= STRATUM_TRACES_MIN {
            covered += traces.candidate;
        }
    }
    covered * 100 >= all * COMPARABLE_MIN_PERCENT
}

/// Which calls tell paths apart: those that both sides made, from the same operation, and that are not what the deployed
/// service set in motion. What it calls anew, and what becomes of its calls, is to be found and not to be taken for
/// another request, though it may have made the same call from elsewhere.
struct Paths {
    /// By call.
    counts: Vec<bool>,
}

impl Paths {
    fn of(traces: &Traces<'_>, chosen: &Chosen, service: Option<NameNumber>) -> Self {
        let count = traces.calls().len();
        let mut called = [vec![false; count], vec![false; count]];
        for &(number, side) in &chosen.traces {
            for (node, _) in traces.calls_of(&traces.all()[number]) {
                called[side as usize][node as usize] = true;
            }
        }
        let below = below(traces, service);
        let counts = traces.calls().iter().enumerate().map(|(node, call)| {
            let is_common = called.iter().all(|called| called[node]);
            is_common && !below[call.operation as usize]
        });
        Self {
            counts: counts.collect(),
        }
    }

    /// Of each chosen trace: equal for equal sets of calls.
    fn signatures(&self, traces: &Traces<'_>, chosen: &Chosen) -> Vec<u64> {
        let mut seen_in = vec![u32::MAX; self.counts.len()];
        let signature = |(position, (number, _)): (usize, &(usize, Side))| {
            let mut signature = 0u64;
            for (node, _) in traces.calls_of(&traces.all()[*number]) {
                let call = node as usize;
                if self.counts[call] && seen_in[call] != position as u32 {
                    seen_in[call] = position as u32;
                    signature = signature.wrapping_add(scatter(u64::from(node)));
                }
            }
            signature
        };
        chosen.traces.iter().enumerate().map(signature).collect()
    }
}

/// Operations of other services that run because the deployed one called.
fn below(traces: &Traces<'_>, service: Option<NameNumber>) -> Vec<bool> {
    let operations = traces.table.operations();
    let Some(service) = service else {
        return vec![false; operations.len()];
    };
    let mut below = Network::of(traces).reached_by(traces, service);
    for (below, operation) in below.iter_mut().zip(operations) {
        *below &= operation.service != service;
    }
    below
}

/// Sums of scattered numbers are as good as different for different sets.
fn scatter(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

//! A callee that is slower since about when the rollout began, and that nobody deployed: what it takes by itself
//! against what it took before, less what everything else that nobody deployed did meanwhile.
//!
//! Where the previous version serves on, its traces alone are asked: what the new version asks of a callee is no
//! weather.

use std::collections::BTreeMap;

use model::{Call, Callee, OperationNumber};

use crate::report::Explanation;
use crate::statistics::{Arms, DesignEffect, Interval, RatioSums, ratio_difference};

use super::super::family::is_call;
use super::super::names::operation_text;
use super::super::network::Network;
use super::super::population::MINUTE;
use super::super::serving::Served;
use super::super::side::Side;
use super::{Event, Scene};

/// A callee that takes so many times as long as before is degraded.
const TIMES_MIN: f64 = 1.15;
/// By so much for a trace, at least, microseconds.
const MICROS_MIN: f64 = 500.0;
/// Of the interval of what it takes more, which what others did is below; and as many standard errors of a normal
/// distribution.
const LEVEL: f64 = 0.9999;
const Z_OF_LEVEL: f64 = 3.89;
/// Traces before and since in which it was called, at least, and minutes.
const TRACES_MIN: f64 = 30.0;
const MINUTES_MIN: usize = 4;
/// Of the traces since the rollout began, what the previous version must have served to be asked alone: one of so many.
const PREVIOUS_SHARE: usize = 4;
/// What is thought of how much a minute has of the one before, at most.
const PERSISTENCE_MAX: f64 = 0.7;

/// What was called in a trace, against what is usual.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    micros: f64,
    calls: f64,
}

/// A minute before the rollout or since.
#[derive(Clone, Copy, Debug)]
struct Block {
    minute: (bool, u64),
    traces: f64,
    /// Logarithms of how many times as long it took as usual.
    times: f64,
}

/// What an operation did by itself over time.
#[derive(Clone, Debug, Default)]
struct History {
    blocks: Vec<Block>,
    micros: f64,
    traces: f64,
}

/// By how much an operation is slower, a logarithm.
#[derive(Clone, Copy, Debug)]
struct Change {
    operation: OperationNumber,
    times: Interval,
    /// Of a trace, before and since.
    micros: f64,
}

/// The one that is slower for sure.
pub(super) fn degraded(scene: &Scene<'_>) -> Option<Event> {
    let (histories, is_previous_alone) = histories(scene);
    let changes: Vec<Change> = histories
        .iter()
        .filter_map(|(&operation, history)| history.change(operation))
        .collect();
    let is_reached = Network::of(scene.traces).reached_by(scene.traces, scene.service);
    let is_asked = |call: &Call| call.caller.is_some_and(|caller| is_reached[caller as usize]);
    let mut asked: Vec<OperationNumber> = scene
        .traces
        .calls()
        .iter()
        .filter(|call| is_asked(call))
        .filter_map(|call| worker(scene, call))
        .collect();
    asked.sort_unstable();
    let mut ascending: Vec<f64> = changes.iter().map(|change| change.times.estimate).collect();
    ascending.sort_by(f64::total_cmp);
    let slow = changes
        .iter()
        .filter(|change| asked.binary_search(&change.operation).is_ok());
    let slow = slow.filter_map(|change| {
        let Interval { estimate, low, .. } = change.times;
        // What became faster elsewhere is no evidence that this became slower.
        let beside = beside(&ascending, estimate).max(0.0);
        let beyond = estimate - beside;
        let z = beyond / (estimate - low).max(f64::MIN_POSITIVE) * Z_OF_LEVEL;
        let is_slow = beyond >= TIMES_MIN.ln() && low > beside && change.micros * beyond >= MICROS_MIN;
        is_slow.then_some((z, beyond, change.operation))
    });
    let (z, beyond, operation) = slow.max_by(|one, other| one.0.total_cmp(&other.0))?;
    let whom = if is_previous_alone {
        ", for the previous version too"
    } else {
        ""
    };
    Some(Event {
        explanation: Explanation::CalleeDegraded,
        origin: operation,
        z,
        instance: None,
        summary: format!(
            "{}, which {} depends on, takes {:.1} times as long by itself since about when the rollout began{whom}",
            operation_text(scene.traces, operation),
            scene.service_text(),
            beyond.exp()
        ),
    })
}

/// What others did: the lower of those in the middle, because more than one may be degraded.
fn beside(ascending: &[f64], own: f64) -> f64 {
    let place = ascending.partition_point(|&other| other < own);
    let others = ascending.len() - 1;
    let Some(middle) = others.checked_sub(1).map(|last| last / 2) else {
        return 0.0;
    };
    ascending[middle + usize::from(middle >= place)]
}

/// The operation whose own time a call tells, if nobody deployed it or who asks.
fn worker(scene: &Scene<'_>, call: &Call) -> Option<OperationNumber> {
    let service = |operation: OperationNumber| scene.traces.operation(operation).service;
    let is_other = |operation: OperationNumber| scene.others.contains(&service(operation));
    let worker = match call.callee {
        Callee::None if !is_call(scene.traces, call.operation) => call.operation,
        Callee::Uninstrumented(callee) => callee,
        _ => return None,
    };
    let is_deployed =
        service(worker) == scene.service || is_other(worker) || call.caller.is_some_and(is_other);
    (!is_deployed).then_some(worker)
}

/// By operation, of the traces that are asked; and whether those since the rollout began are of the previous version
/// alone.
fn histories(scene: &Scene<'_>) -> (BTreeMap<OperationNumber, History>, bool) {
    let workers: Vec<Option<OperationNumber>> = scene
        .traces
        .calls()
        .iter()
        .map(|call| worker(scene, call))
        .collect();
    let all = || scene.traces.all().iter().zip(scene.facts);
    let since = || all().filter(|(trace, _)| trace.profile.timestamp >= scene.start);
    let is_previous = |served: Served| served == Served::By(Side::Baseline);
    let previous = since().filter(|(_, facts)| is_previous(facts.served)).count();
    let is_previous_alone = previous > 0 && previous * PREVIOUS_SHARE >= since().count();
    let is_heard = |at: u64, served: Served| at < scene.start || !is_previous_alone || is_previous(served);
    let heard = || {
        all()
            .filter(|(trace, facts)| is_heard(trace.profile.timestamp, facts.served))
            .map(|(trace, _)| trace)
    };
    let mut usual = vec![Sum::default(); workers.len()];
    for (node, sums) in heard().flat_map(|trace| scene.traces.calls_of(trace)) {
        if sums.failed == 0 {
            usual[node as usize].micros += sums.self_micros as f64;
            usual[node as usize].calls += f64::from(sums.calls);
        }
    }
    let mut histories: BTreeMap<OperationNumber, History> = BTreeMap::new();
    let mut of_trace: BTreeMap<OperationNumber, (f64, f64)> = BTreeMap::new();
    for trace in heard() {
        let called = scene.traces.calls_of(trace).filter(|(_, sums)| sums.failed == 0);
        for (node, sums) in called {
            let Some(worker) = workers[node as usize] else {
                continue;
            };
            let usual = usual[node as usize];
            let (micros, expected) = of_trace.entry(worker).or_default();
            *micros += sums.self_micros as f64;
            *expected += usual.micros / usual.calls.max(1.0) * f64::from(sums.calls);
        }
        let at = trace.profile.timestamp;
        for (worker, (micros, expected)) in std::mem::take(&mut of_trace) {
            if expected >= 1.0 {
                histories
                    .entry(worker)
                    .or_default()
                    .add((at >= scene.start, at / MINUTE), micros, expected);
            }
        }
    }
    (histories, is_previous_alone)
}

impl History {
    /// Traces come by time.
    fn add(&mut self, minute: (bool, u64), micros: f64, expected: f64) {
        let times = (micros.max(1.0) / expected).ln();
        self.micros += micros;
        self.traces += 1.0;
        match self.blocks.last_mut() {
            Some(block) if block.minute == minute => {
                block.traces += 1.0;
                block.times += times;
            }
            _ => self.blocks.push(Block {
                minute,
                traces: 1.0,
                times,
            }),
        }
    }

    /// `None` where it was called too seldom.
    fn change(&self, operation: OperationNumber) -> Option<Change> {
        let (before, since) = self
            .blocks
            .split_at(self.blocks.partition_point(|block| !block.minute.0));
        let levels = Arms {
            baseline: level(before)?,
            candidate: level(since)?,
        };
        let (squares, products) = [(before, levels.baseline), (since, levels.candidate)]
            .into_iter()
            .map(|(blocks, level)| persistence(blocks, level.ratio().unwrap_or(0.0)))
            .fold((0.0, 0.0), |sum, found| (sum.0 + found.0, sum.1 + found.1));
        let persistence = (products / f64::max(squares, f64::MIN_POSITIVE)).clamp(0.0, PERSISTENCE_MAX);
        let effect = DesignEffect::new((1.0 + persistence) / (1.0 - persistence));
        Some(Change {
            operation,
            times: ratio_difference(&[levels], LEVEL, effect)?,
            micros: self.micros / self.traces,
        })
    }
}

fn level(blocks: &[Block]) -> Option<RatioSums> {
    let mut level = RatioSums::default();
    for block in blocks {
        level.add(block.times, block.traces);
    }
    (blocks.len() >= MINUTES_MIN && level.denominator >= TRACES_MIN).then_some(level)
}

/// Sums of squares of what minutes are away from their mean, and of products with the minute before.
fn persistence(blocks: &[Block], mean: f64) -> (f64, f64) {
    let away: Vec<f64> = blocks
        .iter()
        .map(|block| block.times - block.traces * mean)
        .collect();
    let squares = away.iter().map(|away| away * away).sum();
    let products = away.windows(2).map(|pair| pair[0] * pair[1]).sum();
    (squares, products)
}

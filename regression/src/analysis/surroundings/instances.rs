//! One instance that is slower than its peers of the same version in the same minutes.

use std::collections::BTreeMap;

use model::InstanceNumber;

use crate::report::Explanation;

use super::super::names::instance_text;
use super::super::population::MINUTE;
use super::super::side::Side;
use super::work::Work;
use super::{Event, Scene};

/// An instance that takes so many times as long as its peers is a bad one.
const TIMES_MIN: f64 = 1.3;
/// Standard errors that it is away from them.
const Z_MIN: f64 = 4.0;
/// Minutes that an instance is compared with others, at least.
const MINUTES_MIN: usize = 5;
/// Traces that it served, at least.
const TRACES_MIN: f64 = 20.0;
/// New instances are slow for another reason, microseconds.
const COLD: u64 = 120_000_000;

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    count: f64,
    times: f64,
}

/// What an instance served, and how it compares.
#[derive(Clone, Debug, Default)]
struct BesidePeers {
    traces: f64,
    /// Weight and difference of each minute with peers.
    minutes: Vec<(f64, f64)>,
}

/// How an instance differs from its peers.
#[derive(Clone, Copy, Debug)]
struct Difference {
    instance: InstanceNumber,
    /// Of logarithms.
    mean: f64,
    z: f64,
}

/// The slowest.
pub(super) fn bad_instance(scene: &Scene<'_>, works: &[Work]) -> Option<Event> {
    // By side and minute, then instance.
    let mut minutes: BTreeMap<(Side, u64), BTreeMap<InstanceNumber, Sum>> = BTreeMap::new();
    for work in works.iter().filter(|work| work.age.is_none_or(|age| age >= COLD)) {
        let of_minute = minutes.entry((work.side, work.at / MINUTE)).or_default();
        let sum = of_minute.entry(work.instance).or_default();
        sum.count += 1.0;
        sum.times += work.times;
    }
    let mut beside_peers: BTreeMap<(Side, InstanceNumber), BesidePeers> = BTreeMap::new();
    for (&(side, _), instances) in &minutes {
        let count: f64 = instances.values().map(|sum| sum.count).sum();
        let times: f64 = instances.values().map(|sum| sum.times).sum();
        for (&instance, sum) in instances {
            let of_instance = beside_peers.entry((side, instance)).or_default();
            of_instance.traces += sum.count;
            let others = count - sum.count;
            if others > 0.0 {
                let difference = sum.times / sum.count - (times - sum.times) / others;
                let weight = sum.count * others / count;
                of_instance.minutes.push((weight, difference));
            }
        }
    }
    let slow = beside_peers.iter().filter_map(|(&(_, instance), found)| {
        let difference = difference(instance, &found.minutes)?;
        let is_slow =
            difference.mean >= TIMES_MIN.ln() && difference.z >= Z_MIN && found.traces >= TRACES_MIN;
        is_slow.then_some(difference)
    });
    let worst = slow.max_by(|one, other| one.z.total_cmp(&other.z))?;
    let instance = instance_text(scene.traces, worst.instance);
    Some(Event {
        explanation: Explanation::BadInstance,
        origin: scene.main_operation()?,
        z: worst.z,
        summary: format!(
            "the instance {instance} of {} takes {:.1} times as long by itself as others of the same version",
            scene.service_text(),
            worst.mean.exp()
        ),
        instance: Some(instance),
    })
}

/// The weighted mean over minutes, and its error from how they differ.
fn difference(instance: InstanceNumber, minutes: &[(f64, f64)]) -> Option<Difference> {
    if minutes.len() < MINUTES_MIN {
        return None;
    }
    let weights: f64 = minutes.iter().map(|(weight, _)| weight).sum();
    let mean = minutes.iter().map(|(weight, found)| weight * found).sum::<f64>() / weights;
    let count = minutes.len() as f64;
    let squares: f64 = minutes
        .iter()
        .map(|(weight, found)| (weight * (found - mean)).powi(2))
        .sum();
    let error = (squares * count / (count - 1.0)).sqrt() / weights;
    (error > 0.0).then(|| Difference {
        instance,
        mean,
        z: mean / error,
    })
}

//! What was slow at first and went away: instances that were new, or all of them, from the rollout on.
//!
//! Both are fitted together, each within what one instance did with one version: the logarithm of how many times as
//! long a trace took as usual falls from where it began with a half-life that is known about. So a version that is
//! slower for good is no decay, and neither is taken for the other. What is new may also be slow for a while and then
//! no more, where that fits far better.

use std::collections::BTreeMap;

use model::InstanceNumber;

use crate::report::Explanation;

use super::super::population::MINUTE;
use super::super::side::Side;
use super::work::Work;
use super::{Event, Scene};

/// What an instance that is new has left to become warm, by its age.
#[derive(Clone, Copy, Debug)]
enum Cold {
    /// Less and less: after so many microseconds an e-th.
    Falls(f64),
    /// All of it for so many microseconds, and then nothing.
    Ends(f64),
}

const FALLS: Cold = Cold::Falls(15e6);
const ENDS: Cold = Cold::Ends(60e6);
/// How much likelier what ends must make the data, twice a logarithm: traces of a minute are no independent witnesses,
/// and a decay of all instances that is not quite as thought would be taken for it.
const ENDS_MIN: f64 = 20.0;

impl Cold {
    fn left(self, age: f64) -> f64 {
        match self {
            Self::Falls(micros) => (-age / micros).exp(),
            Self::Ends(micros) => f64::from(age < micros),
        }
    }
}

/// After which what all instances have in common is so many times nearer to what it will be (e), microseconds: a cache
/// that fills.
const REFILL: f64 = 120e6;
/// A decay that starts with less than so many times as usual is none.
const WARM_UP_MIN: f64 = 1.3;
const REFILL_MIN: f64 = 1.15;
/// Standard errors that it is away from none.
const WARM_UP_Z: f64 = 3.3;
const REFILL_Z: f64 = 4.0;
/// Traces that an instance served with a version, at least: what is usual for it is one of the unknowns.
const TRACES_MIN: f64 = 5.0;
/// How long it must be looked at, so that what went away can be told from what stays, in times of `REFILL`.
const LOOKED_AT_MIN: f64 = 3.0;

/// A trace since the rollout began: how much of either decay it has, and how long it took.
#[derive(Clone, Copy, Debug)]
struct Row {
    group: (Side, InstanceNumber),
    minute: u64,
    x: [f64; 2],
    y: f64,
}

/// How strong a decay is at its begin, a logarithm, and how sure that is.
#[derive(Clone, Copy, Debug, Default)]
struct Decay {
    strength: f64,
    z: f64,
}

/// Both decays, and the squares that they leave.
#[derive(Clone, Copy, Debug)]
struct Fit {
    decays: [Decay; 2],
    left: f64,
    rows: usize,
}

/// What new instances showed, and what all of them did.
pub(super) fn decays(scene: &Scene<'_>, works: &[Work]) -> [Option<Event>; 2] {
    let last = works.last().map_or(0, |work| work.at.saturating_sub(scene.start));
    let [falls, ends] = [FALLS, ENDS].map(|cold| fit(&rows(scene, works, cold)));
    let likelier = falls.rows as f64 * (falls.left / ends.left).ln();
    let [warm_up, refill] = if likelier >= ENDS_MIN {
        ends.decays
    } else {
        falls.decays
    };
    let service = scene.service_text();
    let event = |explanation: Explanation, decay: Decay, summary: String| {
        Some(Event {
            explanation,
            origin: scene.main_operation()?,
            z: decay.z,
            instance: None,
            summary,
        })
    };
    let is_cold = warm_up.strength >= WARM_UP_MIN.ln() && warm_up.z >= WARM_UP_Z;
    let is_refilled =
        refill.strength >= REFILL_MIN.ln() && refill.z >= REFILL_Z && last as f64 >= LOOKED_AT_MIN * REFILL;
    [
        is_cold.then_some(warm_up).and_then(|decay| {
            let times = decay.strength.exp();
            let summary = format!("new instances of {service} take {times:.1} times as long by themselves at first");
            event(Explanation::WarmUp, decay, summary)
        }),
        is_refilled.then_some(refill).and_then(|decay| {
            let times = decay.strength.exp();
            let summary = format!(
                "{service} took {times:.1} times as long by itself when the rollout began, and that went away within \
                 minutes"
            );
            event(Explanation::Transient, decay, summary)
        }),
    ]
}

/// Everything since the rollout began, as it differs from the mean of its group.
fn rows(scene: &Scene<'_>, works: &[Work], cold: Cold) -> Vec<Row> {
    let since = works.iter().filter(|work| work.at >= scene.start);
    let row = |work: &Work| {
        let cold = work.age.map_or(0.0, |age| cold.left(age as f64));
        let began = (work.at - scene.start) as f64;
        Row {
            group: (work.side, work.instance),
            minute: work.at / MINUTE,
            x: [cold, (-began / REFILL).exp()],
            y: work.times,
        }
    };
    let mut rows: Vec<Row> = since.map(row).collect();
    let mut sums: BTreeMap<(Side, InstanceNumber), (f64, [f64; 2], f64)> = BTreeMap::new();
    for row in &rows {
        let sum = sums.entry(row.group).or_default();
        sum.0 += 1.0;
        sum.1[0] += row.x[0];
        sum.1[1] += row.x[1];
        sum.2 += row.y;
    }
    rows.retain(|row| sums[&row.group].0 >= TRACES_MIN);
    for row in &mut rows {
        let (count, x, y) = sums[&row.group];
        row.x[0] -= x[0] / count;
        row.x[1] -= x[1] / count;
        row.y -= y / count;
    }
    rows
}

/// Least squares; what cannot be told has no strength.
fn fit(rows: &[Row]) -> Fit {
    let sum = |of: &dyn Fn(&Row) -> f64| rows.iter().map(of).sum::<f64>();
    let (aa, bb) = (sum(&|row| row.x[0] * row.x[0]), sum(&|row| row.x[1] * row.x[1]));
    let ab = sum(&|row| row.x[0] * row.x[1]);
    let (ay, by) = (sum(&|row| row.x[0] * row.y), sum(&|row| row.x[1] * row.y));
    /// Of the squares of one decay, what is not those of the other, at least.
    const OWN_MIN: f64 = 0.05;
    let has = [aa, bb].map(|squares| squares > 1e-9);
    let strengths = match has {
        [true, true] if aa * bb - ab * ab > OWN_MIN * aa * bb => {
            let determinant = aa * bb - ab * ab;
            [
                ((bb * ay - ab * by) / determinant, bb / determinant),
                ((aa * by - ab * ay) / determinant, aa / determinant),
            ]
        }
        [false, true] => [(0.0, 0.0), (by / bb, 1.0 / bb)],
        _ => {
            return Fit {
                decays: [Decay::default(); 2],
                left: f64::INFINITY,
                rows: rows.len(),
            };
        }
    };
    let left = |row: &Row| row.y - strengths[0].0 * row.x[0] - strengths[1].0 * row.x[1];
    let squares = sum(&|row| left(row).powi(2));
    let mut blocks: BTreeMap<((Side, InstanceNumber), u64), f64> = BTreeMap::new();
    for row in rows {
        *blocks.entry((row.group, row.minute)).or_default() += left(row);
    }
    let of_blocks: f64 = blocks.values().map(|block| block * block).sum();
    // Traces of the same minute on the same instance have something in common.
    let effect = if squares > 0.0 {
        (of_blocks / squares).max(1.0)
    } else {
        1.0
    };
    let variance = squares / (rows.len() as f64 - 2.0).max(1.0) * effect;
    let decays = strengths.map(|(strength, of_unit)| {
        let error = (variance * of_unit).sqrt();
        Decay {
            strength,
            z: if error > 0.0 { strength / error } else { 0.0 },
        }
    });
    Fit {
        decays,
        left: squares,
        rows: rows.len(),
    }
}

//! How many requests the service had and which, before the rollout and since.

use model::OperationNumber;

use crate::report::Explanation;
use crate::statistics::{DesignEffect, Proportion};

use super::super::names::operation_text;
use super::{Event, Scene};

/// A rate that differs by less is the same.
const RATE_MIN: f64 = 1.2;
/// A peak of less is none.
const PEAK_MIN: f64 = 1.25;
/// Standard errors from which on a rate is another one.
const RATE_Z: f64 = 3.0;
/// The same of the highest of many short times.
const PEAK_Z: f64 = 3.7;
/// A share of the requests that moved by less is the same.
const SHARE_MIN: f64 = 0.10;
/// Standard errors from which on it moved.
const SHARE_Z: f64 = 4.0;
/// Requests on either side below which nothing is said.
const REQUESTS_MIN: f64 = 50.0;

/// Times over which requests are counted: a minute, less where all are of less than an hour.
const BLOCK_MAX: u64 = 60_000_000;
const BLOCK_MIN: u64 = 1_000_000;
const BLOCKS: u64 = 20;
/// Blocks on either side that a spread can be told from.
const SPREAD_MIN: usize = 4;
/// Blocks that a peak lasts.
const PEAK: [usize; 3] = [3, 4, 8];

/// Requests by block.
#[derive(Clone, Debug)]
pub(super) struct Rate {
    /// Microseconds.
    block: u64,
    /// Blocks end where the rollout began; the first and the last of all are not whole and left out.
    before: Vec<f64>,
    after: Vec<f64>,
    /// How many times as much counts spread as those of independent requests.
    spread: f64,
    /// How many requests one of either side stands for.
    weights: [f64; 2],
}

impl Rate {
    /// `None` where one side has too few requests.
    pub(super) fn of(scene: &Scene<'_>) -> Option<Self> {
        let times = || scene.traces.all().iter().map(|trace| trace.profile.timestamp);
        let (first, last) = (times().next()?, times().next_back()?);
        if first >= scene.start || last <= scene.start {
            return None;
        }
        let shorter = (scene.start - first).min(last - scene.start);
        let block = (shorter / BLOCKS).clamp(BLOCK_MIN, BLOCK_MAX);
        let blocks = |time: u64| vec![0.0; (time / block) as usize + 1];
        let (mut before, mut after) = (blocks(scene.start - first), blocks(last - scene.start));
        for at in times() {
            if at < scene.start {
                before[((scene.start - 1 - at) / block) as usize] += 1.0;
            } else {
                after[((at - scene.start) / block) as usize] += 1.0;
            }
        }
        before.pop();
        after.pop();
        before.reverse();
        let enough = |counts: &[f64]| counts.iter().sum::<f64>() >= REQUESTS_MIN;
        (enough(&before) && enough(&after)).then(|| Self {
            block,
            spread: spread(&before).max(spread(&after)).max(1.0),
            before,
            after,
            weights: scene.weights,
        })
    }

    /// How many times as many requests there are since the rollout began.
    fn ratio(&self) -> f64 {
        let [before, after] = self.weights;
        mean(&self.after) * after / (mean(&self.before) * before)
    }

    /// More requests or fewer, for good or for a while.
    pub(super) fn load(&self, scene: &Scene<'_>) -> Option<Event> {
        let (shift, peak) = (self.shift(scene), self.peak(scene));
        let (summary, z) = if self.lasts() {
            shift.or(peak)
        } else {
            peak.or(shift)
        }?;
        Some(Event {
            explanation: Explanation::Load,
            origin: scene.main_operation()?,
            z,
            instance: None,
            summary,
        })
    }

    fn shift(&self, scene: &Scene<'_>) -> Option<(String, f64)> {
        let counts = [&self.before, &self.after].map(|counts| counts.iter().sum::<f64>());
        let z = self.z(self.ratio(), counts);
        let is_other = self.ratio().max(1.0 / self.ratio()) >= RATE_MIN && z.abs() >= RATE_Z;
        is_other.then(|| {
            let summary = format!(
                "{} has {:.1} requests a minute since the rollout began, before {:.1}",
                scene.service_text(),
                self.a_minute(&self.after, self.weights[1]),
                self.a_minute(&self.before, self.weights[0]),
            );
            (summary, z)
        })
    }

    /// Whether the usual block has more: a peak moves the mean alone.
    fn lasts(&self) -> bool {
        let [before, after] = self.weights;
        let usual = median(&self.before) * before;
        usual <= 0.0 || median(&self.after) * after / usual >= RATE_MIN
    }

    /// The highest of a few blocks since the rollout began.
    fn peak(&self, scene: &Scene<'_>) -> Option<(String, f64)> {
        let usual = mean(&self.before) * self.weights[0];
        let whole: f64 = self.before.iter().sum();
        let windows = PEAK.iter().flat_map(|&length| self.after.windows(length));
        let peaks = windows.map(|window| {
            let ratio = mean(window) * self.weights[1] / usual;
            (ratio, self.z(ratio, [whole, window.iter().sum()]), window.len())
        });
        let (ratio, z, length) = peaks.max_by(|one, other| one.1.total_cmp(&other.1))?;
        (ratio >= PEAK_MIN && z >= PEAK_Z).then(|| {
            let summary = format!(
                "{} had {ratio:.1} times as many requests for {:.0} s after the rollout began",
                scene.service_text(),
                (length as u64 * self.block) as f64 / 1e6,
            );
            (summary, z)
        })
    }

    /// Standard errors that a ratio of rates is away from 1; `counts` are what each of them was counted from.
    fn z(&self, ratio: f64, counts: [f64; 2]) -> f64 {
        let variance: f64 = counts.iter().map(|count| self.spread / count.max(1.0)).sum();
        ratio.max(f64::MIN_POSITIVE).ln() / variance.sqrt()
    }

    fn a_minute(&self, counts: &[f64], weight: f64) -> f64 {
        mean(counts) * weight * BLOCK_MAX as f64 / self.block as f64
    }
}

/// Variance of counts over their mean, from neighbours: a slope is none of it.
fn spread(counts: &[f64]) -> f64 {
    let mean = mean(counts);
    if counts.len() < SPREAD_MIN || mean <= 0.0 {
        return 1.0;
    }
    let steps = counts.windows(2).map(|pair| (pair[1] - pair[0]).powi(2) / 2.0);
    steps.sum::<f64>() / (counts.len() - 1) as f64 / mean
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn median(values: &[f64]) -> f64 {
    let mut ascending = values.to_vec();
    ascending.sort_by(f64::total_cmp);
    ascending.get(ascending.len() / 2).copied().unwrap_or(0.0)
}

/// Other requests: the share of an entry operation moved. The one that grew most is named.
pub(super) fn mix_shift(scene: &Scene<'_>, rate: &Rate) -> Option<Event> {
    let operations = scene.traces.table.operations().len();
    let mut counts = [vec![0u64; operations], vec![0u64; operations]];
    for trace in scene.traces.all() {
        counts[usize::from(trace.profile.timestamp >= scene.start)][trace.entry as usize] += 1;
    }
    let totals = [0, 1].map(|side: usize| counts[side].iter().sum::<u64>());
    let share = |entry: usize, side: usize| counts[side][entry] as f64 / totals[side].max(1) as f64;
    let grown = (0..operations)
        .map(|entry| (share(entry, 1) - share(entry, 0), entry))
        .max_by(|one, other| one.0.total_cmp(&other.0).then(other.1.cmp(&one.1)));
    let (moved, entry) = grown?;
    let all = (share(entry, 0) * totals[0] as f64 + share(entry, 1) * totals[1] as f64)
        / (totals[0] + totals[1]) as f64;
    let effect = scatter(scene, rate, entry as OperationNumber);
    let variance: f64 = totals
        .iter()
        .map(|&total| all * (1.0 - all) / total.max(1) as f64)
        .sum();
    let z = moved / (variance * effect.factor()).sqrt();
    let is_enough = totals.iter().all(|&total| total as f64 >= REQUESTS_MIN);
    (is_enough && moved >= SHARE_MIN && z >= SHARE_Z).then(|| Event {
        explanation: Explanation::MixShift,
        origin: entry as OperationNumber,
        z,
        instance: None,
        summary: format!(
            "{} is {:.0} % of the requests since the rollout began, before {:.0} %",
            operation_text(scene.traces, entry as OperationNumber),
            share(entry, 1) * 100.0,
            share(entry, 0) * 100.0
        ),
    })
}

/// How much more the share of an entry operation differs from block to block than that of independent requests.
fn scatter(scene: &Scene<'_>, rate: &Rate, entry: OperationNumber) -> DesignEffect {
    let all = scene
        .traces
        .all()
        .iter()
        .filter(|trace| trace.profile.timestamp < scene.start);
    let mut blocks: Vec<Proportion> = Vec::new();
    let mut open: Option<(u64, u64, u64)> = None;
    for trace in all {
        let block = (scene.start - 1 - trace.profile.timestamp) / rate.block;
        let hit = u64::from(trace.entry == entry);
        match &mut open {
            Some((of, hits, requests)) if *of == block => {
                *hits += hit;
                *requests += 1;
            }
            _ => {
                blocks.extend(open.map(|(_, hits, requests)| Proportion::new(hits, requests)));
                open = Some((block, hit, 1));
            }
        }
    }
    blocks.extend(open.map(|(_, hits, requests)| Proportion::new(hits, requests)));
    DesignEffect::of_proportions(&blocks).unwrap_or(DesignEffect::NONE)
}

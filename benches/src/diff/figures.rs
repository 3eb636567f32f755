//! Figures of a storage in both runs, and what their difference says.

use super::median::{self, Interval};
use super::run::{Limit, Measured, OfKind};

/// What became of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Better,
    Worse,
    /// Chance or the machine may be why.
    Noise,
    /// Nobody knows what chance does to it.
    Unknown,
}

/// A figure in both runs.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) before: String,
    pub(super) after: String,
    /// Afterwards to before.
    pub(super) ratio: Option<Interval>,
    meaning: Meaning,
}

/// What more of it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// Time: a slower machine takes more.
    Slower,
    /// Work done: a slower machine does less.
    Faster,
    /// A count that should be 0.
    Wrong { is_more: bool, is_less: bool },
    /// Of one value each.
    Shown,
}

impl Figure {
    /// What the difference says on a machine that took so many times as long.
    pub(super) fn judge(&self, machine: Option<Interval>) -> Judgement {
        let (is_time, ends) = match (self.meaning, self.ratio.and_then(|ratio| ratio.ends)) {
            (Meaning::Wrong { is_more: true, .. }, _) => return Judgement::Worse,
            (Meaning::Wrong { is_less: true, .. }, _) => return Judgement::Better,
            (Meaning::Wrong { .. }, _) => return Judgement::Noise,
            (Meaning::Slower, Some(ends)) => (true, ends),
            (Meaning::Faster, Some((low, high))) => (false, (low, high)),
            _ => return Judgement::Unknown,
        };
        let Some(machine) = machine.and_then(|machine| machine.ends) else {
            return Judgement::Unknown;
        };
        // Each end with what of the machine's own moves it towards 1; where that is nothing, with nothing.
        let (low, high) = match is_time {
            true => (ends.0 / machine.1.max(1.0), ends.1 / machine.0.min(1.0)),
            false => (ends.0 * machine.0.min(1.0), ends.1 * machine.1.max(1.0)),
        };
        match (low > 1.0, high < 1.0) {
            (true, _) if is_time => Judgement::Worse,
            (true, _) => Judgement::Better,
            (_, true) if is_time => Judgement::Better,
            (_, true) => Judgement::Worse,
            _ => Judgement::Noise,
        }
    }
}

/// All of them.
pub(super) fn of(both: [&Measured; 2], level: f64) -> Vec<Figure> {
    let [before, after] = both;
    let mut figures = vec![limit(&before.limit, &after.limit)];
    figures.push(one_value(
        "disk, bytes a span",
        both.map(|measured| measured.stored.bytes_per_span),
    ));
    figures.push(one_value(
        "server, µs of processor a span",
        both.map(|measured| Some(measured.stored.cpu_us_per_span.server)),
    ));
    figures.push(one_value(
        "storage, µs of processor a span",
        both.map(|measured| measured.stored.cpu_us_per_span.backend),
    ));
    figures.extend(questions(
        both.map(|of| &of.stored.asked[..]),
        "",
        |one, other| median::of_pairs(one, other, level),
    ));
    let reports = both.map(|of| &of.report.again_ms[..]);
    figures.extend(times("report of a rollout", reports, |one, other| {
        median::of_ratio(one, other, level)
    }));
    let under_load = both.map(|of| of.mixed.as_ref().map_or(&[][..], |mixed| &mixed.asked));
    figures.extend(questions(under_load, ", under load", |one, other| {
        median::of_ratio(one, other, level)
    }));
    figures
}

/// Of each kind that was asked in both: how long it took, and answers that were wrong in either.
fn questions(
    both: [&[OfKind]; 2],
    when: &str,
    compare: impl Fn(&[f64], &[f64]) -> Option<Interval>,
) -> Vec<Figure> {
    let mut figures = Vec::new();
    for before in both[0] {
        let Some(after) = both[1].iter().find(|after| after.kind == before.kind) else {
            continue;
        };
        let name = format!("{}{when}", before.kind);
        let samples = [&before.samples_ms[..], &after.samples_ms[..]];
        figures.extend(times(&name, samples, &compare));
        if before.wrong + after.wrong > 0 {
            figures.push(Figure {
                name: format!("{name}: wrong answers"),
                before: before.wrong.to_string(),
                after: after.wrong.to_string(),
                ratio: None,
                meaning: Meaning::Wrong {
                    is_more: after.wrong > before.wrong,
                    is_less: after.wrong < before.wrong,
                },
            });
        }
    }
    figures
}

/// By medians, milliseconds; nothing where one has none.
fn times(
    name: &str,
    both: [&[f64]; 2],
    compare: impl Fn(&[f64], &[f64]) -> Option<Interval>,
) -> Option<Figure> {
    let ratio = compare(both[0], both[1])?;
    let [before, after] = both.map(|samples| {
        let interval = median::of(samples.to_vec(), 0.5);
        interval.map_or(String::new(), |interval| format!("{:.2} ms", interval.middle))
    });
    Some(Figure {
        name: name.to_owned(),
        before,
        after,
        ratio: Some(ratio),
        meaning: Meaning::Slower,
    })
}

fn one_value(name: &str, both: [Option<f64>; 2]) -> Figure {
    let show = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.1}"));
    let ratio = both[0].zip(both[1]).map(|(before, after)| after / before);
    Figure {
        name: name.to_owned(),
        before: show(both[0]),
        after: show(both[1]),
        ratio: ratio.map(Interval::without_ends),
        meaning: Meaning::Shown,
    }
}

/// What held, and the least that did not.
fn limit(before: &Limit, after: &Limit) -> Figure {
    let held = |limit: &Limit| limit.spans_per_second;
    let bounds = [before, after].map(|limit| {
        let refused = limit.steps.iter().filter(|step| !step.holds);
        let least = refused.map(|step| step.offered).min_by(f64::total_cmp);
        least.map(|least| (held(limit), least))
    });
    let ends = bounds[0]
        .zip(bounds[1])
        .map(|(before, after)| (after.0 / before.1, after.1 / before.0));
    let show = |limit: &Limit| format!("{:.0}", held(limit));
    Figure {
        name: "most spans a second that hold".to_owned(),
        before: show(before),
        after: show(after),
        ratio: Some(Interval {
            middle: held(after) / held(before),
            ends,
        }),
        meaning: Meaning::Faster,
    }
}

//! Curves: what an analysis finds at which traffic, and whether its figures mean what they say.

use crate::plot::{Line, Panel, Shape};

use super::report::{Judging, Report};

/// A panel an analysis for power, then one for scores and one for contributions; none without data.
pub(super) fn panels(report: &Report) -> Vec<Panel> {
    let mut panels: Vec<Panel> = report
        .analyses
        .iter()
        .filter(|judging| !judging.tally.power.is_empty())
        .map(power)
        .collect();
    panels.extend(panel("guilty deployments by score", "score", report, score));
    panels.extend(panel(
        "contributions told, cumulated",
        "told / true",
        report,
        contribution,
    ));
    panels
}

fn panel(title: &str, below: &'static str, report: &Report, line: fn(&Judging) -> Line) -> Option<Panel> {
    let lines: Vec<Line> = report
        .analyses
        .iter()
        .map(line)
        .filter(|(_, points)| !points.is_empty())
        .collect();
    (!lines.is_empty()).then(|| Panel {
        title: title.to_owned(),
        below,
        from: 0.0,
        lines,
        shape: Shape::Lines,
    })
}

/// A line a size: the share that is found, over the requests of a side.
fn power(judging: &Judging) -> Panel {
    let line = |(size, row): (&u64, &std::collections::BTreeMap<u64, super::Count>)| {
        let points = row
            .iter()
            .filter_map(|(requests, count)| Some(((*requests as f64).log10(), count.rate()?)));
        (format!("+{size} %"), points.collect())
    };
    Panel {
        title: format!("found: {}", judging.name),
        below: "log10 of the requests a side",
        from: 1.0,
        lines: judging.tally.power.iter().map(line).collect(),
        shape: Shape::Lines,
    }
}

/// Of an analysis, short enough to stand beside its line.
fn short_name(judging: &Judging) -> String {
    let name = judging.name;
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).to_owned()
}

/// The share of guilty deployments among those with a score of a band: it should fall from 1 to 0.
fn score(judging: &Judging) -> Line {
    let points = judging.tally.scores.iter();
    let points = points.filter_map(|(band, count)| Some((*band as f64 + 5.0, count.rate()?)));
    (short_name(judging), points.collect())
}

/// Ratios beyond this are drawn there.
const RATIO_MAX: f64 = 3.0;

/// How many contributions are told smaller than so many times the truth: a step at 1 is perfect.
fn contribution(judging: &Judging) -> Line {
    let mut ratios: Vec<f64> = judging
        .tally
        .contributions
        .iter()
        .map(|(told, truth)| (told / truth).clamp(0.0, RATIO_MAX))
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let share = |(number, ratio): (usize, &f64)| (*ratio, (number + 1) as f64 / ratios.len() as f64);
    (
        short_name(judging),
        ratios.iter().enumerate().map(share).collect(),
    )
}

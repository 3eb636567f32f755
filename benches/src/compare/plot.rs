//! What storages take, what a POST waits for and what work there is over the load that is offered, and what grows with the
//! data.

use std::path::Path;

use super::limit::Step;
use super::stored::Stored;
use super::{Measured, Report};
use crate::plot::{self, Line, Panel, Shape};
use crate::store::ask::Asked;
use crate::store::questions::Kind;

/// Searches that every store has an index for; what is asked now and then, or what one of them cannot do, is in the tables.
const GROWING: [Kind; 2] = [Kind::Trace, Kind::ServiceAndName];

/// Draws it into a file.
///
/// # Errors
/// Where the file cannot be written.
pub(super) fn write(report: &Report, path: &Path) -> anyhow::Result<()> {
    let bound_ms = report.options.bound_ms;
    let mut panels = vec![
        bars(report, "thousand spans a second that hold", |of| {
            Some(of.limit.spans_per_second / 1e3)
        }),
        bars(report, "disk, bytes a span", |of| of.stored.bytes_per_span),
        over_load(report, "POST, p99, ms, where it holds", |step| {
            step.post_ms_p99.min(bound_ms)
        }),
        over_load(report, "processors busy, server and storage", |step| {
            step.processors.all()
        }),
        as_data_grows(report, "processor time, µs a span", |of| {
            Some(of.cpu_us_per_span.all())
        }),
    ];
    panels.extend(GROWING.map(|kind| {
        as_data_grows(report, &format!("{kind}, p50, ms"), |of| {
            let asked = of.asked.iter().find(|asked| asked.kind == kind);
            asked.map(|asked: &Asked| asked.p50_ms)
        })
    }));
    plot::write(path, 2, &panels)
}

fn bars(report: &Report, title: &str, value: impl Fn(&Measured) -> Option<f64>) -> Panel {
    let measured = report.measured.iter().enumerate();
    let line = |(number, measured): (usize, &Measured)| -> Option<Line> {
        Some((name(measured), vec![(number as f64 + 0.5, value(measured)?)]))
    };
    Panel {
        title: title.to_owned(),
        below: "",
        from: 0.0,
        lines: measured.filter_map(line).collect(),
        shape: Shape::Bars,
    }
}

fn over_load(report: &Report, title: &str, value: impl Fn(&Step) -> f64) -> Panel {
    let line = |measured: &Measured| {
        let held = measured.limit.steps.iter().filter(|step| step.holds);
        let mut points: Vec<(f64, f64)> = held.map(|step| (step.offered / 1e3, value(step))).collect();
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
        (name(measured), points)
    };
    lines(report, title, "thousand spans a second offered", line)
}

fn as_data_grows(report: &Report, title: &str, value: impl Fn(&Stored) -> Option<f64>) -> Panel {
    let line = |measured: &Measured| {
        let filled = measured.smaller.iter().chain([&measured.stored]);
        let point = |of: &Stored| Some((of.spans as f64 / 1e6, value(of)?));
        (name(measured), filled.filter_map(point).collect())
    };
    lines(report, title, "millions of spans stored", line)
}

fn lines(report: &Report, title: &str, below: &'static str, line: impl Fn(&Measured) -> Line) -> Panel {
    Panel {
        title: title.to_owned(),
        below,
        from: 0.0,
        lines: report.measured.iter().map(line).collect(),
        shape: Shape::Lines,
    }
}

fn name(measured: &Measured) -> String {
    measured.backend.name().to_owned()
}

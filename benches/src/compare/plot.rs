//! What a POST waits for, and what work there is, over the load that is offered.

use std::path::Path;

use super::limit::Step;
use super::{Measured, Report};
use crate::plot::{self, Line, Panel};

/// Draws it into a file.
///
/// # Errors
/// Where the file cannot be written.
pub(super) fn write(report: &Report, path: &Path) -> anyhow::Result<()> {
    let bound_ms = report.options.bound_ms;
    let panels = [
        panel(report, "POST, p99, ms, where it holds", |step| {
            step.post_ms_p99.min(bound_ms)
        }),
        panel(report, "processors busy, server and storage", |step| {
            step.processors.all()
        }),
    ];
    plot::write(path, 2, &panels)
}

fn panel(report: &Report, title: &str, value: impl Fn(&Step) -> f64) -> Panel {
    Panel {
        title: title.to_owned(),
        below: "thousand spans a second offered",
        from: 0.0,
        lines: report
            .measured
            .iter()
            .map(|measured| line(measured, &value))
            .collect(),
    }
}

/// The steps that held, by their load.
fn line(measured: &Measured, value: &impl Fn(&Step) -> f64) -> Line {
    let held = measured.limit.steps.iter().filter(|step| step.holds);
    let mut points: Vec<(f64, f64)> = held.map(|step| (step.offered / 1e3, value(step))).collect();
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    (measured.backend.name().to_owned(), points)
}

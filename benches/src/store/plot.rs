//! How cost grows with the store, as a plot: disk, processor time, and the slowest questions.

use std::path::Path;

use super::ask::Asked;
use super::questions::Kind;
use super::{Report, Stage};
use crate::plot::{self, Line, Panel, Shape};

/// Draws it into a file: what does not grow with the store is level.
///
/// # Errors
/// Where the file cannot be written.
pub(super) fn write(report: &Report, path: &Path) -> anyhow::Result<()> {
    let panel = |title: &str, lines| Panel {
        title: title.to_owned(),
        below: "millions of spans stored",
        from: 0.0,
        lines,
        shape: Shape::Lines,
    };
    let disk = vec![
        report.line("everything", |stage| stage.a_span(stage.filled.disk.bytes())),
        report.line("segments", |stage| stage.a_span(stage.filled.disk.segment_bytes)),
    ];
    let cpu = vec![report.line("whole server", |stage| stage.filled.cpu_us_per_new_span)];
    let asked = |of: fn(&Stage) -> &Vec<Asked>| {
        let line = |kind: Kind| {
            let p99 = |stage: &Stage| {
                let found = of(stage).iter().find(|asked| asked.kind == kind);
                found.map_or(f64::NAN, |asked| asked.p99_ms)
            };
            report.line(kind.name(), p99)
        };
        Kind::ALL.into_iter().map(line).collect()
    };
    let panels = [
        panel("disk, bytes a span", disk),
        panel("processor time, µs a span", cpu),
        panel("questions, warm page cache, p99, ms", asked(|stage| &stage.warm)),
        panel("questions, cold page cache, p99, ms", asked(|stage| &stage.cold)),
    ];
    plot::write(path, 2, &panels)
}

impl Report {
    /// A figure of each size, beside millions of spans.
    fn line(&self, name: &str, value: impl Fn(&Stage) -> f64) -> Line {
        let point = |stage: &Stage| (stage.filled.spans as f64 / 1e6, value(stage));
        (name.to_owned(), self.stages.iter().map(point).collect())
    }
}

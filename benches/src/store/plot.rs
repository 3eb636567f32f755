//! How cost grows with the store, as a plot: disk, processor time, and the slowest questions.

use std::path::Path;

use anyhow::anyhow;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::ask::Asked;
use super::questions::Kind;
use super::{Report, Stage};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A line: its name, and a point for each size, millions of spans first.
type Line = (&'static str, Vec<(f64, f64)>);

const SIZE: (u32, u32) = (1100, 860);
const COLOURS: [RGBColor; 8] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 39, 40),
    RGBColor(44, 160, 44),
    RGBColor(255, 127, 14),
    RGBColor(148, 103, 189),
    RGBColor(140, 86, 75),
    RGBColor(23, 190, 207),
    RGBColor(127, 127, 127),
];

/// Draws it into a file.
///
/// # Errors
/// Where the file cannot be written.
pub(super) fn write(report: &Report, path: &Path) -> anyhow::Result<()> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    let failed = |error: DrawingAreaErrorKind<_>| anyhow!("{} cannot be drawn: {error}", path.display());
    area.fill(&WHITE).map_err(failed)?;
    let panels = area.split_evenly((2, 2));
    let disk = [
        (
            "everything",
            report.line(|stage| stage.a_span(stage.filled.disk.bytes())),
        ),
        (
            "segments",
            report.line(|stage| stage.a_span(stage.filled.disk.segment_bytes)),
        ),
    ];
    let cpu = [(
        "whole server",
        report.line(|stage| stage.filled.cpu_us_per_new_span),
    )];
    let asked = |of: fn(&Stage) -> &Vec<Asked>| {
        Kind::ALL.map(|kind| {
            let p99 = |stage: &Stage| {
                let found = of(stage).iter().find(|asked| asked.kind == kind)?;
                Some((millions(stage), found.p99_ms))
            };
            (kind.name(), report.stages.iter().filter_map(p99).collect())
        })
    };
    let panel =
        |index: usize, title: &str, lines: &[Line]| draw(&panels[index], title, lines).map_err(failed);
    panel(0, "disk, bytes a span", &disk)?;
    panel(1, "processor time, µs a span", &cpu)?;
    panel(
        2,
        "questions, warm page cache, p99, ms",
        &asked(|stage| &stage.warm),
    )?;
    panel(
        3,
        "questions, cold page cache, p99, ms",
        &asked(|stage| &stage.cold),
    )?;
    area.present().map_err(failed)
}

impl Report {
    /// A figure of each size, beside millions of spans.
    fn line(&self, value: impl Fn(&Stage) -> f64) -> Vec<(f64, f64)> {
        let point = |stage: &Stage| (millions(stage), value(stage));
        self.stages.iter().map(point).collect()
    }
}

fn millions(stage: &Stage) -> f64 {
    stage.filled.spans as f64 / 1e6
}

type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

/// One panel: what does not grow with the store is level.
fn draw<'a>(area: &Area<'a>, title: &str, lines: &[Line]) -> Drawn<'a> {
    let points = || lines.iter().flat_map(|(_, points)| points.iter().copied());
    let largest = points().map(|point| point.0).fold(0.0, f64::max);
    let highest = points().map(|point| point.1).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(14)
        .x_label_area_size(34)
        .y_label_area_size(48)
        // Room for the names on the right.
        .build_cartesian_2d(0.0..largest * 1.6, 0.0..highest * 1.1)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .x_desc("millions of spans stored")
        .y_label_formatter(&|value| format!("{value:.1}"))
        .draw()?;
    for ((name, points), colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::MiddleRight)
        .background_style(WHITE)
        .label_font(("sans-serif", 12))
        .draw()
}

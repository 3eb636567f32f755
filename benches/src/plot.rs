//! Panels of lines, as SVG: what several measurements draw.

use std::path::Path;

use anyhow::{Context, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A line: its name, and its points.
pub(crate) type Line = (String, Vec<(f64, f64)>);

/// Lines over the same axis.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    pub(crate) title: String,
    /// What the lower axis says.
    pub(crate) below: &'static str,
    /// Where it begins.
    pub(crate) from: f64,
    pub(crate) lines: Vec<Line>,
    pub(crate) shape: Shape,
}

/// How points are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Lines,
    /// One point each, as high as its value; where it is on the lower axis says nothing.
    Bars,
}

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
/// Of the distance between two.
const BAR: f64 = 0.7;
const PANEL: (u32, u32) = (550, 430);

/// Draws panels into a file, so many beside each other.
///
/// # Errors
/// Where the file cannot be written.
pub(crate) fn write(path: &Path, columns: usize, panels: &[Panel]) -> anyhow::Result<()> {
    let rows = panels.len().div_ceil(columns);
    let size = (PANEL.0 * columns as u32, PANEL.1 * rows as u32);
    let area = SVGBackend::new(path, size).into_drawing_area();
    let drawn = || -> Drawn<'_> {
        area.fill(&WHITE)?;
        for (area, panel) in area.split_evenly((rows, columns)).iter().zip(panels) {
            draw(area, panel)?;
        }
        area.present()
    };
    drawn()
        .map_err(|error| anyhow!("{error}"))
        .with_context(|| format!("{} cannot be drawn", path.display()))
}

type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn draw<'a>(area: &Area<'a>, panel: &Panel) -> Drawn<'a> {
    let points = || panel.lines.iter().flat_map(|(_, points)| points.iter().copied());
    let largest = points().map(|point| point.0).fold(panel.from, f64::max);
    let highest = points().map(|point| point.1).fold(0.0, f64::max);
    // Room for the names on the right.
    let right = panel.from + (largest - panel.from).max(1e-3) * 1.6;
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 18))
        .margin(14)
        .x_label_area_size(34)
        .y_label_area_size(48)
        .build_cartesian_2d(panel.from..right, 0.0..highest.max(1e-3) * 1.1)?;
    let mut mesh = chart.configure_mesh();
    if panel.shape == Shape::Bars {
        mesh.disable_x_axis();
    }
    mesh.light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .x_desc(panel.below)
        .y_label_formatter(&|value| format!("{value:.1}"))
        .draw()?;
    for ((name, points), colour) in panel.lines.iter().zip(COLOURS.iter().cycle()) {
        let drawn = match panel.shape {
            Shape::Lines => chart
                .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3))?,
            Shape::Bars => chart.draw_series(points.iter().map(|&(x, y)| {
                Rectangle::new([(x - BAR / 2.0, 0.0), (x + BAR / 2.0, y)], colour.filled())
            }))?,
        };
        drawn
            .label(name.clone())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::MiddleRight)
        .background_style(WHITE)
        .label_font(("sans-serif", 12))
        .draw()
}

//! Bytes of segments on the disk over the time of the spans that had been sent, beside the limit.

use std::path::Path;

use anyhow::anyhow;
use plotters::prelude::*;

use super::Report;

const SIZE: (u32, u32) = (1000, 420);
const BLUE: RGBColor = RGBColor(31, 119, 180);
const RED: RGBColor = RGBColor(214, 39, 40);

/// Draws it into a file.
///
/// # Errors
/// Where the file cannot be written.
pub(super) fn write(report: &Report, path: &Path) -> anyhow::Result<()> {
    draw(report, path).map_err(|error| anyhow!("{} cannot be drawn: {error}", path.display()))
}

fn draw<'a>(
    report: &Report,
    path: &'a Path,
) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let limit = megabytes(report.bytes_max);
    let highest = megabytes(report.sizes.most_bytes).max(limit) * 1.1;
    let mut chart = ChartBuilder::on(&area)
        .caption("segments on the disk, MB", ("sans-serif", 18))
        .margin(14)
        .x_label_area_size(36)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..report.hours, 0.0..highest)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .x_desc("hours of the spans' time")
        .draw()?;
    let sizes = report
        .sizes
        .over_time
        .iter()
        .map(|size| (size.hours, megabytes(size.bytes)));
    chart
        .draw_series(LineSeries::new(sizes, BLUE.stroke_width(2)))?
        .label("segments")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], BLUE.stroke_width(2)));
    chart
        .draw_series(LineSeries::new(
            [(0.0, limit), (report.hours, limit)],
            RED.stroke_width(1),
        ))?
        .label("limit (STORAGE_MAX_BYTES)")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], RED.stroke_width(1)));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE)
        .label_font(("sans-serif", 12))
        .draw()?;
    area.present()
}

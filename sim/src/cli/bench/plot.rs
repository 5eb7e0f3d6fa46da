//! Figures as a picture.
use super::measure::Row;
use crate::scenario::limit::Heads;
use plotters::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

const SIZE: (u32, u32) = (960, 540);

/// Draws the share of the link's limit over the size of a request, a line for each link and kind, as SVG.
pub(super) fn shares(path: &Path, rows: &[Row]) -> anyhow::Result<()> {
    let mut lines: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for row in rows {
        let heads = if row.case.heads == Heads::Scattered { ", scattered" } else { "" };
        let line = lines.entry(format!("{} {}{heads}", row.link, row.case.what)).or_default();
        line.push((f64::from(row.case.bytes), 100.0 * row.share));
    }
    let sizes = || rows.iter().map(|row| f64::from(row.case.bytes));
    let (least, most) = (sizes().fold(f64::INFINITY, f64::min), sizes().fold(1.0, f64::max));
    let picture = SVGBackend::new(path, SIZE).into_drawing_area();
    picture.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&picture)
        .caption("share of what the link allows", ("sans-serif", 22))
        .margin(16)
        .x_label_area_size(40)
        .y_label_area_size(50)
        .build_cartesian_2d((least / 1.5..most * 1.5).log_scale(), 0.0..105.0)?;
    chart.configure_mesh().x_desc("bytes").y_desc("%").draw()?;
    for (index, (name, points)) in lines.into_iter().enumerate() {
        let colour = Palette99::pick(index).to_rgba();
        chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
        chart
            .draw_series(points.iter().map(|point| Circle::new(*point, 4, colour.filled())))?
            .label(name)
            .legend(move |(x, y)| Circle::new((x + 8, y), 4, colour.filled()));
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
    picture.present()?;
    Ok(())
}

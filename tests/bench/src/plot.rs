//! What was measured, as a picture: a row for each link and way, multiples of what the link needs at best from left to right.

use std::ops::Range;

use plotters::backend::SVGBackend;
use plotters::chart::ChartBuilder;
use plotters::drawing::{DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, Cross, PathElement};
use plotters::style::{BLACK, Color as _, RGBColor, WHITE};

use crate::report::Report;
use crate::series::Summary;

/// Why there is no picture.
pub type NoPlot = DrawingAreaErrorKind<std::io::Error>;

const WIDTH: u32 = 900;
const ROW_HEIGHT: u32 = 34;
/// For the title and what stands below the axis.
const HEAD_AND_FOOT: u32 = 120;
/// For the names of the rows.
const NAMES_WIDTH: u32 = 150;
const COLD: RGBColor = RGBColor(0x1f, 0x5a, 0xa8);
const WARM: RGBColor = RGBColor(0xc8, 0x55, 0x1b);
/// How far cold stands above the middle of its row, and warm below.
const BESIDE: f64 = 0.17;
/// Half of a tick.
const TICK: f64 = 0.12;

/// Draws a run as SVG: of each row a hollow ring for the floor, a disc for the median, a tick for 95 of 100, a cross for the
/// slowest. Words, and links that come and go, have no multiples and are left out.
///
/// # Errors
/// [`NoPlot`]; not seen.
pub fn svg(report: &Report) -> Result<String, NoPlot> {
    let shown: Vec<&Summary> =
        report.lines.iter().filter(|line| line.way != "word" && !line.link.starts_with("windows")).collect();
    let mut names: Vec<String> = shown.iter().map(|line| row(line)).collect();
    names.dedup();
    let rows = u32::try_from(names.len()).expect("a few");
    let most = shown.iter().map(|line| line.worst / line.limit).fold(1.0, f64::max);
    let mut drawn = String::new();
    {
        let area = SVGBackend::with_string(&mut drawn, (WIDTH, HEAD_AND_FOOT + ROW_HEIGHT * rows)).into_drawing_area();
        area.fill(&WHITE)?;
        let across: Range<f64> = 1.0..most * 1.03;
        let mut chart = ChartBuilder::on(&area)
            .caption("A note over bad links: multiples of what the link needs at best", ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(46)
            .y_label_area_size(NAMES_WIDTH)
            .build_cartesian_2d(across, f64::from(rows) - 0.5..-0.5)?;
        let name = |at: &f64| -> String {
            let nth = (0_u32..).zip(&names).find(|(nth, _)| (f64::from(*nth) - at).abs() < 0.01);
            nth.map_or_else(String::new, |(_, name)| name.clone())
        };
        chart
            .configure_mesh()
            .disable_y_mesh()
            .y_labels(names.len() * 2)
            .y_label_formatter(&name)
            .x_label_formatter(&|multiple| format!("{multiple:.1} ×"))
            .x_desc("blue: cold, orange: warm; ring: transport alone, disc: median, tick: 95 of 100, cross: slowest")
            .draw()?;
        for line in shown {
            let (nth, _) = (0_u32..).zip(&names).find(|(_, name)| **name == row(line)).expect("it has a row");
            let (colour, beside) = if line.start == "cold" { (COLD, -BESIDE) } else { (WARM, BESIDE) };
            let (y, at) = (f64::from(nth) + beside, |seconds: f64| seconds / line.limit);
            let (median, p95) = (at(line.median), at(line.p95));
            chart.draw_series([PathElement::new(vec![(median, y), (p95, y)], colour.mix(0.5))])?;
            chart.draw_series([PathElement::new(vec![(p95, y - TICK), (p95, y + TICK)], colour.stroke_width(2))])?;
            chart.draw_series([Circle::new((median, y), 4, colour.filled())])?;
            chart.draw_series([Cross::new((at(line.worst), y), 3, colour)])?;
            chart.draw_series(line.floor.map(|floor| Circle::new((at(floor), y), 4, BLACK)))?;
        }
        area.present()?;
    }
    Ok(drawn)
}

fn row(line: &Summary) -> String {
    format!("{} {}", line.link, line.way)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::cases;
    use crate::series::measure;

    #[test]
    fn each_link_and_way_has_its_row_and_each_start_its_marks() {
        let lines = cases("lan").unwrap().iter().map(|case| measure(case, 1, 2, 2)).collect();
        let drawn = svg(&Report { note_bytes: 30_000, first_seed: 1, lines }).unwrap();
        for part in ["lan send", "lan receive"] {
            assert!(drawn.contains(part), "no row {part}");
        }
        assert!(!drawn.contains("lan word"));
        // A disc and a ring of each way and start.
        assert_eq!(drawn.matches("<circle").count(), 8);
        assert!(drawn.trim_end().ends_with("</svg>"));
    }
}

//! Plots, as SVG.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use crate::figures::QUANTILES;
use crate::report::{Measured, Operation, Report};
use crate::server::Setup;
use crate::targets::{CONNECTIONS, mebibytes};

/// Writes the plots for which there are figures.
pub(crate) fn write(report: &Report, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let charts = [("throughput", throughput(report)), ("latency", latency(report)), ("users", users(report))];
    for (name, chart) in charts {
        if chart.series.iter().any(|series| series.values.iter().flatten().count() > 1) {
            let file = folder.join(format!("{name}.svg"));
            std::fs::write(&file, chart.svg()).with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    Ok(())
}

/// What is drawn together: curve, operation, store.
const CURVES: [(&str, Operation, Option<Setup>); 6] = [
    ("GET /healthz", Operation::Healthz, Some(Setup::Sled)),
    ("token lookup", Operation::Lookup, Some(Setup::Sled)),
    ("send, with quotas", Operation::Send, Some(Setup::SledWithQuotas)),
    ("bind", Operation::Bind, Some(Setup::Sled)),
    ("bind, memory store", Operation::Bind, Some(Setup::Memory)),
    ("write+fdatasync, grouped", Operation::Group, None),
];

fn throughput(report: &Report) -> Chart {
    let mut connections: Vec<usize> = report.cells.iter().map(|measured| measured.cell.connections).collect();
    connections.sort_unstable();
    connections.dedup();
    let series = CURVES.map(|(name, operation, setup)| Series {
        name: name.to_owned(),
        values: connections
            .iter()
            .map(|&connections| Some(report.cell(operation, setup, connections)?.spread(|it| it.per_second).median))
            .collect(),
    });
    Chart {
        title: "Operations per second over connections (closed loop)",
        x_label: "connections",
        x: connections.iter().map(ToString::to_string).collect(),
        y_label: "per second",
        series: series.into(),
    }
}

fn latency(report: &Report) -> Chart {
    let quantiles = |measured: &Measured| {
        let at = |index| Some(measured.spread(|it| it.quantiles_us.get(index).copied().unwrap_or(0.0)).median / 1000.0);
        (0..QUANTILES.len()).map(at).collect()
    };
    let curve = |(name, operation, setup): (&str, Operation, Option<Setup>)| Series {
        name: name.to_owned(),
        values: report.cell(operation, setup, CONNECTIONS).map(quantiles).unwrap_or_default(),
    };
    Chart {
        title: "Latency at 64 connections (closed loop)",
        x_label: "percent of the operations",
        x: QUANTILES.iter().map(ToString::to_string).collect(),
        y_label: "milliseconds",
        series: CURVES.map(curve).into(),
    }
}

fn users(report: &Report) -> Chart {
    let curve = |name: &str, of: fn(&crate::report::Scale) -> f64| Series {
        name: name.to_owned(),
        values: report.scale.iter().map(|scale| Some(of(scale))).collect(),
    };
    Chart {
        title: "Cost over the number of accounts",
        x_label: "accounts",
        x: report.scale.iter().map(|scale| scale.users.to_string()).collect(),
        y_label: "as named",
        series: vec![
            curve("binds per second", |scale| scale.bind.spread(|it| it.per_second).median),
            curve("resident, MiB", |scale| mebibytes(scale.resident_bytes)),
            curve("on disk, MiB", |scale| mebibytes(scale.disk_bytes)),
            curve("start until ready, ms", |scale| scale.ready_after_s * 1000.0),
        ],
    }
}

/// Curves over a few named places, on a logarithmic scale.
struct Chart {
    title: &'static str,
    x_label: &'static str,
    x: Vec<String>,
    y_label: &'static str,
    series: Vec<Series>,
}

struct Series {
    name: String,
    /// One for each place; `None` where nothing was measured.
    values: Vec<Option<f64>>,
}

pub(crate) const WIDTH: f64 = 760.0;
pub(crate) const HEIGHT: f64 = 400.0;
pub(crate) const LEFT: f64 = 70.0;
pub(crate) const RIGHT: f64 = 190.0;
pub(crate) const TOP: f64 = 44.0;
pub(crate) const BOTTOM: f64 = 50.0;
/// Told apart with all common kinds of colour blindness (Okabe and Ito).
pub(crate) const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

impl Chart {
    fn svg(&self) -> String {
        let mut svg = frame(self.title, self.x_label, self.y_label);
        let (decade_low, decade_high) = self.decades();
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        for decade in decade_low..=decade_high {
            let y = self.y(10_f64.powi(decade));
            line(&mut svg, (LEFT, y), (right, y), "#ddd");
            text(&mut svg, LEFT - 6.0, y + 4.0, "end", &power_of_ten(decade));
        }
        for (index, label) in self.x.iter().enumerate() {
            text(&mut svg, self.x(index), bottom + 18.0, "middle", label);
        }
        line(&mut svg, (LEFT, bottom), (right, bottom), "#333");
        let drawn = self.series.iter().filter(|series| series.values.iter().flatten().any(|value| *value > 0.0));
        for ((index, series), colour) in drawn.enumerate().zip(COLOURS.iter().cycle()) {
            self.draw(&mut svg, series, colour);
            #[expect(clippy::cast_precision_loss, reason = "a handful of curves")]
            let y = TOP + 12.0 + 20.0 * index as f64;
            let _ = writeln!(svg, "<circle cx=\"{}\" cy=\"{}\" r=\"4\" fill=\"{colour}\"/>", right + 16.0, y - 4.0);
            text(&mut svg, right + 26.0, y, "start", &series.name);
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn draw(&self, svg: &mut String, series: &Series, colour: &str) {
        let points = series.values.iter().enumerate();
        let points = points.filter_map(|(index, value)| Some((index, value.filter(|value| *value > 0.0)?)));
        let mut path = String::new();
        for (index, value) in points {
            let (x, y) = (self.x(index), self.y(value));
            let _ = write!(path, "{}{x:.1} {y:.1}", if path.is_empty() { "M" } else { " L" });
            let _ = writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"><title>{value:.2}</title></circle>"
            );
        }
        let _ = writeln!(svg, "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>");
    }

    fn x(&self, index: usize) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a handful of places")]
        let part = (index as f64 + 0.5) / self.x.len().max(1) as f64;
        LEFT + part * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let (low, high) = self.decades();
        let part = (value.log10() - f64::from(low)) / f64::from(high - low);
        HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)
    }

    /// The powers of ten that enclose all values; two different ones.
    fn decades(&self) -> (i32, i32) {
        let logarithms = self.series.iter().flat_map(|series| series.values.iter().flatten());
        let logarithms: Vec<f64> = logarithms.filter(|value| **value > 0.0).map(|value| value.log10()).collect();
        let low = logarithms.iter().copied().fold(f64::INFINITY, f64::min);
        let high = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if logarithms.is_empty() {
            return (0, 1);
        }
        #[expect(clippy::cast_possible_truncation, reason = "logarithms of what was measured are small")]
        let (low, high) = (low.floor() as i32, high.ceil() as i32);
        (low, high.max(low + 1))
    }
}

/// The beginning of a drawing: its ground, and what is written around it.
pub(crate) fn frame(title: &str, x_label: &str, y_label: &str) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let middle = (LEFT + WIDTH - RIGHT) / 2.0;
    text(&mut svg, middle, 22.0, "middle", title);
    text(&mut svg, middle, HEIGHT - 12.0, "middle", x_label);
    text(&mut svg, LEFT, TOP - 14.0, "end", y_label);
    svg
}

fn power_of_ten(decade: i32) -> String {
    let digits = usize::try_from(-decade).unwrap_or(0);
    format!("{:.digits$}", 10_f64.powi(decade))
}

pub(crate) fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), colour: &str) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = writeln!(svg, "<line x1=\"{x1}\" y1=\"{y1:.1}\" x2=\"{x2}\" y2=\"{y2:.1}\" stroke=\"{colour}\"/>");
}

pub(crate) fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

#[cfg(test)]
mod tests {
    use super::{Chart, HEIGHT, Series, TOP, power_of_ten};

    fn chart(values: Vec<Option<f64>>) -> Chart {
        let series = vec![Series { name: "a < b".to_owned(), values }];
        Chart { title: "t", x_label: "x", x: vec!["1".into(), "8".into()], y_label: "y", series }
    }

    #[test]
    fn the_axis_encloses_the_values() {
        let chart = chart(vec![Some(20.0), Some(9_000.0)]);
        assert_eq!(chart.decades(), (1, 4));
        assert!((chart.y(10_000.0) - TOP).abs() < 1e-9 && chart.y(20.0) < HEIGHT);
        assert!(chart.svg().contains("a &lt; b"));
    }

    #[test]
    fn gaps_and_emptiness_are_drawn_as_nothing() {
        assert_eq!(chart(vec![None, Some(10.0)]).svg().matches("r=\"3\"").count(), 1);
        assert_eq!(chart(vec![None, None]).decades(), (0, 1));
    }

    #[test]
    fn decades_are_written_out() {
        assert_eq!([power_of_ten(-2), power_of_ten(0), power_of_ten(4)], ["0.01", "1", "10000"]);
    }
}

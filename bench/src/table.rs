//! The report as a person reads it.

use crate::figures::{Figures, Spread};
use crate::report::{Measured, Report};
use crate::targets::mebibytes;

const HEADINGS: [&str; 10] =
    ["operation", "on", "conn.", "per second", "p50 ms", "p99 ms", "p99.9 ms", "CPU µs", "RSS MiB", "errors"];

/// The whole report: medians of the repeats, and in brackets how far they lie apart.
pub(crate) fn render(report: &Report) -> String {
    let mut text = format!(
        "{}\n{} accounts beforehand; medians of {} repeats of {} s (least–most)\n\n",
        report.machine.line(),
        report.users,
        report.cells.first().map_or(0, |measured| measured.repeats.len()),
        report.seconds_of_a_repeat,
    );
    let rows = report.cells.iter().map(row).collect();
    text.push_str(&aligned(&HEADINGS, rows));
    if let Some(idle) = report.idle_resident_bytes {
        text.push_str(&format!("\nidle, on an empty store: {:.1} MiB resident\n", mebibytes(idle)));
    }
    if !report.scale.is_empty() {
        text.push('\n');
        text.push_str(&scale(report));
    }
    text.push('\n');
    for verdict in &report.targets {
        let mark = match verdict.is_met() {
            Some(true) => "met    ",
            Some(false) => "MISSED ",
            None => "–      ",
        };
        text.push_str(&format!("{mark} {}\n", verdict.line()));
    }
    text.push_str(&format!("\nit took {:.0} s\n", report.took_s));
    text
}

fn row(measured: &Measured) -> Vec<String> {
    let millis = |of: fn(&Figures) -> f64| spread(measured.spread(|figures| of(figures) / 1000.0), 2);
    let last = measured.repeats.last();
    let optional = |spread: Option<Spread>| spread.map_or_else(String::new, |spread| format!("{:.0}", spread.median));
    vec![
        measured.cell.operation.name().to_owned(),
        measured.cell.ground().to_owned(),
        measured.cell.connections.to_string(),
        spread(measured.spread(|figures| figures.per_second), 0),
        millis(|figures| figures.p50_us),
        millis(|figures| figures.p99_us),
        millis(|figures| figures.p999_us),
        optional(measured.optional(|figures| figures.processor_us)),
        last.and_then(|last| last.resident_bytes).map_or_else(String::new, |bytes| format!("{:.0}", mebibytes(bytes))),
        measured.errors().to_string(),
    ]
}

fn scale(report: &Report) -> String {
    let rows = report.scale.iter().map(|scale| {
        vec![
            scale.users.to_string(),
            spread(scale.bind.spread(|figures| figures.per_second), 0),
            spread(scale.bind.spread(|figures| figures.p99_us / 1000.0), 2),
            format!("{:.2}", scale.ready_after_s),
            format!("{:.0}", mebibytes(scale.resident_bytes)),
            format!("{:.0}", mebibytes(scale.disk_bytes)),
            scale.bind.errors().to_string(),
        ]
    });
    aligned(
        &["accounts", "binds per second", "p99 ms", "ready after s", "RSS MiB", "disk MiB", "errors"],
        rows.collect(),
    )
}

fn spread(spread: Spread, digits: usize) -> String {
    let Spread { median, min, max } = spread;
    format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
}

/// Columns as wide as their widest cell, in Markdown.
pub(crate) fn aligned(headings: &[&str], rows: Vec<Vec<String>>) -> String {
    let headings: Vec<String> = headings.iter().map(|&heading| heading.to_owned()).collect();
    let width = |column: usize| {
        let cells = std::iter::once(&headings).chain(&rows).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let line = |row: &[String]| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!(" {cell:<width$} "));
        format!("|{}|\n", cells.collect::<Vec<_>>().join("|"))
    };
    let rule = widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("|");
    let mut text = line(&headings) + &format!("|{rule}|\n");
    rows.iter().for_each(|row| text.push_str(&line(row)));
    text
}

#[cfg(test)]
mod tests {
    use super::aligned;

    #[test]
    fn columns_stand_below_each_other() {
        let table =
            aligned(&["what", "µs"], vec![vec!["bind".into(), "7".into()], vec!["a longer one".into(), "1000".into()]]);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "| what         | µs   |");
        assert_eq!(lines[1], "|--------------|------|");
        assert_eq!(lines[3], "| a longer one | 1000 |");
    }
}

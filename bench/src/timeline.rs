//! What goes on over some minutes, as SVG: curves with a value for each second, and the moments at which something was done.

use std::fmt::Write as _;

use crate::plot::{BOTTOM, COLOURS, HEIGHT, LEFT, RIGHT, TOP, WIDTH, frame, line, text};

/// A curve.
#[derive(Clone, Debug)]
pub struct Curve {
    /// Its name.
    pub name: String,
    /// A value for each second.
    pub values: Vec<f64>,
}

/// A moment at which something was done.
#[derive(Clone, Debug)]
pub struct Mark {
    /// When, in seconds.
    pub at_s: f64,
    /// What, in a few words; what is done again has the same.
    pub kind: String,
}

/// Curves over time, on a linear scale.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// What is shown.
    pub title: String,
    /// The unit.
    pub y_label: String,
    /// The curves.
    pub curves: Vec<Curve>,
    /// The moments.
    pub marks: Vec<Mark>,
}

/// How many labels an axis has, about.
const LABELS: f64 = 6.0;

impl Timeline {
    /// The drawing.
    #[must_use]
    pub fn svg(&self) -> String {
        let values = || self.curves.iter().flat_map(|curve| &curve.values).copied();
        let seconds = self.curves.iter().map(|curve| curve.values.len()).max().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "some minutes")]
        let end = seconds.max(1) as f64;
        let most = values().fold(1.0, f64::max);
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        let x = |at: f64| LEFT + at / end * (right - LEFT);
        let y = |value: f64| bottom - value / most * (bottom - TOP);
        let mut svg = frame(&self.title, "seconds", &self.y_label);
        for label in labels(most) {
            line(&mut svg, (LEFT, y(label)), (right, y(label)), "#ddd");
            text(&mut svg, LEFT - 6.0, y(label) + 4.0, "end", &label.to_string());
        }
        for label in labels(end) {
            text(&mut svg, x(label), bottom + 18.0, "middle", &label.to_string());
        }
        let mut legend = Vec::new();
        let mut colours = COLOURS.iter();
        for (curve, colour) in self.curves.iter().zip(&mut colours) {
            let mut path = String::new();
            for (second, value) in (0_u32..).zip(&curve.values) {
                let command = if path.is_empty() { "M" } else { " L" };
                // Writing to a String does not fail.
                let _ = write!(path, "{command}{:.1} {:.1}", x(f64::from(second) + 0.5), y(*value));
            }
            let _ = writeln!(svg, "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1\"/>");
            legend.push((curve.name.as_str(), *colour));
        }
        let mut kinds: Vec<&str> = Vec::new();
        for mark in &self.marks {
            if !kinds.contains(&mark.kind.as_str()) {
                kinds.push(&mark.kind);
            }
        }
        for (kind, colour) in kinds.into_iter().zip(colours.chain(OTHER_COLOURS)) {
            for mark in self.marks.iter().filter(|mark| mark.kind == kind) {
                line(&mut svg, (x(mark.at_s), TOP - 6.0), (x(mark.at_s), bottom), colour);
            }
            legend.push((kind, colour));
        }
        line(&mut svg, (LEFT, bottom), (right, bottom), "#333");
        for (index, (name, colour)) in (0_u32..).zip(legend) {
            let y = TOP + 12.0 + 20.0 * f64::from(index);
            let _ = writeln!(svg, "<circle cx=\"{}\" cy=\"{}\" r=\"4\" fill=\"{colour}\"/>", right + 16.0, y - 4.0);
            text(&mut svg, right + 26.0, y, "start", name);
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// For more kinds of marks than the palette has colours for.
const OTHER_COLOURS: &[&str] = &["#000000", "#999999", "#8b4513"];

/// Round numbers from 0 up to `most`.
fn labels(most: f64) -> impl Iterator<Item = f64> {
    let rough = most / LABELS;
    let decade = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|round| round * decade).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(most);
    (0_u32..).map(move |index| f64::from(index) * step).take_while(move |label| *label <= most)
}

#[cfg(test)]
mod tests {
    use super::{Curve, Mark, Timeline, labels};

    #[test]
    fn labels_are_round_and_within_the_axis() {
        assert_eq!(labels(230.0).collect::<Vec<_>>(), [0.0, 50.0, 100.0, 150.0, 200.0]);
        assert_eq!(labels(6.0).collect::<Vec<_>>(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn each_kind_of_mark_stands_in_the_legend_once() {
        let mark = |at_s: f64, kind: &str| Mark { at_s, kind: kind.to_owned() };
        let curves = vec![Curve { name: "node < 1".to_owned(), values: vec![1.0, 0.0, 3.0] }];
        let marks = vec![mark(0.5, "kill"), mark(1.5, "kill"), mark(2.0, "stop")];
        let svg = Timeline { title: "t".to_owned(), y_label: "y".to_owned(), curves, marks }.svg();
        assert_eq!((svg.matches(">kill<").count(), svg.matches(">stop<").count()), (1, 1));
        assert!(svg.contains("node &lt; 1") && svg.ends_with("</svg>\n"));
    }
}

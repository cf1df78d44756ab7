//! What is told of a run: lines for whoever watches, and a plot.

use std::io::Write;
use std::time::Duration;

use mobile_bind_bench::timeline::{Curve, Mark, Timeline};

use super::check::Found;
use super::load::Acknowledged;

/// Collects what a run says.
#[derive(Default)]
pub struct Record {
    lines: Vec<String>,
    marks: Vec<Mark>,
    /// For each failure: how long the database took, and the nodes after it.
    recovered: Vec<(Duration, Duration)>,
    missed: usize,
    wrong: usize,
    curves: Vec<Curve>,
}

impl Record {
    pub(super) fn say(&mut self, at: Duration, text: &str) {
        self.line(format!("{:>6.1} s  {text}", at.as_secs_f64()));
    }

    fn line(&mut self, line: String) {
        // Whoever closed standard output does not want to know.
        let _ = writeln!(std::io::stdout(), "{line}");
        self.lines.push(line);
    }

    pub(super) fn mark(&mut self, at: Duration, kind: &str) {
        self.marks.push(Mark { at_s: at.as_secs_f64(), kind: kind.to_owned() });
    }

    pub(super) fn wrong(&mut self, text: &str) {
        self.wrong += 1;
        self.line(format!("wrong: {text}"));
    }

    pub(super) fn wrongs(&self) -> usize {
        self.wrong
    }

    pub(super) fn recovered(&mut self, at: Duration, what: &str, database: Duration, binds: Duration, in_time: bool) {
        self.recovered.push((database, binds));
        self.missed += usize::from(!in_time);
        let (database, binds) = (database.as_secs_f64(), binds.as_secs_f64());
        self.say(
            at,
            &format!("{what}: the database takes changes after {database:.1} s, binds succeed after {binds:.1} s"),
        );
    }

    pub(super) fn found(&mut self, at: Duration, found: &Found, restarted: usize) {
        for (word, all) in [("lost", &found.lost), ("doubled", &found.doubled)] {
            for what in all {
                self.line(format!("{word}: {what}"));
            }
        }
        for what in &found.wrong {
            self.wrong(what);
        }
        let most = self.recovered.iter().map(|(database, binds)| binds.saturating_sub(*database)).max();
        let most = most.unwrap_or_default().as_secs_f64();
        let goal = if self.missed == 0 { "met" } else { "missed" };
        let times = self.recovered.len();
        self.say(at, &format!("binds at most {most:.1} s after the database, {times} times; goal of 2 s {goal}"));
        self.say(at, &format!("nodes restarted by hand or gone: {restarted}"));
        self.wrong += restarted;
    }

    /// Takes up how many binds each node answered in each second.
    pub(super) fn binds(&mut self, acknowledged: &[Acknowledged], end: Duration) {
        let seconds = usize::try_from(end.as_secs()).unwrap_or(0) + 1;
        for node in 0..2 {
            let mut values = vec![0.0; seconds];
            for found in acknowledged.iter().filter(|found| found.node == node) {
                let second = usize::try_from(found.at.as_secs()).unwrap_or(usize::MAX);
                if let Some(value) = values.get_mut(second) {
                    *value += 1.0;
                }
            }
            self.curves.push(Curve { name: format!("node {}", node + 1), values });
        }
    }

    /// All that was said.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines.join("\n") + "\n"
    }

    /// Binds over time.
    #[must_use]
    pub fn plot(&self) -> String {
        let curves = self.curves.clone();
        let title = "Binds a second, and what was done to the database".to_owned();
        Timeline { title, y_label: "binds/s".to_owned(), curves, marks: self.marks.clone() }.svg()
    }
}

//! What a scenario found.

use anyhow::{Result, bail};
use serde::Serialize;

use crate::figures::Spread;
use crate::machine::Machine;
use crate::targets::{Bound, Verdict, verdict};

/// Something that was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figure {
    pub(crate) what: &'static str,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
}

/// What was measured, and how it stands to what is promised.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) figures: Vec<Figure>,
    pub(crate) promises: Vec<Verdict>,
}

impl Findings {
    pub(crate) fn figure(&mut self, what: &'static str, value: f64, unit: &'static str) {
        self.figures.push(Figure { what, value, unit });
    }

    pub(crate) fn promise(&mut self, what: &'static str, bound: Bound, value: f64) {
        self.promise_of(what, bound, Spread::of([value]));
    }

    /// The same of several rounds.
    pub(crate) fn promise_of(&mut self, what: &'static str, bound: Bound, value: Option<Spread>) {
        self.promises.push(verdict(what, bound, value));
    }
}

/// A scenario, played.
#[derive(Debug, Serialize)]
pub(crate) struct ScenarioReport {
    pub(crate) scenario: &'static str,
    pub(crate) machine: Machine,
    pub(crate) figures: Vec<Figure>,
    pub(crate) promises: Vec<Verdict>,
    pub(crate) took_s: f64,
}

impl ScenarioReport {
    /// The report as a person reads it.
    pub(crate) fn render(&self) -> String {
        let mut text = format!("{}\n{}\n\n", self.scenario, self.machine.line());
        for Figure { what, value, unit } in &self.figures {
            text.push_str(&format!("{value:>12.2} {unit:<4} {what}\n"));
        }
        text.push('\n');
        for promise in &self.promises {
            let mark = if promise.is_met() == Some(true) { "kept   " } else { "BROKEN " };
            text.push_str(&format!("{mark} {}\n", promise.line()));
        }
        text + &format!("\nit took {:.0} s\n", self.took_s)
    }

    /// One line for each promise that falls short.
    pub(crate) fn check(&self) -> Result<()> {
        let broken = self.promises.iter().filter(|promise| promise.is_met() != Some(true));
        let broken: Vec<String> = broken.map(Verdict::line).collect();
        if broken.is_empty() {
            return Ok(());
        }
        bail!("{}: promises fall short:\n  {}", self.scenario, broken.join("\n  "))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Findings, ScenarioReport};
    use crate::machine::Machine;
    use crate::targets::Bound;

    #[test]
    fn every_promise_that_falls_short_has_its_line() {
        let mut findings = Findings::default();
        findings.figure("binds", 12.5, "1/s");
        findings.promise("kept", Bound::AtMost(2.0), 2.0);
        findings.promise("not kept", Bound::AtLeast(0.8), 0.5);
        findings.promise("lost", Bound::AtMost(0.0), 1.0);
        let Findings { figures, promises } = findings;
        let machine = Machine::this(Path::new("/"));
        let report = ScenarioReport { scenario: "a scenario", machine, figures, promises, took_s: 1.0 };
        let error = report.check().unwrap_err().to_string();
        assert_eq!(error.lines().count(), 3, "{error}");
        assert!(error.contains("not kept: 0.50") && error.contains("lost: 1"), "{error}");
        let shown = report.render();
        assert!(shown.contains("12.50 1/s  binds") && shown.matches("BROKEN").count() == 2, "{shown}");
    }
}

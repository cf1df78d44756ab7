//! The command line.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;

use crate::clock::now;
use crate::folder::Folder;
use crate::machine::Machine;
use crate::report::{Operation, Report};
use crate::run::{Plan, Stage, tell};
use crate::scale::{idle_resident, scale};
use crate::scenario::Scenario;
use crate::{plot, table, targets};

/// Puts load on the release binary, and sets what it measures beside the ceilings of the same machine.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask bench", args_conflicts_with_subcommands = true)]
pub struct CommandLine {
    /// Plays a scenario instead.
    #[command(subcommand)]
    scenario: Option<Scenario>,
    /// Writes the report to this file, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draws the plots into this folder.
    #[arg(long, value_name = "FOLDER")]
    plots: Option<PathBuf>,
    /// Fails where a target is missed, with a line for each.
    #[arg(long)]
    check: bool,
    /// A short look: one repeat of a second, at 1 and 64 connections, without the comparison of stores of many sizes.
    #[arg(long)]
    quick: bool,
    /// How many accounts the stores have beforehand.
    #[arg(long, value_name = "N", default_value = "10000")]
    users: u64,
    /// Leaves out the comparison of stores of many sizes.
    #[arg(long)]
    no_scale: bool,
    /// The comparison of stores of many sizes alone.
    #[arg(long, conflicts_with_all = ["no_scale", "quick", "rate", "only"])]
    scale: bool,
    /// An open loop at so many operations a second, instead of closed loops; at the highest number of connections alone.
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// The numbers of connections [default: 1,8,64,256].
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    connections: Vec<usize>,
    /// What to measure: healthz, send, bind, flow, lookup, wrong, sync, group [default: all].
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = operation)]
    only: Vec<Operation>,
    /// How many repeats of each cell count [default: 3].
    #[arg(long, value_name = "N")]
    repeats: Option<usize>,
    /// How long a repeat takes, in seconds [default: 1.5].
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
    /// Where the stores are put: on the disk that is to be measured [default: the build's own folder].
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

fn operation(name: &str) -> Result<Operation, String> {
    let found = Operation::ALL.into_iter().find(|operation| operation.name() == name);
    found.ok_or_else(|| format!("'{name}' is none of {}", Operation::ALL.map(Operation::name).join(", ")))
}

impl CommandLine {
    /// Makes the run.
    ///
    /// # Errors
    /// In a debug build, where a server or the disk fails, and with `--check` where a target is missed.
    pub fn run(self) -> Result<()> {
        if cfg!(debug_assertions) {
            bail!("a debug build measures nothing worth knowing: run `cargo xtask bench`");
        }
        // One thread: the other processors are the server's.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
        if let Some(scenario) = self.scenario {
            return runtime.block_on(scenario.play());
        }
        let report = runtime.block_on(self.measure())?;
        std::io::stdout().write_all(table::render(&report).as_bytes()).context("cannot write to standard output")?;
        if let Some(file) = &self.json {
            let json = serde_json::to_string_pretty(&report)?;
            std::fs::write(file, json + "\n").with_context(|| format!("cannot write {}", file.display()))?;
        }
        if let Some(folder) = &self.plots {
            plot::write(&report, folder)?;
        }
        if self.check { check(&report) } else { Ok(()) }
    }

    fn plan(&self) -> Result<Plan> {
        let (seconds, repeats, connections) =
            if self.quick { (1.0, 1, vec![1, 64]) } else { (1.5, 3, vec![1, 8, 64, 256]) };
        let seconds = self.seconds.unwrap_or(seconds);
        let connections = if self.connections.is_empty() { connections } else { self.connections.clone() };
        ensure!((0.1..=60.0).contains(&seconds), "--seconds must be 0.1 to 60");
        ensure!(connections.iter().all(|count| (1..=4096).contains(count)), "--connections must be 1 to 4096 each");
        ensure!(self.rate.is_none_or(|rate| (1.0..=1e6).contains(&rate)), "--rate must be 1 to 1000000");
        let most = connections.iter().copied().max().into_iter().collect();
        Ok(Plan {
            duration: Duration::from_secs_f64(seconds),
            repeats: self.repeats.unwrap_or(repeats).max(1),
            connections: if self.rate.is_some() { most } else { connections },
            operations: if self.only.is_empty() { Operation::ALL.to_vec() } else { self.only.clone() },
            rate: self.rate,
            users: self.users,
        })
    }

    async fn measure(&self) -> Result<Report> {
        let start = now();
        let plan = self.plan()?;
        let folder = Folder::make(self.folder.as_deref())?;
        let mut report = Report {
            machine: Machine::this(folder.path()),
            seconds_of_a_repeat: plan.duration.as_secs_f64(),
            users: plan.users,
            idle_resident_bytes: None,
            cells: Vec::new(),
            scale: Vec::new(),
            targets: Vec::new(),
            took_s: 0.0,
        };
        // Whoever asks for a part of it does not want the rest.
        let everything = self.only.is_empty() && plan.rate.is_none();
        if everything {
            report.idle_resident_bytes = Some(idle_resident(folder.path()).await?);
        }
        if !self.scale {
            let cells = plan.cells();
            let stage = Stage::set(&cells, plan.users, folder.path()).await?;
            tell(&format!("{} cells, warming up", cells.len()));
            report.cells = stage.measure(cells, &plan).await?;
            stage.clear()?;
        }
        if everything && !self.quick && !self.no_scale {
            report.scale = scale(&targets::USERS, plan.repeats, plan.duration, folder.path()).await?;
        }
        report.targets = targets::verdicts(&report);
        report.took_s = start.elapsed().as_secs_f64();
        Ok(report)
    }
}

/// One line for each target that was measured and missed.
fn check(report: &Report) -> Result<()> {
    let missed = report.targets.iter().filter(|verdict| verdict.is_met() == Some(false));
    let mut missed: Vec<String> = missed.map(targets::Verdict::line).collect();
    if report.errors() > 0 {
        missed.push(format!("{} answers were not what they should be", report.errors()));
    }
    if missed.is_empty() {
        return Ok(());
    }
    bail!("the targets are missed:\n  {}", missed.join("\n  "))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::CommandLine;
    use crate::report::Operation;

    fn line(words: &str) -> CommandLine {
        CommandLine::parse_from(std::iter::once("bench").chain(words.split_whitespace()))
    }

    #[test]
    fn a_plan_is_what_was_asked_for() {
        let plan = line("--quick --repeats 2 --only bind,sync --connections 4,16").plan().unwrap();
        assert_eq!((plan.repeats, plan.connections), (2, vec![4, 16]));
        assert_eq!(plan.operations, [Operation::Bind, Operation::Sync]);
        assert_eq!(line("--rate 500").plan().unwrap().connections, [256]);
        assert!(line("--seconds 0").plan().is_err() && line("--rate 0").plan().is_err());
        assert!(CommandLine::try_parse_from(["bench", "--only", "everything"]).is_err());
    }

    #[test]
    fn a_scenario_is_asked_for_by_name() {
        assert!(line("overload --check --json report.json").scenario.is_some());
        assert!(line("--check").scenario.is_none());
        for refused in [&["bench", "--quick", "slow-clients"][..], &["bench", "slowly"]] {
            assert!(CommandLine::try_parse_from(refused).is_err(), "{refused:?}");
        }
    }

    #[test]
    fn a_debug_build_is_refused() {
        if cfg!(debug_assertions) {
            assert!(line("").run().unwrap_err().to_string().contains("debug build"));
        }
    }
}

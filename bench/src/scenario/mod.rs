//! What the service promises where more is asked of it than it can do, or where somebody keeps it waiting: each played
//! against the release binary, on a store of its own.

mod binds;
mod files;
mod over_a_shop;
mod overload;
mod report;
mod slow_clients;
mod slow_provider;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

use crate::clock::now;
use crate::folder::Folder;
use crate::machine::Machine;
use report::{Findings, ScenarioReport};

/// What can be played.
#[derive(Debug, Subcommand)]
pub(crate) enum Scenario {
    /// Four times as many binds as the service can do, in an open loop.
    Overload(Options),
    /// An SMS provider that hangs, with 1000 sends waiting for it.
    SlowProvider(Options),
    /// 5000 idle connections, and 1000 clients that send a byte a second.
    SlowClients(Options),
    /// Binds on a shop's own database, beside bare transactions of the same statements.
    OverAShop(Options),
}

/// How a scenario is played.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Writes the report to this file, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fails where a promise falls short, with a line for each.
    #[arg(long)]
    check: bool,
    /// Where the store is put: on the disk that is to be measured [default: the build's own folder].
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

impl Scenario {
    /// Plays it, and tells what was found.
    ///
    /// # Errors
    /// Where the server or the machine fails, and with `--check` where a promise falls short.
    pub(crate) async fn play(self) -> Result<()> {
        let start = now();
        let (name, Options { json, check, folder }) = match &self {
            Self::Overload(options) => ("overload", options),
            Self::SlowProvider(options) => ("slow-provider", options),
            Self::SlowClients(options) => ("slow-clients", options),
            Self::OverAShop(options) => ("over-a-shop", options),
        };
        let folder = Folder::make(folder.as_deref())?;
        let machine = Machine::this(folder.path());
        let data = folder.path().join(name);
        let Findings { figures, promises } = match &self {
            Self::Overload(_) => overload::play(&data).await?,
            Self::SlowProvider(_) => slow_provider::play(&data).await?,
            Self::SlowClients(_) => slow_clients::play(&data).await?,
            Self::OverAShop(_) => over_a_shop::play(&data).await?,
        };
        let report =
            ScenarioReport { scenario: name, machine, figures, promises, took_s: start.elapsed().as_secs_f64() };
        std::io::stdout().write_all(report.render().as_bytes()).context("cannot write to standard output")?;
        if let Some(file) = json {
            let json = serde_json::to_string_pretty(&report)?;
            std::fs::write(file, json + "\n").with_context(|| format!("cannot write {}", file.display()))?;
        }
        if *check { report.check() } else { Ok(()) }
    }
}

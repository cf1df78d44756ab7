//! Sends while a provider has a bad hour: `deliver --binary FILE [--sends N]`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use mobile_bind_tests::crash::existing;
use mobile_bind_tests::deliver::{self, Options};

/// Sends while a provider has a bad hour and the service is killed, and looks whether a message is lost or doubled.
#[derive(Debug, Parser)]
struct CommandLine {
    /// The service's binary.
    #[arg(long)]
    binary: PathBuf,
    /// How many messages, each to a number of its own.
    #[arg(long, default_value = "10000")]
    sends: u32,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let CommandLine { binary, sends } = CommandLine::parse();
    let options = Options { binary: existing(&binary)?, sends };
    // Whoever closed standard output still gets the exit code.
    let outcome = deliver::run(options, &mut |line| drop(writeln!(std::io::stdout(), "{line}"))).await?;
    writeln!(std::io::stdout(), "{}", deliver::summary(&outcome))?;
    Ok(if outcome.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

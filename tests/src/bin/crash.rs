//! Kills the service in the middle of its work: `crash --binary FILE [--kills N] [--seed S]`.

use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use mobile_bind_tests::crash::{self, Options};

/// Kills the service in the middle of its work, and looks whether anything is lost.
#[derive(Debug, Parser)]
struct CommandLine {
    /// The service's binary.
    #[arg(long)]
    binary: PathBuf,
    /// How often to kill it.
    #[arg(long, default_value = "50")]
    kills: u32,
    /// What the random moments and choices come from [default: another one each time].
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let CommandLine { binary, kills, seed } = CommandLine::parse();
    let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(0));
    let mut output = std::io::stdout();
    writeln!(output, "seed {seed}")?;
    let options = Options { binary: crash::existing(&binary)?, kills, seed, moments: 50..1500 };
    // Whoever closed standard output still gets the exit code.
    let outcome = crash::run(options, &mut |line| drop(writeln!(std::io::stdout(), "{line}"))).await?;
    writeln!(output, "{}", crash::summary(&outcome))?;
    Ok(if outcome.lost == 0 && outcome.torn == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

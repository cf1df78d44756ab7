//! Takes the primary away from under two nodes: `failover --binary FILE --postgres FOLDER [--owner UID:GID] [--kills N]`.

use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use mobile_bind_tests::crash::existing;
use mobile_bind_tests::failover::{self, Options, Programs, Record, owner};

/// Takes the primary away from under two nodes, again and again, and looks whether anything is lost or doubled.
#[derive(Debug, Parser)]
struct CommandLine {
    /// The service's binary.
    #[arg(long)]
    binary: PathBuf,
    /// The folder of PostgreSQL's programs.
    #[arg(long)]
    postgres: PathBuf,
    /// Who runs the servers, as UID:GID, where that cannot be whoever runs this.
    #[arg(long, value_parser = owner)]
    owner: Option<(u32, u32)>,
    /// How often to kill the primary.
    #[arg(long, default_value = "10")]
    kills: u32,
    /// The primary takes no changes while it has no standby.
    #[arg(long)]
    strict: bool,
    /// What the people's choices come from [default: another one each time].
    #[arg(long)]
    seed: Option<u64>,
    /// Writes what was said and a plot into this folder.
    #[arg(long, value_name = "FOLDER")]
    record: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let CommandLine { binary, postgres, owner, kills, strict, seed, record: folder } = CommandLine::parse();
    let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(0));
    let programs = Programs { postgres, owner };
    let options = Options { binary: existing(&binary)?, programs, kills, strict, seed };
    let mut record = Record::default();
    let outcome = failover::run(options, &mut record).await?;
    let last = failover::summary(&outcome);
    if let Some(folder) = folder {
        let written = std::fs::create_dir_all(&folder).and_then(|()| {
            std::fs::write(folder.join("run.txt"), record.text() + &last + "\n")?;
            std::fs::write(folder.join("binds.svg"), record.plot())
        });
        written.with_context(|| format!("cannot write to {}", folder.display()))?;
    }
    // Whoever closed standard output still gets the exit code.
    let _ = writeln!(std::io::stdout(), "{last}");
    let good = outcome.lost == 0 && outcome.doubled == 0 && outcome.wrong == 0;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

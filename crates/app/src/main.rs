//! mobile-bind: binds mobile numbers to accounts.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use mobile_bind::cli::CommandLine;

fn main() -> ExitCode {
    match CommandLine::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell where standard error is closed.
            let _ = writeln!(std::io::stderr(), "mobile-bind: {error:#}");
            ExitCode::FAILURE
        }
    }
}

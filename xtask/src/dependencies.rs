//! Licences, bans, sources and security advisories of what the project depends on, as `deny.toml` says.

use anyhow::{Error, Result, bail};

use crate::step::{Step, say};

/// Checks the dependencies. Advisories need a database from the network: on a GitHub runner it must be had; elsewhere
/// its absence is said loudly, so that a machine without network can run everything else.
pub(crate) fn run() -> Result<()> {
    if !Step::cargo(["deny", "--version"]).works() {
        bail!("cargo-deny is missing: run cargo install --locked cargo-deny");
    }
    Step::cargo(["deny", "--locked", "check", "bans", "licenses", "sources"]).run()?;
    let Err(error) = Step::cargo(["deny", "--locked", "fetch", "db"]).run() else {
        return Step::cargo(["deny", "--locked", "check", "advisories"]).run();
    };
    say(&without_database(error, std::env::var_os("GITHUB_ACTIONS").is_some())?);
    Ok(())
}

/// What to tell where the advisories cannot be had, if they need not be.
fn without_database(error: Error, required: bool) -> Result<String> {
    if required {
        return Err(error.context("the advisory database could not be fetched"));
    }
    let rule = "!".repeat(80);
    Ok(format!(
        "{rule}\nWARNING: {error}, so the advisory database could not be fetched.\n\
         Dependencies were NOT checked for known vulnerabilities. With network, run:\n\n    \
         cargo deny check advisories\n{rule}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_database_fails_where_it_is_required_and_is_said_elsewhere() {
        let failure = || anyhow::anyhow!("cargo deny fetch db failed");
        let error = without_database(failure(), true).unwrap_err();
        assert_eq!(format!("{error:#}"), "the advisory database could not be fetched: cargo deny fetch db failed");
        let warning = without_database(failure(), false).unwrap();
        assert!(warning.contains("WARNING: cargo deny fetch db failed") && warning.contains("NOT checked"));
    }
}

//! Killing the service in the middle of its work. The driver is a program of the tests' crate; its output and exit code are
//! the answer.

use std::num::NonZeroU32;

use anyhow::Result;

use crate::service;
use crate::step::Step;

/// Builds the service, and has it killed so often.
pub(crate) fn run(kills: NonZeroU32, seed: Option<u64>, debug: bool) -> Result<()> {
    let binary = service::build(!debug)?;
    let driver = Step::cargo(["run", "--quiet", "--locked", "-p", "mobile-bind-tests", "--bin", "crash"]);
    let step = driver.arguments(["--", "--binary", &binary, "--kills", &kills.to_string()]);
    step.arguments(seed.into_iter().flat_map(|seed| ["--seed".to_owned(), seed.to_string()])).run()
}

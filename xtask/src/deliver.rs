//! Sending while a provider has a bad hour. The driver is a program of the tests' crate; its output and exit code are the
//! answer.

use std::num::NonZeroU32;

use anyhow::Result;

use crate::service;
use crate::step::Step;

/// Builds the service, and has it send so many messages.
pub(crate) fn run(sends: NonZeroU32, debug: bool) -> Result<()> {
    let binary = service::build(!debug)?;
    let driver = Step::cargo(["run", "--quiet", "--locked", "-p", "mobile-bind-tests", "--bin", "deliver"]);
    driver.arguments(["--", "--binary", &binary, "--sends", &sends.to_string()]).run()
}

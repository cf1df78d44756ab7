//! The replay of recorded conversations. It is a program of the tests' crate; its output and exit code are the answer.

use std::path::Path;

use anyhow::{Context, Result};

use crate::step::Step;

/// Replays `file`, or the project's own recordings.
pub(crate) fn run(file: Option<&Path>) -> Result<()> {
    let step = Step::cargo(["run", "--quiet", "--locked", "-p", "mobile-bind-tests", "--bin", "golden", "--"]);
    // The caller's folder need not be the root, where the step runs.
    let file = file.map(std::path::absolute).transpose().context("no current folder")?;
    step.arguments(file).run()
}

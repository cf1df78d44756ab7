//! Everything but behaviour, the quick checks first.

use anyhow::Result;

use crate::step::Step;
use crate::{codegen, dependencies, layers, openapi};

/// Format, layer rules, dependencies, lints, generated files.
pub(crate) fn run() -> Result<()> {
    Step::cargo(["fmt", "--all", "--check"]).run()?;
    layers::run()?;
    dependencies::run()?;
    Step::cargo(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]).run()?;
    codegen::run(true)?;
    openapi::lint()
}

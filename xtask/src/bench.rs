//! The measurements. The driver is a program of its own; its output and exit code are the answer.

use anyhow::Result;

use crate::step::Step;

/// Builds the service and the driver as they are released, and runs the driver with `arguments`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    // Each by itself: together, the service would be built with what the driver asks of their common dependencies.
    Step::cargo(["build", "--release", "--locked", "-p", "mobile-bind"]).run()?;
    let driver = ["run", "--release", "--locked", "-p", "mobile-bind-bench", "--bin", "bench", "--"];
    Step::cargo(driver).arguments(arguments).run()
}

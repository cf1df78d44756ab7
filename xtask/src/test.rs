//! The tests.

use anyhow::Result;

use crate::databases::Databases;
use crate::step::Step;

/// How cargo is told which packages to take.
const SELECTORS: [&str; 3] = ["-p", "--package", "--workspace"];

/// Runs cargo test beside its databases: all of the workspace, unless `cargo` names packages.
pub(crate) fn run(cargo: &[String], harness: &[String]) -> Result<()> {
    let databases = Databases::start()?;
    databases.told(Step::cargo(arguments(cargo, harness))).run()
}

/// What cargo gets. `cargo` may hold a `--` and words for the tests after it.
pub(crate) fn arguments<'a>(cargo: &'a [String], harness: &'a [String]) -> Vec<&'a str> {
    let mut arguments = vec!["test", "--locked"];
    // Next to --workspace, cargo would take no notice of the packages that are named.
    let mut own = cargo.iter().take_while(|argument| *argument != "--");
    if !own.any(|argument| SELECTORS.iter().any(|selector| argument.starts_with(selector))) {
        arguments.push("--workspace");
    }
    arguments.extend(cargo.iter().map(String::as_str));
    if !harness.is_empty() {
        arguments.push("--");
        arguments.extend(harness.iter().map(String::as_str));
    }
    arguments
}

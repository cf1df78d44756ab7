//! What continuous integration runs.

use std::time::Instant;

use anyhow::Result;

use crate::step::say;
use crate::{check, golden, test};

/// Check, test, golden; stops at the first failure.
pub(crate) fn run() -> Result<()> {
    timed("check", check::run)?;
    timed("test", || test::run(&[], &[]))?;
    timed("golden", || golden::run(None))
}

fn timed(name: &str, chore: impl FnOnce() -> Result<()>) -> Result<()> {
    say(&format!("==> {name}"));
    let start = now();
    let result = chore();
    let outcome = if result.is_ok() { "passed" } else { "failed" };
    say(&format!("==> {name} {outcome} after {} s", start.elapsed().as_secs()));
    result
}

#[expect(clippy::disallowed_methods, reason = "how long a chore took is told to a person; no rule depends on it")]
fn now() -> Instant {
    Instant::now()
}

//! What continuous integration runs.

use std::time::Instant;

use anyhow::Result;

use crate::step::say;
use crate::{browser, check, client, golden, openapi, test};

/// Check, test, golden, the document's gates, the client, the pages; stops at the first failure.
pub(crate) fn run() -> Result<()> {
    timed("check", check::run)?;
    // All that fails is told at once.
    timed("test", || test::run(&["--no-fail-fast".to_owned()], &[]))?;
    timed("golden", || golden::run(None))?;
    timed("openapi compat", || openapi::compat(None))?;
    timed("openapi conform", || openapi::conform(false))?;
    timed("client", client::run)?;
    timed("browser", || browser::run(&[]))
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

//! The pages in a real browser, against the real service.

use anyhow::Result;

use crate::{service, tools};

/// Runs Playwright with the system's Chromium. Pictures of the main states are left in web/test-results/screens.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let binary = service::build(false)?;
    let step = tools::script("mobile-bind-pages", "test")?.arguments(["--"]).arguments(arguments);
    step.variable("MOBILE_BIND_BINARY", &binary).run()
}

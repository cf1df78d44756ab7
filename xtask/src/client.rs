//! The TypeScript side: lint, types, and the client's tests against the real service.

use anyhow::Result;

use crate::service;
use crate::tools;

/// Lints and type-checks the npm workspace, and tests the client against the service as built for tests.
pub(crate) fn run() -> Result<()> {
    tools::node("biome")?.arguments(["check", "--error-on-warnings", "."]).run()?;
    for package in PACKAGES {
        tools::script(package, "check")?.run()?;
    }
    tools::script("mobile-bind-client", "test")?.variable("MOBILE_BIND_BINARY", &service::build(false)?).run()
}

const PACKAGES: [&str; 2] = ["mobile-bind-client", "mobile-bind-pages"];

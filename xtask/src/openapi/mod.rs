//! The gates of the OpenAPI document: is it valid, does the service do what it says, do existing clients go on working.

mod additions;
mod compat;
mod plain;

use anyhow::Result;

pub(crate) use compat::run as compat;
pub(crate) use plain::plain;

use crate::service::Service;
use crate::step::root;
use crate::tools;

/// The document that everything is made from.
pub(crate) const DOCUMENT: &str = "openapi/mobile-bind.json";
/// The same for generators that know no `oneOf`.
pub(crate) const PLAIN: &str = "openapi/mobile-bind.plain.json";

/// Validates the document and its examples, as redocly.yaml says.
pub(crate) fn lint() -> Result<()> {
    tools::node("redocly")?.arguments(["lint", DOCUMENT]).variable("REDOCLY_TELEMETRY", "off").run()
}

/// Lets schemathesis ask the service, as released or as built for tests, what the document allows and what it does not;
/// schemathesis.toml says how long and what counts.
pub(crate) fn conform(release: bool) -> Result<()> {
    let schemathesis = tools::python("schemathesis")?;
    let service = Service::start(release)?;
    let document = format!("{}/openapi.json", service.url);
    let settings = root().join("schemathesis.toml");
    schemathesis.arguments(["--config-file"]).arguments([settings]).arguments(["run", &document]).run()
}

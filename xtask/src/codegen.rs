//! What is made from the code: the OpenAPI document, and from it the client's types. All of it is committed, so that a
//! front-end developer needs nothing of what it is made with.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::openapi::DOCUMENT;
use crate::step::{Step, root, say};
use crate::tools;

const YAML: &str = "openapi/mobile-bind.yaml";
const TYPES: &str = "openapi/typescript/src/schema.ts";

/// Writes everything, or with `check` fails where a file differs from what would be written.
pub(crate) fn run(check: bool) -> Result<()> {
    let document = Step::cargo(["run", "--quiet", "--locked", "-p", "mobile-bind", "--", "openapi"]).read()?;
    serde_json::from_slice::<serde_json::Value>(&document).context("mobile-bind openapi printed no JSON")?;
    // What is made from a stale document would be stale too.
    keep(check, DOCUMENT, &document)?;
    let made = root().join("target/codegen");
    fs::create_dir_all(&made)?;
    let made = made.canonicalize()?;
    let (yaml, types) = (made.join("mobile-bind.yaml"), made.join("schema.ts"));
    let bundle =
        tools::node("redocly")?.arguments(["bundle", DOCUMENT, "--ext", "yaml", "--output"]).arguments([&yaml]);
    bundle.variable("REDOCLY_TELEMETRY", "off").quiet_read()?;
    keep(check, YAML, &fs::read(&yaml)?)?;
    tools::node("openapi-typescript")?.arguments([DOCUMENT, "--output"]).arguments([&types]).quiet_read()?;
    keep(check, TYPES, &fs::read(&types)?)?;
    Ok(())
}

/// Writes a file, or with `check` fails where it differs.
fn keep(check: bool, file: &str, made: &[u8]) -> Result<()> {
    let path = root().join(file);
    let kept = fs::read(&path).ok();
    if check {
        return fresh(file, made, kept.as_deref());
    }
    if kept.as_deref() != Some(made) {
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        fs::write(&path, made).with_context(|| format!("cannot write {file}"))?;
        say(&format!("{file} is written"));
    }
    Ok(())
}

fn fresh(file: &str, made: &[u8], kept: Option<&[u8]>) -> Result<()> {
    if kept != Some(made) {
        bail!("stale {file}: run cargo xtask codegen");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_or_missing_file_names_the_cure() {
        assert!(fresh(DOCUMENT, b"{}\n", Some(b"{}\n")).is_ok());
        for kept in [None, Some(&b"{}"[..])] {
            let error = fresh(DOCUMENT, b"{}\n", kept).unwrap_err();
            assert_eq!(error.to_string(), "stale openapi/mobile-bind.json: run cargo xtask codegen");
        }
    }
}

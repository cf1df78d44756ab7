//! What is made from the code: the OpenAPI document, from it the client's types, and with those the pages that the service
//! serves. All of it is committed, so that neither a front-end developer nor `cargo run` needs what it is made with.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::openapi::{DOCUMENT, PLAIN, plain};
use crate::step::{Step, root, say};
use crate::tools;

const YAML: &str = "openapi/mobile-bind.yaml";
const TYPES: &str = "openapi/typescript/src/schema.ts";
/// Where the http crate embeds the pages.
const PAGES: &str = "crates/http/pages";

/// Writes everything, or with `check` fails where a file differs from what would be written.
pub(crate) fn run(check: bool) -> Result<()> {
    let document = Step::cargo(["run", "--quiet", "--locked", "-p", "mobile-bind", "--", "openapi"]).read()?;
    serde_json::from_slice::<serde_json::Value>(&document).context("mobile-bind openapi printed no JSON")?;
    // What is made from a stale document would be stale too.
    keep(check, DOCUMENT, &document)?;
    keep(check, PLAIN, &plain(&document)?)?;
    let made = root().join("target/codegen");
    fs::create_dir_all(&made)?;
    let made = made.canonicalize()?;
    let (yaml, types, pages) = (made.join("mobile-bind.yaml"), made.join("schema.ts"), made.join("pages"));
    let bundle =
        tools::node("redocly")?.arguments(["bundle", DOCUMENT, "--ext", "yaml", "--output"]).arguments([&yaml]);
    bundle.variable("REDOCLY_TELEMETRY", "off").quiet_read()?;
    keep(check, YAML, &fs::read(&yaml)?)?;
    tools::node("openapi-typescript")?.arguments([DOCUMENT, "--output"]).arguments([&types]).quiet_read()?;
    keep(check, TYPES, &fs::read(&types)?)?;
    // The build's report goes to standard output, which is dropped.
    tools::script("mobile-bind-pages", "build")?.arguments(["--", "--outDir"]).arguments([&pages]).read()?;
    for name in names(&pages)? {
        keep(check, &format!("{PAGES}/{name}"), &fs::read(pages.join(&name))?)?;
    }
    for name in names(&root().join(PAGES))? {
        if !pages.join(&name).exists() {
            bail!("{PAGES}/{name} is made by nothing: remove it");
        }
    }
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

/// The names of the files in a folder, in order.
fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    let mut names: Vec<String> =
        paths.iter().filter_map(|path| path.file_name().map(|name| name.to_string_lossy().into_owned())).collect();
    names.sort();
    Ok(names)
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

//! The OpenAPI document, from the code to a file that front-end developers and reviewers read.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::step::{Step, root, say};

const DOCUMENT: &str = "openapi/mobile-bind.json";

/// Writes the document, or with `check` fails where the file differs from it.
pub(crate) fn run(check: bool) -> Result<()> {
    let document = Step::cargo(["run", "--quiet", "--locked", "-p", "mobile-bind", "--", "openapi"]).read()?;
    serde_json::from_slice::<serde_json::Value>(&document).context("mobile-bind openapi printed no JSON")?;
    let file = root().join(DOCUMENT);
    if check {
        return fresh(&document, fs::read(&file).ok().as_deref());
    }
    fs::write(&file, &document).with_context(|| format!("cannot write {DOCUMENT}"))?;
    say(&format!("{DOCUMENT} is written"));
    Ok(())
}

fn fresh(document: &[u8], kept: Option<&[u8]>) -> Result<()> {
    if kept != Some(document) {
        bail!("stale {DOCUMENT}: run cargo xtask codegen");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_or_missing_document_names_the_cure() {
        assert!(fresh(b"{}\n", Some(b"{}\n")).is_ok());
        for kept in [None, Some(&b"{}"[..])] {
            let error = fresh(b"{}\n", kept).unwrap_err();
            assert_eq!(error.to_string(), "stale openapi/mobile-bind.json: run cargo xtask codegen");
        }
    }
}

//! Tools that are not cargo's. One that is missing is named with the line that brings it.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::step::{Step, root};

/// The folder of the Python tools, which can be thrown away.
const PYTHON: &str = "target/python";

/// A tool of the npm workspace, at the version that its lock names.
///
/// # Errors
/// Where it is not installed.
pub(crate) fn node(tool: &str) -> Result<Step> {
    if !Step::program("node").arguments(["--version"]).works() {
        bail!(
            "{tool} needs Node.js 20.19 or newer, which is missing: apt-get install nodejs npm, or see https://nodejs.org"
        );
    }
    let program = root().join("node_modules/.bin").join(tool);
    if !program.exists() {
        bail!("{tool} is missing: run npm ci");
    }
    Ok(Step::program(absolute(program)))
}

/// A script of one of the workspace's packages.
///
/// # Errors
/// Where npm or what it installs is missing.
pub(crate) fn script(package: &str, script: &str) -> Result<Step> {
    // Installed together with everything else.
    node("tsc")?;
    Ok(Step::program("npm").arguments(["run", "--silent", "--workspace", package, script]))
}

/// A Python tool, at the version that openapi/requirements.txt or openapi/clients/requirements.txt names.
///
/// # Errors
/// Where it is not installed.
pub(crate) fn python(tool: &str) -> Result<Step> {
    let program = root().join(PYTHON).join("bin").join(tool);
    if !program.exists() {
        bail!(
            "{tool} is missing: run python3 -m venv {PYTHON} && {PYTHON}/bin/pip install -r openapi/requirements.txt \
             -r openapi/clients/requirements.txt"
        );
    }
    // The interpreter is a link that leads out of the folder, and knows by where it was found what is installed.
    Ok(Step::program(absolute(root().join(PYTHON).join("bin")).join(tool)))
}

/// A step changes to the root before it looks for its program.
fn absolute(path: PathBuf) -> PathBuf {
    path.canonicalize().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_names_its_cure() {
        let error = python("no-such-tool").err().unwrap().to_string();
        assert!(error.starts_with("no-such-tool is missing: run python3 -m venv target/python && "), "{error}");
        let error = node("no-such-tool").err().unwrap().to_string();
        assert!(error.ends_with("run npm ci") || error.contains("Node.js"), "{error}");
    }
}

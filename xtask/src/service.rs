//! The service, run as a program of its own for a chore to talk to.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::step::{Step, root};

/// A service in development, with a store that forgets, on a port of its own. It ends with this value.
pub(crate) struct Service {
    /// Its URL, without a slash at the end.
    pub(crate) url: String,
    child: Child,
}

impl Service {
    /// Builds the service, optimised as it is released or not, and starts it. Quotas are off: a chore asks for more than a person.
    ///
    /// # Errors
    /// Where it cannot be built or does not start.
    pub(crate) fn start(release: bool) -> Result<Self> {
        let mut command = Command::new(build(release)?);
        command.current_dir(root()).args(["--listen", "127.0.0.1:0", "--store", "memory:", "--data-dir"]);
        command.arg(root().join("target/xtask-data")).env("MOBILE_BIND__LIMITS__MODE", "off");
        command.env("MOBILE_BIND__LOG__LEVEL", "warn").stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().context("the service cannot be started")?;
        let output = child.stdout.take().context("the service has no output")?;
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line)?;
        // It prints every message; nobody reads them, and it must not wait for a reader.
        std::thread::spawn(move || output.read_to_end(&mut Vec::new()));
        let Some(url) = line.trim_end().strip_prefix("listening on ") else {
            bail!("the service did not start");
        };
        Ok(Self { url: url.to_owned(), child })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself, which whoever talked to it has noticed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Builds the service's binary, and says where it is.
///
/// # Errors
/// Where it cannot be built.
pub(crate) fn build(release: bool) -> Result<String> {
    let build = ["build", "--quiet", "--locked", "-p", "mobile-bind", "--message-format", "json-render-diagnostics"];
    let messages = Step::cargo(build).arguments(release.then_some("--release")).read()?;
    executable(&messages).context("cargo build names no mobile-bind")
}

/// The binary that cargo built, <https://doc.rust-lang.org/cargo/reference/external-tools.html#json-messages>.
fn executable(messages: &[u8]) -> Option<String> {
    let mut built = messages.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    built.find_map(|message| {
        let named = message["target"]["name"] == "mobile-bind";
        message["executable"].as_str().filter(|_| named).map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::executable;

    #[test]
    fn the_binary_is_found_among_what_cargo_says() {
        let messages = br#"{"reason":"compiler-artifact","target":{"name":"mobile_bind"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"mobile-bind"},"executable":"/target/release/mobile-bind"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(executable(messages).as_deref(), Some("/target/release/mobile-bind"));
        assert_eq!(executable(b"{\"reason\":\"build-finished\",\"success\":true}\n"), None);
    }
}

//! Killing the service in the middle of its work. The driver is a program of the tests' crate; its output and exit code are
//! the answer.

use std::num::NonZeroU32;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::step::Step;

/// Builds the service, and has it killed so often.
pub(crate) fn run(kills: NonZeroU32, seed: Option<u64>, debug: bool) -> Result<()> {
    let build = ["build", "--quiet", "--locked", "-p", "mobile-bind", "--message-format", "json-render-diagnostics"];
    let messages = Step::cargo(build).arguments((!debug).then_some("--release")).read()?;
    let binary = executable(&messages).context("cargo build names no mobile-bind")?;
    let driver = Step::cargo(["run", "--quiet", "--locked", "-p", "mobile-bind-tests", "--bin", "crash"]);
    let step = driver.arguments(["--", "--binary", &binary, "--kills", &kills.to_string()]);
    step.arguments(seed.into_iter().flat_map(|seed| ["--seed".to_owned(), seed.to_string()])).run()
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

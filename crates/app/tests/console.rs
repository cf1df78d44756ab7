//! The operators' console, as an operator sets it up: a token by the command line, its hash among the settings.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mobile-bind"));
    command.current_dir(std::env::temp_dir()).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// The token, and the lines for the settings.
fn made(name: &str) -> (String, String) {
    let output = binary().args(["console", "token", name]).output().unwrap();
    assert!(output.status.success());
    let told = String::from_utf8(output.stdout).unwrap();
    let token = told.lines().map(str::trim).find(|line| line.starts_with("mbc_")).unwrap().to_owned();
    let settings = told.split_once("[console.operators]").unwrap().1.trim().to_owned();
    (token, settings)
}

/// The service, and the address of its console.
fn start(config: &Path, data: &Path, errors: Stdio) -> (Child, String) {
    let mut command = binary();
    command.args(["--listen", "127.0.0.1:0", "--store", "memory:", "--config"]).arg(config).arg("--data-dir").arg(data);
    let mut child = command.stderr(errors).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let console = lines.find_map(|line| line.unwrap().strip_prefix("console: ").map(ToOwned::to_owned)).unwrap();
    (child, console)
}

#[tokio::test]
async fn an_operator_gets_in_by_the_token_that_the_command_line_made() {
    let folder = tempfile::tempdir().unwrap();
    let (token, settings) = made("alice");
    let config = folder.path().join("settings.toml");
    std::fs::write(&config, format!("[console]\nlisten = \"127.0.0.1:0\"\n[console.operators]\n{settings}\n")).unwrap();
    let (mut service, console) = start(&config, folder.path(), Stdio::piped());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(client.get(&console).send().await.unwrap().status(), 200);
    let overview = client.get(format!("{console}/api/overview"));
    let wrong = overview.try_clone().unwrap().bearer_auth("mbc_wrong").send().await.unwrap();
    assert_eq!(wrong.status(), 401);
    let right = overview.bearer_auth(&token).send().await.unwrap();
    assert_eq!(right.status(), 200);
    let text = right.text().await.unwrap();
    assert!(text.starts_with("{\"operator\":\"alice\",") && text.contains("\"totals\":"), "{text}");
    service.kill().unwrap();
    service.wait().unwrap();
    let mut log = String::new();
    service.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(log.contains("a wrong token was shown to the console"), "{log}");
    assert!(!log.contains(&token) && !log.contains("mbc_"), "{log}");
}

#[test]
fn nobody_else_is_let_near() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("settings.toml");
    let (_, settings) = made("alice");
    for (listen, operators, cure) in [
        ("0.0.0.0:9091", settings.as_str(), "loopback"),
        ("127.0.0.1:0", "", "mobile-bind console token"),
        ("127.0.0.1:0", "alice = \"secret\"", "mobile-bind console token alice"),
    ] {
        std::fs::write(&config, format!("[console]\nlisten = \"{listen}\"\n[console.operators]\n{operators}\n"))
            .unwrap();
        let output = binary().args(["config", "check", "--config"]).arg(&config).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && told.contains(cure), "{told}");
    }
}

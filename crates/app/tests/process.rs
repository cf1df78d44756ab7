//! The binary as an operator meets it.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use mobile_bind_tests::harness::collector::Collector;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mobile-bind"));
    command.current_dir(std::env::temp_dir()).stdin(Stdio::null());
    command
}

struct Running {
    child: Child,
    base: String,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn start(data: &Path) -> Self {
        Self::start_with(data, Stdio::null(), &[])
    }

    fn start_with(data: &Path, errors: Stdio, variables: &[(&str, &str)]) -> Self {
        let mut command = binary();
        command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(data).env("MOBILE_BIND__LIMITS__MODE", "off");
        command.envs(variables.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let base = line.trim().strip_prefix("listening on ").expect("the first line says where").to_owned();
        Self { child, base, output }
    }

    async fn post(&self, path: &str, form: &str) -> Value {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.post(format!("{}{path}", self.base)).body(form.to_owned());
        let response = request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let response = client.get(format!("{}{path}", self.base)).send().await.unwrap();
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    }

    async fn bind(&self, mobile: &str) -> Value {
        self.post("/user/appmobilebindverifysend?uuid=u", &format!("mobile={mobile}")).await;
        let inbox = self.get(&format!("/dev/sms?mobile={mobile}")).await;
        let code = inbox[0]["code"].as_str().unwrap();
        let body = format!("mobile={mobile}&verify={code}");
        self.post("/user/appmobilebind?application_client_type=h5&uuid=u", &body).await
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }
}

fn failure(command: &mut Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    assert!(!status.success());
    String::from_utf8(stderr).unwrap()
}

#[tokio::test]
async fn what_was_answered_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut tokens = BTreeMap::new();
    for round in 0..4 {
        let mut server = Running::start(&data);
        for (mobile, token) in &tokens {
            let found = server.post("/user/tokenuserinfo", &format!("token={token}")).await;
            assert_eq!(
                (&found["code"], &found["data"]["mobile"]),
                (&Value::from(0), &Value::from(String::clone(mobile)))
            );
        }
        for index in 0..5 {
            let mobile = format!("138001380{round}{index}");
            let bound = server.bind(&mobile).await;
            assert_eq!(bound["code"], 0);
            tokens.insert(mobile, bound["data"]["token"].as_str().unwrap().to_owned());
        }
        server.signal(Signal::KILL);
        server.child.wait().unwrap();
    }
}

#[tokio::test]
async fn sigterm_stops_it_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Running::start(folder.path());
    assert_eq!(server.bind("13800138000").await["code"], 0);
    server.signal(Signal::TERM);
    assert!(server.child.wait().unwrap().success());
    let mut rest = String::new();
    server.output.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("environment: development") && rest.contains("curl"), "{rest}");
    assert!(rest.contains("sms to 13800138000: "), "messages are printed: {rest}");
}

#[tokio::test]
async fn the_last_spans_reach_the_collector() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start().unwrap();
    let url = collector.url();
    let variables = [("MOBILE_BIND__TELEMETRY__OTLP_ENDPOINT", url.as_str())];
    let mut server = Running::start_with(folder.path(), Stdio::null(), &variables);
    assert_eq!(server.bind("13800138000").await["code"], 0);
    server.signal(Signal::TERM);
    assert!(server.child.wait().unwrap().success());
    let names: Vec<String> = collector.spans().into_iter().map(|span| span.name).collect();
    for name in ["POST /user/appmobilebind", "bind", "decide", "commit", "sms"] {
        assert!(names.iter().any(|found| found == name), "{name} in {names:?}");
    }
}

#[tokio::test]
async fn a_collector_that_is_away_is_only_told_of() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody listens on a port that was given back.
    let away = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let url = format!("http://{away}");
    let variables = [("MOBILE_BIND__TELEMETRY__OTLP_ENDPOINT", url.as_str())];
    let mut server = Running::start_with(folder.path(), Stdio::piped(), &variables);
    assert_eq!(server.bind("13800138000").await["code"], 0);
    server.signal(Signal::TERM);
    assert!(server.child.wait().unwrap().success());
    let mut log = String::new();
    server.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert_eq!(log.matches("the collector took no spans: they are lost").count(), 1, "{log}");
}

#[tokio::test]
async fn the_clock_moves_on_and_codes_expire() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Running::start(folder.path());
    server.post("/user/appmobilebindverifysend?uuid=u", "mobile=13800138000").await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let advance = client.post(format!("{}/dev/clock", server.base)).header("content-type", "application/json");
    assert!(advance.body("{\"advance_s\": 601}").send().await.unwrap().status().is_success());
    let code = server.get("/dev/sms?mobile=13800138000").await[0]["code"].as_str().unwrap().to_owned();
    let body = format!("mobile=13800138000&verify={code}");
    assert_eq!(server.post("/user/appmobilebind?uuid=u", &body).await["code"], -10);
    let back = client.post(format!("{}/dev/clock", server.base)).header("content-type", "application/json");
    assert_eq!(back.body("{\"advance_s\": -5}").send().await.unwrap().status(), 400);
    server.signal(Signal::TERM);
    assert!(server.child.wait().unwrap().success());
}

#[tokio::test]
async fn a_second_process_says_so_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Running::start(folder.path());
    let told = failure(binary().args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(folder.path()));
    assert!(told.contains("another process"), "{told}");
    first.signal(Signal::TERM);
    assert!(first.child.wait().unwrap().success());
}

#[test]
fn what_is_unsafe_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let start = |variables: &[(&str, &str)]| {
        let mut command = binary();
        command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(folder.path()).envs(variables.iter().copied());
        failure(&mut command)
    };
    assert!(start(&[("MOBILE_BIND__ENVIRONMENT", "production")]).contains("sms.sender"));
    assert!(start(&[("MOBILE_BIND__CODE__LENGTH", "9")]).contains("code.length"));
    assert!(start(&[("MOBILE_BIND__STORE", "mongodb:")]).contains("mongodb"));
    assert!(start(&[("MOBILE_BIND__SERVER__MAX_IN_FLIGHT", "0")]).contains("server.max_in_flight"));
    assert!(start(&[("MOBILE_BIND__SMS__TIMEOUT_S", "30")]).contains("server.request_timeout_s"));
    assert!(start(&[("MOBILE_BIND__METRICS__LISTEN", "9090")]).contains("metrics.listen"));
    assert!(
        start(&[("MOBILE_BIND__TELEMETRY__OTLP_ENDPOINT", "https://collector")]).contains("telemetry.otlp_endpoint")
    );
    assert!(start(&[("MOBILE_BIND__LISTNE", "x")]).contains("did you mean 'listen'"));
    let told = failure(binary().args(["--listen", "0.0.0.0:0", "--data-dir"]).arg(folder.path()));
    assert!(told.contains("dev.expose"), "{told}");
}

#[test]
fn settings_can_be_checked_and_printed() {
    let checked = binary().args(["config", "check"]).output().unwrap();
    assert!(checked.status.success());
    let printed = binary().args(["config", "print", "--listen", "127.0.0.1:1"]).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(printed.contains("listen = \"127.0.0.1:1\"") && printed.contains("[limits]"), "{printed}");
    let document = binary().arg("openapi").output().unwrap();
    assert!(serde_json::from_slice::<Value>(&document.stdout).unwrap()["paths"].is_object());
}

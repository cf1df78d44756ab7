//! The audit at the command line, with the service running and without.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use mobile_bind_domain::audit::RecordedEvent;
use mobile_bind_domain::{Change, Write};
use mobile_bind_tests::harness::TestServer;
use serde_json::Value;

const MOBILE: &str = "17602128368";

/// Whether it succeeded, and what it said.
fn audit(data: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mobile-bind"));
    command.current_dir(std::env::temp_dir()).stdin(Stdio::null()).arg("--data-dir").arg(data).arg("audit");
    let Output { status, stdout, stderr } = command.args(arguments).output().unwrap();
    (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

fn succeed(data: &Path, arguments: &[&str]) -> String {
    let (success, said) = audit(data, arguments);
    assert!(success, "{arguments:?}: {said}");
    said
}

/// A server on which a code was sent, a wrong one tried, and another refused; all of it sealed.
async fn server() -> TestServer {
    let server = TestServer::start_with(|_| ()).await.unwrap();
    server.send_code("u", MOBILE).await.unwrap();
    server.send_code("u", MOBILE).await.unwrap();
    server.post("/user/appmobilebind?uuid=u", &format!("mobile={MOBILE}&verify=000000")).await.unwrap();
    for _ in 0..3 {
        server.clock.advance(Duration::from_secs(61));
        server.app.service.keep_audit().await.unwrap();
    }
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_explained_in_words_with_the_service_and_without() {
    let server = server().await;
    let data = server.settings.data_dir.clone();
    let why = succeed(&data, &["why", "--mobile", MOBILE, "--operator", "ann"]);
    for words in
        ["176***368: no account has it", "refused last at", "the code was wrong", "a code had gone to the number"]
    {
        assert!(why.contains(words), "{why}");
    }
    let tail = succeed(&data, &["tail"]);
    assert!(tail.contains("refuse_send") && tail.contains("by operator ann"), "{tail}");
    assert_eq!(succeed(&data, &["tail", "-n", "1"]).lines().count(), 1);
    let exported = succeed(&data, &["export"]);
    let events: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let actions: Vec<_> = events.iter().map(|event| event["action"].as_str().unwrap()).collect();
    assert!(["send", "try", "refuse_send", "look_up"].iter().all(|action| actions.contains(action)), "{actions:?}");
    let told = [&why, &tail, &exported];
    assert!(!told.iter().any(|text| text.contains(MOBILE)), "no whole number");
    drop(server.paused().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_service_the_audit_is_the_same() {
    let server = server().await;
    let data = server.settings.data_dir.clone();
    let running = (succeed(&data, &["tail"]), succeed(&data, &["verify"]), succeed(&data, &["export"]));
    assert!(running.1.contains("the audit is in order"), "{}", running.1);
    let paused = server.paused().await.unwrap();
    assert_eq!((succeed(&data, &["tail"]), succeed(&data, &["verify"]), succeed(&data, &["export"])), running);
    drop(paused);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_altered_fails_and_is_named() {
    let server = server().await;
    let data = server.settings.data_dir.clone();
    assert!(succeed(&data, &["verify"]).contains("the audit is in order"));
    let store = &server.app.service.store;
    let node = store.audit().audit_nodes().await.unwrap()[0];
    let first: RecordedEvent = store.audit().audit_events(node, 0, 1).await.unwrap().remove(0);
    let mut altered = first.clone();
    altered.bytes[4] ^= 1;
    let write =
        |event: RecordedEvent| Change { expectations: Vec::new(), writes: vec![Write::AuditCopy(event.into())] };
    store.commit(write(altered)).await.unwrap();
    let (success, said) = audit(&data, &["verify"]);
    assert!(!success && said.contains("segment 1: its events, or its checkpoint, were altered"), "{said}");
    store.commit(write(first)).await.unwrap();
    succeed(&data, &["verify"]);
}

//! Accounts at the command line, with the service running and without: the same answers, and the same effect over HTTP.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

const MOBILE: &str = "17602128368";
const OPENID: &str = "o-weixin-of-a-person";

fn binary(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mobile-bind"));
    command.current_dir(std::env::temp_dir()).stdin(Stdio::null());
    command
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data)
        .envs([("MOBILE_BIND__LIMITS__MODE", "off"), ("MOBILE_BIND__CODE__SEND_INTERVAL_S", "0")]);
    command
}

fn account(data: &Path, arguments: &[&str]) -> Output {
    binary(data).arg("account").args(arguments).output().unwrap()
}

fn succeed(data: &Path, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = account(data, arguments);
    assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// The exit code and what was said.
fn fail(data: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = account(data, arguments);
    assert!(!status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stdout));
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// A running service; killed where it is dropped.
struct Service {
    child: Child,
    base: String,
    client: reqwest::Client,
}

impl Service {
    fn start(data: &Path) -> Self {
        let mut child = binary(data).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let base = line.trim().strip_prefix("listening on ").expect("the first line says where").to_owned();
        Self { child, base, client: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    async fn post(&self, path: &str, form: &str) -> Value {
        let request = self.client.post(format!("{}{path}", self.base)).body(form.to_owned());
        let response = request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    }

    /// Binds a number to an openid; answers the account's id and its token.
    async fn bind(&self, mobile: &str, openid: &str) -> (u64, String) {
        self.post("/user/appmobilebindverifysend?uuid=u", &format!("mobile={mobile}")).await;
        let inbox = self.client.get(format!("{}/dev/sms?mobile={mobile}", self.base)).send().await.unwrap();
        let inbox: Value = serde_json::from_str(&inbox.text().await.unwrap()).unwrap();
        let code = inbox[0]["code"].as_str().unwrap();
        let form = format!("mobile={mobile}&verify={code}&weixin_openid={openid}&nickname=Zhang");
        let bound = self.post("/user/appmobilebind?application_client_type=weixin&uuid=u", &form).await;
        assert_eq!(bound["code"], 0, "{bound}");
        let id = bound["data"]["id"].as_u64().or_else(|| bound["data"]["id"].as_str()?.parse().ok()).unwrap();
        (id, bound["data"]["token"].as_str().unwrap().to_owned())
    }

    async fn token_is_good(&self, token: &str) -> bool {
        self.post("/user/tokenuserinfo", &format!("token={token}")).await["code"] == 0
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_shown_masked_and_whole_only_with_a_note() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let service = Service::start(data);
    let (id, token) = service.bind(MOBILE, OPENID).await;
    let id = id.to_string();
    let masked = succeed(data, &["show", "--mobile", MOBILE]);
    assert!(masked.contains("176***368") && masked.contains("session on weixin"), "{masked}");
    for secret in [MOBILE, OPENID, "Zhang", &token] {
        assert!(!masked.contains(secret), "{masked}");
    }
    let whole = succeed(data, &["show", "--id", &id, "--unmask", "--operator", "ann"]);
    assert!([MOBILE, OPENID, "Zhang"].iter().all(|text| whole.contains(text)), "{whole}");
    drop(service);
    // Without the service: the same sheet, and the note of the look before.
    assert_eq!(succeed(data, &["show", "--id", &id]), masked);
    let export: Value = serde_json::from_str(&succeed(data, &["export", "--id", &id, "--operator", "bob"])).unwrap();
    assert_eq!((&export["account"]["mobile"], &export["identities"][0]["openid"]), (&MOBILE.into(), &OPENID.into()));
    assert_eq!(export["messages"].as_array().unwrap().len(), 1);
    let events = export["audit"].as_array().unwrap();
    let told: Vec<_> = events.iter().map(|event| (event["action"].as_str().unwrap(), &event["actor"])).collect();
    assert!(told.contains(&("unmask", &"operator ann".into())) && told.contains(&("export", &"operator bob".into())));
    assert!(told.iter().any(|(action, _)| *action == "create"), "{told:?}");
    let text = export.to_string();
    assert!(!text.contains(&token) && !text.contains("seed") && !text.contains("sealed"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_account_frees_number_and_openids_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let service = Service::start(data);
    let (first, token) = service.bind(MOBILE, OPENID).await;
    let (code, said) = fail(data, &["delete", "--mobile", MOBILE]);
    assert!(code == Some(1) && said.contains("nothing was deleted"), "{said}");
    assert!(service.token_is_good(&token).await);
    let said = succeed(data, &["delete", "--mobile", MOBILE, "--yes"]);
    assert!(said.contains(&format!("account {first}: it is deleted")) && said.contains("176***368"), "{said}");
    assert!(!service.token_is_good(&token).await);
    let (second, _) = service.bind(MOBILE, OPENID).await;
    assert_ne!(second, first, "number and openid make a new account");
    // What is gone is said to be gone.
    assert!(fail(data, &["delete", "--id", &first.to_string(), "--yes"]).1.contains("deleted or closed"));
    assert!(succeed(data, &["show", "--id", &first.to_string()]).contains("deleted"));
    drop(service);
    // Asked, and told to go on, without the service.
    let mut child = binary(data);
    let mut child = child.args(["account", "delete", "--mobile", MOBILE]).stdin(Stdio::piped());
    child = child.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"yes\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("it is deleted"));
    let service = Service::start(data);
    let (third, _) = service.bind(MOBILE, OPENID).await;
    assert!(third > second);
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_take_effect_at_once_and_make_no_sense_twice() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let service = Service::start(data);
    let (id, token) = service.bind(MOBILE, OPENID).await;
    let id = id.to_string();
    assert!(succeed(data, &["disable", "--id", &id]).contains("may no longer log in; its session has ended"));
    assert!(!service.token_is_good(&token).await);
    assert!(fail(data, &["disable", "--id", &id]).1.contains("disabled already"));
    assert!(succeed(data, &["enable", "--id", &id]).contains("may log in again"));
    assert!(!service.token_is_good(&token).await, "what has ended does not begin again");
    let (again, token) = service.bind(MOBILE, "o-weixin-of-a-new-phone").await;
    assert_eq!(again.to_string(), id);
    assert!(fail(data, &["revoke", "--id", &id, "--client-type", "ios"]).1.contains("no such session"));
    assert!(service.token_is_good(&token).await);
    assert!(
        succeed(data, &["revoke", "--mobile", MOBILE, "--client-type", "weixin"]).contains("its session on weixin")
    );
    assert!(!service.token_is_good(&token).await);
    assert_eq!(succeed(data, &["sessions", "--mobile", MOBILE]), "no sessions\n");
    drop(service);
    assert!(succeed(data, &["unbind", "--mobile", MOBILE]).contains("its number 176***368 is free"));
    assert!(fail(data, &["unbind", "--id", &id]).1.contains("no number"));
    let (code, said) = fail(data, &["show", "--mobile", MOBILE]);
    assert!(code == Some(1) && said.contains("there is no such account") && !said.contains(MOBILE), "{said}");
    let service = Service::start(data);
    let (other, _) = service.bind(MOBILE, "o-weixin-of-another").await;
    assert_ne!(other.to_string(), id, "the number is free");
}

#[test]
fn what_cannot_be_meant_is_told_before_any_store_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for arguments in
        [&["show"][..], &["show", "--mobile", MOBILE, "--id", "1"], &["revoke", "--id", "1", "--client-type", "x"]]
    {
        assert_eq!(fail(&data, arguments).0, Some(2), "{arguments:?}");
    }
    assert!(fail(&data, &["show", "--id", "1", "--operator", "a b"]).1.contains("an operator's name"));
    assert!(fail(&data, &["show", "--id", "1"]).1.contains("there is no store"));
    assert!(!data.exists());
}

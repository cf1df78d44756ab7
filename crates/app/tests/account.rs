//! Accounts at the command line, with the service running and without: the same answers, and the same effect over HTTP.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test may panic")]

mod running;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use running::Service;

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

fn start(data: &Path) -> Service {
    Service::start(binary(data))
}

/// Binds a number to an openid; answers the account's id and its token.
async fn bind(service: &Service, mobile: &str, openid: &str) -> (u64, String) {
    let code = service.code(mobile).await;
    let form = format!("mobile={mobile}&verify={code}&weixin_openid={openid}&nickname=Zhang");
    let bound = service.post("/user/appmobilebind?application_client_type=weixin&uuid=u", &form).await;
    assert_eq!(bound["code"], 0, "{bound}");
    let id = bound["data"]["id"].as_u64().or_else(|| bound["data"]["id"].as_str()?.parse().ok()).unwrap();
    (id, bound["data"]["token"].as_str().unwrap().to_owned())
}

async fn token_is_good(service: &Service, token: &str) -> bool {
    service.post("/user/tokenuserinfo", &format!("token={token}")).await["code"] == 0
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_shown_masked_and_whole_only_with_a_note() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let service = start(data);
    let (id, token) = bind(&service, MOBILE, OPENID).await;
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
    let service = start(data);
    let (first, token) = bind(&service, MOBILE, OPENID).await;
    let (code, said) = fail(data, &["delete", "--mobile", MOBILE]);
    assert!(code == Some(1) && said.contains("nothing was deleted"), "{said}");
    assert!(token_is_good(&service, &token).await);
    let said = succeed(data, &["delete", "--mobile", MOBILE, "--yes"]);
    assert!(said.contains(&format!("account {first}: it is deleted")) && said.contains("176***368"), "{said}");
    assert!(!token_is_good(&service, &token).await);
    let (second, _) = bind(&service, MOBILE, OPENID).await;
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
    let service = start(data);
    let (third, _) = bind(&service, MOBILE, OPENID).await;
    assert!(third > second);
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_take_effect_at_once_and_make_no_sense_twice() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let service = start(data);
    let (id, token) = bind(&service, MOBILE, OPENID).await;
    let id = id.to_string();
    assert!(succeed(data, &["disable", "--id", &id]).contains("may no longer log in; its session has ended"));
    assert!(!token_is_good(&service, &token).await);
    assert!(fail(data, &["disable", "--id", &id]).1.contains("disabled already"));
    assert!(succeed(data, &["enable", "--id", &id]).contains("may log in again"));
    assert!(!token_is_good(&service, &token).await, "what has ended does not begin again");
    let (again, token) = bind(&service, MOBILE, "o-weixin-of-a-new-phone").await;
    assert_eq!(again.to_string(), id);
    assert!(fail(data, &["revoke", "--id", &id, "--client-type", "ios"]).1.contains("no such session"));
    assert!(token_is_good(&service, &token).await);
    assert!(
        succeed(data, &["revoke", "--mobile", MOBILE, "--client-type", "weixin"]).contains("its session on weixin")
    );
    assert!(!token_is_good(&service, &token).await);
    assert_eq!(succeed(data, &["sessions", "--mobile", MOBILE]), "no sessions\n");
    drop(service);
    assert!(succeed(data, &["unbind", "--mobile", MOBILE]).contains("its number 176***368 is free"));
    assert!(fail(data, &["unbind", "--id", &id]).1.contains("no number"));
    let (code, said) = fail(data, &["show", "--mobile", MOBILE]);
    assert!(code == Some(1) && said.contains("there is no such account") && !said.contains(MOBILE), "{said}");
    let service = start(data);
    let (other, _) = bind(&service, MOBILE, "o-weixin-of-another").await;
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

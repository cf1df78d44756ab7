//! The vendors' own SDKs as an oracle: the same message goes through an SDK and through this crate to one fake, which
//! verifies and records both. Needs Python 3 with venv, and the package index once.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use mobile_bind_domain::ports::SmsSender;
use mobile_bind_sms::fake_provider::{FakeAccount, FakeProvider, Play, Received};
use mobile_bind_sms::{HttpClient, Kind, Provider, ProviderConfig, Shared};
use serde_json::{Value, json};

use crate::{Sevens, SystemClock, fetch, message};

const REQUIREMENTS: &str = include_str!("sdk/requirements.txt");
const TEXT: &str = "您的验证码是 {code} & more: {minutes}";
const CURE: &str = "install Python 3 with venv (apt-get install python3-venv), and let pip reach a package index";

/// The SDKs' interpreter, in a throw-away environment that is made where it is not there yet.
fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sms-sdk");
    let (installed, python) = (folder.join("installed.txt"), folder.join("bin/python"));
    if std::fs::read_to_string(&installed).is_ok_and(|text| text == REQUIREMENTS) {
        return python;
    }
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real_parts/sdk/requirements.txt");
    let mut make = Command::new("python3");
    fetch(make.args(["-m", "venv", "--clear"]).arg(&folder), CURE);
    let mut install = Command::new(&python);
    fetch(
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(requirements),
        CURE,
    );
    std::fs::write(installed, REQUIREMENTS).unwrap();
    python
}

/// What the SDK made of the fake's answer to its message.
fn through_sdk(kind: &str, fake: &FakeProvider, message: &Value) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real_parts/sdk/send.py");
    let mut command = Command::new(python());
    command.arg(script).args([kind, &fake.address.to_string()]).env("PYTHONDONTWRITEBYTECODE", "1");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(message.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{kind}: the SDK failed");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn config(kind: Kind, url: String) -> ProviderConfig {
    let (account, secret, from) = match kind {
        Kind::Aliyun => ("LTAI5tFake", "s3cret", "某某商城 & Co"),
        Kind::Tencent => ("AKIDfake", "s3cret", "某某商城 & Co"),
        Kind::Twilio => ("AC00000000000000000000000000000000", "s3cret", "+15005550006"),
        _ => ("", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", ""),
    };
    let approved = matches!(kind, Kind::Aliyun | Kind::Tencent);
    let mut config = crate::config(kind, url, [account, secret], from, if approved { "449739" } else { TEXT });
    match kind {
        Kind::Aliyun => config.parameters = vec!["code={code}".to_owned()],
        Kind::Tencent => {
            config.parameters = vec!["{code}".to_owned()];
            config.app_id = "1400006666".to_owned();
            config.region = "ap-guangzhou".to_owned();
        }
        _ => {}
    }
    config
}

/// What the SDK got, and the two requests: the SDK's, then this crate's.
async fn both(kind: Kind, name: &'static str) -> (Value, Received, Received) {
    let config_of = |url| config(kind, url);
    let known = config_of(String::new());
    let account = FakeAccount { kind, account: known.account.clone(), secret: known.secret.clone() };
    let listen = "127.0.0.1:0".parse().unwrap();
    let fake = FakeProvider::start(&account, listen, Play::Accept, Arc::new(SystemClock), None).await.unwrap();
    let shared = Shared {
        client: HttpClient::new().unwrap(),
        clock: Arc::new(SystemClock),
        randomness: Arc::new(Sevens),
        receipts: Arc::new(|_, _| {}),
    };
    let provider = Provider::new(name, config_of(fake.url()), &shared).unwrap();
    let accepted = provider.send(message("17602128368")).await.unwrap();
    assert_eq!(accepted.id, "fake-1");
    let ours = fake.received().remove(0);
    let told = json!({
        "account": known.account, "secret": known.secret.expose(), "from": known.from, "app_id": known.app_id,
        "region": known.region, "template": "449739", "template_param": r#"{"code":"0944"}"#,
        "template_param_set": ["0944"], "national": "17602128368", "international": "+8617602128368",
        "text": "您的验证码是 0944 & more: 10", "body": String::from_utf8(ours.body.clone()).unwrap(),
        "id": ours.header("webhook-id"), "timestamp": ours.header("webhook-timestamp").parse::<u64>().unwrap_or_default(),
    });
    let (answer, fake) = tokio::task::spawn_blocking(move || (through_sdk(name, &fake, &told), fake)).await.unwrap();
    let theirs = fake.received().remove(1);
    assert!(theirs.accepted && ours.accepted, "{name}: both signatures are right");
    assert_eq!((&theirs.method, &theirs.path), (&ours.method, &ours.path), "{name}");
    (answer, theirs, ours)
}

fn pairs(text: &[u8]) -> BTreeMap<String, String> {
    form_urlencoded::parse(text).into_owned().collect()
}

fn same_headers(theirs: &Received, ours: &Received, names: &[&str]) {
    for name in names {
        assert!(!ours.header(name).is_empty(), "{name}");
        assert_eq!(theirs.header(name), ours.header(name), "{name}");
    }
}

/// One after the other: they share the environment that the first one makes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdks_send_what_is_sent_here() {
    let (answer, theirs, ours) = both(Kind::Aliyun, "aliyun").await;
    assert_eq!(answer, json!({"code": "OK", "id": "fake-2"}));
    assert_eq!(pairs(theirs.query.as_bytes()), pairs(ours.query.as_bytes()));
    assert!(theirs.body.is_empty() && ours.body.is_empty());
    same_headers(&theirs, &ours, &["host", "x-acs-action", "x-acs-version", "x-acs-content-sha256"]);

    let (answer, theirs, ours) = both(Kind::Tencent, "tencent").await;
    assert_eq!(answer, json!({"code": "Ok", "id": "fake-2"}));
    let body = |request: &Received| serde_json::from_slice::<Value>(&request.body).unwrap();
    assert_eq!(body(&theirs), body(&ours));
    same_headers(&theirs, &ours, &["host", "content-type", "x-tc-action", "x-tc-version", "x-tc-region"]);

    let (answer, theirs, ours) = both(Kind::Twilio, "twilio").await;
    assert_eq!(answer, json!({"code": "queued", "id": "fake-2"}));
    assert_eq!(pairs(&theirs.body), pairs(&ours.body));
    same_headers(&theirs, &ours, &["authorization", "content-type"]);

    let (answer, theirs, ours) = both(Kind::Webhook, "webhook").await;
    assert_eq!(answer, json!({"code": "202", "id": "fake-2"}));
    assert_eq!(theirs.body, ours.body);
    same_headers(&theirs, &ours, &["webhook-id", "webhook-timestamp", "webhook-signature", "content-type"]);
}

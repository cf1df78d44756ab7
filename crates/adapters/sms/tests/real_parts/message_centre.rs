//! A message centre: node-smpp (from npm) speaks the protocol. Needs Node.js with npm, and the package registry once.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use mobile_bind_domain::ports::{SendFailure, SmsSender};
use mobile_bind_sms::{HttpClient, Kind, Provider, Receipt, ReceiptState, Shared};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{Mutex, mpsc};

use crate::{Sevens, SystemClock, config, fetch, message};

const PACKAGE: &str = include_str!("centre/package.json");
const CURE: &str = "install Node.js (apt-get install nodejs npm), and let npm reach a package registry";

/// Only one test at a time fetches the library.
static FETCHING: Mutex<()> = Mutex::const_new(());

struct Centre {
    _process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    port: u64,
}

impl Centre {
    async fn start() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("message-centre");
        let fetching = FETCHING.lock().await;
        let (package, installed) = (folder.join("package.json"), folder.join("installed.json"));
        if !std::fs::read_to_string(&installed).is_ok_and(|text| text == PACKAGE) {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&package, PACKAGE).unwrap();
            let mut npm = std::process::Command::new("npm");
            fetch(npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&folder), CURE);
            std::fs::write(&installed, PACKAGE).unwrap();
        }
        drop(fetching);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real_parts/centre/centre.js");
        let mut command = Command::new("node");
        command.arg(script).env("NODE_PATH", folder.join("node_modules"));
        let mut process = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect(CURE);
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut centre = Self { _process: process, lines, port: 0 };
        centre.port = centre.told().await["port"].as_u64().unwrap();
        centre
    }

    async fn told(&mut self) -> Value {
        serde_json::from_str(&self.lines.next_line().await.unwrap().unwrap()).unwrap()
    }

    /// A provider with a text of its own, and what it hears.
    fn provider(&self, password: &str, text: &str) -> (Provider, mpsc::UnboundedReceiver<Receipt>) {
        let (heard, receipts) = mpsc::unbounded_channel();
        let shared = Shared {
            client: HttpClient::new().unwrap(),
            clock: Arc::new(SystemClock),
            randomness: Arc::new(Sevens),
            receipts: Arc::new(move |_, receipt| heard.send(receipt).unwrap_or_default()),
        };
        let url = format!("smpp://127.0.0.1:{}", self.port);
        let mut config = config(Kind::Smpp, url, ["shop", password], "Shop", text);
        config.timeout = Duration::from_secs(2);
        (Provider::new("centre", config, &shared).unwrap(), receipts)
    }
}

#[tokio::test]
async fn a_short_message_is_accepted_and_its_receipt_heard() {
    let mut centre = Centre::start().await;
    let (provider, mut receipts) = centre.provider("s3cret", "Code {code}, @ your service [10]");
    assert_eq!(provider.send(message("17602128360")).await.unwrap().id, "centre-1");
    assert_eq!(centre.told().await, json!({"bind": "shop", "version": 0x34, "good": true}));
    let expected = json!({
        "to": "8617602128360", "from": "Shop", "ton": [5, 1], "coding": 0, "receipt": 1,
        "text": "Code 0944, @ your service [10]", "parts": [],
    });
    assert_eq!(centre.told().await, expected);
    let receipt = receipts.recv().await.unwrap();
    assert_eq!(receipt, Receipt { id: "centre-1".to_owned(), state: ReceiptState::Delivered, error: String::new() });
    assert_eq!(centre.told().await, json!({"acknowledged": true}));
}

#[tokio::test]
async fn a_long_chinese_message_goes_in_parts_that_make_one() {
    let mut centre = Centre::start().await;
    let text = format!("您的验证码是 {{code}}。{}", "请勿告诉他人。".repeat(20));
    let (provider, _receipts) = centre.provider("s3cret", &text);
    provider.send(message("17602128360")).await.unwrap();
    let (mut whole, mut parts) = (String::new(), Vec::new());
    let expected = text.replace("{code}", "0944");
    while whole.chars().count() < expected.chars().count() {
        let told = centre.told().await;
        let Some(text) = told["text"].as_str() else { continue };
        assert_eq!(told["coding"], 8);
        whole.push_str(text);
        parts.push(told["parts"][0].as_str().unwrap().to_owned());
    }
    assert_eq!(whole, expected);
    // 3GPP TS 23.040 section 9.2.3.24.8: the reference of all, how many, and which.
    assert_eq!(parts.len(), 3);
    for (index, part) in parts.iter().enumerate() {
        assert!(part.starts_with("0804") && part.ends_with(&format!("03{:02}", index + 1)), "{part}");
        assert_eq!(part[..8], parts[0][..8]);
    }
}

#[tokio::test]
async fn refusals_have_their_classes() {
    let centre = Centre::start().await;
    for (number, failure) in [
        ("17602128361", SendFailure::Refused),
        ("17602128362", SendFailure::Limited),
        ("17602128363", SendFailure::Unavailable),
        ("17602128364", SendFailure::Limited),
    ] {
        let (provider, _receipts) = centre.provider("s3cret", "{code}");
        assert_eq!(provider.send(message(number)).await, Err(failure), "{number}");
    }
    let (provider, _receipts) = centre.provider("wrong", "{code}");
    assert_eq!(provider.send(message("17602128360")).await, Err(SendFailure::Unavailable));
}

#[tokio::test]
async fn silence_and_a_lost_connection_are_unknown_and_the_next_message_goes() {
    let centre = Centre::start().await;
    let (provider, _receipts) = centre.provider("s3cret", "{code}");
    for number in ["17602128365", "17602128366"] {
        assert_eq!(provider.send(message(number)).await, Err(SendFailure::Unknown), "{number}");
        assert!(provider.send(message("17602128360")).await.is_ok(), "after {number}");
    }
}

//! Real providers, as an operator tries them: against the fakes that the binary brings.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

const SECRET: &str = "whsec_ZmFrZS1mYWtlLWZha2UtZmFrZS1mYWtl";

fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mobile-bind"));
    command.current_dir(std::env::temp_dir()).stdin(Stdio::null());
    command
}

/// A process that is killed when the test is over.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    base: String,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let base = lines.next().unwrap().unwrap().strip_prefix("listening on ").unwrap().to_owned();
        Self { child, lines, base }
    }

    fn fake(kind: &str, behaviour: &str) -> Self {
        Self::start(binary().args(["sms", "fake", "--provider", kind, "--behaviour", behaviour]))
    }

    /// The settings that the fake says to use.
    fn settings(&mut self, file: &Path) {
        let mut text = String::new();
        // The last line that a webhook's has.
        while !text.contains("secret = ") {
            text.push_str(&self.lines.next().unwrap().unwrap());
            text.push('\n');
        }
        std::fs::write(file, text).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A process that is gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn told(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn a_configuration_is_tried_with_no_account() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.toml");
    let mut fake = Running::fake("webhook", "accept");
    fake.settings(&file);
    let send =
        |more: &[&str]| told(binary().args(["sms", "send", "--to", "17602128368", "--config"]).arg(&file).args(more));

    let (good, shown) = send(&["--dry-run"]);
    assert!(good && shown.contains(&format!("POST {}/\n", fake.base)), "{shown}");
    assert!(shown.contains("webhook-signature: v1,***\n") && shown.contains("+8617602128368"), "{shown}");
    assert!(!shown.contains(SECRET), "{shown}");

    let (good, answer) = send(&["--language", "en"]);
    assert!(good, "{answer}");
    assert_eq!(answer, "accepted by fake, id fake-1\n");
    let printed = fake.lines.next().unwrap().unwrap();
    assert!(printed.starts_with("sms to +8617602128368: Your verification code is "), "{printed}");

    let (good, answer) = send(&["--provider", "other"]);
    assert!(!good && answer.contains("sms.providers.other"), "{answer}");
    let (good, printed) = told(binary().args(["config", "print", "--config"]).arg(&file));
    assert!(good && printed.contains("secret = \"***\"") && !printed.contains(SECRET), "{printed}");
}

async fn asked(base: &str, lang: &str) -> Value {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{base}/user/appmobilebindverifysend?uuid=u&lang={lang}");
    let request =
        client.post(url).header("content-type", "application/x-www-form-urlencoded").body("mobile=17602128368");
    serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap()
}

#[tokio::test]
async fn the_service_sends_by_its_providers_and_words_their_refusals_itself() {
    for (behaviour, code, words) in [
        ("accept", 0, ["发送成功", "", "", ""]),
        ("error:422", -100, ["无法发送到该号码", "refuses this number", "無法發送到該號碼", "rechaza este número"]),
        ("error:429", -100, ["过于频繁", "too many messages", "過於頻繁", "demasiados mensajes"]),
        ("error:401", -100, ["暂时不可用", "unavailable", "暫時無法使用", "no está disponible"]),
        ("error:500", -100, ["响应超时", "", "", ""]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.toml");
        let mut fake = Running::fake("webhook", behaviour);
        fake.settings(&file);
        let mut serve = binary();
        serve.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(folder.path()).arg("--config").arg(&file);
        let service = Running::start(&mut serve);
        for (lang, words) in ["zh", "en", "cht", "spa"].into_iter().zip(words) {
            if words.is_empty() {
                continue;
            }
            let answer = asked(&service.base, lang).await;
            assert_eq!(answer["code"], code, "{behaviour} {answer}");
            let message = answer["msg"].as_str().unwrap();
            assert!(message.contains(words) && !message.contains("inner text"), "{behaviour} {message}");
        }
        let status = || {
            let mut command = binary();
            command.args(["sms", "status", "--mobile", "17602128368", "--data-dir"]).arg(folder.path());
            told(command.arg("--config").arg(&file))
        };
        if code == 0 {
            // What came of it is stored after the answer.
            let text = loop {
                let (good, text) = status();
                assert!(good && !text.contains("17602128368"), "{text}");
                if text.contains(": accepted, ") {
                    break text;
                }
            };
            assert!(text.contains(" to 176***368: accepted") && text.contains("fake: accepted, id fake-1\n"), "{text}");
            assert!(text.contains("asked by uuid u***, in simplified Chinese; queued "), "{text}");
            let printed = fake.lines.next().unwrap().unwrap();
            assert!(printed.starts_with("sms to +8617602128368: 您的验证码是 "), "{printed}");
        }
    }
}

#[test]
fn what_cannot_be_used_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let check = |text: &str| {
        let file = folder.path().join("settings.toml");
        std::fs::write(&file, text).unwrap();
        told(binary().args(["config", "check", "--config"]).arg(&file))
    };
    let sender = "environment = \"production\"\nshop.default_avatar = \"https://shop.example/a.jpg\"\n[sms]\nsender = \"providers\"\n";
    let (good, answer) = check(sender);
    assert!(!good && answer.contains("[sms.providers.NAME]"), "{answer}");
    let twilio = "[sms.providers.main]\nkind = \"twilio\"\naccount = \"AC1\"\nfrom = \"+15005550006\"\n";
    let (good, answer) = check(&format!("{sender}{twilio}"));
    assert!(!good && answer.contains("sms.providers.main cannot be used: secret is missing"), "{answer}");
    let (good, answer) = check(&format!("{sender}{twilio}secret = \"x\"\nurl = \"http://sms.example\"\n"));
    assert!(!good && answer.contains("url must begin with https"), "{answer}");
    let (good, answer) = check(&format!("{sender}{twilio}secret = \"x\"\n"));
    assert!(good, "{answer}");
}

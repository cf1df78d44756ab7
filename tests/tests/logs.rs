//! Secrets in logs, in what a collector of spans is sent, and in metrics: there are none.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write;
use std::sync::{Arc, Mutex};

use mobile_bind::settings::LimitMode;
use mobile_bind::{Settings, Telemetry, logging};
use mobile_bind_domain::{Platform, SPANS};
use mobile_bind_platforms::fake::Play;
use mobile_bind_sms::Behaviour;
use mobile_bind_tests::harness::TestServer;
use mobile_bind_tests::harness::collector::Collector;
use mobile_bind_tests::shop::Shop;
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'writer> MakeWriter<'writer> for Captured {
    type Writer = Self;

    fn make_writer(&'writer self) -> Self {
        self.clone()
    }
}

/// Which of these stand in a text. Short digits count where they stand alone: any number may have them within it.
fn leaked<'s>(text: &str, secrets: &[&'s str]) -> Vec<&'s str> {
    let found = |secret: &&&str| {
        let is_code = secret.len() <= 8 && secret.bytes().all(|byte| byte.is_ascii_digit());
        let alone = || regex::Regex::new(&format!(r"\b{secret}\b")).unwrap().is_match(text);
        if is_code { alone() } else { text.contains(**secret) }
    };
    secrets.iter().filter(found).copied().collect()
}

/// A user who logs in at his platform, binds by code, and whose number the platform vouches for; answers what is secret of it.
async fn mini_program(server: &TestServer, number: &str) -> Vec<String> {
    let post = async |path: &str, form: &[(&str, &str)]| {
        let form: String = form.iter().map(|(name, value)| format!("{name}={}&", value.replace('+', "%2B"))).collect();
        let path = format!("/user/{path}?application_client_type=weixin&uuid=SECRETINSTALLATION");
        server.post(&path, &form).await.unwrap()
    };
    let known = post("appminiuserauth", &[("authcode", "alice.SECRETAUTHCODE")]).await;
    assert_eq!(known.code(), Some(0), "{}", known.text);
    post("appminiuserauth", &[("authcode", "alice.SECRETAUTHCODE")]).await;
    let shown = server.app.platforms.as_ref().unwrap().number(Platform::Weixin, "alice", number).unwrap();
    let openid = known.field("openid");
    let encrypted = [("openid", openid), ("encrypted_data", &shown.encrypted_data), ("iv", &shown.iv)];
    let bound = post("onekeyusermobilebind", &encrypted).await;
    assert_eq!(bound.code(), Some(0), "{}", bound.text);
    post("onekeyusermobilebind", &[("openid", openid), ("code", &shown.code)]).await;
    let fake = server.app.platforms.as_ref().unwrap();
    // Whatever goes wrong at the platform, nobody is named because of it.
    for (play, code) in [(Play::Busy, -100), (Play::Block, -100), (Play::Garbage, -100), (Play::Crash, -100)] {
        fake.play(play);
        let failed = post("appminiuserauth", &[("authcode", "alice.SECRETAUTHCODE2")]).await;
        let unvouched =
            post("onekeyusermobilebind", &[("openid", openid), ("code", "number-13700137000.SECRET")]).await;
        assert_eq!((failed.code(), unvouched.code()), (Some(code), Some(code)), "{play:?}");
    }
    fake.play(Play::Answer);
    let session_key = fake.session_key(Platform::Weixin, "alice").unwrap();
    let (ticket, token) = (known.field("auth_ticket").to_owned(), bound.field("token").to_owned());
    post(
        "appmobilebind",
        &[("mobile", number), ("verify", "0000"), ("weixin_openid", openid), ("auth_ticket", &ticket)],
    )
    .await;
    let fixed = ["SECRETAUTHCODE", "SECRETINSTALLATION", openid, number].map(str::to_owned);
    [&fixed[..], &[ticket, token, session_key, shown.encrypted_data, shown.iv, shown.code]].concat()
}

/// The only test of its process: what is logged and traced is the process's, not a test's.
#[test]
fn no_number_code_or_token_is_logged_or_traced() {
    let captured = Captured::default();
    let collector = Collector::start().unwrap();
    let mut settings = Settings::default();
    settings.log.level = "trace,h2=info,hyper=info,hyper_util=info,reqwest=info,sled=info".to_owned();
    settings.telemetry.otlp_endpoint = collector.url();
    let telemetry = Telemetry::start(&settings).unwrap().unwrap();
    let subscriber = logging::subscriber_with_spans(&settings, captured.clone(), &telemetry).unwrap();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let secrets = runtime.block_on(async {
        let shop = Shop::open().await.unwrap();
        let mut secrets = Vec::new();
        for store in [Settings::default().store, shop.store()] {
            captured.0.lock().unwrap().clear();
            let server = TestServer::start_with(|settings| {
                settings.limits.mode = LimitMode::Off;
                settings.store = store;
                settings.telemetry.otlp_endpoint = collector.url();
                // Long enough to be nothing else by chance.
                settings.code.length = 8;
            });
            secrets.extend(nothing_secret_is_logged(server.await.unwrap(), &captured).await);
        }
        secrets
    });
    drop(runtime);
    let planted = secrets.first().unwrap();
    tracing::trace_span!(target: SPANS, "planted", leak = format!("sent to {planted}, done")).in_scope(|| ());
    // Flushes: nothing has to be waited for.
    telemetry.stop();
    let (planted_spans, spans): (Vec<_>, Vec<_>) =
        collector.spans().into_iter().partition(|span| span.name == "planted");
    for name in ["load", "decide", "commit", "sms", "platform", "bind", "log_in", "POST /user/onekeyusermobilebind"] {
        assert!(spans.iter().any(|span| span.name == name), "no span {name} was sent");
    }
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    assert_eq!(leaked(&format!("{spans:?}"), &secrets), [""; 0], "in the spans");
    // What a leak would look like is found.
    assert!(leaked(&format!("{planted_spans:?}"), &secrets).contains(&planted.as_str()));
}

/// Answers what was secret.
async fn nothing_secret_is_logged(server: TestServer, captured: &Captured) -> Vec<String> {
    let mobile = "13800138000";
    server.app.sms.set_behaviour("13900139000", Behaviour::Refuse);
    server.send_code("u", "13900139000").await.unwrap();
    server.send_code("u", mobile).await.unwrap();
    server.send_code("u", mobile).await.unwrap();
    let code = server.last_code(mobile).unwrap();
    let path = format!("/user/appmobilebind?application_client_type=weixin&uuid=u&mobile={mobile}");
    server.post(&path, "verify=0000").await.unwrap();
    let bound = server.post(&path, &format!("verify={code}&weixin_openid=oSECRETOPENID")).await.unwrap();
    let token = bound.field("token").to_owned();
    let query = format!("/api.php?s=user/tokenuserinfo&token={token}");
    assert_eq!(server.post(&query, "").await.unwrap().code(), Some(0));
    server.post("/user/logout", &format!("token={token}")).await.unwrap();
    let request_id = bound.headers["x-request-id"].to_str().unwrap().to_owned();
    let of_mini_program = mini_program(&server, "13700137000").await;
    let metrics = server.request(reqwest::Method::GET, "/metrics", None, "").await.unwrap();
    assert_eq!(metrics.status, 200);
    server.stop().await.unwrap();

    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains(&request_id), "requests are logged, with their ids");
    let mut secrets = vec![mobile, "13900139000", token.as_str(), "oSECRETOPENID"];
    secrets.extend(of_mini_program.iter().map(String::as_str));
    assert_eq!(leaked(&log, &[code.as_str()]), [""; 0], "a code is logged");
    for (place, text) in [("the log", &log), ("the metrics", &metrics.text)] {
        assert_eq!(leaked(text, &secrets), [""; 0], "in {place}");
    }
    // What a leak would look like is found.
    secrets.push(&code);
    for secret in secrets.clone() {
        assert!(leaked(&format!("{log} INFO sent, to: {secret}, done"), &secrets).contains(&secret));
    }
    secrets.into_iter().map(str::to_owned).collect()
}

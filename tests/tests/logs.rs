//! Secrets in logs: there are none.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write;
use std::sync::{Arc, Mutex};

use mobile_bind::settings::LimitMode;
use mobile_bind::{Settings, logging};
use mobile_bind_sms::Behaviour;
use mobile_bind_tests::harness::TestServer;
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

/// The only test of its process: what is logged is the process's, not a test's.
#[tokio::test(flavor = "multi_thread")]
async fn no_number_code_or_token_is_logged() {
    let captured = Captured::default();
    let mut settings = Settings::default();
    settings.log.level = "trace,h2=info,hyper=info,hyper_util=info,reqwest=info,sled=info".to_owned();
    tracing::subscriber::set_global_default(logging::subscriber(&settings, captured.clone()).unwrap()).unwrap();

    let shop = Shop::open().await.unwrap();
    for store in [Settings::default().store, shop.store()] {
        captured.0.lock().unwrap().clear();
        let server = TestServer::start_with(|settings| {
            settings.limits.mode = LimitMode::Off;
            settings.store = store;
        });
        nothing_secret_is_logged(server.await.unwrap(), &captured).await;
    }
}

async fn nothing_secret_is_logged(server: TestServer, captured: &Captured) {
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
    server.stop().await.unwrap();

    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains(&request_id), "requests are logged, with their ids");
    let code_alone = regex::Regex::new(&format!(r"\b{code}\b")).unwrap();
    assert!(!code_alone.is_match(&log), "a code is logged");
    for secret in [mobile, "13900139000", token.as_str(), "oSECRETOPENID"] {
        assert!(!log.contains(secret), "a secret is logged");
    }
}

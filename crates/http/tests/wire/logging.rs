//! What is logged, and what never is.

use std::io::Write;
use std::sync::{Arc, Mutex};

use crate::console::TOKEN as OPERATORS_TOKEN;
use crate::console_accounts::{Desk, OPENID};
use crate::shop::{CODE, MOBILE, Shop, TOKEN};

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

#[tokio::test]
async fn one_line_a_request_and_nothing_secret_in_it() {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    // For all threads: what other tests do at the same time must not be in the log either.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let client = Arc::new(Shop::default()).client();
    let form = [("mobile", MOBILE), ("verify", CODE), ("nickname", "somebody"), ("token", TOKEN)];
    let uris = [
        "/api.php?s=user/appmobilebind&token=secret-query",
        "/user/appmobilebindverifysend?uuid=secret-query",
        "/user/17602128368?secret-query",
    ];
    for (number, uri) in uris.iter().enumerate() {
        client.post(*uri).header("x-request-id", format!("request-{number}")).form(&form).send().await;
    }
    let desk = Desk::new().await;
    for (path, asked) in [
        ("look-up", serde_json::json!({ "name": MOBILE })),
        ("unmask", serde_json::json!({ "account": 1 })),
        ("order", serde_json::json!({ "account": 1, "order": "unbind" })),
    ] {
        desk.ask(path, asked).await.assert_status_is_ok();
    }
    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> =
        log.lines().filter(|line| line.contains("answered") && line.contains("request{id=\"request-")).collect();
    assert_eq!(lines.len(), uris.len(), "{log}");
    let expected = [
        ["request-0", "POST", "/user/appmobilebind\"", "status=200", "code=0", "duration_ms=0"],
        ["request-1", "POST", "/user/appmobilebindverifysend\"", "status=200", "code=0", "duration_ms=0"],
        ["request-2", "POST", "route=\"unknown\"", "status=404", "code=-1000", "duration_ms=0"],
    ];
    for (line, parts) in lines.iter().zip(expected) {
        for part in parts {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
    for path in ["look-up", "unmask", "order"] {
        assert!(log.contains(&format!("answered method=\"POST\" route=\"/console/api/{path}\"")), "{path}: {log}");
    }
    assert!(log.matches("an operator acts operator=\"alice\"").count() >= 3, "{log}");
    for secret in [MOBILE, CODE, TOKEN, OPERATORS_TOKEN, OPENID, "secret-query", "somebody", "api.php", "7777"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

//! What operators do to accounts and see of the audit over PostgreSQL: the commands go to the database, and a node beside them goes
//! on.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use mobile_bind::settings::LimitMode;
use mobile_bind_tests::contract::StoreUnderTest;
use mobile_bind_tests::contract::postgres::PostgresSchema;
use mobile_bind_tests::harness::TestServer;

const MOBILE: &str = "17602128368";

/// A node over a database of its own.
struct Shop {
    server: TestServer,
    schema: PostgresSchema,
}

impl Shop {
    async fn start() -> Self {
        let schema = PostgresSchema::empty().unwrap();
        schema.prepare().await.unwrap();
        let store = schema.address();
        let server = TestServer::start_with(|settings| {
            settings.limits.mode = LimitMode::Off;
            settings.store = store;
        });
        Self { server: server.await.unwrap(), schema }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mobile-bind"));
        command.current_dir(std::env::temp_dir()).stdin(Stdio::null());
        command.arg("--data-dir").arg(&self.server.settings.data_dir).arg("--store").arg(self.schema.address());
        command.args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> (bool, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
    }

    fn succeed(&self, arguments: &[&str]) -> String {
        let (success, said) = self.run(arguments);
        assert!(success, "{arguments:?}: {said}");
        said
    }

    async fn token(&self) -> String {
        self.server.clock.advance(Duration::from_secs(61));
        assert_eq!(self.server.send_code("u", MOBILE).await.unwrap().code(), Some(0));
        let verify = self.server.last_code(MOBILE).unwrap();
        let form = format!("mobile={MOBILE}&verify={verify}");
        let bound = self.server.post("/user/appmobilebind?uuid=u", &form).await.unwrap();
        assert_eq!(bound.code(), Some(0), "{}", bound.text);
        bound.field("token").to_owned()
    }

    async fn token_is_good(&self, token: &str) -> bool {
        self.server.post("/user/tokenuserinfo", &format!("token={token}")).await.unwrap().code() == Some(0)
    }

    async fn stop(self) {
        self.server.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_shown_disabled_enabled_and_deleted_beside_a_node() {
    let shop = Shop::start().await;
    let token = shop.token().await;
    let shown = shop.succeed(&["account", "show", "--mobile", MOBILE]);
    assert!(shown.contains("176***368") && !shown.contains(MOBILE), "{shown}");
    shop.succeed(&["account", "disable", "--mobile", MOBILE, "--operator", "ann"]);
    assert!(!shop.token_is_good(&token).await, "at once, on every node");
    shop.succeed(&["account", "enable", "--mobile", MOBILE, "--operator", "ann"]);
    let again = shop.token().await;
    shop.succeed(&["account", "revoke", "--mobile", MOBILE, "--operator", "ann"]);
    assert!(!shop.token_is_good(&again).await);
    shop.succeed(&["account", "delete", "--mobile", MOBILE, "--yes", "--operator", "ann"]);
    assert!(!shop.run(&["account", "show", "--mobile", MOBILE]).0, "nobody has the number");
    let exported = shop.succeed(&["audit", "export"]);
    for action in ["disable", "enable", "revoke", "delete"] {
        assert!(exported.contains(&format!("\"action\":\"{action}\"")), "{action}: {exported}");
    }
    assert!(exported.contains("ann") && !exported.contains(MOBILE), "{exported}");
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_explained_and_the_audit_verified_beside_a_node() {
    let shop = Shop::start().await;
    shop.server.send_code("u", MOBILE).await.unwrap();
    shop.server.post("/user/appmobilebind?uuid=u", &format!("mobile={MOBILE}&verify=000000")).await.unwrap();
    for _ in 0..3 {
        shop.server.clock.advance(Duration::from_secs(61));
        shop.server.app.service.keep_audit().await.unwrap();
    }
    let why = shop.succeed(&["audit", "why", "--mobile", MOBILE, "--operator", "ann"]);
    assert!(why.contains("the code was wrong") && !why.contains(MOBILE), "{why}");
    let verified = shop.succeed(&["audit", "verify"]);
    assert!(verified.contains("the audit is in order"), "{verified}");
    shop.stop().await;
}

/// A process that is ended with the test.
struct Following(Child);

impl Drop for Following {
    fn drop(&mut self) {
        // One that has ended is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_goes_on_with_what_a_node_decides() {
    let shop = Shop::start().await;
    shop.server.send_code("u", MOBILE).await.unwrap();
    let mut following = Following(shop.command(&["audit", "tail", "--follow"]).stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(following.0.stdout.take().unwrap()).lines();
    // What was there comes first; then what is decided meanwhile.
    let mut next = |word: &str| lines.find_map(|line| line.ok().filter(|line| line.contains(word))).unwrap();
    let sent = next("send");
    assert!(sent.contains("176***368") && !sent.contains(MOBILE), "{sent}");
    shop.server.post("/user/appmobilebind?uuid=u", &format!("mobile={MOBILE}&verify=000000")).await.unwrap();
    next("try");
    drop(following);
    shop.stop().await;
}

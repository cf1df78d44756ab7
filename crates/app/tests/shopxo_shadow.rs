//! `mobile-bind shopxo shadow`: the shop's binds played on a copy, from a log and as nginx mirrors them, with the binary as an
//! operator meets it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::Arc;

use mobile_bind_tests::shop::nginx::{Choice, Nginx};
use mobile_bind_tests::shop::stand_in::StandIn;
use mobile_bind_tests::shop::{PhpWriter, Shop};
use serde_json::json;
use tempfile::TempDir;

/// The code that is right at the shop.
const RIGHT: &str = "1111";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A shop with three users, and a copy of it: one without a number who has a token, one who is disabled, and one who has a number
/// and a token.
struct Scene {
    shop: Shop,
    folder: TempDir,
}

async fn for_token(shop: &Shop, user: u32, token: &str) {
    let row = [("token", token.into()), ("add_time", 1_780_000_000.into())];
    shop.insert_platform(user, "h5", &row).await.unwrap();
}

const OTHER_TOKEN: &str = "00000000000000000000000000000abc";

impl Scene {
    async fn open() -> Self {
        let shop = Shop::open().await.unwrap();
        let caller = shop.insert_user(&[("add_time", 1_780_000_000.into())]).await.unwrap();
        for_token(&shop, caller, TOKEN).await;
        shop.insert_user(&[("mobile", "13900000002".into()), ("status", 2.into())]).await.unwrap();
        let other = shop.insert_user(&[("mobile", "13900000003".into())]).await.unwrap();
        for_token(&shop, other, OTHER_TOKEN).await;
        let scene = Self { shop, folder: tempfile::tempdir().unwrap() };
        let (good, said) =
            scene.run("sled:", &["store", "copy", "--from", &scene.shop.store(), "--to", &scene.copy()]).await;
        assert!(good, "{said}");
        scene
    }

    fn copy(&self) -> String {
        format!("sled:{}", self.folder.path().join("copy").display())
    }

    fn command(&self, store: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mobile-bind"));
        command.current_dir(self.folder.path()).stdin(Stdio::null()).args(["--store", store]);
        command.arg("--data-dir").arg(self.folder.path().join("data")).args(arguments);
        command
    }

    /// Whether it succeeded, and what it said.
    async fn run(&self, store: &str, arguments: &[&str]) -> (bool, String) {
        let mut command = self.command(store, arguments);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        let Output { status, stdout, stderr } = output.await.unwrap();
        (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
    }

    /// The shop's address for a user who may read and nothing else.
    async fn reader(&self) -> String {
        let database = self.shop.database().rsplit('/').next().unwrap().to_owned();
        let user = format!("reader_{database}");
        self.shop
            .execute(&format!(
                "CREATE OR REPLACE USER '{user}'@'%' IDENTIFIED BY 'hush'; GRANT SELECT ON {database}.* TO '{user}'@'%'"
            ))
            .await
            .unwrap();
        let (_, place) =
            self.shop.store().split_once('@').map(|(who, place)| (who.to_owned(), place.to_owned())).unwrap();
        format!("shopxo:mysql://{user}:hush@{place}")
    }

    /// All that the shop has.
    async fn rows(&self) -> String {
        let users = self.shop.rows("SELECT * FROM sxo_user", ()).await.unwrap();
        let platforms = self.shop.rows("SELECT * FROM sxo_user_platform", ()).await.unwrap();
        format!("{users:?} {platforms:?}")
    }

    /// What time it is at the shop's database, in seconds.
    async fn now(&self) -> u32 {
        let rows = self.shop.rows("SELECT UNIX_TIMESTAMP()", ()).await.unwrap();
        rows[0].get(0).unwrap()
    }
}

/// A shadow that takes mirrored requests. It is killed where it is dropped.
struct Shadow {
    child: Child,
    said: BufReader<ChildStdout>,
    address: std::net::SocketAddr,
}

impl Shadow {
    async fn start(scene: &Scene, wait_ms: &str) -> Self {
        let file = scene.folder.path().join("shop");
        std::fs::write(&file, scene.reader().await).unwrap();
        let arguments = [
            "--listen",
            "127.0.0.1:0",
            "shopxo",
            "shadow",
            "--shop-file",
            file.to_str().unwrap(),
            "--wait-ms",
            wait_ms,
        ];
        let mut child = scene.command(&scene.copy(), &arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("mirrored requests are taken at http://").unwrap().parse().unwrap();
        Self { child, said, address }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line
    }

    /// What it says once it was told to stop.
    fn finish(mut self) -> String {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let mut said = String::new();
        self.said.read_to_string(&mut said).unwrap();
        assert!(self.child.wait().unwrap().success(), "{said}");
        said
    }
}

impl Drop for Shadow {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn target(token: &str) -> String {
    format!("/api.php?s=user/AppMobileBind&application_client_type=h5&token={token}&uuid=U{token}")
}

fn body(mobile: &str, code: &str) -> String {
    json!({ "mobile": mobile, "verify": code }).to_string()
}

/// What nginx would have logged of a bind, and of PHP's answer.
fn logged(at: u32, mobile: &str, token: &str, length: &str) -> String {
    let line = json!({
        "at": at, "address": "203.0.113.7", "target": target(token), "type": "application/json",
        "body": body(mobile, "0000"), "length": length,
    });
    format!("{line}\n")
}

/// PHP, which binds where the code is right.
fn php(shop: PhpWriter) -> StandIn {
    let (shop, runtime) = (Arc::new(tokio::sync::Mutex::new(shop)), tokio::runtime::Handle::current());
    StandIn::start_with(move |target, body| {
        let body: serde_json::Value = serde_json::from_str(body)?;
        let token = target.split('&').find_map(|pair| pair.strip_prefix("token=")).unwrap_or_default();
        let mobile = body["mobile"].as_str().unwrap_or_default();
        if target.contains("user/AppMobileBind&") && body["verify"] == RIGHT {
            runtime.block_on(async { shop.lock().await.bind(mobile, "h5", token).await })?;
        }
        Ok(())
    })
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mirrored_binds_are_compared_with_what_the_shop_did() {
    let scene = Scene::open().await;
    let shadow = Shadow::start(&scene, "600000").await;
    let php = php(PhpWriter::new(&scene.shop, scene.now().await + 30).await.unwrap());
    let nginx = Nginx::start(php.address(), shadow.address, Choice::Mirrored).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = async |target: String, body: String| {
        let request =
            client.post(format!("http://{}{target}", nginx.address)).header("content-type", "application/json");
        let answer: serde_json::Value =
            serde_json::from_str(&request.body(body).send().await.unwrap().text().await.unwrap()).unwrap();
        assert_eq!(answer["by"], "the shop", "{answer}");
    };
    // Both make an account; one whom mobile-bind lets in no more; a first number; a new one; a wrong code; and a page.
    post(target(""), body("13900000001", RIGHT)).await;
    post(target(""), body("13900000002", RIGHT)).await;
    post(target(TOKEN), body("13900000004", RIGHT)).await;
    post(target(OTHER_TOKEN), body("13900000005", RIGHT)).await;
    post(target(""), body("13900000006", "0000")).await;
    post("/api.php?s=goods/index".to_owned(), "{}".to_owned()).await;
    let before = scene.rows().await;
    drop(client);
    drop(nginx);
    let said = shadow.finish();
    assert!(said.contains("3 binds of the shop's would be bound here the same way\n"), "{said}");
    assert!(
        said.contains(
            "  139***002  the shop entered the number's account (account 2); mobile-bind would refuse: -110 "
        ),
        "{said}"
    );
    assert!(
        said.contains("1 different: the shop entered the number's account; mobile-bind would refuse: -110 "),
        "{said}"
    );
    assert!(said.contains("1 binds not comparable: the shop did nothing, and whether the code was right"), "{said}");
    assert!(!said.contains("requests that are no binds") && !said.contains("dropped"), "{said}");
    assert!(!said.contains("13900000002") && !said.contains(TOKEN) && !said.contains("hush"), "{said}");
    assert_eq!(scene.rows().await, before);
}

/// Posts to a shadow what nginx would mirror of a bind.
async fn mirror(shadow: &Shadow, at: u32, mobile: &str, token: &str) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("http://{}{}", shadow.address, target(token))).body(body(mobile, RIGHT));
    let request = request.header("x-mobile-bind-at", format!("{at}.5")).header("x-mobile-bind-address", "203.0.113.7");
    assert_eq!(request.header("content-type", "application/json").send().await.unwrap().status(), 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_difference_is_printed_when_it_is_found_and_the_copy_keeps_up_with_the_shop() {
    let scene = Scene::open().await;
    let mut shadow = Shadow::start(&scene, "0").await;
    let now = scene.now().await;
    let mut php = PhpWriter::new(&scene.shop, now).await.unwrap();
    // The shop lets the disabled one in.
    php.bind("13900000002", "h5", "").await.unwrap().unwrap();
    mirror(&shadow, now, "13900000002", "").await;
    let told = shadow.line();
    assert!(
        told.contains("139***002  the shop entered the number's account (account 2); mobile-bind would refuse: -110"),
        "{told}"
    );
    // Whom the shop registers without a bind is not in the copy, nor is his token; he comes with it a minute later.
    let made = php.insert_user("13900000007", "h5", &[]).await.unwrap();
    let mut later = PhpWriter::new(&scene.shop, now + 60).await.unwrap();
    mirror(&shadow, now + 60, "13900000008", &made.token).await;
    // The shop has done nothing for him yet: it is not compared, and he is met. What is told after that was looked at after that.
    later.bind("13900000002", "h5", "").await.unwrap().unwrap();
    mirror(&shadow, now + 60, "13900000002", "").await;
    assert!(shadow.line().contains("139***002"));
    later.bind("13900000008", "h5", &made.token).await.unwrap().unwrap();
    mirror(&shadow, now + 60, "13900000008", &made.token).await;
    let said = shadow.finish();
    assert!(
        said.starts_with("1 binds of the shop's would be bound here the same way\n2 different: the shop entered"),
        "{said}"
    );
    assert!(said.contains("1 binds not comparable: the shop did nothing"), "{said}");
}

/// Plays a log of a first number, of a number whose user is disabled, of a wrong code and of nonsense.
async fn played(scene: &Scene, more: &[&str]) -> String {
    let now = scene.now().await;
    let mut php = PhpWriter::new(&scene.shop, now).await.unwrap();
    php.bind("13900000001", "h5", TOKEN).await.unwrap().unwrap();
    php.bind("13900000002", "h5", "").await.unwrap().unwrap();
    let before = scene.rows().await;
    let lines = [
        logged(now, "13900000001", TOKEN, "1500"),
        logged(now, "13900000002", "", "1500"),
        logged(now, "13900000006", "", "60"),
        "nonsense\n".to_owned(),
    ];
    let log = scene.folder.path().join("log");
    std::fs::write(&log, lines.concat()).unwrap();
    let arguments = [&["shopxo", "shadow", "--log", log.to_str().unwrap()], more].concat();
    let (good, said) = scene.run(&scene.copy(), &arguments).await;
    assert!(good && said.contains("1 binds of the shop's would be bound here the same way"), "{said}");
    assert!(said.contains("1 binds not comparable: the shop did nothing"), "{said}");
    assert!(said.contains("1 that could not be read"), "{said}");
    assert!(!said.contains("13900000002") && !said.contains(TOKEN), "{said}");
    assert_eq!(scene.rows().await, before);
    said
}

#[tokio::test]
async fn a_log_is_played_by_what_php_answered() {
    let scene = Scene::open().await;
    let said = played(&scene, &[]).await;
    assert!(said.contains("  139***002  line 2  the shop bound; mobile-bind would refuse: -110"), "{said}");
    assert!(said.contains("1 different: the shop bound; mobile-bind would refuse: -110"), "{said}");
}

#[tokio::test]
async fn a_log_is_played_with_what_the_shop_did() {
    let scene = Scene::open().await;
    let reader = scene.reader().await;
    let said = played(&scene, &["--shop", &reader]).await;
    let told = "  139***002  line 2  the shop entered the number's account (account 2); mobile-bind would refuse: -110";
    assert!(said.contains(told) && !said.contains("hush"), "{said}");
}

#[tokio::test]
async fn a_shadow_takes_a_copy_and_mirrored_requests_a_shop() {
    let scene = Scene::open().await;
    let (good, said) = scene.run(&scene.shop.store(), &["shopxo", "shadow", "--shop", &scene.shop.store()]).await;
    assert!(!good && said.contains("it takes a copy"), "{said}");
    let (good, said) = scene.run(&scene.copy(), &["shopxo", "shadow"]).await;
    assert!(!good && said.contains("name the shop by --shop"), "{said}");
    let shop = scene.shop.store();
    let abroad = ["--listen", "0.0.0.0:0", "shopxo", "shadow", "--shop", &shop];
    let (good, said) = scene.run(&scene.copy(), &abroad).await;
    assert!(!good && said.contains("to this machine alone"), "{said}");
}

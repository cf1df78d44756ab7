//! `mobile-bind shopxo` on a shop's database, with the binary as an operator meets it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::process::{Command, Output, Stdio};

use mobile_bind_tests::shop::Shop;

/// Whether it succeeded, and what it said.
async fn run(store: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mobile-bind"));
    command.current_dir(std::env::temp_dir()).stdin(Stdio::null()).args(["--store", store]).args(arguments);
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

#[tokio::test]
async fn a_shop_is_looked_at_made_ready_and_left_as_it_was() {
    let shop = Shop::open().await.unwrap();
    let store = shop.store();
    let (good, said) = run(&store, &["shopxo", "check"]).await;
    assert!(good && said.contains("are not there") && said.ends_with("nothing stands in the way\n"), "{said}");
    let (good, said) = run(&store, &["shopxo", "install"]).await;
    assert!(good && said.contains("steps taken"), "{said}");
    let (good, said) = run(&store, &["shopxo", "install"]).await;
    assert!(good && said.contains("up to date"), "{said}");
    let (good, said) = run(&store, &["shopxo", "uninstall"]).await;
    assert!(!good && said.contains("--yes"), "{said}");
    let (good, said) = run(&store, &["shopxo", "uninstall", "--yes"]).await;
    assert!(good && said.contains("mb_accounts"), "{said}");
    let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()";
    assert_eq!(shop.rows(tables, ()).await.unwrap().len(), 3, "the shop's own are left");
}

#[tokio::test]
async fn what_stands_in_the_way_fails_the_check() {
    let shop = Shop::open().await.unwrap();
    shop.configure("common_user_unique_system_type_model", "1").await.unwrap();
    let (good, said) = run(&shop.store(), &["shopxo", "check"]).await;
    assert!(!good && said.contains("\nobstacle  ") && said.contains("stand in the way: 1"), "{said}");
}

#[tokio::test]
async fn another_store_and_a_database_without_a_shop_are_named() {
    let (good, said) = run("memory:", &["shopxo", "check"]).await;
    assert!(!good && said.contains("no shop's database"), "{said}");
    let shop = Shop::open().await.unwrap();
    let (good, said) = run(&shop.store().replace("sxo_", "other_"), &["shopxo", "install"]).await;
    assert!(!good && said.contains("other_user"), "{said}");
}

/// What nginx would have logged of a bind, and of PHP's answer.
fn logged(number: u64, mobile: &str, token: &str, length: &str) -> String {
    let target = format!("/api.php?s=user/AppMobileBind&application_client_type=h5&token={token}&uuid=U{number}");
    let body = serde_json::json!({ "mobile": mobile, "verify": "0000" }).to_string();
    let line = serde_json::json!({
        "at": 1_790_000_000 + number, "address": "203.0.113.7", "target": target, "type": "application/json", "body": body,
        "length": length,
    });
    format!("{line}\n")
}

#[tokio::test]
async fn a_shadow_says_which_of_the_shops_binds_would_be_refused_and_leaves_the_shop_alone() {
    let shop = Shop::open().await.unwrap();
    let token = "0123456789abcdef0123456789abcdef";
    let caller = shop.insert_user(&[("add_time", 1_780_000_000.into())]).await.unwrap();
    let row = [("token", token.into()), ("add_time", 1_789_000_000.into())];
    shop.insert_platform(caller, "h5", &row).await.unwrap();
    shop.insert_user(&[("mobile", "13900000002".into()), ("status", 2.into())]).await.unwrap();
    let before = shop.rows("SELECT * FROM sxo_user", ()).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let copy = format!("sled:{}", folder.path().join("copy").display());
    let data = folder.path().join("data").display().to_string();
    let data = ["--data-dir", data.as_str()];
    let (good, said) =
        run("sled:", &[&data[..], &["store", "copy", "--from", &shop.store(), "--to", &copy]].concat()).await;
    assert!(good, "{said}");
    let log = folder.path().join("log");
    let lines = [
        logged(1, "13900000001", token, "1500"),
        logged(2, "13900000002", "", "1500"),
        logged(3, "13900000003", "", "60"),
        "nonsense\n".to_owned(),
    ];
    std::fs::write(&log, lines.concat()).unwrap();
    let (good, said) = run(&copy, &[&data[..], &["shopxo", "shadow", "--log", log.to_str().unwrap()]].concat()).await;
    assert!(good && said.contains("1 binds of the shop's would be bound here too"), "{said}");
    assert!(said.contains("1 binds would be refused here: -110") && said.contains("(lines 2)"), "{said}");
    assert!(
        said.contains("1 requests were refused by the shop") && said.contains("1 lines could not be read"),
        "{said}"
    );
    assert!(!said.contains("13900000002") && !said.contains(token), "{said}");
    assert_eq!(shop.rows("SELECT * FROM sxo_user", ()).await.unwrap(), before);
    let (good, said) = run(&shop.store(), &["shopxo", "shadow", "--log", log.to_str().unwrap()]).await;
    assert!(!good && said.contains("it takes a copy"), "{said}");
}

#[tokio::test]
async fn printed_settings_say_what_of_them_is_the_shops() {
    let shop = Shop::open().await.unwrap();
    shop.configure("common_verify_expire_time", "321").await.unwrap();
    shop.configure("common_verify_interval_time", "45").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, "[code]\nsend_interval_s = 61\n").unwrap();
    let (good, said) = run(&shop.store(), &["--config", file.to_str().unwrap(), "config", "print"]).await;
    assert!(good && said.starts_with("# code.lifetime_s: the shop's sxo_config\n"), "{said}");
    assert!(said.contains("lifetime_s = 321\n") && said.contains("send_interval_s = 61\n"), "{said}");
    assert!(!said.contains("# code.send_interval_s"), "{said}");
}

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

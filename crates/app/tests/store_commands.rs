//! Backups, and looking after the store, with the binary as an operator meets it.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test may panic")]

mod running;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use running::Service;

fn binary(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mobile-bind"));
    command.current_dir(std::env::temp_dir()).stdin(Stdio::null());
    command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(data).env("MOBILE_BIND__LIMITS__MODE", "off");
    command
}

/// Whether it succeeded, and what it said.
fn run(data: &Path, arguments: &[&str]) -> (bool, String) {
    let Output { status, stdout, stderr } = binary(data).args(arguments).output().unwrap();
    (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

fn succeed(data: &Path, arguments: &[&str]) -> String {
    let (success, said) = run(data, arguments);
    assert!(success, "{arguments:?}: {said}");
    said
}

fn fail(data: &Path, arguments: &[&str]) -> String {
    let (success, said) = run(data, arguments);
    assert!(!success, "{arguments:?}: {said}");
    said
}

fn start(data: &Path) -> Service {
    Service::start(binary(data))
}

/// Binds a number; answers its token.
async fn bind(service: &Service, mobile: &str) -> String {
    let code = service.code(mobile).await;
    let body = format!("mobile={mobile}&verify={code}");
    let bound = service.post("/user/appmobilebind?application_client_type=h5&uuid=u", &body).await;
    assert_eq!(bound["code"], 0, "{bound}");
    bound["data"]["token"].as_str().unwrap().to_owned()
}

async fn assert_there(service: &Service, bound: &BTreeMap<String, String>) {
    for (mobile, token) in bound {
        let found = service.post("/user/tokenuserinfo", &format!("token={token}")).await;
        assert_eq!(found["data"]["mobile"], mobile.as_str(), "{found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_running_service_under_load_is_a_service_again() {
    let folder = tempfile::tempdir().unwrap();
    let (data, backup, other) = (folder.path().join("data"), folder.path().join("backup"), folder.path().join("other"));
    let backup_text = backup.to_str().unwrap();
    let service = Arc::new(start(&data));
    let mut bound = BTreeMap::new();
    for number in 0..20 {
        let mobile = format!("138000000{number:02}");
        let token = bind(&service, &mobile).await;
        bound.insert(mobile, token);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writers = (0..4).map(|writer| {
        let (service, stop) = (Arc::clone(&service), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut number = 0;
            while !stop.load(Ordering::SeqCst) {
                bind(&service, &format!("139{writer}{number:07}")).await;
                number += 1;
            }
            number
        })
    });
    let writers: Vec<_> = writers.collect();
    let (running, to) = (data.clone(), backup_text.to_owned());
    let said = tokio::task::spawn_blocking(move || succeed(&running, &["backup", "--to", &to])).await.unwrap();
    assert!(said.contains("holds everything up to change"), "{said}");
    stop.store(true, Ordering::SeqCst);
    for writer in writers {
        assert!(writer.await.unwrap() > 0);
    }
    assert_there(&service, &bound).await;

    let mode = |path: &str| fs::metadata(backup.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("keys"), mode("keys/tokens.json")), (0o700, 0o700, 0o600));
    assert!(fail(&data, &["backup", "--to", backup_text]).contains("cannot make"), "it overwrites nothing");
    assert!(fail(&data, &["restore", "--from", backup_text]).contains("exists already"));
    assert!(fail(&data, &["store", "verify"]).contains("a service has the store open"));
    drop(service);

    // The service was killed: what it left is in order as well.
    assert!(succeed(&data, &["store", "verify"]).contains("the store is in order"));
    succeed(&other, &["restore", "--from", backup_text]);
    assert!(succeed(&other, &["store", "verify"]).contains("the store is in order"));
    let restored = start(&other);
    assert_there(&restored, &bound).await;
    bind(&restored, "13700000000").await;
}

#[tokio::test]
async fn a_backup_without_a_service_is_checked_when_it_is_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let (data, other) = (folder.path().join("data"), folder.path().join("other"));
    let mut bound = BTreeMap::new();
    let service = start(&data);
    bound.insert("13800000000".to_owned(), bind(&service, "13800000000").await);
    drop(service);
    let said = succeed(&data, &["store", "stats"]);
    assert!(said.contains("1 accounts") && said.contains("1 numbers") && said.contains("bytes on disk"), "{said}");

    let backup = folder.path().join("backup");
    let restore = ["restore", "--from", backup.to_str().unwrap()];
    succeed(&data, &["backup", "--to", backup.to_str().unwrap()]);
    let database = backup.join("store/db");
    let whole = fs::read(&database).unwrap();
    let mut flipped = whole.clone();
    flipped[100] ^= 1;
    fs::write(&database, flipped).unwrap();
    assert!(fail(&other, &restore).contains("the backup is damaged: store/db"));
    fs::remove_file(&database).unwrap();
    assert!(fail(&other, &restore).contains("the backup is incomplete: store/db"));
    assert!(!other.exists(), "nothing was put there");
    fs::write(&database, whole).unwrap();
    succeed(&other, &restore);
    assert_there(&start(&other), &bound).await;
    fs::remove_file(backup.join("backup.json")).unwrap();
    assert!(fail(&folder.path().join("third"), &restore).contains("is no backup"));
}

#[tokio::test]
async fn a_store_that_was_replaced_by_an_older_one_is_refused_until_the_loss_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let (data, older) = (folder.path().join("data"), folder.path().join("older"));
    let service = start(&data);
    let first = bind(&service, "13800000000").await;
    succeed(&data, &["backup", "--to", older.to_str().unwrap()]);
    bind(&service, "13800000001").await;
    drop(service);
    // The journal has what the older database lacks, until it is in the database and the journal begins anew.
    drop(start(&data));
    for file in fs::read_dir(older.join("store")).unwrap().map(|file| file.unwrap().file_name()) {
        if file == "db" || file.to_string_lossy().starts_with("snap.") {
            fs::copy(older.join("store").join(&file), data.join("store").join(&file)).unwrap();
        }
    }
    let said = fail(&data, &[]);
    assert!(said.contains("older than its last answer") && said.contains("Restore a backup"), "{said}");
    assert!(fail(&data, &["store", "verify"]).contains("older than its last answer"));
    succeed(&data, &["store", "accept-loss"]);
    succeed(&data, &["store", "verify"]);
    let service = start(&data);
    assert_there(&service, &[("13800000000".to_owned(), first)].into()).await;
    // What could be read of the journal is there, that a message went to the other number for one.
    bind(&service, "13800000002").await;
}

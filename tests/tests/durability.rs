//! Disks that fill up or turn read-only, over real HTTP: nothing answered is lost, reads go on, and room is enough to go on.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test may panic, and say that it was not run"
)]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use mobile_bind::settings::LimitMode;
use mobile_bind_tests::harness::TestServer;
use tempfile::TempDir;

/// A small file system of its own.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    fn mount(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={megabytes}m,mode=1777");
        let mount = ["mount", "-t", "tmpfs", "-o", &options, "tmpfs"];
        let mounted = as_root(&mount, folder.path());
        // Where nobody may mount, the test cannot be run; CI must be able to.
        assert!(mounted || std::env::var_os("CI").is_none(), "CI must be able to mount: it needs root, or sudo");
        if !mounted {
            eprintln!("NOT RUN: this mounts a small tmpfs, for which it needs root, or sudo");
        }
        mounted.then_some(Self { folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all the room there is.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("filling");
        let mut file = File::create(&path).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        as_root(&["umount", "--lazy"], self.path());
    }
}

/// An ext4 of its own, in a file.
struct FailingDisk {
    image: tempfile::NamedTempFile,
    folder: TempDir,
}

impl FailingDisk {
    fn mount() -> Option<Self> {
        let disk = Self { image: tempfile::NamedTempFile::new().unwrap(), folder: tempfile::tempdir().unwrap() };
        disk.image.as_file().set_len(96 << 20).unwrap();
        let made = as_root(&["mkfs.ext4", "-q", "-F"], disk.image.path()) && disk.mount_again();
        assert!(
            made || std::env::var_os("CI").is_none(),
            "CI must be able to mount: it needs root, or sudo, and e2fsprogs"
        );
        if !made {
            eprintln!(
                "NOT RUN: this mounts an ext4 by loop, for which it needs root, or sudo, and mkfs.ext4 (e2fsprogs)"
            );
            return None;
        }
        assert!(as_root(&["chmod", "1777"], disk.path()));
        Some(disk)
    }

    fn mount_again(&self) -> bool {
        let image = self.image.path().to_string_lossy();
        as_root(&["mount", "-o", "loop", &image], self.path())
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What ext4 does where the disk under it fails: from now on it is read-only, and what was not on disk is lost.
    fn abort(&self) {
        assert!(as_root(&["mount", "-o", "remount,abort"], self.path()));
    }

    /// What an operator does then.
    fn repair(&self) {
        assert!(as_root(&["umount"], self.path()), "nobody has it open any more");
        // Its exit code says whether there was something to repair.
        as_root(&["e2fsck", "-fy"], self.image.path());
        assert!(self.mount_again());
    }
}

impl Drop for FailingDisk {
    fn drop(&mut self) {
        as_root(&["umount", "--lazy"], self.path());
    }
}

/// Runs a command on a folder, as whoever we are or else by sudo; whether it succeeded.
fn as_root(command: &[&str], folder: &Path) -> bool {
    let run = |words: &[&str]| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(folder).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    run(command) || run(&[&["sudo", "--non-interactive"], command].concat())
}

/// Sends a code and binds the number; the envelope's code and the token.
async fn bind(server: &TestServer, number: u64) -> (i64, String) {
    let mobile = format!("138{number:08}");
    let sent = server.send_code("uuid", &mobile).await.unwrap();
    if sent.code() != Some(0) {
        return (sent.code().unwrap(), String::new());
    }
    let body = format!("mobile={mobile}&verify={}", server.last_code(&mobile).unwrap());
    let bound = server.post("/user/appmobilebind?application_client_type=h5&uuid=uuid", &body).await.unwrap();
    (bound.code().unwrap(), bound.field("token").to_owned())
}

/// Everything that was answered is there. While the database is opened again a look-up may have to be repeated; it never
/// answers anything else.
async fn assert_there(server: &TestServer, bound: &[(u64, String)]) {
    for (number, token) in bound {
        let mut interval = tokio::time::interval(Duration::from_millis(50));
        let mut found = None;
        for _ in 0..200 {
            interval.tick().await;
            let answer = server.post("/user/tokenuserinfo", &format!("token={token}")).await.unwrap();
            if answer.code() != Some(-100) {
                found = Some(answer);
                break;
            }
        }
        let found = found.expect("reads go on");
        assert_eq!((found.code(), found.field("mobile")), (Some(0), format!("138{number:08}").as_str()));
    }
}

async fn ready(server: &TestServer) -> u16 {
    server.send(server.client().get(server.url("/readyz"))).await.unwrap().status
}

/// Waits until the service takes changes again.
async fn ready_again(server: &TestServer) {
    let mut interval = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..200 {
        interval.tick().await;
        if ready(server).await == 200 {
            return;
        }
    }
    panic!("there is room, and the service did not go on");
}

#[tokio::test]
async fn a_full_disk_stops_binds_alone_and_room_is_enough_to_go_on() {
    let Some(disk) = SmallDisk::mount(16) else { return };
    let data = disk.path().join("data");
    let server = TestServer::start_with(|settings| {
        settings.limits.mode = LimitMode::Off;
        settings.data_dir = data;
        // What has room in the journal is taken, disk or no disk.
        settings.sled.journal_mib = 1;
    });
    let mut server = server.await.unwrap();
    let mut bound = Vec::new();
    let mut next = 0;
    let mut times_not_ready = 0;
    for round in 0..3 {
        let filling = disk.fill();
        let first_refused = loop {
            next += 1;
            let (code, token) = bind(&server, next).await;
            if code != 0 {
                break code;
            }
            bound.push((next, token));
            assert!(next < 30_000, "the disk does not fill up");
        };
        assert_eq!(first_refused, -100, "round {round}");
        // It says so, and still reads. What the failed write gives back may be room enough to go on: then it does.
        for _ in 0..5 {
            next += 1;
            match bind(&server, next).await {
                (0, token) => bound.push((next, token)),
                (code, _) => assert_eq!(code, -100, "round {round}"),
            }
            times_not_ready += u32::from(ready(&server).await == 503);
            // Some of them; all of them at the end.
            let some: Vec<_> = bound.iter().rev().step_by(1 + bound.len() / 20).cloned().collect();
            assert_there(&server, &some).await;
        }
        fs::remove_file(filling).unwrap();
        ready_again(&server).await;
        for _ in 0..20 {
            next += 1;
            let (code, token) = bind(&server, next).await;
            assert_eq!(code, 0, "round {round}");
            bound.push((next, token));
        }
    }
    assert!(bound.len() >= 60 && times_not_ready > 0);
    server = server.restart().await.unwrap();
    assert_there(&server, &bound).await;
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_disk_that_turns_read_only_stops_binds_alone_and_loses_nothing() {
    let Some(disk) = FailingDisk::mount() else { return };
    let data = disk.path().join("data");
    let server = || {
        TestServer::start_with(|settings| {
            settings.limits.mode = LimitMode::Off;
            settings.data_dir.clone_from(&data);
            settings.sled.journal_mib = 1;
        })
    };
    let failing = server().await.unwrap();
    let mut bound = Vec::new();
    // More than a segment of the journal.
    for number in 1..=2000 {
        let (code, token) = bind(&failing, number).await;
        assert_eq!(code, 0);
        bound.push((number, token));
    }
    disk.abort();
    for number in 2001..=2010 {
        assert_eq!(bind(&failing, number).await.0, -100);
        assert_eq!(ready(&failing).await, 503);
        assert_there(&failing, &bound[bound.len() - 20..]).await;
    }
    // That not everything could be put in order is told.
    failing.stop().await.unwrap_err();
    disk.repair();
    let repaired = server().await.unwrap();
    assert_there(&repaired, &bound).await;
    assert_eq!(bind(&repaired, 2011).await.0, 0);
    repaired.stop().await.unwrap();
}

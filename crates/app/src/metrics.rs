//! What is measured, kept for Prometheus. The parts measure by the `metrics` facade and know nothing of this.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use metrics::{Unit, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use mobile_bind_domain::PlatformProof;
use mobile_bind_http::Scrape;

pub(crate) const SESSIONS_OPENED: &str = "mobile_bind_sessions_opened_total";
pub(crate) const SESSIONS_ENDED: &str = "mobile_bind_sessions_ended_total";
pub(crate) const COMMITS: &str = "mobile_bind_store_commits_total";
pub(crate) const COMMITS_WAITING: &str = "mobile_bind_store_commits_waiting";
pub(crate) const COMMIT_DURATION: &str = "mobile_bind_store_commit_duration_seconds";
pub(crate) const PURGED: &str = "mobile_bind_store_records_purged_total";
const PLATFORM_PROOF_TRUST: &str = "mobile_bind_platform_proof_trust";
const STORE_DISK: &str = "mobile_bind_store_disk_bytes";
const STORE_CACHE_LIMIT: &str = "mobile_bind_store_cache_limit_bytes";
const RESIDENT: &str = "process_resident_memory_bytes";
/// Measured by the embedded store.
const GROUP_SIZE: &str = "mobile_bind_store_group_size";
const GROUP_DURATION: &str = "mobile_bind_store_group_duration_seconds";
const SETTLED_ENTRIES: &str = "mobile_bind_store_settled_entries_total";
const SETTLE_DURATION: &str = "mobile_bind_store_settle_duration_seconds";

/// From a tenth of a millisecond to ten seconds: a look-up without a write, and a sender that hangs.
const SECONDS: [f64; 15] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// From half a second to an hour: from a network's best to a phone that was off.
const DELIVERY_SECONDS: [f64; 12] = [0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 3_600.0];
const GROUP_SIZES: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// How often what was measured is put together, so that it does not pile up where nobody asks for it.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// The process has one recorder, whatever runs in it.
static RECORDER: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

/// Everything that is measured in this process.
pub struct Measured {
    recorder: PrometheusHandle,
    /// Where the embedded store is.
    store_folder: Option<PathBuf>,
}

impl Measured {
    /// Starts to measure, unless that was done before.
    ///
    /// # Errors
    /// Where something else measures already.
    pub fn start(store_folder: Option<PathBuf>) -> Result<Self> {
        let mut kept = RECORDER.lock().unwrap_or_else(PoisonError::into_inner);
        let recorder = match kept.as_ref() {
            Some(recorder) => recorder.clone(),
            None => kept.insert(install()?).clone(),
        };
        Ok(Self { recorder, store_folder })
    }

    /// Notes what settings an operator may want to be warned of, or to compare with.
    pub fn note_settings(&self, proof: PlatformProof, cache_bytes: u64) {
        gauge!(PLATFORM_PROOF_TRUST).set(if proof == PlatformProof::Trust { 1.0 } else { 0.0 });
        gauge!(STORE_CACHE_LIMIT).set(as_f64(cache_bytes));
    }

    /// Puts together what was measured, now and then, without end.
    pub async fn keep_up(&self) {
        let mut interval = tokio::time::interval(UPKEEP_EVERY);
        loop {
            interval.tick().await;
            self.recorder.run_upkeep();
        }
    }
}

impl Scrape for Measured {
    fn render(&self) -> String {
        if let Some(folder) = &self.store_folder {
            gauge!(STORE_DISK).set(as_f64(bytes_in(folder)));
        }
        if let Some(bytes) = resident() {
            gauge!(RESIDENT).set(as_f64(bytes));
        }
        self.recorder.render()
    }
}

fn install() -> Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Full(crate::outbox::DELIVERY.to_owned()), &DELIVERY_SECONDS)?
        .set_buckets_for_metric(Matcher::Full(GROUP_SIZE.to_owned()), &GROUP_SIZES)?;
    let recorder = builder.install_recorder().context("something else measures already")?;
    mobile_bind_http::describe_metrics();
    mobile_bind_platforms::describe_metrics();
    mobile_bind_sms::describe_metrics();
    mobile_bind_shopxo::describe_metrics();
    crate::guards::describe_metrics();
    crate::audit_metrics::describe_metrics();
    crate::outbox::describe_metrics();
    describe_counter!(SESSIONS_OPENED, "Sessions opened, by client type.");
    describe_counter!(SESSIONS_ENDED, "Sessions ended by a log-out or another decision, not by time.");
    describe_counter!(COMMITS, "Changes that the store was asked to commit, by outcome.");
    describe_gauge!(COMMITS_WAITING, "Changes that wait in the store's queue, or for the disk.");
    describe_histogram!(COMMIT_DURATION, Unit::Seconds, "How long a change waited until it was durable or refused.");
    describe_counter!(PURGED, "Records forgotten because they had ended.");
    describe_gauge!(PLATFORM_PROOF_TRUST, "Whether openids are taken on trust: 1 or 0.");
    describe_gauge!(STORE_DISK, Unit::Bytes, "What the embedded store takes on disk.");
    describe_gauge!(STORE_CACHE_LIMIT, Unit::Bytes, "What the embedded store's cache may take in memory.");
    describe_gauge!(RESIDENT, Unit::Bytes, "Resident memory of the process.");
    describe_histogram!(GROUP_SIZE, "Changes that the embedded store wrote together.");
    describe_counter!(SETTLED_ENTRIES, "Entries that the embedded store has put from its journal into its database.");
    describe_histogram!(
        SETTLE_DURATION,
        Unit::Seconds,
        "How long it took to put a segment of the journal into the database."
    );
    describe_histogram!(GROUP_DURATION, Unit::Seconds, "How long the embedded store took to make a group durable.");
    Ok(recorder)
}

#[expect(clippy::cast_precision_loss, reason = "a gauge needs no more than 53 bits")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

/// What the files in a folder and below take; what cannot be looked at counts as nothing.
fn bytes_in(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}

/// `VmRSS` of proc(5); `None` on a system without it.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::bytes_in;

    #[test]
    fn a_folder_takes_what_its_files_take() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("inner")).unwrap();
        std::fs::write(folder.path().join("a"), [0; 10]).unwrap();
        std::fs::write(folder.path().join("inner/b"), [0; 5]).unwrap();
        assert_eq!(bytes_in(folder.path()), 15);
        assert_eq!(bytes_in(&folder.path().join("missing")), 0);
    }
}

//! What the disk alone allows: writes that are synced before anybody is answered, with no service around them.
//!
//! The file is written once beforehand, so that a write never has to allocate: no store that does the same can be faster.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use crate::clock::now;
use crate::load::Load;

/// About what a bind writes, in bytes.
const RECORD: usize = 1024;
/// How long the file is, in records.
const RECORDS: usize = 32 * 1024;
/// How many records are written together at most, as in the embedded store.
const GROUP: usize = 512;

/// A file of which every block is there already, written round and round.
struct Log {
    file: File,
    next: usize,
    records: Vec<u8>,
}

impl Log {
    fn make(folder: &Path) -> Result<Self> {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).open(folder.join("ceiling.log"))?;
        let records = vec![0x5a; RECORD * GROUP];
        for _ in 0..RECORDS / GROUP {
            file.write_all(&records)?;
        }
        file.sync_all().context("the disk cannot be synced")?;
        Ok(Self { file, next: 0, records })
    }

    fn append(&mut self, count: usize) -> std::io::Result<()> {
        if self.next + count > RECORDS {
            self.next = 0;
        }
        let offset = u64::try_from(self.next * RECORD).unwrap_or(0);
        self.file.write_all_at(self.records.get(..count * RECORD).unwrap_or_default(), offset)?;
        self.next += count;
        self.file.sync_data()
    }
}

/// One write and fdatasync after another.
pub(crate) fn alone(folder: &Path, duration: Duration) -> Result<Load> {
    let mut log = Log::make(folder)?;
    let mut latencies_us = Vec::new();
    let start = now();
    while start.elapsed() < duration {
        let asked = now();
        log.append(1)?;
        latencies_us.push(micros_since(asked));
    }
    Ok(loaded(latencies_us, start))
}

/// Waiters who each want a record on disk, and one committer who writes and syncs for all who wait.
pub(crate) fn grouped(folder: &Path, waiters: usize, duration: Duration) -> Result<Load> {
    let log = Log::make(folder)?;
    let (job, jobs) = channel();
    let start = now();
    let latencies_us = std::thread::scope(|scope| -> Result<Vec<u32>> {
        let committer = scope.spawn(move || commit(log, &jobs));
        let spawn = |_| {
            let job = job.clone();
            scope.spawn(move || wait(&job, start, duration))
        };
        let waiting: Vec<_> = (0..waiters).map(spawn).collect();
        drop(job);
        let mut latencies_us = Vec::new();
        for waiter in waiting {
            latencies_us.extend(waiter.join().map_err(|_| anyhow!("a waiter ended badly"))?);
        }
        committer.join().map_err(|_| anyhow!("the committer ended badly"))?.context("the disk failed")?;
        Ok(latencies_us)
    })?;
    Ok(loaded(latencies_us, start))
}

type Job = SyncSender<()>;

fn commit(mut log: Log, jobs: &Receiver<Job>) -> std::io::Result<()> {
    while let Ok(first) = jobs.recv() {
        let group: Vec<Job> = std::iter::once(first).chain(jobs.try_iter().take(GROUP - 1)).collect();
        log.append(group.len())?;
        for waiter in group {
            // A waiter waits until it is answered.
            let _ = waiter.send(());
        }
    }
    Ok(())
}

fn wait(job: &Sender<Job>, start: Instant, duration: Duration) -> Vec<u32> {
    let (done, answered) = sync_channel(1);
    let mut latencies_us = Vec::new();
    while start.elapsed() < duration {
        let asked = now();
        if job.send(done.clone()).is_err() || answered.recv().is_err() {
            break;
        }
        latencies_us.push(micros_since(asked));
    }
    latencies_us
}

fn micros_since(start: Instant) -> u32 {
    u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX)
}

fn loaded(mut latencies_us: Vec<u32>, start: Instant) -> Load {
    let elapsed = start.elapsed();
    latencies_us.sort_unstable();
    Load { latencies_us, unexpected: 0, elapsed }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{alone, grouped};

    #[test]
    fn both_write_and_end() {
        let folder = tempfile::tempdir().unwrap();
        let duration = Duration::from_millis(30);
        assert!(!alone(folder.path(), duration).unwrap().latencies_us.is_empty());
        assert!(grouped(folder.path(), 4, duration).unwrap().latencies_us.len() >= 4);
    }
}

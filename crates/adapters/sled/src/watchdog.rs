//! Waking a flush that sled has forgotten. Where one of sled's I/O threads fails to write, `flush` may already wait for it,
//! and is not told; a second `flush` meets the error and wakes the first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a flush may take before it is looked after.
const PATIENCE: Duration = Duration::from_secs(1);

/// Flushes a database, under watch.
pub(crate) struct Watchdog {
    db: sled::Db,
    /// Odd while a flush is under way.
    flushes: Arc<AtomicU64>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    pub(crate) fn start(db: sled::Db) -> std::io::Result<Self> {
        let flushes = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = channel();
        let (watched, counter) = (db.clone(), Arc::clone(&flushes));
        let watch = move || {
            let mut last = 0;
            while stopped.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                let now = counter.load(Ordering::SeqCst);
                if now % 2 == 1 && now == last {
                    tracing::warn!("a flush takes long");
                    // Its outcome is the first one's as well.
                    let _ = watched.flush();
                }
                last = now;
            }
        };
        let thread = std::thread::Builder::new().name("mobile-bind-watch".to_owned()).spawn(watch)?;
        Ok(Self { db, flushes, stop: Some(stop), thread: Some(thread) })
    }

    /// Hands what was written to the kernel.
    pub(crate) fn flush(&self) -> sled::Result<()> {
        self.flushes.fetch_add(1, Ordering::SeqCst);
        let flushed = self.db.flush();
        self.flushes.fetch_add(1, Ordering::SeqCst);
        flushed.map(|_| ())
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

//! Waiting until a database has let its folder go.

use std::fs::File;
use std::sync::mpsc;
use std::time::Duration;

/// A store that does not get its folder back is no reason not to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// A handle on the data file of a database. Dropped after the database, it waits for sled's lock on the file: sled's own
/// threads may keep both for a moment after the last [`sled::Db`] is gone, and the folder could not be opened again.
pub(crate) struct Release(Option<File>);

impl Release {
    pub(crate) fn new(data_file: File) -> Self {
        Self(Some(data_file))
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        let Some(file) = self.0.take() else { return };
        // Closing the file gives the lock back.
        if file.try_lock().is_ok() {
            return;
        }
        let (released, waiting) = mpsc::channel();
        let lock = move || {
            let locked = file.lock();
            drop(file);
            let _ = released.send(locked);
        };
        let waiter = std::thread::Builder::new().name("mobile-bind-release".to_owned()).spawn(lock);
        if waiter.is_err() || !matches!(waiting.recv_timeout(PATIENCE), Ok(Ok(()))) {
            tracing::warn!("the database has not let its folder go");
        }
    }
}

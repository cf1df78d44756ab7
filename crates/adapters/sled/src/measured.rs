//! What is measured of the writing, by the `metrics` facade. What the names mean is told where the recorder is.

use std::time::{Duration, Instant};

use metrics::{counter, histogram};

const GROUP_SIZE: &str = "mobile_bind_store_group_size";
const GROUP_DURATION: &str = "mobile_bind_store_group_duration_seconds";
const SETTLED_ENTRIES: &str = "mobile_bind_store_settled_entries_total";
const SETTLE_DURATION: &str = "mobile_bind_store_settle_duration_seconds";

#[expect(clippy::disallowed_methods, reason = "how long a group took is told to operators; no rule depends on it")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A group of so many changes that is on disk.
pub(crate) fn group(changes: usize, took: Duration) {
    #[expect(clippy::cast_precision_loss, reason = "a group is far smaller than 2^52")]
    histogram!(GROUP_SIZE).record(changes as f64);
    histogram!(GROUP_DURATION).record(took);
}

/// So many entries of the journal that are in the database.
pub(crate) fn settled(entries: usize, took: Duration) {
    counter!(SETTLED_ENTRIES).increment(entries as u64);
    histogram!(SETTLE_DURATION).record(took);
}

//! What is measured of the writing, by the `metrics` facade. What the names mean is told where the recorder is.

use std::time::{Duration, Instant};

use metrics::histogram;

const GROUP_SIZE: &str = "mobile_bind_store_group_size";
const GROUP_DURATION: &str = "mobile_bind_store_group_duration_seconds";

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

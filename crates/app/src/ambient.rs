//! The machine's own time and randomness: the one place that may ask for them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use mobile_bind_domain::Timestamp;
use mobile_bind_domain::ports::{Clock, Randomness};

/// The machine's clock, and how far it was moved on for development.
#[derive(Debug, Default)]
pub struct SystemClock {
    advanced_millis: AtomicU64,
}

impl SystemClock {
    /// Moves the clock on; never back, and not across a restart.
    pub fn advance(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        let add = |advanced: u64| Some(advanced.saturating_add(millis));
        // The closure always answers, so the update cannot fail.
        let _ = self.advanced_millis.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the Clock port's implementation")]
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let advanced = Duration::from_millis(self.advanced_millis.load(Ordering::Relaxed));
        Timestamp::default().after(since_epoch).after(advanced)
    }
}

/// The operating system's CSPRNG, by way of AWS-LC.
#[derive(Debug, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn fill(&self, bytes: &mut [u8]) {
        #[expect(clippy::disallowed_methods, reason = "this is the Randomness port's implementation")]
        let filled = aws_lc_rs::rand::fill(bytes);
        #[expect(clippy::expect_used, reason = "a service that cannot draw codes must not go on")]
        filled.expect("the system's random generator works");
    }
}

//! Tallies as they are stored. What is counted stands in the key.

use std::time::Duration;

use mobile_bind_domain::tally::Meter;
use mobile_bind_domain::{Tally, Timestamp};
use serde::{Deserialize, Serialize};

use super::Record;

#[derive(Serialize, Deserialize)]
pub(crate) enum StoredTally {
    V1(Vec<MeterV1>),
}

#[derive(Serialize, Deserialize)]
pub(crate) struct MeterV1 {
    /// Seconds, and nanoseconds of a second.
    window: (u64, u32),
    /// When, and how many, oldest first.
    events: Vec<(u64, u32)>,
}

impl Record for Tally {
    const KIND: &'static str = "tally";
    type Stored<'a> = StoredTally;

    fn to_stored(&self) -> StoredTally {
        let meters = self.meters.iter().map(|meter| MeterV1 {
            window: (meter.window.as_secs(), meter.window.subsec_nanos()),
            events: meter.events.iter().map(|&(at, count)| (at.as_millis(), count)).collect(),
        });
        StoredTally::V1(meters.collect())
    }

    fn from_stored(stored: StoredTally) -> Option<Self> {
        let StoredTally::V1(stored) = stored;
        let meters = stored.into_iter().map(|meter| {
            let (seconds, nanoseconds) = meter.window;
            // More would carry into the seconds, and could overflow them.
            let window = (nanoseconds < 1_000_000_000).then(|| Duration::new(seconds, nanoseconds))?;
            let event = |(at, count): (u64, u32)| (count > 0).then_some((Timestamp::from_millis(at), count));
            Some(Meter { window, events: meter.events.into_iter().map(event).collect::<Option<_>>()? })
        });
        Some(Self { meters: meters.collect::<Option<_>>()? })
    }
}

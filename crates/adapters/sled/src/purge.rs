//! Forgetting what has ended, a few records at a time.

use mobile_bind_domain::bind::BindReceipt;
use mobile_bind_domain::ports::Purged;
use mobile_bind_domain::{Challenge, IdempotencyRecord, Proof, Session, Tally, Timestamp};
use sled::IVec;

use crate::apply::end_session;
use crate::fault::Fault;
use crate::group::Scratch;
use crate::layout::{CHALLENGE, ENDING, IDEMPOTENCY, MESSAGE, PROOF, RECEIPT, SESSION, SPENT, TALLY};
use crate::messages;
use crate::records::{self, Spent};

/// What to forget.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purge {
    /// Challenges, receipts, idempotency keys, tallies, proofs, marks and messages that have ended by then.
    pub(crate) now: Timestamp,
    /// Sessions not used since.
    pub(crate) sessions_before: Timestamp,
    /// How many records to look at.
    pub(crate) limit: usize,
}

/// The record that was looked at last; `None` where a walk through all of them begins.
#[derive(Debug, Default)]
pub(crate) struct Cursor(Option<Vec<u8>>);

impl Cursor {
    /// Looks at the records after the cursor, and removes those that have ended.
    pub(crate) fn advance(&mut self, scratch: &mut Scratch<'_>, purge: &Purge) -> Result<Purged, Fault> {
        let reader = scratch.reader();
        // The first key that can come after the last one.
        let next = self.0.as_ref().map(|last| [&last[..], &[0]].concat()).unwrap_or_default();
        let spans = ENDING.map(|kinds| vec![*kinds.start()]..vec![*kinds.end() + 1]);
        let ranges = spans.into_iter().map(|span| span.start.max(next.clone())..span.end);
        let ranges = ranges.filter(|range| range.start < range.end);
        let mut entries = ranges.flat_map(|range| reader.range_before_long(range));
        let mut forgotten = 0;
        for entry in entries.by_ref().take(purge.limit) {
            let (key, value) = entry?;
            let key = key.to_vec();
            match forget(scratch, &key, value, purge) {
                Ok(true) => forgotten += 1,
                Ok(false) => {}
                // One record that cannot be read must not keep all others for ever.
                Err(Fault::Unreadable(kind)) => tracing::warn!(kind, "a stored record cannot be read, and stays"),
                Err(fault) => return Err(fault),
            }
            self.0 = Some(key);
        }
        let more = entries.next().is_some();
        if !more {
            self.0 = None;
        }
        Ok(Purged { forgotten, more })
    }
}

/// Removes the record if it has ended: it may have been written anew since it was stored like that.
fn forget(scratch: &mut Scratch<'_>, key: &[u8], stored: IVec, purge: &Purge) -> Result<bool, Fault> {
    let Some(value) = scratch.newest(key, stored) else { return Ok(false) };
    let ended = match key.first() {
        Some(&CHALLENGE) => records::decode::<Challenge>(&value)?.value.expires_at <= purge.now,
        Some(&RECEIPT) => records::decode::<BindReceipt>(&value)?.value.expires_at <= purge.now,
        Some(&IDEMPOTENCY) => records::decode::<IdempotencyRecord>(&value)?.value.expires_at <= purge.now,
        Some(&TALLY) => records::decode::<Tally>(&value)?.value.spent_at() <= purge.now,
        Some(&PROOF) => !records::decode::<Proof>(&value)?.value.is_live(purge.now),
        Some(&SPENT) => records::decode::<Spent>(&value)?.value.until <= purge.now,
        Some(&SESSION) => {
            let session = records::decode::<Session>(&value)?.value;
            let unused = session.used_at < purge.sessions_before;
            if unused {
                end_session(scratch, session.id)?;
            }
            return Ok(unused);
        }
        Some(&MESSAGE) => return messages::forget(scratch, key, &value, purge.now),
        _ => false,
    };
    if ended {
        scratch.remove_key(key.to_vec());
    }
    Ok(ended)
}

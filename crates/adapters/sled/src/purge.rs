//! Forgetting what has ended, a few records at a time.

use mobile_bind_domain::bind::BindReceipt;
use mobile_bind_domain::{Challenge, Session, Tally, Timestamp};
use sled::IVec;

use crate::apply::end_session;
use crate::fault::Fault;
use crate::group::Scratch;
use crate::layout::{CHALLENGE, ENDING, RECEIPT, SESSION, TALLY};
use crate::records;

/// What to forget.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purge {
    /// Challenges, receipts and tallies that are spent by then.
    pub(crate) now: Timestamp,
    /// Sessions not used since.
    pub(crate) sessions_before: Timestamp,
    /// How many records to look at.
    pub(crate) limit: usize,
}

/// The record that was looked at last.
#[derive(Debug, Default)]
pub(crate) struct Cursor(Option<Vec<u8>>);

impl Cursor {
    /// Looks at the records after the cursor, then at those from the start up to it. Answers how many it removed.
    pub(crate) fn advance(&mut self, scratch: &mut Scratch<'_>, purge: &Purge) -> Result<usize, Fault> {
        let reader = scratch.reader();
        let (start, end) = (ENDING.start.to_vec(), ENDING.end.to_vec());
        // The first key that can come after the last one.
        let next = self.0.as_ref().map_or_else(|| start.clone(), |last| [&last[..], &[0]].concat());
        let mut forgotten = 0;
        let rest = reader.range_before_long(next.clone()..end);
        let from_the_start = std::iter::once(start..next).flat_map(|range| reader.range_before_long(range));
        for entry in rest.chain(from_the_start).take(purge.limit) {
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
        Ok(forgotten)
    }
}

/// Removes the record if it has ended: it may have been written anew since it was stored like that.
fn forget(scratch: &mut Scratch<'_>, key: &[u8], stored: IVec, purge: &Purge) -> Result<bool, Fault> {
    let Some(value) = scratch.newest(key, stored) else { return Ok(false) };
    let ended = match key.first() {
        Some(&CHALLENGE) => records::decode::<Challenge>(&value)?.value.expires_at <= purge.now,
        Some(&RECEIPT) => records::decode::<BindReceipt>(&value)?.value.expires_at <= purge.now,
        Some(&TALLY) => records::decode::<Tally>(&value)?.value.spent_at() <= purge.now,
        Some(&SESSION) => {
            let session = records::decode::<Session>(&value)?.value;
            let unused = session.used_at < purge.sessions_before;
            if unused {
                end_session(scratch, session.id)?;
            }
            return Ok(unused);
        }
        _ => false,
    };
    if ended {
        scratch.remove_key(key.to_vec());
    }
    Ok(ended)
}

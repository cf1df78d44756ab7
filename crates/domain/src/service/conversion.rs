//! Shares of verified messages: noted where they arise, stored a moment later.

use std::sync::{MutexGuard, PoisonError};

use super::Service;
use crate::conversion::{Conversions, Source};
use crate::ports::{CommitError, StoreError};
use crate::{Mobile, Requester};

impl Service {
    fn conversions(&self) -> MutexGuard<'_, Conversions> {
        // A sum is left whole by whoever panics beside it.
        self.guards.conversions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note_conversion(
        &self,
        mobile: &Mobile,
        requester: &Requester,
        note: impl FnOnce(&mut Conversions, Vec<Source>),
    ) {
        let sources = self.policy.get().sources(mobile, requester.address);
        if !sources.is_empty() {
            note(&mut self.conversions(), sources);
        }
    }

    /// Stores what was noted since the last time. Whoever is ended before loses a moment's counts, and nothing else.
    ///
    /// # Errors
    /// Where the store is unavailable: what it did not take is kept for the next time.
    pub async fn store_conversions(&self) -> Result<(), StoreError> {
        let changes = self.conversions().take(self.clock.now(), &self.policy.get().limits.conversion);
        let mut outcome = Ok(());
        for change in changes {
            if let Err(error) = self.store.commit(change.clone()).await {
                self.conversions().put_back(change);
                if let CommitError::Store(error) = error {
                    outcome = Err(error);
                }
            }
        }
        outcome
    }
}

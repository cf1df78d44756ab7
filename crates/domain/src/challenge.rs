//! A challenge: a code that was sent to a number for a client, and what is left of its tries.

use std::time::Duration;

use crate::bind::Vouched;
use crate::{Client, CodeAttempt, CodeKeys, CodeMac, Mobile, Timestamp};

/// Names a challenge. A number may have one for each client that asked; a client has one a number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChallengeKey {
    /// The number that the code was sent to.
    pub mobile: Mobile,
    /// The client that asked for it; nobody else's tries count.
    pub client: Client,
}

/// A code that was sent, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The code, MACed.
    pub mac: CodeMac,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// From when on it is worth nothing.
    pub expires_at: Timestamp,
    /// Wrong tries so far.
    pub failures: u8,
}

/// The number is in the caller's hands: he knew the code that was sent to it, or his platform vouches for it. Only
/// [`CountedTry::compare`] and a [`Vouched`] number make one.
#[derive(Clone, Debug)]
pub struct VerifiedMobile(Mobile);

impl VerifiedMobile {
    pub(crate) fn vouched(vouched: &Vouched) -> Self {
        Self(vouched.mobile().clone())
    }

    pub(crate) fn mobile(&self) -> &Mobile {
        &self.0
    }

    pub(crate) fn into_mobile(self) -> Mobile {
        self.0
    }
}

/// A try that is counted already, and not compared yet: an outcome cannot be had without its count.
#[derive(Debug)]
pub struct CountedTry {
    challenge: Challenge,
}

impl Challenge {
    /// A code that goes out now.
    #[must_use]
    pub fn issue(mac: CodeMac, now: Timestamp, lifetime: Duration) -> Self {
        Self { mac, sent_at: now, expires_at: now.after(lifetime), failures: 0 }
    }

    /// Whether the code has neither expired nor used its tries up.
    #[must_use]
    pub fn may_be_tried(&self, now: Timestamp, tries: u8) -> bool {
        now < self.expires_at && self.failures < tries
    }

    /// Takes one of the tries; `None` where the code has expired or no try is left.
    #[must_use]
    pub fn take_try(mut self, now: Timestamp, tries: u8) -> Option<CountedTry> {
        if !self.may_be_tried(now, tries) {
            return None;
        }
        self.failures += 1;
        Some(CountedTry { challenge: self })
    }
}

impl CountedTry {
    /// Compares, in constant time.
    ///
    /// # Errors
    /// For a wrong code, the challenge with this try counted, to be stored.
    pub fn compare(
        self,
        key: &ChallengeKey,
        attempt: &CodeAttempt,
        keys: &CodeKeys,
    ) -> Result<VerifiedMobile, Challenge> {
        if keys.opens(&self.challenge.mac, key, attempt) {
            Ok(VerifiedMobile(key.mobile.clone()))
        } else {
            Err(self.challenge)
        }
    }
}

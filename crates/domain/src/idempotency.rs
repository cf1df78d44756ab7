//! Idempotency keys: a client that got no answer sends its request again with the same key, and gets the answer that it
//! missed, once. (The IETF's draft-ietf-httpapi-idempotency-key-header describes the header.)

use std::fmt;

use crate::{AccountId, Operation, Refusal, SessionId, Timestamp};

/// What a client calls one request of its own: 1 to 255 visible ASCII characters.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey(Box<str>);

impl IdempotencyKey {
    /// The longest key, in characters.
    pub const MAX_CHARS: usize = 255;

    /// `None` where the text is empty, too long, or has anything but visible ASCII characters.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let well_formed =
            (1..=Self::MAX_CHARS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        well_formed.then(|| Self(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKey(***)")
    }
}

/// Names one request: a keyed digest of the operation, the client and the client's key, so that nobody finds another's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyName(pub [u8; 32]);

impl fmt::Debug for IdempotencyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdempotencyName({:02x}{:02x}***)", self.0[0], self.0[1])
    }
}

/// A request that a client may send again, and what tells it from another under the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeatable {
    /// Its name.
    pub name: IdempotencyName,
    /// A keyed digest of its parameters.
    pub fingerprint: [u8; 32],
}

/// What became of a request that has an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdempotentOutcome {
    /// Its message is being handed to a provider.
    Sending,
    /// Its message was accepted.
    Sent,
    /// It bound a number. The token is made again from the session.
    Bound {
        /// The account that got the number, or was entered.
        account: AccountId,
        /// The session that was opened; `None` where the account waits for approval.
        session: Option<SessionId>,
    },
    /// It was refused, in a way that counts.
    Refused(FinalRefusal),
}

/// What became of a request that has an idempotency key, and until when that is known.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// A keyed digest of the request's parameters.
    pub fingerprint: [u8; 32],
    /// When it was decided.
    pub at: Timestamp,
    /// From when on the key is free again.
    pub expires_at: Timestamp,
    /// What became of it.
    pub outcome: IdempotentOutcome,
}

impl fmt::Debug for IdempotencyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdempotencyRecord").field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

/// A refusal that is answered again as it was: asking again would count again, or find the code used up. What only says
/// to wait is decided anew each time, and so is what the service could not carry out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinalRefusal(u8);

/// The numbers by which they are stored: never change one.
const FINAL: [(u8, Refusal); 15] = [
    (1, Refusal::CodeExpired),
    (2, Refusal::CodeWrong),
    (3, Refusal::OpenIdMissing),
    (5, Refusal::HeldByOther),
    (6, Refusal::HeldByCaller),
    (7, Refusal::NumberForbidden),
    (8, Refusal::AccountDisabled),
    (9, Refusal::AccountAwaitingApproval),
    (10, Refusal::SmsRefused),
    (11, Refusal::SmsUnknown),
    (12, Refusal::OldCodeExpired),
    (13, Refusal::OldCodeWrong),
    (14, Refusal::NumberChangeDenied),
    (15, Refusal::NumberRecycled),
    (16, Refusal::HeldBySeveral),
];

impl FinalRefusal {
    /// `None` where the refusal is decided anew each time.
    #[must_use]
    pub fn of(refusal: &Refusal) -> Option<Self> {
        FINAL.iter().find(|(_, known)| known == refusal).map(|&(number, _)| Self(number))
    }

    /// The refusal of a stored number; `None` where there is none.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        FINAL.iter().any(|&(known, _)| known == number).then_some(Self(number))
    }

    /// The number it is stored by.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The refusal.
    #[must_use]
    pub fn refusal(self) -> Refusal {
        let found = FINAL.iter().find(|&&(known, _)| known == self.0);
        found.map_or(Refusal::NotStored(Operation::Bind), |(_, refusal)| refusal.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::{FINAL, FinalRefusal, IdempotencyKey};
    use crate::{Operation, Refusal};

    #[test]
    fn keys_are_visible_ascii() {
        for text in ["a", "3f0c-7e", "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", &"k".repeat(255)] {
            assert!(IdempotencyKey::new(text).is_some(), "{text}");
        }
        for text in ["", " ", "a b", "é", "a\n", &"k".repeat(256)] {
            assert!(IdempotencyKey::new(text).is_none(), "{text}");
        }
        assert!(!format!("{:?}", IdempotencyKey::new("secret").unwrap()).contains("secret"));
    }

    #[test]
    fn final_refusals_are_found_by_number() {
        for (number, refusal) in FINAL {
            let kept = FinalRefusal::of(&refusal).unwrap();
            assert_eq!((kept.number(), kept.refusal()), (number, refusal));
            assert_eq!(FinalRefusal::from_number(number), Some(kept));
        }
        assert_eq!(FinalRefusal::from_number(0), None);
        assert_eq!(FinalRefusal::of(&Refusal::NotStored(Operation::Bind)), None);
        assert_eq!(FinalRefusal::of(&Refusal::SmsUnavailable), None);
    }
}

//! What a decision asks the store to do, all of it or nothing.

use std::time::Duration;

use crate::audit::{AuditEvent, AuditNode, Checkpoint, RecordedEvent};
use crate::bind::BindReceipt;
use crate::{
    Account, AccountId, Challenge, ChallengeKey, ClientType, IdempotencyName, IdempotencyRecord, OutboxMessage, Proof,
    ProofId, Quota, Session, SessionId, SpentMark, Subject, Timestamp,
};

/// Which version of a record was read. A store never gives the same revision to two versions of one record, not
/// even when it was removed in between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision of a record that is not there.
    pub const ABSENT: Self = Self(0);
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// Its revision.
    pub revision: Revision,
    /// The record.
    pub value: T,
}

impl<T> Versioned<T> {
    /// The revision of a record that may be absent.
    #[must_use]
    pub fn revision_of(record: Option<&Self>) -> Revision {
        record.map_or(Revision::ABSENT, |record| record.revision)
    }
}

/// What must still hold for the change to be committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// The account is as it was read.
    Account(AccountId, Revision),
    /// The challenge is as it was read.
    Challenge(ChallengeKey, Revision),
    /// The session is there.
    Session(SessionId),
    /// One more event could be counted, without counting it.
    Room {
        /// What is counted.
        subject: Subject,
        /// When.
        at: Timestamp,
        /// The quotas that must have room.
        kept: Vec<Quota>,
    },
    /// What became of a request with an idempotency key is as it was read.
    Idempotency(IdempotencyName, Revision),
}

/// One thing to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Stores an account that is as it was read. Its number, openids, unionids and member code are claimed while it is
    /// live, and freed where it no longer holds them; a claim on what another live account holds is a conflict.
    Account {
        /// The revision that was read; [`Revision::ABSENT`] for a new account.
        expected: Revision,
        /// The account as it shall be.
        account: Box<Account>,
    },
    /// Stores a challenge that is as it was read.
    Challenge {
        /// The revision that was read.
        expected: Revision,
        /// Its name.
        key: ChallengeKey,
        /// The challenge as it shall be; `None` removes it.
        challenge: Option<Challenge>,
    },
    /// Stores a session; the one that its account had on its client type ends.
    OpenSession(Session),
    /// Notes that a session was used; nothing happens where it is gone.
    UseSession(SessionId, Timestamp),
    /// Ends a session, if it is there.
    EndSession(SessionId),
    /// Ends the sessions of an account, but for the one on a client type that is named.
    EndSessions {
        /// Whose.
        account: AccountId,
        /// Where a session stays.
        except: Option<ClientType>,
    },
    /// Adds an event to the audit, after all that this process's node has written.
    Audit(Box<AuditEvent>),
    /// Adds an event that was written elsewhere, under its own node and sequence.
    AuditCopy(Box<RecordedEvent>),
    /// Seals a segment of the audit. A checkpoint that is there for it is a conflict.
    Checkpoint(Box<Checkpoint>),
    /// Drops a checkpoint, and the events of its node up to its last.
    DropSegment {
        /// Whose events.
        node: AuditNode,
        /// The checkpoint's segment.
        segment: u64,
        /// The sequence of its last event.
        last: u64,
    },
    /// Keeps what a bind answered, so that the very same bind can be answered again.
    Receipt(ChallengeKey, BindReceipt),
    /// Keeps what became of a request with an idempotency key, where that is as it was read.
    Idempotency {
        /// The revision that was read.
        expected: Revision,
        /// Its name.
        name: IdempotencyName,
        /// What became of it; `None` forgets it.
        record: Option<IdempotencyRecord>,
    },
    /// Counts an event. A kept quota that has no room left is a conflict.
    Count {
        /// What is counted.
        subject: Subject,
        /// When it happened.
        at: Timestamp,
        /// The quotas that must have room.
        kept: Vec<Quota>,
        /// Quotas of other windows that are counted for, and may be overrun.
        watched: Vec<Quota>,
    },
    /// Counts events, many at once, for quotas that may be overrun.
    CountMany {
        /// What is counted.
        subject: Subject,
        /// When they happened.
        at: Timestamp,
        /// How many.
        events: u32,
        /// The quotas of the windows that are counted for.
        watched: Vec<Quota>,
    },
    /// Forgets what was counted of a subject for one length of window.
    Forget {
        /// What was counted.
        subject: Subject,
        /// For which window.
        window: Duration,
    },
    /// Takes back one event that was counted.
    Uncount {
        /// What was counted.
        subject: Subject,
        /// When.
        at: Timestamp,
    },
    /// Keeps a proof in place of the one that the installation had for the identity.
    Proof(ProofId, Proof),
    /// Lets a proof count until then at least; nothing happens where it is gone.
    UseProof(ProofId, Timestamp),
    /// Marks something as spent, to be remembered until then. That it is marked already is a conflict.
    Spend(SpentMark, Timestamp),
    /// Stores a message that is as it was read. It can be found by every reference that its attempts have.
    Message {
        /// The revision that was read; [`Revision::ABSENT`] for a new message.
        expected: Revision,
        /// The message as it shall be.
        message: Box<OutboxMessage>,
    },
}

/// A set of writes that are committed together if everything expected still holds, else not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// What must hold.
    pub expectations: Vec<Expectation>,
    /// What to write.
    pub writes: Vec<Write>,
}

impl Change {
    /// Whether there is nothing to ask of the store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.expectations.is_empty() && self.writes.is_empty()
    }

    /// Only that it still holds.
    pub(crate) fn expecting(expectation: Expectation) -> Self {
        Self { expectations: vec![expectation], writes: Vec::new() }
    }

    pub(crate) fn writing(write: Write) -> Self {
        Self { expectations: Vec::new(), writes: vec![write] }
    }
}

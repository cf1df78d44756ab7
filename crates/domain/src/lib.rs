//! The rules of binding a mobile number to an account, and the ports through which they meet the world.
//!
//! Nothing here reads a clock, draws randomness, touches a disk or a network: time and randomness come in through
//! [`ports`], and every rule is a pure function of a snapshot ([`bind::decide`], [`send::decide`]). A use case
//! ([`Service`]) loads the snapshot, lets the rule decide, commits the resulting [`Change`] through the
//! [`ports::Store`] and starts again when the snapshot no longer holds.

pub mod account;
pub mod address;
pub mod administration;
pub mod audit;
pub mod bind;
pub mod challenge;
pub mod change;
pub mod client;
pub mod code;
pub mod conversion;
pub mod current_policy;
pub mod guard;
pub mod idempotency;
pub mod identity;
pub mod key;
pub mod log_in;
pub mod mobile;
pub mod outbox;
pub mod policy;
pub mod ports;
pub mod profile;
pub mod proof;
pub mod referrer;
pub mod refusal;
pub mod send;
pub mod service;
pub mod session;
pub mod tally;
pub mod ticket;
pub mod time;

pub use account::{Account, AccountId, AccountStatus, MemberCode, PlatformIdentity, ShopDetails};
pub use address::{AddressRange, AddressRangeError};
pub use audit::{AuditEvent, AuditNode, RequestId};
pub use challenge::{Challenge, ChallengeKey, VerifiedMobile};
pub use change::{Change, Expectation, Revision, Versioned, Write};
pub use client::{AddressBlock, Client, ClientType, Installation, Language, Platform, Requester};
pub use code::{CodeAttempt, CodeLength, VerificationCode};
pub use conversion::ConversionPolicy;
pub use current_policy::CurrentPolicy;
pub use guard::{BudgetUse, Guard, Guards, Verdict};
pub use idempotency::{
    FinalRefusal, IdempotencyKey, IdempotencyName, IdempotencyRecord, IdempotentOutcome, Repeatable,
};
pub use identity::{AppId, Identity, OpenId, UnionId};
pub use key::{CodeKey, CodeKeys, CodeMac, KeyId};
pub use mobile::{Mobile, MobileRule, NumberRange};
pub use outbox::{MessageKey, OutboxMessage};
pub use policy::{LimitMode, Limits, PlatformProof, Policy};
pub use profile::{Avatar, Gender, Profile, ProfileText};
pub use proof::{Proof, ProofId, SealedSessionKey, SpentMark};
pub use refusal::{Operation, Refusal};
pub use send::SendParameters;
pub use service::{Outbox, SPANS, Service};
pub use session::{Session, SessionId, SessionSeed, Token};
pub use tally::{Quota, Subject, Tally};
pub use ticket::{AuthTicket, Ticket};
pub use time::Timestamp;

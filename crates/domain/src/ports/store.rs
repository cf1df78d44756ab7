//! Keeping accounts, challenges, sessions and counts.

use std::collections::HashMap;

use async_trait::async_trait;

use super::audit::AuditTrail;
use super::facts::StoreFacts;
use crate::bind::BindReceipt;
use crate::conversion::Source;
use crate::referrer::ReferrerName;
use crate::{
    Account, AccountId, AddressBlock, Challenge, ChallengeKey, Change, Client, IdempotencyName, IdempotencyRecord,
    Identity, MessageKey, Mobile, OutboxMessage, Proof, ProofId, Revision, Session, SessionId, SpentMark, Subject,
    Tally, Timestamp, UnionId, Versioned,
};

/// The store could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the store is unavailable")]
pub struct StoreError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A change was not committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Something expected no longer holds; nothing was written. Load again and decide again.
    #[error("the snapshot no longer holds")]
    Conflict,
    /// The store failed. Whether the change was written is unknown.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What came of forgetting some of what has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// How many records were forgotten.
    pub forgotten: usize,
    /// Whether there is, or may be, more to look at now.
    pub more: bool,
}

/// What to load for a send.
#[derive(Clone, Debug)]
pub struct SendQuery {
    /// The number and the client.
    pub key: ChallengeKey,
    /// Where the request came from.
    pub address: AddressBlock,
    /// The session that the request's token leads to.
    pub session: Option<SessionId>,
    /// The request's idempotency key.
    pub idempotency: Option<IdempotencyName>,
    /// Whose shares of verified messages are judged.
    pub sources: Vec<Source>,
}

impl SendQuery {
    /// The counts that the decision looks at, but for the account's, which is not known yet.
    #[must_use]
    pub fn subjects(&self) -> Vec<Subject> {
        let mut subjects = vec![
            Subject::SendsTo(self.key.mobile.clone()),
            Subject::SendsToRange(self.key.mobile.range()),
            Subject::SendsFrom(self.address),
            Subject::Sends,
        ];
        if let Client::Installation(installation) = &self.key.client {
            subjects.push(Subject::SendsBy(installation.clone()));
        }
        subjects.extend(self.sources.iter().flat_map(Source::subjects));
        subjects
    }
}

/// What a send is decided on.
#[derive(Clone, Debug, Default)]
pub struct SendSnapshot {
    /// The client's challenge for the number.
    pub challenge: Option<Versioned<Challenge>>,
    /// The token's session and account.
    pub caller: Option<SessionSnapshot>,
    /// What became of the request with that idempotency key, ended or not.
    pub earlier: Option<Versioned<IdempotencyRecord>>,
    /// [`SendQuery::subjects`], and [`Subject::SendsOf`] the caller's account; what was never counted may be missing.
    pub tallies: HashMap<Subject, Tally>,
}

/// Who calls.
#[derive(Clone, Debug)]
pub enum CallerQuery {
    /// A mini-program: whoever holds this identity, or this unionid.
    Identity {
        /// The openid, where one was sent.
        identity: Option<Identity>,
        /// The unionid, where one was sent and the platform has them.
        unionid: Option<UnionId>,
        /// The session that the token leads to; it names no caller.
        session: Option<SessionId>,
    },
    /// Anyone else: whoever this session belongs to.
    Session(Option<SessionId>),
}

/// What may speak for an openid.
#[derive(Clone, Debug, Default)]
pub struct EvidenceQuery {
    /// The installation's proof.
    pub proof: Option<ProofId>,
    /// What would be spent.
    pub marks: Vec<SpentMark>,
}

/// What speaks for an openid, and what no longer does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The installation's proof, ended or not.
    pub proof: Option<Proof>,
    /// Which of [`EvidenceQuery::marks`] are spent, in no particular order.
    pub spent: Vec<SpentMark>,
}

/// What to load for a mini-program's log-in.
#[derive(Clone, Debug)]
pub struct LogInQuery {
    /// Who the platform says that it is.
    pub identity: Identity,
    /// The unionid that came with the openid.
    pub unionid: Option<UnionId>,
    /// What there may be of proofs.
    pub evidence: EvidenceQuery,
}

/// What several live accounts have at once, of what is looked for. A store that has its accounts to itself never lets that
/// happen; a shop that writes beside it may. Nobody is the holder of what is contested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contested {
    /// The number.
    pub mobile: bool,
    /// The openid, on its platform and app.
    pub identity: bool,
    /// The unionid, on its platform.
    pub unionid: bool,
}

/// What a mini-program's log-in is decided on.
#[derive(Clone, Debug, Default)]
pub struct LogInSnapshot {
    /// The live account that holds the identity.
    pub identity_holder: Option<Versioned<Account>>,
    /// The live account that holds the unionid.
    pub unionid_holder: Option<Versioned<Account>>,
    /// What no one account holds.
    pub contested: Contested,
    /// [`LogInQuery::evidence`].
    pub evidence: Evidence,
}

/// What to load for a bind.
#[derive(Clone, Debug)]
pub struct BindQuery {
    /// The number and the client.
    pub key: ChallengeKey,
    /// Who calls.
    pub caller: CallerQuery,
    /// Who is named as the referrer.
    pub referrer: Option<ReferrerName>,
    /// What speaks for a mini-program's openid.
    pub evidence: EvidenceQuery,
    /// The request's idempotency key.
    pub idempotency: Option<IdempotencyName>,
    /// Whether [`BindSnapshot::former_challenge`] is wanted, and the wrong codes for the number that the caller has now.
    pub former: bool,
    /// Whether [`BindSnapshot::holder_used_at`] is wanted.
    pub holder_use: bool,
}

impl BindQuery {
    /// Asks for what a bind always needs, and nothing else.
    #[must_use]
    pub fn new(key: ChallengeKey, caller: CallerQuery) -> Self {
        Self {
            key,
            caller,
            referrer: None,
            evidence: EvidenceQuery::default(),
            idempotency: None,
            former: false,
            holder_use: false,
        }
    }

    /// The number that the caller has now, where it is asked for; the one that is being bound is no former one. The caller is
    /// among these, as [`BindSnapshot`] has them.
    pub fn former_mobile<'s>(
        &self,
        identity_holder: Option<&'s Versioned<Account>>,
        unionid_holder: Option<&'s Versioned<Account>>,
        session: Option<&'s SessionSnapshot>,
    ) -> Option<&'s Mobile> {
        let callers = callers_mobile(identity_holder, unionid_holder, session);
        callers.filter(|mobile| self.former && **mobile != self.key.mobile)
    }

    /// The counts that the decision looks at, but for those of the number that the caller has now, which is not known yet.
    #[must_use]
    pub fn subjects(&self) -> [Subject; 2] {
        [Subject::FailuresOn(self.key.mobile.clone()), Subject::FailuresBy(self.key.client.clone())]
    }
}

/// The number of whoever asks: of the account that has his openid, else his unionid, else of his token's.
pub(crate) fn callers_mobile<'s>(
    identity_holder: Option<&'s Versioned<Account>>,
    unionid_holder: Option<&'s Versioned<Account>>,
    session: Option<&'s SessionSnapshot>,
) -> Option<&'s Mobile> {
    let caller = identity_holder.or(unionid_holder).or(session.map(|found| &found.account));
    caller?.value.held_mobile()
}

/// A session and its account.
#[derive(Clone, Debug)]
pub struct SessionSnapshot {
    /// The session, live or not.
    pub session: Session,
    /// Its account, live or not.
    pub account: Versioned<Account>,
}

/// What the last bind of a number by a client answered.
#[derive(Clone, Debug)]
pub struct ReceiptSnapshot {
    /// The receipt.
    pub receipt: BindReceipt,
    /// The session that was opened then, if it is still there.
    pub session: Option<SessionSnapshot>,
}

/// What became of an earlier request with the same idempotency key.
#[derive(Clone, Debug)]
pub struct EarlierBind {
    /// What became of it, ended or not.
    pub record: Versioned<IdempotencyRecord>,
    /// The session that was opened then, if it is still there.
    pub session: Option<SessionSnapshot>,
}

/// What a bind is decided on.
#[derive(Clone, Debug, Default)]
pub struct BindSnapshot {
    /// The client's challenge for the number.
    pub challenge: Option<Versioned<Challenge>>,
    /// What was answered to this client's last bind of the number.
    pub receipt: Option<ReceiptSnapshot>,
    /// What became of the request with that idempotency key.
    pub earlier: Option<EarlierBind>,
    /// The live account that holds the number.
    pub mobile_holder: Option<Versioned<Account>>,
    /// When that account's sessions were last used, as far as they are there, where [`BindQuery::holder_use`] asks for it.
    pub holder_used_at: Option<Timestamp>,
    /// The client's challenge for the number that the caller has now, where [`BindQuery::former`] asks for it.
    pub former_challenge: Option<Versioned<Challenge>>,
    /// The live account that holds the identity.
    pub identity_holder: Option<Versioned<Account>>,
    /// The live account that holds the unionid.
    pub unionid_holder: Option<Versioned<Account>>,
    /// What no one account holds.
    pub contested: Contested,
    /// The session that the token leads to.
    pub session: Option<SessionSnapshot>,
    /// The live account that is named as the referrer.
    pub referrer: Option<Account>,
    /// [`BindQuery::subjects`], and [`Subject::FailuresOn`] the number that the caller has now where [`BindQuery::former`] asks
    /// for it; what was never counted may be missing.
    pub tallies: HashMap<Subject, Tally>,
    /// [`BindQuery::evidence`].
    pub evidence: Evidence,
}

/// Keeps everything, and commits changes atomically, durably and only while their expectations hold.
///
/// Reads see all that was committed before. What is committed survives the process and the machine from the moment
/// [`Store::commit`] returns. A number, an openid (with its platform and app), a unionid (with its platform) and a member
/// code belong to at most one live account: the store refuses what would break that, whoever decided it. What somebody else
/// who writes the same records has given to several, it tells as [`Contested`].
#[async_trait]
pub trait Store: Send + Sync {
    /// Loads what a send is decided on.
    async fn load_send(&self, query: &SendQuery) -> Result<SendSnapshot, StoreError>;

    /// Loads what a bind is decided on.
    async fn load_bind(&self, query: &BindQuery) -> Result<BindSnapshot, StoreError>;

    /// Loads what a mini-program's log-in is decided on.
    async fn load_log_in(&self, query: &LogInQuery) -> Result<LogInSnapshot, StoreError>;

    /// Loads a session and its account.
    async fn load_session(&self, id: SessionId) -> Result<Option<SessionSnapshot>, StoreError>;

    /// An id that no account has had and no other call gets.
    async fn allot_account_id(&self) -> Result<AccountId, StoreError>;

    /// Commits a change, all or nothing, durably before it returns. Everything committed earlier is durable then too,
    /// even where this change writes nothing. Answers the revision that the records written now have.
    async fn commit(&self, change: Change) -> Result<Revision, CommitError>;

    /// One account, live or not.
    async fn account(&self, id: AccountId) -> Result<Option<Versioned<Account>>, StoreError>;

    /// The live account that holds a number. That several do is an error, which names them.
    async fn account_of(&self, mobile: &Mobile) -> Result<Option<Versioned<Account>>, StoreError>;

    /// Accounts in the order of their ids, live or not: at most `limit` after the id `after`.
    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Versioned<Account>>, StoreError>;

    /// The sessions of an account, live or not.
    async fn sessions_of(&self, account: AccountId) -> Result<Vec<Session>, StoreError>;

    /// The sessions of several accounts, in any order. For a store that asks another machine: in one question.
    async fn sessions_of_all(&self, accounts: &[AccountId]) -> Result<Vec<Session>, StoreError> {
        let mut sessions = Vec::new();
        for &account in accounts {
            sessions.extend(self.sessions_of(account).await?);
        }
        Ok(sessions)
    }

    /// What was decided.
    fn audit(&self) -> &dyn AuditTrail;

    /// One message.
    async fn message(&self, key: &MessageKey) -> Result<Option<Versioned<OutboxMessage>>, StoreError>;

    /// The messages to a number, newest first: at most `limit`.
    async fn messages_to(&self, mobile: &Mobile, limit: usize) -> Result<Vec<Versioned<OutboxMessage>>, StoreError>;

    /// The message that a provider knows by this reference; the last one, where it gave the same to several.
    async fn message_by_reference(
        &self,
        provider: &str,
        reference: &str,
    ) -> Result<Option<Versioned<OutboxMessage>>, StoreError>;

    /// All messages: at most `limit` after the message `after`, in an order that is each store's own.
    async fn messages(
        &self,
        after: Option<&MessageKey>,
        limit: usize,
    ) -> Result<Vec<Versioned<OutboxMessage>>, StoreError>;

    /// Messages that are due by then, those that have been so for longest first: at most `limit`.
    async fn due_messages(&self, now: Timestamp, limit: usize) -> Result<Vec<Versioned<OutboxMessage>>, StoreError>;

    /// Proofs in the order of their ids, ended or not: at most `limit` after the id `after`.
    async fn proofs(&self, after: Option<ProofId>, limit: usize) -> Result<Vec<(ProofId, Proof)>, StoreError>;

    /// What is spent and until when that is remembered, in the order of the marks: at most `limit` after the mark `after`.
    async fn spent(&self, after: Option<SpentMark>, limit: usize) -> Result<Vec<(SpentMark, Timestamp)>, StoreError>;

    /// Forgets some of what has ended: challenges, receipts, idempotency keys, proofs, marks, counts and messages that are spent, sessions
    /// not used since `sessions_before`. Looks at no more than `limit` records, which is above 0; the next call goes on from there.
    ///
    /// When calls have gone on until one says that there is no more, all is forgotten that had ended at the first of them, but for
    /// what another change was working on.
    async fn purge(&self, now: Timestamp, sessions_before: Timestamp, limit: usize) -> Result<Purged, StoreError>;

    /// Whether the store can be read and written. Quick also where it is away: a probe asks.
    async fn check(&self) -> Result<(), StoreError>;

    /// What is known of the store, for operators. Asks nobody.
    fn facts(&self) -> StoreFacts;

    /// Takes no more changes, finishes those under way and makes all durable.
    async fn close(&self) -> Result<(), StoreError>;
}

//! What is kept.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use mobile_bind_domain::bind::BindReceipt;
use mobile_bind_domain::{
    Account, AccountId, Challenge, ChallengeKey, ClientType, IdempotencyName, IdempotencyRecord, Identity, MemberCode,
    MessageKey, Mobile, Platform, Proof, ProofId, Session, SessionId, SpentMark, Subject, Tally, Timestamp, UnionId,
    Versioned,
};

use crate::audit::Audit;
use crate::messages::Messages;

/// What belongs to at most one live account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Claim {
    Mobile(Mobile),
    Identity(Identity),
    UnionId(Platform, UnionId),
    MemberCode(MemberCode),
}

#[derive(Default)]
pub(crate) struct State {
    /// The revision of the last change.
    pub(crate) sequence: u64,
    /// The largest account id that anybody has had.
    pub(crate) last_account: u64,
    pub(crate) accounts: BTreeMap<AccountId, Versioned<Account>>,
    pub(crate) holders: HashMap<Claim, AccountId>,
    pub(crate) challenges: BTreeMap<ChallengeKey, Versioned<Challenge>>,
    pub(crate) receipts: BTreeMap<ChallengeKey, BindReceipt>,
    pub(crate) idempotency: BTreeMap<IdempotencyName, Versioned<IdempotencyRecord>>,
    pub(crate) tallies: BTreeMap<Subject, Tally>,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    pub(crate) sessions_of: BTreeMap<(AccountId, ClientType), SessionId>,
    pub(crate) audit: Audit,
    pub(crate) proofs: BTreeMap<ProofId, Proof>,
    /// What is spent, and until when that is remembered.
    pub(crate) spent: BTreeMap<SpentMark, Timestamp>,
    pub(crate) messages: Messages,
    cursors: Cursors,
}

impl State {
    /// What a live account holds.
    pub(crate) fn claims(account: &Account) -> impl Iterator<Item = Claim> + '_ {
        let mobile = account.held_mobile().cloned().map(Claim::Mobile);
        let code = account.held_member_code().cloned().map(Claim::MemberCode);
        let identities = account.held_identities().map(Claim::Identity);
        let unionids = account.held_unionids().map(|(platform, unionid)| Claim::UnionId(platform, unionid.clone()));
        mobile.into_iter().chain(code).chain(identities).chain(unionids)
    }

    pub(crate) fn holder(&self, claim: &Claim) -> Option<Versioned<Account>> {
        self.accounts.get(self.holders.get(claim)?).cloned()
    }

    pub(crate) fn end_session(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.remove(&id) {
            let of = (session.account, session.client_type);
            if self.sessions_of.get(&of) == Some(&id) {
                self.sessions_of.remove(&of);
            }
        }
    }

    /// Forgets what has ended among the next records, at most `limit` of them.
    pub(crate) fn purge(&mut self, now: Timestamp, sessions_before: Timestamp, limit: usize) -> usize {
        let mut sweep = Sweep { left: limit, forgotten: 0 };
        let Cursors { challenges, receipts, idempotency, tallies, sessions, messages, .. } = &mut self.cursors;
        for key in sweep.ended(&self.challenges, challenges, |challenge| challenge.value.expires_at <= now) {
            self.challenges.remove(&key);
        }
        for key in sweep.ended(&self.receipts, receipts, |receipt| receipt.expires_at <= now) {
            self.receipts.remove(&key);
        }
        for name in sweep.ended(&self.idempotency, idempotency, |record| record.value.expires_at <= now) {
            self.idempotency.remove(&name);
        }
        for subject in sweep.ended(&self.tallies, tallies, |tally| tally.spent_at() <= now) {
            self.tallies.remove(&subject);
        }
        for key in sweep.ended(self.messages.all(), messages, |message| message.value.keep_until <= now) {
            self.messages.remove(&key);
        }
        for id in sweep.ended(&self.sessions, sessions, |session| session.used_at < sessions_before) {
            self.end_session(id);
        }
        let Cursors { proofs, spent, .. } = &mut self.cursors;
        for id in sweep.ended(&self.proofs, proofs, |proof| !proof.is_live(now)) {
            self.proofs.remove(&id);
        }
        for mark in sweep.ended(&self.spent, spent, |until| *until <= now) {
            self.spent.remove(&mark);
        }
        sweep.forgotten
    }
}

/// Where the next sweep of each kind begins.
#[derive(Default)]
pub(crate) struct Cursors {
    challenges: Option<ChallengeKey>,
    receipts: Option<ChallengeKey>,
    idempotency: Option<IdempotencyName>,
    tallies: Option<Subject>,
    sessions: Option<SessionId>,
    proofs: Option<ProofId>,
    spent: Option<SpentMark>,
    messages: Option<MessageKey>,
}

struct Sweep {
    left: usize,
    forgotten: usize,
}

impl Sweep {
    /// The keys of what has ended among the records after the cursor; at the end of the map it starts over.
    fn ended<K: Ord + Clone, V>(
        &mut self,
        map: &BTreeMap<K, V>,
        cursor: &mut Option<K>,
        has_ended: impl Fn(&V) -> bool,
    ) -> Vec<K> {
        if self.left == 0 {
            return Vec::new();
        }
        let start = cursor.take().map_or(Bound::Unbounded, Bound::Excluded);
        let mut ended = Vec::new();
        for (key, value) in map.range((start, Bound::Unbounded)).take(self.left) {
            self.left -= 1;
            if has_ended(value) {
                ended.push(key.clone());
            }
            *cursor = Some(key.clone());
        }
        if self.left > 0 {
            *cursor = None;
        }
        self.forgotten += ended.len();
        ended
    }
}

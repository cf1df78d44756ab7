//! What is kept.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use mobile_bind_domain::bind::BindReceipt;
use mobile_bind_domain::ports::Purged;
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
    pub(crate) fn purge(&mut self, now: Timestamp, sessions_before: Timestamp, limit: usize) -> Purged {
        let mut sweep = Sweep { left: limit, forgotten: 0, more: false };
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
        if !sweep.more {
            self.cursors = Cursors::default();
        }
        Purged { forgotten: sweep.forgotten, more: sweep.more }
    }
}

/// How far a walk through all records has come.
#[derive(Default)]
pub(crate) struct Cursors {
    challenges: Place<ChallengeKey>,
    receipts: Place<ChallengeKey>,
    idempotency: Place<IdempotencyName>,
    tallies: Place<Subject>,
    sessions: Place<SessionId>,
    proofs: Place<ProofId>,
    spent: Place<SpentMark>,
    messages: Place<MessageKey>,
}

/// How far a walk has come with one kind.
#[derive(Default)]
enum Place<K> {
    #[default]
    Beginning,
    After(K),
    End,
}

struct Sweep {
    left: usize,
    forgotten: usize,
    more: bool,
}

impl Sweep {
    /// The keys of what has ended among the records after the cursor.
    fn ended<K: Ord + Clone, V>(
        &mut self,
        map: &BTreeMap<K, V>,
        place: &mut Place<K>,
        has_ended: impl Fn(&V) -> bool,
    ) -> Vec<K> {
        let start = match std::mem::replace(place, Place::End) {
            Place::Beginning => Bound::Unbounded,
            Place::After(last) => Bound::Excluded(last),
            Place::End => return Vec::new(),
        };
        let mut ended = Vec::new();
        let mut records = map.range((start.as_ref(), Bound::Unbounded));
        let mut last = None;
        for (key, value) in records.by_ref().take(self.left) {
            self.left -= 1;
            if has_ended(value) {
                ended.push(key.clone());
            }
            last = Some(key.clone());
        }
        if records.next().is_some() {
            self.more = true;
            *place = match (last, start) {
                (Some(last), _) | (None, Bound::Excluded(last)) => Place::After(last),
                (None, _) => Place::Beginning,
            };
        }
        self.forgotten += ended.len();
        ended
    }
}

//! What is kept.

use std::collections::{BTreeMap, HashMap};

use mobile_bind_domain::bind::BindReceipt;
use mobile_bind_domain::{
    Account, AccountId, Challenge, ChallengeKey, ClientType, Identity, MemberCode, Mobile, Platform, Session,
    SessionId, Subject, Tally, Timestamp, UnionId, Versioned,
};

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
    pub(crate) closed: bool,
    /// The revision of the last change.
    pub(crate) sequence: u64,
    /// The largest account id that anybody has had.
    pub(crate) last_account: u64,
    pub(crate) accounts: BTreeMap<AccountId, Versioned<Account>>,
    pub(crate) holders: HashMap<Claim, AccountId>,
    pub(crate) challenges: HashMap<ChallengeKey, Versioned<Challenge>>,
    pub(crate) receipts: HashMap<ChallengeKey, BindReceipt>,
    pub(crate) tallies: HashMap<Subject, Tally>,
    pub(crate) sessions: HashMap<SessionId, Session>,
    pub(crate) sessions_of: BTreeMap<(AccountId, ClientType), SessionId>,
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

    /// Forgets all that has ended.
    pub(crate) fn purge(&mut self, now: Timestamp, sessions_before: Timestamp) -> usize {
        let kept =
            |state: &Self| state.challenges.len() + state.receipts.len() + state.tallies.len() + state.sessions.len();
        let before = kept(self);
        self.challenges.retain(|_, challenge| challenge.value.expires_at > now);
        self.receipts.retain(|_, receipt| receipt.expires_at > now);
        self.tallies.retain(|_, tally| tally.spent_at() > now);
        let idle = self.sessions.values().filter(|session| session.used_at < sessions_before);
        for id in idle.map(|session| session.id).collect::<Vec<_>>() {
            self.end_session(id);
        }
        before - kept(self)
    }
}

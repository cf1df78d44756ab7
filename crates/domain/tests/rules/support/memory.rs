//! A store in memory, as plain as can be. The store contract suite runs over it too.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use mobile_bind_domain::bind::BindReceipt;
use mobile_bind_domain::ports::{
    BindQuery, BindSnapshot, CallerQuery, CommitError, ReceiptSnapshot, SendQuery, SendSnapshot, SessionSnapshot,
    Store, StoreError,
};
use mobile_bind_domain::referrer::ReferrerName;
use mobile_bind_domain::{
    Account, AccountId, Challenge, ChallengeKey, Change, Expectation, Revision, Session, SessionId, Subject, Tally,
    Timestamp, Versioned, Write,
};

/// Everything in maps; holders are found by looking at every account.
#[derive(Default)]
pub(crate) struct MemoryStore {
    state: Arc<Mutex<State>>,
    closed: AtomicBool,
}

/// The same data, opened again.
impl Clone for MemoryStore {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state), closed: AtomicBool::new(false) }
    }
}

#[derive(Clone, Default)]
struct State {
    revision: u64,
    last_account: u64,
    accounts: BTreeMap<AccountId, Versioned<Account>>,
    challenges: BTreeMap<ChallengeKey, Versioned<Challenge>>,
    sessions: BTreeMap<SessionId, Session>,
    receipts: BTreeMap<ChallengeKey, BindReceipt>,
    tallies: HashMap<Subject, Tally>,
}

impl MemoryStore {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn holder(&self, holds: impl Fn(&Account) -> bool) -> Option<Versioned<Account>> {
        self.accounts.values().find(|account| account.value.is_live() && holds(&account.value)).cloned()
    }

    fn session(&self, id: SessionId) -> Option<SessionSnapshot> {
        let session = self.sessions.get(&id)?.clone();
        let account = self.accounts.get(&session.account)?.clone();
        Some(SessionSnapshot { session, account })
    }

    fn tallies(&self, subjects: impl IntoIterator<Item = Subject>) -> HashMap<Subject, Tally> {
        let found = |subject: Subject| Some((subject.clone(), self.tallies.get(&subject)?.clone()));
        subjects.into_iter().filter_map(found).collect()
    }

    fn referrer(&self, name: &ReferrerName) -> Option<Account> {
        let named = |account: &Account| match name {
            ReferrerName::Id(id) => account.id == *id,
            ReferrerName::Mobile(mobile) => account.held_mobile() == Some(mobile),
            ReferrerName::Code(code) => account.held_member_code() == Some(code),
        };
        self.holder(named).map(|account| account.value)
    }

    fn holds(&self, expectation: &Expectation) -> bool {
        match expectation {
            Expectation::Account(id, revision) => Versioned::revision_of(self.accounts.get(id)) == *revision,
            Expectation::Challenge(key, revision) => Versioned::revision_of(self.challenges.get(key)) == *revision,
            Expectation::Session(id) => self.sessions.contains_key(id),
        }
    }

    /// `None` where the write conflicts.
    fn write(&mut self, write: Write, revision: Revision) -> Option<()> {
        match write {
            Write::Account { expected, account } => {
                if !self.holds(&Expectation::Account(account.id, expected)) || self.clashes(&account) {
                    return None;
                }
                self.last_account = self.last_account.max(account.id.get());
                self.accounts.insert(account.id, Versioned { revision, value: *account });
            }
            Write::Challenge { expected, key, challenge } => {
                if !self.holds(&Expectation::Challenge(key.clone(), expected)) {
                    return None;
                }
                match challenge {
                    Some(value) => drop(self.challenges.insert(key, Versioned { revision, value })),
                    None => drop(self.challenges.remove(&key)),
                }
            }
            Write::OpenSession(session) => {
                self.sessions.retain(|_, old| (old.account, old.client_type) != (session.account, session.client_type));
                self.sessions.insert(session.id, session);
            }
            Write::UseSession(id, at) => {
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.used_at = at;
                }
            }
            Write::EndSession(id) => drop(self.sessions.remove(&id)),
            Write::Receipt(key, receipt) => drop(self.receipts.insert(key, receipt)),
            Write::Count { subject, at, kept, watched } => {
                let tally = self.tallies.entry(subject).or_default();
                if tally.wait(&kept, at).is_some() {
                    return None;
                }
                tally.add(kept.iter().chain(&watched), at);
            }
            Write::Uncount { subject, at } => {
                if let Some(tally) = self.tallies.get_mut(&subject) {
                    tally.remove(at);
                }
            }
        }
        Some(())
    }

    fn clashes(&self, account: &Account) -> bool {
        let mine = |other: &Account| {
            account.held_mobile().is_some_and(|mobile| other.held_mobile() == Some(mobile))
                || account.held_member_code().is_some_and(|code| other.held_member_code() == Some(code))
                || account.held_identities().any(|mine| other.held_identities().any(|theirs| mine == theirs))
                || account.held_unionids().any(|mine| other.held_unionids().any(|theirs| mine == theirs))
        };
        self.holder(|other| other.id != account.id && mine(other)).is_some()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn load_send(&self, query: &SendQuery) -> Result<SendSnapshot, StoreError> {
        let state = self.state();
        let caller = query.session.and_then(|id| state.session(id));
        let account = caller.as_ref().map(|caller| Subject::SendsOf(caller.account.value.id));
        let tallies = state.tallies(query.subjects().into_iter().chain(account));
        Ok(SendSnapshot { challenge: state.challenges.get(&query.key).cloned(), caller, tallies })
    }

    async fn load_bind(&self, query: &BindQuery) -> Result<BindSnapshot, StoreError> {
        let state = self.state();
        let mut snapshot = BindSnapshot {
            challenge: state.challenges.get(&query.key).cloned(),
            receipt: state.receipts.get(&query.key).map(|receipt| ReceiptSnapshot {
                receipt: receipt.clone(),
                session: receipt.session.and_then(|id| state.session(id)),
            }),
            mobile_holder: state.holder(|account| account.held_mobile() == Some(&query.key.mobile)),
            referrer: query.referrer.as_ref().and_then(|name| state.referrer(name)),
            tallies: state.tallies(query.subjects()),
            ..BindSnapshot::default()
        };
        match &query.caller {
            CallerQuery::Session(id) => snapshot.session = id.and_then(|id| state.session(id)),
            CallerQuery::Identity { identity, unionid } => {
                let platform = identity.as_ref().map(|identity| identity.platform);
                snapshot.identity_holder = identity.as_ref().and_then(|identity| {
                    state.holder(|account| account.held_identities().any(|held| held == *identity))
                });
                snapshot.unionid_holder = unionid.as_ref().zip(platform).and_then(|(unionid, platform)| {
                    state.holder(|account| account.held_unionids().any(|held| held == (platform, unionid)))
                });
            }
        }
        Ok(snapshot)
    }

    async fn load_session(&self, id: SessionId) -> Result<Option<SessionSnapshot>, StoreError> {
        Ok(self.state().session(id))
    }

    #[expect(clippy::expect_used, reason = "a test never makes ten billion accounts")]
    async fn allot_account_id(&self) -> Result<AccountId, StoreError> {
        let mut state = self.state();
        state.last_account += 1;
        Ok(AccountId::new(state.last_account).expect("an id of ten digits"))
    }

    async fn commit(&self, change: Change) -> Result<Revision, CommitError> {
        self.check().await?;
        let mut state = self.state();
        if !change.expectations.iter().all(|expectation| state.holds(expectation)) {
            return Err(CommitError::Conflict);
        }
        let mut next = state.clone();
        next.revision += 1;
        let revision = Revision(next.revision);
        for write in change.writes {
            next.write(write, revision).ok_or(CommitError::Conflict)?;
        }
        *state = next;
        Ok(revision)
    }

    async fn account(&self, id: AccountId) -> Result<Option<Versioned<Account>>, StoreError> {
        Ok(self.state().accounts.get(&id).cloned())
    }

    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Versioned<Account>>, StoreError> {
        let state = self.state();
        let later = state.accounts.values().filter(|account| after.is_none_or(|after| account.value.id > after));
        Ok(later.take(limit).cloned().collect())
    }

    async fn sessions_of(&self, account: AccountId) -> Result<Vec<Session>, StoreError> {
        Ok(self.state().sessions.values().filter(|session| session.account == account).cloned().collect())
    }

    async fn purge(&self, now: Timestamp, sessions_before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let mut state = self.state();
        let mut left = limit;
        let mut keeps = |ended: bool| {
            let forgets = ended && left > 0;
            left -= usize::from(forgets);
            !forgets
        };
        state.challenges.retain(|_, challenge| keeps(challenge.value.expires_at <= now));
        state.receipts.retain(|_, receipt| keeps(receipt.expires_at <= now));
        state.tallies.retain(|_, tally| keeps(tally.spent_at() <= now));
        state.sessions.retain(|_, session| keeps(session.used_at < sessions_before));
        Ok(limit - left)
    }

    async fn check(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::Relaxed) { Err(StoreError("closed".into())) } else { Ok(()) }
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.closed.store(true, Ordering::Relaxed);
        Ok(())
    }
}

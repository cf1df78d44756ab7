//! Changes: checked as a whole, then applied as a whole.

use std::collections::{HashMap, HashSet};

use mobile_bind_domain::{
    Account, AccountId, Change, ClientType, Expectation, Revision, Session, SpentMark, Versioned, Write,
};

use crate::state::{Claim, State};

impl State {
    /// Commits a change; `None` where something expected does not hold.
    pub(crate) fn commit(&mut self, change: Change) -> Option<Revision> {
        let expected = change.expectations.iter().all(|expectation| self.holds(expectation));
        let (mut claimed, mut spending) = (HashMap::new(), HashSet::new());
        if !expected || !change.writes.iter().all(|write| self.allows(write, &mut claimed, &mut spending)) {
            return None;
        }
        self.sequence += 1;
        let revision = Revision(self.sequence);
        let mut place = 0;
        for write in change.writes {
            if let Write::Audit(event) = write {
                self.audit.add(revision.0, place, &event);
                place += 1;
            } else {
                self.apply(write, revision);
            }
        }
        Some(revision)
    }

    fn holds(&self, expectation: &Expectation) -> bool {
        match expectation {
            Expectation::Account(id, revision) => Versioned::revision_of(self.accounts.get(id)) == *revision,
            Expectation::Challenge(key, revision) => Versioned::revision_of(self.challenges.get(key)) == *revision,
            Expectation::Room { subject, at, kept } => {
                self.tallies.get(subject).cloned().unwrap_or_default().wait(kept, *at).is_none()
            }
            Expectation::Session(id) => self.sessions.contains_key(id),
            Expectation::Idempotency(name, revision) => Versioned::revision_of(self.idempotency.get(name)) == *revision,
        }
    }

    /// `claimed` is what earlier writes of the same change claimed, or let go; `spending` what they mark.
    fn allows(
        &self,
        write: &Write,
        claimed: &mut HashMap<Claim, Option<AccountId>>,
        spending: &mut HashSet<SpentMark>,
    ) -> bool {
        match write {
            Write::Account { expected, account } => {
                let old = self.accounts.get(&account.id);
                let let_go = old.into_iter().flat_map(|old| Self::claims(&old.value));
                claimed.extend(let_go.map(|claim| (claim, None)));
                let mut free = |claim: Claim| {
                    let stored = || self.holders.get(&claim).copied();
                    let holder = claimed.get(&claim).copied().unwrap_or_else(stored);
                    claimed.insert(claim, Some(account.id));
                    holder.is_none_or(|holder| holder == account.id)
                };
                Versioned::revision_of(old) == *expected && Self::claims(account).all(&mut free)
            }
            Write::Challenge { expected, key, .. } => Versioned::revision_of(self.challenges.get(key)) == *expected,
            Write::Idempotency { expected, name, .. } => {
                Versioned::revision_of(self.idempotency.get(name)) == *expected
            }
            Write::Count { subject, at, kept, .. } => {
                let tally = self.tallies.get(subject).cloned().unwrap_or_default();
                tally.wait(kept, *at).is_none()
            }
            Write::Checkpoint(checkpoint) => !self.audit.is_sealed(checkpoint),
            Write::Spend(mark, _) => spending.insert(*mark) && !self.spent.contains_key(mark),
            Write::Message { expected, message } => {
                Versioned::revision_of(self.messages.all().get(&message.key)) == *expected
            }
            Write::OpenSession(_)
            | Write::UseSession(..)
            | Write::EndSession(_)
            | Write::EndSessions { .. }
            | Write::Audit(_)
            | Write::AuditCopy(_)
            | Write::DropSegment { .. }
            | Write::Receipt(..)
            | Write::CountMany { .. }
            | Write::Forget { .. }
            | Write::Uncount { .. }
            | Write::Proof(..)
            | Write::UseProof(..) => true,
        }
    }

    fn apply(&mut self, write: Write, revision: Revision) {
        match write {
            Write::Account { account, .. } => self.put_account(*account, revision),
            Write::Challenge { key, challenge: Some(value), .. } => {
                self.challenges.insert(key, Versioned { revision, value });
            }
            Write::Challenge { key, challenge: None, .. } => {
                self.challenges.remove(&key);
            }
            Write::OpenSession(session) => self.open_session(session),
            Write::UseSession(id, at) => {
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.used_at = session.used_at.max(at);
                }
            }
            Write::EndSession(id) => self.end_session(id),
            Write::EndSessions { account, except } => self.end_sessions(account, except),
            // Those have a place in their change.
            Write::Audit(_) => {}
            Write::AuditCopy(event) => self.audit.put(*event),
            Write::Checkpoint(checkpoint) => self.audit.seal(*checkpoint),
            Write::DropSegment { node, segment, last } => self.audit.drop_segment(node, segment, last),
            Write::Receipt(key, receipt) => {
                self.receipts.insert(key, receipt);
            }
            Write::Idempotency { name, record: Some(value), .. } => {
                self.idempotency.insert(name, Versioned { revision, value });
            }
            Write::Idempotency { name, record: None, .. } => {
                self.idempotency.remove(&name);
            }
            Write::Count { subject, at, kept, watched } => {
                self.tallies.entry(subject).or_default().add(kept.iter().chain(&watched), at);
            }
            Write::CountMany { subject, at, events, watched } => {
                self.tallies.entry(subject).or_default().add_many(watched.iter(), at, events);
            }
            Write::Forget { subject, window } => {
                if let Some(tally) = self.tallies.get_mut(&subject) {
                    tally.forget(window);
                }
            }
            Write::Uncount { subject, at } => {
                if let Some(tally) = self.tallies.get_mut(&subject) {
                    tally.remove(at);
                }
            }
            Write::Proof(id, proof) => {
                self.proofs.insert(id, proof);
            }
            Write::UseProof(id, until) => {
                if let Some(proof) = self.proofs.get_mut(&id) {
                    proof.expires_at = proof.expires_at.max(until);
                }
            }
            Write::Spend(mark, until) => {
                self.spent.insert(mark, until);
            }
            Write::Message { message, .. } => self.messages.put(Versioned { revision, value: *message }),
        }
    }

    fn put_account(&mut self, account: Account, revision: Revision) {
        let id = account.id;
        if let Some(old) = self.accounts.get(&id) {
            for claim in Self::claims(&old.value) {
                self.holders.remove(&claim);
            }
        }
        self.holders.extend(Self::claims(&account).map(|claim| (claim, id)));
        self.last_account = self.last_account.max(id.get());
        self.accounts.insert(id, Versioned { revision, value: account });
    }

    fn end_sessions(&mut self, account: AccountId, except: Option<ClientType>) {
        let ended = |&client_type: &ClientType| Some(client_type) != except;
        for client_type in ClientType::ALL.into_iter().filter(ended) {
            if let Some(id) = self.sessions_of.get(&(account, client_type)).copied() {
                self.end_session(id);
            }
        }
    }

    fn open_session(&mut self, session: Session) {
        let replaced = self.sessions_of.insert((session.account, session.client_type), session.id);
        if let Some(replaced) = replaced {
            self.sessions.remove(&replaced);
        }
        self.sessions.insert(session.id, session);
    }
}

//! Changes: one transaction each, or for several together that have nothing in common, in READ COMMITTED.
//!
//! Each condition is looked at under the lock of the row that it is about, so that whoever was waited for is seen. Only the
//! absence of a record that is expected but not written is not locked: it held when the statement ran, and the change stands
//! before whatever came then. A table is written by one statement, whatever the number of its rows.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{Hash, Hasher};

use mobile_bind_domain::audit::RecordedEvent;
use mobile_bind_domain::bind::BindReceipt;
use mobile_bind_domain::{
    AccountId, AuditNode, Challenge, ChallengeKey, Change, Expectation, IdempotencyName, IdempotencyRecord, Revision,
    Session, SessionId, SpentMark, Subject, Timestamp, Write,
};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::fault::{Fault, Rejection};
use crate::records::tally::Counting;
use crate::records::{audit, challenge, idempotency, message, proof, receipt, tally};
use crate::shop::claims::Claim;
use crate::shop::session::EndedToken;
use crate::shop::writing::Written;
use crate::shop::{session, writing};
use crate::tables::Tables;

/// A change that is to be committed.
pub(crate) struct Numbered {
    change: Change,
    revision: Revision,
    touches: HashSet<u64>,
}

impl Numbered {
    pub(crate) fn new(change: Change, revision: Revision) -> Self {
        let expected = change.expectations.iter().filter_map(expected);
        let touches = expected.chain(change.writes.iter().flat_map(touched)).collect();
        Self { change, revision, touches }
    }

    /// What it rests on or writes. Counts are not among it: of changes that are committed together, each is counted after the
    /// other.
    pub(crate) fn touches(&self) -> &HashSet<u64> {
        &self.touches
    }

    pub(crate) fn len(&self) -> usize {
        self.change.expectations.len() + self.change.writes.len()
    }

    #[cfg(test)]
    pub(crate) fn revision(&self) -> Revision {
        self.revision
    }
}

fn touch(kind: &str, what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    (kind, what).hash(&mut hasher);
    hasher.finish()
}

fn expected(expectation: &Expectation) -> Option<u64> {
    match expectation {
        Expectation::Account(id, _) => Some(touch("account", id.get())),
        Expectation::Challenge(key, _) => Some(of_challenge(key)),
        Expectation::Session(id) => Some(touch("session", id.0)),
        Expectation::Idempotency(name, _) => Some(touch("idempotency key", name.0)),
        Expectation::Room { .. } => None,
    }
}

fn of_challenge(key: &ChallengeKey) -> u64 {
    touch("challenge", (key.mobile.as_str(), key.client.to_string()))
}

/// What a write touches; first the record that it writes, if it is one alone.
fn touched(write: &Write) -> Vec<u64> {
    match write {
        Write::Account { account, .. } => {
            let claims = Claim::of(account);
            let claims = claims.iter().map(|claim| touch("claim", claim.key()));
            [touch("account", account.id.get())].into_iter().chain(claims).collect()
        }
        Write::Challenge { key, .. } => vec![of_challenge(key)],
        // The session that this one replaces is only known by its account.
        Write::OpenSession(opened) => vec![
            touch("client", (opened.account.get(), opened.client_type.name())),
            touch("account", opened.account.get()),
            touch("session", opened.id.0),
        ],
        Write::UseSession(id, _) | Write::EndSession(id) => vec![touch("session", id.0)],
        Write::EndSessions { account, .. } => vec![touch("account", account.get())],
        Write::Receipt(key, _) => vec![touch("receipt", (key.mobile.as_str(), key.client.to_string()))],
        Write::Idempotency { name, .. } => vec![touch("idempotency key", name.0)],
        Write::Proof(id, _) | Write::UseProof(id, _) => vec![touch("proof", id.0)],
        Write::Spend(mark, _) => vec![touch("mark", mark.0)],
        Write::Message { message, .. } => vec![touch("message", (message.key.mobile.as_str(), message.key.id.0))],
        Write::Count { .. }
        | Write::CountMany { .. }
        | Write::Forget { .. }
        | Write::Uncount { .. }
        | Write::Audit(_)
        | Write::AuditCopy(_)
        | Write::Checkpoint(_)
        | Write::DropSegment { .. } => Vec::new(),
    }
}

/// Where changes are written: the shop's tables, and as which node.
pub(crate) struct Place<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) node: AuditNode,
}

/// Begins the transaction. Where that fails nothing has been written.
pub(crate) async fn begin(conn: &mut Conn) -> Result<(), Fault> {
    Ok(conn.query_drop("START TRANSACTION").await?)
}

/// Runs all of the changes and commits them, or nothing of them. Answers the shop's tokens that ended with them.
pub(crate) async fn run(
    conn: &mut Conn,
    place: &Place<'_>,
    changes: &[&Numbered],
) -> Result<Vec<EndedToken>, Rejection> {
    let taken = take_steps(conn, place, changes).await;
    end(conn, taken).await
}

/// Ends the transaction by what came of it: all of it stands, or nothing.
pub(crate) async fn end<T>(conn: &mut Conn, outcome: Result<T, Rejection>) -> Result<T, Rejection> {
    match outcome {
        Ok(done) => {
            conn.query_drop("COMMIT").await?;
            Ok(done)
        }
        Err(Rejection::Conflict) => {
            conn.query_drop("ROLLBACK").await?;
            Err(Rejection::Conflict)
        }
        // The connection is closed, and with that the transaction undone.
        Err(fault) => Err(fault),
    }
}

async fn take_steps(conn: &mut Conn, place: &Place<'_>, changes: &[&Numbered]) -> Result<Vec<EndedToken>, Rejection> {
    let mut ended = Vec::new();
    for steps in rounds(place.node, changes) {
        ended.extend(steps.take(conn, place.tables).await?);
    }
    Ok(ended)
}

/// All steps; what writes a record that the same change has written already waits for the next round.
fn rounds<'a>(node: AuditNode, changes: &[&'a Numbered]) -> Vec<Steps<'a>> {
    let mut rounds = vec![Steps::default()];
    for Numbered { change, revision, .. } in changes {
        let (mut written, mut events): (HashMap<u64, usize>, u8) = (HashMap::new(), 0);
        if let Some(first) = rounds.first_mut() {
            change.expectations.iter().for_each(|expectation| first.expect(expectation));
        }
        for write in &change.writes {
            let round = touched(write).first().map_or(0, |&record| {
                let times = written.entry(record).or_default();
                *times += 1;
                *times - 1
            });
            if round == rounds.len() {
                rounds.push(Steps::default());
            }
            let Some(steps) = rounds.get_mut(round) else { continue };
            if let Write::Audit(event) = write {
                let sequence = RecordedEvent::sequence(revision.0, events);
                let (mark, bytes) = (event.mark(), event.to_bytes().into());
                steps.events.push(RecordedEvent { node, sequence, mark, bytes });
                events = events.saturating_add(1);
            } else {
                steps.write(write, *revision);
            }
        }
    }
    rounds
}

/// What is to be looked at and written, in the order in which it is taken. Whatever the changes' own order, idempotency keys
/// come first, then challenges, accounts, sessions, receipts, counts, proofs, marks, messages and the audit: so changes that
/// meet wait for each other, and do not lock each other out. What is expected comes before what is written.
#[derive(Default)]
struct Steps<'a> {
    expected_keys: Vec<(IdempotencyName, Revision)>,
    keys: Vec<(Revision, IdempotencyName, Option<&'a IdempotencyRecord>, Revision)>,
    expected_challenges: Vec<(&'a ChallengeKey, Revision)>,
    used_challenges: Vec<(&'a ChallengeKey, Revision)>,
    challenges: Vec<(Revision, &'a ChallengeKey, &'a Challenge, Revision)>,
    expected_accounts: Vec<(AccountId, Revision)>,
    expected_sessions: Vec<SessionId>,
    /// A session that is opened takes the place of one that is ended.
    endings: Vec<&'a Write>,
    accounts: Vec<Written<'a>>,
    opened: Vec<&'a Session>,
    used_sessions: Vec<(SessionId, Timestamp)>,
    receipts: Vec<(&'a ChallengeKey, &'a BindReceipt)>,
    counts: Vec<(&'a Subject, Counting<'a>)>,
    proofs: Vec<&'a Write>,
    spent: Vec<(SpentMark, Timestamp)>,
    messages: Vec<(&'a Write, Revision)>,
    events: Vec<RecordedEvent>,
    segments: Vec<&'a Write>,
}

impl<'a> Steps<'a> {
    fn expect(&mut self, expectation: &'a Expectation) {
        match expectation {
            Expectation::Idempotency(name, known) => self.expected_keys.push((*name, *known)),
            Expectation::Challenge(key, known) => self.expected_challenges.push((key, *known)),
            Expectation::Account(id, known) => self.expected_accounts.push((*id, *known)),
            Expectation::Session(id) => self.expected_sessions.push(*id),
            Expectation::Room { subject, at, kept } => {
                self.counts.push((subject, Counting::Room { at: *at, kept }));
            }
        }
    }

    fn write(&mut self, write: &'a Write, revision: Revision) {
        match write {
            Write::Idempotency { expected, name, record } => {
                self.keys.push((*expected, *name, record.as_ref(), revision));
            }
            Write::Challenge { expected, key, challenge: Some(challenge) } => {
                self.challenges.push((*expected, key, challenge, revision));
            }
            Write::Challenge { expected: Revision::ABSENT, key, challenge: None } => {
                self.expected_challenges.push((key, Revision::ABSENT));
            }
            Write::Challenge { expected, key, challenge: None } => self.used_challenges.push((key, *expected)),
            Write::Account { expected, account } => {
                self.accounts.push(Written { expected: *expected, account, revision });
            }
            Write::EndSession(_) | Write::EndSessions { .. } => self.endings.push(write),
            Write::OpenSession(opened) => self.opened.push(opened),
            Write::UseSession(id, at) => self.used_sessions.push((*id, *at)),
            Write::Receipt(key, kept) => self.receipts.push((key, kept)),
            Write::Count { subject, at, kept, watched } => {
                self.counts.push((subject, Counting::Count { at: *at, kept, watched }));
            }
            Write::CountMany { subject, at, events, watched } => {
                self.counts.push((subject, Counting::CountMany { at: *at, events: *events, watched }));
            }
            Write::Forget { subject, window } => self.counts.push((subject, Counting::Forget { window: *window })),
            Write::Uncount { subject, at } => self.counts.push((subject, Counting::Uncount { at: *at })),
            Write::Proof(..) | Write::UseProof(..) => self.proofs.push(write),
            Write::Spend(mark, until) => self.spent.push((*mark, *until)),
            Write::Message { .. } => self.messages.push((write, revision)),
            // Those have a place in their change.
            Write::Audit(_) => {}
            Write::AuditCopy(_) | Write::Checkpoint(_) | Write::DropSegment { .. } => self.segments.push(write),
        }
    }

    async fn take(self, conn: &mut Conn, tables: &Tables) -> Result<Vec<EndedToken>, Rejection> {
        self.take_keys_and_challenges(conn).await?;
        let ended = self.take_shop(conn, tables).await?;
        receipt::write(conn, &self.receipts).await?;
        tally::count(conn, &self.counts).await?;
        for write in self.proofs {
            match write {
                Write::Proof(id, kept) => proof::write(conn, *id, kept).await?,
                Write::UseProof(id, until) => proof::use_until(conn, *id, *until).await?,
                _ => {}
            }
        }
        proof::spend(conn, &self.spent).await?;
        for (write, revision) in self.messages {
            if let Write::Message { expected, message: written } = write {
                message::write(conn, *expected, written, revision).await?;
            }
        }
        audit::add(conn, &self.events).await?;
        for write in self.segments {
            match write {
                Write::AuditCopy(event) => audit::copy(conn, event).await?,
                Write::Checkpoint(checkpoint) => audit::seal(conn, checkpoint).await?,
                Write::DropSegment { node, segment, last } => audit::drop_segment(conn, *node, *segment, *last).await?,
                _ => {}
            }
        }
        Ok(ended)
    }

    async fn take_keys_and_challenges(&self, conn: &mut Conn) -> Result<(), Rejection> {
        for (name, known) in &self.expected_keys {
            idempotency::expect(conn, *name, *known).await?;
        }
        for (expected, name, record, revision) in &self.keys {
            idempotency::write(conn, *expected, *name, *record, *revision).await?;
        }
        for (key, known) in &self.expected_challenges {
            challenge::expect(conn, key, *known).await?;
        }
        challenge::remove(conn, &self.used_challenges).await?;
        for (expected, key, challenge, revision) in &self.challenges {
            challenge::write(conn, *expected, key, challenge, *revision).await?;
        }
        Ok(())
    }

    async fn take_shop(&self, conn: &mut Conn, tables: &Tables) -> Result<Vec<EndedToken>, Rejection> {
        let expected = self.expected_accounts.iter().map(|(id, _)| *id);
        let written = self.accounts.iter().map(|written| written.account.id);
        let ids: BTreeSet<_> = expected.chain(written).chain(self.opened.iter().map(|opened| opened.account)).collect();
        let locked = writing::lock(conn, tables, ids).await?;
        self.expected_accounts.iter().try_for_each(|(id, known)| locked.expect(*id, *known))?;
        for id in &self.expected_sessions {
            session::expect(conn, tables, *id).await?;
        }
        let mut ended = Vec::new();
        for write in &self.endings {
            ended.extend(match write {
                Write::EndSession(id) => session::end(conn, tables, *id).await?,
                Write::EndSessions { account, except } => session::end_all(conn, tables, *account, *except).await?,
                _ => Vec::new(),
            });
        }
        ended.extend(writing::write(conn, tables, &locked, &self.accounts, &self.opened).await?);
        for (id, at) in &self.used_sessions {
            session::use_at(conn, tables, *id, *at).await?;
        }
        Ok(ended)
    }
}

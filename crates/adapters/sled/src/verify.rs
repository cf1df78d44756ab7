//! Going through a whole store: what is in it, and whether it fits together.

use std::collections::BTreeMap;
use std::path::Path;

use crate::Options;
use crate::apply::claims;
use crate::digest::Digest;
use crate::fault::Fault;
use crate::journal::replay;
use crate::layout::{
    self, ACCOUNT, AUDIT, CHALLENGE, CHECKPOINT, FORMAT, IDEMPOTENCY, INDEXES, MESSAGE, MESSAGE_INDEX, PROOF, RECEIPT,
    SESSION, SESSION_OF, SPENT, TALLY,
};
use crate::messages;
use crate::open::{OpenError, open_database};
use crate::recent::Recent;
use crate::records::{self, Record, Spent};
use crate::source::Source;
use crate::view::{Reader, caught};
use mobile_bind_domain::audit::Checkpoint;
use mobile_bind_domain::bind::BindReceipt;
use mobile_bind_domain::{
    Account, AccountId, AuditEvent, Challenge, IdempotencyRecord, OutboxMessage, Proof, Session, Tally,
};

/// What a store holds, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The format version.
    pub format: u32,
    /// The sequence of the last change.
    pub sequence: u64,
    /// How many entries there are of each kind.
    pub entries: BTreeMap<&'static str, u64>,
    /// How many bytes their keys and values have, before the database's own overhead.
    pub bytes: u64,
    /// What is wrong, and how often. Names kinds of records, never what is in them.
    pub problems: BTreeMap<&'static str, u64>,
}

/// Goes through a store that nobody has open; tells `progress` how many entries it has seen, now and then. Nothing is
/// mended.
///
/// # Errors
/// Where the folder is in use, or cannot be opened or read at all.
pub fn verify(folder: &Path, options: Options, mut progress: impl FnMut(u64)) -> Result<Findings, OpenError> {
    let database = open_database(folder, &options)?;
    let (missing, last, journal) = match replay(folder, database.reached) {
        Ok(replay) => (replay.missing, replay.last, None),
        Err(error) => (Default::default(), database.reached, Some(problem(error)?)),
    };
    let missing = Recent::new(missing);
    let mut verifier = Verifier {
        reader: Reader::over(&database.blocks, &missing),
        sequence: last.sequence,
        digest: Digest::default(),
        findings: Findings { format: FORMAT, sequence: last.sequence, ..Findings::default() },
    };
    caught(|| verifier.walk(&mut progress))?;
    // A journal that cannot be read leaves the database anywhere on its way.
    let whole = journal.is_some() || verifier.digest == last.digest;
    verifier.expect(whole, "records are missing, or are older than others");
    if let Some(problem) = journal {
        verifier.expect(false, problem);
    }
    Ok(verifier.findings)
}

/// What is wrong with the journal, unless it could not be read for another reason.
fn problem(error: OpenError) -> Result<&'static str, OpenError> {
    match error {
        OpenError::Older { .. } => Ok("the store is older than its last answer"),
        OpenError::Damaged(_) => Ok("the journal is damaged, or missing"),
        error => Err(error),
    }
}

struct Verifier<'t> {
    reader: Reader<'t>,
    sequence: u64,
    digest: Digest,
    findings: Findings,
}

impl Verifier<'_> {
    fn walk(&mut self, progress: &mut impl FnMut(u64)) -> Result<(), Fault> {
        let reader = self.reader;
        for (seen, entry) in (1..).zip(reader.range(layout::everything())) {
            let (key, value) = entry?;
            self.digest.add(&key, &value);
            self.findings.bytes += (key.len() + value.len()) as u64;
            let kind = self.entry(&key, &value)?;
            *self.findings.entries.entry(kind).or_default() += 1;
            if seen % 10_000 == 0 {
                progress(seen);
            }
        }
        Ok(())
    }

    fn expect(&mut self, holds: bool, problem: &'static str) {
        if !holds {
            *self.findings.problems.entry(problem).or_default() += 1;
        }
    }

    /// Checks one entry; answers its kind.
    fn entry(&mut self, key: &[u8], value: &[u8]) -> Result<&'static str, Fault> {
        match key.first() {
            Some(&ACCOUNT) => self.account(key, value)?,
            Some(kind) if INDEXES.contains(kind) => self.index(key, value)?,
            Some(&CHALLENGE) => drop(self.record::<Challenge>(value, "a challenge cannot be read")),
            Some(&RECEIPT) => drop(self.record::<BindReceipt>(value, "a receipt cannot be read")),
            Some(&TALLY) => drop(self.record::<Tally>(value, "a tally cannot be read")),
            Some(&PROOF) => drop(self.record::<Proof>(value, "a proof cannot be read")),
            Some(&SPENT) => drop(self.record::<Spent>(value, "a spent mark cannot be read")),
            Some(&IDEMPOTENCY) => {
                let _ = self.record::<IdempotencyRecord>(value, "an idempotency key's outcome cannot be read");
            }
            Some(&SESSION) => self.session(key, value)?,
            Some(&SESSION_OF) => self.session_index(key, value)?,
            Some(&AUDIT) => self.event(key, value),
            Some(&CHECKPOINT) => self.checkpoint(key, value),
            Some(&MESSAGE) => self.message(key, value)?,
            Some(&MESSAGE_INDEX) => self.message_index(key, value)?,
            _ => self.expect(false, "an entry is of no known kind"),
        }
        Ok(layout::name_of(key))
    }

    fn record<R: Record>(&mut self, value: &[u8], problem: &'static str) -> Option<R> {
        let record = records::decode::<R>(value).ok();
        self.expect(record.is_some(), problem);
        let record = record?;
        self.expect(record.revision.0 <= self.sequence, "a record is newer than the store");
        Some(record.value)
    }

    fn account(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        let Some(account) = self.record::<Account>(value, "an account cannot be read") else { return Ok(()) };
        self.expect(layout::account(account.id).as_bytes() == key, "an account stands under another's id");
        for claim in claims(&account) {
            let holder = self.reader.value(claim.as_bytes())?;
            let holds = holder.is_some_and(|holder| *holder == account.id.get().to_be_bytes());
            self.expect(holds, "an account is not led to by its number, identity, unionid or member code");
        }
        Ok(())
    }

    fn index(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        let id = value.try_into().ok().and_then(|id| AccountId::new(u64::from_be_bytes(id)));
        let stored = id.map_or(Ok(None), |id| self.reader.value(layout::account(id).as_bytes()))?;
        // One that cannot be read is counted where it stands.
        let account = stored.map(|stored| records::decode::<Account>(&stored));
        let leads = match account {
            Some(Ok(account)) => claims(&account.value).iter().any(|claim| claim.as_bytes() == key),
            Some(Err(_)) => true,
            None => false,
        };
        self.expect(leads, "an index leads to no live account that has it");
        Ok(())
    }

    fn session(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        let Some(session) = self.record::<Session>(value, "a session cannot be read") else { return Ok(()) };
        self.expect(layout::session(session.id).as_bytes() == key, "a session stands under another's id");
        let account = self.reader.value(layout::account(session.account).as_bytes())?;
        self.expect(account.is_some(), "a session belongs to no account");
        let index = self.reader.value(layout::session_of(session.account, session.client_type).as_bytes())?;
        self.expect(index.is_some_and(|id| *id == session.id.0), "a session is not led to by its account");
        Ok(())
    }

    /// Whether it is what was written, `mobile-bind audit verify` says, which has the keys.
    fn event(&mut self, key: &[u8], value: &[u8]) {
        let whole = layout::audit_of(key).is_some() && AuditEvent::from_bytes(value).is_some();
        self.expect(whole, "an audit event cannot be read");
    }

    fn checkpoint(&mut self, key: &[u8], value: &[u8]) {
        if key == layout::own_node().as_bytes() {
            return self.expect(value.len() == 4, "the store's node cannot be read");
        }
        let Some(found) = self.record::<Checkpoint>(value, "an audit checkpoint cannot be read") else { return };
        let own = layout::checkpoint(found.node, found.segment);
        self.expect(own.as_bytes() == key, "an audit checkpoint stands under another's key");
    }

    fn session_index(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        let stored = crate::source::session_id(value).ok();
        let stored = stored.map_or(Ok(None), |id| self.reader.value(layout::session(id).as_bytes()))?;
        let leads = match stored.map(|stored| records::decode::<Session>(&stored)) {
            Some(Ok(session)) => layout::session_of(session.value.account, session.value.client_type).as_bytes() == key,
            Some(Err(_)) => true,
            None => false,
        };
        self.expect(leads, "an account leads to a session that is not its own");
        Ok(())
    }

    fn message(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        let Some(message) = self.record::<OutboxMessage>(value, "a message cannot be read") else { return Ok(()) };
        self.expect(layout::message(&message.key).as_bytes() == key, "a message stands under another's name");
        for index in messages::indexes(&message) {
            // A reference may lead to a later message that was given the same.
            let there = self.reader.value(index.as_bytes())?.is_some();
            self.expect(there, "a message is not led to by its reference or the time that it is due");
        }
        Ok(())
    }

    fn message_index(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        let name = layout::due_name(key).unwrap_or(value);
        let stored = self.reader.value(&layout::message_at(name))?;
        let leads = match stored.map(|stored| records::decode::<OutboxMessage>(&stored)) {
            Some(Ok(message)) => messages::indexes(&message.value).any(|index| index.as_bytes() == key),
            Some(Err(_)) => true,
            None => false,
        };
        self.expect(leads, "an index leads to no message that has it");
        Ok(())
    }
}

//! What became of requests with idempotency keys.

use mobile_bind_domain::{
    FinalRefusal, IdempotencyName, IdempotencyRecord, IdempotentOutcome, Revision, SessionId, Versioned,
};
use mysql_async::{Conn, Value};

use super::{Columns, execute_on_one, one};
use crate::fault::{Fault, Rejection};
use crate::question::Column::{Bytes, Number};
use crate::question::{Asked, Kind, Question};

const KIND: &str = "idempotency key";

static STORED: Kind<Versioned<IdempotencyRecord>> = Kind {
    name: KIND,
    columns: &[
        Number("revision"),
        Bytes("fingerprint"),
        Number("decided_at"),
        Number("expires_at"),
        Number("outcome"),
        Number("user_id"),
        Bytes("session_id"),
        Number("refusal"),
    ],
    take,
};

const INSERT: &str = "INSERT INTO mb_idempotency_keys
    (revision, fingerprint, decided_at, expires_at, outcome, user_id, session_id, refusal, name)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";

const UPDATE: &str =
    "UPDATE mb_idempotency_keys SET revision = ?, fingerprint = ?, decided_at = ?, expires_at = ?, outcome = ?,
    user_id = ?, session_id = ?, refusal = ?
WHERE name = ? AND revision = ?";

const DELETE: &str = "DELETE FROM mb_idempotency_keys WHERE name = ? AND revision = ?";

const LOCK: &str = "SELECT revision FROM mb_idempotency_keys WHERE name = ? FOR UPDATE";

fn take(columns: &mut Columns) -> Result<Versioned<IdempotencyRecord>, Fault> {
    let revision = Revision(columns.take()?);
    let (fingerprint, at, expires_at) = (columns.bytes()?, columns.timestamp()?, columns.timestamp()?);
    let outcome = match columns.take::<u8>()? {
        0 => IdempotentOutcome::Sending,
        1 => IdempotentOutcome::Sent,
        2 => IdempotentOutcome::Bound { account: columns.account()?, session: columns.bytes_some()?.map(SessionId) },
        3 => {
            let _of_a_bind: (Option<u64>, Option<Vec<u8>>) = (columns.take()?, columns.take()?);
            IdempotentOutcome::Refused(FinalRefusal::from_number(columns.take()?).ok_or(Fault::Unreadable(KIND))?)
        }
        _ => return Err(Fault::Unreadable(KIND)),
    };
    Ok(Versioned { revision, value: IdempotencyRecord { fingerprint, at, expires_at, outcome } })
}

/// Asks for the record of that name.
pub(crate) fn ask(question: &mut Question, name: IdempotencyName) -> Asked<Versioned<IdempotencyRecord>> {
    question.add(&STORED, "mb_idempotency_keys WHERE name = ?", vec![name.0.into()])
}

/// Writes or removes a record that is as it was read.
pub(crate) async fn write(
    conn: &mut Conn,
    known: Revision,
    name: IdempotencyName,
    record: Option<&IdempotencyRecord>,
    revision: Revision,
) -> Result<(), Rejection> {
    let is_new = known == Revision::ABSENT;
    let Some(record) = record else {
        if is_new {
            return expect(conn, name, known).await;
        }
        return execute_on_one(conn, DELETE, vec![name.0.into(), known.0.into()]).await;
    };
    let mut values = vec![
        revision.0.into(),
        record.fingerprint.into(),
        record.at.as_millis().into(),
        record.expires_at.as_millis().into(),
    ];
    values.extend(outcome(&record.outcome));
    values.push(name.0.into());
    if !is_new {
        values.push(known.0.into());
    }
    execute_on_one(conn, if is_new { INSERT } else { UPDATE }, values).await
}

/// The outcome's number, account, session and refusal.
fn outcome(outcome: &IdempotentOutcome) -> [Value; 4] {
    let (number, account, session, refusal) = match outcome {
        IdempotentOutcome::Sending => (0_u8, None, None, None),
        IdempotentOutcome::Sent => (1, None, None, None),
        IdempotentOutcome::Bound { account, session } => (2, Some(account.get()), session.map(|id| id.0), None),
        IdempotentOutcome::Refused(refusal) => (3, None, None, Some(refusal.number())),
    };
    [number.into(), account.into(), session.into(), refusal.into()]
}

/// Holds where the record is as it was read; where it is there, nobody writes it until the change is committed.
pub(crate) async fn expect(conn: &mut Conn, name: IdempotencyName, known: Revision) -> Result<(), Rejection> {
    let found = one(conn, KIND, LOCK, vec![name.0.into()], |columns| columns.take().map(Revision)).await?;
    if found.unwrap_or(Revision::ABSENT) == known { Ok(()) } else { Err(Rejection::Conflict) }
}

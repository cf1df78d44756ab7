//! What became of requests with idempotency keys.

use mobile_bind_domain::{
    FinalRefusal, IdempotencyName, IdempotencyRecord, IdempotentOutcome, Revision, SessionId, Versioned,
};

use super::{account_id, bytes, expected, millis, revision, stored_id, timestamp};
use crate::fault::Fault;
use crate::query::{Columns, Parameter, Statement, parameter};

const KIND: &str = "idempotency key";

/// How many columns follow the revision.
const REST: usize = 7;

/// The columns of the record `i`, in the order [`take`] reads them.
pub(crate) const COLUMNS: &str = "i.revision, i.fingerprint, i.decided_at, i.expires_at, i.outcome, i.account_id, \
     i.session_id, i.refusal";

/// Reads a record; `None` where it is not there.
pub(crate) fn take(columns: &mut Columns<'_>) -> Result<Option<Versioned<IdempotencyRecord>>, Fault> {
    let Some(stored) = columns.present::<i64>(KIND, REST)? else { return Ok(None) };
    let fingerprint = bytes(columns.take(KIND)?, KIND)?;
    let at = timestamp(columns.take(KIND)?, KIND)?;
    let expires_at = timestamp(columns.take(KIND)?, KIND)?;
    let number: i16 = columns.take(KIND)?;
    let account: Option<i64> = columns.take(KIND)?;
    let session: Option<&[u8]> = columns.take(KIND)?;
    let refusal: Option<i16> = columns.take(KIND)?;
    let outcome = match number {
        0 => IdempotentOutcome::Sending,
        1 => IdempotentOutcome::Sent,
        2 => IdempotentOutcome::Bound {
            account: account_id(account.ok_or(Fault::Unreadable(KIND))?, KIND)?,
            session: session.map(|id| bytes(id, KIND).map(SessionId)).transpose()?,
        },
        3 => {
            let refusal = refusal.and_then(|number| u8::try_from(number).ok()).and_then(FinalRefusal::from_number);
            IdempotentOutcome::Refused(refusal.ok_or(Fault::Unreadable(KIND))?)
        }
        _ => return Err(Fault::Unreadable(KIND)),
    };
    let value = IdempotencyRecord { fingerprint, at, expires_at, outcome };
    Ok(Some(Versioned { revision: revision(stored, KIND)?, value }))
}

fn named(name: IdempotencyName) -> Vec<Parameter> {
    vec![parameter(name.0.to_vec())]
}

const INSERT: &str = "INSERT INTO idempotency_keys
    (name, revision, fingerprint, decided_at, expires_at, outcome, account_id, session_id, refusal)
VALUES ($1::bytea, $2::bigint, $3::bytea, $4::bigint, $5::bigint, $6::smallint, $7::bigint, $8::bytea, $9::smallint)";

const UPDATE: &str = "WITH written AS (
    UPDATE idempotency_keys SET revision = $2::bigint, fingerprint = $3::bytea, decided_at = $4::bigint,
        expires_at = $5::bigint, outcome = $6::smallint, account_id = $7::bigint, session_id = $8::bytea,
        refusal = $9::smallint
    WHERE name = $1::bytea AND revision = $10::bigint
    RETURNING 1
)
SELECT 1 / count(*) FROM written";

const DELETE: &str = "WITH removed AS (
    DELETE FROM idempotency_keys WHERE name = $1::bytea AND revision = $2::bigint RETURNING 1
)
SELECT 1 / count(*) FROM removed";

/// Writes or removes a record that is as it was read.
pub(crate) fn write(
    known: Revision,
    name: IdempotencyName,
    record: Option<&IdempotencyRecord>,
    revision: Revision,
) -> Statement {
    let mut parameters = named(name);
    let Some(record) = record else {
        if known == Revision::ABSENT {
            return unchanged(name, known);
        }
        parameters.push(parameter(expected(known)));
        return Statement::new(DELETE, parameters);
    };
    let (number, account, session, refusal): (i16, _, _, _) = match record.outcome {
        IdempotentOutcome::Sending => (0, None, None, None),
        IdempotentOutcome::Sent => (1, None, None, None),
        IdempotentOutcome::Bound { account, session } => {
            (2, Some(stored_id(account)), session.map(|session| session.0.to_vec()), None)
        }
        IdempotentOutcome::Refused(refusal) => (3, None, None, Some(i16::from(refusal.number()))),
    };
    parameters.extend([
        parameter(expected(revision)),
        parameter(record.fingerprint.to_vec()),
        parameter(millis(record.at)),
        parameter(millis(record.expires_at)),
        parameter(number),
        parameter(account),
        parameter(session),
        parameter(refusal),
    ]);
    if known == Revision::ABSENT {
        return Statement::new(INSERT, parameters);
    }
    parameters.push(parameter(expected(known)));
    Statement::new(UPDATE, parameters)
}

/// Holds where the record is as it was read; nobody writes it until the change is committed.
pub(crate) fn unchanged(name: IdempotencyName, known: Revision) -> Statement {
    let mut parameters = named(name);
    if known == Revision::ABSENT {
        let text = "SELECT 1 / (1 - count(*)) FROM idempotency_keys WHERE name = $1::bytea";
        return Statement::new(text, parameters);
    }
    let text = "SELECT 1 / count(*) FROM (
    SELECT 1 FROM idempotency_keys WHERE name = $1::bytea AND revision = $2::bigint FOR UPDATE
) AS known";
    parameters.push(parameter(expected(known)));
    Statement::new(text, parameters)
}

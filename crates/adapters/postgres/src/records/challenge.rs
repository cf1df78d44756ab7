//! Challenges.

use mobile_bind_domain::{Challenge, ChallengeKey, CodeMac, KeyId, Revision, Versioned};

use super::{bytes, expected, millis, read, revision, stored_client, stored_text, timestamp};
use crate::fault::Fault;
use crate::query::{Columns, Parameter, Statement, parameter};

const KIND: &str = "challenge";

/// How many columns follow the revision.
const REST: usize = 5;

/// The columns of the challenge `c`, in the order [`take`] reads them.
pub(crate) const COLUMNS: &str = "c.revision, c.key_id, c.tag, c.sent_at, c.expires_at, c.failures";

/// The same of the challenge `alias`.
pub(crate) fn columns(alias: &str) -> String {
    COLUMNS.split(", ").map(|column| column.replacen("c.", &format!("{alias}."), 1)).collect::<Vec<_>>().join(", ")
}

/// Reads a challenge; `None` where it is not there.
pub(crate) fn take(columns: &mut Columns<'_>) -> Result<Option<Versioned<Challenge>>, Fault> {
    let Some(stored) = columns.present::<i64>(KIND, REST)? else { return Ok(None) };
    let value = Challenge {
        mac: CodeMac { key: read(columns.take(KIND)?, KIND, KeyId::new)?, tag: bytes(columns.take(KIND)?, KIND)? },
        sent_at: timestamp(columns.take(KIND)?, KIND)?,
        expires_at: timestamp(columns.take(KIND)?, KIND)?,
        failures: u8::try_from(columns.take::<i16>(KIND)?).map_err(|_| Fault::Unreadable(KIND))?,
    };
    Ok(Some(Versioned { revision: revision(stored, KIND)?, value }))
}

fn named(key: &ChallengeKey) -> Vec<Parameter> {
    vec![parameter(stored_text(key.mobile.as_str())), parameter(stored_client(&key.client))]
}

/// Writes or removes a challenge that is as it was read.
pub(crate) fn write(
    known: Revision,
    key: &ChallengeKey,
    challenge: Option<&Challenge>,
    revision: Revision,
) -> Statement {
    let mut parameters = named(key);
    let Some(challenge) = challenge else {
        if known == Revision::ABSENT {
            return unchanged(key, known);
        }
        let text = "WITH removed AS (
    DELETE FROM challenges WHERE mobile = $1::text AND client = $2::text AND revision = $3::bigint RETURNING 1
)
SELECT 1 / count(*) FROM removed";
        parameters.push(parameter(expected(known)));
        return Statement::new(text, parameters);
    };
    parameters.extend([
        parameter(expected(revision)),
        parameter(challenge.mac.key.as_str().to_owned()),
        parameter(challenge.mac.tag.to_vec()),
        parameter(millis(challenge.sent_at)),
        parameter(millis(challenge.expires_at)),
        parameter(i16::from(challenge.failures)),
    ]);
    if known == Revision::ABSENT {
        let text = "INSERT INTO challenges (mobile, client, revision, key_id, tag, sent_at, expires_at, failures)
VALUES ($1::text, $2::text, $3::bigint, $4::text, $5::bytea, $6::bigint, $7::bigint, $8::smallint)";
        return Statement::new(text, parameters);
    }
    let text = "WITH written AS (
    UPDATE challenges SET revision = $3::bigint, key_id = $4::text, tag = $5::bytea, sent_at = $6::bigint,
        expires_at = $7::bigint, failures = $8::smallint
    WHERE mobile = $1::text AND client = $2::text AND revision = $9::bigint
    RETURNING 1
)
SELECT 1 / count(*) FROM written";
    parameters.push(parameter(expected(known)));
    Statement::new(text, parameters)
}

/// Holds where the challenge is as it was read; nobody writes it until the change is committed.
pub(crate) fn unchanged(key: &ChallengeKey, known: Revision) -> Statement {
    let mut parameters = named(key);
    if known == Revision::ABSENT {
        let text = "SELECT 1 / (1 - count(*)) FROM challenges WHERE mobile = $1::text AND client = $2::text";
        return Statement::new(text, parameters);
    }
    let text = "SELECT 1 / count(*) FROM (
    SELECT 1 FROM challenges WHERE mobile = $1::text AND client = $2::text AND revision = $3::bigint FOR UPDATE
) AS known";
    parameters.push(parameter(expected(known)));
    Statement::new(text, parameters)
}

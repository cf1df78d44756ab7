//! Challenges.

use mobile_bind_domain::{Challenge, ChallengeKey, CodeMac, KeyId, Revision, Versioned};
use mysql_async::{Conn, Value};

use super::{Columns, execute_on_each, execute_on_one, one, stored_client};
use crate::fault::{Fault, Rejection};
use crate::question::Column::{Bytes, Number};
use crate::question::{Asked, Kind, Question};

const KIND: &str = "challenge";

static STORED: Kind<Versioned<Challenge>> = Kind {
    name: KIND,
    columns: &[
        Number("revision"),
        Bytes("key_id"),
        Bytes("tag"),
        Number("sent_at"),
        Number("expires_at"),
        Number("failures"),
    ],
    take,
};

const INSERT: &str = "INSERT INTO mb_challenges (revision, key_id, tag, sent_at, expires_at, failures, mobile, client)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)";

const UPDATE: &str =
    "UPDATE mb_challenges SET revision = ?, key_id = ?, tag = ?, sent_at = ?, expires_at = ?, failures = ?
WHERE mobile = ? AND client = ? AND revision = ?";

const LOCK: &str = "SELECT revision FROM mb_challenges WHERE mobile = ? AND client = ? FOR UPDATE";

fn take(columns: &mut Columns) -> Result<Versioned<Challenge>, Fault> {
    let revision = Revision(columns.take()?);
    let value = Challenge {
        mac: CodeMac { key: columns.read(KeyId::new)?, tag: columns.bytes()? },
        sent_at: columns.timestamp()?,
        expires_at: columns.timestamp()?,
        failures: columns.take()?,
    };
    Ok(Versioned { revision, value })
}

fn named(key: &ChallengeKey) -> [Value; 2] {
    [key.mobile.as_str().into(), stored_client(&key.client)]
}

/// Asks for the challenge of that name.
pub(crate) fn ask(question: &mut Question, key: &ChallengeKey) -> Asked<Versioned<Challenge>> {
    question.add(&STORED, "mb_challenges WHERE mobile = ? AND client = ?", named(key).into())
}

/// Removes challenges that are as they were read.
pub(crate) async fn remove(conn: &mut Conn, challenges: &[(&ChallengeKey, Revision)]) -> Result<(), Rejection> {
    let row = |(key, known): &(&ChallengeKey, Revision)| {
        let [mobile, client] = named(key);
        vec![mobile, client, known.0.into()]
    };
    let rows: Vec<_> = challenges.iter().map(row).collect();
    execute_on_each(conn, "DELETE FROM mb_challenges WHERE", "(mobile = ? AND client = ? AND revision = ?)", &rows)
        .await
}

/// Writes a challenge that is as it was read.
pub(crate) async fn write(
    conn: &mut Conn,
    known: Revision,
    key: &ChallengeKey,
    challenge: &Challenge,
    revision: Revision,
) -> Result<(), Rejection> {
    let is_new = known == Revision::ABSENT;
    let mut values = vec![
        revision.0.into(),
        challenge.mac.key.as_str().into(),
        challenge.mac.tag.into(),
        challenge.sent_at.as_millis().into(),
        challenge.expires_at.as_millis().into(),
        challenge.failures.into(),
    ];
    values.extend(named(key));
    if !is_new {
        values.push(known.0.into());
    }
    execute_on_one(conn, if is_new { INSERT } else { UPDATE }, values).await
}

/// Holds where the challenge is as it was read; where it is there, nobody writes it until the change is committed.
pub(crate) async fn expect(conn: &mut Conn, key: &ChallengeKey, known: Revision) -> Result<(), Rejection> {
    let found = one(conn, KIND, LOCK, named(key).into(), |columns| columns.take().map(Revision)).await?;
    if found.unwrap_or(Revision::ABSENT) == known { Ok(()) } else { Err(Rejection::Conflict) }
}

//! Challenges.

use mobile_bind_domain::{Challenge, ChallengeKey, CodeMac, KeyId, Revision, Versioned};
use mysql_async::{Conn, Value};

use super::{Columns, execute_on_one, one, stored_client};
use crate::fault::{Fault, Rejection};

const KIND: &str = "challenge";

const FIND: &str =
    "SELECT revision, key_id, tag, sent_at, expires_at, failures FROM mb_challenges WHERE mobile = ? AND client = ?";

const INSERT: &str = "INSERT INTO mb_challenges (revision, key_id, tag, sent_at, expires_at, failures, mobile, client)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)";

const UPDATE: &str =
    "UPDATE mb_challenges SET revision = ?, key_id = ?, tag = ?, sent_at = ?, expires_at = ?, failures = ?
WHERE mobile = ? AND client = ? AND revision = ?";

const DELETE: &str = "DELETE FROM mb_challenges WHERE mobile = ? AND client = ? AND revision = ?";

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

/// The challenge of that name.
pub(crate) async fn find(conn: &mut Conn, key: &ChallengeKey) -> Result<Option<Versioned<Challenge>>, Fault> {
    one(conn, KIND, FIND, named(key).into(), take).await
}

/// Writes or removes a challenge that is as it was read.
pub(crate) async fn write(
    conn: &mut Conn,
    known: Revision,
    key: &ChallengeKey,
    challenge: Option<&Challenge>,
    revision: Revision,
) -> Result<(), Rejection> {
    let is_new = known == Revision::ABSENT;
    let Some(challenge) = challenge else {
        if is_new {
            return expect(conn, key, known).await;
        }
        let [mobile, client] = named(key);
        return execute_on_one(conn, DELETE, vec![mobile, client, known.0.into()]).await;
    };
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

//! Challenges.

use mobile_bind_domain::{Challenge, ChallengeKey, CodeMac, KeyId, Revision, Versioned};

use super::{Part, bytes, expected, millis, read, revision, stored_client, stored_text, timestamp, touch};
use crate::fault::Fault;
use crate::query::{Columns, Form, Holds, Value};

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

const UNCHANGED: Form = Form {
    rank: 10,
    holds: Holds::Each,
    text: "SELECT 1 FROM unnest($1::text[], $2::text[], $3::bigint[]) AS known (mobile, client, revision)
JOIN challenges c ON c.mobile = ANY ($1) AND c.mobile = known.mobile AND c.client = known.client AND c.revision = known.revision
FOR UPDATE OF c",
};

const ABSENT: Form = Form {
    rank: 11,
    holds: Holds::None,
    text: "SELECT 1 FROM unnest($1::text[], $2::text[]) AS absent (mobile, client)
JOIN challenges c ON c.mobile = ANY ($1) AND c.mobile = absent.mobile AND c.client = absent.client",
};

const INSERT: Form = Form {
    rank: 12,
    holds: Holds::Always,
    text: "INSERT INTO challenges (mobile, client, revision, key_id, tag, sent_at, expires_at, failures)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bytea[], $6::bigint[], $7::bigint[], $8::smallint[])",
};

const UPDATE: Form = Form {
    rank: 13,
    holds: Holds::Each,
    text: "UPDATE challenges c SET revision = w.revision, key_id = w.key_id, tag = w.tag, sent_at = w.sent_at,
    expires_at = w.expires_at, failures = w.failures
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bytea[], $6::bigint[], $7::bigint[], $8::smallint[],
    $9::bigint[]) AS w (mobile, client, revision, key_id, tag, sent_at, expires_at, failures, known)
WHERE c.mobile = ANY ($1) AND c.mobile = w.mobile AND c.client = w.client AND c.revision = w.known
RETURNING 1",
};

const DELETE: Form = Form {
    rank: 14,
    holds: Holds::Each,
    text:
        "DELETE FROM challenges c USING unnest($1::text[], $2::text[], $3::bigint[]) AS known (mobile, client, revision)
WHERE c.mobile = ANY ($1) AND c.mobile = known.mobile AND c.client = known.client AND c.revision = known.revision
RETURNING 1",
};

fn part(form: &'static Form, key: &ChallengeKey, rest: Vec<Value>) -> Part {
    let (mobile, client) = (stored_text(key.mobile.as_str()), stored_client(&key.client));
    let touches = vec![touch(KIND, &[&mobile, &client])];
    let mut row = vec![Value::from(mobile), Value::from(client)];
    row.extend(rest);
    Part { form, row, touches }
}

/// Writes or removes a challenge that is as it was read.
pub(crate) fn write(known: Revision, key: &ChallengeKey, challenge: Option<&Challenge>, revision: Revision) -> Part {
    let Some(challenge) = challenge else {
        if known == Revision::ABSENT {
            return unchanged(key, known);
        }
        return part(&DELETE, key, vec![expected(known).into()]);
    };
    let mut row = vec![
        expected(revision).into(),
        challenge.mac.key.as_str().to_owned().into(),
        challenge.mac.tag.to_vec().into(),
        millis(challenge.sent_at).into(),
        millis(challenge.expires_at).into(),
        Value::Small(i16::from(challenge.failures)),
    ];
    if known == Revision::ABSENT {
        return part(&INSERT, key, row);
    }
    row.push(expected(known).into());
    part(&UPDATE, key, row)
}

/// Holds where the challenge is as it was read; nobody writes it until the change is committed.
pub(crate) fn unchanged(key: &ChallengeKey, known: Revision) -> Part {
    if known == Revision::ABSENT {
        return part(&ABSENT, key, Vec::new());
    }
    part(&UNCHANGED, key, vec![expected(known).into()])
}

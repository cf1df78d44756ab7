//! Messages.

use mobile_bind_domain::outbox::{Attempt, AttemptOutcome, MessageId, MessageState, SealedCode};
use mobile_bind_domain::ports::Purpose;
use mobile_bind_domain::{
    AddressBlock, Client, Installation, KeyId, Language, MessageKey, Mobile, OutboxMessage, Revision, Timestamp,
    Versioned,
};
use serde_json::json;

use super::{bytes, expected, millis, read, revision, stored_client, stored_text, timestamp};
use crate::fault::Fault;
use crate::query::{Columns, Parameter, Statement, parameter};

const KIND: &str = "message";

/// The columns of the message `m`, in the order [`take`] reads them.
const COLUMNS: &str =
    "m.revision, m.mobile, m.id, m.client, m.purpose, m.language, m.state, m.error, m.sealed_key, m.sealed,
    m.attempts::text, m.queued_at, m.changed_at, m.expires_at, m.due_at, m.keep_until";

const LANGUAGES: [Language; 4] = [Language::Zh, Language::En, Language::Cht, Language::Spa];

/// Counts from 1, in the order of the list.
fn number<T: PartialEq>(all: &[T], value: &T) -> i16 {
    let place = all.iter().position(|known| known == value).unwrap_or_default();
    i16::try_from(place + 1).unwrap_or(i16::MAX)
}

fn numbered<T: Copy>(all: &[T], number: i16) -> Result<T, Fault> {
    let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    place.and_then(|place| all.get(place).copied()).ok_or(Fault::Unreadable(KIND))
}

fn client(name: &str) -> Option<Client> {
    if let Some(installation) = name.strip_prefix("uuid:") {
        return Installation::new(installation).map(Client::Installation);
    }
    let address: std::net::IpAddr = name.strip_prefix("address:")?.parse().ok()?;
    Some(Client::Address(AddressBlock::from(address)))
}

/// Reads a message.
pub(crate) fn take(columns: &mut Columns<'_>) -> Result<Versioned<OutboxMessage>, Fault> {
    let stored = revision(columns.take(KIND)?, KIND)?;
    let key = MessageKey {
        mobile: read(columns.take(KIND)?, KIND, Mobile::restore)?,
        id: MessageId(bytes(columns.take(KIND)?, KIND)?),
    };
    let value = OutboxMessage {
        key,
        client: read(columns.take(KIND)?, KIND, client)?,
        purpose: numbered(&Purpose::ALL, columns.take(KIND)?)?,
        language: numbered(&LANGUAGES, columns.take(KIND)?)?,
        state: numbered(&MessageState::ALL, columns.take(KIND)?)?,
        error: read(columns.take(KIND)?, KIND, |text| Some(text.into()))?,
        sealed: sealed(columns.take(KIND)?, columns.take(KIND)?)?,
        attempts: attempts(columns.take(KIND)?)?,
        queued_at: timestamp(columns.take(KIND)?, KIND)?,
        changed_at: timestamp(columns.take(KIND)?, KIND)?,
        expires_at: timestamp(columns.take(KIND)?, KIND)?,
        due_at: columns.take::<Option<i64>>(KIND)?.map(|due| timestamp(due, KIND)).transpose()?,
        keep_until: timestamp(columns.take(KIND)?, KIND)?,
    };
    Ok(Versioned { revision: stored, value })
}

fn sealed(key: Option<&str>, bytes: Option<&[u8]>) -> Result<Option<SealedCode>, Fault> {
    let (Some(key), Some(bytes)) = (key, bytes) else { return Ok(None) };
    Ok(Some(SealedCode { key: read(key, KIND, KeyId::new)?, bytes: bytes.into() }))
}

fn attempts(stored: &str) -> Result<Vec<Attempt>, Fault> {
    let stored: Vec<(String, String, i16, i64)> = serde_json::from_str(stored).map_err(|_| Fault::Unreadable(KIND))?;
    let attempt = |(provider, reference, outcome, at): (String, String, i16, i64)| {
        Ok(Attempt {
            provider: read(&provider, KIND, |text| Some(text.into()))?,
            reference: read(&reference, KIND, |text| Some(text.into()))?,
            outcome: numbered(&AttemptOutcome::ALL, outcome)?,
            at: timestamp(at, KIND)?,
        })
    };
    stored.into_iter().map(attempt).collect()
}

fn stored_attempts(attempts: &[Attempt]) -> String {
    let attempt = |attempt: &Attempt| {
        json!([
            stored_text(&attempt.provider),
            stored_text(&attempt.reference),
            number(&AttemptOutcome::ALL, &attempt.outcome),
            millis(attempt.at)
        ])
    };
    json!(attempts.iter().map(attempt).collect::<Vec<_>>()).to_string()
}

const INSERT: &str = "INSERT INTO messages (mobile, id, revision, client, purpose, language, state, error, sealed_key, sealed,
    attempts, queued_at, changed_at, expires_at, due_at, keep_until)
VALUES ($1::text, $2::bytea, $3::bigint, $4::text, $5::smallint, $6::smallint, $7::smallint, $8::text, $9::text, $10::bytea,
    $11::text::jsonb, $12::bigint, $13::bigint, $14::bigint, $15::bigint, $16::bigint)";

const UPDATE: &str = "WITH written AS (
    UPDATE messages SET revision = $3::bigint, client = $4::text, purpose = $5::smallint, language = $6::smallint,
        state = $7::smallint, error = $8::text, sealed_key = $9::text, sealed = $10::bytea, attempts = $11::text::jsonb,
        queued_at = $12::bigint, changed_at = $13::bigint, expires_at = $14::bigint, due_at = $15::bigint,
        keep_until = $16::bigint
    WHERE mobile = $1::text AND id = $2::bytea AND revision = $17::bigint
    RETURNING 1
)
SELECT 1 / count(*) FROM written";

const REFER: &str = "INSERT INTO message_references (provider, reference, mobile, message_id, keep_until)
VALUES ($1::text, $2::text, $3::text, $4::bytea, $5::bigint)
ON CONFLICT (provider, reference) DO UPDATE SET mobile = excluded.mobile, message_id = excluded.message_id,
    keep_until = excluded.keep_until";

/// Writes a message that is as it was read.
pub(crate) fn write(known: Revision, message: &OutboxMessage, revision: Revision) -> Statement {
    let (key, bytes) =
        message.sealed.as_ref().map(|sealed| (sealed.key.as_str().to_owned(), sealed.bytes.to_vec())).unzip();
    let mut parameters: Vec<Parameter> = vec![
        parameter(stored_text(message.key.mobile.as_str())),
        parameter(message.key.id.0.to_vec()),
        parameter(expected(revision)),
        parameter(stored_client(&message.client)),
        parameter(number(&Purpose::ALL, &message.purpose)),
        parameter(number(&LANGUAGES, &message.language)),
        parameter(number(&MessageState::ALL, &message.state)),
        parameter(stored_text(&message.error)),
        parameter(key),
        parameter(bytes),
        parameter(stored_attempts(&message.attempts)),
        parameter(millis(message.queued_at)),
        parameter(millis(message.changed_at)),
        parameter(millis(message.expires_at)),
        parameter(message.due_at.map(millis)),
        parameter(millis(message.keep_until)),
    ];
    if known == Revision::ABSENT {
        return Statement::new(INSERT, parameters);
    }
    parameters.push(parameter(expected(known)));
    Statement::new(UPDATE, parameters)
}

/// What a provider that has just been asked calls the message: one statement for each that has it still. Of a message that
/// is new here, what every provider calls it.
pub(crate) fn refer(known: Revision, message: &OutboxMessage) -> impl Iterator<Item = Statement> + '_ {
    let is_new = known == Revision::ABSENT;
    let open = move |attempt: &&Attempt| {
        !attempt.reference.is_empty() && (is_new || attempt.outcome == AttemptOutcome::Accepted)
    };
    message.attempts.iter().filter(open).map(|attempt| {
        let parameters = vec![
            parameter(stored_text(&attempt.provider)),
            parameter(stored_text(&attempt.reference)),
            parameter(stored_text(message.key.mobile.as_str())),
            parameter(message.key.id.0.to_vec()),
            parameter(millis(message.keep_until)),
        ];
        Statement::new(REFER, parameters)
    })
}

pub(crate) fn one(key: &MessageKey) -> Statement {
    let text = format!("SELECT {COLUMNS} FROM messages m WHERE m.mobile = $1::text AND m.id = $2::bytea");
    let parameters = vec![parameter(stored_text(key.mobile.as_str())), parameter(key.id.0.to_vec())];
    Statement { text: text.into(), parameters }
}

pub(crate) fn to(mobile: &Mobile, limit: usize) -> Statement {
    let text =
        format!("SELECT {COLUMNS} FROM messages m WHERE m.mobile = $1::text ORDER BY m.id DESC LIMIT $2::bigint");
    Statement {
        text: text.into(),
        parameters: vec![parameter(stored_text(mobile.as_str())), parameter(limited(limit))],
    }
}

pub(crate) fn after(after: Option<&MessageKey>, limit: usize) -> Statement {
    let text = format!(
        "SELECT {COLUMNS} FROM messages m WHERE (m.mobile, m.id) > ($1::text, $2::bytea) ORDER BY m.mobile, m.id
LIMIT $3::bigint"
    );
    // Nothing sorts before no text.
    let (mobile, id) = after.map(|key| (stored_text(key.mobile.as_str()), key.id.0.to_vec())).unwrap_or_default();
    Statement { text: text.into(), parameters: vec![parameter(mobile), parameter(id), parameter(limited(limit))] }
}

pub(crate) fn by_reference(provider: &str, reference: &str) -> Statement {
    let text = format!(
        "SELECT {COLUMNS} FROM message_references r
CROSS JOIN LATERAL (SELECT m.* FROM messages m WHERE m.mobile = r.mobile AND m.id = r.message_id LIMIT 1) m
WHERE r.provider = $1::text AND r.reference = $2::text"
    );
    let parameters = vec![parameter(stored_text(provider)), parameter(stored_text(reference))];
    Statement { text: text.into(), parameters }
}

pub(crate) fn due(now: Timestamp, limit: usize) -> Statement {
    let text =
        format!("SELECT {COLUMNS} FROM messages m WHERE m.due_at <= $1::bigint ORDER BY m.due_at LIMIT $2::bigint");
    Statement { text: text.into(), parameters: vec![parameter(millis(now)), parameter(limited(limit))] }
}

fn limited(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

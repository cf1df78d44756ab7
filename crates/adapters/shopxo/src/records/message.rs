//! Messages.

use mobile_bind_domain::outbox::{Attempt, AttemptOutcome, MessageId, MessageState, SealedCode};
use mobile_bind_domain::ports::Purpose;
use mobile_bind_domain::{
    AddressBlock, Client, Installation, KeyId, Language, MessageKey, Mobile, OutboxMessage, Revision, Timestamp,
    Versioned,
};
use mysql_async::{Conn, Value};
use serde_json::json;

use super::{Columns, all, execute, execute_on_one, limited, one, stored_client};
use crate::fault::{Fault, Rejection};

const KIND: &str = "message";

/// In the order that [`take`] reads them.
const SELECT: &str =
    "SELECT m.revision, m.mobile, m.id, m.client, m.purpose, m.language, m.state, m.error, m.sealed_key, m.sealed,
    m.attempts, m.queued_at, m.changed_at, m.expires_at, m.due_at, m.keep_until FROM";

const LANGUAGES: [Language; 4] = [Language::Zh, Language::En, Language::Cht, Language::Spa];

/// Counts from 1, in the order of the list.
fn number<T: PartialEq>(all: &[T], value: &T) -> u8 {
    let place = all.iter().position(|known| known == value).unwrap_or_default();
    u8::try_from(place + 1).unwrap_or(u8::MAX)
}

fn numbered<T: Copy>(all: &[T], number: u8) -> Result<T, Fault> {
    let place = usize::from(number).checked_sub(1);
    place.and_then(|place| all.get(place).copied()).ok_or(Fault::Unreadable(KIND))
}

fn client(name: &str) -> Option<Client> {
    if let Some(installation) = name.strip_prefix("uuid:") {
        return Installation::new(installation).map(Client::Installation);
    }
    let address: std::net::IpAddr = name.strip_prefix("address:")?.parse().ok()?;
    Some(Client::Address(AddressBlock::from(address)))
}

fn take(columns: &mut Columns) -> Result<Versioned<OutboxMessage>, Fault> {
    let revision = Revision(columns.take()?);
    let key = MessageKey { mobile: columns.read(Mobile::restore)?, id: MessageId(columns.bytes()?) };
    let value = OutboxMessage {
        key,
        client: columns.read(client)?,
        purpose: numbered(&Purpose::ALL, columns.take()?)?,
        language: numbered(&LANGUAGES, columns.take()?)?,
        state: numbered(&MessageState::ALL, columns.take()?)?,
        error: columns.read(|text| Some(text.into()))?,
        sealed: sealed(columns)?,
        attempts: columns.read(attempts)?,
        queued_at: columns.timestamp()?,
        changed_at: columns.timestamp()?,
        expires_at: columns.timestamp()?,
        due_at: columns.take::<Option<u64>>()?.map(Timestamp::from_millis),
        keep_until: columns.timestamp()?,
    };
    Ok(Versioned { revision, value })
}

fn sealed(columns: &mut Columns) -> Result<Option<SealedCode>, Fault> {
    let (key, bytes): (_, Option<Vec<u8>>) = (columns.read_some(KeyId::new)?, columns.take()?);
    Ok(key.zip(bytes).map(|(key, bytes)| SealedCode { key, bytes: bytes.into() }))
}

fn attempts(stored: &str) -> Option<Vec<Attempt>> {
    let stored: Vec<(Box<str>, Box<str>, u8, u64)> = serde_json::from_str(stored).ok()?;
    let attempt = |(provider, reference, outcome, at)| {
        let outcome = numbered(&AttemptOutcome::ALL, outcome).ok()?;
        Some(Attempt { provider, reference, outcome, at: Timestamp::from_millis(at) })
    };
    stored.into_iter().map(attempt).collect()
}

fn stored_attempts(attempts: &[Attempt]) -> String {
    let attempt = |attempt: &Attempt| {
        let outcome = number(&AttemptOutcome::ALL, &attempt.outcome);
        json!([attempt.provider, attempt.reference, outcome, attempt.at.as_millis()])
    };
    json!(attempts.iter().map(attempt).collect::<Vec<_>>()).to_string()
}

const INSERT: &str =
    "INSERT INTO mb_messages (revision, client, purpose, language, state, error, sealed_key, sealed, attempts,
    queued_at, changed_at, expires_at, due_at, keep_until, mobile, id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const UPDATE: &str = "UPDATE mb_messages SET revision = ?, client = ?, purpose = ?, language = ?, state = ?, error = ?,
    sealed_key = ?, sealed = ?, attempts = ?, queued_at = ?, changed_at = ?, expires_at = ?, due_at = ?, keep_until = ?
WHERE mobile = ? AND id = ? AND revision = ?";

const REFER: &str = "INSERT INTO mb_message_references (provider, reference, mobile, message_id, keep_until)
VALUES (?, ?, ?, ?, ?)
ON DUPLICATE KEY UPDATE mobile = VALUES(mobile), message_id = VALUES(message_id), keep_until = VALUES(keep_until)";

/// Writes a message that is as it was read, and what providers call it.
pub(crate) async fn write(
    conn: &mut Conn,
    known: Revision,
    message: &OutboxMessage,
    revision: Revision,
) -> Result<(), Rejection> {
    let is_new = known == Revision::ABSENT;
    let (key, bytes) = message.sealed.as_ref().map(|sealed| (sealed.key.as_str(), sealed.bytes.to_vec())).unzip();
    let mut values: Vec<Value> = vec![
        revision.0.into(),
        stored_client(&message.client),
        number(&Purpose::ALL, &message.purpose).into(),
        number(&LANGUAGES, &message.language).into(),
        number(&MessageState::ALL, &message.state).into(),
        (&*message.error).into(),
        key.into(),
        bytes.into(),
        stored_attempts(&message.attempts).into(),
        message.queued_at.as_millis().into(),
        message.changed_at.as_millis().into(),
        message.expires_at.as_millis().into(),
        message.due_at.map(Timestamp::as_millis).into(),
        message.keep_until.as_millis().into(),
    ];
    values.extend(named(&message.key));
    if !is_new {
        values.push(known.0.into());
    }
    execute_on_one(conn, if is_new { INSERT } else { UPDATE }, values).await?;
    refer(conn, is_new, message).await
}

/// Keeps what a provider that has just been asked calls the message. Of a message that is new here, what every provider calls
/// it.
async fn refer(conn: &mut Conn, is_new: bool, message: &OutboxMessage) -> Result<(), Rejection> {
    let open =
        |attempt: &&Attempt| !attempt.reference.is_empty() && (is_new || attempt.outcome == AttemptOutcome::Accepted);
    for attempt in message.attempts.iter().filter(open) {
        let mut values = vec![(&*attempt.provider).into(), (&*attempt.reference).into()];
        values.extend(named(&message.key));
        values.push(message.keep_until.as_millis().into());
        execute(conn, REFER, values).await?;
    }
    Ok(())
}

fn named(key: &MessageKey) -> [Value; 2] {
    [key.mobile.as_str().into(), key.id.0.into()]
}

type Found = Versioned<OutboxMessage>;

/// One message.
pub(crate) async fn find(conn: &mut Conn, key: &MessageKey) -> Result<Option<Found>, Fault> {
    let text = format!("{SELECT} mb_messages m WHERE m.mobile = ? AND m.id = ?");
    one(conn, KIND, &text, named(key).into(), take).await
}

/// The messages to a number, newest first.
pub(crate) async fn to(conn: &mut Conn, mobile: &Mobile, limit: usize) -> Result<Vec<Found>, Fault> {
    let text = format!("{SELECT} mb_messages m WHERE m.mobile = ? ORDER BY m.id DESC LIMIT ?");
    all(conn, KIND, &text, vec![mobile.as_str().into(), limited(limit)], take).await
}

/// The messages after another, in the order of their numbers and ids.
pub(crate) async fn after(conn: &mut Conn, after: Option<&MessageKey>, limit: usize) -> Result<Vec<Found>, Fault> {
    // A comparison of rows is not looked up by index everywhere.
    let text = format!(
        "{SELECT} mb_messages m WHERE m.mobile >= ? AND (m.mobile > ? OR m.id > ?) ORDER BY m.mobile, m.id LIMIT ?"
    );
    // Nothing sorts before no bytes.
    let (mobile, id) = after.map(|key| (key.mobile.as_str(), key.id.0.to_vec())).unwrap_or_default();
    all(conn, KIND, &text, vec![mobile.into(), mobile.into(), id.into(), limited(limit)], take).await
}

/// The message that a provider knows by this reference.
pub(crate) async fn by_reference(conn: &mut Conn, provider: &str, reference: &str) -> Result<Option<Found>, Fault> {
    let text = format!(
        "{SELECT} mb_message_references r JOIN mb_messages m ON m.mobile = r.mobile AND m.id = r.message_id
WHERE r.provider = ? AND r.reference = ?"
    );
    one(conn, KIND, &text, vec![provider.into(), reference.into()], take).await
}

/// Messages that are due, those first that have been so for longest.
pub(crate) async fn due(conn: &mut Conn, now: Timestamp, limit: usize) -> Result<Vec<Found>, Fault> {
    let text = format!("{SELECT} mb_messages m WHERE m.due_at <= ? ORDER BY m.due_at LIMIT ?");
    all(conn, KIND, &text, vec![now.as_millis().into(), limited(limit)], take).await
}

//! Tallies: one row for each subject, counted in under its lock by the domain's own rules.

use std::collections::HashMap;
use std::time::Duration;

use mobile_bind_domain::conversion::Source;
use mobile_bind_domain::tally::Meter;
use mobile_bind_domain::{Quota, Subject, Tally, Timestamp};
use mysql_async::{Conn, Value};

use super::{Columns, all, execute, execute_on_one, one};
use crate::fault::{Fault, Rejection};

const KIND: &str = "tally";

const LOCK: &str = "SELECT meters FROM mb_tallies WHERE subject = ? FOR UPDATE";
const WRITE: &str = "UPDATE mb_tallies SET meters = ?, ends_at = ? WHERE subject = ?";

/// Of two that count a subject for the first time, one waits here for the other. A row that counts nothing has ended.
const MAKE: &str =
    "INSERT INTO mb_tallies (subject, meters, ends_at) VALUES (?, '[]', 0) ON DUPLICATE KEY UPDATE subject = subject";

/// A subject as a key, distinct for distinct subjects.
fn stored_subject(subject: &Subject) -> String {
    match subject {
        Subject::SendsTo(mobile) => format!("sends_to:{}", mobile.as_str()),
        Subject::SendsBy(installation) => format!("sends_by:{}", installation.as_str()),
        Subject::SendsFrom(block) => format!("sends_from:{}", block.first()),
        Subject::SendsOf(account) => format!("sends_of:{}", account.get()),
        Subject::Sends => "sends".to_owned(),
        Subject::FailuresOn(mobile) => format!("failures_on:{}", mobile.as_str()),
        Subject::SendsToRange(range) => format!("sends_to_range:{}", range.as_str()),
        Subject::FailuresBy(client) => format!("failures_by:{client}"),
        Subject::Sent(source) => format!("sent:{}", stored_source(source)),
        Subject::Verified(source) => format!("verified:{}", stored_source(source)),
    }
}

fn stored_source(source: &Source) -> String {
    match source {
        Source::Country(code) => format!("country:{code}"),
        Source::Address(block) => format!("address:{}", block.first()),
    }
}

/// A meter: its window in milliseconds, and its slots, each with how many there are in it.
type StoredMeter = (u64, Vec<(u64, u32)>);

fn take(columns: &mut Columns) -> Result<Tally, Fault> {
    let stored: Vec<u8> = columns.take()?;
    let meters: Vec<StoredMeter> = serde_json::from_slice(&stored).map_err(|_| Fault::Unreadable(KIND))?;
    let meter = |(window, events): StoredMeter| Meter {
        window: Duration::from_millis(window),
        events: events.into_iter().map(|(at, count)| (Timestamp::from_millis(at), count)).collect(),
    };
    Ok(Tally { meters: meters.into_iter().map(meter).collect() })
}

fn stored(tally: &Tally) -> Result<Vec<u8>, Fault> {
    let meter = |meter: &Meter| {
        let whole = meter.window.subsec_nanos().is_multiple_of(1_000_000);
        let window = u64::try_from(meter.window.as_millis()).ok().filter(|_| whole)?;
        let events: Vec<(u64, u32)> = meter.events.iter().map(|&(at, count)| (at.as_millis(), count)).collect();
        Some((window, events))
    };
    let meters: Option<Vec<StoredMeter>> = tally.meters.iter().map(meter).collect();
    serde_json::to_vec(&meters.ok_or(Fault::Unwritable(KIND))?).map_err(|_| Fault::Unwritable(KIND))
}

/// The tallies of the subjects that were ever counted.
pub(crate) async fn find(
    conn: &mut Conn,
    subjects: impl IntoIterator<Item = Subject>,
) -> Result<HashMap<Subject, Tally>, Fault> {
    let mut asked: HashMap<String, Subject> =
        subjects.into_iter().map(|subject| (stored_subject(&subject), subject)).collect();
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let places = vec!["?"; asked.len()].join(", ");
    let text = format!("SELECT subject, meters FROM mb_tallies WHERE subject IN ({places})");
    let names = asked.keys().map(Value::from).collect();
    let found =
        all(conn, KIND, &text, names, |columns| Ok((columns.read(|name| Some(name.to_owned()))?, take(columns)?)));
    let found = found.await?;
    Ok(found.into_iter().filter_map(|(name, tally)| Some((asked.remove(&name)?, tally))).collect())
}

/// The subject's tally, which nobody else writes until the change is committed.
async fn locked(conn: &mut Conn, subject: &Subject) -> Result<Option<Tally>, Rejection> {
    Ok(one(conn, KIND, LOCK, vec![stored_subject(subject).into()], take).await?)
}

async fn write(conn: &mut Conn, subject: &Subject, tally: &Tally) -> Result<(), Rejection> {
    let values = vec![stored(tally)?.into(), tally.spent_at().as_millis().into(), stored_subject(subject).into()];
    execute_on_one(conn, WRITE, values).await
}

/// The same, made where it is not there.
async fn made(conn: &mut Conn, subject: &Subject) -> Result<Tally, Rejection> {
    if let Some(tally) = locked(conn, subject).await? {
        return Ok(tally);
    }
    execute(conn, MAKE, vec![stored_subject(subject).into()]).await?;
    locked(conn, subject).await?.ok_or(Rejection::Conflict)
}

/// Counts an event; a kept quota that has no room left is a conflict.
pub(crate) async fn count(
    conn: &mut Conn,
    subject: &Subject,
    at: Timestamp,
    kept: &[Quota],
    watched: &[Quota],
) -> Result<(), Rejection> {
    let mut tally = made(conn, subject).await?;
    if tally.wait(kept, at).is_some() {
        return Err(Rejection::Conflict);
    }
    tally.add(kept.iter().chain(watched), at);
    write(conn, subject, &tally).await
}

/// Counts events for quotas that may be overrun.
pub(crate) async fn count_many(
    conn: &mut Conn,
    subject: &Subject,
    at: Timestamp,
    events: u32,
    watched: &[Quota],
) -> Result<(), Rejection> {
    let mut tally = made(conn, subject).await?;
    tally.add_many(watched.iter(), at, events);
    write(conn, subject, &tally).await
}

/// Holds where the quotas have room for one event more; nobody counts until the change is committed.
pub(crate) async fn expect_room(
    conn: &mut Conn,
    subject: &Subject,
    at: Timestamp,
    kept: &[Quota],
) -> Result<(), Rejection> {
    let tally = locked(conn, subject).await?.unwrap_or_default();
    if tally.wait(kept, at).is_none() { Ok(()) } else { Err(Rejection::Conflict) }
}

/// Forgets what was counted for one length of window.
pub(crate) async fn forget(conn: &mut Conn, subject: &Subject, window: Duration) -> Result<(), Rejection> {
    let Some(mut tally) = locked(conn, subject).await? else { return Ok(()) };
    tally.forget(window);
    write(conn, subject, &tally).await
}

/// Takes back one event.
pub(crate) async fn uncount(conn: &mut Conn, subject: &Subject, at: Timestamp) -> Result<(), Rejection> {
    let Some(mut tally) = locked(conn, subject).await? else { return Ok(()) };
    tally.remove(at);
    write(conn, subject, &tally).await
}

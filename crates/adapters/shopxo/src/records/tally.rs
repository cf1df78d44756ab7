//! Tallies: one row for each subject, counted in under its lock by the domain's own rules.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use mobile_bind_domain::conversion::Source;
use mobile_bind_domain::tally::Meter;
use mobile_bind_domain::{Quota, Subject, Tally, Timestamp};
use mysql_async::{Conn, Value};

use super::{Columns, all_of, insert, repeated};
use crate::fault::{Fault, Rejection};
use crate::question::Column::Bytes;
use crate::question::{Answer, Asked, Kind, Question};

const KIND: &str = "tally";

/// What counts in a tally, or must hold of it.
pub(crate) enum Counting<'a> {
    /// The quotas have room for one event more.
    Room { at: Timestamp, kept: &'a [Quota] },
    /// An event; a kept quota that has no room left is a conflict.
    Count { at: Timestamp, kept: &'a [Quota], watched: &'a [Quota] },
    /// Events for quotas that may be overrun.
    CountMany { at: Timestamp, events: u32, watched: &'a [Quota] },
    /// Nothing is counted any more for one length of window.
    Forget { window: Duration },
    /// One event is taken back.
    Uncount { at: Timestamp },
}

impl Counting<'_> {
    /// Whether a tally is begun for it.
    fn begins(&self) -> bool {
        matches!(self, Self::Count { .. } | Self::CountMany { .. })
    }

    fn writes(&self) -> bool {
        !matches!(self, Self::Room { .. })
    }

    fn apply(&self, tally: &mut Tally) -> Result<(), Rejection> {
        match *self {
            Self::Room { at, kept } | Self::Count { at, kept, .. } if tally.wait(kept, at).is_some() => {
                return Err(Rejection::Conflict);
            }
            Self::Room { .. } => {}
            Self::Count { at, kept, watched } => tally.add(kept.iter().chain(watched), at),
            Self::CountMany { at, events, watched } => tally.add_many(watched.iter(), at, events),
            Self::Forget { window } => tally.forget(window),
            Self::Uncount { at } => tally.remove(at),
        }
        Ok(())
    }
}

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

static STORED: Kind<(String, Tally)> = Kind { name: KIND, columns: &[Bytes("subject"), Bytes("meters")], take: named };

/// Tallies, as they are asked for.
pub(crate) struct AskedTallies {
    subjects: HashMap<String, Subject>,
    asked: Asked<(String, Tally)>,
}

/// Asks for the tallies of the subjects that were ever counted.
pub(crate) fn ask(question: &mut Question, subjects: impl IntoIterator<Item = Subject>) -> AskedTallies {
    let subjects: HashMap<String, Subject> =
        subjects.into_iter().map(|subject| (stored_subject(&subject), subject)).collect();
    let from = format!("mb_tallies WHERE subject IN ({})", repeated("?", subjects.len(), ", "));
    let asked = question.add(&STORED, &from, subjects.keys().map(Value::from).collect());
    AskedTallies { subjects, asked }
}

impl AskedTallies {
    pub(crate) fn found(mut self, answer: &Answer) -> Result<HashMap<Subject, Tally>, Fault> {
        let found = answer.all(&self.asked)?.into_iter();
        Ok(found.filter_map(|(name, tally)| Some((self.subjects.remove(&name)?, tally))).collect())
    }
}

/// Counts: of one subject in the order of the steps, and all transactions in the order of the subjects.
pub(crate) async fn count(conn: &mut Conn, steps: &[(&Subject, Counting<'_>)]) -> Result<(), Rejection> {
    let mut by_subject: BTreeMap<String, Vec<&Counting<'_>>> = BTreeMap::new();
    for (subject, step) in steps {
        by_subject.entry(stored_subject(subject)).or_default().push(step);
    }
    let mut tallies = locked(conn, by_subject.keys()).await?;
    let missing = by_subject
        .iter()
        .filter(|(name, steps)| !tallies.contains_key(name.as_str()) && steps.iter().any(|step| step.begins()));
    let missing: Vec<&String> = missing.map(|(name, _)| name).collect();
    if !missing.is_empty() {
        begin(conn, &missing).await?;
        tallies.extend(locked(conn, missing.iter().copied()).await?);
    }
    let mut rows = Vec::new();
    for (name, steps) in &by_subject {
        let found = tallies.remove(name);
        if found.is_none() && steps.iter().any(|step| step.begins()) {
            return Err(Rejection::Conflict);
        }
        let is_written = found.is_some() && steps.iter().any(|step| step.writes());
        let mut tally = found.unwrap_or_default();
        steps.iter().try_for_each(|step| step.apply(&mut tally))?;
        if is_written {
            rows.push(vec![name.into(), stored(&tally)?.into(), tally.spent_at().as_millis().into()]);
        }
    }
    let otherwise = "ON DUPLICATE KEY UPDATE meters = VALUES(meters), ends_at = VALUES(ends_at)";
    insert(conn, INTO, &rows, otherwise).await.map(|_| ())
}

const INTO: &str = "INSERT INTO mb_tallies (subject, meters, ends_at)";

/// The subjects' tallies, which nobody else writes until the change is committed.
async fn locked<'a>(
    conn: &mut Conn,
    subjects: impl IntoIterator<Item = &'a String>,
) -> Result<HashMap<String, Tally>, Fault> {
    let question = |condition: &str| {
        format!("SELECT subject, meters FROM mb_tallies FORCE INDEX (PRIMARY) WHERE {condition} FOR UPDATE")
    };
    let subjects: Vec<_> = subjects.into_iter().map(|name| vec![Value::from(name)]).collect();
    Ok(all_of(conn, KIND, question, "subject = ?", &subjects, named).await?.into_iter().collect())
}

/// Begins tallies. Of two that count a subject for the first time, one waits here for the other. A row that counts nothing has
/// ended.
async fn begin(conn: &mut Conn, subjects: &[&String]) -> Result<(), Rejection> {
    let rows: Vec<_> = subjects.iter().map(|&name| vec![name.into(), "[]".into(), 0_u64.into()]).collect();
    insert(conn, INTO, &rows, "ON DUPLICATE KEY UPDATE subject = VALUES(subject)").await.map(|_| ())
}

fn named(columns: &mut Columns) -> Result<(String, Tally), Fault> {
    Ok((columns.read(|name| Some(name.to_owned()))?, take(columns)?))
}

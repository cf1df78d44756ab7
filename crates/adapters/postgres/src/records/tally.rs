//! Tallies: one row for each subject and length of window.

use std::collections::HashMap;
use std::time::Duration;

use mobile_bind_domain::conversion::Source;
use mobile_bind_domain::tally::Meter;
use mobile_bind_domain::{Quota, Subject, Tally, Timestamp};

use super::{millis, stored_client, stored_text};
use crate::fault::Fault;
use crate::query::{Columns, Statement, parameter};

const KIND: &str = "tally";

/// A subject as a key, distinct for distinct subjects.
pub(crate) fn stored_subject(subject: &Subject) -> String {
    match subject {
        Subject::SendsTo(mobile) => format!("sends_to:{}", stored_text(mobile.as_str())),
        Subject::SendsBy(installation) => format!("sends_by:{}", stored_text(installation.as_str())),
        Subject::SendsFrom(block) => format!("sends_from:{}", block.first()),
        Subject::SendsOf(account) => format!("{SENDS_OF}{}", account.get()),
        Subject::Sends => "sends".to_owned(),
        Subject::FailuresOn(mobile) => format!("{FAILURES_ON}{}", stored_text(mobile.as_str())),
        Subject::SendsToRange(range) => format!("sends_to_range:{}", stored_text(range.as_str())),
        Subject::FailuresBy(client) => format!("failures_by:{}", stored_client(client)),
        Subject::Sent(source) => format!("sent:{}", stored_source(source)),
        Subject::Verified(source) => format!("verified:{}", stored_source(source)),
    }
}

fn stored_source(source: &Source) -> String {
    match source {
        Source::Country(code) => format!("country:{}", stored_text(code)),
        Source::Address(block) => format!("address:{}", block.first()),
    }
}

/// What stands before an account's id.
pub(crate) const SENDS_OF: &str = "sends_of:";

/// What stands before a number that wrong codes were tried for.
pub(crate) const FAILURES_ON: &str = "failures_on:";

/// One column with all meters of some subjects, which are expressions by commas; those of the longest window first.
pub(crate) fn columns(subjects: &str) -> String {
    format!(
        "(SELECT json_agg(json_build_array(t.subject, t.window_ms, t.slots, t.counts) ORDER BY t.window_ms DESC)::text \
         FROM meters t WHERE t.subject = ANY (ARRAY[{subjects}]))"
    )
}

/// Reads the meters of the subjects that were asked for.
pub(crate) fn take(
    columns: &mut Columns<'_>,
    subjects: impl IntoIterator<Item = Subject>,
) -> Result<HashMap<Subject, Tally>, Fault> {
    let Some(stored) = columns.take::<Option<&str>>(KIND)? else { return Ok(HashMap::new()) };
    let rows: Vec<(String, u64, Vec<u64>, Vec<u32>)> =
        serde_json::from_str(stored).map_err(|_| Fault::Unreadable(KIND))?;
    let mut by_name: HashMap<String, Tally> = HashMap::new();
    for (subject, window, slots, counts) in rows {
        let events = slots.into_iter().map(Timestamp::from_millis).zip(counts).collect();
        let meter = Meter { window: Duration::from_millis(window), events };
        by_name.entry(subject).or_default().meters.push(meter);
    }
    let found = |subject: Subject| by_name.remove(&stored_subject(&subject)).map(|tally| (subject, tally));
    Ok(subjects.into_iter().filter_map(found).collect())
}

/// Counts events, and forgets what counts no more. `ON CONFLICT DO UPDATE` waits for whoever counts at the same moment and
/// then sees what he counted, so that the fifth parameter, how many there may be before, holds against all. More slots than
/// 256, which only come where a quota is not kept, are forgotten from the oldest on: it takes fewer to fill any quota.
const COUNT: &str = "WITH counted AS (
    INSERT INTO meters AS m (subject, window_ms, slots, counts, ends_at)
    SELECT $1::text, $2::bigint, ARRAY[$3::bigint], ARRAY[$6::bigint], $3 + $2
    WHERE $5::bigint IS NULL OR $5 > 0
    ON CONFLICT (subject, window_ms) DO UPDATE SET
        (slots, counts) = (
            SELECT array_agg(kept.slot ORDER BY kept.slot), array_agg(kept.events ORDER BY kept.slot)
            FROM (
                SELECT event.slot, sum(event.events)::bigint AS events
                FROM (
                    SELECT known.slot, known.events FROM unnest(m.slots, m.counts) AS known (slot, events)
                    WHERE known.slot + $2 > $4::bigint
                    UNION ALL SELECT $3, $6
                ) AS event
                GROUP BY event.slot ORDER BY event.slot DESC LIMIT 256
            ) AS kept
        ),
        ends_at = greatest(m.ends_at, $3 + $2)
    WHERE $5 IS NULL OR $5 > (
        SELECT coalesce(sum(known.events), 0) FROM unnest(m.slots, m.counts) AS known (slot, events)
        WHERE known.slot + $2 > $4
    )
    RETURNING 1
)
SELECT 1 / count(*) FROM counted";

/// Counts one event for one quota; where it is kept and has no room, the change fails.
pub(crate) fn count(subject: &Subject, at: Timestamp, quota: &Quota, kept: bool) -> Result<Statement, Fault> {
    counting(subject, at, quota, kept.then_some(i64::from(quota.room())), 1)
}

/// Counts events for a quota that may be overrun.
pub(crate) fn count_many(subject: &Subject, at: Timestamp, quota: &Quota, events: u32) -> Result<Statement, Fault> {
    counting(subject, at, quota, None, events)
}

fn counting(
    subject: &Subject,
    at: Timestamp,
    quota: &Quota,
    room: Option<i64>,
    events: u32,
) -> Result<Statement, Fault> {
    let parameters = vec![
        parameter(stored_subject(subject)),
        parameter(window(quota.window)?),
        parameter(millis(quota.slot(at))),
        parameter(millis(at)),
        parameter(room),
        parameter(i64::from(events)),
    ];
    Ok(Statement::new(COUNT, parameters))
}

fn window(window: Duration) -> Result<i64, Fault> {
    let whole = window.subsec_nanos().is_multiple_of(1_000_000);
    i64::try_from(window.as_millis()).ok().filter(|_| whole).ok_or(Fault::Unwritable(KIND))
}

/// Holds where a quota has room for one event more; nobody counts until the change is committed.
pub(crate) fn room(subject: &Subject, at: Timestamp, quota: &Quota) -> Result<Statement, Fault> {
    let text = "SELECT 1 / (CASE WHEN $4::bigint > coalesce((
    SELECT sum(known.events) FROM (
        SELECT slots, counts FROM meters WHERE subject = $1::text AND window_ms = $2::bigint FOR UPDATE
    ) AS m, unnest(m.slots, m.counts) AS known (slot, events)
    WHERE known.slot + $2 > $3::bigint
), 0) THEN 1 ELSE 0 END)";
    let parameters = vec![
        parameter(stored_subject(subject)),
        parameter(window(quota.window)?),
        parameter(millis(at)),
        parameter(i64::from(quota.room())),
    ];
    Ok(Statement::new(text, parameters))
}

/// Forgets what was counted for one length of window.
pub(crate) fn forget(subject: &Subject, length: Duration) -> Result<Statement, Fault> {
    let text = "DELETE FROM meters WHERE subject = $1::text AND window_ms = $2::bigint";
    Ok(Statement::new(text, vec![parameter(stored_subject(subject)), parameter(window(length)?)]))
}

/// The event is in the first slot that is not before it: slots are rounded up.
const UNCOUNT: &str = "UPDATE meters AS m SET (slots, counts) = (
    SELECT coalesce(array_agg(kept.slot ORDER BY kept.slot), '{}'), coalesce(array_agg(kept.events ORDER BY kept.slot), '{}')
    FROM (
        SELECT known.slot, known.events - CASE WHEN known.slot = (
            SELECT min(later.slot) FROM unnest(m.slots) AS later (slot) WHERE later.slot >= $2::bigint
        ) THEN 1 ELSE 0 END AS events
        FROM unnest(m.slots, m.counts) AS known (slot, events)
    ) AS kept
    WHERE kept.events > 0
)
WHERE m.subject = $1::text";

/// Takes back one event.
pub(crate) fn uncount(subject: &Subject, at: Timestamp) -> Statement {
    Statement::new(UNCOUNT, vec![parameter(stored_subject(subject)), parameter(millis(at))])
}

//! What became of every message: by what the phones have, and by what the store says.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use mobile_bind_domain::outbox::{AttemptOutcome, MessageState};
use mobile_bind_domain::ports::Store;
use mobile_bind_domain::{Mobile, OutboxMessage, Timestamp};
use mobile_bind_sled::{Options, SledStore};

use super::load::Asked;
use super::stage::{Arrival, Arrivals};
use super::{Outcome, RECEIPT_WITHIN};

/// How many messages that are due are looked at.
const DUE: usize = 100_000;

/// Whether anything is left to do for a number that has no message yet, in a store that no service has open. One whose
/// receipt a kill swallowed is offered to the first provider until its code expires, and that one is dead.
pub(super) async fn is_quiet(folder: &Path, arrivals: &Arrivals) -> Result<bool> {
    let store = SledStore::open(folder, Options::default())?;
    let due = store.due_messages(Timestamp::from_millis(u64::MAX), DUE).await?;
    store.close().await?;
    Ok(due.iter().all(|found| !arrivals.to(found.value.key.mobile.as_str()).is_empty()))
}

/// Looks at every number.
pub(super) async fn everything(
    folder: &Path,
    asked: &[Asked],
    arrivals: &Arrivals,
    outcome: &mut Outcome,
    say: &mut dyn FnMut(&str),
) -> Result<()> {
    let store = SledStore::open(folder, Options::default())?;
    for one in asked {
        let Some(mobile) = Mobile::restore(&one.number) else { continue };
        let messages: Vec<OutboxMessage> =
            store.messages_to(&mobile, 8).await?.into_iter().map(|found| found.value).collect();
        let came = arrivals.to(&one.number);
        outcome.sends += 1;
        outcome.refused += u32::from(one.code != 0 && !one.again && came.is_empty());
        outcome.delivered += u32::from(!came.is_empty());
        outcome.by_spare += u32::from(came.first().is_some_and(|first| first.provider == "spare"));
        if came.is_empty() {
            let told = judge_absent(one, &messages, outcome);
            told.into_iter().for_each(|what| say(&what));
        }
        for pair in came.windows(2) {
            if was_known(&pair[0], &pair[1], &messages) {
                outcome.doubled += 1;
                say(&format!("doubled: {} by {} and {}", one.number, pair[0].provider, pair[1].provider));
            } else {
                outcome.after_unknown += 1;
            }
        }
    }
    store.close().await?;
    Ok(())
}

/// A number without a message: it was told so, or nobody knows what became of it, or the message is lost.
fn judge_absent(one: &Asked, messages: &[OutboxMessage], outcome: &mut Outcome) -> Option<String> {
    let Some(last) = messages.first() else {
        // Nothing was stored, so nothing may have been promised.
        outcome.lost += u32::from(one.code == 0);
        return (one.code == 0).then(|| format!("lost: {} was answered 0, and there is no message", one.number));
    };
    match last.state {
        MessageState::Failed => outcome.failed += u32::from(one.code == 0 || one.again),
        MessageState::Unknown => outcome.unknown += 1,
        state => {
            outcome.lost += 1;
            return Some(format!("lost: {} is {}, and did not come", one.number, state.name()));
        }
    }
    None
}

/// Whether the service knew of the first message when it had the second one sent: its acceptance was stored, and its receipt
/// taken, or the time for that not over.
fn was_known(first: &Arrival, second: &Arrival, messages: &[OutboxMessage]) -> bool {
    let accepted = messages.iter().flat_map(|message| &message.attempts).any(|attempt| {
        let outcome = matches!(attempt.outcome, AttemptOutcome::Accepted | AttemptOutcome::Delivered);
        *attempt.provider == *first.provider && *attempt.reference == *first.reference && outcome
    });
    let in_time = second.at < first.at + RECEIPT_WITHIN.saturating_sub(ROUNDING);
    accepted && (in_time || first.heard.is_some_and(|heard| heard < second.at.saturating_sub(ROUNDING)))
}

/// How far the store's moments and those of the phones may be apart.
const ROUNDING: Duration = Duration::from_millis(500);

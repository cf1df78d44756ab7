//! Messages, and the ways to find them.

use mobile_bind_domain::{MessageKey, Mobile, OutboxMessage, Revision, Timestamp, Versioned};

use crate::apply::demand;
use crate::fault::{Fault, Rejection};
use crate::group::Scratch;
use crate::layout::{self, Key};
use crate::records;
use crate::source::Source;
use crate::view::Reader;

/// What leads to a message: when it is due, and its references.
pub(crate) fn indexes(message: &OutboxMessage) -> impl Iterator<Item = Key> + '_ {
    let due = message.due_at.map(|due| layout::due_message(due, &message.key));
    due.into_iter().chain(references(message))
}

fn references(message: &OutboxMessage) -> impl Iterator<Item = Key> + '_ {
    let named = message.attempts.iter().filter(|attempt| !attempt.reference.is_empty());
    named.map(|attempt| layout::message_by_reference(&attempt.provider, &attempt.reference))
}

/// Stores a message that is as it was read.
pub(crate) fn put(scratch: &mut Scratch<'_>, expected: Revision, message: &OutboxMessage) -> Result<(), Rejection> {
    let key = layout::message(&message.key);
    let old: Option<Versioned<OutboxMessage>> = scratch.record(&key)?;
    demand(Versioned::revision_of(old.as_ref()) == expected)?;
    let old_due = old.as_ref().and_then(|old| old.value.due_at);
    if old_due != message.due_at {
        if let Some(due) = old_due {
            scratch.remove(layout::due_message(due, &message.key));
        }
        if let Some(due) = message.due_at {
            scratch.put_value(layout::due_message(due, &message.key), &[]);
        }
    }
    // A reference that it has had stays its own, unless another message came by it.
    let known = old.as_ref().map_or(0, |old| references(&old.value).count());
    for reference in references(message).skip(known) {
        scratch.put_value(reference, name(&key));
    }
    scratch.put(key, message)?;
    Ok(())
}

/// A message's key, as indexes lead to it.
fn name(key: &Key) -> &[u8] {
    key.as_bytes().get(1..).unwrap_or_default()
}

/// Removes a message with what leads to it, where it may be forgotten.
pub(crate) fn forget(scratch: &mut Scratch<'_>, key: &[u8], value: &[u8], now: Timestamp) -> Result<bool, Fault> {
    let message: OutboxMessage = records::decode(value)?.value;
    if message.keep_until > now {
        return Ok(false);
    }
    if let Some(due) = message.due_at {
        scratch.remove(layout::due_message(due, &message.key));
    }
    for reference in references(&message) {
        let leads_here = scratch.value(reference.as_bytes())?.is_some_and(|to| to[..] == key[1..]);
        if leads_here {
            scratch.remove(reference);
        }
    }
    scratch.remove_key(key.to_vec());
    Ok(true)
}

/// The messages to a number, newest first.
pub(crate) fn to(reader: &Reader<'_>, mobile: &Mobile, limit: usize) -> Result<Vec<Versioned<OutboxMessage>>, Fault> {
    // So few that the reader need not go backwards: they are kept for days, and a number gets some ten a day.
    let entries = reader.range(layout::messages_to(mobile)).map(|entry| records::decode(&entry?.1));
    let mut found = entries.collect::<Result<Vec<_>, _>>()?;
    found.reverse();
    found.truncate(limit);
    Ok(found)
}

/// The messages after another, in the order of their keys here.
pub(crate) fn after(
    reader: &Reader<'_>,
    after: Option<&MessageKey>,
    limit: usize,
) -> Result<Vec<Versioned<OutboxMessage>>, Fault> {
    let entries = reader.range(layout::kind_after(layout::MESSAGE, after.map(layout::message))).take(limit);
    entries.map(|entry| records::decode(&entry?.1)).collect()
}

pub(crate) fn by_reference(
    reader: &Reader<'_>,
    provider: &str,
    reference: &str,
) -> Result<Option<Versioned<OutboxMessage>>, Fault> {
    let index = layout::message_by_reference(provider, reference);
    reader.value(index.as_bytes())?.map_or(Ok(None), |name| at(reader, &name))
}

/// The messages that are due by then, in that order.
pub(crate) fn due(reader: &Reader<'_>, now: Timestamp, limit: usize) -> Result<Vec<Versioned<OutboxMessage>>, Fault> {
    let mut found = Vec::new();
    for entry in reader.range(layout::due_by(now)).take(limit) {
        let (key, _) = entry?;
        let name = layout::due_name(&key).ok_or(Fault::Unreadable("index entry"))?;
        found.extend(at(reader, name)?);
    }
    Ok(found)
}

fn at(reader: &Reader<'_>, name: &[u8]) -> Result<Option<Versioned<OutboxMessage>>, Fault> {
    reader.value(&layout::message_at(name))?.map(|value| records::decode(&value)).transpose()
}

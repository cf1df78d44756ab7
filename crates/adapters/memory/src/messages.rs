//! Messages, and the ways to find them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use mobile_bind_domain::outbox::MessageId;
use mobile_bind_domain::{MessageKey, Mobile, OutboxMessage, Timestamp, Versioned};

type Reference = (Box<str>, Box<str>);

#[derive(Default)]
pub(crate) struct Messages {
    all: BTreeMap<MessageKey, Versioned<OutboxMessage>>,
    due: BTreeSet<(Timestamp, MessageKey)>,
    by_reference: HashMap<Reference, MessageKey>,
}

fn references(message: &OutboxMessage) -> impl Iterator<Item = Reference> + '_ {
    let named = message.attempts.iter().filter(|attempt| !attempt.reference.is_empty());
    named.map(|attempt| (attempt.provider.clone(), attempt.reference.clone()))
}

impl Messages {
    pub(crate) fn all(&self) -> &BTreeMap<MessageKey, Versioned<OutboxMessage>> {
        &self.all
    }

    pub(crate) fn put(&mut self, message: Versioned<OutboxMessage>) {
        let key = &message.value.key;
        if let Some(due) = self.all.get(key).and_then(|old| old.value.due_at) {
            self.due.remove(&(due, key.clone()));
        }
        self.due.extend(message.value.due_at.map(|due| (due, key.clone())));
        self.by_reference.extend(references(&message.value).map(|reference| (reference, key.clone())));
        self.all.insert(key.clone(), message);
    }

    pub(crate) fn remove(&mut self, key: &MessageKey) {
        let Some(Versioned { value, .. }) = self.all.remove(key) else { return };
        if let Some(due) = value.due_at {
            self.due.remove(&(due, key.clone()));
        }
        for reference in references(&value) {
            // It may be another message's by now.
            if self.by_reference.get(&reference) == Some(key) {
                self.by_reference.remove(&reference);
            }
        }
    }

    pub(crate) fn to(&self, mobile: &Mobile, limit: usize) -> Vec<Versioned<OutboxMessage>> {
        let key = |byte| MessageKey { mobile: mobile.clone(), id: MessageId([byte; 16]) };
        self.all.range(key(0)..=key(u8::MAX)).rev().take(limit).map(|(_, message)| message.clone()).collect()
    }

    pub(crate) fn after(&self, after: Option<&MessageKey>, limit: usize) -> Vec<Versioned<OutboxMessage>> {
        let first = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.all.range((first, Bound::Unbounded)).take(limit).map(|(_, message)| message.clone()).collect()
    }

    pub(crate) fn by_reference(&self, provider: &str, reference: &str) -> Option<Versioned<OutboxMessage>> {
        self.all.get(self.by_reference.get(&(provider.into(), reference.into()))?).cloned()
    }

    pub(crate) fn due(&self, now: Timestamp, limit: usize) -> Vec<Versioned<OutboxMessage>> {
        let due = self.due.iter().take_while(|(due, _)| *due <= now).take(limit);
        due.filter_map(|(_, key)| self.all.get(key).cloned()).collect()
    }
}

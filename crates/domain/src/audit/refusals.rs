//! Refusals that are counted in memory before they become events.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::event::{AuditAction, AuditEvent, AuditMark};
use crate::{AddressBlock, Timestamp};

/// How often what was summed up is written.
const FLUSH_EVERY: Duration = Duration::from_secs(60);

/// So many alike are written one by one within that time, where they commit something anyway.
const EACH: u32 = 5;

/// So many are written one by one in all.
const ONE_BY_ONE: u32 = 500;

/// So many different ones are told apart; what comes after is only told apart by its rule.
const DIFFERENT: usize = 256;

/// Refusals since the last time they were written: few rows, however many there were.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Since>);

#[derive(Debug, Default)]
struct Since {
    began: Option<Timestamp>,
    written: u32,
    alike: HashMap<Alike, Sum>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Alike {
    action: AuditAction,
    rule: Option<Box<str>>,
    number: Option<AuditMark>,
    address: Option<AddressBlock>,
}

#[derive(Debug)]
struct Sum {
    written: u32,
    /// The last of them, standing for all that are not written.
    event: Option<AuditEvent>,
}

impl Refusals {
    /// Takes a refusal whose change is committed. Answers it back where it shall be written in that change; else it is summed
    /// up.
    #[must_use]
    pub fn admit(&self, event: AuditEvent) -> Option<AuditEvent> {
        let mut since = self.since(event.at);
        let room = since.written < ONE_BY_ONE;
        if let Some(sum) = since.place(&event)
            && room
            && sum.written < EACH
        {
            sum.written += 1;
            since.written += 1;
            return Some(event);
        }
        since.sum(event);
        None
    }

    /// Takes a refusal that commits nothing.
    pub fn note(&self, event: AuditEvent) {
        self.since(event.at).sum(event);
    }

    /// What is to be written, if it is time; nothing is left then.
    #[must_use]
    pub fn take_due(&self, now: Timestamp) -> Vec<AuditEvent> {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if since.began.is_none_or(|began| now.since(began) < FLUSH_EVERY) { Vec::new() } else { since.take() }
    }

    /// What is to be written, at the end.
    #[must_use]
    pub fn take_all(&self) -> Vec<AuditEvent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What is not written yet, about some numbers.
    #[must_use]
    pub fn about(&self, marks: &[AuditMark]) -> Vec<AuditEvent> {
        let since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let about = |event: &&AuditEvent| event.mark().is_some_and(|mark| marks.contains(&mark));
        since.alike.values().filter_map(|sum| sum.event.as_ref()).filter(about).cloned().collect()
    }

    /// Puts back what could not be written.
    pub fn put_back(&self, events: Vec<AuditEvent>) {
        for event in events {
            self.note(event);
        }
    }

    fn since(&self, at: Timestamp) -> std::sync::MutexGuard<'_, Since> {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.began.get_or_insert(at);
        since
    }
}

impl Since {
    fn take(&mut self) -> Vec<AuditEvent> {
        let taken = std::mem::take(self);
        let mut events: Vec<AuditEvent> = taken.alike.into_values().filter_map(|sum| sum.event).collect();
        events.sort_by_key(|event| event.at);
        events
    }

    /// Where an event is counted; `None` where there are too many different ones.
    fn place(&mut self, event: &AuditEvent) -> Option<&mut Sum> {
        let alike =
            Alike { action: event.action, rule: event.rule.clone(), number: event.mark(), address: event.address };
        if self.alike.len() >= DIFFERENT && !self.alike.contains_key(&alike) {
            return None;
        }
        Some(self.alike.entry(alike).or_insert(Sum { written: 0, event: None }))
    }

    fn sum(&mut self, event: AuditEvent) {
        if let Some(sum) = self.place(&event) {
            return sum.add(event);
        }
        let rest = AuditEvent { number: None, former: None, account: None, address: None, ..event };
        let alike = Alike { action: rest.action, rule: rest.rule.clone(), number: None, address: None };
        self.alike.entry(alike).or_insert(Sum { written: 0, event: None }).add(rest);
    }
}

impl Sum {
    fn add(&mut self, event: AuditEvent) {
        let before = self.event.as_ref().map_or(0, |event| event.times);
        let times = before.saturating_add(event.times);
        self.event = Some(AuditEvent { times, ..event });
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::{Actor, AuditAction, AuditEvent, AuditMark, AuditedNumber};
    use super::{DIFFERENT, EACH, FLUSH_EVERY, ONE_BY_ONE, Refusals};
    use crate::Timestamp;

    const NOW: Timestamp = Timestamp::from_seconds(1_634_727_340);

    fn refusal(number: u64) -> AuditEvent {
        let number = AuditedNumber { mark: AuditMark(number.to_be_bytes()), masked: "176***368".into() };
        AuditEvent {
            rule: Some("send_limit".into()),
            number: Some(number),
            ..AuditEvent::new(AuditAction::RefuseSend, Actor::Service, NOW)
        }
    }

    #[test]
    fn alike_ones_are_one_row() {
        let refusals = Refusals::default();
        (0..1_000).for_each(|_| refusals.note(refusal(1)));
        assert!(refusals.take_due(NOW).is_empty(), "it is not time yet");
        assert_eq!(refusals.about(&[AuditMark(1_u64.to_be_bytes())]).len(), 1);
        let rows = refusals.take_due(NOW.after(FLUSH_EVERY));
        assert_eq!((rows.len(), rows[0].times), (1, 1_000));
        assert!(refusals.take_all().is_empty());
    }

    #[test]
    fn however_many_numbers_are_tried_the_rows_are_bounded_and_none_is_forgotten() {
        let refusals = Refusals::default();
        (0..100_000).for_each(|number| refusals.note(refusal(number)));
        let rows = refusals.take_all();
        assert!(rows.len() <= DIFFERENT + 1, "{}", rows.len());
        assert_eq!(rows.iter().map(|row| u64::from(row.times)).sum::<u64>(), 100_000);
    }

    #[test]
    fn committed_ones_are_written_one_by_one_up_to_a_bound() {
        let refusals = Refusals::default();
        let admitted = (0..20).filter(|_| refusals.admit(refusal(1)).is_some()).count();
        assert_eq!(admitted, EACH as usize);
        assert_eq!(refusals.take_all()[0].times, 20 - EACH);
        let admitted = (0..100_000).filter(|number| refusals.admit(refusal(*number)).is_some()).count();
        assert!(admitted <= ONE_BY_ONE as usize && admitted <= DIFFERENT * EACH as usize, "{admitted}");
    }
}

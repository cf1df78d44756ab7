//! The audit as the chore keeps it: sums are written, segments sealed, old ones dropped; and whatever is done to what is sealed
//! is found.

use std::time::Duration;

use mobile_bind_domain::audit::{AuditAction, AuditNode, Checkpoint, RecordedEvent};
use mobile_bind_domain::ports::Store;
use mobile_bind_domain::{Change, ClientType, Write};
use proptest::prelude::*;

use crate::support::world::{World, ready};
use crate::support::{BIND, MOBILE, mobile};

const DAY: u64 = 86_400;

/// Sends to a number of its own, and lets the chore seal that.
fn send_and_seal(world: &World, number: usize) {
    world.send(&format!("1380000{number:04}"), "u").unwrap();
    world.send(&format!("1380000{number:04}"), "u").unwrap_err();
    for _ in 0..4 {
        world.advance(61);
        ready(world.service.keep_audit()).unwrap();
    }
}

fn unlimited() -> World {
    let world = World::new();
    world.service.policy.change(|policy| policy.limits.mode = mobile_bind_domain::LimitMode::Off);
    world
}

fn problems(world: &World) -> Vec<String> {
    ready(world.service.verify_audit()).unwrap().into_iter().flat_map(|(_, findings)| findings.problems).collect()
}

fn node(world: &World) -> AuditNode {
    ready(world.store.audit().audit_nodes()).unwrap()[0]
}

fn events(world: &World) -> Vec<RecordedEvent> {
    ready(world.store.audit().audit_events(node(world), 0, usize::MAX)).unwrap()
}

fn checkpoints(world: &World) -> Vec<Checkpoint> {
    ready(world.store.audit().checkpoints(node(world), 0, usize::MAX)).unwrap()
}

fn write(world: &World, write: Write) {
    ready(world.store.commit(Change { expectations: Vec::new(), writes: vec![write] })).unwrap();
}

/// Takes events out, and leaves the checkpoints.
fn keep_after(world: &World, last: u64) {
    write(world, Write::DropSegment { node: node(world), segment: u64::MAX, last });
}

#[test]
fn what_was_refused_is_written_once_a_minute_and_known_before() {
    let world = World::new();
    world.send(MOBILE, "u").unwrap();
    for _ in 0..1_000 {
        world.send(MOBILE, "u").unwrap_err();
    }
    let known = ready(world.service.audit_of(&mobile(MOBILE), 10)).unwrap();
    assert_eq!(known.iter().map(|event| event.times).collect::<Vec<_>>(), [1, 1_000]);
    assert_eq!(events(&world).len(), 1, "nothing is written yet");
    ready(world.service.keep_audit()).unwrap();
    assert_eq!(events(&world).len(), 1);
    world.advance(60);
    ready(world.service.keep_audit()).unwrap();
    let written = events(&world)[1].event().unwrap();
    assert_eq!((written.action, written.times), (AuditAction::RefuseSend, 1_000));
    assert_eq!(written.rule.as_deref(), Some("send_too_soon"));
    assert_eq!(ready(world.service.audit_of(&mobile(MOBILE), 10)).unwrap().len(), 2, "and not told twice");
}

#[test]
fn what_is_left_is_written_at_the_end() {
    let world = World::new();
    world.send(MOBILE, "u").unwrap();
    world.send(MOBILE, "u").unwrap_err();
    ready(world.service.finish_audit()).unwrap();
    assert_eq!(events(&world).len(), 2);
}

#[test]
fn only_what_has_settled_is_sealed_and_each_event_once() {
    let world = unlimited();
    world.send(MOBILE, "u").unwrap();
    ready(world.service.keep_audit()).unwrap();
    assert!(checkpoints(&world).is_empty(), "something may still come before it");
    world.advance(61);
    ready(world.service.keep_audit()).unwrap();
    assert_eq!(checkpoints(&world).len(), 1);
    (1..4).for_each(|number| send_and_seal(&world, number));
    let (sealed, events) = (checkpoints(&world), events(&world));
    assert_eq!(sealed.iter().map(|sealed| sealed.events as usize).sum::<usize>(), events.len());
    assert_eq!(problems(&world), Vec::<String>::new());
}

#[test]
fn the_last_events_are_told_in_their_order() {
    let world = unlimited();
    (0..5).for_each(|number| send_and_seal(&world, number));
    let all = ready(world.service.audit_tail(1_000)).unwrap();
    assert_eq!(all.len(), events(&world).len());
    for limit in 0..all.len() {
        assert_eq!(ready(world.service.audit_tail(limit)).unwrap(), all[all.len() - limit..]);
    }
}

#[test]
fn an_account_is_told_of_whatever_number_it_has_and_nothing_of_others() {
    let world = unlimited();
    let bound = world.send_and_bind(ClientType::H5, "u", &BIND).unwrap().account;
    world.send("13900000000", "other").unwrap();
    let actions = |world: &World| -> Vec<AuditAction> {
        let account = ready(world.store.account(bound.id)).unwrap().unwrap().value;
        ready(world.service.audit_about(&account)).unwrap().iter().map(|event| event.action).collect()
    };
    assert_eq!(actions(&world), [AuditAction::Send, AuditAction::Create]);
    let name = mobile_bind_domain::administration::AccountName::Id(bound.id);
    ready(world.service.administer("ann", &name, mobile_bind_domain::administration::AccountOrder::Unbind)).unwrap();
    assert_eq!(actions(&world), [AuditAction::Create, AuditAction::Unbind]);
}

#[derive(Clone, Debug)]
enum Tampering {
    Alter { event: usize, byte: usize, bit: u8 },
    RemoveUpTo(usize),
    Insert(usize),
    Move(usize),
    RemoveCheckpoint(usize),
}

fn tampering() -> impl Strategy<Value = Tampering> {
    prop_oneof![
        4 => (any::<usize>(), any::<usize>(), 0_u8..8).prop_map(|(event, byte, bit)| Tampering::Alter { event, byte, bit }),
        1 => any::<usize>().prop_map(Tampering::RemoveUpTo),
        1 => any::<usize>().prop_map(Tampering::Insert),
        1 => any::<usize>().prop_map(Tampering::Move),
        1 => any::<usize>().prop_map(Tampering::RemoveCheckpoint),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is done to a sealed event, or to a checkpoint that is not the last, in the store itself.
    #[test]
    fn what_is_done_to_a_sealed_event_is_found(segments in 2_usize..5, tampering in tampering()) {
        let world = unlimited();
        (0..segments).for_each(|number| send_and_seal(&world, number));
        prop_assert_eq!(problems(&world), Vec::<String>::new());
        let (events, sealed) = (events(&world), checkpoints(&world));
        let at = |place: usize| place % events.len();
        match tampering {
            Tampering::Alter { event, byte, bit } => {
                let mut altered = events[at(event)].clone();
                let byte = byte % altered.bytes.len();
                altered.bytes[byte] ^= 1 << bit;
                write(&world, Write::AuditCopy(Box::new(altered)));
            }
            Tampering::RemoveUpTo(event) => keep_after(&world, events[at(event)].sequence),
            Tampering::Insert(event) => {
                let sequence = events[at(event)].sequence - 1;
                write(&world, Write::AuditCopy(Box::new(RecordedEvent { sequence, ..events[at(event)].clone() })));
            }
            Tampering::Move(event) => {
                let (one, other) = (&events[at(event)], &events[at(event + 1)]);
                write(&world, Write::AuditCopy(Box::new(RecordedEvent { sequence: one.sequence, ..other.clone() })));
            }
            Tampering::RemoveCheckpoint(place) => {
                let segment = sealed[place % (sealed.len() - 1)].segment;
                write(&world, Write::DropSegment { node: node(&world), segment, last: 0 });
            }
        }
        prop_assert!(!problems(&world).is_empty());
    }

    /// However long it was quiet between segments: dropping what is old is no tampering, what is young enough stays, and what is
    /// cut off in front besides is found.
    #[test]
    fn dropping_what_is_old_is_no_tampering(quiet in prop::collection::vec(0_u64..120, 1..6)) {
        let world = unlimited();
        for (number, days) in quiet.iter().enumerate() {
            send_and_seal(&world, number);
            world.advance(days * DAY);
            ready(world.service.keep_audit()).unwrap();
            prop_assert_eq!(problems(&world), Vec::<String>::new());
        }
        let now = world.service.clock.now();
        let kept = checkpoints(&world);
        let old = kept.iter().filter(|sealed| now.since(sealed.at) > Duration::from_secs(184 * DAY)).count();
        prop_assert!(old <= 1, "{old} are kept too long");
        let young = kept.iter().position(|sealed| now.since(sealed.at) <= Duration::from_secs(184 * DAY));
        if let Some(place) = young && place + 1 < kept.len() {
            for sealed in &kept[..=place] {
                write(&world, Write::DropSegment { node: sealed.node, segment: sealed.segment, last: sealed.last });
            }
            prop_assert!(!problems(&world).is_empty(), "a segment that is not old was dropped");
        }
    }
}

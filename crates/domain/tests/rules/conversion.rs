//! Shares of verified messages: judged on what the store has of all nodes.

use std::time::Duration;

use mobile_bind_domain::bind::BindParameters;
use mobile_bind_domain::conversion::Source;
use mobile_bind_domain::ports::{SendFailure, SendQuery, SendSnapshot, Store};
use mobile_bind_domain::send::CaptchaState;
use mobile_bind_domain::tally::Meter;
use mobile_bind_domain::{ClientType, ConversionPolicy, Guard, Guards, LimitMode, Refusal, Subject, Tally, Timestamp};

use crate::guards::decide_send;
use crate::support::scene::challenge_key;
use crate::support::world::{World, ready};
use crate::support::{BIND, MOBILE, NOW, requester};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: u64 = 24 * 3600;

/// A country of whose messages none was verified lately, and all were before.
fn conversion_fallen() -> SendSnapshot {
    let source = || Source::Country("86".into());
    let recent = ConversionPolicy::default().recent;
    let week = Duration::from_secs(7 * DAY).saturating_add(recent);
    let earlier = Timestamp::from_seconds(NOW.as_seconds() - DAY);
    let meters = |lately: u32, before: u32| Tally {
        meters: vec![
            Meter { window: recent, events: vec![(NOW, lately)] },
            Meter { window: week, events: vec![(earlier, before), (NOW, lately)] },
        ],
    };
    let tallies = [(Subject::Sent(source()), meters(50, 100)), (Subject::Verified(source()), meters(1, 100))].into();
    SendSnapshot { tallies, ..SendSnapshot::default() }
}

/// What one node noted holds for the next, as after a restart.
#[test]
fn shares_of_verified_messages_are_known_to_all_nodes() {
    for (mode, refused) in [(LimitMode::Off, false), (LimitMode::Shadow, false), (LimitMode::Enforce, true)] {
        let mut world = World::new();
        world.service.policy.change(|policy| {
            let limits = &mut policy.limits;
            (limits.conversion_mode, limits.conversion.least, limits.conversion.recent) = (mode, 10, HOUR);
            limits.sends_from_address = Vec::new();
            limits.sends_to_range = Vec::new();
        });
        let numbers = |from: u32| (from..from + 12).map(|number| format!("1760212{number:04}"));
        for number in numbers(0) {
            world.send_and_bind(ClientType::H5, &number, &BindParameters { mobile: &number, ..BIND }).unwrap();
        }
        ready(world.service.store_conversions()).unwrap();
        world.advance(2 * 3600);
        for number in numbers(100) {
            world.send(&number, &number).unwrap();
        }
        ready(world.service.store_conversions()).unwrap();
        world.service.guards = Guards::default();
        let next = world.send(MOBILE, "next");
        assert_eq!(next.is_err(), refused, "{mode:?}");
        if let Err(refusal) = next {
            assert!(matches!(
                refusal,
                Refusal::SendLimit { guard: Guard::AddressConversion | Guard::CountryConversion, .. }
            ));
        }
    }
}

#[test]
fn a_message_that_did_not_leave_counts_for_nothing() {
    let world = World::new();
    *world.ambience.failure.lock().unwrap() = Some(SendFailure::Refused);
    world.send(MOBILE, "u").unwrap_err();
    ready(world.service.store_conversions()).unwrap();
    let sent = |world: &World| {
        let query = SendQuery {
            key: challenge_key(),
            address: requester(ClientType::H5, "u").address,
            session: None,
            idempotency: None,
            sources: vec![Source::Country("86".into())],
        };
        ready(world.store.load_send(&query)).unwrap().tallies.get(&Subject::Sent(Source::Country("86".into()))).cloned()
    };
    assert_eq!(sent(&world), None);
    *world.ambience.failure.lock().unwrap() = None;
    world.send(MOBILE, "u").unwrap();
    ready(world.service.store_conversions()).unwrap();
    assert!(sent(&world).is_some());
}

#[test]
fn whoever_solves_a_captcha_is_not_held_to_what_others_do() {
    let fallen = |captcha| decide_send(&conversion_fallen(), captcha).map(|_| ());
    assert!(matches!(fallen(CaptchaState::Open), Err(Refusal::CaptchaWanted { guard: Guard::CountryConversion, .. })));
    assert!(matches!(fallen(CaptchaState::Unavailable), Err(Refusal::SendLimit { .. })));
    assert!(fallen(CaptchaState::Solved).is_ok());
}

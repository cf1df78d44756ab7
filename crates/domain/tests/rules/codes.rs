//! What a code binds: its number, for its client, in time, within its tries, compared digit by digit.

use std::collections::HashMap;
use std::time::Duration;

use mobile_bind_domain::bind::BindParameters;
use mobile_bind_domain::{
    Challenge, ClientType, CodeAttempt, Guard, LimitMode, Quota, Refusal, Subject, Tally, VerificationCode, Write,
};
use proptest::prelude::*;

use crate::support::scene::{CHALLENGE_REVISION, Scene, challenge_key, sent};
use crate::support::world::World;
use crate::support::{BIND, CODE, MOBILE, NOW, client, keys, mobile};

const MINUTE: Duration = Duration::from_secs(60);

fn verify(verify: &str) -> BindParameters<'_> {
    BindParameters { verify, ..BIND }
}

#[test]
fn codes_compare_exactly() {
    let wrong = [
        ("4374", "04374"),
        ("4142", "4.142e3"),
        ("8826", "+8826"),
        ("8826", "8826.0"),
        ("8826", "0x227a"),
        ("8826", "８８２６"),
        ("8826", "8826\u{a0}"),
        ("0944", "944"),
        ("0944", "0944\0"),
    ];
    for (code, attempt) in wrong {
        let mut scene = Scene::new(ClientType::H5);
        scene.snapshot.challenge = Some(sent(code, MINUTE, 0));
        assert_eq!(scene.refused(&verify(attempt)), Refusal::CodeWrong, "{attempt}");
        for right in [code.to_owned(), format!(" {code}"), format!("{code}\r\n")] {
            assert!(scene.decide(&verify(&right)).answer.is_ok(), "{right}");
        }
    }
}

#[test]
fn a_wrong_try_is_counted_in_the_commit_that_answers_it() {
    let mut scene = Scene::new(ClientType::H5);
    scene.snapshot.challenge = Some(sent(CODE, MINUTE, 2));
    let decision = scene.decide(&verify("0945"));
    assert_eq!(decision.answer.unwrap_err(), Refusal::CodeWrong);
    let failed = sent(CODE, MINUTE, 3).value;
    let [Write::Challenge { expected, key, challenge: Some(challenge) }, Write::Count { subject, at, .. }] =
        &decision.change.writes[..]
    else {
        panic!("{:?}", decision.change)
    };
    assert_eq!((expected, key, challenge), (&CHALLENGE_REVISION, &challenge_key(), &failed));
    assert_eq!((subject, at), (&Subject::FailuresOn(mobile(MOBILE)), &NOW));
}

#[test]
fn the_fifth_wrong_try_burns_the_code() {
    let world = World::new();
    world.send(MOBILE, "u").unwrap();
    let code = world.last_code();
    for _ in 0..5 {
        assert_eq!(world.bind(ClientType::H5, "u", &verify("0000")).unwrap_err(), Refusal::CodeWrong);
    }
    assert_eq!(world.bind(ClientType::H5, "u", &verify(&code)).unwrap_err(), Refusal::CodeExpired);
    assert!(matches!(world.send(MOBILE, "u"), Err(Refusal::SendTooSoon { .. })), "a burnt code keeps the interval");
    world.advance(60);
    world.send(MOBILE, "u").unwrap();
    assert!(world.bind(ClientType::H5, "u", &verify(&world.last_code())).is_ok());
}

#[test]
fn a_code_is_its_clients_and_its_numbers_alone() {
    let world = World::new();
    world.send(MOBILE, "u").unwrap();
    let code = world.last_code();
    assert_eq!(world.bind(ClientType::H5, "v", &verify(&code)).unwrap_err(), Refusal::CodeExpired);
    let other = BindParameters { mobile: "13500135000", ..verify(&code) };
    assert_eq!(world.bind(ClientType::H5, "u", &other).unwrap_err(), Refusal::CodeExpired);
    let left = world.send_snapshot(MOBILE, "u").challenge.unwrap().value.failures;
    assert_eq!(left, 0, "tries from elsewhere leave the code alone");
    assert!(world.bind(ClientType::H5, "u", &verify(&code)).is_ok());
}

#[test]
fn a_code_binds_once() {
    let world = World::new();
    let first = world.send_and_bind(ClientType::H5, "u", &BIND).unwrap();
    let code = world.last_code();
    world.advance(10);
    assert_eq!(world.bind(ClientType::H5, "u", &verify(&code)).unwrap_err(), Refusal::CodeExpired);
    assert_eq!(first.account.mobile, Some(mobile(MOBILE)));
}

#[test]
fn a_newer_code_ends_the_older() {
    let world = World::new();
    world.send(MOBILE, "u").unwrap();
    let older = world.last_code();
    world.advance(60);
    world.send(MOBILE, "u").unwrap();
    assert_eq!(world.bind(ClientType::H5, "u", &verify(&older)).unwrap_err(), Refusal::CodeWrong);
    assert!(world.bind(ClientType::H5, "u", &verify(&world.last_code())).is_ok());
}

#[test]
fn tries_without_a_code_count_against_the_client_alone() {
    let mut scene = Scene::new(ClientType::H5);
    scene.snapshot.challenge = None;
    let quotas = vec![Quota::new(60, 3600)];
    scene.policy.limits.failures_by_client = quotas.clone();
    let decision = scene.decide(&BIND);
    assert_eq!(decision.answer.unwrap_err(), Refusal::CodeExpired);
    let subject = Subject::FailuresBy(client("u"));
    let count = Write::Count { subject: subject.clone(), at: NOW, kept: quotas.clone(), watched: Vec::new() };
    assert_eq!(decision.change.writes, [count]);

    let mut tally = Tally::default();
    (0..60).for_each(|_| tally.add(quotas.iter(), NOW));
    scene.snapshot.tallies.insert(subject, tally);
    assert_eq!(scene.refused(&BIND), Refusal::TryLimit { guard: Guard::Tries, wait: Duration::from_secs(3600) });
    scene.snapshot.challenge = Scene::new(ClientType::H5).snapshot.challenge;
    assert!(scene.decide(&BIND).answer.is_ok(), "it keeps nobody from trying a code of his own");
}

#[test]
fn failures_on_a_number_outlive_its_codes() {
    let mut scene = Scene::new(ClientType::H5);
    let quotas = vec![Quota::new(2, 3600)];
    let mut tally = Tally::default();
    (0..2).for_each(|_| tally.add(quotas.iter(), NOW));
    scene.policy.limits.failures_on_number = quotas;
    scene.policy.limits.keep_half_for_owners = false;
    scene.snapshot.tallies = HashMap::from([(Subject::FailuresOn(mobile(MOBILE)), tally)]);
    let over = Refusal::TryLimit { guard: Guard::Failures, wait: Duration::from_secs(3600) };
    assert_eq!(scene.refused(&BIND), over);
    assert_eq!(scene.refused(&verify("0945")), over);

    scene.policy.limits.mode = LimitMode::Shadow;
    let decision = scene.decide(&BIND);
    assert!(decision.answer.is_ok());
    assert_eq!(decision.observed, [Guard::Failures]);
    scene.policy.limits.mode = LimitMode::Off;
    let decision = scene.decide(&verify("0945"));
    assert_eq!((decision.observed, decision.answer.unwrap_err()), (vec![], Refusal::CodeWrong));
    assert!(!decision.change.writes.iter().any(|write| matches!(write, Write::Count { .. })));
    assert!(decision.change.writes.iter().any(|write| scene.is_counter(write)), "the five tries stand in every mode");
}

/// Texts that a loose comparison might take for a code.
fn attempts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9]{4}",
        Just(CODE.to_owned()),
        "[ \t\r\n]{0,2}0944[ \t\r\n]{0,2}",
        "[+0]?0944(\\.0|e0)?",
        "\\PC{1,8}",
    ]
}

proptest! {
    #[test]
    fn only_the_very_digits_bind(attempt in attempts()) {
        let blank = |character: char| matches!(character, ' ' | '\t' | '\r' | '\n' | '\x0c');
        prop_assume!(!attempt.trim_matches(blank).is_empty());
        let right = attempt.trim_matches(blank) == CODE;
        let answer = Scene::new(ClientType::H5).decide(&verify(&attempt)).answer;
        prop_assert_eq!(answer.map(drop), if right { Ok(()) } else { Err(Refusal::CodeWrong) });
    }

    #[test]
    fn a_code_binds_only_in_time_and_within_its_tries(age_ms in 599_000_u64..601_000, failures in 0_u8..8) {
        let mut scene = Scene::new(ClientType::H5);
        scene.snapshot.challenge = Some(sent(CODE, Duration::from_millis(age_ms), failures));
        let live = age_ms < 600_000 && failures < 5;
        prop_assert_eq!(scene.decide(&BIND).answer.is_ok(), live);
    }

    /// However tries and codes are ordered, a right code binds exactly if fewer than five were wrong before it.
    #[test]
    fn tries_are_counted_before_they_are_compared(tries in prop::collection::vec("[0-9]{4}", 1..12), code in "[0-9]{4}") {
        let mac = keys().seal(&challenge_key(), &VerificationCode::from_digits(&code).unwrap());
        let mut challenge = Some(Challenge::issue(mac, NOW, MINUTE));
        let mut failures = 0;
        for attempt in tries.iter().chain([&code]) {
            let Some(counted) = challenge.clone().and_then(|challenge| challenge.take_try(NOW, 5)) else {
                prop_assert_eq!(failures, 5);
                break;
            };
            prop_assert!(failures < 5);
            match counted.compare(&challenge_key(), &CodeAttempt::new(attempt).unwrap(), &keys()) {
                Ok(_) => {
                    prop_assert_eq!(attempt, &code);
                    break;
                }
                Err(failed) => {
                    prop_assert_ne!(attempt, &code);
                    failures += 1;
                    prop_assert_eq!(failed.failures, failures);
                    challenge = Some(failed);
                }
            }
        }
    }
}

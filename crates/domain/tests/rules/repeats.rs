//! Idempotency keys: the same request again is answered as the first time, and another under its key is refused.

use std::time::Duration;

use mobile_bind_domain::bind::BindParameters;
use mobile_bind_domain::ports::SendFailure;
use mobile_bind_domain::service::LoggedIn;
use mobile_bind_domain::{ClientType, IdempotencyKey, Refusal, SendParameters};
use proptest::prelude::*;

use crate::support::world::{World, ready};
use crate::support::{BIND, MOBILE, requester};

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::new(text).unwrap()
}

fn send(world: &World, uuid: &str, mobile: &str, key: &IdempotencyKey) -> Result<(), Refusal> {
    let parameters = SendParameters { mobile, idempotency_key: Some(key), ..SendParameters::default() };
    ready(world.service.send_code(requester(ClientType::H5, uuid), &parameters))
}

fn bind(world: &World, verify: &str, key: &IdempotencyKey) -> Result<LoggedIn, Refusal> {
    world.bind(ClientType::H5, "u", &BindParameters { verify, idempotency_key: Some(key), ..BIND })
}

fn messages(world: &World) -> usize {
    world.ambience.outbox.lock().unwrap().len()
}

#[test]
fn a_send_that_is_repeated_costs_no_second_message() {
    let world = World::new();
    let key = key("a");
    assert_eq!(send(&world, "u", MOBILE, &key), Ok(()));
    let code = world.last_code();
    world.advance(599);
    assert_eq!(send(&world, "u", MOBILE, &key), Ok(()));
    assert_eq!((messages(&world), world.last_code()), (1, code.clone()));
    assert!(
        world.bind(ClientType::H5, "u", &BindParameters { verify: &code, ..BIND }).is_ok(),
        "its code is as it was"
    );
    world.advance(1);
    assert_eq!(send(&world, "u", MOBILE, &key), Ok(()));
    assert_eq!(messages(&world), 2, "ten minutes later it is a new request");
}

#[test]
fn another_request_under_the_same_key_is_refused_and_anothers_key_is_his_own() {
    let world = World::new();
    let key = key("a");
    assert_eq!(send(&world, "u", MOBILE, &key), Ok(()));
    assert_eq!(send(&world, "u", "13500135000", &key), Err(Refusal::IdempotencyKeyReused));
    assert_eq!(messages(&world), 1);
    assert_eq!(send(&world, "v", "13500135000", &key), Ok(()));
    let code = world.last_code();
    // A bind's keys are not a send's.
    let right = world.ambience.outbox.lock().unwrap()[0].content.code().unwrap().digits().to_owned();
    assert_ne!(code, right);
    assert!(bind(&world, &right, &key).is_ok());
    assert_eq!(bind(&world, "0000", &key).unwrap_err(), Refusal::IdempotencyKeyReused);
}

#[test]
fn a_bind_that_is_repeated_answers_the_same_session() {
    let world = World::new();
    world.send(MOBILE, "u").unwrap();
    let (code, key) = (world.last_code(), key("b"));
    let first = bind(&world, &code, &key).unwrap();
    for _ in 0..3 {
        world.advance(150);
        let again = bind(&world, &code, &key).unwrap();
        assert_eq!((again.account.id, &again.token), (first.account.id, &first.token));
    }
    world.advance(200);
    assert_eq!(bind(&world, &code, &key).unwrap_err(), Refusal::CodeExpired, "the key is forgotten, the code was used");
}

#[test]
fn a_session_that_has_ended_is_not_answered_again() {
    let world = World::new();
    world.send(MOBILE, "u").unwrap();
    let (code, key) = (world.last_code(), key("b"));
    let first = bind(&world, &code, &key).unwrap();
    ready(world.service.log_out(first.token.expose())).unwrap();
    assert_eq!(bind(&world, &code, &key).unwrap_err(), Refusal::CodeExpired);
}

#[test]
fn a_wrong_code_that_is_repeated_costs_one_try() {
    let world = World::new();
    world.send(MOBILE, "u").unwrap();
    let code = world.last_code();
    for number in 0..4 {
        let key = key(&format!("wrong-{number}"));
        for _ in 0..5 {
            assert_eq!(bind(&world, "wrong", &key).unwrap_err(), Refusal::CodeWrong);
        }
    }
    assert!(bind(&world, &code, &key("right")).is_ok(), "four of five tries are used");
}

#[test]
fn what_only_says_to_wait_is_decided_anew() {
    let world = World::new();
    let (first, second) = (key("a"), key("b"));
    assert_eq!(send(&world, "u", MOBILE, &first), Ok(()));
    assert!(matches!(send(&world, "u", MOBILE, &second), Err(Refusal::SendTooSoon { .. })));
    world.advance(60);
    assert_eq!(send(&world, "u", MOBILE, &second), Ok(()));
    assert_eq!(messages(&world), 2);
}

#[test]
fn a_message_that_never_left_frees_its_key_and_one_that_may_have_left_does_not() {
    for (failure, first, again, sent) in [
        (SendFailure::Unavailable, Refusal::SmsUnavailable, Ok(()), 1),
        (SendFailure::Limited, Refusal::SmsLimited, Ok(()), 1),
        (SendFailure::Refused, Refusal::SmsRefused, Err(Refusal::SmsRefused), 0),
        (SendFailure::Unknown, Refusal::SmsUnknown, Err(Refusal::SmsUnknown), 0),
    ] {
        let world = World::new();
        *world.ambience.failure.lock().unwrap() = Some(failure);
        assert_eq!(send(&world, "u", MOBILE, &key("a")), Err(first));
        *world.ambience.failure.lock().unwrap() = None;
        assert_eq!(send(&world, "u", MOBILE, &key("a")), again, "{failure:?}");
        assert_eq!(messages(&world), sent, "{failure:?}");
    }
}

/// What is on its way while its process dies is not known, and is not sent twice.
#[test]
fn a_send_whose_process_died_is_answered_as_unknown() {
    use mobile_bind_domain::ports::Store;
    use mobile_bind_domain::{Change, IdempotencyRecord, IdempotentOutcome, Operation, Revision, Write};

    let world = World::new();
    let client = requester(ClientType::H5, "u").client();
    let name = world.service.keys.idempotency_name(Operation::Send, &client, &key("a"));
    let fingerprint = world.service.keys.fingerprint(&[b"send", b"h5", MOBILE.as_bytes(), b""]);
    let at = world.service.clock.now();
    let record = IdempotencyRecord {
        fingerprint,
        at,
        expires_at: at.after(Duration::from_secs(600)),
        outcome: IdempotentOutcome::Sending,
    };
    let write = Write::Idempotency { expected: Revision::ABSENT, name, record: Some(record) };
    ready(world.store.commit(Change { expectations: Vec::new(), writes: vec![write] })).unwrap();
    world.advance(30);
    assert_eq!(send(&world, "u", MOBILE, &key("a")), Err(Refusal::SmsUnknown));
    assert_eq!(messages(&world), 0);
}

proptest! {
    /// However often and in whatever order requests are repeated, each key sends one message and is answered alike.
    #[test]
    fn each_key_is_carried_out_once(order in prop::collection::vec(0_usize..4, 1..40)) {
        let world = World::new();
        let numbers = ["13500135000", "13500145000", "13500155000", "13500165000"];
        let mut seen = std::collections::BTreeSet::new();
        for index in order {
            let key = key(&format!("key-{index}"));
            prop_assert_eq!(send(&world, "u", numbers[index], &key), Ok(()));
            seen.insert(index);
            prop_assert_eq!(messages(&world), seen.len());
            world.advance(10);
        }
    }
}

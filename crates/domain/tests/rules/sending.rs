//! Sending: the interval, the quotas, and what a message that never left gives back.

use std::time::Duration;

use mobile_bind_domain::bind::BindParameters;
use mobile_bind_domain::ports::{SendFailure, SendSnapshot, SessionSnapshot};
use mobile_bind_domain::send::{self, CaptchaState, Circumstances, Permission, Send};
use mobile_bind_domain::{
    ClientType, Expectation, Guard, Installation, LimitMode, Operation, Policy, Quota, Refusal, Revision,
    SendParameters, Subject, Tally, Timestamp, VerificationCode, Write,
};
use proptest::prelude::*;

use crate::support::scene::{challenge_key, sent, session_of, versioned};
use crate::support::world::World;
use crate::support::{BIND, CODE, MOBILE, NOW, account_id, keys, mobile, person, requester};

const MODES: [LimitMode; 3] = [LimitMode::Enforce, LimitMode::Shadow, LimitMode::Off];

fn policy(mode: LimitMode) -> Policy {
    let mut policy = Policy::default();
    policy.limits.mode = mode;
    policy.limits.keep_half_for_owners = false;
    policy.limits.sends_to_number = vec![Quota::new(5, 3600)];
    policy.limits.sends_by_installation = vec![Quota::new(10, 3600)];
    policy.limits.sends_from_address = vec![Quota::new(30, 3600)];
    policy.limits.sends_of_account = vec![Quota::new(10, 86_400)];
    policy.limits.sends = vec![Quota::new(600, 60)];
    policy
}

fn decide(snapshot: &SendSnapshot, policy: &Policy, now: Timestamp) -> Result<Permission, Refusal> {
    let command = Send::parse(requester(ClientType::H5, "u"), &parameters(MOBILE), None, policy, &keys()).unwrap();
    let mac = keys().seal(&challenge_key(), &VerificationCode::from_digits("1234").unwrap());
    let circumstances = Circumstances { captcha: CaptchaState::Unavailable, now };
    send::decide(snapshot, &command, mac, policy, &circumstances)
}

fn parameters(mobile: &str) -> SendParameters<'_> {
    SendParameters { mobile, ..SendParameters::default() }
}

/// What is counted for, each with the quotas that must have room and those that may be overrun.
fn counts(permission: &Permission) -> Vec<(Subject, Vec<Quota>, Vec<Quota>)> {
    let count = |write: &Write| match write {
        Write::Count { subject, kept, watched, .. } => Some((subject.clone(), kept.clone(), watched.clone())),
        _ => None,
    };
    permission.change.writes.iter().filter_map(count).collect()
}

fn counted(subject: Subject, quota: Quota, times: u32, at: Timestamp) -> SendSnapshot {
    let mut tally = Tally::default();
    (0..times).for_each(|_| tally.add([quota].iter(), at));
    SendSnapshot { tallies: [(subject, tally)].into(), ..SendSnapshot::default() }
}

#[test]
fn numbers_are_checked_first() {
    let parse = |mobile: &str| {
        Send::parse(requester(ClientType::H5, "u"), &parameters(mobile), None, &Policy::default(), &keys())
            .map(drop)
            .unwrap_err()
    };
    assert_eq!(parse(""), Refusal::MobileMissing);
    assert_eq!(parse("0"), Refusal::MobileMissing);
    assert_eq!(parse("12602128368"), Refusal::MobileMalformed(Operation::Send));
}

#[test]
fn the_interval_stands_in_every_mode_whoever_asks() {
    for mode in MODES {
        let world = World::new();
        world.service.policy.change(|policy| policy.limits.mode = mode);
        world.send(MOBILE, "u").unwrap();
        world.advance(59);
        let too_soon = Err(Refusal::SendTooSoon { wait: Duration::from_secs(1) });
        assert_eq!((world.send(MOBILE, "u"), world.send(MOBILE, "v")), (too_soon.clone(), too_soon));
        world.send("13500135000", "u").unwrap();
        world.advance(1);
        assert_eq!(world.send(MOBILE, "v"), Ok(()));
    }
}

#[test]
fn the_interval_stands_after_the_code_was_used() {
    let world = World::new();
    world.send_and_bind(ClientType::H5, "u", &BIND).unwrap();
    world.advance(30);
    assert_eq!(world.send(MOBILE, "u"), Err(Refusal::SendTooSoon { wait: Duration::from_secs(30) }));
}

#[test]
fn each_quota_is_enforced_watched_or_off() {
    let subjects = [
        (Guard::Number, Subject::SendsTo(mobile(MOBILE)), Quota::new(5, 3600)),
        (Guard::Installation, Subject::SendsBy(Installation::new("u").unwrap()), Quota::new(10, 3600)),
        (Guard::Address, Subject::SendsFrom(requester(ClientType::H5, "u").address), Quota::new(30, 3600)),
        (Guard::Range, Subject::SendsToRange(mobile(MOBILE).range()), Quota::new(60, 3600)),
        (Guard::Budget, Subject::Sends, Quota::new(600, 60)),
    ];
    for (guard, subject, quota) in subjects {
        let snapshot = counted(subject.clone(), quota, quota.limit, NOW);
        let refusal = decide(&snapshot, &policy(LimitMode::Enforce), NOW).unwrap_err();
        let over = matches!(refusal, Refusal::SendLimit { guard: over, wait } if over == guard && wait >= quota.window);
        assert!(over, "{subject:?}: {refusal:?}");
        let watched = decide(&snapshot, &policy(LimitMode::Shadow), NOW).unwrap();
        assert_eq!(watched.observed, [guard]);
        assert_eq!(decide(&snapshot, &policy(LimitMode::Off), NOW).unwrap().observed, []);

        let one_less = counted(subject, quota, quota.limit - 1, NOW);
        assert!(decide(&one_less, &policy(LimitMode::Enforce), NOW).is_ok());
    }
}

#[test]
fn an_accounts_sessions_are_counted_together_while_they_live() {
    let mut snapshot = counted(Subject::SendsOf(account_id(1)), Quota::new(10, 86_400), 10, NOW);
    let policy = policy(LimitMode::Enforce);
    assert!(decide(&snapshot, &policy, NOW).is_ok(), "nobody is logged in");
    let session = session_of(account_id(1));
    let ends_at = session.ends_at(&policy.session);
    snapshot.caller = Some(SessionSnapshot { session, account: versioned(person(1).0) });
    assert!(matches!(decide(&snapshot, &policy, NOW), Err(Refusal::SendLimit { .. })));
    snapshot.tallies.clear();
    let subject = Subject::SendsOf(account_id(1));
    assert!(counts(&decide(&snapshot, &policy, NOW).unwrap()).iter().any(|(counted, ..)| *counted == subject));
    let later = decide(&snapshot, &policy, ends_at).unwrap();
    assert!(!counts(&later).iter().any(|(counted, ..)| *counted == subject), "the session has ended");
}

#[test]
fn the_new_code_replaces_the_one_that_was_read() {
    let older = sent(CODE, Duration::from_secs(60), 3);
    let snapshot = SendSnapshot { challenge: Some(older.clone()), ..SendSnapshot::default() };
    let permission = decide(&snapshot, &Policy::default(), NOW).unwrap();
    let Some(Write::Challenge { expected, key, challenge: Some(newer) }) = permission.change.writes.first() else {
        panic!("{:?}", permission.change)
    };
    assert_eq!((*expected, key), (older.revision, &challenge_key()));
    assert_eq!((newer.failures, newer.sent_at), (3, NOW), "its wrong tries carry over");
    assert_eq!(newer.expires_at, NOW.after(Duration::from_secs(600)));
    assert_ne!(newer.mac, older.value.mac);

    let committed = Revision(77);
    let restored = Write::Challenge { expected: committed, key: challenge_key(), challenge: Some(older.value) };
    assert_eq!(permission.restore(committed).writes, [restored]);
    assert_eq!(permission.restore(committed).expectations, Vec::<Expectation>::new());
}

#[test]
fn where_there_was_no_code_none_is_put_back() {
    let permission = decide(&SendSnapshot::default(), &Policy::default(), NOW).unwrap();
    let Some(Write::Challenge { expected: Revision::ABSENT, .. }) = permission.change.writes.first() else {
        panic!("{:?}", permission.change)
    };
    let removed = Write::Challenge { expected: Revision(77), key: challenge_key(), challenge: None };
    assert_eq!(permission.restore(Revision(77)).writes, [removed]);
}

#[test]
fn a_message_that_never_left_is_as_if_never_asked_for() {
    for (failure, refusal) in [
        (SendFailure::Refused, Refusal::SmsRefused),
        (SendFailure::Limited, Refusal::SmsLimited),
        (SendFailure::Unavailable, Refusal::SmsUnavailable),
    ] {
        let world = World::new();
        world.send(MOBILE, "u").unwrap();
        let code = world.last_code();
        world.bind(ClientType::H5, "u", &BindParameters { verify: "x", ..BIND }).unwrap_err();
        world.advance(60);
        let before = world.send_snapshot(MOBILE, "u");
        *world.ambience.failure.lock().unwrap() = Some(failure);
        assert_eq!(world.send(MOBILE, "u"), Err(refusal));
        let after = world.send_snapshot(MOBILE, "u");
        assert_eq!(after.challenge.unwrap().value, before.challenge.unwrap().value, "with its wrong try");
        let quotas = [Quota::new(1, 3600), Quota::new(1, 86_400)];
        let wait = |tallies: &SendSnapshot| {
            let to_number = &tallies.tallies[&Subject::SendsTo(mobile(MOBILE))];
            to_number.wait(&quotas, world.service.clock.now())
        };
        let before = SendSnapshot { tallies: before.tallies, ..SendSnapshot::default() };
        let after = SendSnapshot { tallies: after.tallies, ..SendSnapshot::default() };
        assert_eq!(wait(&after), wait(&before), "the first message still counts, the second does not");
        *world.ambience.failure.lock().unwrap() = None;
        let parameters = BindParameters { verify: &code, ..BIND };
        assert!(world.bind(ClientType::H5, "u", &parameters).is_ok(), "the older code is good again");
        assert_eq!(world.send(MOBILE, "u"), Ok(()), "no interval was started");
    }
}

#[test]
fn a_message_that_may_have_left_counts() {
    let world = World::new();
    *world.ambience.failure.lock().unwrap() = Some(SendFailure::Unknown);
    assert_eq!(world.send(MOBILE, "u"), Err(Refusal::SmsUnknown));
    assert!(world.send_snapshot(MOBILE, "u").challenge.is_some());
    assert_eq!(world.send(MOBILE, "u"), Err(Refusal::SendTooSoon { wait: Duration::from_secs(60) }));
}

proptest! {
    /// Whatever the mode, what is counted is taken back, and nothing else.
    #[test]
    fn uncounting_gives_back_exactly_what_was_taken(mode in prop::sample::select(&MODES), logged_in: bool) {
        let account = versioned(person(1).0);
        let caller = logged_in.then(|| SessionSnapshot { session: session_of(account_id(1)), account });
        let snapshot = SendSnapshot { caller, ..SendSnapshot::default() };
        let permission = decide(&snapshot, &policy(mode), NOW).unwrap();
        let taken: Vec<Write> = counts(&permission)
            .into_iter()
            .map(|(subject, ..)| Write::Uncount { subject, at: NOW })
            .collect();
        prop_assert_eq!(permission.uncount().writes, taken);
    }

    /// The interval is always kept, whatever windows the operator gave the number's quotas, and only enforced quotas
    /// can conflict.
    #[test]
    fn only_enforced_quotas_are_kept(
        mode in prop::sample::select(&MODES),
        windows in prop::collection::btree_set(prop_oneof![Just(60_u64), 1_u64..100_000], 0..4),
    ) {
        let mut policy = policy(mode);
        policy.limits.sends_to_number = windows.iter().map(|&window| Quota::new(3, window)).collect();
        let permission = decide(&SendSnapshot::default(), &policy, NOW).unwrap();
        let interval = Quota { limit: 1, window: policy.send_interval, reserved: 0 };
        for (subject, kept, watched) in counts(&permission) {
            let to_number = subject == Subject::SendsTo(mobile(MOBILE));
            prop_assert_eq!(kept.contains(&interval), to_number);
            if mode != LimitMode::Enforce {
                prop_assert_eq!(kept.len(), usize::from(to_number));
            }
            let mut counted: Vec<Duration> = kept.iter().chain(&watched).map(|quota| quota.window).collect();
            counted.sort_unstable();
            let length = counted.len();
            counted.dedup();
            prop_assert_eq!(counted.len(), length, "one meter for each window");
        }
    }

    /// Whoever asks whenever, two messages to a number are an interval apart.
    #[test]
    fn messages_to_a_number_are_an_interval_apart(
        mode in prop::sample::select(&MODES),
        steps in prop::collection::vec((0_u64..70, prop::sample::select(vec!["u", "v", "w"])), 1..30),
    ) {
        let world = World::new();
        world.service.policy.change(|policy| policy.limits.mode = mode);
        let (mut now, mut last) = (0, None);
        for (seconds, uuid) in steps {
            world.advance(seconds);
            now += seconds;
            let rests = last.filter(|last| now < last + 60);
            match world.send(MOBILE, uuid) {
                Ok(()) => {
                    prop_assert_eq!(rests, None);
                    last = Some(now);
                }
                Err(Refusal::SendTooSoon { wait }) => {
                    prop_assert_eq!(rests.map(|last| last + 60 - now), Some(wait.as_secs()));
                }
                Err(refusal) => {
                    prop_assert_eq!((mode, rests), (LimitMode::Enforce, None));
                    let over = matches!(refusal, Refusal::SendLimit { .. });
                    prop_assert!(over, "{:?}", refusal);
                }
            }
        }
    }
}

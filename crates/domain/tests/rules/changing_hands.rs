//! Numbers that change hands: an account takes another number, and a number has another owner by now.

use std::time::Duration;

use mobile_bind_domain::audit::AuditAction;
use mobile_bind_domain::bind::{BindParameters, Decision};
use mobile_bind_domain::outbox::MessageState;
use mobile_bind_domain::policy::{NumberPolicy, Rebind, Recycled, TestNumber};
use mobile_bind_domain::ports::{LogInSnapshot, Purpose};
use mobile_bind_domain::tally::Meter;
use mobile_bind_domain::{
    Account, AccountStatus, Challenge, ChallengeKey, ClientType, Expectation, LimitMode, MessageKey, OutboxMessage,
    Quota, Refusal, Revision, Subject, Tally, Timestamp, VerificationCode, Versioned, Write,
};
use proptest::prelude::*;

use crate::support::scene::{
    ACCOUNT_REVISION, CHALLENGE_REVISION, NEW_ACCOUNT, NOTICE, Scene, challenge_key, log_in, versioned,
};
use crate::support::{
    BIND, CODE, MINI_BIND, MOBILE, NOW, OPENID, Person, UNIONID, WEIXIN, account_id, client, keys, mobile, person,
    weixin_of,
};

const OLD: &str = "13500135000";
const OLD_CODE: &str = "5521";
const OLD_REVISION: Revision = Revision(41);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn before(age: Duration) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() - u64::try_from(age.as_millis()).unwrap())
}

fn old_key() -> ChallengeKey {
    ChallengeKey { mobile: mobile(OLD), client: client("u") }
}

/// Somebody who has [`OLD`] since `age`, and binds [`MOBILE`].
fn mover(rebind: Rebind, age: Duration) -> Scene {
    let mut owner = person(1).mobile(OLD);
    owner.0.mobile_since = Some(before(age));
    let mut scene = Scene::new(ClientType::H5).logged_in(owner);
    scene.policy.numbers.rebind = rebind;
    scene
}

/// The same, with a code that was sent to the old number.
fn with_old_code(failures: u8) -> Scene {
    let mut scene = mover(Rebind::OldCode, DAY);
    let mac = keys().seal(&old_key(), &VerificationCode::from_digits(OLD_CODE).unwrap());
    let sent = Challenge { failures, ..Challenge::issue(mac, NOW, Duration::from_secs(600)) };
    scene.snapshot.former_challenge = Some(Versioned { revision: OLD_REVISION, value: sent });
    scene
}

const BOTH: BindParameters<'static> = BindParameters { old_verify: OLD_CODE, ..BIND };

#[test]
fn a_number_may_be_changed_unless_the_shop_says_otherwise() {
    let decision = mover(Rebind::Allow, Duration::ZERO).decide(&BIND);
    assert_eq!(decision.answer.unwrap().account.held_mobile(), Some(&mobile(MOBILE)));
    assert!(!decision.change.writes.iter().any(ends_sessions));
    assert_eq!(mover(Rebind::Deny, DAY).refused_with_the_code_left(&BIND), Refusal::NumberChangeDenied);
}

#[test]
fn an_account_without_a_number_may_take_one_under_any_rule() {
    for rebind in [Rebind::Allow, Rebind::OldCode, Rebind::Deny] {
        let mut scene = Scene::new(ClientType::H5).logged_in(person(1));
        scene.policy.numbers = NumberPolicy { rebind, cooling_off: DAY, ..NumberPolicy::default() };
        assert_eq!(scene.bound(&BIND).account.id, account_id(1));
    }
}

#[test]
fn the_old_numbers_code_is_wanted_and_the_new_ones_is_left() {
    let wanted = Refusal::OldCodeWanted { mobile: mobile(OLD) };
    assert_eq!(with_old_code(0).refused_with_the_code_left(&BIND), wanted);
    assert_eq!(
        with_old_code(0).decide(&BindParameters { verify: "0000", ..BOTH }).answer.unwrap_err(),
        Refusal::CodeWrong
    );
    assert!(!with_old_code(0).command(&BIND).query(&with_old_code(0).policy).former, "nothing to compare with");
    assert!(with_old_code(0).command(&BOTH).query(&with_old_code(0).policy).former);
    assert!(!mover(Rebind::Allow, DAY).command(&BOTH).query(&mover(Rebind::Allow, DAY).policy).former);
}

#[test]
fn both_codes_change_the_number_and_are_used_up() {
    let mut scene = with_old_code(0);
    let lasting = scene.policy.limits.failures_since_success[0].window;
    let meters = vec![Meter { window: lasting, events: vec![(NOW, 3)] }];
    scene.snapshot.tallies.insert(Subject::FailuresOn(mobile(OLD)), Tally { meters });
    let decision = scene.decide(&BOTH);
    let writes = &decision.change.writes;
    for (expected, key) in [(CHALLENGE_REVISION, challenge_key()), (OLD_REVISION, old_key())] {
        assert!(writes.contains(&Write::Challenge { expected, key, challenge: None }));
    }
    assert!(writes.contains(&Write::Forget { subject: Subject::FailuresOn(mobile(OLD)), window: lasting }));
    for number in [MOBILE, OLD] {
        let subject = Subject::FailuresOn(mobile(number));
        let room = |expected: &Expectation| matches!(expected, Expectation::Room { subject: of, .. } if *of == subject);
        assert!(decision.change.expectations.iter().any(room), "a right code is told only where a wrong one would be");
    }
    assert_eq!(decision.answer.unwrap().account.held_mobile(), Some(&mobile(MOBILE)));
}

#[test]
fn a_wrong_old_code_counts_on_the_old_number_and_leaves_the_new_ones_code() {
    let decision = with_old_code(1).decide(&BindParameters { old_verify: "5522", ..BOTH });
    assert_eq!(decision.answer.unwrap_err(), Refusal::OldCodeWrong);
    let unchanged = Expectation::Challenge(challenge_key(), CHALLENGE_REVISION);
    assert!(decision.change.expectations.contains(&unchanged));
    let counted = |write: &Write| match write {
        Write::Challenge { expected, key, challenge: Some(after) } => {
            *expected == OLD_REVISION && *key == old_key() && after.failures == 2
        }
        Write::Count { subject, .. } => *subject == Subject::FailuresOn(mobile(OLD)),
        _ => false,
    };
    assert_eq!(decision.change.writes.len(), 2);
    assert!(decision.change.writes.iter().all(counted), "{:?}", decision.change.writes);
}

#[test]
fn an_old_code_has_the_tries_and_the_limits_of_any() {
    let burnt = with_old_code(5).decide(&BOTH);
    assert_eq!(burnt.answer.unwrap_err(), Refusal::OldCodeExpired);
    let by_client = Subject::FailuresBy(client("u"));
    let counts = |write: &Write| matches!(write, Write::Count { subject, .. } if *subject == by_client);
    assert!(burnt.change.writes.iter().all(counts) && burnt.change.writes.len() == 1);

    let mut scene = with_old_code(0);
    let quota = Quota::new(20, 24 * 3600);
    let meters = vec![Meter { window: quota.window, events: vec![(NOW, 20)] }];
    scene.snapshot.tallies.insert(Subject::FailuresOn(mobile(OLD)), Tally { meters });
    let refusal = scene.refused_with_the_code_left(&BOTH);
    assert!(matches!(refusal, Refusal::TryLimit { wait, .. } if wait == quota.window), "{refusal:?}");
    scene.policy.limits.mode = LimitMode::Shadow;
    let watched = scene.decide(&BOTH);
    assert!(watched.answer.is_ok() && watched.observed.len() == 1);
}

#[test]
fn sessions_end_with_a_change_where_that_is_set() {
    let mut scene = mover(Rebind::Allow, DAY);
    scene.policy.numbers.revoke_on_change = true;
    let decision = scene.decide(&BIND);
    let ended = Write::EndSessions { account: account_id(1), except: Some(ClientType::H5) };
    let place = |wanted: &dyn Fn(&Write) -> bool| decision.change.writes.iter().position(wanted).unwrap();
    assert!(place(&|write| *write == ended) < place(&|write| matches!(write, Write::OpenSession(_))));
    let first = Scene::new(ClientType::H5).logged_in(person(1)).decide(&BIND);
    assert!(!first.change.writes.iter().any(ends_sessions), "a first number is no change");
}

/// The message to an old number that a decision stores.
fn told(decision: &Decision) -> Vec<&OutboxMessage> {
    let message = |write| match write {
        &Write::Message { expected: Revision::ABSENT, ref message } => Some(&**message),
        _ => None,
    };
    decision.change.writes.iter().filter_map(message).collect()
}

#[test]
fn the_number_that_an_account_leaves_is_told_and_nobody_waits_for_it() {
    let mut scene = mover(Rebind::Allow, DAY);
    assert!(told(&scene.decide(&BIND)).is_empty(), "not unless it is set");
    scene.policy.numbers.tell_old_number = true;
    let decision = scene.decide(&BIND);
    let [message] = told(&decision)[..] else { panic!("{:?}", decision.change) };
    assert_eq!(
        (&message.key, message.purpose),
        (&MessageKey { mobile: mobile(OLD), id: NOTICE }, Purpose::NumberChanged)
    );
    assert_eq!((message.state, &message.sealed, message.due_at), (MessageState::Queued, &None, Some(NOW)));

    let number = TestNumber { code: VerificationCode::from_digits("8246").unwrap(), until: NOW };
    scene.policy.test_numbers.insert(mobile(OLD), number);
    assert!(told(&scene.decide(&BIND)).is_empty(), "no message goes to a number for tests");
}

fn ends_sessions(write: &Write) -> bool {
    matches!(write, Write::EndSessions { .. })
}

/// The holder of [`MOBILE`], last seen so long ago, by whatever tells it.
fn silent(silence: Duration, told_by: Told) -> Scene {
    let mut holder = person(1).mobile(MOBILE);
    holder.0.added_at = before(DAY * 4000);
    let at = Some(before(silence));
    let mut scene = Scene::new(WEIXIN);
    match told_by {
        Told::Session => scene.snapshot.holder_used_at = at,
        Told::Noted => holder.0.seen_at = at,
        Told::Bound => holder.0.mobile_since = at,
        Told::Made => holder.0.added_at = before(silence),
    }
    scene.number_held_by(holder)
}

#[derive(Clone, Copy, Debug)]
enum Told {
    Session,
    Noted,
    Bound,
    Made,
}

fn recycled(rule: Recycled) -> Scene {
    let mut scene = silent(DAY * 100, Told::Session);
    scene.policy.numbers.recycled = rule;
    scene
}

#[test]
fn a_recycled_number_is_entered_and_other_client_types_are_logged_out() {
    let decision = recycled(Recycled::Enter).decide(&MINI_BIND);
    let ended = Write::EndSessions { account: account_id(1), except: Some(WEIXIN) };
    assert!(decision.change.writes.contains(&ended));
    let bound = decision.answer.unwrap();
    assert_eq!((bound.account.id, weixin_of(&bound.account).0), (account_id(1), Some(OPENID)));
}

/// His session, which is another record, would say so too late to whoever takes the number at that moment.
#[test]
fn whoever_comes_back_after_a_long_silence_is_noted_with_his_account() {
    let entered = recycled(Recycled::Enter).decide(&MINI_BIND);
    let written: Vec<(Revision, &Account)> = entered.change.writes.iter().filter_map(account_written).collect();
    assert_eq!((written.len(), written[0].1.seen_at), (1, Some(NOW)));
    for (silence, noted) in [(DAY * 100, true), (DAY * 10, false)] {
        for held in [true, false] {
            let mut owner = person(1).weixin(Some(OPENID), Some(UNIONID));
            owner.0.added_at = before(silence);
            let holder = Some(versioned(if held { owner.mobile(MOBILE).0 } else { owner.0 }));
            let change = log_in(&LogInSnapshot { identity_holder: holder, ..LogInSnapshot::default() }).change;
            let written: Vec<(Revision, &Account)> = change.writes.iter().filter_map(account_written).collect();
            let expected = (noted && held).then_some((Some(NOW), None));
            assert_eq!(
                written.first().map(|(_, account)| (account.seen_at, account.updated_at)),
                expected,
                "{silence:?}"
            );
        }
    }
}

#[test]
fn a_recycled_number_goes_to_a_new_account() {
    let scene = recycled(Recycled::Detach);
    assert!(scene.decide_without_id(&MINI_BIND).wanted.is_some());
    let decision = scene.decide(&MINI_BIND);
    let written: Vec<(Revision, &Account)> = decision.change.writes.iter().filter_map(account_written).collect();
    let [(old_revision, old), (new_revision, new)] = written[..] else { panic!("{written:?}") };
    assert_eq!((old_revision, old.id, &old.mobile), (ACCOUNT_REVISION, account_id(1), &None));
    assert_eq!((old.mobile_since, old.seen_at), (None, Some(before(DAY * 100))));
    assert_eq!((new_revision, new.id), (Revision::ABSENT, account_id(NEW_ACCOUNT)));
    assert_eq!((new.held_mobile(), weixin_of(new).0), (Some(&mobile(MOBILE)), Some(OPENID)));
    assert!(!decision.change.writes.iter().any(ends_sessions), "the old account stays its owner's");
    assert_eq!(decision.answer.unwrap().account.id, account_id(NEW_ACCOUNT));
}

fn account_written(write: &Write) -> Option<(Revision, &Account)> {
    match write {
        Write::Account { expected, account } => Some((*expected, account)),
        _ => None,
    }
}

#[test]
fn a_recycled_number_is_refused() {
    assert_eq!(recycled(Recycled::Refuse).refused_with_the_code_left(&MINI_BIND), Refusal::NumberRecycled);
    let mut never = recycled(Recycled::Refuse);
    never.policy.numbers.recycled_after = None;
    assert_eq!(never.bound(&MINI_BIND).account.id, account_id(1));
    assert!(!never.command(&MINI_BIND).query(&never.policy).holder_use);
}

#[test]
fn whom_something_leads_to_the_account_is_no_stranger() {
    for rule in [Recycled::Detach, Recycled::Refuse] {
        let by_openid = recycled(rule).openid_held_by(person(1).mobile(MOBILE).weixin(Some(OPENID), None));
        assert_eq!(by_openid.refused_with_the_code_left(&MINI_BIND), Refusal::HeldByCaller);
        let by_token = recycled(rule).logged_in(person(1).mobile(MOBILE));
        assert_eq!(by_token.bound(&MINI_BIND).account.id, account_id(1));
    }
}

#[test]
fn a_disabled_account_keeps_its_number() {
    for rule in [Recycled::Enter, Recycled::Detach, Recycled::Refuse] {
        let mut scene = recycled(rule);
        let disabled = Person(scene.snapshot.mobile_holder.clone().unwrap().value).status(AccountStatus::Disabled);
        scene = scene.number_held_by(disabled);
        assert_eq!(scene.refused_with_the_code_left(&MINI_BIND), Refusal::AccountDisabled);
    }
}

proptest! {
    /// Until the cooling-off is over, and not a moment longer, a number is kept; nothing but the time matters.
    #[test]
    fn a_number_is_kept_for_as_long_as_it_is_said(age in 0_u64..200_000, rest in 0_u64..200_000) {
        let mut scene = mover(Rebind::Allow, Duration::from_millis(age));
        scene.policy.numbers.cooling_off = Duration::from_millis(rest);
        let decision = scene.decide(&BIND);
        match decision.answer {
            Ok(bound) => prop_assert!(age >= rest && bound.account.held_mobile() == Some(&mobile(MOBILE))),
            Err(refusal) => {
                let wait = Duration::from_millis(rest.saturating_sub(age));
                prop_assert!(age < rest);
                prop_assert_eq!(refusal, Refusal::NumberChangedLately { wait });
                prop_assert!(decision.change.writes.is_empty());
            }
        }
    }

    /// An old number is told exactly where the bind takes it from its account: never on a refusal, a first number or a log-in.
    #[test]
    fn a_number_is_told_exactly_when_its_account_leaves_it(
        owner in prop_oneof![Just(None), Just(Some(OLD)), Just(Some(MOBILE))],
        by_token: bool,
        rebind in prop_oneof![Just(Rebind::Allow), Just(Rebind::Deny), Just(Rebind::OldCode)],
        verify in prop_oneof![Just(CODE), Just("0000")],
    ) {
        let account = |number: Option<&str>| number.map_or_else(|| person(1), |number| person(1).mobile(number));
        let mut scene = Scene::new(ClientType::H5);
        if by_token {
            scene = scene.logged_in(account(owner));
        }
        if owner == Some(MOBILE) {
            scene = scene.number_held_by(account(owner));
        }
        scene.policy.numbers = NumberPolicy { rebind, tell_old_number: true, ..NumberPolicy::default() };
        let decision = scene.decide(&BindParameters { verify, ..BIND });
        let leaves = decision.answer.is_ok() && by_token && owner == Some(OLD);
        let told: Vec<_> = told(&decision).iter().map(|message| message.key.mobile.clone()).collect();
        prop_assert_eq!(told, if leaves { vec![mobile(OLD)] } else { Vec::new() });
    }

    /// Under `old_code` nobody changes his number who does not know both codes, and whoever does, does.
    #[test]
    fn both_codes_or_nothing(verify in prop_oneof![Just(CODE), Just("0000")], old_verify in prop_oneof![Just(OLD_CODE), Just("0000"), Just("")], failures in 0_u8..6) {
        let scene = with_old_code(failures);
        let decision = scene.decide(&BindParameters { verify, old_verify, ..BIND });
        let both = verify == CODE && old_verify == OLD_CODE && failures < 5;
        prop_assert_eq!(decision.answer.is_ok(), both);
        prop_assert_eq!(decision.change.writes.iter().any(|write| matches!(write, Write::Account { .. })), both);
    }

    /// A number counts as recycled exactly from the day on that is set, whatever tells when its owner was seen last.
    #[test]
    fn silence_counts_from_when_the_owner_was_seen(
        days in 1_u32..400,
        silence in 0_u64..400 * 24,
        told_by in prop_oneof![Just(Told::Session), Just(Told::Noted), Just(Told::Bound), Just(Told::Made)],
        rule in prop_oneof![Just(Recycled::Enter), Just(Recycled::Detach), Just(Recycled::Refuse)],
    ) {
        let mut scene = silent(Duration::from_secs(silence * 3600), told_by);
        scene.policy.numbers.recycled = rule;
        scene.policy.numbers.recycled_after = Some(DAY * days);
        let decision = scene.decide(&MINI_BIND);
        let is_recycled = silence >= u64::from(days) * 24;
        prop_assert_eq!(decision.change.writes.iter().any(ends_sessions), is_recycled && rule == Recycled::Enter);
        let expected = match rule {
            Recycled::Detach if is_recycled => Ok(account_id(NEW_ACCOUNT)),
            Recycled::Refuse if is_recycled => Err(Refusal::NumberRecycled),
            _ => Ok(account_id(1)),
        };
        prop_assert_eq!(decision.answer.map(|bound| bound.account.id), expected);
    }
}

/// What an audit has of it: over the service, since the events are made there.
#[test]
fn the_audit_tells_who_lost_a_number_and_whose_sessions_ended() {
    use crate::support::world::{World, ready};
    let world = World::new();
    world.service.policy.change(|policy| policy.numbers.recycled = Recycled::Detach);
    world.send_and_bind(ClientType::H5, "u", &BIND).unwrap();
    world.advance(91 * 24 * 3600);
    let new = world.send_and_bind(ClientType::H5, "v", &BIND).unwrap();
    world.service.policy.change(|policy| policy.numbers.recycled = Recycled::Enter);
    world.advance(91 * 24 * 3600);
    world.send_and_bind(ClientType::Pc, "w", &BIND).unwrap();
    let audit = mobile_bind_domain::ports::Store::audit(&*world.store);
    let node = ready(audit.audit_nodes()).unwrap()[0];
    let events = ready(audit.audit_events(node, 0, 100)).unwrap();
    let events: Vec<_> = events.iter().map(|event| event.event().unwrap()).collect();
    let told: Vec<(AuditAction, u64)> = events
        .iter()
        .filter(|event| event.action != AuditAction::Send)
        .map(|event| (event.action, event.account.unwrap().get()))
        .collect();
    let (old, new) = (1, new.account.id.get());
    let expected = [
        (AuditAction::Create, old),
        (AuditAction::Detach, old),
        (AuditAction::Create, new),
        (AuditAction::Revoke, new),
        (AuditAction::Enter, new),
    ];
    assert_eq!(told, expected);
}

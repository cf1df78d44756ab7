//! Messages on their way: what is sent again after a node ended, and what never is.

use std::time::Duration;

use mobile_bind_domain::bind::BindParameters;
use mobile_bind_domain::outbox::{
    Attempt, AttemptOutcome, DeliveryReceipt, DeliveryState, Due, MessageState, SendStatus,
};
use mobile_bind_domain::policy::OutboxPolicy;
use mobile_bind_domain::ports::{Content, Outgoing, Purpose, Relay, SendFailure, Store, Trail};
use mobile_bind_domain::service::Heard;
use mobile_bind_domain::{ClientType, OutboxMessage, Refusal, Timestamp};
use proptest::prelude::*;

use crate::support::world::{World, ready};
use crate::support::{BIND, MOBILE, NOW, mobile, requester};

const RECEIPT_WITHIN: Duration = Duration::from_secs(30);

fn waits_for_receipts() -> OutboxPolicy {
    OutboxPolicy { receipt_within: Some(RECEIPT_WITHIN), ..OutboxPolicy::default() }
}

fn last(world: &World) -> OutboxMessage {
    ready(world.store.messages_to(&mobile(MOBILE), 1)).unwrap().remove(0).value
}

fn receipt(state: DeliveryState) -> DeliveryReceipt {
    DeliveryReceipt { provider: "p".to_owned(), reference: "r".to_owned(), state, error: "E1".to_owned() }
}

fn hear(world: &World, state: DeliveryState) -> Heard {
    ready(world.outbox.hear(&receipt(state))).unwrap()
}

/// What a sweep takes and sends; answers how many it sent and how many it settled.
fn sweep(world: &World) -> (usize, usize) {
    let (to_send, settled) = ready(world.outbox.take_due(9)).unwrap();
    let numbers = (to_send.len(), settled.len());
    for outgoing in to_send {
        ready(world.outbox.relay(outgoing)).ok();
    }
    numbers
}

fn sent(world: &World) -> Vec<String> {
    world
        .ambience
        .outbox
        .lock()
        .unwrap()
        .iter()
        .filter_map(|message| message.content.code())
        .map(|code| code.digits().to_owned())
        .collect()
}

/// A message in each state that asking providers can leave it in.
fn accepted(message: &OutboxMessage, policy: &OutboxPolicy) -> OutboxMessage {
    message.asked(vec![Attempt::new("p", Ok("r"), NOW)], NOW, policy)
}

#[test]
fn a_message_is_stored_before_it_leaves_and_its_code_is_gone_once_it_is_accepted() {
    let world = World::new();
    *world.ambience.failure.lock().unwrap() = Some(SendFailure::Unknown);
    world.send(MOBILE, "u").unwrap_err();
    let lost = last(&world);
    assert_eq!((lost.state, lost.sealed, lost.due_at), (MessageState::Unknown, None, None), "it is not sent again");
    world.advance(60);
    *world.ambience.failure.lock().unwrap() = None;
    world.send(MOBILE, "u").unwrap();
    let message = last(&world);
    assert_eq!((message.state, message.sealed, message.due_at), (MessageState::Accepted, None, None));
    assert_eq!(message.attempts.len(), 1);
}

#[test]
fn what_was_left_behind_is_sent_with_the_same_code_and_once() {
    let mut world = World::new();
    world.forget_to_relay();
    world.send(MOBILE, "u").unwrap();
    let queued = last(&world);
    assert_eq!((queued.state, sent(&world).len()), (MessageState::Queued, 0));
    assert_eq!(sweep(&world), (0, 0), "it is in its own node's hands");
    world.advance(10);
    assert_eq!(sweep(&world), (1, 0));
    assert_eq!(last(&world).state, MessageState::Accepted);
    world.advance(3_600);
    assert_eq!((sweep(&world), sent(&world).len()), ((0, 0), 1), "never again");
    let code = sent(&world).remove(0);
    // The clock went on for too long; the same world, in time.
    let mut world = World::new();
    world.forget_to_relay();
    world.send(MOBILE, "u").unwrap();
    world.advance(10);
    sweep(&world);
    let verify = sent(&world).remove(0);
    assert_eq!(verify, code, "codes are drawn alike");
    assert!(world.bind(ClientType::H5, "u", &BindParameters { verify: &verify, ..BIND }).is_ok());
}

#[test]
fn a_code_that_is_worth_nothing_is_not_sent() {
    let mut world = World::new();
    world.forget_to_relay();
    world.send(MOBILE, "u").unwrap();
    world.advance(541);
    assert_eq!(sweep(&world), (0, 1));
    let message = last(&world);
    assert_eq!((message.state, &*message.error, message.sealed), (MessageState::Failed, "expired", None));
    assert!(sent(&world).is_empty());
}

#[test]
fn a_message_that_was_handed_over_when_its_node_ended_may_have_left() {
    let mut world = World::new();
    world.forget_to_relay();
    world.send(MOBILE, "u").unwrap();
    world.hand_over(&last(&world));
    world.advance(10);
    assert_eq!(sweep(&world), (0, 1));
    let message = last(&world);
    assert_eq!((message.state, message.sealed, message.due_at), (MessageState::Unknown, None, None));
    world.advance(60);
    assert_eq!((sweep(&world), sent(&world).len()), ((0, 0), 0));
}

#[test]
fn where_receipts_are_waited_for_the_same_code_goes_out_once_more() {
    let mut world = World::new();
    world.set_outbox(waits_for_receipts());
    world.send(MOBILE, "u").unwrap();
    assert!(last(&world).sealed.is_some(), "the code is kept until then");
    world.advance(29);
    assert_eq!(sweep(&world), (0, 0));
    world.advance(1);
    assert_eq!(sweep(&world), (1, 0));
    let codes = sent(&world);
    assert_eq!((codes.len(), codes[0] == codes[1]), (2, true));
    assert_eq!(last(&world).attempts.len(), 2);
}

#[test]
fn nothing_is_due_once_no_provider_is_left_to_ask() {
    let mut world = World::new();
    let policy = waits_for_receipts();
    world.set_outbox(policy);
    world.send(MOBILE, "u").unwrap();
    let Due::Send(again) = last(&world).due(NOW, &policy) else { panic!("it is sent once more") };
    let message = again.asked(vec![Attempt::new("", Err(SendFailure::Unavailable), NOW)], NOW, &policy);
    assert_eq!((message.state, message.sealed, message.due_at), (MessageState::Accepted, None, None));
}

#[test]
fn a_provider_that_did_not_take_it_for_now_is_asked_again_and_its_last_answer_counts() {
    let policy = waits_for_receipts();
    let mut world = World::new();
    world.forget_to_relay();
    world.send(MOBILE, "u").unwrap();
    let lied = last(&world).asked(vec![Attempt::new("main", Ok("1"), NOW)], NOW, &policy);
    let busy = lied.asked(vec![Attempt::new("spare", Err(SendFailure::Limited), NOW)], NOW, &policy);
    assert!(busy.sealed.is_some() && busy.due_at.is_some(), "it is asked once more");
    let trail = Trail::after(&busy.attempts);
    assert_eq!(["main", "spare"].map(|name| trail.asked_before(name)), [true, false]);
    let again = busy.asked(vec![Attempt::new("spare", Err(SendFailure::Unavailable), NOW)], NOW, &policy);
    assert_eq!(again.attempts.len(), 2);
    let taken = again.asked(vec![Attempt::new("spare", Ok("2"), NOW)], NOW, &policy);
    let known: Vec<_> = taken.attempts.iter().map(|attempt| (&*attempt.provider, attempt.outcome)).collect();
    assert_eq!(known, [("main", AttemptOutcome::Accepted), ("spare", AttemptOutcome::Accepted)]);
}

#[test]
fn a_node_that_was_too_slow_leaves_a_message_to_others() {
    let mut world = World::new();
    world.forget_to_relay();
    world.send(MOBILE, "u").unwrap();
    let found = ready(world.store.messages_to(&mobile(MOBILE), 1)).unwrap().remove(0);
    let code = mobile_bind_domain::VerificationCode::from_digits("0944").unwrap();
    world.advance(10);
    let outgoing = Outgoing {
        message: found.value,
        revision: found.revision,
        content: Content::Code(code),
        permission: None,
        span: tracing::Span::none(),
    };
    assert_eq!(ready(world.outbox.relay(outgoing)), Ok(()));
    assert!(sent(&world).is_empty());
}

#[test]
fn receipts_advance_a_message_and_never_take_it_back() {
    let world = World::new();
    world.answer_with_reference("p", "r");
    world.send(MOBILE, "u").unwrap();
    assert_eq!(hear(&world, DeliveryState::Pending), Heard::Nothing);
    assert!(matches!(hear(&world, DeliveryState::Failed), Heard::Advanced(_)));
    assert_eq!((last(&world).state, &*last(&world).error), (MessageState::Failed, "E1"));
    assert!(matches!(hear(&world, DeliveryState::Delivered), Heard::Advanced(_)), "the phone knows better");
    for state in [DeliveryState::Delivered, DeliveryState::Failed, DeliveryState::Pending] {
        assert_eq!(hear(&world, state), Heard::Nothing);
    }
    assert_eq!((last(&world).state, &*last(&world).error), (MessageState::Delivered, ""));
    let other = DeliveryReceipt { reference: "s".to_owned(), ..receipt(DeliveryState::Delivered) };
    assert_eq!(ready(world.outbox.hear(&other)).unwrap(), Heard::NoSuchMessage);
    let none = DeliveryReceipt { reference: String::new(), ..receipt(DeliveryState::Delivered) };
    assert_eq!(ready(world.outbox.hear(&none)).unwrap(), Heard::NoSuchMessage);
}

#[test]
fn a_refused_message_is_failed_and_gives_its_place_back() {
    let world = World::new();
    *world.ambience.failure.lock().unwrap() = Some(SendFailure::Limited);
    assert_eq!(world.send(MOBILE, "u"), Err(Refusal::SmsLimited));
    let message = last(&world);
    assert_eq!((message.state, &*message.error, message.sealed), (MessageState::Failed, "limited", None));
    *world.ambience.failure.lock().unwrap() = None;
    assert_eq!(world.send(MOBILE, "u"), Ok(()));
}

/// A world in which an account has left [`MOBILE`] for another number, and nobody has told it yet.
fn number_left() -> World {
    let world = World::new();
    world.service.policy.change(|policy| policy.numbers.tell_old_number = true);
    let first = world.send_and_bind(ClientType::H5, "u", &BIND).unwrap();
    world.advance(60);
    let token = first.token.expose().to_owned();
    world.send_and_bind(ClientType::H5, "u", &BindParameters { mobile: OTHER, token: &token, ..BIND }).unwrap();
    world
}

fn notices(world: &World) -> usize {
    let outbox = world.ambience.outbox.lock().unwrap();
    outbox.iter().filter(|message| message.content == Content::NumberChanged).count()
}

const OTHER: &str = "13500135000";

#[test]
fn an_old_number_is_told_once_by_whoever_comes_first() {
    let world = number_left();
    assert_eq!((last(&world).purpose, notices(&world)), (Purpose::NumberChanged, 0), "the bind waits for nothing");
    world.answer_with_reference("p", "r");
    assert_eq!(sweep(&world), (1, 0));
    assert_eq!((last(&world).state, notices(&world)), (MessageState::Accepted, 1));
    assert!(matches!(hear(&world, DeliveryState::Delivered), Heard::Advanced(_)), "receipts find it");
    world.advance(24 * 3600);
    assert_eq!((sweep(&world), notices(&world)), ((0, 0), 1));
}

#[test]
fn an_old_number_is_told_later_where_no_provider_takes_it_for_now() {
    let world = number_left();
    *world.ambience.failure.lock().unwrap() = Some(SendFailure::Limited);
    for _ in 0..3 {
        assert_eq!(sweep(&world), (1, 0));
        assert_eq!((last(&world).state, last(&world).attempts.len()), (MessageState::HandedOver, 1));
        assert_eq!(sweep(&world), (0, 0), "not at once");
        world.advance(600);
    }
    *world.ambience.failure.lock().unwrap() = None;
    assert_eq!((sweep(&world), last(&world).state, notices(&world)), ((1, 0), MessageState::Accepted, 1));
}

#[test]
fn an_old_number_is_not_told_after_a_day_nor_where_the_number_was_refused() {
    let world = number_left();
    *world.ambience.failure.lock().unwrap() = Some(SendFailure::Unavailable);
    sweep(&world);
    world.advance(24 * 3600);
    assert_eq!(sweep(&world), (0, 1));
    assert_eq!((last(&world).state, &*last(&world).error), (MessageState::Failed, "expired"));

    let world = number_left();
    *world.ambience.failure.lock().unwrap() = Some(SendFailure::Refused);
    sweep(&world);
    assert_eq!((last(&world).state, last(&world).due_at), (MessageState::Failed, None));
}

#[test]
fn what_an_old_number_is_told_is_nothing_that_its_client_asked_for() {
    let world = number_left();
    sweep(&world);
    let status = ready(world.service.send_status(&requester(ClientType::H5, "u"), MOBILE));
    assert_eq!(status, Ok(SendStatus::Accepted), "that of the code");
    let elsewhere = ready(world.service.send_status(&requester(ClientType::H5, "v"), MOBILE));
    assert_eq!(elsewhere, Err(Refusal::CodeExpired));
}

#[derive(Clone, Debug)]
enum Step {
    Asked(Result<(), SendFailure>),
    Heard(DeliveryState),
    Due(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let failures =
        [SendFailure::Refused, SendFailure::Limited, SendFailure::Unavailable, SendFailure::Unknown].to_vec();
    prop_oneof![
        Just(Step::Asked(Ok(()))),
        prop::sample::select(failures).prop_map(|failure| Step::Asked(Err(failure))),
        prop::sample::select(vec![DeliveryState::Delivered, DeliveryState::Failed, DeliveryState::Pending])
            .prop_map(Step::Heard),
        (0_u64..700).prop_map(Step::Due),
    ]
}

proptest! {
    /// Whatever happens in whatever order: what was delivered stays so; what is accepted is not sent again, unless receipts
    /// are waited for; and a code is kept only where it may still be sent.
    #[test]
    fn a_message_never_goes_back(steps in prop::collection::vec(step(), 1..12), waits: bool, has_code: bool) {
        let policy = if waits { waits_for_receipts() } else { OutboxPolicy::default() };
        let mut world = World::new();
        world.set_outbox(policy);
        world.forget_to_relay();
        world.send(MOBILE, "u").unwrap();
        let mut message = last(&world);
        if !has_code {
            let OutboxMessage { key, client, language, .. } = message;
            message = OutboxMessage::of_number_changed(key, client, language, NOW, &policy);
        }
        for step in steps {
            let before = message.clone();
            match step.clone() {
                Step::Asked(outcome) => {
                    message = message.asked(vec![Attempt::new("p", outcome.map(|()| "r"), NOW)], NOW, &policy);
                }
                Step::Heard(state) => message = message.heard(&receipt(state), NOW).unwrap_or(message),
                Step::Due(after) => {
                    let now: Timestamp = NOW.after(Duration::from_secs(after));
                    match message.due(now, &policy) {
                        Due::Send(next) => {
                            prop_assert_eq!(before.sealed.is_some(), has_code);
                            let known = matches!(before.state, MessageState::Accepted | MessageState::Unknown);
                            prop_assert!(!known || waits, "{:?}", before);
                            prop_assert!(now < before.expires_at);
                            message = next;
                        }
                        Due::Settle(next) => message = next,
                    }
                }
            }
            // What its client is told is settled once, and whether the phone is there is not told by it.
            if before.send_status() == SendStatus::Accepted || matches!(step, Step::Heard(_)) {
                prop_assert_eq!(message.send_status(), before.send_status());
            }
            if before.state == MessageState::Delivered {
                prop_assert_eq!(message.state, MessageState::Delivered);
            }
            let has = |outcome| before.attempts.iter().any(|attempt| attempt.outcome == outcome);
            if has(AttemptOutcome::Accepted) {
                prop_assert!(message.state >= MessageState::Accepted);
            }
            let final_state = matches!(message.state, MessageState::Failed | MessageState::Delivered);
            prop_assert!(!final_state || message.sealed.is_none() && message.due_at.is_none(), "{:?}", message);
            prop_assert!(message.sealed.is_none() || message.due_at.is_some());
            prop_assert!(message.state >= before.state);
        }
        let kept = accepted(&message, &policy);
        prop_assert!(kept.sealed.is_none() || waits);
    }
}

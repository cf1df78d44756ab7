//! The guards: what is kept for owners, how far guessing gets, what a captcha helps with, and what a stranger cannot learn.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use mobile_bind_domain::bind::BindParameters;
use mobile_bind_domain::ports::{
    AuditTrail, BindQuery, BindSnapshot, CaptchaResponse, CommitError, LogInQuery, LogInSnapshot, Purged, SendQuery,
    SendSnapshot, SessionSnapshot, Store, StoreError, StoreFacts,
};
use mobile_bind_domain::send::{self, CaptchaState, Circumstances, Permission, Send, SendParameters};
use mobile_bind_domain::{
    Account, AccountId, Change, ClientType, Expectation, Guard, MessageKey, Mobile, OutboxMessage, Policy, Proof,
    ProofId, Quota, Refusal, Revision, Session, SessionId, SpentMark, Subject, Tally, Timestamp, VerificationCode,
    Versioned, Write,
};
use proptest::prelude::*;

use crate::support::scene::{Scene, challenge_key, session_of, versioned};
use crate::support::world::{World, ready};
use crate::support::{BIND, CODE, MINI_BIND, MOBILE, NOW, OPENID, WEIXIN, keys, mobile, person, requester};

const DAY: u64 = 86_400;

fn tally(subject: Subject, quotas: &[Quota], times: u32) -> HashMap<Subject, Tally> {
    let mut tally = Tally::default();
    (0..times).for_each(|_| tally.add(quotas.iter(), NOW));
    HashMap::from([(subject, tally)])
}

fn failures(times: u32) -> HashMap<Subject, Tally> {
    let limits = Policy::default().limits;
    let quotas = [limits.failures_on_number, limits.failures_since_success].concat();
    tally(Subject::FailuresOn(mobile(MOBILE)), &quotas, times)
}

fn is_over(scene: &Scene, parameters: &BindParameters<'_>) -> bool {
    matches!(scene.decide(parameters).answer, Err(Refusal::TryLimit { guard: Guard::Failures, .. }))
}

/// Strangers have ten of the twenty, whoever the number may belong to all of them.
#[test]
fn half_of_a_numbers_failures_is_kept_for_its_owner() {
    let strangers = Scene::new(ClientType::H5).number_held_by(person(1).mobile(MOBILE));
    let owner = strangers.clone().logged_in(person(1).mobile(MOBILE));
    let other = strangers.clone().logged_in(person(2).mobile("13500135000"));
    let owner_by_openid = Scene::new(WEIXIN)
        .number_held_by(person(1).mobile(MOBILE))
        .openid_held_by(person(1).mobile(MOBILE).weixin(Some(OPENID), None));
    let mut unproved = owner_by_openid.clone();
    unproved.proved = false;
    unproved.policy.platform_proof = mobile_bind_domain::PlatformProof::Trust;
    let nobodys = Scene::new(ClientType::H5);
    for (name, mut scene, parameters, room) in [
        ("stranger", strangers, BIND, 10),
        ("owner", owner, BIND, 20),
        ("somebody else", other, BIND, 10),
        ("owner by openid", owner_by_openid, MINI_BIND, 20),
        ("an openid on trust", unproved, MINI_BIND, 10),
        ("nobody's number", nobodys, BIND, 10),
    ] {
        scene.snapshot.tallies = failures(room - 1);
        assert!(!is_over(&scene, &parameters), "{name}");
        scene.snapshot.tallies = failures(room);
        assert!(is_over(&scene, &parameters), "{name}");
        scene.policy.limits.keep_half_for_owners = false;
        scene.snapshot.tallies = failures(19);
        assert!(!is_over(&scene, &parameters), "{name}, where nothing is kept");
    }
}

pub(crate) fn decide_send(snapshot: &SendSnapshot, captcha: CaptchaState) -> Result<Permission, Refusal> {
    let mut policy = Policy::default();
    policy.limits.conversion_mode = mobile_bind_domain::LimitMode::Enforce;
    let parameters = SendParameters { mobile: MOBILE, ..SendParameters::default() };
    let command = Send::parse(requester(ClientType::H5, "u"), &parameters, None, &policy, &keys()).unwrap();
    let mac = keys().seal(&challenge_key(), &VerificationCode::from_digits("1234").unwrap());
    send::decide(snapshot, &command, mac, &policy, &Circumstances { captcha, now: NOW.after(Duration::from_secs(60)) })
}

#[test]
fn half_of_a_numbers_messages_and_of_the_budget_is_kept_for_its_owner() {
    let caller =
        |account: Account| Some(SessionSnapshot { session: session_of(account.id), account: versioned(account) });
    let owner = || caller(person(1).mobile(MOBILE).0);
    let other = || caller(person(2).mobile("13500135000").0);
    let hour = [Quota::new(5, 3600)];
    let budget = [Quota::new(100_000, DAY)];
    for (subject, quotas, strangers, all) in
        [(Subject::SendsTo(mobile(MOBILE)), hour, 3, 5), (Subject::Sends, budget, 50_000, 100_000)]
    {
        for (caller, room) in [(None, strangers), (other(), strangers), (owner(), all)] {
            for (times, fits) in [(room - 1, true), (room, false)] {
                let tallies = tally(subject.clone(), &quotas, times);
                let snapshot = SendSnapshot { caller: caller.clone(), tallies, ..SendSnapshot::default() };
                let decided = decide_send(&snapshot, CaptchaState::Unavailable);
                assert_eq!(decided.is_ok(), fits, "{subject:?} {times}");
            }
        }
    }
}

#[test]
fn a_captcha_is_asked_for_where_many_may_be_meant_and_only_there() {
    let address = Subject::SendsFrom(requester(ClientType::H5, "u").address);
    let full = |subject, quota: Quota, times| SendSnapshot {
        tallies: tally(subject, &[quota], times),
        ..SendSnapshot::default()
    };
    let hour = |limit| Quota::new(limit, 3600);
    for (subject, quota, guard) in
        [(address, hour(30), Guard::Address), (Subject::SendsToRange(mobile(MOBILE).range()), hour(60), Guard::Range)]
    {
        let at = |times, captcha| decide_send(&full(subject.clone(), quota, times), captcha).map(|_| ());
        let limit = quota.limit;
        assert!(at(limit - 1, CaptchaState::Open).is_ok());
        assert!(
            matches!(at(limit, CaptchaState::Open), Err(Refusal::CaptchaWanted { guard: asks, .. }) if asks == guard)
        );
        assert!(
            matches!(at(limit, CaptchaState::Unavailable), Err(Refusal::SendLimit { guard: full, .. }) if full == guard)
        );
        assert!(at(limit * 10 - 1, CaptchaState::Solved).is_ok());
        assert!(matches!(at(limit * 10, CaptchaState::Solved), Err(Refusal::SendLimit { .. })), "even people");
    }
    let to_number = full(Subject::SendsTo(mobile(MOBILE)), hour(5), 5);
    for captcha in [CaptchaState::Open, CaptchaState::Solved] {
        let refused = decide_send(&to_number, captcha).unwrap_err();
        assert!(matches!(refused, Refusal::SendLimit { guard: Guard::Number, .. }), "{refused:?}");
    }
}

#[test]
fn addresses_that_many_share_have_more() {
    let mut policy = Policy::default();
    policy.limits.shared_addresses = vec!["192.0.2.0/24".parse().unwrap()];
    let shared = requester(ClientType::H5, "u").address;
    let other = std::net::IpAddr::from([203, 0, 113, 1]).into();
    assert_eq!(policy.limits.sends_from(shared), policy.limits.sends_from_shared_address);
    assert_eq!(policy.limits.sends_from(other), policy.limits.sends_from_address);
}

#[test]
fn a_success_ends_what_is_counted_since_the_last_one_and_not_the_days() {
    let mut scene = Scene::new(ClientType::H5);
    let forgets = |scene: &Scene| -> Vec<Duration> {
        let forgotten = |write: &Write| match write {
            Write::Forget { subject, window } => {
                assert_eq!(*subject, Subject::FailuresOn(mobile(MOBILE)));
                Some(*window)
            }
            _ => None,
        };
        scene.decide(&BIND).change.writes.iter().filter_map(forgotten).collect()
    };
    assert!(forgets(&scene).is_empty(), "nothing is written where nothing was counted");
    scene.snapshot.tallies = failures(3);
    assert_eq!(forgets(&scene), [Duration::from_secs(365 * DAY)]);
}

#[test]
fn a_right_code_is_only_told_so_while_a_wrong_one_would_be() {
    let scene = Scene::new(ClientType::H5);
    let quotas = [Quota::new(20, DAY), Quota::new(100, 365 * DAY)].map(Quota::for_strangers).to_vec();
    let room = Expectation::Room { subject: Subject::FailuresOn(mobile(MOBILE)), at: NOW, kept: quotas };
    assert!(scene.decide(&BIND).change.expectations.contains(&room));
    let held = scene.number_held_by(person(1).mobile(MOBILE)).logged_in(person(2));
    assert_eq!(held.decide(&BIND).answer.unwrap_err(), Refusal::HeldByOther);
    assert!(held.decide(&BIND).change.expectations.contains(&room));
}

/// What a guesser gets in so many days who asks for a new code whenever he may, and tries what he may: how many wrong codes
/// are compared for the number.
fn guess(world: &World, days: u64) -> u32 {
    let (mut tried, mut waited) = (0, 0);
    while waited < days * DAY {
        let _ = world.send(MOBILE, "guesser");
        let wrong = BindParameters { verify: "wrong", ..BIND };
        while let Err(Refusal::CodeWrong) = world.bind(ClientType::H5, "guesser", &wrong) {
            tried += 1;
        }
        world.advance(300);
        waited += 300;
    }
    tried
}

/// The odds that `docs/guards.md` states: of a stranger who guesses at one number, with codes of four and of six digits.
#[test]
fn a_guesser_has_ten_tries_a_day_and_fifty_in_all() {
    assert_eq!(guess(&World::new(), 1), 10);
    let world = World::new();
    assert_eq!(guess(&world, 10), 50);
    for (digits, a_day, in_all) in [(4_i32, 0.001, 0.005), (6, 0.000_01, 0.000_05)] {
        let codes = 10_f64.powi(digits);
        assert!((10.0 / codes - a_day).abs() < 1e-12 && (50.0 / codes - in_all).abs() < 1e-12);
    }
    let refused = world.bind(ClientType::H5, "guesser", &BIND).unwrap_err();
    assert!(matches!(refused, Refusal::CodeExpired | Refusal::TryLimit { .. }), "{refused:?}");
}

#[test]
fn a_message_for_a_number_that_waits_says_how_long() {
    let mut scene = Scene::new(ClientType::H5);
    scene.snapshot.tallies = failures(10);
    let Err(Refusal::TryLimit { wait, .. }) = scene.decide(&BIND).answer else { panic!("it is over") };
    assert_eq!(wait, Duration::from_secs(DAY));
}

proptest! {
    /// Whatever the rhythm, no day has more wrong codes compared than the quota.
    #[test]
    fn no_day_exceeds_its_failures(steps in prop::collection::vec((0_u64..7200, 1_u32..8), 1..60)) {
        let world = World::new();
        let mut at = 0;
        let mut compared: Vec<u64> = Vec::new();
        for (seconds, tries) in steps {
            world.advance(seconds);
            at += seconds;
            let _ = world.send(MOBILE, "u");
            for _ in 0..tries {
                let wrong = world.bind(ClientType::H5, "u", &BindParameters { verify: "wrong", ..BIND });
                if wrong.unwrap_err() == Refusal::CodeWrong {
                    compared.push(at);
                }
            }
            prop_assert!(compared.iter().filter(|&&then| then + DAY > at).count() <= 10);
        }
    }
}

/// Counts what is asked of the store.
#[derive(Default)]
struct Counted {
    calls: Mutex<Vec<&'static str>>,
    writes: AtomicUsize,
}

struct CountingStore<S>(S, Counted);

impl<S> CountingStore<S> {
    fn note(&self, call: &'static str) {
        self.1.calls.lock().unwrap().push(call);
    }
}

#[async_trait]
impl<S: Store> Store for CountingStore<S> {
    async fn load_send(&self, query: &SendQuery) -> Result<SendSnapshot, StoreError> {
        self.note("load_send");
        self.0.load_send(query).await
    }

    async fn load_bind(&self, query: &BindQuery) -> Result<BindSnapshot, StoreError> {
        self.note("load_bind");
        self.0.load_bind(query).await
    }

    async fn load_session(&self, id: SessionId) -> Result<Option<SessionSnapshot>, StoreError> {
        self.note("load_session");
        self.0.load_session(id).await
    }

    async fn allot_account_id(&self) -> Result<AccountId, StoreError> {
        self.note("allot_account_id");
        self.0.allot_account_id().await
    }

    async fn commit(&self, change: Change) -> Result<Revision, CommitError> {
        self.note("commit");
        self.1.writes.fetch_add(change.writes.len() * 100 + change.expectations.len(), Ordering::Relaxed);
        self.0.commit(change).await
    }

    async fn account(&self, id: AccountId) -> Result<Option<Versioned<Account>>, StoreError> {
        self.0.account(id).await
    }

    async fn account_of(&self, mobile: &Mobile) -> Result<Option<Versioned<Account>>, StoreError> {
        self.0.account_of(mobile).await
    }

    fn audit(&self) -> &dyn AuditTrail {
        self.0.audit()
    }

    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Versioned<Account>>, StoreError> {
        self.0.accounts(after, limit).await
    }

    async fn sessions_of(&self, account: AccountId) -> Result<Vec<Session>, StoreError> {
        self.0.sessions_of(account).await
    }

    async fn purge(&self, now: Timestamp, sessions_before: Timestamp, limit: usize) -> Result<Purged, StoreError> {
        self.0.purge(now, sessions_before, limit).await
    }

    async fn load_log_in(&self, query: &LogInQuery) -> Result<LogInSnapshot, StoreError> {
        self.note("load_log_in");
        self.0.load_log_in(query).await
    }

    async fn message(&self, key: &MessageKey) -> Result<Option<Versioned<OutboxMessage>>, StoreError> {
        self.note("message");
        self.0.message(key).await
    }

    async fn messages_to(&self, mobile: &Mobile, limit: usize) -> Result<Vec<Versioned<OutboxMessage>>, StoreError> {
        self.0.messages_to(mobile, limit).await
    }

    async fn message_by_reference(
        &self,
        provider: &str,
        reference: &str,
    ) -> Result<Option<Versioned<OutboxMessage>>, StoreError> {
        self.0.message_by_reference(provider, reference).await
    }

    async fn messages(
        &self,
        after: Option<&MessageKey>,
        limit: usize,
    ) -> Result<Vec<Versioned<OutboxMessage>>, StoreError> {
        self.0.messages(after, limit).await
    }

    async fn due_messages(&self, now: Timestamp, limit: usize) -> Result<Vec<Versioned<OutboxMessage>>, StoreError> {
        self.0.due_messages(now, limit).await
    }

    async fn proofs(&self, after: Option<ProofId>, limit: usize) -> Result<Vec<(ProofId, Proof)>, StoreError> {
        self.0.proofs(after, limit).await
    }

    async fn spent(&self, after: Option<SpentMark>, limit: usize) -> Result<Vec<(SpentMark, Timestamp)>, StoreError> {
        self.0.spent(after, limit).await
    }

    fn facts(&self) -> StoreFacts {
        self.0.facts()
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.0.check().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.0.close().await
    }
}

/// Everything that a stranger does without a right code, and what it cost: the same whether or not the number has an account.
fn probe(held: bool) -> (Vec<String>, Vec<&'static str>, usize, u64) {
    let mut world = World::new();
    if held {
        world.put(person(1).mobile(MOBILE).0);
    }
    let store =
        std::sync::Arc::new(CountingStore(mobile_bind_memory::MemoryStore::reopened(&world.store), Counted::default()));
    world.service.store = store.clone();
    let mut answers = vec![format!("{:?}", world.send(MOBILE, "u").err())];
    for verify in ["wrong", "0000", "1"] {
        answers.push(format!("{:?}", world.bind(ClientType::H5, "u", &BindParameters { verify, ..BIND }).err()));
        answers.push(format!("{:?}", world.bind(ClientType::H5, "v", &BindParameters { verify, ..BIND }).err()));
    }
    answers.push(format!("{:?}", world.send(MOBILE, "v").err()));
    let macs = world.service.keys.uses();
    let calls = store.1.calls.lock().unwrap().clone();
    (answers, calls, store.1.writes.load(Ordering::Relaxed), macs)
}

#[test]
fn a_stranger_cannot_tell_whether_a_number_has_an_account() {
    let (held, free) = (probe(true), probe(false));
    assert_eq!(held, free, "the same answers, calls of the store, writes and MACs");
    assert!(held.1.len() > 8 && held.3 > 3 && !held.1.contains(&"allot_account_id"), "{held:?}");
}

#[test]
fn captcha_responses_are_not_shown() {
    assert!(!format!("{:?}", CaptchaResponse::new("secret").unwrap()).contains("secret"));
    assert!(ready(async { CaptchaResponse::new("").is_none() }));
    assert_eq!(CODE.len(), 4);
}

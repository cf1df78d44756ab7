//! The service over a store, held to the reference.

#![expect(clippy::expect_used, reason = "a step that cannot be taken is a failed case, which proptest reports")]

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use mobile_bind_domain::bind::BindParameters;
use mobile_bind_domain::policy::{NumberPolicy, Recycled, SessionPolicy};
use mobile_bind_domain::ports::Store;
use mobile_bind_domain::service::LoggedIn;
use mobile_bind_domain::{
    Account, AccountId, AccountStatus, Change, ClientType, CodeKey, CodeKeys, Guards, Installation, KeyId, Language,
    LimitMode, Outbox, Platform, PlatformProof, Policy, Refusal, Requester, SendParameters, Service, Write,
};
use mobile_bind_sealing::AeadSealer;
use proptest_state_machine::StateMachineTest;
use tokio::runtime::{Builder, Runtime};

use super::ambience::Ambience;
use super::interleaved::Interleaved;
use super::reference::{
    self, Answer, CODE_LIFETIME, COOLING_OFF, Delivery, INACTIVITY, Kind, LIFETIME, Person, REFRESH, REPEAT, REST,
    Reference, SILENCE, TRIES,
};
use super::steps::{self, Request, ShopAct, Step, Story};
use crate::contract::{StoreUnderTest, reopen};

/// The state machine test over one store.
pub struct Model<S>(PhantomData<S>);

/// The service, and every state of the world that explains its answers.
pub struct System<S> {
    runtime: Runtime,
    under_test: S,
    ambience: Arc<Ambience>,
    store: Arc<Interleaved>,
    service: Arc<Service>,
    possible: Vec<Reference>,
    tokens: Vec<String>,
}

impl<S: StoreUnderTest + 'static> StateMachineTest for Model<S> {
    type SystemUnderTest = System<S>;
    type Reference = Story;

    fn init_test(_: &Story) -> System<S> {
        System::new()
    }

    fn apply(mut system: System<S>, _: &Story, step: Step) -> System<S> {
        match step {
            Step::Send(client, number, delivery) => system.send(client, number, delivery),
            Step::Calls(calls, schedule) => {
                let requests = steps::requests(&calls, system.any_possible(), &system.tokens);
                system.store.follow(schedule);
                system.call(&requests);
                system.store.follow(0);
            }
            Step::Advance(seconds) => {
                system.ambience.advance(seconds);
                system.possible.iter_mut().for_each(|reference| reference.advance(seconds));
            }
            Step::Reopen => system = system.reopened(),
            Step::Purge(limit, all) => {
                let more = || system.wait(system.service.purge(limit)).expect("purged").more;
                let calls = if all { 10_000 } else { 1 };
                assert!((0..calls).any(|_| !more()) || !all, "there was always more to forget");
            }
            Step::Shop(index, act) => system.shop(index, act),
        }
        system.look_at_everything();
        system
    }
}

impl<S: StoreUnderTest + 'static> System<S> {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let under_test = S::empty().expect("an empty store");
        let ambience = Arc::new(Ambience::default());
        let store = runtime.block_on(under_test.open()).expect("an open store");
        let (store, service) = service_over(&ambience, store);
        let possible = vec![Reference::default()];
        Self { runtime, under_test, ambience, store, service, possible, tokens: Vec::new() }
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    fn any_possible(&self) -> &Reference {
        self.possible.first().expect("a possible state")
    }

    fn reopened(self) -> Self {
        let Self { runtime, under_test, ambience, store, service, possible, tokens } = self;
        drop(service);
        let store = runtime.block_on(reopen(&under_test, store)).expect("opened again");
        let (store, service) = service_over(&ambience, store);
        Self { runtime, under_test, ambience, store, service, possible, tokens }
    }

    fn send(&mut self, client: &'static str, number: &'static str, delivery: Delivery) {
        self.ambience.deliver(delivery);
        let sent =
            self.wait(self.service.send_code(
                requester(client, Kind::H5),
                &SendParameters { mobile: number, ..SendParameters::default() },
            ));
        let answer = sent.map_or_else(Answer::Refused, |()| Answer::Done);
        self.keep(&format!("a send answered {answer:?}"), |reference| {
            reference.send(client, number, delivery) == answer
        });
        let codes: Vec<(String, String)> = self
            .ambience
            .take_messages()
            .iter()
            .filter_map(|message| {
                Some((message.mobile.as_str().to_owned(), message.content.code()?.digits().to_owned()))
            })
            .collect();
        let left = matches!(answer, Answer::Done | Answer::Refused(Refusal::SmsUnknown));
        let expected = self.any_possible().codes_sent(number, client).filter(|_| left);
        let expected: Vec<_> = expected.map(|(code, _)| (number.to_owned(), code.clone())).into_iter().collect();
        assert_eq!(codes, expected, "the messages that left");
    }

    /// Starts all requests together, and keeps the states to which some order of them leads with these answers.
    fn call(&mut self, requests: &[Request]) {
        let tasks: Vec<_> = requests
            .iter()
            .map(|request| self.runtime.spawn(answer(Arc::clone(&self.service), request.clone())))
            .collect();
        let answers: Vec<Answer> = tasks.into_iter().map(|task| self.wait(task).expect("an answer")).collect();
        let calls: Vec<(&Request, &Answer)> = requests.iter().zip(&answers).collect();
        let mut reached = BTreeSet::new();
        for reference in &self.possible {
            explain(reference, &calls, &mut reached);
        }
        assert!(!reached.is_empty(), "no order explains {calls:#?} after {:#?}", self.possible);
        self.possible = reached.into_iter().collect();
        for answer in answers {
            if let Answer::LoggedIn { token, .. } = answer
                && !self.tokens.contains(&token)
            {
                self.tokens.push(token);
            }
        }
    }

    fn shop(&mut self, index: usize, act: ShopAct) {
        let Some(id) = steps::nth_account(self.any_possible(), index) else { return };
        let id_of_account = AccountId::new(id).expect("an id");
        let found = self.wait(self.service.store.account(id_of_account)).expect("read").expect("an account");
        let mut account = found.value;
        match act {
            ShopAct::Disable => account.status = AccountStatus::Disabled,
            ShopAct::Enable => account.status = AccountStatus::Normal,
            ShopAct::Delete => account.deleted_at = Some(self.service.clock.now()),
        }
        let write = Write::Account { expected: found.revision, account: Box::new(account) };
        let change = Change { expectations: Vec::new(), writes: vec![write] };
        self.wait(self.service.store.commit(change)).expect("committed");
        self.possible.iter_mut().for_each(|reference| reference.change(id, |person| act.apply(person)));
    }

    /// The accounts, what they hold, and every token ever given.
    fn look_at_everything(&mut self) {
        let accounts = self.wait(self.service.store.accounts(None, usize::MAX)).expect("accounts");
        let accounts: Vec<Account> = accounts.into_iter().map(|account| account.value).collect();
        held_once(&accounts);
        let people: BTreeMap<u64, Person> =
            accounts.iter().map(|account| (account.id.get(), person(account))).collect();
        self.keep(&format!("the accounts are {people:#?}"), |reference| *reference.people() == people);
        for token in self.tokens.clone() {
            let found = logged_in(self.wait(self.service.look_up(&token)));
            self.keep(&format!("a look-up answered {found:?}"), |reference| reference.look_up(&token) == found);
        }
    }

    /// Keeps the states that explain what was seen.
    fn keep(&mut self, seen: &str, mut explains: impl FnMut(&mut Reference) -> bool) {
        let before = self.possible.clone();
        self.possible.retain_mut(|reference| explains(reference));
        assert!(!self.possible.is_empty(), "{seen}, but it was {before:#?}");
    }
}

/// Adds to `reached` where every order of the calls leads that gives these very answers.
fn explain(reference: &Reference, calls: &[(&Request, &Answer)], reached: &mut BTreeSet<Reference>) {
    if calls.is_empty() {
        reached.insert(reference.clone());
    }
    for (index, &(request, answer)) in calls.iter().enumerate() {
        // Which of two equal calls comes first makes no difference.
        if calls.iter().take(index).any(|&(earlier, same)| (earlier, same) == (request, answer)) {
            continue;
        }
        let mut next = reference.clone();
        let expected = match request {
            Request::Bind(request) => match answer {
                Answer::LoggedIn { id, token, .. } => next.bind(request, *id, token),
                _ => next.bind(request, 0, ""),
            },
            Request::LogOut(token) => next.log_out(token),
        };
        if expected == *answer {
            let mut others = calls.to_vec();
            others.remove(index);
            explain(&next, &others, reached);
        }
    }
}

/// No number, openid or unionid is held by two.
fn held_once(accounts: &[Account]) {
    let mut held = BTreeSet::new();
    for account in accounts {
        if let Some(mobile) = account.held_mobile() {
            assert!(held.insert(mobile.as_str().to_owned()), "{mobile} is held twice");
        }
        for identity in account.held_identities() {
            let name = format!("{} {} {}", identity.platform.name(), identity.app.as_str(), identity.openid.as_str());
            assert!(held.insert(name.clone()), "{name} is held twice");
        }
        for (platform, unionid) in account.held_unionids() {
            let name = format!("{} unionid {}", platform.name(), unionid.as_str());
            assert!(held.insert(name.clone()), "{name} is held twice");
        }
    }
}

async fn answer(service: Arc<Service>, request: Request) -> Answer {
    match request {
        Request::Bind(request) => bind(&service, &request).await,
        Request::LogOut(token) => service.log_out(&token).await.map_or_else(Answer::Refused, |()| Answer::Done),
    }
}

async fn bind(service: &Service, request: &reference::Request) -> Answer {
    let parameters = BindParameters {
        mobile: request.number,
        verify: &request.verify,
        nickname: request.nickname,
        openid: request.openid,
        unionid: request.unionid,
        token: &request.token,
        ..BindParameters::default()
    };
    logged_in(service.bind(requester(request.client, request.kind), &parameters).await)
}

fn logged_in(result: Result<LoggedIn, Refusal>) -> Answer {
    result.map_or_else(Answer::Refused, |LoggedIn { account, token }| Answer::LoggedIn {
        id: account.id.get(),
        person: person(&account),
        token: token.expose().to_owned(),
    })
}

fn person(account: &Account) -> Person {
    let openids = account.identities.iter().map(|(platform, identity)| {
        let kind = if *platform == Platform::Weixin { Kind::Weixin } else { Kind::Alipay };
        let openid = identity.openid.as_ref().map_or("", |openid| openid.as_str());
        let unionid = identity.unionid.as_ref().map_or("", |unionid| unionid.as_str());
        (kind, (openid.to_owned(), unionid.to_owned()))
    });
    Person {
        number: account.mobile.as_ref().map(|mobile| mobile.as_str().to_owned()),
        nickname: account.profile.nickname.as_str().to_owned(),
        openids: openids.collect(),
        disabled: account.status == AccountStatus::Disabled,
        deleted: account.deleted_at.is_some(),
    }
}

fn requester(client: &str, kind: Kind) -> Requester {
    let client_type = match kind {
        Kind::Pc => ClientType::Pc,
        Kind::H5 => ClientType::H5,
        Kind::Weixin => ClientType::MiniProgram(Platform::Weixin),
        Kind::Alipay => ClientType::MiniProgram(Platform::Alipay),
    };
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)).into();
    Requester {
        client_type,
        installation: Installation::new(client),
        address,
        language: Language::Zh,
        request: Default::default(),
    }
}

/// With the quotas off: the interval, the tries and whose code it is always stand.
fn service_over(ambience: &Arc<Ambience>, store: Arc<dyn Store>) -> (Arc<Interleaved>, Arc<Service>) {
    let seconds = Duration::from_secs;
    let mut policy = Policy { platform_proof: PlatformProof::Trust, ..Policy::default() };
    policy.limits.mode = LimitMode::Off;
    policy.send_interval = seconds(REST);
    policy.code_lifetime = seconds(CODE_LIFETIME);
    policy.tries_per_code = TRIES;
    policy.repeat_window = seconds(REPEAT);
    policy.session =
        SessionPolicy { inactivity: seconds(INACTIVITY), absolute: seconds(LIFETIME), refresh_after: seconds(REFRESH) };
    policy.numbers = NumberPolicy {
        cooling_off: seconds(COOLING_OFF),
        revoke_on_change: true,
        recycled: Recycled::Detach,
        recycled_after: Some(seconds(SILENCE)),
        ..NumberPolicy::default()
    };
    let key = CodeKey::new(KeyId::new("model").expect("a key id"), [7; 32]);
    let store = Arc::new(Interleaved::new(store));
    let keys = CodeKeys::new(key, Vec::new());
    let sealer = Arc::new(AeadSealer::new(keys.derived(b"outbox"), ambience.clone()).expect("a key"));
    let outbox = Outbox {
        store: store.clone(),
        sms: ambience.clone(),
        sealer: sealer.clone(),
        clock: ambience.clone(),
        policy: policy.outbox,
        attempts: policy.attempts,
    };
    let service = Service {
        platforms: Arc::new(mobile_bind_domain::ports::NoPlatforms),
        audit: Default::default(),
        store: store.clone(),
        relay: Arc::new(outbox),
        sealer,
        clock: ambience.clone(),
        randomness: ambience.clone(),
        codes: ambience.clone(),
        tokens: ambience.clone(),
        keys,
        policy: policy.into(),
        guards: Guards::default(),
    };
    (store, Arc::new(service))
}

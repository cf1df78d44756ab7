//! The service over a store, held to the reference.

#![expect(clippy::expect_used, reason = "a step that cannot be taken is a failed case, which proptest reports")]

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use mobile_bind_domain::bind::BindParameters;
use mobile_bind_domain::service::{LoggedIn, PlatformLogIn};
use mobile_bind_domain::{
    Account, AccountId, AccountStatus, Change, Platform, Refusal, SendParameters, Service, Write,
};
use proptest_state_machine::StateMachineTest;
use tokio::runtime::{Builder, Runtime};

use super::ambience::Ambience;
use super::interleaved::Interleaved;
use super::reference::{self, Answer, Delivery, Kind, LogInRequest, Person, Reference, Rules};
use super::service::{requester, service_over};
use super::steps::{self, Known, Request, ShopAct, Step, Story};
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
    known: Known,
}

impl<S: StoreUnderTest + 'static> StateMachineTest for Model<S> {
    type SystemUnderTest = System<S>;
    type Reference = Story;

    fn init_test(story: &Story) -> System<S> {
        System::under(story.rules())
    }

    fn apply(mut system: System<S>, _: &Story, step: Step) -> System<S> {
        match step {
            Step::Send(client, number, delivery) => system.send(client, number, delivery),
            Step::Calls(calls, schedule) => {
                let requests = steps::requests(&calls, system.any_possible(), &system.known);
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
    fn under(rules: Rules) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let under_test = S::empty().expect("an empty store");
        let ambience = Arc::new(Ambience::default());
        let store = runtime.block_on(under_test.open()).expect("an open store");
        let (store, service) = service_over(&ambience, store, rules);
        let possible = vec![Reference::under(rules)];
        Self { runtime, under_test, ambience, store, service, possible, known: Known::default() }
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    fn any_possible(&self) -> &Reference {
        self.possible.first().expect("a possible state")
    }

    fn reopened(self) -> Self {
        let rules = self.any_possible().rules();
        let Self { runtime, under_test, ambience, store, service, possible, known } = self;
        drop(service);
        let store = runtime.block_on(reopen(&under_test, store)).expect("opened again");
        let (store, service) = service_over(&ambience, store, rules);
        Self { runtime, under_test, ambience, store, service, possible, known }
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
            explain(reference, reference, &calls, &mut reached);
        }
        assert!(!reached.is_empty(), "no order explains {calls:#?} after {:#?}", self.possible);
        self.possible = reached.into_iter().collect();
        for answer in &answers {
            self.known.learn(answer);
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
        for token in self.known.tokens.clone() {
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

/// Adds to `reached` where every order of the calls leads that gives these very answers. All began at `begun`.
fn explain(begun: &Reference, reference: &Reference, calls: &[(&Request, &Answer)], reached: &mut BTreeSet<Reference>) {
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
            Request::Bind(request) => {
                let (id, token) = match answer {
                    Answer::LoggedIn { id, token, .. } => (*id, token.as_str()),
                    _ => (0, ""),
                };
                let expected = next.bind(request, id, token);
                if expected == *answer {
                    expected
                } else {
                    next = reference.clone();
                    next.bind_as_begun(begun, request, id, token)
                }
            }
            Request::LogOut(token) => next.log_out(token),
            Request::LogIn(request) => match answer {
                Answer::Vouched { entered, ticket } => {
                    next.log_in(request, entered.as_ref().map_or("", |(.., token)| token), ticket)
                }
                _ => next.log_in(request, "", ""),
            },
        };
        if expected == *answer {
            let mut others = calls.to_vec();
            others.remove(index);
            explain(begun, &next, &others, reached);
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
        Request::LogIn(request) => log_in(&service, &request).await,
    }
}

async fn log_in(service: &Service, request: &LogInRequest) -> Answer {
    let answered = service.log_in(requester(request.client, request.kind), &request.code()).await;
    answered.map_or_else(Answer::Refused, |PlatformLogIn { account, ticket, .. }| Answer::Vouched {
        entered: account
            .map(|LoggedIn { account, token }| (account.id.get(), person(&account), token.expose().to_owned())),
        ticket: ticket.expose().to_owned(),
    })
}

async fn bind(service: &Service, request: &reference::Request) -> Answer {
    let parameters = BindParameters {
        mobile: request.number,
        verify: &request.verify,
        nickname: request.nickname,
        openid: request.openid,
        unionid: request.unionid,
        token: &request.token,
        old_verify: &request.old_verify,
        auth_ticket: &request.ticket,
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

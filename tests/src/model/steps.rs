//! What people do, from small pools, so that they meet.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest_state_machine::ReferenceStateMachine;

use super::reference::{self, Answer, Delivery, Kind, Person, Reference};

const CLIENTS: [&str; 3] = ["a", "b", "c"];
const NUMBERS: [&str; 3] = ["17602128368", "17602128369", "13500135000"];

/// How a code is guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guess {
    /// The code that was sent last.
    Right,
    /// The one before it.
    Older,
    /// Another.
    Wrong,
    /// Something that a loose comparison takes for the right one.
    Loose,
}

/// A bind, as far as it does not depend on what was answered before.
#[derive(Clone, Debug)]
pub struct Bind {
    client: &'static str,
    kind: Kind,
    number: &'static str,
    guess: Guess,
    openid: &'static str,
    unionid: &'static str,
    nickname: &'static str,
    token: Option<usize>,
}

impl Bind {
    /// The request, given what was sent, and the tokens known by now.
    #[must_use]
    pub fn request(&self, reference: &Reference, tokens: &[String]) -> reference::Request {
        let nothing = (String::new(), String::new());
        let (last, older) = reference.codes_sent(self.number, self.client).unwrap_or(&nothing);
        let wrong = || format!("{:04}", (last.parse::<u32>().unwrap_or_default() + 1) % 10_000);
        let verify = match self.guess {
            Guess::Right if !last.is_empty() => last.clone(),
            Guess::Older if !older.is_empty() => older.clone(),
            Guess::Loose => format!("0{last}"),
            Guess::Right | Guess::Older | Guess::Wrong => wrong(),
        };
        reference::Request {
            client: self.client,
            kind: self.kind,
            number: self.number,
            verify,
            openid: self.openid,
            unionid: self.unionid,
            nickname: self.nickname,
            token: token(self.token, tokens),
        }
    }
}

/// One of the tokens known by now; nothing where none is meant or known.
#[must_use]
pub fn token(index: Option<usize>, tokens: &[String]) -> String {
    index.and_then(|index| tokens.get(index % tokens.len().max(1))).cloned().unwrap_or_default()
}

/// What can run together with others.
#[derive(Clone, Debug)]
pub enum Call {
    /// A bind.
    Bind(Bind),
    /// The very same bind as the one before it in the group.
    Again,
    /// A log-out.
    LogOut(usize),
}

/// What the shop does to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShopAct {
    /// Disables it.
    Disable,
    /// Enables it.
    Enable,
    /// Deletes it.
    Delete,
}

/// One step.
#[derive(Clone, Debug)]
pub enum Step {
    /// A code is asked for.
    Send(&'static str, &'static str, Delivery),
    /// One call, or several at once, which step aside for each other as this schedule says.
    Calls(Vec<Call>, u64),
    /// Seconds go by.
    Advance(u64),
    /// The process ends and starts again.
    Reopen,
    /// What has ended is forgotten, in calls that look at no more than so many records: one, or as many as it takes.
    Purge(usize, bool),
    /// The shop changes the nth account.
    Shop(usize, ShopAct),
}

fn place() -> BoxedStrategy<(&'static str, &'static str)> {
    (select(&NUMBERS[..]), select(&CLIENTS[..])).boxed()
}

/// Rather where there is a code than anywhere.
fn likely_place(reference: &Reference) -> BoxedStrategy<(&'static str, &'static str)> {
    let places = reference.places();
    if places.is_empty() { place() } else { prop_oneof![1 => place(), 5 => select(places)].boxed() }
}

fn bind(reference: &Reference) -> impl Strategy<Value = Bind> + use<> {
    let guess = prop_oneof![
        12 => Just(Guess::Right),
        2 => Just(Guess::Wrong),
        1 => Just(Guess::Older),
        1 => Just(Guess::Loose),
    ];
    let kind = select(vec![Kind::H5, Kind::Pc, Kind::Weixin, Kind::Weixin, Kind::Alipay]);
    let openid = select(vec!["o1", "o2", "o1", "o2", "O1", ""]);
    let unionid = select(vec!["", "u1", "u2"]);
    let token = prop::option::weighted(0.6, 0_usize..6);
    let who = (likely_place(reference), kind, guess);
    (who, openid, unionid, select(vec!["", "n1", "n2"]), token).prop_map(|(who, openid, unionid, nickname, token)| {
        let ((number, client), kind, guess) = who;
        Bind { client, kind, number, guess, openid, unionid, nickname, token }
    })
}

fn calls(reference: &Reference) -> impl Strategy<Value = Vec<Call>> + use<> {
    let call = prop_oneof![
        6 => bind(reference).prop_map(Call::Bind),
        1 => Just(Call::Again),
        3 => (0_usize..6).prop_map(Call::LogOut),
    ];
    let first = bind(reference).prop_map(Call::Bind);
    (first, prop::collection::vec(call, 1..4)).prop_map(|(first, mut others)| {
        others.insert(0, first);
        others
    })
}

/// Right codes for several numbers or clients at once, by one person: of one openid, or one token, which may be ended too.
fn rivals(reference: &Reference) -> BoxedStrategy<Vec<Call>> {
    let places = reference.places();
    if places.len() < 2 {
        return calls(reference).boxed();
    }
    let kind = select(vec![Kind::H5, Kind::H5, Kind::Weixin]);
    let token = prop::option::weighted(0.6, 0_usize..6);
    let most = places.len().min(3);
    let who = (subsequence(places, 2..=most), kind, select(vec!["o1", "o2"]), token, any::<bool>());
    who.prop_map(|(places, kind, openid, token, ends)| {
        let bind = |(number, client)| {
            let (guess, unionid, nickname) = (Guess::Right, "", "");
            Call::Bind(Bind { client, kind, number, guess, openid, unionid, nickname, token })
        };
        let ended = token.filter(|_| ends).map(Call::LogOut);
        places.into_iter().map(bind).chain(ended).collect()
    })
    .boxed()
}

/// Wrong codes at once, about as many as a code stands, and a right one among them.
fn guesses(reference: &Reference) -> impl Strategy<Value = Vec<Call>> + use<> {
    let right = prop::option::weighted(0.5, 0_usize..4);
    (likely_place(reference), 3_usize..=6, right).prop_map(|((number, client), times, right)| {
        let guess = |guess| {
            let (kind, openid, unionid, nickname, token) = (Kind::H5, "", "", "", None);
            Call::Bind(Bind { client, kind, number, guess, openid, unionid, nickname, token })
        };
        let mut calls = vec![guess(Guess::Wrong); times];
        if let Some(place) = right.and_then(|index| calls.get_mut(index)) {
            *place = guess(Guess::Right);
        }
        calls
    })
}

/// A call, given the codes and tokens known by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A bind.
    Bind(reference::Request),
    /// A log-out of that token.
    LogOut(String),
}

/// The requests of a group, in its order.
#[must_use]
pub fn requests(calls: &[Call], reference: &Reference, tokens: &[String]) -> Vec<Request> {
    let mut last: Option<reference::Request> = None;
    let mut requests = Vec::new();
    for call in calls {
        match call {
            Call::Bind(bind) => requests.push(Request::Bind(last.insert(bind.request(reference, tokens)).clone())),
            Call::Again => requests.extend(last.clone().map(Request::Bind)),
            Call::LogOut(index) => requests.push(Request::LogOut(token(Some(*index), tokens))),
        }
    }
    requests
}

/// What steps are generated from: a reference to which everything happens one after the other.
#[derive(Clone, Debug, Default)]
pub struct Story {
    reference: Reference,
    tokens: Vec<String>,
}

impl Story {
    fn call(&mut self, request: &Request) {
        match request {
            Request::Bind(request) => {
                let id = u64::try_from(self.reference.people().len() + 1).unwrap_or(u64::MAX);
                let token = format!("token {}", self.tokens.len());
                if let Answer::LoggedIn { token: given, .. } = self.reference.bind(request, id, &token)
                    && given == token
                {
                    self.tokens.push(token);
                }
            }
            Request::LogOut(token) => drop(self.reference.log_out(token)),
        }
    }
}

impl ReferenceStateMachine for Story {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(story: &Self) -> BoxedStrategy<Step> {
        let delivery =
            prop_oneof![8 => Just(Delivery::Sent), 1 => Just(Delivery::Refused), 1 => Just(Delivery::Unknown)];
        let send = (place(), delivery).prop_map(|((number, client), delivery)| Step::Send(client, number, delivery));
        let advance = select(vec![1, 5, 9, 10, 59, 60, 60, 60, 299, 300, 599, 600, 1799, 1800]).prop_map(Step::Advance);
        let act = select(vec![ShopAct::Disable, ShopAct::Enable, ShopAct::Delete]);
        prop_oneof![
            8 => send,
            10 => bind(&story.reference).prop_map(|bind| Step::Calls(vec![Call::Bind(bind)], 0)),
            6 => (rivals(&story.reference), 1_u64..).prop_map(|(calls, schedule)| Step::Calls(calls, schedule)),
            2 => (guesses(&story.reference), any::<u64>()).prop_map(|(calls, schedule)| Step::Calls(calls, schedule)),
            6 => (calls(&story.reference), 1_u64..).prop_map(|(calls, schedule)| Step::Calls(calls, schedule)),
            1 => (0_usize..6).prop_map(|index| Step::Calls(vec![Call::LogOut(index)], 0)),
            6 => advance,
            1 => Just(Step::Reopen),
            1 => (1_usize..20, any::<bool>()).prop_map(|(limit, all)| Step::Purge(limit, all)),
            1 => (0_usize..4, act).prop_map(|(index, act)| Step::Shop(index, act)),
        ]
        .boxed()
    }

    fn apply(mut story: Self, step: &Step) -> Self {
        match step {
            Step::Send(client, number, delivery) => drop(story.reference.send(client, number, *delivery)),
            Step::Calls(calls, _) => {
                for request in requests(calls, &story.reference, &story.tokens) {
                    story.call(&request);
                }
            }
            Step::Advance(seconds) => story.reference.advance(*seconds),
            Step::Reopen | Step::Purge(..) => {}
            Step::Shop(index, act) => {
                if let Some(id) = nth_account(&story.reference, *index) {
                    story.reference.change(id, |person| act.apply(person));
                }
            }
        }
        story
    }
}

/// One of the accounts that there are.
#[must_use]
pub fn nth_account(reference: &Reference, index: usize) -> Option<u64> {
    let people = reference.people();
    people.keys().nth(index % people.len().max(1)).copied()
}

impl ShopAct {
    /// The account after it.
    pub fn apply(self, person: &mut Person) {
        match self {
            Self::Disable => person.disabled = true,
            Self::Enable => person.disabled = false,
            Self::Delete => person.deleted = true,
        }
    }
}

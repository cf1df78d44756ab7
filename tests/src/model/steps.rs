//! What people do, from small pools, so that they meet.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest_state_machine::ReferenceStateMachine;

use super::reference::{self, Answer, Delivery, Kind, LogInRequest, Person, Rebind, Reference, Rules};

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
    /// A guess at the code that was sent to that number, the one of before.
    old: Option<(&'static str, Guess)>,
    ticket: Option<usize>,
}

impl Bind {
    /// One that says no more than it must.
    fn plain(client: &'static str, kind: Kind, number: &'static str, guess: Guess) -> Self {
        let (openid, unionid, nickname) = ("", "", "");
        Self { client, kind, number, guess, openid, unionid, nickname, token: None, old: None, ticket: None }
    }

    /// The request, given what was sent, and what is known by now.
    #[must_use]
    pub fn request(&self, reference: &Reference, known: &Known) -> reference::Request {
        let guessed = |number, guess| guessed(reference, number, self.client, guess);
        reference::Request {
            client: self.client,
            kind: self.kind,
            number: self.number,
            verify: guessed(self.number, self.guess),
            openid: self.openid,
            unionid: self.unionid,
            nickname: self.nickname,
            token: one_of(self.token, &known.tokens),
            old_verify: self.old.map(|(number, guess)| guessed(number, guess)).unwrap_or_default(),
            ticket: one_of(self.ticket, &known.tickets),
        }
    }
}

fn guessed(reference: &Reference, number: &'static str, client: &'static str, guess: Guess) -> String {
    let nothing = (String::new(), String::new());
    let (last, older) = reference.codes_sent(number, client).unwrap_or(&nothing);
    match guess {
        Guess::Right if !last.is_empty() => last.clone(),
        Guess::Older if !older.is_empty() => older.clone(),
        Guess::Loose => format!("0{last}"),
        Guess::Right | Guess::Older | Guess::Wrong => {
            format!("{:04}", (last.parse::<u32>().unwrap_or_default() + 1) % 10_000)
        }
    }
}

/// What clients were given by now.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The tokens.
    pub tokens: Vec<String>,
    /// The tickets.
    pub tickets: Vec<String>,
}

impl Known {
    /// Keeps what an answer gives.
    pub fn learn(&mut self, answer: &Answer) {
        let (token, ticket) = match answer {
            Answer::LoggedIn { token, .. } => (Some(token), None),
            Answer::Vouched { entered, ticket } => (entered.as_ref().map(|(.., token)| token), Some(ticket)),
            Answer::Done | Answer::Refused(_) | Answer::GivenBefore => (None, None),
        };
        for (given, known) in [(token, &mut self.tokens), (ticket, &mut self.tickets)] {
            known.extend(given.filter(|given| !known.contains(given)).cloned());
        }
    }
}

/// One of those known by now; nothing where none is meant or known.
#[must_use]
pub fn one_of(index: Option<usize>, known: &[String]) -> String {
    index.and_then(|index| known.get(index % known.len().max(1))).cloned().unwrap_or_default()
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
    /// A mini-program's log-in.
    LogIn(LogInRequest),
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

fn guess() -> impl Strategy<Value = Guess> {
    prop_oneof![
        12 => Just(Guess::Right),
        2 => Just(Guess::Wrong),
        1 => Just(Guess::Older),
        1 => Just(Guess::Loose),
    ]
}

/// A guess at the old number's code, where such are wanted.
fn old(reference: &Reference) -> BoxedStrategy<Option<(&'static str, Guess)>> {
    match reference.rules().rebind {
        Rebind::OldCode => prop::option::weighted(0.8, (select(&NUMBERS[..]), guess())).boxed(),
        Rebind::Allow | Rebind::Deny => Just(None).boxed(),
    }
}

fn bind(reference: &Reference, known: &Known) -> BoxedStrategy<Bind> {
    let kind = select(vec![Kind::H5, Kind::Pc, Kind::Weixin, Kind::Weixin, Kind::Alipay]);
    let openid = select(vec!["o1", "o2", "o1", "o2", "O1", ""]);
    let unionid = select(vec!["", "u1", "u2"]);
    let token = prop::option::weighted(0.6, 0_usize..6);
    let ticket = prop::option::weighted(0.3, 0_usize..6);
    let who = (likely_place(reference), kind, guess());
    let how = (openid, unionid, select(vec!["", "n1", "n2"]), token, old(reference), ticket);
    let any = (who, how).prop_map(|(who, how)| {
        let (((number, client), kind, guess), (openid, unionid, nickname, token, old, ticket)) = (who, how);
        Bind { client, kind, number, guess, openid, unionid, nickname, token, old, ticket }
    });
    match proved(reference, known) {
        Some(proved) => prop_oneof![2 => any, 3 => proved].boxed(),
        None => any.boxed(),
    }
}

/// A bind with a right code and an openid that something speaks for; `None` where there is nothing of the kind.
fn proved(reference: &Reference, known: &Known) -> Option<BoxedStrategy<Bind>> {
    let place = |client: Option<&'static str>| {
        let own = reference.places().into_iter().filter(move |(_, place)| client.is_none_or(|client| client == *place));
        own.collect::<Vec<_>>()
    };
    let index = |ticket: &String| known.tickets.iter().position(|known| known == ticket);
    let with_places = reference.provable().into_iter().map(|one| {
        let ticket = one.ticket.as_ref().and_then(index);
        (place(one.client), one, ticket)
    });
    let some: Vec<_> = with_places.filter(|(places, ..)| !places.is_empty()).collect();
    if some.is_empty() {
        return None;
    }
    let how = (prop::option::weighted(0.4, 0_usize..6), old(reference), any::<bool>(), any::<prop::sample::Index>());
    let bind = (select(some), how).prop_map(|((places, one, ticket), (token, old, with_unionid, index))| {
        let &(number, client) = index.get(&places);
        let unionid = if with_unionid { one.unionid } else { "" };
        let plain = Bind::plain(client, one.kind, number, Guess::Right);
        Bind { openid: one.openid, unionid, token, old, ticket, ..plain }
    });
    Some(bind.boxed())
}

fn log_in() -> impl Strategy<Value = LogInRequest> {
    let who = (select(&CLIENTS[..]), select(vec![Kind::Weixin, Kind::Weixin, Kind::Alipay]));
    let openid = select(vec!["o1", "o2", "o1", "o2", "O1"]);
    (who, openid, select(vec!["", "u1", "u2"]), 0_u8..4)
        .prop_map(|((client, kind), openid, unionid, number)| LogInRequest { client, kind, openid, unionid, number })
}

fn calls(reference: &Reference, known: &Known) -> impl Strategy<Value = Vec<Call>> + use<> {
    let call = prop_oneof![
        6 => bind(reference, known).prop_map(Call::Bind),
        1 => Just(Call::Again),
        3 => (0_usize..6).prop_map(Call::LogOut),
        2 => log_in().prop_map(Call::LogIn),
    ];
    let first = bind(reference, known).prop_map(Call::Bind);
    (first, prop::collection::vec(call, 1..4)).prop_map(|(first, mut others)| {
        others.insert(0, first);
        others
    })
}

/// Right codes for several numbers or clients at once, by one person: of one openid with one ticket, or one token, which may be
/// ended too.
fn rivals(reference: &Reference, known: &Known) -> BoxedStrategy<Vec<Call>> {
    let places = reference.places();
    if places.len() < 2 {
        return calls(reference, known).boxed();
    }
    let kind = select(vec![Kind::H5, Kind::H5, Kind::Weixin]);
    let token = prop::option::weighted(0.6, 0_usize..6);
    let most = places.len().min(3);
    let who = (subsequence(places, 2..=most), kind, select(vec!["o1", "o2"]));
    let how = (token, prop::option::weighted(0.5, 0_usize..6), old(reference), any::<bool>());
    (who, how)
        .prop_map(|((places, kind, openid), (token, ticket, old, ends))| {
            let bind = |(number, client)| {
                let plain = Bind::plain(client, kind, number, Guess::Right);
                Call::Bind(Bind { openid, token, ticket, old, ..plain })
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
        let guess = |guess| Call::Bind(Bind::plain(client, Kind::H5, number, guess));
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
    /// A mini-program's log-in.
    LogIn(LogInRequest),
}

/// The requests of a group, in its order.
#[must_use]
pub fn requests(calls: &[Call], reference: &Reference, known: &Known) -> Vec<Request> {
    let mut last: Option<reference::Request> = None;
    let mut requests = Vec::new();
    for call in calls {
        match call {
            Call::Bind(bind) => requests.push(Request::Bind(last.insert(bind.request(reference, known)).clone())),
            Call::Again => requests.extend(last.clone().map(Request::Bind)),
            Call::LogOut(index) => requests.push(Request::LogOut(one_of(Some(*index), &known.tokens))),
            Call::LogIn(request) => requests.push(Request::LogIn(request.clone())),
        }
    }
    requests
}

/// What steps are generated from: a reference to which everything happens one after the other.
#[derive(Clone, Debug, Default)]
pub struct Story {
    reference: Reference,
    known: Known,
}

impl Story {
    /// Under which settings it is told.
    #[must_use]
    pub fn rules(&self) -> Rules {
        self.reference.rules()
    }

    fn call(&mut self, request: &Request) {
        let Known { tokens, tickets } = &self.known;
        let (token, ticket) = (format!("token {}", tokens.len()), format!("ticket {}", tickets.len()));
        let answer = match request {
            Request::Bind(request) => {
                let id = u64::try_from(self.reference.people().len() + 1).unwrap_or(u64::MAX);
                self.reference.bind(request, id, &token)
            }
            Request::LogOut(token) => self.reference.log_out(token),
            Request::LogIn(request) => self.reference.log_in(request, &token, &ticket),
        };
        self.known.learn(&answer);
    }
}

impl ReferenceStateMachine for Story {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        let rebind = prop_oneof![3 => Just(Rebind::Allow), 3 => Just(Rebind::OldCode), 1 => Just(Rebind::Deny)];
        let rules = (any::<bool>(), rebind).prop_map(|(required, rebind)| Rules { required, rebind });
        rules.prop_map(|rules| Self { reference: Reference::under(rules), known: Known::default() }).boxed()
    }

    fn transitions(story: &Self) -> BoxedStrategy<Step> {
        let delivery =
            prop_oneof![8 => Just(Delivery::Sent), 1 => Just(Delivery::Refused), 1 => Just(Delivery::Unknown)];
        let send = (place(), delivery).prop_map(|((number, client), delivery)| Step::Send(client, number, delivery));
        let advance = select(vec![1, 5, 9, 10, 59, 60, 60, 60, 299, 300, 599, 600, 1799, 1800]).prop_map(Step::Advance);
        let act = select(vec![ShopAct::Disable, ShopAct::Enable, ShopAct::Delete]);
        prop_oneof![
            8 => send,
            10 => bind(&story.reference, &story.known).prop_map(|bind| Step::Calls(vec![Call::Bind(bind)], 0)),
            6 => (rivals(&story.reference, &story.known), 1_u64..).prop_map(|(calls, schedule)| Step::Calls(calls, schedule)),
            2 => (guesses(&story.reference), any::<u64>()).prop_map(|(calls, schedule)| Step::Calls(calls, schedule)),
            6 => (calls(&story.reference, &story.known), 1_u64..).prop_map(|(calls, schedule)| Step::Calls(calls, schedule)),
            1 => (0_usize..6).prop_map(|index| Step::Calls(vec![Call::LogOut(index)], 0)),
            5 => log_in().prop_map(|request| Step::Calls(vec![Call::LogIn(request)], 0)),
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
                for request in requests(calls, &story.reference, &story.known) {
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

//! What must happen, in the plainest way: maps, and the contract's sentences one after the other. It shares nothing with the
//! domain but the names of refusals.

mod changing_hands;
mod proving;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mobile_bind_domain::Refusal;

use proving::{Proof, Ticket};
pub use told::{Answer, Delivery, Kind, LogInRequest, Person, Rebind, Request, Rules};

/// Seconds that a number rests between two messages.
pub const REST: u64 = 60;
/// Seconds that a code is good.
pub const CODE_LIFETIME: u64 = 600;
/// Wrong tries that end a code.
pub const TRIES: u8 = 5;
/// Seconds in which the very same bind is answered again.
pub const REPEAT: u64 = 10;
/// Seconds without use that end a session.
pub const INACTIVITY: u64 = 1800;
/// Seconds that end a session, used or not.
pub const LIFETIME: u64 = 5400;
/// Seconds after which a use is noted again.
pub const REFRESH: u64 = 300;

/// Seconds that an account keeps its number before it may take another.
pub const COOLING_OFF: u64 = 90;
/// Seconds of silence after which a number counts as recycled.
pub const SILENCE: u64 = 1500;
/// Seconds without use that end an installation's proof of an openid.
pub const PROOF: u64 = 2400;
/// Seconds after which a use of it is noted again.
pub const PROOF_REFRESH: u64 = 600;
/// Seconds that a ticket is good.
pub const TICKET: u64 = 500;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Code {
    text: String,
    sent_at: u64,
    failures: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Login {
    id: u64,
    kind: Kind,
    opened_at: u64,
    used_at: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Receipt {
    request: Request,
    answered_at: u64,
    token: String,
}

type Place = (&'static str, &'static str);

/// The state of the world, in seconds since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    rules: Rules,
    now: u64,
    people: BTreeMap<u64, Person>,
    /// When each was last here, and since when he has his number.
    seen: BTreeMap<u64, u64>,
    number_since: BTreeMap<u64, u64>,
    last_message: BTreeMap<&'static str, u64>,
    codes: BTreeMap<Place, Code>,
    /// The code that was sent last, and the one before it.
    sent: BTreeMap<Place, (String, String)>,
    logins: BTreeMap<String, Login>,
    given: BTreeSet<String>,
    receipts: BTreeMap<Place, Receipt>,
    /// What platforms vouched for, to whom.
    proofs: BTreeMap<(&'static str, Kind, &'static str), Proof>,
    tickets: BTreeMap<String, Ticket>,
    /// The log-in codes that were used.
    used_codes: BTreeSet<(Kind, String)>,
    draws: u32,
}

/// The code of the nth draw: all different for ten thousand draws.
#[must_use]
pub fn code_text(draw: u32) -> String {
    format!("{:04}", (u64::from(draw) * 7919 + 13) % 10_000)
}

impl Reference {
    /// Before anything has happened.
    #[must_use]
    pub fn under(rules: Rules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Under which settings it is.
    #[must_use]
    pub fn rules(&self) -> Rules {
        self.rules
    }

    /// All accounts.
    #[must_use]
    pub fn people(&self) -> &BTreeMap<u64, Person> {
        &self.people
    }

    /// Where a code was sent to, and for whom, and has not been used up.
    #[must_use]
    pub fn places(&self) -> Vec<Place> {
        self.codes.keys().copied().collect()
    }

    /// The code sent last to a number for a client, and the one before it.
    #[must_use]
    pub fn codes_sent(&self, number: &'static str, client: &'static str) -> Option<&(String, String)> {
        self.sent.get(&(number, client))
    }

    /// Time goes by.
    pub fn advance(&mut self, seconds: u64) {
        self.now += seconds;
    }

    /// Somebody asks for a code.
    pub fn send(&mut self, client: &'static str, number: &'static str, delivery: Delivery) -> Answer {
        let text = code_text(self.draws);
        self.draws += 1;
        let rests_until = self.last_message.get(number).map_or(0, |at| at + REST);
        if self.now < rests_until {
            return Answer::Refused(Refusal::SendTooSoon { wait: Duration::from_secs(rests_until - self.now) });
        }
        if delivery == Delivery::Refused {
            return Answer::Refused(Refusal::SmsRefused);
        }
        self.last_message.insert(number, self.now);
        let place = (number, client);
        let older = self.sent.get(&place).map_or_else(String::new, |(last, _)| last.clone());
        self.sent.insert(place, (text.clone(), older));
        // The wrong tries of a code that is still live carry over, but for the last.
        let live = self.codes.get(&place).filter(|code| self.now < code.sent_at + CODE_LIFETIME);
        let failures = live.map_or(0, |code| code.failures.min(TRIES - 1));
        self.codes.insert(place, Code { text, sent_at: self.now, failures });
        match delivery {
            Delivery::Unknown => Answer::Refused(Refusal::SmsUnknown),
            _ => Answer::Done,
        }
    }

    /// Somebody binds. `id` and `token` are what the service gave, should it have made an account or opened a session.
    pub fn bind(&mut self, request: &Request, id: u64, token: &str) -> Answer {
        let place = (request.number, request.client);
        if let Some(again) = self.bound_just_now(request) {
            return again;
        }
        if let Err(refusal) = self.try_code(place, &request.verify, [Refusal::CodeExpired, Refusal::CodeWrong]) {
            return Answer::Refused(refusal);
        }
        let now = self.now;
        let mini = matches!(request.kind, Kind::Weixin | Kind::Alipay);
        let grounds = match mini.then(|| self.grounds(request)).transpose() {
            Ok(grounds) => grounds,
            Err(refusal) => return Answer::Refused(refusal),
        };
        let caller = match grounds {
            Some(grounds) => self.by_identity(request, grounds),
            None => self.logins.get(&request.token).filter(|login| self.is_live(login)).map(|login| login.id),
        };
        let holder = self.live_id(|person| person.number.as_deref() == Some(request.number));
        let known = caller.or(holder);
        if known.is_some_and(|known| self.people[&known].disabled) {
            return Answer::Refused(Refusal::AccountDisabled);
        }
        match (caller, holder) {
            (Some(caller), Some(holder)) if caller == holder => return Answer::Refused(Refusal::HeldByCaller),
            (Some(_), Some(_)) => return Answer::Refused(Refusal::HeldByOther),
            _ => {}
        }
        let had_number = caller.is_some_and(|caller| self.people[&caller].number.is_some());
        if let Some(caller) = caller.filter(|_| had_number)
            && let Err(refusal) = self.may_change_number(caller, request, grounds)
        {
            return Answer::Refused(refusal);
        }
        let detached = holder.filter(|&holder| caller.is_none() && self.is_recycled(holder, &request.token));
        let known = known.filter(|_| detached.is_none());
        if known.is_none() && self.people.contains_key(&id) || self.given.contains(token) {
            return Answer::GivenBefore;
        }
        let id = known.unwrap_or(id);
        let entered = caller.is_none() && known.is_some();
        self.codes.remove(&place);
        if let Some(former) = detached.and_then(|detached| self.people.get_mut(&detached)) {
            former.number = None;
        }
        if had_number {
            self.logins.retain(|_, login| login.id != id);
        }
        self.seen.insert(id, now);
        if !entered {
            self.number_since.insert(id, now);
        }
        let person = self.people.entry(id).or_default();
        if !entered {
            person.number = Some(request.number.to_owned());
            if !request.nickname.is_empty() {
                person.nickname = request.nickname.to_owned();
            }
        }
        if mini {
            self.give_openid(id, request);
            self.use_proof(request);
        }
        self.open(id, request.kind, token);
        self.receipts.insert(place, Receipt { request: request.clone(), answered_at: now, token: token.to_owned() });
        self.logged_in(id, token)
    }

    /// Somebody tries the code of a place: a wrong try counts. `refusals` are for a code that is dead, and for a wrong one.
    fn try_code(&mut self, place: Place, verify: &str, refusals: [Refusal; 2]) -> Result<(), Refusal> {
        let [expired, wrong] = refusals;
        let now = self.now;
        let live = |code: &&mut Code| now < code.sent_at + CODE_LIFETIME && code.failures < TRIES;
        let Some(code) = self.codes.get_mut(&place).filter(live) else { return Err(expired) };
        if code.text == verify {
            return Ok(());
        }
        code.failures += 1;
        Err(wrong)
    }

    /// A session, in the place of the one on the same kind of client.
    fn open(&mut self, id: u64, kind: Kind, token: &str) {
        let now = self.now;
        self.logins.retain(|_, login| (login.id, login.kind) != (id, kind));
        self.logins.insert(token.to_owned(), Login { id, kind, opened_at: now, used_at: now });
        self.given.insert(token.to_owned());
    }

    /// Somebody logs out.
    pub fn log_out(&mut self, token: &str) -> Answer {
        let Some(id) = self.holder_of(token) else { return Answer::Refused(Refusal::LoginRequired) };
        self.seen.insert(id, self.now);
        self.logins.remove(token);
        Answer::Done
    }

    /// Somebody shows a token, and thereby uses its session.
    pub fn look_up(&mut self, token: &str) -> Answer {
        let Some(id) = self.holder_of(token) else { return Answer::Refused(Refusal::TokenUnknown) };
        let now = self.now;
        if let Some(login) = self.logins.get_mut(token)
            && now >= login.used_at + REFRESH
        {
            login.used_at = now;
            self.seen.insert(id, now);
        }
        self.logged_in(id, token)
    }

    /// The shop changes an account.
    pub fn change(&mut self, id: u64, change: impl FnOnce(&mut Person)) {
        if let Some(person) = self.people.get_mut(&id) {
            change(person);
        }
    }

    fn bound_just_now(&self, request: &Request) -> Option<Answer> {
        let receipt = self.receipts.get(&(request.number, request.client))?;
        if receipt.request != *request || self.now >= receipt.answered_at + REPEAT {
            return None;
        }
        let id = self.holder_of(&receipt.token)?;
        // Once the account has another number, the bind is history: the code of that time is used up.
        if self.people[&id].number.as_deref() != Some(request.number) {
            return None;
        }
        Some(self.logged_in(id, &receipt.token))
    }

    fn logged_in(&self, id: u64, token: &str) -> Answer {
        Answer::LoggedIn { id, person: self.people[&id].clone(), token: token.to_owned() }
    }

    fn live_id(&self, is_meant: impl Fn(&Person) -> bool) -> Option<u64> {
        self.people.iter().find(|(_, person)| !person.deleted && is_meant(person)).map(|(&id, _)| id)
    }

    fn is_live(&self, login: &Login) -> bool {
        self.now < login.used_at + INACTIVITY
            && self.now < login.opened_at + LIFETIME
            && !self.people[&login.id].deleted
    }

    fn holder_of(&self, token: &str) -> Option<u64> {
        let login = self.logins.get(token).filter(|login| self.is_live(login))?;
        Some(login.id).filter(|id| !self.people[id].disabled)
    }
}

//! Whose an openid is: what platforms vouched for, and what that is good for.

use mobile_bind_domain::Refusal;
use mobile_bind_domain::ports::PlatformFailure;

use super::{Answer, Kind, LogInRequest, PROOF, PROOF_REFRESH, Person, Reference, Request, TICKET};

/// What an openid rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grounds {
    /// The client's word.
    Trust,
    /// The platform vouched for it to the same installation.
    Installation,
    /// A ticket.
    Ticket,
}

/// That a platform vouched for an openid to an installation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Proof {
    unionid: &'static str,
    expires_at: u64,
}

/// A ticket, as the service knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket {
    kind: Kind,
    openid: &'static str,
    unionid: &'static str,
    expires_at: u64,
    spent: bool,
}

/// Whose openids something could be said of, for the generator of steps.
#[derive(Clone, Debug)]
pub struct Provable {
    /// The installation; `None` for a ticket, which any may show.
    pub client: Option<&'static str>,
    /// The kind of client.
    pub kind: Kind,
    /// The openid.
    pub openid: &'static str,
    /// The unionid that was told with it.
    pub unionid: &'static str,
    /// The ticket.
    pub ticket: Option<String>,
}

impl Reference {
    /// What is vouched for, and still good.
    #[must_use]
    pub fn provable(&self) -> Vec<Provable> {
        let live = self.proofs.iter().filter(|(_, proof)| self.now < proof.expires_at);
        let proofs = live.map(|(&(client, kind, openid), proof)| Provable {
            client: Some(client),
            kind,
            openid,
            unionid: proof.unionid,
            ticket: None,
        });
        let live = self.tickets.iter().filter(|(_, ticket)| self.now < ticket.expires_at);
        let tickets = live.map(|(text, ticket)| Provable {
            client: None,
            kind: ticket.kind,
            openid: ticket.openid,
            unionid: ticket.unionid,
            ticket: Some(text.clone()),
        });
        proofs.chain(tickets).collect()
    }

    /// Somebody logs in by his platform's code. `token` and `ticket` are what the service gave.
    pub fn log_in(&mut self, request: &LogInRequest, token: &str, ticket: &str) -> Answer {
        if !self.used_codes.insert((request.kind, request.code())) {
            return Answer::Refused(Refusal::Platform(PlatformFailure::Stale));
        }
        let &LogInRequest { client, kind, openid, .. } = request;
        // A platform without unionids tells none.
        let unionid = if kind == Kind::Weixin { request.unionid } else { "" };
        self.proofs.insert((client, kind, openid), Proof { unionid, expires_at: self.now + PROOF });
        let by_openid = self.live_id(|person| holds(person, kind, |known, _| known == openid));
        let by_unionid = || self.by_unionid(kind, unionid);
        let entered = by_openid.or_else(by_unionid);
        if entered.is_some_and(|id| self.people[&id].disabled) {
            // That the openid is proved holds all the same.
            return Answer::Refused(Refusal::AccountDisabled);
        }
        if self.tickets.contains_key(ticket) || entered.is_some() && self.given.contains(token) {
            return Answer::GivenBefore;
        }
        let expires_at = self.now + TICKET;
        self.tickets.insert(ticket.to_owned(), Ticket { kind, openid, unionid, expires_at, spent: false });
        let Some(id) = entered else { return Answer::Vouched { entered: None, ticket: ticket.to_owned() } };
        if by_openid.is_some() && self.by_unionid(kind, unionid).is_none_or(|holder| holder == id) {
            self.fill_unionid(id, kind, unionid);
        }
        self.seen.insert(id, self.now);
        self.open(id, kind, token);
        let entered = Some((id, self.people[&id].clone(), token.to_owned()));
        Answer::Vouched { entered, ticket: ticket.to_owned() }
    }

    /// Somebody binds on what proved the openid when several began at once. Whoever binds has looked at it by then; a log-in at
    /// the same moment, which tells another unionid, replaces it for who comes after.
    pub fn bind_as_begun(&mut self, begun: &Self, request: &Request, id: u64, token: &str) -> Answer {
        let key = (request.client, request.kind, request.openid);
        let Some(then) = begun.proofs.get(&key) else { return self.bind(request, id, token) };
        let replaced = self.proofs.insert(key, then.clone());
        let answer = self.bind(request, id, token);
        // Both last as long from now on.
        self.proofs.extend(replaced.map(|proof| (key, proof)));
        answer
    }

    /// What a mini-program's openid rests on.
    pub(super) fn grounds(&self, request: &Request) -> Result<Grounds, Refusal> {
        if request.openid.is_empty() {
            return Err(Refusal::OpenIdMissing);
        }
        if self.good_ticket(request).is_some() {
            return Ok(Grounds::Ticket);
        }
        if self.good_proof(request).is_some() {
            return Ok(Grounds::Installation);
        }
        if self.rules.required { Err(Refusal::IdentityUnproved) } else { Ok(Grounds::Trust) }
    }

    /// The account that the openid leads to, or the unionid where something proves it.
    pub(super) fn by_identity(&self, request: &Request, grounds: Grounds) -> Option<u64> {
        let by_openid = self.live_id(|person| holds(person, request.kind, |openid, _| openid == request.openid));
        let by_unionid =
            || self.by_unionid(request.kind, claimed_unionid(request)).filter(|_| grounds != Grounds::Trust);
        by_openid.or_else(by_unionid)
    }

    /// What a bind does to what proved its openid: a ticket is spent, and a proof counts on.
    pub(super) fn use_proof(&mut self, request: &Request) {
        if self.good_proof(request).is_some()
            && let Some(proof) = self.proofs.get_mut(&(request.client, request.kind, request.openid))
            && proof.expires_at - self.now <= PROOF - PROOF_REFRESH
        {
            proof.expires_at = self.now + PROOF;
        }
        if self.good_ticket(request).is_some()
            && let Some(ticket) = self.tickets.get_mut(&request.ticket)
        {
            ticket.spent = true;
        }
    }

    /// The openid that an account was reached with, and the unionid where it has none and nobody else has it.
    pub(super) fn give_openid(&mut self, id: u64, request: &Request) {
        let unionid = claimed_unionid(request);
        let taken = self.by_unionid(request.kind, unionid).is_some_and(|holder| holder != id);
        let Some(person) = self.people.get_mut(&id) else { return };
        let (openid, known) = person.openids.entry(request.kind).or_default();
        if openid != request.openid {
            request.openid.clone_into(openid);
            known.clear();
        }
        if !taken {
            self.fill_unionid(id, request.kind, unionid);
        }
    }

    fn fill_unionid(&mut self, id: u64, kind: Kind, unionid: &str) {
        let known = self.people.get_mut(&id).and_then(|person| person.openids.get_mut(&kind));
        if let Some((_, known)) = known
            && known.is_empty()
        {
            unionid.clone_into(known);
        }
    }

    fn by_unionid(&self, kind: Kind, unionid: &str) -> Option<u64> {
        self.live_id(|person| !unionid.is_empty() && holds(person, kind, |_, known| known == unionid))
    }

    fn good_ticket(&self, request: &Request) -> Option<&Ticket> {
        let ticket = self.tickets.get(&request.ticket)?;
        let good = !ticket.spent && self.now < ticket.expires_at;
        let own = (ticket.kind, ticket.openid) == (request.kind, request.openid);
        let claimed = claimed_unionid(request);
        (good && own && (claimed.is_empty() || claimed == ticket.unionid)).then_some(ticket)
    }

    fn good_proof(&self, request: &Request) -> Option<&Proof> {
        let proof = self.proofs.get(&(request.client, request.kind, request.openid))?;
        let claimed = claimed_unionid(request);
        (self.now < proof.expires_at && (claimed.is_empty() || claimed == proof.unionid)).then_some(proof)
    }
}

/// The unionid of a request, where the platform has such.
fn claimed_unionid(request: &Request) -> &'static str {
    if request.kind == Kind::Weixin { request.unionid } else { "" }
}

fn holds(person: &Person, kind: Kind, is_meant: impl Fn(&str, &str) -> bool) -> bool {
    person.openids.get(&kind).is_some_and(|(openid, unionid)| is_meant(openid, unionid))
}

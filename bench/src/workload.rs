//! What the connections of one cell do, over and over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use hyper::StatusCode;
use hyper::header::HeaderValue;

use crate::client::Connection;
use crate::people::{People, Person};
use crate::requests::{Code, Requests};

/// Somebody to whom a code was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invited {
    pub(crate) person: Person,
    pub(crate) code: Code,
}

/// One kind of work, and where it stands.
#[derive(Debug)]
pub(crate) enum Workload {
    /// `GET /healthz`: what the HTTP server alone costs.
    Health,
    /// Sends to numbers that never had a code.
    Send(Arc<People>),
    /// Sends to these numbers.
    SendTo(Row<Person>),
    /// Binds by people who have their codes.
    Bind(Row<Invited>),
    /// Send, code from the development inbox, bind.
    Flow(Arc<People>),
    /// Token lookups, by values of `Authorization`.
    LookUp(Ring<HeaderValue>),
    /// Wrong codes, as many for each number as its code has tries.
    Guess(Row<Invited>),
}

/// How an operation went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As it should.
    AsExpected,
    /// With another code than the one due.
    Unexpected,
    /// Not at all: what was prepared is used up.
    UsedUp,
}

/// Things to be used once each, or `uses` times.
#[derive(Debug)]
pub(crate) struct Row<T> {
    items: Vec<T>,
    uses: usize,
    used: AtomicUsize,
}

impl<T> Row<T> {
    pub(crate) fn new(items: Vec<T>, uses: usize) -> Self {
        Self { items, uses: uses.max(1), used: AtomicUsize::new(0) }
    }

    /// The next one, and which of its uses this is.
    pub(crate) fn take(&self) -> Option<(&T, usize)> {
        let used = self.used.fetch_add(1, Ordering::Relaxed);
        // One use each of all, then the next: two tries of one number never meet.
        let item = self.items.get(used.checked_rem(self.items.len())?)?;
        let round = used / self.items.len();
        (round < self.uses).then_some((item, round))
    }
}

/// Things to be used again and again.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    items: Vec<T>,
    used: AtomicUsize,
}

impl<T> Ring<T> {
    pub(crate) fn new(items: Vec<T>) -> Self {
        Self { items, used: AtomicUsize::new(0) }
    }

    fn take(&self) -> Option<&T> {
        self.items.get(self.used.fetch_add(1, Ordering::Relaxed).checked_rem(self.items.len())?)
    }
}

/// How many tries a code has, by default.
pub(crate) const TRIES: usize = 5;

const BOUND: i32 = 0;
const SENT: i32 = 0;
const FOUND: i32 = 0;
const CODE_WRONG: i32 = -11;

impl Workload {
    /// One operation.
    pub(crate) async fn perform(&self, requests: &Requests, connection: &mut Connection) -> Result<Outcome> {
        match self {
            Self::Health => {
                let answer = connection.send(requests.get("/healthz")?).await?;
                Ok(expect(answer.status == StatusCode::OK))
            }
            Self::Send(people) => {
                let answer = connection.send(requests.send_code(people.next())?).await?;
                Ok(expect(answer.code() == Some(SENT)))
            }
            Self::SendTo(people) => {
                let Some((person, _)) = people.take() else { return Ok(Outcome::UsedUp) };
                let answer = connection.send(requests.send_code(*person)?).await?;
                Ok(expect(answer.code() == Some(SENT)))
            }
            Self::Bind(invited) => {
                let Some((invited, _)) = invited.take() else { return Ok(Outcome::UsedUp) };
                let answer = connection.send(requests.bind(invited.person, invited.code)?).await?;
                Ok(expect(answer.code() == Some(BOUND)))
            }
            Self::Flow(people) => flow(people.next(), requests, connection).await,
            Self::LookUp(tokens) => {
                let authorization = tokens.take().context("there is no token to look up")?;
                let answer = connection.send(requests.look_up(authorization)?).await?;
                Ok(expect(answer.code() == Some(FOUND)))
            }
            Self::Guess(invited) => {
                let Some((invited, round)) = invited.take() else { return Ok(Outcome::UsedUp) };
                let wrong = (invited.code + 1 + u16::try_from(round).unwrap_or(0)) % 10_000;
                let answer = connection.send(requests.bind(invited.person, wrong)?).await?;
                Ok(expect(answer.code() == Some(CODE_WRONG)))
            }
        }
    }
}

async fn flow(person: Person, requests: &Requests, connection: &mut Connection) -> Result<Outcome> {
    let answer = connection.send(requests.send_code(person)?).await?;
    if answer.code() != Some(SENT) {
        return Ok(Outcome::Unexpected);
    }
    let inbox = connection.send(requests.get(&format!("/dev/sms?mobile={}", person.mobile()))?).await?;
    let Some(code) = inbox.text("code").and_then(|digits| digits.parse().ok()) else {
        return Ok(Outcome::Unexpected);
    };
    let answer = connection.send(requests.bind(person, code)?).await?;
    Ok(expect(answer.code() == Some(BOUND)))
}

fn expect(as_expected: bool) -> Outcome {
    if as_expected { Outcome::AsExpected } else { Outcome::Unexpected }
}

#[cfg(test)]
mod tests {
    use super::{Ring, Row};

    #[test]
    fn a_row_is_used_so_often_and_no_more() {
        let row = Row::new(vec!['a', 'b'], 2);
        let taken: Vec<_> = std::iter::from_fn(|| row.take().map(|(item, round)| (*item, round))).collect();
        assert_eq!(taken, [('a', 0), ('b', 0), ('a', 1), ('b', 1)]);
        assert!(row.take().is_none());
        assert!(Row::<char>::new(vec![], 1).take().is_none());
    }

    #[test]
    fn a_ring_never_ends() {
        let ring = Ring::new(vec![1, 2]);
        assert_eq!([ring.take(), ring.take(), ring.take()], [Some(&1), Some(&2), Some(&1)]);
        assert_eq!(Ring::<u8>::new(vec![]).take(), None);
    }
}

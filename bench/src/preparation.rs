//! What must have happened before a cell can be measured: codes sent, tokens given out.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hyper::header::HeaderValue;
use serde::Deserialize;

use crate::client::Connection;
use crate::load::{Load, Pace, load};
use crate::people::{People, Person};
use crate::requests::{Code, Requests};
use crate::server::Server;
use crate::workload::{Invited, Workload};

/// The development inbox keeps the last 10,000 messages; it is read before it is full.
const INBOX: usize = 9_000;

/// Enough connections to let the store write in groups.
const CONNECTIONS: usize = 64;

/// How long preparing may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Sends codes to `count` people whom nobody has met, and reads the codes.
pub(crate) async fn invite(server: &Server, people: &Arc<People>, count: usize) -> Result<Vec<Invited>> {
    let mut invited = Vec::with_capacity(count);
    while invited.len() < count {
        let round = (count - invited.len()).min(INBOX);
        invited.extend(invite_round(server, people, round).await?);
    }
    Ok(invited)
}

async fn invite_round(server: &Server, people: &Arc<People>, count: usize) -> Result<Vec<Invited>> {
    let chosen: Vec<Person> = (0..count).map(|_| people.next()).collect();
    let (first, last) = (chosen.first().copied(), chosen.last().copied());
    let sends = Workload::SendTo(crate::workload::Row::new(chosen, 1));
    let sent = load(server.address, CONNECTIONS.min(count), Pace::Closed, sends, PATIENCE).await?;
    ensure_expected(&sent, "sends")?;
    let mut connection = Connection::open(server.address).await?;
    let inbox = connection.send(Requests::to(server.address)?.get("/dev/sms")?).await?;
    let messages: Vec<Message<'_>> = serde_json::from_slice(&inbox.body).context("the inbox is not as expected")?;
    let is_of_round = |person: &Person| first.is_some_and(|first| first <= *person) && last >= Some(*person);
    let read = |message: &Message<'_>| {
        let person = Person::of_mobile(message.mobile).filter(is_of_round)?;
        Some(Invited { person, code: message.code.parse::<Code>().ok()? })
    };
    let invited: Vec<Invited> = messages.iter().filter_map(read).collect();
    ensure!(invited.len() == count, "{} of {count} codes are in the inbox", invited.len());
    Ok(invited)
}

#[derive(Deserialize)]
struct Message<'a> {
    mobile: &'a str,
    code: &'a str,
}

/// Binds `count` new people, and answers their tokens, as values of `Authorization`.
pub(crate) async fn tokens(server: &Server, people: &Arc<People>, count: usize) -> Result<Vec<HeaderValue>> {
    let requests = Requests::to(server.address)?;
    let mut connection = Connection::open(server.address).await?;
    let mut tokens = Vec::with_capacity(count);
    for invited in invite(server, people, count).await? {
        let answer = connection.send(requests.bind(invited.person, invited.code)?).await?;
        let token = answer.text("token").context("a bind answered no token")?;
        tokens.push(HeaderValue::try_from(format!("Bearer {token}"))?);
    }
    Ok(tokens)
}

/// Fails where a preparation met what it did not expect: nothing that follows would mean anything.
fn ensure_expected(load: &Load, what: &str) -> Result<()> {
    ensure!(load.unexpected == 0, "{} of {} {what} were refused", load.unexpected, load.latencies_us.len());
    Ok(())
}

//! Messages in the outbox.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mobile_bind_domain::outbox::{
    Attempt, AttemptOutcome, MessageId, MessageKey, MessageState, OutboxMessage, SealedCode,
};
use mobile_bind_domain::policy::OutboxPolicy;
use mobile_bind_domain::ports::{CommitError, SendFailure, Store};
use mobile_bind_domain::{Client, KeyId, Language, Revision, Timestamp, Versioned, Write};

use super::records::{NOW, challenge, challenge_at, commit, ensure_conflict, key, mobile, purge};
use super::{StoreUnderTest, reopen};

const MOBILE: &str = "17602128368";

/// A message that waits, queued so many seconds after [`NOW`].
fn queued(number: &str, id: u8, after: u64) -> Result<OutboxMessage> {
    let at = NOW.after(Duration::from_secs(after));
    let message = MessageKey { mobile: mobile(number)?, id: MessageId::new(at, [id; 10]) };
    let sealed = SealedCode { key: KeyId::new("key").context("a key")?, bytes: [7, 0, 255].into() };
    let (client, lasts) = (key(number, "u")?.client, (at, at.after(Duration::from_secs(600))));
    let policy = OutboxPolicy::default();
    Ok(OutboxMessage::with_code(message, client, Language::Spa, sealed, lasts, &policy))
}

fn write(expected: Revision, message: &OutboxMessage) -> Vec<Write> {
    vec![Write::Message { expected, message: Box::new(message.clone()) }]
}

fn accepted(message: &OutboxMessage, provider: &str, reference: &str) -> OutboxMessage {
    let attempts = vec![
        Attempt::new("odd\u{0}\u{10ffff}", Err(SendFailure::Limited), NOW),
        Attempt::new(provider, Ok(reference), NOW),
    ];
    message.asked(attempts, NOW, &OutboxPolicy::default())
}

async fn due(store: &dyn Store, after: u64, limit: usize) -> Result<Vec<OutboxMessage>> {
    let found = store.due_messages(NOW.after(Duration::from_secs(after)), limit).await?;
    Ok(found.into_iter().map(|message| message.value).collect())
}

/// Whatever is in it, also after a restart.
pub async fn a_message_is_read_as_it_was_stored(under_test: &dyn StoreUnderTest) -> Result<()> {
    let mut store = under_test.open().await?;
    let first = queued(MOBILE, 1, 0)?;
    let by_address = Client::Address(std::net::IpAddr::from([192, 0, 2, 1]).into());
    let second = OutboxMessage { client: by_address, language: Language::En, ..queued(MOBILE, 2, 0)? };
    let second = accepted(&second, "p", "r\u{0}");
    let third = OutboxMessage { error: "odd \u{0}".into(), due_at: None, ..queued(MOBILE, 3, 0)? };
    let MessageKey { mobile, .. } = first.key.clone();
    let key = MessageKey { mobile, id: MessageId::new(NOW, [4; 10]) };
    let policy = OutboxPolicy::default();
    let without_code = OutboxMessage::of_number_changed(key, first.client.clone(), Language::Cht, NOW, &policy);
    for message in [&first, &second, &third, &without_code] {
        ensure!(store.message(&message.key).await?.is_none());
        let revision = commit(&*store, write(Revision::ABSENT, message)).await?;
        store = reopen(under_test, store).await?;
        ensure!(store.message(&message.key).await? == Some(Versioned { revision, value: message.clone() }));
    }
    Ok(())
}

/// Nodes that are at the same message learn of each other by that.
pub async fn a_message_is_written_only_as_it_was_read(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let message = queued(MOBILE, 1, 0)?;
    let first = commit(&*store, write(Revision::ABSENT, &message)).await?;
    ensure_conflict(commit(&*store, write(Revision::ABSENT, &message)).await)?;
    let second = commit(&*store, write(first, &message.handed_over(NOW))).await?;
    ensure!(second != first);
    ensure_conflict(commit(&*store, write(first, &accepted(&message, "p", "r"))).await)?;
    let found = store.message(&message.key).await?.context("the message")?;
    ensure!(found.revision == second && found.value.state == MessageState::HandedOver);
    ensure!(store.message_by_reference("p", "r").await?.is_none(), "nothing is half-written");
    Ok(())
}

/// Both or neither.
pub async fn a_message_and_its_challenge_are_one_change(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let (message, key) = (queued(MOBILE, 1, 0)?, key(MOBILE, "u")?);
    let both = |expected| -> Result<Vec<Write>> {
        let mut writes = write(Revision::ABSENT, &message);
        writes.push(Write::Challenge { expected, key: key.clone(), challenge: Some(challenge(1)?) });
        Ok(writes)
    };
    ensure_conflict(commit(&*store, both(Revision(1_000_000))?).await)?;
    ensure!(store.message(&message.key).await?.is_none() && challenge_at(&*store, &key).await?.is_none());
    ensure!(due(&*store, 1_000, 9).await?.is_empty());
    let revision = commit(&*store, both(Revision::ABSENT)?).await?;
    let found = challenge_at(&*store, &key).await?.context("the challenge")?;
    ensure!(found.revision == revision, "they have one revision");
    ensure!(store.message(&message.key).await?.context("the message")?.revision == revision);
    Ok(())
}

/// A number's own, and no more than are asked for.
pub async fn messages_to_a_number_come_newest_first(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    for (number, id, after) in
        [(MOBILE, 1, 2), (MOBILE, 9, 1), (MOBILE, 1, 3), ("1760212836", 1, 4), ("17602128369", 1, 5)]
    {
        commit(&*store, write(Revision::ABSENT, &queued(number, id, after)?)).await?;
    }
    let found = store.messages_to(&mobile(MOBILE)?, 9).await?;
    let times: Vec<Timestamp> = found.iter().map(|message| message.value.queued_at).collect();
    ensure!(times == [3, 2, 1].map(|after| NOW.after(Duration::from_secs(after))), "{times:?}");
    ensure!(store.messages_to(&mobile(MOBILE)?, 2).await? == found[..2]);
    ensure!(store.messages_to(&mobile("13500135000")?, 9).await?.is_empty());
    Ok(())
}

/// Each once, whatever the order, and no more at once than are asked for.
pub async fn all_messages_are_gone_through(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let mut stored = Vec::new();
    for (number, id) in [(MOBILE, 1), ("9", 1), (MOBILE, 2), ("+447700900123", 1), ("\u{0}odd", 3), ("17602128369", 1)]
    {
        let message = queued(number, id, 0)?;
        commit(&*store, write(Revision::ABSENT, &message)).await?;
        stored.push(message);
    }
    let store = reopen(under_test, store).await?;
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.messages(after.as_ref(), 2).await?;
        ensure!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.value.key.clone());
        found.extend(page.into_iter().map(|message| message.value));
    }
    stored.sort_by_key(|message| message.key.clone());
    found.sort_by_key(|message| message.key.clone());
    ensure!(found == stored, "{found:?}");
    Ok(())
}

/// As one that was moved here from another store.
pub async fn a_message_that_is_over_is_found_by_its_references_too(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let mut message = accepted(&accepted(&queued(MOBILE, 1, 0)?, "p", "r"), "q", "R");
    for attempt in &mut message.attempts {
        attempt.outcome = AttemptOutcome::Undelivered;
    }
    commit(&*store, write(Revision::ABSENT, &message)).await?;
    for (provider, reference) in [("p", "r"), ("q", "R")] {
        let found = store.message_by_reference(provider, reference).await?;
        ensure!(found.context(reference)?.value == message);
    }
    Ok(())
}

/// What is done is not due, and what was put off comes later.
pub async fn what_is_due_comes_in_its_order_while_it_is(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let lease = OutboxPolicy::default().lease.as_secs();
    let messages = [queued("17602128361", 1, 3)?, queued("17602128362", 1, 1)?, queued("17602128363", 1, 2)?];
    let mut revisions = Vec::new();
    for message in &messages {
        revisions.push(commit(&*store, write(Revision::ABSENT, message)).await?);
    }
    ensure!(due(&*store, lease, 9).await?.is_empty());
    ensure!(due(&*store, lease + 1, 9).await? == [messages[1].clone()]);
    ensure!(due(&*store, lease + 9, 9).await? == [messages[1].clone(), messages[2].clone(), messages[0].clone()]);
    ensure!(due(&*store, lease + 9, 2).await? == [messages[1].clone(), messages[2].clone()]);
    commit(&*store, write(revisions[1], &accepted(&messages[1], "p", "r"))).await?;
    let put_off = OutboxMessage { due_at: Some(NOW.after(Duration::from_secs(99))), ..messages[2].clone() };
    commit(&*store, write(revisions[2], &put_off)).await?;
    let store = reopen(under_test, store).await?;
    ensure!(due(&*store, 98, 9).await? == [messages[0].clone()]);
    ensure!(due(&*store, 99, 9).await? == [messages[0].clone(), put_off]);
    Ok(())
}

/// By each provider's own, and by the last message that was given it.
pub async fn a_message_is_found_by_every_reference(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let (message, other) = (queued(MOBILE, 1, 0)?, queued(MOBILE, 2, 0)?);
    let first = commit(&*store, write(Revision::ABSENT, &message)).await?;
    let once = accepted(&message, "p", "r");
    let second = commit(&*store, write(first, &once)).await?;
    let twice = accepted(&once, "q", "R");
    commit(&*store, write(second, &twice)).await?;
    let found = |provider: &'static str, reference: &'static str| {
        let store = &store;
        async move { anyhow::Ok(store.message_by_reference(provider, reference).await?.map(|found| found.value)) }
    };
    ensure!(found("p", "r").await? == Some(twice.clone()) && found("q", "R").await? == Some(twice.clone()));
    for (provider, reference) in [("p", "R"), ("q", "r"), ("pr", ""), ("p", ""), ("", "pr"), ("P", "r")] {
        ensure!(found(provider, reference).await?.is_none(), "{provider} {reference}");
    }
    let other = accepted(&other, "p", "r");
    commit(&*store, write(Revision::ABSENT, &other)).await?;
    ensure!(found("p", "r").await? == Some(other));
    Ok(())
}

/// Those that are kept stay, with their references.
pub async fn messages_are_forgotten_with_what_leads_to_them(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let end = NOW.after(OutboxPolicy::default().keep);
    let mut kept = Vec::new();
    for (id, after) in [(1, 0), (2, 0), (3, 1)] {
        let message = queued(MOBILE, id, after)?;
        let message = if id == 2 { message } else { accepted(&message, "p", &format!("r{id}")) };
        commit(&*store, write(Revision::ABSENT, &message)).await?;
        kept.extend((after == 1).then_some(message));
    }
    let _ = purge(&*store, end, NOW, 2).await?;
    let found = store.messages_to(&mobile(MOBILE)?, 9).await?;
    ensure!(found.into_iter().map(|found| found.value).collect::<Vec<_>>() == kept);
    ensure!(store.message_by_reference("p", "r1").await?.is_none());
    ensure!(store.message_by_reference("p", "r3").await?.is_some());
    ensure!(due(&*store, 1_000_000, 9).await?.is_empty());
    Ok(())
}

/// As nodes do with one that was left behind.
pub async fn one_of_many_takes_a_message(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let message = queued(MOBILE, 1, 0)?;
    let revision = commit(&*store, write(Revision::ABSENT, &message)).await?;
    let mut takers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (store, taken) = (std::sync::Arc::clone(&store), write(revision, &message.handed_over(NOW)));
        takers.spawn(async move { commit(&*store, taken).await });
    }
    let mut winners = 0;
    for taken in takers.join_all().await {
        match taken {
            Ok(_) => winners += 1,
            Err(CommitError::Conflict) => {}
            Err(CommitError::Store(error)) => return Err(error.into()),
        }
    }
    ensure!(winners == 1, "{winners}");
    Ok(())
}

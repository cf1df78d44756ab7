//! The audit: events in the order of their changes, checkpoints, and dropping what is old.

use anyhow::{Context, Result, ensure};
use mobile_bind_domain::audit::{
    Actor, AuditAction, AuditEvent, AuditNode, AuditedNumber, Checkpoint, RecordedEvent, SegmentMac,
};
use mobile_bind_domain::ports::Store;
use mobile_bind_domain::{ClientType, CodeKey, CodeKeys, KeyId, Platform, Revision, SessionId, Write};

use super::records::{
    NOW, account, account_with_mobile, commit, ensure_conflict, id, mobile, new_account, put, session, write_account,
};
use super::{StoreUnderTest, reopen};

const MOBILE: &str = "17602128368";

fn keys() -> Result<CodeKeys> {
    Ok(CodeKeys::new(CodeKey::new(KeyId::new("key").context("a key id")?, [9; 32]), Vec::new()))
}

fn event(number: &str, times: u32) -> Result<AuditEvent> {
    let number = AuditedNumber::of(&mobile(number)?, &keys()?);
    let actor = Actor::Client(ClientType::H5, None);
    Ok(AuditEvent { number: Some(number), times, ..AuditEvent::new(AuditAction::Send, actor, NOW) })
}

fn written(number: &str, times: u32) -> Result<Write> {
    Ok(Write::Audit(Box::new(event(number, times)?)))
}

async fn own_node(store: &dyn Store) -> Result<AuditNode> {
    store.audit().own_node().await?.context("a store that has written an event has a node")
}

async fn times_of(store: &dyn Store, node: AuditNode, after: u64, limit: usize) -> Result<Vec<u32>> {
    let events = store.audit().audit_events(node, after, limit).await?;
    events.iter().map(|event| Ok(event.event().context("an event")?.times)).collect()
}

fn sealed(events: &[RecordedEvent], after: Option<&Checkpoint>) -> Result<Checkpoint> {
    let mut mac = SegmentMac::begin(&keys()?);
    events.iter().for_each(|event| mac.add(event));
    mac.seal(events.first().context("an event")?.node, after, NOW).context("a checkpoint")
}

/// Within a change in its own order, and with the change or not at all.
pub async fn events_stand_in_the_order_of_their_changes(under_test: &dyn StoreUnderTest) -> Result<()> {
    let mut store = under_test.open().await?;
    ensure!(store.audit().audit_nodes().await?.is_empty());
    commit(&*store, vec![written(MOBILE, 1)?, new_account(&account(1)?), written(MOBILE, 2)?]).await?;
    let refused = vec![written(MOBILE, 9)?, write_account(Revision(1_000_000), &account(1)?)];
    ensure_conflict(commit(&*store, refused).await)?;
    commit(&*store, vec![written("13500135000", 3)?]).await?;
    let node = own_node(&*store).await?;
    for _ in 0..2 {
        ensure!(times_of(&*store, node, 0, 10).await? == [1, 2, 3]);
        ensure!(store.audit().audit_nodes().await? == [node]);
        let events = store.audit().audit_events(node, 0, 10).await?;
        ensure!(
            events
                .iter()
                .all(|event| event.node == node && event.event().is_some_and(|read| read.mark() == event.mark))
        );
        ensure!(events.windows(2).all(|pair| matches!(pair, [one, two] if one.sequence < two.sequence)));
        ensure!(events.first().and_then(RecordedEvent::event) == Some(event(MOBILE, 1)?));
        let first = events.first().context("the first")?.sequence;
        ensure!(times_of(&*store, node, first, 1).await? == [2]);
        store = reopen(under_test, store).await?;
    }
    Ok(())
}

/// Only that number's, and only the last of them.
pub async fn events_are_found_by_their_number(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    for times in 1..=5 {
        commit(&*store, vec![written(MOBILE, times)?, written("13500135000", 100 + times)?]).await?;
    }
    let marks = keys()?.audit_marks(&mobile(MOBILE)?);
    let found = store.audit().audit_of(&marks, 3).await?;
    let times: Vec<_> = found.iter().filter_map(RecordedEvent::event).map(|event| event.times).collect();
    ensure!(times == [3, 4, 5], "{times:?}");
    ensure!(store.audit().audit_of(&keys()?.audit_marks(&mobile("13900000000")?), 3).await?.is_empty());
    Ok(())
}

/// A segment is sealed once, and the last checkpoint is found wherever the chain begins.
pub async fn a_segment_is_sealed_once(under_test: &dyn StoreUnderTest) -> Result<()> {
    let mut store = under_test.open().await?;
    commit(&*store, vec![written(MOBILE, 1)?]).await?;
    let node = own_node(&*store).await?;
    ensure!(store.audit().last_checkpoint(node).await?.is_none());
    let events = store.audit().audit_events(node, 0, 10).await?;
    let mut all: Vec<Checkpoint> = Vec::new();
    for _ in 0..9 {
        let next = sealed(&events, all.last())?;
        commit(&*store, vec![Write::Checkpoint(Box::new(next.clone()))]).await?;
        ensure!(store.audit().last_checkpoint(node).await?.as_ref() == Some(&next));
        ensure_conflict(commit(&*store, vec![Write::Checkpoint(Box::new(next.clone()))]).await)?;
        all.push(next);
    }
    store = reopen(under_test, store).await?;
    ensure!(store.audit().checkpoints(node, 0, 100).await? == all);
    ensure!(
        store.audit().checkpoints(node, 3, 2).await?.iter().map(|found| found.segment).collect::<Vec<_>>() == [4, 5]
    );
    Ok(())
}

/// Up to its last event, and nothing of another node.
pub async fn an_old_segment_is_dropped(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let elsewhere = AuditNode(77);
    let bytes = event(MOBILE, 50)?.to_bytes().into();
    let copied = RecordedEvent { node: elsewhere, sequence: 1, mark: event(MOBILE, 50)?.mark(), bytes };
    commit(&*store, vec![written(MOBILE, 1)?, Write::AuditCopy(Box::new(copied.clone()))]).await?;
    commit(&*store, vec![written(MOBILE, 2)?]).await?;
    let node = own_node(&*store).await?;
    let events = store.audit().audit_events(node, 0, 10).await?;
    let first = sealed(events.get(..1).context("an event")?, None)?;
    let second = sealed(events.get(1..).context("an event")?, Some(&first))?;
    commit(&*store, vec![Write::Checkpoint(Box::new(first.clone())), Write::Checkpoint(Box::new(second.clone()))])
        .await?;
    commit(&*store, vec![Write::DropSegment { node, segment: 1, last: first.last }]).await?;
    ensure!(times_of(&*store, node, 0, 10).await? == [2]);
    ensure!(store.audit().checkpoints(node, 0, 10).await? == std::slice::from_ref(&second));
    ensure!(store.audit().last_checkpoint(node).await? == Some(second));
    ensure!(store.audit().audit_events(elsewhere, 0, 10).await? == [copied]);
    let mut nodes = vec![node, elsewhere];
    nodes.sort_unstable();
    ensure!(store.audit().audit_nodes().await? == nodes);
    Ok(())
}

/// All of them, or all but one.
pub async fn an_accounts_sessions_end_at_once(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    put(&*store, &[&account(1)?, &account(2)?]).await?;
    let weixin = ClientType::MiniProgram(Platform::Weixin);
    let opened = [(1, 1, ClientType::H5), (2, 1, weixin), (3, 1, ClientType::Pc), (4, 2, ClientType::H5)];
    for (tag, account, client_type) in opened {
        commit(&*store, vec![Write::OpenSession(session(tag, account, client_type)?)]).await?;
    }
    let there = async |tag: u8| anyhow::Ok(store.load_session(SessionId([tag; 16])).await?.is_some());
    commit(&*store, vec![Write::EndSessions { account: id(1)?, except: Some(weixin) }]).await?;
    ensure!(!there(1).await? && there(2).await? && !there(3).await? && there(4).await?);
    ensure!(store.sessions_of(id(1)?).await?.len() == 1);
    let again = session(5, 1, ClientType::H5)?;
    commit(&*store, vec![Write::EndSessions { account: id(1)?, except: None }, Write::OpenSession(again)]).await?;
    ensure!(!there(2).await? && there(5).await? && there(4).await?);
    Ok(())
}

/// Live accounts alone.
pub async fn a_number_leads_to_its_account(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let known = account_with_mobile(1, MOBILE)?;
    let revision = commit(&*store, vec![new_account(&known)]).await?;
    let found = store.account_of(&mobile(MOBILE)?).await?.context("the account")?;
    ensure!(found.value == known && found.revision == revision);
    ensure!(store.account_of(&mobile("13500135000")?).await?.is_none());
    let deleted =
        mobile_bind_domain::Account { deleted_at: Some(NOW), mobile_since: Some(NOW), seen_at: Some(NOW), ..known };
    commit(&*store, vec![write_account(revision, &deleted)]).await?;
    ensure!(store.account_of(&mobile(MOBILE)?).await?.is_none());
    ensure!(store.account(id(1)?).await?.context("the account")?.value == deleted);
    Ok(())
}

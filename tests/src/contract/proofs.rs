//! Proofs of openids, and what counts only once.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mobile_bind_domain::ports::{BindQuery, CallerQuery, Evidence, EvidenceQuery, LogInQuery, Store};
use mobile_bind_domain::{
    ClientType, Installation, Platform, Proof, ProofId, SealedSessionKey, SpentMark, UnionId, Write,
};

use super::records::{NOW, account, commit, ensure_conflict, give_identity, identity, key, purge, put, session};
use super::{StoreUnderTest, reopen};

fn proof_id(uuid: &str, openid: &str) -> Result<ProofId> {
    let installation = Installation::new(uuid).context("a uuid")?;
    Ok(ProofId::of(&installation, &identity(Platform::Weixin, "app", openid)?))
}

fn proof(unionid: &str, sealed: &[u8]) -> Proof {
    Proof::new(UnionId::new(unionid), SealedSessionKey::new(sealed), NOW, Duration::from_secs(60))
}

/// What speaks for an openid, as binds and log-ins see it.
async fn evidence(store: &dyn Store, query: EvidenceQuery) -> Result<Evidence> {
    let log_in =
        LogInQuery { identity: identity(Platform::Weixin, "app", "o")?, unionid: None, evidence: query.clone() };
    let caller = CallerQuery::Session(None);
    let bind = BindQuery { evidence: query, ..BindQuery::new(key("17602128368", "u")?, caller) };
    let (log_in, mut bind) = (store.load_log_in(&log_in).await?.evidence, store.load_bind(&bind).await?.evidence);
    let mut sorted = log_in.clone();
    sorted.spent.sort_unstable();
    bind.spent.sort_unstable();
    ensure!(sorted == bind, "a bind and a log-in see the same: {sorted:?} {bind:?}");
    Ok(sorted)
}

async fn proof_of(store: &dyn Store, id: ProofId) -> Result<Option<Proof>> {
    Ok(evidence(store, EvidenceQuery { proof: Some(id), marks: Vec::new() }).await?.proof)
}

/// And no other; the last one counts.
pub async fn a_proof_is_read_as_it_was_stored(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let (id, other) = (proof_id("u", "o")?, proof_id("v", "o")?);
    ensure!(proof_of(&*store, id).await?.is_none());
    let first = proof("union", &[0, 1, 255]);
    commit(&*store, vec![Write::Proof(id, first.clone()), Write::Proof(other, proof("", &[]))]).await?;
    ensure!(proof_of(&*store, id).await? == Some(first));
    ensure!(proof_of(&*store, other).await? == Some(proof("", &[])));
    let second = Proof { proved_at: NOW.after(Duration::from_millis(1)), ..proof("", &[7; 255]) };
    commit(&*store, vec![Write::Proof(id, second.clone())]).await?;
    let store = reopen(under_test, store).await?;
    ensure!(proof_of(&*store, id).await? == Some(second));
    ensure!(proof_of(&*store, proof_id("u", "O")?).await?.is_none(), "letter case counts");
    Ok(())
}

/// Never shortened; what is gone does not come back.
pub async fn use_lets_a_proof_count_longer(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let id = proof_id("u", "o")?;
    commit(&*store, vec![Write::UseProof(id, NOW.after(Duration::from_secs(90)))]).await?;
    ensure!(proof_of(&*store, id).await?.is_none());
    let known = proof("union", &[1]);
    commit(&*store, vec![Write::Proof(id, known.clone())]).await?;
    for (until, expected) in [(90, 90), (30, 90)] {
        commit(&*store, vec![Write::UseProof(id, NOW.after(Duration::from_secs(until)))]).await?;
        let expires_at = NOW.after(Duration::from_secs(expected));
        ensure!(proof_of(&*store, id).await? == Some(Proof { expires_at, ..known.clone() }));
    }
    Ok(())
}

/// Also across restarts, and within one change; and nothing of the change that comes second is written.
pub async fn a_mark_is_spent_once(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let marks = [1, 2, 3].map(|byte| SpentMark([byte; 32]));
    let spend = |mark| Write::Spend(mark, NOW.after(Duration::from_secs(60)));
    commit(&*store, vec![spend(marks[0]), spend(marks[1])]).await?;
    let store = reopen(under_test, store).await?;
    let id = proof_id("u", "o")?;
    for again in [vec![spend(marks[1])], vec![spend(marks[2]), spend(marks[0])], vec![spend(marks[2]), spend(marks[2])]]
    {
        let mut writes = vec![Write::Proof(id, proof("", &[]))];
        writes.extend(again);
        ensure_conflict(commit(&*store, writes).await)?;
    }
    let found = evidence(&*store, EvidenceQuery { proof: Some(id), marks: marks.to_vec() }).await?;
    ensure!(found == Evidence { proof: None, spent: marks[..2].to_vec() }, "{found:?}");
    Ok(())
}

/// Exactly one.
pub async fn one_of_many_spends_a_mark(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let mut spending = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let store = store.clone();
        spending.spawn(async move { commit(&*store, vec![Write::Spend(SpentMark([9; 32]), NOW)]).await });
    }
    let mut won = 0;
    while let Some(spent) = spending.join_next().await {
        match spent? {
            Ok(_) => won += 1,
            conflict => ensure_conflict(conflict)?,
        }
    }
    ensure!(won == 1, "{won}");
    Ok(())
}

/// In order, page by page, with nothing left out.
pub async fn proofs_and_marks_are_listed(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let bytes = [0x00, 0x01, 0x7f, 0x80, 0xff];
    let mut writes = Vec::new();
    for byte in bytes {
        writes.push(Write::Proof(ProofId([byte; 32]), proof("union", &[byte])));
        writes.push(Write::Spend(SpentMark([byte; 32]), NOW.after(Duration::from_secs(byte.into()))));
    }
    commit(&*store, writes).await?;
    let (mut proofs, mut marks) = (Vec::new(), Vec::new());
    loop {
        let page = store.proofs(proofs.last().map(|(id, _)| *id), 2).await?;
        ensure!(page.len() <= 2);
        let marked = store.spent(marks.last().map(|(mark, _)| *mark), 2).await?;
        if page.is_empty() && marked.is_empty() {
            break;
        }
        proofs.extend(page);
        marks.extend(marked);
    }
    ensure!(proofs == bytes.map(|byte| (ProofId([byte; 32]), proof("union", &[byte]))));
    ensure!(marks == bytes.map(|byte| (SpentMark([byte; 32]), NOW.after(Duration::from_secs(byte.into())))));
    Ok(())
}

/// Little by little; what has not ended stays.
pub async fn ended_proofs_and_marks_are_forgotten(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let now = NOW.after(Duration::from_secs(60));
    for byte in 1..=4 {
        let until = NOW.after(Duration::from_millis(if byte <= 2 { 60_000 } else { 60_001 }));
        let proof = Proof { expires_at: until, ..proof("", &[]) };
        commit(&*store, vec![Write::Proof(ProofId([byte; 32]), proof), Write::Spend(SpentMark([byte; 32]), until)])
            .await?;
    }
    let forgotten = purge(&*store, now, NOW, 1).await?;
    ensure!(forgotten == 4, "{forgotten}");
    let proofs: Vec<ProofId> = store.proofs(None, 9).await?.into_iter().map(|(id, _)| id).collect();
    let marks: Vec<SpentMark> = store.spent(None, 9).await?.into_iter().map(|(mark, _)| mark).collect();
    ensure!(proofs == [ProofId([3; 32]), ProofId([4; 32])] && marks == [SpentMark([3; 32]), SpentMark([4; 32])]);
    // What is forgotten may be spent anew.
    commit(&*store, vec![Write::Spend(SpentMark([1; 32]), now)]).await?;
    Ok(())
}

/// Holders, by openid and by unionid; the session of a bind's token beside them.
pub async fn a_log_in_finds_who_holds_what(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let (mut first, mut second) = (account(1)?, account(2)?);
    give_identity(&mut first, Platform::Weixin, "app", "o", "")?;
    give_identity(&mut second, Platform::Weixin, "app", "p", "union")?;
    put(&*store, &[&first, &second]).await?;
    let opened = session(1, 2, ClientType::H5)?;
    commit(&*store, vec![Write::OpenSession(opened.clone())]).await?;
    let weixin = identity(Platform::Weixin, "app", "o")?;
    for (unionid, expected) in [("union", Some(2)), ("Union", None), ("", None)] {
        let (unionid, evidence) = (UnionId::new(unionid), EvidenceQuery::default());
        let query = LogInQuery { identity: weixin.clone(), unionid: unionid.clone(), evidence };
        let found = store.load_log_in(&query).await?;
        let id = |holder: Option<mobile_bind_domain::Versioned<mobile_bind_domain::Account>>| {
            holder.map(|holder| holder.value.id.get())
        };
        ensure!((id(found.identity_holder), id(found.unionid_holder)) == (Some(1), expected));
        for by_token in [None, Some(opened.id)] {
            let caller =
                CallerQuery::Identity { identity: Some(weixin.clone()), unionid: unionid.clone(), session: by_token };
            let evidence = EvidenceQuery { proof: Some(proof_id("u", "o")?), marks: vec![SpentMark([1; 32])] };
            let query = BindQuery { evidence, ..BindQuery::new(key("17602128368", "u")?, caller) };
            let found = store.load_bind(&query).await?;
            ensure!((id(found.identity_holder), id(found.unionid_holder)) == (Some(1), expected));
            ensure!(found.session.map(|found| found.session.id) == by_token);
            ensure!(found.evidence == Evidence::default());
        }
    }
    let stranger = LogInQuery {
        identity: identity(Platform::Qq, "app", "o")?,
        unionid: UnionId::new("union"),
        evidence: EvidenceQuery::default(),
    };
    let found = store.load_log_in(&stranger).await?;
    ensure!(found.identity_holder.is_none() && found.unionid_holder.is_none());
    Ok(())
}

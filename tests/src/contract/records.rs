//! Records to store, and short ways to store them.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use mobile_bind_domain::bind::BindReceipt;
use mobile_bind_domain::ports::{
    BindQuery, BindSnapshot, CallerQuery, CommitError, EvidenceQuery, SendQuery, SendSnapshot, Store,
};
use mobile_bind_domain::{
    Account, AccountId, AppId, Challenge, ChallengeKey, Change, Client, ClientType, CodeMac, Expectation, Identity,
    Installation, KeyId, Mobile, OpenId, Platform, PlatformIdentity, Revision, Session, SessionId, SessionSeed,
    Subject, Tally, Timestamp, UnionId, Versioned, Write,
};

/// When everything in the cases happens.
pub const NOW: Timestamp = Timestamp::from_seconds(1_634_727_340);

/// A number.
///
/// # Errors
/// Where it is none.
pub fn mobile(number: &str) -> Result<Mobile> {
    Mobile::restore(number).context("a number")
}

/// An account's id.
///
/// # Errors
/// Where it is none.
pub fn id(number: u64) -> Result<AccountId> {
    AccountId::new(number).context("an id")
}

/// An account that holds nothing but its member code.
///
/// # Errors
/// Where the id is none.
pub fn account(number: u64) -> Result<Account> {
    Ok(Account::new(id(number)?, NOW))
}

/// An account that holds a number.
///
/// # Errors
/// Where the id or the number is none.
pub fn account_with_mobile(number: u64, mobile_number: &str) -> Result<Account> {
    Ok(Account { mobile: Some(mobile(mobile_number)?), ..account(number)? })
}

/// Gives an account an openid, and a unionid where it is not empty.
///
/// # Errors
/// Where one of them is malformed.
pub fn give_identity(account: &mut Account, platform: Platform, app: &str, openid: &str, unionid: &str) -> Result<()> {
    let app = AppId::new(app).context("an app")?;
    let identity = PlatformIdentity { app, openid: OpenId::new(openid), unionid: UnionId::new(unionid) };
    account.identities.insert(platform, identity);
    Ok(())
}

/// An identity.
///
/// # Errors
/// Where it is malformed.
pub fn identity(platform: Platform, app: &str, openid: &str) -> Result<Identity> {
    let app = AppId::new(app).context("an app")?;
    Ok(Identity { platform, app, openid: OpenId::new(openid).context("an openid")? })
}

/// The name of a challenge.
///
/// # Errors
/// Where a part is malformed.
pub fn key(number: &str, uuid: &str) -> Result<ChallengeKey> {
    let client = Client::Installation(Installation::new(uuid).context("a uuid")?);
    Ok(ChallengeKey { mobile: mobile(number)?, client })
}

/// A challenge that is told from others by its MAC.
///
/// # Errors
/// Never, in truth.
pub fn challenge(tag: u8) -> Result<Challenge> {
    let mac = CodeMac { key: KeyId::new("key").context("a key id")?, tag: [tag; 32] };
    Ok(Challenge::issue(mac, NOW, Duration::from_secs(600)))
}

/// A session that is told from others by its id.
///
/// # Errors
/// Where the account's id is none.
pub fn session(tag: u8, account: u64, client_type: ClientType) -> Result<Session> {
    Ok(Session {
        id: SessionId([tag; 16]),
        seed: SessionSeed([tag ^ 0x5a; 16]),
        key: KeyId::new("key").context("a key id")?,
        account: id(account)?,
        client_type,
        issued_at: NOW,
        used_at: NOW,
    })
}

/// A receipt of a bind that opened that session.
///
/// # Errors
/// Where the account's id is none.
pub fn receipt(tag: u8, account: u64, session: Option<SessionId>) -> Result<BindReceipt> {
    let expires_at = NOW.after(Duration::from_secs(10));
    Ok(BindReceipt { fingerprint: [tag; 32], expires_at, account: id(account)?, session })
}

/// Stores an account that is not there yet.
#[must_use]
pub fn new_account(account: &Account) -> Write {
    write_account(Revision::ABSENT, account)
}

/// Stores an account that was read at that revision.
#[must_use]
pub fn write_account(expected: Revision, account: &Account) -> Write {
    Write::Account { expected, account: Box::new(account.clone()) }
}

/// Commits writes.
///
/// # Errors
/// As the store says.
pub async fn commit(store: &dyn Store, writes: Vec<Write>) -> Result<Revision, CommitError> {
    store.commit(Change { expectations: Vec::new(), writes }).await
}

/// Commits writes under an expectation.
///
/// # Errors
/// As the store says.
pub async fn commit_expecting(
    store: &dyn Store,
    expectation: Expectation,
    writes: Vec<Write>,
) -> Result<Revision, CommitError> {
    store.commit(Change { expectations: vec![expectation], writes }).await
}

/// Stores accounts that are not there yet.
///
/// # Errors
/// Where they cannot be stored.
pub async fn put(store: &dyn Store, accounts: &[&Account]) -> Result<Revision> {
    Ok(commit(store, accounts.iter().map(|account| new_account(account)).collect()).await?)
}

/// Stores an account over what is there.
///
/// # Errors
/// Where it cannot be stored.
pub async fn overwrite(store: &dyn Store, account: &Account) -> Result<Revision> {
    let found = store.account(account.id).await?;
    Ok(commit(store, vec![write_account(Versioned::revision_of(found.as_ref()), account)]).await?)
}

/// Holds a commit to being refused as a conflict.
///
/// # Errors
/// Where it was not.
pub fn ensure_conflict(result: Result<Revision, CommitError>) -> Result<()> {
    ensure!(matches!(result, Err(CommitError::Conflict)), "no conflict: {result:?}");
    Ok(())
}

/// What a bind of a number by a client is decided on, with nobody named.
///
/// # Errors
/// Where the store fails.
pub async fn bind_snapshot(store: &dyn Store, key: &ChallengeKey) -> Result<BindSnapshot> {
    let (caller, evidence) = (CallerQuery::Session(None), EvidenceQuery::default());
    let query = BindQuery { evidence, ..BindQuery::new(key.clone(), caller) };
    Ok(store.load_bind(&query).await?)
}

/// What a send to a number for a client is decided on, by that session.
///
/// # Errors
/// Where the store fails.
pub async fn send_snapshot(store: &dyn Store, key: &ChallengeKey, session: Option<SessionId>) -> Result<SendSnapshot> {
    let address = std::net::IpAddr::from([192, 0, 2, 1]).into();
    Ok(store
        .load_send(&SendQuery { key: key.clone(), address, session, idempotency: None, sources: Vec::new() })
        .await?)
}

/// A client's challenge for a number.
///
/// # Errors
/// Where the store fails.
pub async fn challenge_at(store: &dyn Store, key: &ChallengeKey) -> Result<Option<Versioned<Challenge>>> {
    let (for_bind, for_send) = (bind_snapshot(store, key).await?, send_snapshot(store, key, None).await?);
    ensure!(for_bind.challenge == for_send.challenge, "a send and a bind see the same challenge");
    Ok(for_bind.challenge)
}

/// Who holds a number.
///
/// # Errors
/// Where the store fails.
pub async fn mobile_holder(store: &dyn Store, number: &str) -> Result<Option<u64>> {
    let snapshot = bind_snapshot(store, &key(number, "u")?).await?;
    Ok(snapshot.mobile_holder.map(|account| account.value.id.get()))
}

/// Who holds an identity, and who a unionid on its platform.
///
/// # Errors
/// Where the store fails.
pub async fn identity_holders(
    store: &dyn Store,
    identity: Identity,
    unionid: &str,
) -> Result<(Option<u64>, Option<u64>)> {
    let caller = CallerQuery::Identity { identity: Some(identity), unionid: UnionId::new(unionid), session: None };
    let evidence = EvidenceQuery::default();
    let query = BindQuery { evidence, ..BindQuery::new(key("13900000000", "u")?, caller) };
    let snapshot = store.load_bind(&query).await?;
    let id = |holder: Option<Versioned<Account>>| holder.map(|account| account.value.id.get());
    Ok((id(snapshot.identity_holder), id(snapshot.unionid_holder)))
}

/// The wrong codes counted for a number.
///
/// # Errors
/// Where the store fails.
pub async fn failures_on(store: &dyn Store, number: &str) -> Result<Tally> {
    let snapshot = bind_snapshot(store, &key(number, "u")?).await?;
    Ok(snapshot.tallies.get(&Subject::FailuresOn(mobile(number)?)).cloned().unwrap_or_default())
}

/// Opens a session for an account, with an id made of the account's and the client type's.
///
/// # Errors
/// Where the account's id is none.
pub fn open_session(account: u64, client_type: ClientType) -> Result<Write> {
    let mut opened = session(client_type.name().as_bytes().first().copied().unwrap_or_default(), account, client_type)?;
    opened.id.0[..8].copy_from_slice(&account.to_be_bytes());
    Ok(Write::OpenSession(opened))
}

/// Forgets all that has ended, in calls that look at so many records; answers how many were forgotten.
///
/// # Errors
/// Where the store fails, looks at more, or comes to no end.
pub async fn purge(store: &dyn Store, now: Timestamp, sessions_before: Timestamp, limit: usize) -> Result<usize> {
    let mut forgotten = 0;
    for _ in 0..200 {
        let purged = store.purge(now, sessions_before, limit).await?;
        ensure!(purged.forgotten <= limit, "no more than it looks at");
        forgotten += purged.forgotten;
        if !purged.more {
            return Ok(forgotten);
        }
    }
    bail!("there was always more")
}

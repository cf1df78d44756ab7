//! The store as a whole, on disk.

mod alone;
mod commit;
mod damage;
mod failure;
mod lifecycle;
mod purge;
mod verify;

use std::path::Path;
use std::time::Duration;

use mobile_bind_domain::ports::{BindQuery, BindSnapshot, CallerQuery, CommitError, Store};
use mobile_bind_domain::{
    Account, AccountId, AppId, Challenge, ChallengeKey, Change, Client, ClientType, CodeMac, Identity, Installation,
    KeyId, Mobile, OpenId, Platform, PlatformIdentity, Revision, Session, SessionId, SessionSeed, Timestamp, UnionId,
    Versioned, Write,
};

use crate::{Options, SledStore};

/// Small, so that the database gets its part.
const OPTIONS: Options = Options {
    cache_bytes: 1 << 20,
    queue: 4096,
    group: 512,
    journal_bytes: 128 << 10,
    mark_after: Duration::from_millis(50),
};

fn open(folder: &Path) -> SledStore {
    SledStore::open(folder, OPTIONS).unwrap()
}

/// A store whose disk does what `sync` does for the journal.
fn open_on(folder: &Path, options: Options, sync: crate::journal::DiskSync) -> SledStore {
    SledStore::open_on(folder, options, sync, Box::new(std::fs::File::sync_data)).unwrap()
}

/// The keys of all entries of a kind.
fn keys(store: &SledStore, kind: u8) -> Vec<Vec<u8>> {
    let entries = store.state.view().read(|reader| reader.range(vec![kind]..vec![kind + 1]).collect());
    let entries: Vec<(sled::IVec, sled::IVec)> = entries.unwrap();
    entries.into_iter().map(|(key, _)| key.to_vec()).collect()
}

/// Writes an entry into a database behind its store's back.
fn tamper(folder: &Path, key: &[u8], value: Option<&[u8]>) {
    let database = crate::open::open_database(folder, &OPTIONS).unwrap();
    let value = value.map(sled::IVec::from);
    database.blocks.apply(std::iter::once((key, value.as_ref())), |_| Ok(())).unwrap();
    database.sync(&mut (Box::new(std::fs::File::sync_data) as crate::journal::DiskSync)).unwrap();
}

fn id(id: u64) -> AccountId {
    AccountId::new(id).unwrap()
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn mobile(number: u64) -> Mobile {
    Mobile::restore(&(13_000_000_000 + number).to_string()).unwrap()
}

fn identity(openid: &str) -> Identity {
    let app = AppId::new("app").unwrap();
    Identity { platform: Platform::Weixin, app, openid: OpenId::new(openid).unwrap() }
}

/// An account with the number of its id.
fn account(number: u64) -> Account {
    Account { mobile: Some(mobile(number)), ..Account::new(id(number), at(1)) }
}

/// The same with an openid and a unionid.
fn mini_program_account(number: u64, openid: &str, unionid: &str) -> Account {
    let Identity { platform, app, openid } = identity(openid);
    let identity = PlatformIdentity { app, openid: Some(openid), unionid: UnionId::new(unionid) };
    Account { identities: [(platform, identity)].into(), ..account(number) }
}

fn put(expected: Revision, account: &Account) -> Write {
    Write::Account { expected, account: Box::new(account.clone()) }
}

fn key(number: u64) -> ChallengeKey {
    ChallengeKey { mobile: mobile(number), client: Client::Installation(Installation::new("uuid").unwrap()) }
}

fn challenge(expires_at: u64) -> Challenge {
    let mac = CodeMac { key: KeyId::new("k").unwrap(), tag: [0; 32] };
    Challenge { mac, sent_at: at(1), expires_at: at(expires_at), failures: 0 }
}

fn put_challenge(number: u64, expected: Revision, challenge: Option<Challenge>) -> Write {
    Write::Challenge { expected, key: key(number), challenge }
}

fn session(name: u8, account: u64, client_type: ClientType) -> Session {
    Session {
        id: SessionId([name; 16]),
        seed: SessionSeed([name; 16]),
        key: KeyId::new("k").unwrap(),
        account: id(account),
        client_type,
        issued_at: at(1),
        used_at: at(1),
    }
}

async fn commit<const COUNT: usize>(store: &SledStore, writes: [Write; COUNT]) -> Result<Revision, CommitError> {
    store.commit(Change { expectations: Vec::new(), writes: writes.into() }).await
}

fn conflicts<T: std::fmt::Debug>(outcome: Result<T, CommitError>) -> bool {
    matches!(outcome, Err(CommitError::Conflict))
}

async fn load(store: &SledStore, number: u64) -> BindSnapshot {
    let caller = CallerQuery::Session(None);
    let query = BindQuery::new(key(number), caller);
    store.load_bind(&query).await.unwrap()
}

async fn holder_of(store: &SledStore, number: u64) -> Option<AccountId> {
    load(store, number).await.mobile_holder.map(|holder: Versioned<Account>| holder.value.id)
}

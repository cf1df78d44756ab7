//! What both of two stores can hold, where one of them is in a shop's own database.

use std::fmt::Write as _;

use anyhow::{Result, bail};
use mobile_bind_domain::ports::Store;
use mobile_bind_domain::{Account, AccountId, Session, Timestamp};
use mobile_bind_shopxo::ContestedBy;

use crate::settings::Settings;
use crate::stores::{OpenStore, shopxo_options};

/// How much longer than a request a step of a copy may take, in milliseconds.
const PATIENCE_MS: u64 = 60_000;

/// The largest id that the shop's `int unsigned` holds.
const LARGEST_ID: u64 = u32::MAX as u64;

/// What moves from one store to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// All of it.
    Whole,
    /// A shop has whole seconds for an account's own times. Its tokens and those of others are not each other's, so no session
    /// moves; what is kept of one is when it was last used.
    AtOneShop,
}

impl Fit {
    /// Between two stores.
    pub(crate) fn of(source: &OpenStore, target: &OpenStore) -> Self {
        let shop = |store: &OpenStore| matches!(store, OpenStore::Shopxo(_));
        if shop(source) == shop(target) { Self::Whole } else { Self::AtOneShop }
    }

    /// An account and its sessions as both stores hold them.
    pub(crate) fn apply(self, mut account: Account, sessions: Vec<Session>) -> (Account, Vec<Session>) {
        if self == Self::Whole {
            return (account, sessions);
        }
        account.added_at = in_seconds(account.added_at);
        for time in [&mut account.updated_at, &mut account.deleted_at, &mut account.closed_at] {
            *time = time.map(in_seconds);
        }
        account.seen_at = sessions.iter().map(|session| session.used_at).chain(account.seen_at).max();
        (account, Vec::new())
    }

    /// What an operator has to know of the copy.
    pub(crate) fn told(self) -> &'static str {
        match self {
            Self::Whole => "",
            Self::AtOneShop => {
                "no session was copied: a shop's tokens and others are not each other's, so whoever was logged in logs in again\n"
            }
        }
    }
}

fn in_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_seconds(at.as_seconds())
}

/// The settings for a copy: more is done at once than for a request.
pub(crate) fn patient(settings: &mut Settings) {
    let postgres = &mut settings.postgres;
    let (timeout, lock_timeout) = (&mut postgres.timeout_ms, &mut postgres.lock_timeout_ms);
    for patience in [timeout, lock_timeout, &mut settings.shopxo.timeout_ms] {
        *patience = (*patience).max(PATIENCE_MS);
    }
}

/// Refuses a shop that has given to several accounts what one alone may have elsewhere: none of them is dropped, nor chosen.
///
/// # Errors
/// With the accounts.
pub(crate) async fn ensure_uncontested(settings: &Settings) -> Result<()> {
    let found = mobile_bind_shopxo::verify(&shopxo_options(settings)?, |_| {}).await?;
    if found.contested.is_empty() {
        return Ok(());
    }
    bail!(
        "the shop has given to several accounts what one alone may have; put that right at the shop first:{}",
        listed(&found.contested)
    )
}

/// Refuses accounts whose ids a shop's tables have no room for, before anything is written.
///
/// # Errors
/// With the first of them.
pub(crate) async fn ensure_ids_fit(source: &dyn Store) -> Result<()> {
    match source.accounts(AccountId::new(LARGEST_ID), 1).await?.first() {
        Some(account) => bail!(
            "account {} does not fit into the shop's tables, whose ids end at {LARGEST_ID}: nothing was copied",
            account.value.id.get()
        ),
        None => Ok(()),
    }
}

/// One line for each thing that several accounts have.
pub(crate) fn listed(contested: &[ContestedBy]) -> String {
    let mut text = String::new();
    for ContestedBy { what, accounts } in contested {
        let accounts: Vec<String> = accounts.iter().map(|id| id.get().to_string()).collect();
        // To a string nothing fails.
        let _ = write!(text, "\none {what}: accounts {}", accounts.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use mobile_bind_domain::ports::Store;
    use mobile_bind_domain::{
        Account, AccountId, Change, ClientType, KeyId, Revision, Session, SessionId, SessionSeed, Timestamp, Write,
    };
    use mobile_bind_memory::MemoryStore;

    use super::{ContestedBy, Fit, ensure_ids_fit, listed};

    #[test]
    fn beside_a_shop_times_are_whole_seconds_and_no_session_moves() {
        let (at, used_at) = (Timestamp::from_millis(1_999), Timestamp::from_millis(5_001));
        let account = Account { updated_at: Some(at), ..Account::new(AccountId::MIN, at) };
        let session = Session {
            id: SessionId([1; 16]),
            seed: SessionSeed([1; 16]),
            key: KeyId::new("k").unwrap(),
            account: account.id,
            client_type: ClientType::H5,
            issued_at: at,
            used_at,
        };
        let whole = Fit::Whole.apply(account.clone(), vec![session.clone()]);
        assert_eq!(whole, (account.clone(), vec![session.clone()]));
        let (fitted, sessions) = Fit::AtOneShop.apply(account, vec![session]);
        assert!(sessions.is_empty());
        assert_eq!(fitted.added_at, Timestamp::from_millis(1_000));
        assert_eq!(fitted.updated_at, Some(Timestamp::from_millis(1_000)));
        assert_eq!(fitted.seen_at, Some(used_at), "when its owner was last seen is not lost");
    }

    #[tokio::test]
    async fn an_account_that_no_shop_has_room_for_is_named() {
        let store = MemoryStore::new();
        let with = async |id: u64| {
            let account = Box::new(Account::new(AccountId::new(id).unwrap(), Timestamp::default()));
            let writes = vec![Write::Account { expected: Revision::ABSENT, account }];
            store.commit(Change { writes, ..Change::default() }).await.unwrap();
            ensure_ids_fit(&store).await
        };
        with(4_294_967_295).await.unwrap();
        let error = with(4_294_967_296).await.unwrap_err().to_string();
        assert!(error.contains("account 4294967296 "), "{error}");
    }

    #[test]
    fn accounts_that_have_the_same_are_named() {
        let accounts = vec![AccountId::MIN, AccountId::new(7).unwrap()];
        assert_eq!(listed(&[ContestedBy { what: "number", accounts }]), "\none number: accounts 1, 7");
    }
}

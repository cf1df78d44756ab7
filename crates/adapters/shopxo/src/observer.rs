//! Looking at a shop that somebody else works on: which account has a number, or a token. Nothing is written, and nothing can be:
//! each look is a transaction that the database holds to reading.

use mobile_bind_domain::ports::StoreError;
use mobile_bind_domain::{Account, AccountId, Mobile, Session, SessionId, Timestamp};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::connect::Aside;
use crate::fault::{Fault, OpenError};
use crate::options::Options;
use crate::shop::account::{self, Holder};
use crate::shop::session;
use crate::tables::Tables;

/// All of a look is as it was at one moment. A session's characteristics hold for one transaction.
const BEGIN: &str =
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";

/// An account at the shop, with the tokens that are good for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenAccount {
    /// The account, as the shop's rows have it.
    pub account: Account,
    /// Its sessions there.
    pub sessions: Vec<Session>,
}

impl SeenAccount {
    /// When the shop last wrote the account or one of its tokens, in whole seconds: a log-in is among that.
    #[must_use]
    pub fn changed_at(&self) -> Timestamp {
        let tokens = self.sessions.iter().map(|session| session.issued_at);
        tokens.chain(self.account.updated_at).fold(self.account.added_at, Timestamp::max)
    }
}

/// What a look found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The live accounts that have the number, in the order of their ids: several where the shop gave it to several.
    pub holders: Vec<SeenAccount>,
    /// The account that the token is good for.
    pub caller: Option<SeenAccount>,
}

/// Reads a shop's accounts, over a connection of its own. The database user needs SELECT, and nothing else.
pub struct ShopObserver(Aside);

impl ShopObserver {
    /// Connects when it first looks.
    ///
    /// # Errors
    /// Where the address cannot be used.
    pub fn new(options: Options) -> Result<Self, OpenError> {
        Aside::new(options).map(Self)
    }

    /// Who has a number now, and whom a token leads to.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn look(&self, mobile: &Mobile, token: Option<SessionId>) -> Result<Seen, StoreError> {
        let once = async || self.0.ask(async |conn, tables| look(conn, tables, mobile, token).await).await;
        match once().await {
            // It was cut while it was idle.
            Err(Fault::Connection(_)) => Ok(once().await?),
            seen => Ok(seen?),
        }
    }
}

async fn look(conn: &mut Conn, tables: &Tables, mobile: &Mobile, token: Option<SessionId>) -> Result<Seen, Fault> {
    conn.query_drop(BEGIN).await?;
    let holders: Vec<AccountId> = match account::holder_of_mobile(conn, tables, mobile).await? {
        Holder::Nobody => Vec::new(),
        Holder::One(holder) => vec![holder.value.id],
        Holder::Several(ids) => ids,
    };
    let session = match token {
        Some(token) => session::by_id(conn, tables, token).await?,
        None => None,
    };
    let caller = session.map(|session| session.account);
    let holders = with_sessions(conn, tables, &holders).await?;
    let caller = with_sessions(conn, tables, caller.as_slice()).await?.pop();
    conn.query_drop("COMMIT").await?;
    Ok(Seen { holders, caller })
}

async fn with_sessions(conn: &mut Conn, tables: &Tables, ids: &[AccountId]) -> Result<Vec<SeenAccount>, Fault> {
    let mut sessions = session::of_accounts(conn, tables, ids).await?;
    let accounts = account::by_ids(conn, tables, ids).await?.into_iter().map(|account| account.value);
    let seen = accounts.map(|account| {
        let own = sessions.extract_if(.., |session| session.account == account.id).collect();
        SeenAccount { account, sessions: own }
    });
    Ok(seen.collect())
}

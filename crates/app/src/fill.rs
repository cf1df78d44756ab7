//! Fills a store with made-up accounts, for measuring. Development only: it asks nobody for a code.

use std::io::{IsTerminal, Write as _};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use mobile_bind_domain::ports::{Clock, Randomness, Store, TokenIssuer};
use mobile_bind_domain::{
    Account, AccountId, AppId, Change, ClientType, Mobile, OpenId, Platform, PlatformIdentity, Revision, Session,
    SessionSeed, Write,
};
use tokio::task::JoinSet;

use crate::ambient::{SystemClock, SystemRandomness};
use crate::app::token_issuer;
use crate::settings::{Environment, Settings};
use crate::stores::OpenStore;

/// How many accounts are committed together, and how many such commits are under way at once.
const ACCOUNTS_IN_A_CHANGE: u64 = 256;
const CHANGES_UNDER_WAY: usize = 8;

/// Numbers are 199 and the last eight digits of the account's id.
const MOST_USERS: u64 = 100_000_000;

/// Adds `users` accounts to the store of the settings; each has a number, an openid on WeChat, a member code and a session.
///
/// # Errors
/// In production, and where the store fails or holds one of the numbers already.
pub async fn fill(settings: &Settings, users: u64) -> Result<()> {
    if settings.environment == Environment::Production {
        bail!("filling the store with made-up accounts is refused in production");
    }
    ensure!(users <= MOST_USERS, "there are numbers for {MOST_USERS} users at most");
    let app = AppId::new(&settings.platforms.weixin_app_id).context("platforms.weixin_app_id is too long")?;
    let opened = OpenStore::open(settings).await?;
    let (tokens, _) = token_issuer(settings, &opened, &SystemRandomness).await?;
    let store = opened.port();
    let filling = Filling { store: Arc::clone(&store), tokens, app, clock: Arc::new(SystemClock::default()) };
    let mut shown = None;
    let told = |done| {
        let percent = 100 * done / users.max(1);
        if shown.replace(percent) != Some(percent) {
            show(done, users);
        }
    };
    let filled = filling.run(users, told).await;
    store.close().await.map_err(|error| anyhow!(error).context("the store could not be closed"))?;
    filled
}

/// One line on standard error, drawn over itself; only the last one where nobody watches.
fn show(done: u64, users: u64) {
    let mut standard_error = std::io::stderr();
    if done < users && !standard_error.is_terminal() {
        return;
    }
    let twentieths = usize::try_from(20 * done / users.max(1)).unwrap_or(0);
    let end = if done == users { "\n" } else { "" };
    // Whoever closed standard error does not want to know.
    let _ = write!(standard_error, "\r[{:<20}] {done} of {users} accounts{end}", "#".repeat(twentieths));
    let _ = standard_error.flush();
}

struct Filling {
    store: Arc<dyn Store>,
    tokens: Arc<dyn TokenIssuer>,
    app: AppId,
    clock: Arc<dyn Clock>,
}

impl Filling {
    /// `told` hears how many are done, after each commit.
    async fn run(&self, users: u64, mut told: impl FnMut(u64)) -> Result<()> {
        let mut under_way = JoinSet::new();
        let (mut asked, mut done) = (0, 0);
        while done < users {
            while asked < users && under_way.len() < CHANGES_UNDER_WAY {
                let count = ACCOUNTS_IN_A_CHANGE.min(users - asked);
                let change = self.change(count).await?;
                let store = Arc::clone(&self.store);
                under_way.spawn(async move { store.commit(change).await.map(|_| count) });
                asked += count;
            }
            let committed = under_way.join_next().await.context("no commit is under way")?;
            done += committed.context("a commit ended badly")?.context("the accounts could not be stored")?;
            told(done);
        }
        Ok(())
    }

    async fn change(&self, accounts: u64) -> Result<Change> {
        let mut change = Change::default();
        for _ in 0..accounts {
            let id = self.store.allot_account_id().await.context("no account id is left")?;
            let account = self.account(id)?;
            change.writes.push(Write::OpenSession(self.session(id)?));
            change.writes.push(Write::Account { expected: Revision::ABSENT, account: Box::new(account) });
        }
        Ok(change)
    }

    fn account(&self, id: AccountId) -> Result<Account> {
        let mut account = Account::new(id, self.clock.now());
        let mobile = format!("199{:08}", id.get() % MOST_USERS);
        account.mobile = Some(Mobile::restore(&mobile).context("the number is no number")?);
        // As long as WeChat's, and as scattered.
        let mut unique = [0; 14];
        SystemRandomness.fill(&mut unique);
        let openid = format!("o{}", data_encoding::HEXLOWER.encode(&unique));
        let openid = Some(OpenId::new(&openid[..28]).context("the openid is no openid")?);
        let identity = PlatformIdentity { app: self.app.clone(), openid, unionid: None };
        account.identities.insert(Platform::Weixin, identity);
        Ok(account)
    }

    fn session(&self, account: AccountId) -> Result<Session> {
        let mut seed = [0; 16];
        SystemRandomness.fill(&mut seed);
        let opened = self.tokens.open(SessionSeed(seed)).context("no session could be opened")?;
        let now = self.clock.now();
        let client_type = ClientType::MiniProgram(Platform::Weixin);
        Ok(Session {
            id: opened.id,
            seed: opened.seed,
            key: opened.key,
            account,
            client_type,
            issued_at: now,
            used_at: now,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::fill;
    use crate::settings::{Environment, Settings};
    use crate::stores::OpenStore;

    #[tokio::test]
    async fn every_account_has_a_number_an_openid_and_a_session() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { data_dir: folder.path().to_owned(), ..Settings::default() };
        fill(&settings, 300).await.unwrap();
        // A second filling goes on where the first ended.
        fill(&settings, 1).await.unwrap();
        let store = OpenStore::open(&settings).await.unwrap().port();
        let accounts = store.accounts(None, 1_000).await.unwrap();
        assert_eq!(accounts.len(), 301);
        for found in accounts {
            let account = found.value;
            assert_eq!(account.mobile.as_ref().unwrap().as_str(), format!("199{:08}", account.id.get()));
            assert_eq!(account.held_identities().count(), 1);
            assert_eq!(store.sessions_of(account.id).await.unwrap().len(), 1);
        }
    }

    #[tokio::test]
    async fn production_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        let settings =
            Settings { environment: Environment::Production, data_dir: data_dir.clone(), ..Settings::default() };
        assert!(fill(&settings, 1).await.unwrap_err().to_string().contains("production"));
        assert!(!data_dir.exists());
    }
}

//! The shop's cache of users by token, where it is in Redis. A token that mobile-bind has ended is dead at the shop only when
//! its entry goes, so entries of ended tokens are deleted, after the commit and beside the requests.
//!
//! What a cached user is called: `SystemService::CacheKey` and `UserService::CacheUserTokenData` of ShopXO 6.9, over
//! `think\cache\driver\Redis` of ThinkPHP 8, which puts its prefix before the name.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisResult};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tracing::warn;

use crate::fault::OpenError;
use crate::shop::session::EndedToken;

/// How many ended tokens wait at most: more are lost while Redis is away, and said to be.
const WAITING: usize = 10_000;

/// How many are deleted at once.
const TOGETHER: usize = 100;

/// How long Redis may take to answer, and what is waited after it did not.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_secs(1);

/// How long a stop waits for what is not deleted yet.
const FAREWELL: Duration = Duration::from_secs(3);

/// The shop's programs that cache users, by the name that stands in the key.
const MODULES: [&str; 2] = ["api", "index"];

/// What names begin with. The setting of ShopXO 6.9 ends in an underscore itself, and another follows it; where it ends in none,
/// there is one.
const NAMES: [&str; 2] = ["cache_user_info__", "cache_user_info_"];

const TOKENS: &str = "mobile_bind_shop_cache_tokens_total";
const QUEUE: &str = "mobile_bind_shop_cache_tokens_waiting";

/// Tells the recorder what the metrics mean.
pub fn describe_metrics() {
    describe_counter!(TOKENS, "Ended tokens for the shop's cache in Redis, by outcome: deleted, or lost.");
    describe_gauge!(QUEUE, Unit::Count, "Ended tokens whose entries in the shop's cache are still to be deleted.");
}

/// Where the shop's cache is.
#[derive(Clone)]
pub struct CacheOptions {
    /// `redis://:password@host:port/0`, or `unix:///path/to/socket`. It may hold a password: `Debug` leaves it out.
    pub url: String,
    /// What the shop puts before every name: `common_cache_data_redis_prefix`.
    pub prefix: String,
}

impl std::fmt::Debug for CacheOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CacheOptions").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// The shop's cache, with what is to be deleted in it.
pub(crate) struct Cache {
    worker: Mutex<Option<(Sender<EndedToken>, JoinHandle<()>)>>,
}

impl Cache {
    /// Connects when something is to be deleted.
    pub(crate) fn new(options: &CacheOptions) -> Result<Self, OpenError> {
        let entries = Entries::new(options)?;
        let (sender, receiver) = channel(WAITING);
        let worker = tokio::spawn(work(entries, receiver));
        Ok(Self { worker: Mutex::new(Some((sender, worker))) })
    }

    /// Has the entries of tokens deleted soon.
    pub(crate) fn forget(&self, ended: Vec<EndedToken>) {
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((sender, _)) = worker.as_ref() else { return };
        for token in ended {
            if let Err(TrySendError::Full(_) | TrySendError::Closed(_)) = sender.try_send(token) {
                counter!(TOKENS, "outcome" => "lost").increment(1);
            }
        }
        waiting(sender.max_capacity() - sender.capacity());
    }

    /// Deletes what is still to be deleted, and ends.
    pub(crate) async fn close(&self) {
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((sender, mut worker)) = worker else { return };
        drop(sender);
        if tokio::time::timeout(FAREWELL, &mut worker).await.is_err() {
            worker.abort();
            warn!("ended tokens may go on working at the shop: its cache was not to be reached");
        }
    }
}

/// Whether the shop's cache answers.
///
/// # Errors
/// Where it does not, or its address cannot be used.
pub async fn check_cache(options: &CacheOptions) -> Result<(), OpenError> {
    let mut entries = Entries::new(options)?;
    let connection = entries.connection().await.map_err(|_| OpenError::Cache)?;
    let answered = redis::cmd("PING").query_async::<String>(connection).await;
    answered.map(drop).map_err(|_| OpenError::Cache)
}

#[expect(clippy::cast_precision_loss, reason = "the queue is far shorter than 2^52")]
fn waiting(tokens: usize) {
    gauge!(QUEUE).set(tokens as f64);
}

async fn work(mut entries: Entries, mut queue: Receiver<EndedToken>) {
    let mut tokens = Vec::with_capacity(TOGETHER);
    while queue.recv_many(&mut tokens, TOGETHER).await > 0 {
        let mut warned = false;
        while entries.delete(&tokens).await.is_err() {
            entries.connection = None;
            if !warned {
                warn!("the shop's cache cannot be reached: ended tokens go on working at the shop until it can");
                warned = true;
            }
            tokio::time::sleep(PAUSE).await;
        }
        counter!(TOKENS, "outcome" => "deleted").increment(tokens.len() as u64);
        tokens.clear();
        waiting(queue.len());
    }
}

/// The entries of one shop.
struct Entries {
    client: Client,
    prefix: String,
    connection: Option<MultiplexedConnection>,
}

impl Entries {
    fn new(options: &CacheOptions) -> Result<Self, OpenError> {
        // The driver's own words may quote the address.
        let client = Client::open(options.url.as_str()).map_err(|_| OpenError::CacheAddress)?;
        Ok(Self { client, prefix: options.prefix.clone(), connection: None })
    }

    async fn connection(&mut self) -> RedisResult<&mut MultiplexedConnection> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let patience = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(PATIENCE))
                    .set_response_timeout(Some(PATIENCE));
                self.client.get_multiplexed_async_connection_with_config(&patience).await?
            }
        };
        Ok(self.connection.insert(connection))
    }

    async fn delete(&mut self, tokens: &[EndedToken]) -> RedisResult<()> {
        let names: Vec<String> = tokens.iter().flat_map(|ended| names(&self.prefix, ended)).collect();
        let connection = self.connection().await?;
        redis::cmd("DEL").arg(names).query_async(connection).await
    }
}

/// What a token's user may be cached as.
fn names<'a>(prefix: &'a str, ended: &'a EndedToken) -> impl Iterator<Item = String> + 'a {
    let EndedToken { system_type, token } = ended;
    NAMES.into_iter().flat_map(move |name| {
        MODULES.into_iter().map(move |module| format!("{prefix}{name}{system_type}_{module}{token}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_entry_is_named_as_the_shop_names_it() {
        let ended = EndedToken { system_type: "default".to_owned(), token: "abc".to_owned() };
        let named: Vec<_> = names("redis_shopxo", &ended).collect();
        for expected in [
            "redis_shopxocache_user_info__default_apiabc",
            "redis_shopxocache_user_info__default_indexabc",
            "redis_shopxocache_user_info_default_apiabc",
        ] {
            assert!(named.iter().any(|name| name == expected), "{named:?}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_used_is_not_repeated() {
        let options = CacheOptions { url: "rediss//:hush@h".to_owned(), prefix: String::new() };
        let error = Entries::new(&options).err().unwrap();
        assert!(!format!("{error} {error:?} {options:?}").contains("hush"));
    }
}

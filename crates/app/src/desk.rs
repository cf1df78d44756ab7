//! Where operators' orders are carried out: a running service's store, or one that was opened for that.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use async_trait::async_trait;
use mobile_bind_domain::ports::{NoPlatforms, Outgoing, RandomCodes, Randomness, Relay, SendFailure};
use mobile_bind_domain::{Guards, Service};
use mobile_bind_sealing::AeadSealer;
use tracing::info;

use crate::ambient::{SystemClock, SystemRandomness};
use crate::app::token_issuer;
use crate::backup;
use crate::keys;
use crate::settings::Settings;
use crate::stores::OpenStore;

/// An open store, and the use cases over it.
pub(crate) struct Desk {
    pub(crate) service: Arc<Service>,
    pub(crate) store: OpenStore,
    pub(crate) data_dir: PathBuf,
}

impl Desk {
    /// Opens the store that the settings name, for orders alone: nothing is sent, and no platform is asked.
    ///
    /// # Errors
    /// Where the store or the keys cannot be used.
    pub(crate) async fn open(settings: &Settings) -> Result<Self> {
        let store = OpenStore::open(settings).await?;
        let key_place = store.keys(settings);
        let randomness: Arc<dyn Randomness> = Arc::new(SystemRandomness);
        let keys = keys::code_keys(&key_place, randomness.as_ref()).await?;
        let service = Arc::new(Service {
            store: store.port(),
            relay: Arc::new(NoRelay),
            sealer: Arc::new(AeadSealer::new(keys.derived(b"outbox"), Arc::clone(&randomness))?),
            clock: Arc::new(SystemClock::default()),
            codes: Arc::new(RandomCodes(Arc::clone(&randomness))),
            platforms: Arc::new(NoPlatforms),
            tokens: token_issuer(settings, &store, randomness.as_ref()).await?.0,
            keys,
            policy: settings.policy()?.into(),
            audit: Default::default(),
            guards: Guards::default(),
            randomness,
        });
        Ok(Self { service, store, data_dir: settings.data_dir.clone() })
    }

    /// Lets the store go.
    ///
    /// # Errors
    /// Where it cannot be closed.
    pub(crate) async fn close(self) -> Result<()> {
        let closed = self.service.store.close().await;
        closed.map_err(|error| anyhow!(error).context("the store could not be closed"))
    }

    /// Writes a backup. Answers the sequence of the last change in it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) async fn back_up(&self, to: &Path) -> Result<u64> {
        let store = self.store.embedded().context("only the embedded store is backed up so")?;
        let sequence = backup::back_up(&store, &self.data_dir, to).await?;
        info!(to = %to.display(), sequence, "a backup was written");
        Ok(sequence)
    }
}

/// Sends nothing: orders have nobody sent a message.
struct NoRelay;

#[async_trait]
impl Relay for NoRelay {
    async fn relay(&self, _: Outgoing) -> Result<(), SendFailure> {
        Err(SendFailure::Unavailable)
    }
}

//! The sled store under test, in a folder that goes away with it.

use std::sync::Arc;

use async_trait::async_trait;
use mobile_bind_domain::ports::Store;
use mobile_bind_sled::{Options, SledStore};
use tempfile::TempDir;

use super::StoreUnderTest;

/// A folder for one store.
pub struct SledFolder(TempDir);

#[async_trait]
impl StoreUnderTest for SledFolder {
    fn empty() -> anyhow::Result<Self> {
        Ok(Self(TempDir::new()?))
    }

    async fn open(&self) -> anyhow::Result<Arc<dyn Store>> {
        Ok(Arc::new(SledStore::open(&self.0.path().join("store"), Options::default())?))
    }
}

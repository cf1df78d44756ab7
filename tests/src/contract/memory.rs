//! The store in memory.

use std::sync::Arc;

use async_trait::async_trait;
use mobile_bind_domain::ports::Store;
use mobile_bind_memory::MemoryStore;

use super::StoreUnderTest;

/// A store that is kept while the test lasts.
pub struct Memory(MemoryStore);

#[async_trait]
impl StoreUnderTest for Memory {
    fn empty() -> anyhow::Result<Self> {
        Ok(Self(MemoryStore::new()))
    }

    async fn open(&self) -> anyhow::Result<Arc<dyn Store>> {
        Ok(Arc::new(self.0.reopened()))
    }
}

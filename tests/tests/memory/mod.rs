//! The store in memory that the domain's own tests run over: they are worth what it is worth.

#[path = "../../../crates/domain/tests/rules/support/memory.rs"]
mod store;

use std::sync::Arc;

use async_trait::async_trait;
use mobile_bind_domain::ports::Store;
use mobile_bind_tests::contract::StoreUnderTest;

use store::MemoryStore;

pub(crate) struct Memory(MemoryStore);

#[async_trait]
impl StoreUnderTest for Memory {
    fn empty() -> anyhow::Result<Self> {
        Ok(Self(MemoryStore::default()))
    }

    async fn open(&self) -> anyhow::Result<Arc<dyn Store>> {
        Ok(Arc::new(self.0.clone()))
    }
}

//! The store on a shop's database under test. `cargo xtask test` brings the server.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use mobile_bind_domain::ports::Store;
use mobile_bind_shopxo::{Options, ShopxoStore};
use tokio::sync::OnceCell;

use super::{Limits, StoreUnderTest};
use crate::shop::Shop;

/// A shop's database for one store, made when it is first needed.
#[derive(Default)]
pub struct ShopDatabase {
    shop: OnceCell<Shop>,
}

impl ShopDatabase {
    /// The shop.
    ///
    /// # Errors
    /// Where there is no server.
    pub async fn shop(&self) -> Result<&Shop> {
        self.shop.get_or_try_init(Shop::open).await
    }
}

#[async_trait]
impl StoreUnderTest for ShopDatabase {
    /// The columns of the shop: `int unsigned` for ids, `int` for points and birthdays, seconds for times.
    fn limits(&self) -> Limits {
        let amounts = i32::MIN.into()..=i32::MAX.into();
        Limits { largest_id: u32::MAX.into(), amounts, precision: Duration::from_secs(1) }
    }

    fn empty() -> Result<Self> {
        Ok(Self::default())
    }

    async fn open(&self) -> Result<Arc<dyn Store>> {
        let options = Options { connections: 8, ..Options::new(&self.shop().await?.store()) };
        Ok(Arc::new(ShopxoStore::open(options).await?))
    }
}

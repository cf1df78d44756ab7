//! A network that fails at every step of a bind: never a bind that is told and not there, never an account twice.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mobile_bind::settings::LimitMode;
use mobile_bind_domain::Refusal;
use mobile_bind_domain::ports::Store;
use mobile_bind_postgres::PostgresStore;
use mobile_bind_shopxo::ShopxoStore;
use mobile_bind_tests::contract::StoreUnderTest;
use mobile_bind_tests::contract::postgres::PostgresSchema;
use mobile_bind_tests::contract::shopxo::ShopDatabase;
use mobile_bind_tests::harness::TestServer;
use mobile_bind_tests::nodes::{Attempt, Nodes};
use mobile_bind_tests::proxy::{Fault, Proxy, Way};
use mobile_bind_tests::shop::Shop;

const TIMEOUT: Duration = Duration::from_millis(250);
const LATE: Duration = Duration::from_millis(400);

/// At how many places of what goes there, and of what comes back, each fault strikes.
const STEPS: usize = 16;

/// How many binds go before one that is struck.
const WARMING: usize = 2;

struct Scene {
    proxy: Proxy,
    /// The first node is behind the proxy, the second is not.
    nodes: Nodes,
    faulty: Arc<dyn Store>,
    binds: usize,
    _database: Box<dyn StoreUnderTest>,
}

impl Scene {
    async fn over_postgres() -> Result<Self> {
        let schema = PostgresSchema::empty()?;
        let direct = schema.open().await?;
        let (proxy, through) = Proxy::before(&schema.address()).await?;
        let options = mobile_bind_postgres::Options {
            connections: 1,
            timeout: TIMEOUT,
            ..mobile_bind_postgres::Options::new(&through)
        };
        let faulty = Arc::new(PostgresStore::open(options).await?);
        Self::new(proxy, faulty, direct, Box::new(schema))
    }

    async fn over_a_shop() -> Result<Self> {
        let database = ShopDatabase::empty()?;
        let direct = database.open().await?;
        let (proxy, through) = Proxy::before(&database.shop().await?.store()).await?;
        let options = mobile_bind_shopxo::Options {
            connections: 1,
            timeout: TIMEOUT,
            ..mobile_bind_shopxo::Options::new(&through)
        };
        let faulty = Arc::new(ShopxoStore::open(options).await?);
        Self::new(proxy, faulty, direct, Box::new(database))
    }

    fn new(
        proxy: Proxy,
        faulty: Arc<dyn Store>,
        direct: Arc<dyn Store>,
        database: Box<dyn StoreUnderTest>,
    ) -> Result<Self> {
        let nodes = Nodes::over(vec![Arc::clone(&faulty), direct])?;
        Ok(Self { proxy, nodes, faulty, binds: 0, _database: database })
    }

    /// A person with a new number and a code for it.
    async fn person(&mut self) -> Result<Attempt> {
        self.binds += 1;
        let (number, uuid) = (format!("13{:09}", self.binds), "u".to_owned());
        let code = self.nodes.code(1, &number, &uuid).await?;
        Ok(Attempt { number, code, uuid, openid: format!("o{}", self.binds), token: String::new() })
    }

    /// Binds without a fault, so that the connection is there and knows its statements; answers the bytes it took.
    async fn warm_up(&mut self) -> Result<(usize, usize)> {
        let mut passed = (usize::MAX, usize::MAX);
        for _ in 0..WARMING {
            let person = self.person().await?;
            self.proxy.arm(None);
            let bound = person.bind(self.nodes.node(0)?).await;
            ensure!(bound.is_ok(), "the network is whole again, and the pool has recovered: {bound:?}");
            let (there, back) = self.proxy.passed();
            // Now and then a bind has to fetch numbers, too.
            passed = (passed.0.min(there), passed.1.min(back));
        }
        Ok(passed)
    }

    /// How many live accounts hold the number.
    async fn holders(&self, number: &str) -> Result<usize> {
        let accounts = self.nodes.node(1)?.store.accounts(None, usize::MAX).await?;
        let holds = |account: &&_| {
            let account: &mobile_bind_domain::Versioned<mobile_bind_domain::Account> = account;
            account.value.held_mobile().is_some_and(|mobile| mobile.as_str() == number)
        };
        Ok(accounts.iter().filter(holds).count())
    }

    /// One bind that the fault strikes.
    async fn struck(&mut self, way: Way, after: usize, fault: Fault) -> Result<bool> {
        self.warm_up().await?;
        let person = self.person().await?;
        self.proxy.arm(Some((way, after, fault)));
        let answer = person.clone().bind(self.nodes.node(0)?).await;
        ensure!(self.proxy.has_struck(), "the fault came too late");
        match &answer {
            Ok(_) => ensure!(self.holders(&person.number).await? == 1, "told, and not there"),
            Err(Refusal::NotStored(_)) => {}
            Err(other) => anyhow::bail!("the answer is {other:?}"),
        }
        // Whoever was told nothing asks again: the receipt answers, or the code is still good.
        let again = person.clone().bind(self.nodes.node(1)?).await;
        let again = again.map_err(|refusal| anyhow::anyhow!("asked again, the answer is {refusal:?}"))?;
        ensure!(self.holders(&person.number).await? == 1, "there twice, or not at all");
        if let Ok(first) = &answer {
            ensure!(first.token.expose() == again.token.expose(), "the same answer");
        }
        Ok(answer.is_ok())
    }

    async fn everywhere(&mut self, fault: Fault) -> Result<()> {
        let (there, back) = self.warm_up().await?;
        let mut told = 0;
        for step in 0..STEPS {
            for (way, bytes) in [(Way::There, there), (Way::Back, back)] {
                // The number of an openid and the account's id may have one digit less.
                let after = (bytes - 24) * step / STEPS;
                let outcome = self.struck(way, after, fault).await;
                told +=
                    usize::from(outcome.with_context(|| format!("{fault:?} after {after} of {bytes} bytes {way:?}"))?);
            }
        }
        ensure!(told < 2 * STEPS, "no fault was felt");
        self.faulty.close().await?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_neither_feigns_nor_doubles_a_bind() -> Result<()> {
    Scene::over_postgres().await?.everywhere(Fault::Cut).await?;
    Scene::over_a_shop().await?.everywhere(Fault::Cut).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_closed_connection_neither_feigns_nor_doubles_a_bind() -> Result<()> {
    Scene::over_postgres().await?.everywhere(Fault::HalfClose).await?;
    Scene::over_a_shop().await?.everywhere(Fault::HalfClose).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_connection_neither_feigns_nor_doubles_a_bind() -> Result<()> {
    Scene::over_postgres().await?.everywhere(Fault::Delay(LATE)).await?;
    Scene::over_a_shop().await?.everywhere(Fault::Delay(LATE)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bind_is_told_only_when_its_commit_is_answered() -> Result<()> {
    for mut scene in [Scene::over_postgres().await?, Scene::over_a_shop().await?] {
        let (there, back) = scene.warm_up().await?;
        // The last byte of the commit, and the last of its answer.
        for (way, bytes) in [(Way::There, there), (Way::Back, back)] {
            let told = scene.struck(way, bytes - 24, Fault::Cut).await?;
            ensure!(!told, "{way:?}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_told_in_time_and_found_again() -> Result<()> {
    for mut scene in [Scene::over_postgres().await?, Scene::over_a_shop().await?] {
        scene.warm_up().await?;
        scene.proxy.arm(Some((Way::There, 0, Fault::HalfClose)));
        ensure!(scene.faulty.check().await.is_err(), "it says that it is away");
        scene.proxy.arm(None);
        scene.faulty.check().await?;
        scene.warm_up().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shops_database_that_is_away_is_answered_so_and_found_again() -> Result<()> {
    const MOBILE: &str = "17602128368";
    let shop = Shop::open().await?;
    let (proxy, through) = Proxy::before(&shop.store()).await?;
    let server = TestServer::start_with(|settings| {
        settings.store = through;
        settings.shopxo.timeout_ms = 250;
        settings.limits.mode = LimitMode::Off;
    })
    .await?;
    server.send_code("u", MOBILE).await?;
    let form = format!("mobile={MOBILE}&verify={}", server.last_code(MOBILE)?);
    let bind = || server.post("/user/appmobilebind?application_client_type=h5&uuid=u", &form);
    proxy.part(true);
    let away = bind().await?;
    ensure!(away.code() == Some(-100), "{}", away.text);
    proxy.part(false);
    let bound = bind().await?;
    ensure!(bound.code() == Some(0) && bound.field("mobile") == MOBILE, "{}", bound.text);
    let kept = shop.rows("SELECT COUNT(*) FROM sxo_user WHERE mobile = ?", (MOBILE,)).await?;
    let kept: Option<i64> = kept.into_iter().next().and_then(|mut row| row.take(0));
    ensure!(kept == Some(1), "{kept:?}");
    server.stop().await
}

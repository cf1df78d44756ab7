//! How often a node waits for its database. Between two data centres each wait is some milliseconds, whatever the machines.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use mobile_bind_domain::ports::Store;
use mobile_bind_postgres::PostgresStore;
use mobile_bind_shopxo::ShopxoStore;
use mobile_bind_tests::contract::StoreUnderTest;
use mobile_bind_tests::contract::postgres::PostgresSchema;
use mobile_bind_tests::contract::shopxo::ShopDatabase;
use mobile_bind_tests::nodes::{Attempt, Nodes};
use mobile_bind_tests::proxy::Proxy;

/// A node with one connection, behind a proxy that counts. On one thread, so that what is asked together leaves together.
struct Scene {
    proxy: Arc<Proxy>,
    nodes: Nodes,
    /// How often it had waited when the last message left.
    before_message: Arc<AtomicUsize>,
    people: usize,
    _database: Box<dyn StoreUnderTest>,
}

impl Scene {
    async fn over_postgres() -> Result<Self> {
        let schema = PostgresSchema::empty()?;
        schema.prepare().await?;
        let (proxy, through) = Proxy::before(&schema.address()).await?;
        let options = mobile_bind_postgres::Options { connections: 1, ..mobile_bind_postgres::Options::new(&through) };
        Self::new(Arc::new(proxy), Arc::new(PostgresStore::open(options).await?), Box::new(schema))
    }

    async fn over_a_shop() -> Result<Self> {
        let database = ShopDatabase::empty()?;
        let (proxy, through) = Proxy::before(&database.shop().await?.store()).await?;
        let options = mobile_bind_shopxo::Options { connections: 1, ..mobile_bind_shopxo::Options::new(&through) };
        Self::new(Arc::new(proxy), Arc::new(ShopxoStore::open(options).await?), Box::new(database))
    }

    fn new(proxy: Arc<Proxy>, store: Arc<dyn Store>, database: Box<dyn StoreUnderTest>) -> Result<Self> {
        let nodes = Nodes::over(vec![store])?;
        let before_message = Arc::new(AtomicUsize::new(0));
        let (watched, noted) = (Arc::clone(&proxy), Arc::clone(&before_message));
        nodes.observe_messages(move || noted.store(watched.round_trips(), Ordering::Relaxed));
        Ok(Self { proxy, nodes, before_message, people: 0, _database: database })
    }

    /// Sends a code to a new number and binds it; answers how many round trips there were before the message, for the send as
    /// a whole, and for the bind.
    async fn person(&mut self, openid: &str, token: &str) -> Result<([usize; 3], String)> {
        self.people += 1;
        let (number, uuid) = (format!("13{:09}", self.people), "u".to_owned());
        self.proxy.arm(None);
        let code = self.nodes.code(0, &number, &uuid).await?;
        let (before, sent) = (self.before_message.load(Ordering::Relaxed), self.proxy.round_trips());
        self.proxy.arm(None);
        let person = Attempt { number, code, uuid, openid: openid.to_owned(), token: token.to_owned() };
        let bound = person.bind(self.nodes.node(0)?).await;
        let bound = bound.map_err(|refusal| anyhow::anyhow!("not bound: {refusal:?}"))?;
        Ok(([before, sent, self.proxy.round_trips()], bound.token.expose().to_owned()))
    }
}

#[tokio::test]
async fn a_send_and_a_bind_wait_twice_each() -> Result<()> {
    let mut scene = Scene::over_postgres().await?;
    // The first of each kind prepares its statements.
    for round in 0..2 {
        let openid = format!("o{round}");
        let (by_openid, _) = scene.person(&openid, "").await?;
        let (by_web, token) = scene.person("", "").await?;
        let (changed, _) = scene.person("", &token).await?;
        if round > 0 {
            // The outcome of a message is stored off the request's path; the relay here waits for that too.
            ensure!([by_openid, by_web, changed] == [[2, 3, 2]; 3], "{:?}", [by_openid, by_web, changed]);
        } else {
            ensure!(by_openid[2] > 2, "what is counted is counted: {by_openid:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_probe_waits_once() -> Result<()> {
    let scene = Scene::over_postgres().await?;
    let store = Arc::clone(&scene.nodes.node(0)?.store);
    store.check().await?;
    scene.proxy.arm(None);
    store.check().await?;
    ensure!(scene.proxy.round_trips() == 1, "{}", scene.proxy.round_trips());
    Ok(())
}

/// One question loads what a bind of a new person rests on; its transaction has twelve statements, a
/// beginning and an end.
#[tokio::test]
async fn a_bind_at_a_shop_asks_once_and_commits_by_fourteen() -> Result<()> {
    let mut scene = Scene::over_a_shop().await?;
    let mut fewest = usize::MAX;
    for round in 0..4 {
        let ([_, _, bound], _) = scene.person(&format!("o{round}"), "").await?;
        if round == 0 {
            ensure!(bound > 15, "what is counted is counted: {bound}");
        }
        // Now and then a bind has to fetch numbers, too.
        fewest = fewest.min(bound);
    }
    ensure!(fewest == 15, "{fewest}");
    Ok(())
}

//! How often a node waits for its database. Between two data centres each wait is some milliseconds, whatever the machines.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use mobile_bind_domain::ports::Store;
use mobile_bind_postgres::{Options, PostgresStore};
use mobile_bind_tests::contract::StoreUnderTest;
use mobile_bind_tests::contract::postgres::PostgresSchema;
use mobile_bind_tests::nodes::{Attempt, Nodes};
use mobile_bind_tests::proxy::Proxy;

/// A node with one connection, behind a proxy that counts. On one thread, so that what is asked together leaves together.
struct Scene {
    proxy: Arc<Proxy>,
    nodes: Nodes,
    /// How often it had waited when the last message left.
    before_message: Arc<AtomicUsize>,
    people: usize,
    _schema: PostgresSchema,
}

impl Scene {
    async fn start() -> Result<Self> {
        let schema = PostgresSchema::empty()?;
        schema.prepare().await?;
        let address = schema.address();
        let (who, place) = address.split_once('@').context("an address with a user")?;
        let (server, database) = place.split_once('/').context("an address with a database")?;
        let proxy = Arc::new(Proxy::start(server.to_owned()).await?);
        let options = Options { connections: 1, ..Options::new(&format!("{who}@{}/{database}", proxy.address)) };
        let nodes = Nodes::over(vec![Arc::new(PostgresStore::open(options).await?) as Arc<dyn Store>])?;
        let before_message = Arc::new(AtomicUsize::new(0));
        let (watched, noted) = (Arc::clone(&proxy), Arc::clone(&before_message));
        nodes.observe_messages(move || noted.store(watched.round_trips(), Ordering::Relaxed));
        Ok(Self { proxy, nodes, before_message, people: 0, _schema: schema })
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
    let mut scene = Scene::start().await?;
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
    let scene = Scene::start().await?;
    let store = Arc::clone(&scene.nodes.node(0)?.store);
    store.check().await?;
    scene.proxy.arm(None);
    store.check().await?;
    ensure!(scene.proxy.round_trips() == 1, "{}", scene.proxy.round_trips());
    Ok(())
}

//! Whether the store can be used, and what this node knows of it: for a load balancer's probe, and for whoever looks.

use std::collections::BTreeMap;
use std::sync::Arc;

use mobile_bind_domain::Service;
use mobile_bind_domain::ports::{PoolFacts, ProviderFacts, ReplicationFacts, StoreFacts};
use poem::{Endpoint, Request, Response, Result};
use serde::Serialize;
use tracing::error;

use crate::endpoint::Head;
use crate::envelope;
use crate::fault::WireFault;
use crate::refusal_table;

/// Answers 200 while the store can be read and written, else 503 in the envelope; both with the facts.
pub(crate) struct Readiness(pub(crate) Arc<Service>);

impl Endpoint for Readiness {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let checked = self.0.store.check().await;
        let facts = self.0.store.facts();
        let providers = self.0.relay.providers();
        let Err(fault) = checked else {
            let body = serde_json::to_vec(&Node::new("ready", facts, providers)).unwrap_or_default();
            return Ok(Response::builder().content_type("application/json").body(body));
        };
        error!(error = &fault as &dyn std::error::Error, "not ready");
        let told = refusal_table::fault(WireFault::NotReady, Head::of(&request).language());
        let node = Node::new("not ready", facts, providers);
        Ok(envelope::response(WireFault::NotReady.status(), told.code, &told.message, &node))
    }
}

/// What is absent does not apply, or the store does not tell.
#[derive(Serialize)]
struct Node {
    status: &'static str,
    store: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<Pool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replication: Option<Replication>,
    /// The SMS providers and their circuit breakers. One that is left alone does not make the service unready: the next one
    /// is asked.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    sms: BTreeMap<String, &'static str>,
}

#[derive(Serialize)]
struct Pool {
    limit: usize,
    open: usize,
    in_use: usize,
    waiting: usize,
}

#[derive(Serialize)]
struct Replication {
    standbys: u32,
    synchronous: u32,
    lag_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_ms: Option<f64>,
}

impl Node {
    fn new(status: &'static str, facts: StoreFacts, providers: Vec<ProviderFacts>) -> Self {
        let StoreFacts { kind, node, pool, replication } = facts;
        Self {
            status,
            store: kind,
            node,
            pool: pool.map(Pool::from),
            replication: replication.map(Replication::from),
            sms: providers.into_iter().map(|provider| (provider.name, provider.breaker)).collect(),
        }
    }
}

impl From<PoolFacts> for Pool {
    fn from(PoolFacts { limit, open, in_use, waiting }: PoolFacts) -> Self {
        Self { limit, open, in_use, waiting }
    }
}

impl From<ReplicationFacts> for Replication {
    fn from(ReplicationFacts { standbys, synchronous, lag_bytes, lag }: ReplicationFacts) -> Self {
        Self { standbys, synchronous, lag_bytes, lag_ms: lag.map(|lag| lag.as_secs_f64() * 1000.0) }
    }
}

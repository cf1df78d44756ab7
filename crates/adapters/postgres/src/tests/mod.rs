//! The store over a real database; `cargo xtask test` brings it.

mod plans;
mod replication;
mod schema;
mod tls;

use deadpool_postgres::Client;

use crate::connect;
use crate::hosts::Warnings;
use crate::options::Options;

/// Connections to a schema that is empty, and its name. Each test has a schema of its own name.
async fn empty_schema(test: &str) -> (Options, Client) {
    let missing = "MOBILE_BIND_TEST_POSTGRES names no database: run the tests by `cargo xtask test`, which brings one";
    let database = std::env::var("MOBILE_BIND_TEST_POSTGRES").expect(missing);
    let schema = format!("postgres_{test}_{}", std::process::id());
    let next = if database.contains('?') { '&' } else { '?' };
    let options = Options::new(&format!("{database}{next}options=-csearch_path%3D{schema}"));
    let client = connect::pool(&options, &Warnings::default()).unwrap().get().await.unwrap();
    let make = format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}");
    client.batch_execute(&make).await.unwrap();
    (options, client)
}

async fn drop_schema(client: &Client) {
    let schema: String = client.query_one("SELECT current_schema()::text", &[]).await.unwrap().get(0);
    client.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
}

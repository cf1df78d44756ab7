//! The server's keys, which all nodes of one database share.

use deadpool_postgres::Client;
use mobile_bind_domain::ports::StoreError;
use tokio::time::timeout;

use crate::PostgresStore;
use crate::fault::Fault;

impl PostgresStore {
    /// The keys for a purpose, as they were stored; `None` where there are none.
    ///
    /// # Errors
    /// Where the database cannot be asked.
    pub async fn keys(&self, purpose: &str) -> Result<Option<String>, StoreError> {
        let inner = &self.inner;
        read!(inner, client => find(client, purpose))
    }

    /// Stores the keys for a purpose in place of those that were read; `false` where others were stored meanwhile.
    ///
    /// # Errors
    /// Where the database cannot be changed.
    pub async fn replace_keys(&self, purpose: &str, known: Option<&str>, keys: &str) -> Result<bool, StoreError> {
        Ok(using!(self.inner, client => replace(client, purpose, known, keys))?)
    }
}

async fn find(client: &Client, purpose: &str) -> Result<Option<String>, Fault> {
    let row = client.query_opt("SELECT content FROM server_keys WHERE purpose = $1::text", &[&purpose]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

async fn replace(client: &Client, purpose: &str, known: Option<&str>, keys: &str) -> Result<bool, Fault> {
    let written = match known {
        None => {
            let text = "INSERT INTO server_keys (purpose, content) VALUES ($1::text, $2::text)
                ON CONFLICT (purpose) DO NOTHING";
            client.execute(text, &[&purpose, &keys]).await?
        }
        Some(known) => {
            let text = "UPDATE server_keys SET content = $2::text WHERE purpose = $1::text AND content = $3::text";
            client.execute(text, &[&purpose, &keys, &known]).await?
        }
    };
    Ok(written == 1)
}

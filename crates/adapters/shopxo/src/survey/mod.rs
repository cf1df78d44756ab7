//! A look at a shop's database before mobile-bind works on it. It reads, and changes nothing.

mod expected;
mod rows;
mod server;
mod structure;

use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::connect::{self, Held};
use crate::fault::{Fault, OpenError};
use crate::options::Options;
use crate::schema;
use crate::tables::Tables;

/// How long the whole of it may take: duplicates are found by going through indexes of all users.
const PATIENCE: Duration = Duration::from_secs(1800);

/// What was found. It names tables, columns and ids of users; no number, openid or token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// What there is.
    pub facts: Vec<String>,
    /// What mobile-bind can live with, and whoever runs the shop should know.
    pub remarks: Vec<String>,
    /// What stands in the way.
    pub obstacles: Vec<String>,
}

impl Survey {
    fn fact(&mut self, text: impl Into<String>) {
        self.facts.push(text.into());
    }

    fn remark(&mut self, text: impl Into<String>) {
        self.remarks.push(text.into());
    }

    fn obstacle(&mut self, text: impl Into<String>) {
        self.obstacles.push(text.into());
    }
}

/// Looks at the shop's database.
///
/// # Errors
/// Where it cannot be reached or read, or has no shop's tables.
pub async fn survey(options: &Options) -> Result<Survey, OpenError> {
    let (pool, tables) = connect::pool(options)?;
    let mut held = Held::of(&pool).await?;
    let conn = held.conn()?;
    let looked = tokio::time::timeout(PATIENCE, look(conn, &tables)).await;
    looked.map_err(|_| Fault::Timeout)?
}

async fn look(conn: &mut Conn, tables: &Tables) -> Result<Survey, OpenError> {
    let mut survey = Survey::default();
    server::look(conn, &mut survey).await?;
    schema::check_shop(conn, tables).await?;
    structure::look(conn, tables, &mut survey).await?;
    if survey.obstacles.is_empty() {
        // The columns are there to be asked about.
        server::look_at_rights(conn, tables, &mut survey).await?;
        rows::look(conn, tables, &mut survey).await?;
    }
    match schema::check(conn).await {
        Ok(()) => survey.fact(format!("mobile-bind's tables have version {}", schema::VERSION)),
        Err(OpenError::Behind { found: 0, .. }) => {
            survey.fact("mobile-bind's tables are not there: mobile-bind shopxo install makes them");
        }
        Err(error @ (OpenError::Behind { .. } | OpenError::Ahead { .. })) => survey.obstacle(error.to_string()),
        Err(error) => return Err(error),
    }
    Ok(survey)
}

/// The name without its quotes.
fn plain(table: &str) -> &str {
    table.trim_matches('`')
}

async fn count(conn: &mut Conn, query: String) -> Result<u64, Fault> {
    Ok(conn.query_first(query).await?.unwrap_or_default())
}

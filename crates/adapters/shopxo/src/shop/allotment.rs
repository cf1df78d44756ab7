//! Ids of accounts: those that the shop's own table would give next, taken from it for good.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, TxOpts};

use crate::allotment::Block;
use crate::fault::Fault;
use crate::records::repeated;
use crate::tables::Tables;

/// How many ids are taken at once: at first few, then as many as were taken before. Those that a process has not used when it
/// ends are lost.
const FEWEST: usize = 4;
const MOST: usize = 64;

/// How many ids are taken next, where so many were before.
pub(crate) fn block(taken: usize) -> usize {
    taken.clamp(FEWEST, MOST)
}

/// The next ids of the shop's table, so many, in their order. Rows are inserted and the insertion is taken back: what an
/// auto-increment has counted it does not give again, to PHP or to another node. Where a server forgets that when it starts
/// anew (MySQL 5.7), an id may be given twice; the second who writes a row of it finds it taken, and begins anew.
pub(crate) async fn take(conn: &mut Conn, tables: &Tables, ids: usize) -> Result<Vec<Block>, Fault> {
    let mut rows = conn.start_transaction(TxOpts::default()).await?;
    // Names the rows of this connection, which nobody else ever sees.
    let mark: Option<String> = rows.query_first("SELECT CONCAT('mobile-bind allots ', CONNECTION_ID())").await?;
    let mark = mark.ok_or(Fault::Unreadable("connection's number"))?;
    let places = repeated("(?)", ids, ", ");
    let insert = format!("INSERT INTO {} (username) VALUES {places}", tables.user());
    rows.exec_drop(insert, vec![mark.as_str(); ids]).await?;
    let question = format!("SELECT id FROM {} WHERE username = ? ORDER BY id", tables.user());
    let found: Vec<u64> = rows.exec(question, (mark.as_str(),)).await?;
    rows.rollback().await?;
    Ok(found.into_iter().map(|id| Block { next: id, end: id + 1 }).collect())
}

//! The server's keys, which all nodes of one database share.

use mysql_async::Conn;

use crate::fault::{Fault, Rejection};
use crate::records::{execute, one};

/// The keys for a purpose, as they were stored.
pub(crate) async fn find(conn: &mut Conn, purpose: &str) -> Result<Option<String>, Fault> {
    let text = "SELECT content FROM mb_server_keys WHERE purpose = ?";
    one(conn, "server key", text, vec![purpose.into()], |columns| columns.read(|text| Some(text.to_owned()))).await
}

/// Stores the keys for a purpose in place of those that were read; a conflict where others were stored meanwhile.
pub(crate) async fn replace(conn: &mut Conn, purpose: &str, known: Option<&str>, keys: &str) -> Result<(), Rejection> {
    let written = match known {
        None => {
            let text = "INSERT INTO mb_server_keys (purpose, content) VALUES (?, ?)";
            execute(conn, text, vec![purpose.into(), keys.into()]).await?
        }
        Some(known) => {
            let text = "UPDATE mb_server_keys SET content = ? WHERE purpose = ? AND content = ?";
            execute(conn, text, vec![keys.into(), purpose.into(), known.into()]).await?
        }
    };
    if written == 1 { Ok(()) } else { Err(Rejection::Conflict) }
}

//! Whether the database can be read and written.

use std::time::Duration;

use mysql_async::Conn;

use crate::fault::{Fault, Rejection};
use crate::records::{execute, one};

/// How long a probe waits for the database at most.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// Changes no row, and is refused where changes are.
pub(crate) async fn takes_changes(conn: &mut Conn) -> Result<(), Rejection> {
    execute(conn, "UPDATE mb_leases SET node = node WHERE name = ''", Vec::new()).await.map(|_| ())
}

/// Warns where what is committed may be lost with the machine: the server's own setting decides, and it is the shop's.
pub(crate) async fn warn_of_durability(conn: &mut Conn) -> Result<(), Fault> {
    let text = "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit";
    match one(conn, "setting", text, Vec::new(), |columns| columns.take::<u64>()).await {
        Ok(Some(1)) | Ok(None) => Ok(()),
        Ok(Some(found)) => {
            tracing::warn!(
                innodb_flush_log_at_trx_commit = found,
                "the database answers before what it commits is on the disk: what was answered may be lost with the machine"
            );
            Ok(())
        }
        // Systems that only speak the protocol may not know it.
        Err(fault) if fault.code().is_some() => Ok(()),
        Err(Fault::Unreadable(_)) => Ok(()),
        Err(fault) => Err(fault),
    }
}

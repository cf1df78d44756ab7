//! Receipts.

use mobile_bind_domain::bind::BindReceipt;
use mobile_bind_domain::{ChallengeKey, SessionId};
use mysql_async::{Conn, Value};

use super::{execute, one, stored_client};
use crate::fault::{Fault, Rejection};

const KIND: &str = "receipt";

const FIND: &str =
    "SELECT fingerprint, expires_at, user_id, session_id FROM mb_receipts WHERE mobile = ? AND client = ?";

const WRITE: &str = "INSERT INTO mb_receipts (mobile, client, fingerprint, expires_at, user_id, session_id)
VALUES (?, ?, ?, ?, ?, ?)
ON DUPLICATE KEY UPDATE fingerprint = VALUES(fingerprint), expires_at = VALUES(expires_at), user_id = VALUES(user_id),
    session_id = VALUES(session_id)";

fn named(key: &ChallengeKey) -> [Value; 2] {
    [key.mobile.as_str().into(), stored_client(&key.client)]
}

/// What the last bind of a number by a client answered.
pub(crate) async fn find(conn: &mut Conn, key: &ChallengeKey) -> Result<Option<BindReceipt>, Fault> {
    one(conn, KIND, FIND, named(key).into(), |columns| {
        Ok(BindReceipt {
            fingerprint: columns.bytes()?,
            expires_at: columns.timestamp()?,
            account: columns.account()?,
            session: columns.bytes_some()?.map(SessionId),
        })
    })
    .await
}

/// Keeps a receipt in place of the last one.
pub(crate) async fn write(conn: &mut Conn, key: &ChallengeKey, receipt: &BindReceipt) -> Result<(), Rejection> {
    let mut values = Vec::from(named(key));
    values.extend([
        receipt.fingerprint.into(),
        receipt.expires_at.as_millis().into(),
        receipt.account.get().into(),
        receipt.session.map(|session| session.0).into(),
    ]);
    execute(conn, WRITE, values).await.map(|_| ())
}

//! Receipts.

use mobile_bind_domain::bind::BindReceipt;
use mobile_bind_domain::{ChallengeKey, SessionId};
use mysql_async::{Conn, Value};

use super::{Columns, insert, stored_client};
use crate::fault::{Fault, Rejection};
use crate::question::Column::{Bytes, Number};
use crate::question::{Asked, Kind, Question};

const KIND: &str = "receipt";

static STORED: Kind<BindReceipt> = Kind {
    name: KIND,
    columns: &[Bytes("fingerprint"), Number("expires_at"), Number("user_id"), Bytes("session_id")],
    take,
};

fn take(columns: &mut Columns) -> Result<BindReceipt, Fault> {
    Ok(BindReceipt {
        fingerprint: columns.bytes()?,
        expires_at: columns.timestamp()?,
        account: columns.account()?,
        session: columns.bytes_some()?.map(SessionId),
    })
}

fn named(key: &ChallengeKey) -> [Value; 2] {
    [key.mobile.as_str().into(), stored_client(&key.client)]
}

/// Asks what the last bind of a number by a client answered.
pub(crate) fn ask(question: &mut Question, key: &ChallengeKey) -> Asked<BindReceipt> {
    question.add(&STORED, "mb_receipts WHERE mobile = ? AND client = ?", named(key).into())
}

/// Keeps receipts in place of the last ones.
pub(crate) async fn write(conn: &mut Conn, receipts: &[(&ChallengeKey, &BindReceipt)]) -> Result<(), Rejection> {
    let row = |(key, receipt): &(&ChallengeKey, &BindReceipt)| {
        let mut values = Vec::from(named(key));
        values.extend([
            receipt.fingerprint.into(),
            receipt.expires_at.as_millis().into(),
            receipt.account.get().into(),
            receipt.session.map(|session| session.0).into(),
        ]);
        values
    };
    let rows: Vec<_> = receipts.iter().map(row).collect();
    let into = "INSERT INTO mb_receipts (mobile, client, fingerprint, expires_at, user_id, session_id)";
    let otherwise = "ON DUPLICATE KEY UPDATE fingerprint = VALUES(fingerprint), expires_at = VALUES(expires_at), \
         user_id = VALUES(user_id), session_id = VALUES(session_id)";
    insert(conn, into, &rows, otherwise).await.map(|_| ())
}

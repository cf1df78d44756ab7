//! Receipts.

use mobile_bind_domain::bind::BindReceipt;
use mobile_bind_domain::{ChallengeKey, SessionId};

use super::{Part, account_id, bytes, millis, stored_client, stored_id, stored_text, timestamp, touch};
use crate::fault::Fault;
use crate::query::{Columns, Form, Holds, Value};

const KIND: &str = "receipt";

/// How many columns follow the fingerprint.
const REST: usize = 3;

/// The columns of the receipt `r`, in the order [`take`] reads them.
pub(crate) const COLUMNS: &str = "r.fingerprint, r.expires_at, r.account_id, r.session_id";

/// Reads a receipt; `None` where it is not there.
pub(crate) fn take(columns: &mut Columns<'_>) -> Result<Option<BindReceipt>, Fault> {
    let Some(fingerprint) = columns.present::<&[u8]>(KIND, REST)? else { return Ok(None) };
    Ok(Some(BindReceipt {
        fingerprint: bytes(fingerprint, KIND)?,
        expires_at: timestamp(columns.take(KIND)?, KIND)?,
        account: account_id(columns.take(KIND)?, KIND)?,
        session: columns.take::<Option<&[u8]>>(KIND)?.map(|id| bytes(id, KIND).map(SessionId)).transpose()?,
    }))
}

const WRITE: Form = Form {
    rank: 40,
    holds: Holds::Always,
    text: "INSERT INTO receipts (mobile, client, fingerprint, expires_at, account_id, session_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bytea[])
ON CONFLICT (mobile, client) DO UPDATE SET fingerprint = excluded.fingerprint,
    expires_at = excluded.expires_at, account_id = excluded.account_id, session_id = excluded.session_id",
};

/// Keeps a receipt in place of the last one.
pub(crate) fn write(key: &ChallengeKey, receipt: &BindReceipt) -> Part {
    let (mobile, client) = (stored_text(key.mobile.as_str()), stored_client(&key.client));
    let touches = vec![touch(KIND, &[&mobile, &client])];
    let row = vec![
        mobile.into(),
        client.into(),
        receipt.fingerprint.to_vec().into(),
        millis(receipt.expires_at).into(),
        stored_id(receipt.account).into(),
        Value::Bytes(receipt.session.map(|session| session.0.to_vec())),
    ];
    Part { form: &WRITE, row, touches }
}

//! Proofs, and what is spent.

use mobile_bind_domain::ports::{Evidence, EvidenceQuery};
use mobile_bind_domain::{Proof, ProofId, SealedSessionKey, SpentMark, Timestamp, UnionId};
use mysql_async::{Conn, Value};

use super::{Columns, all, execute, execute_on_one, limited, one};
use crate::fault::{Fault, Rejection};

const KIND: &str = "proof";
const MARK: &str = "spent mark";

const FIND: &str = "SELECT proved_at, expires_at, unionid, session_key FROM mb_proofs WHERE id = ?";
const AFTER: &str =
    "SELECT id, proved_at, expires_at, unionid, session_key FROM mb_proofs WHERE id > ? ORDER BY id LIMIT ?";
const SPENT_AFTER: &str = "SELECT mark, until FROM mb_spent WHERE mark > ? ORDER BY mark LIMIT ?";

const WRITE: &str = "INSERT INTO mb_proofs (id, unionid, session_key, proved_at, expires_at) VALUES (?, ?, ?, ?, ?)
ON DUPLICATE KEY UPDATE unionid = VALUES(unionid), session_key = VALUES(session_key), proved_at = VALUES(proved_at),
    expires_at = VALUES(expires_at)";

fn take(columns: &mut Columns) -> Result<Proof, Fault> {
    let (proved_at, expires_at) = (columns.timestamp()?, columns.timestamp()?);
    let unionid = columns.read_some(UnionId::new)?;
    let sealed = columns.take::<Option<Vec<u8>>>()?;
    let session_key = sealed.map(|sealed| SealedSessionKey::new(&sealed).ok_or(Fault::Unreadable(KIND))).transpose()?;
    Ok(Proof { unionid, session_key, proved_at, expires_at })
}

/// What speaks for an openid.
pub(crate) async fn evidence(conn: &mut Conn, query: &EvidenceQuery) -> Result<Evidence, Fault> {
    let proof = match query.proof {
        Some(id) => one(conn, KIND, FIND, vec![id.0.into()], take).await?,
        None => None,
    };
    Ok(Evidence { proof, spent: spent(conn, &query.marks).await? })
}

/// Which of these are spent.
async fn spent(conn: &mut Conn, marks: &[SpentMark]) -> Result<Vec<SpentMark>, Fault> {
    if marks.is_empty() {
        return Ok(Vec::new());
    }
    let places = vec!["?"; marks.len()].join(", ");
    let text = format!("SELECT mark FROM mb_spent WHERE mark IN ({places})");
    let values = marks.iter().map(|mark| mark.0.into()).collect();
    all(conn, MARK, &text, values, |columns| columns.bytes().map(SpentMark)).await
}

/// The proofs after an id, in order.
pub(crate) async fn after(
    conn: &mut Conn,
    after: Option<ProofId>,
    limit: usize,
) -> Result<Vec<(ProofId, Proof)>, Fault> {
    // Nothing sorts before no bytes.
    let first: Value = after.map_or_else(Vec::new, |id| id.0.to_vec()).into();
    let take = |columns: &mut Columns| Ok((ProofId(columns.bytes()?), take(columns)?));
    all(conn, KIND, AFTER, vec![first, limited(limit)], take).await
}

/// The marks after another, in order.
pub(crate) async fn spent_after(
    conn: &mut Conn,
    after: Option<SpentMark>,
    limit: usize,
) -> Result<Vec<(SpentMark, Timestamp)>, Fault> {
    let first: Value = after.map_or_else(Vec::new, |mark| mark.0.to_vec()).into();
    let take = |columns: &mut Columns| Ok((SpentMark(columns.bytes()?), columns.timestamp()?));
    all(conn, MARK, SPENT_AFTER, vec![first, limited(limit)], take).await
}

/// Keeps a proof in place of the last one.
pub(crate) async fn write(conn: &mut Conn, id: ProofId, proof: &Proof) -> Result<(), Rejection> {
    let values = vec![
        id.0.into(),
        proof.unionid.as_ref().map(UnionId::as_str).into(),
        proof.session_key.as_ref().map(|sealed| sealed.as_bytes().to_vec()).into(),
        proof.proved_at.as_millis().into(),
        proof.expires_at.as_millis().into(),
    ];
    execute(conn, WRITE, values).await.map(|_| ())
}

/// Lets a proof count until then at least.
pub(crate) async fn use_until(conn: &mut Conn, id: ProofId, until: Timestamp) -> Result<(), Rejection> {
    let text = "UPDATE mb_proofs SET expires_at = GREATEST(expires_at, ?) WHERE id = ?";
    execute(conn, text, vec![until.as_millis().into(), id.0.into()]).await.map(|_| ())
}

/// Marks something as spent; that it is marked already breaks the key, which is a conflict.
pub(crate) async fn spend(conn: &mut Conn, mark: SpentMark, until: Timestamp) -> Result<(), Rejection> {
    let text = "INSERT INTO mb_spent (mark, until) VALUES (?, ?)";
    execute_on_one(conn, text, vec![mark.0.into(), until.as_millis().into()]).await
}

//! Proofs, and what is spent.

use mobile_bind_domain::ports::{Evidence, EvidenceQuery};
use mobile_bind_domain::{Proof, ProofId, SealedSessionKey, SpentMark, Timestamp, UnionId};
use mysql_async::{Conn, Value};

use super::{Columns, all, execute, insert_new, limited, repeated};
use crate::fault::{Fault, Rejection};
use crate::question::Column::{Bytes, Number};
use crate::question::{Answer, Asked, Kind, Question};

const KIND: &str = "proof";
const MARK: &str = "spent mark";

static STORED: Kind<Proof> = Kind {
    name: KIND,
    columns: &[Number("proved_at"), Number("expires_at"), Bytes("unionid"), Bytes("session_key")],
    take,
};
static MARKED: Kind<SpentMark> =
    Kind { name: MARK, columns: &[Bytes("mark")], take: |columns| columns.bytes().map(SpentMark) };

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

/// What speaks for an openid, as it is asked for.
pub(crate) struct AskedEvidence {
    proof: Option<Asked<Proof>>,
    spent: Option<Asked<SpentMark>>,
}

/// Asks for what speaks for an openid.
pub(crate) fn ask(question: &mut Question, query: &EvidenceQuery) -> AskedEvidence {
    let proof = query.proof.map(|id| question.add(&STORED, "mb_proofs WHERE id = ?", vec![id.0.into()]));
    let spent = (!query.marks.is_empty()).then(|| {
        let from = format!("mb_spent WHERE mark IN ({})", repeated("?", query.marks.len(), ", "));
        question.add(&MARKED, &from, query.marks.iter().map(|mark| mark.0.into()).collect())
    });
    AskedEvidence { proof, spent }
}

impl AskedEvidence {
    pub(crate) fn found(&self, answer: &Answer) -> Result<Evidence, Fault> {
        let spent = self.spent.as_ref().map_or_else(|| Ok(Vec::new()), |spent| answer.all(spent))?;
        Ok(Evidence { proof: answer.one(self.proof.as_ref())?, spent })
    }
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

/// Marks things as spent; that one is marked already breaks the key, which is a conflict.
pub(crate) async fn spend(conn: &mut Conn, marks: &[(SpentMark, Timestamp)]) -> Result<(), Rejection> {
    let rows: Vec<_> = marks.iter().map(|(mark, until)| vec![mark.0.into(), until.as_millis().into()]).collect();
    insert_new(conn, "INSERT INTO mb_spent (mark, until)", &rows).await
}

//! Proofs, and what is spent.

use mobile_bind_domain::ports::{Evidence, EvidenceQuery};
use mobile_bind_domain::{Proof, ProofId, SealedSessionKey, SpentMark, Timestamp, UnionId};

use super::{bytes, millis, read_some, stored_text, timestamp};
use crate::fault::Fault;
use crate::query::{Columns, Selection, Statement, parameter};

const KIND: &str = "proof";
const MARK: &str = "spent mark";

/// How many columns follow the time of the proof.
const REST: usize = 3;

/// The columns of the proof `p`, in the order [`take`] reads them.
const COLUMNS: &str = "p.proved_at, p.expires_at, p.unionid, p.session_key";

fn take(columns: &mut Columns<'_>) -> Result<Option<Proof>, Fault> {
    let Some(proved_at) = columns.present::<i64>(KIND, REST)? else { return Ok(None) };
    let expires_at = timestamp(columns.take(KIND)?, KIND)?;
    let unionid = read_some(columns.take(KIND)?, KIND, UnionId::new)?;
    let sealed = columns.take::<Option<&[u8]>>(KIND)?;
    let session_key = sealed.map(|sealed| SealedSessionKey::new(sealed).ok_or(Fault::Unreadable(KIND))).transpose()?;
    Ok(Some(Proof { unionid, session_key, proved_at: timestamp(proved_at, KIND)?, expires_at }))
}

/// Asks for what speaks for an openid: nothing where nothing may.
pub(crate) fn join_evidence(selection: &mut Selection, query: &EvidenceQuery) {
    if let Some(id) = query.proof {
        let id = selection.bind(id.0.to_vec(), "bytea");
        selection.join("proofs", "p", &format!("p.id = {id}"));
        selection.columns(COLUMNS);
    }
    if !query.marks.is_empty() {
        let marks: Vec<Vec<u8>> = query.marks.iter().map(|mark| mark.0.to_vec()).collect();
        let marks = selection.bind(marks, "bytea[]");
        selection.columns(&format!("(SELECT array_agg(x.mark) FROM spent x WHERE x.mark = ANY ({marks}))"));
    }
}

/// Reads what [`join_evidence`] asked for.
pub(crate) fn take_evidence(columns: &mut Columns<'_>, query: &EvidenceQuery) -> Result<Evidence, Fault> {
    let proof = if query.proof.is_some() { take(columns)? } else { None };
    let spent = match query.marks.is_empty() {
        true => None,
        false => columns.take::<Option<Vec<&[u8]>>>(MARK)?,
    };
    let spent = spent.unwrap_or_default().into_iter().map(|mark| bytes(mark, MARK).map(SpentMark));
    Ok(Evidence { proof, spent: spent.collect::<Result<_, _>>()? })
}

pub(crate) fn proofs_statement(after: Option<ProofId>, limit: usize) -> Statement {
    let text = format!("SELECT p.id, {COLUMNS} FROM proofs p WHERE p.id > $1::bytea ORDER BY p.id LIMIT $2::bigint");
    let after = after.map_or_else(Vec::new, |id| id.0.to_vec());
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Statement { text: text.into(), parameters: vec![parameter(after), parameter(limit)] }
}

/// Reads a row of [`proofs_statement`].
pub(crate) fn take_named(columns: &mut Columns<'_>) -> Result<(ProofId, Proof), Fault> {
    let id = ProofId(bytes(columns.take(KIND)?, KIND)?);
    Ok((id, take(columns)?.ok_or(Fault::Unreadable(KIND))?))
}

pub(crate) fn spent_statement(after: Option<SpentMark>, limit: usize) -> Statement {
    let text = "SELECT mark, until FROM spent WHERE mark > $1::bytea ORDER BY mark LIMIT $2::bigint";
    let after = after.map_or_else(Vec::new, |mark| mark.0.to_vec());
    Statement::new(text, vec![parameter(after), parameter(i64::try_from(limit).unwrap_or(i64::MAX))])
}

/// Reads a row of [`spent_statement`].
pub(crate) fn take_spent(columns: &mut Columns<'_>) -> Result<(SpentMark, Timestamp), Fault> {
    let mark = SpentMark(bytes(columns.take(MARK)?, MARK)?);
    Ok((mark, timestamp(columns.take(MARK)?, MARK)?))
}

const WRITE: &str = "INSERT INTO proofs (id, unionid, session_key, proved_at, expires_at)
VALUES ($1::bytea, $2::text, $3::bytea, $4::bigint, $5::bigint)
ON CONFLICT (id) DO UPDATE SET unionid = excluded.unionid, session_key = excluded.session_key,
    proved_at = excluded.proved_at, expires_at = excluded.expires_at";

/// Keeps a proof in place of the last one.
pub(crate) fn write(id: ProofId, proof: &Proof) -> Statement {
    let parameters = vec![
        parameter(id.0.to_vec()),
        parameter(proof.unionid.as_ref().map(|unionid| stored_text(unionid.as_str()))),
        parameter(proof.session_key.as_ref().map(|sealed| sealed.as_bytes().to_vec())),
        parameter(millis(proof.proved_at)),
        parameter(millis(proof.expires_at)),
    ];
    Statement::new(WRITE, parameters)
}

/// Lets a proof count until then at least.
pub(crate) fn use_until(id: ProofId, until: Timestamp) -> Statement {
    let text = "UPDATE proofs SET expires_at = greatest(expires_at, $2::bigint) WHERE id = $1::bytea";
    Statement::new(text, vec![parameter(id.0.to_vec()), parameter(millis(until))])
}

/// Marks something as spent; that it is marked already breaks the key, which is a conflict.
pub(crate) fn spend(mark: SpentMark, until: Timestamp) -> Statement {
    let text = "INSERT INTO spent (mark, until) VALUES ($1::bytea, $2::bigint)";
    Statement::new(text, vec![parameter(mark.0.to_vec()), parameter(millis(until))])
}

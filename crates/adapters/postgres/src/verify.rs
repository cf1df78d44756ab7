//! Going through a whole database: what is in it, and whether it fits together.

use std::collections::BTreeMap;

use deadpool_postgres::Client;

use crate::fault::{Fault, OpenError};
use crate::hosts::Warnings;
use crate::options::Options;
use crate::{connect, load, schema};

/// What a database holds, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The schema's version.
    pub version: i64,
    /// How many rows each table has.
    pub rows: BTreeMap<&'static str, u64>,
    /// How many bytes the tables and their indexes take.
    pub bytes: u64,
    /// What is wrong, and how often. Names kinds of records, never what is in them.
    pub problems: BTreeMap<&'static str, u64>,
}

const TABLES: [(&str, &str); 13] = [
    ("accounts", "SELECT count(*), pg_total_relation_size('accounts') FROM accounts"),
    ("identities", "SELECT count(*), pg_total_relation_size('identities') FROM identities"),
    ("challenges", "SELECT count(*), pg_total_relation_size('challenges') FROM challenges"),
    ("receipts", "SELECT count(*), pg_total_relation_size('receipts') FROM receipts"),
    ("idempotency_keys", "SELECT count(*), pg_total_relation_size('idempotency_keys') FROM idempotency_keys"),
    ("sessions", "SELECT count(*), pg_total_relation_size('sessions') FROM sessions"),
    ("meters", "SELECT count(*), pg_total_relation_size('meters') FROM meters"),
    ("audit events", "SELECT count(*), pg_total_relation_size('audit_events') FROM audit_events"),
    ("audit checkpoints", "SELECT count(*), pg_total_relation_size('audit_checkpoints') FROM audit_checkpoints"),
    ("proofs", "SELECT count(*), pg_total_relation_size('proofs') FROM proofs"),
    ("spent", "SELECT count(*), pg_total_relation_size('spent') FROM spent"),
    ("messages", "SELECT count(*), pg_total_relation_size('messages') FROM messages"),
    ("message references", "SELECT count(*), pg_total_relation_size('message_references') FROM message_references"),
];

/// Unique indexes see to it that nothing is held twice; what they cannot see is looked for here.
const CHECKS: [(&str, &str); 3] = [
    (
        "an identity belongs to no account",
        "SELECT count(*) FROM identities i LEFT JOIN accounts a ON a.id = i.account_id WHERE a.id IS NULL",
    ),
    (
        "an identity is held by an account that is not live, or not held by one that is",
        "SELECT count(*) FROM identities i JOIN accounts a ON a.id = i.account_id
         WHERE i.held <> (a.deleted_at IS NULL AND a.closed_at IS NULL)",
    ),
    (
        "a session belongs to no account",
        "SELECT count(*) FROM sessions s LEFT JOIN accounts a ON a.id = s.account_id WHERE a.id IS NULL",
    ),
];

/// This reads whole tables, on purpose.
const READ_WHOLE: [&str; 3] = ["RESET enable_seqscan", "RESET enable_hashjoin", "RESET enable_mergejoin"];

/// How many accounts are read together.
const PAGE: usize = 4_096;

/// Goes through a database, while nodes run or not; tells `progress` how many accounts it has read. Nothing is mended.
///
/// # Errors
/// Where the database cannot be reached or read.
pub async fn verify(options: &Options, mut progress: impl FnMut(u64)) -> Result<Findings, OpenError> {
    let pool = connect::pool(options, &Warnings::default())?;
    let client = pool.get().await.map_err(Fault::from)?;
    schema::check(&client).await?;
    let mut findings = Findings { version: schema::VERSION, ..Findings::default() };
    unreadable(&client, &mut findings, &mut progress).await?;
    for setting in READ_WHOLE {
        if let Err(error) = client.batch_execute(setting).await
            && error.code().is_none()
        {
            return Err(Fault::from(error).into());
        }
    }
    for (name, text) in TABLES {
        let row = client.query_one(text, &[]).await.map_err(Fault::from)?;
        let (rows, bytes): (i64, i64) = (row.get(0), row.get(1));
        findings.rows.insert(name, rows.unsigned_abs());
        findings.bytes += bytes.unsigned_abs();
    }
    for (problem, text) in CHECKS {
        let row = client.query_one(text, &[]).await.map_err(Fault::from)?;
        note(&mut findings, problem, row.get::<_, i64>(0).unsigned_abs());
    }
    Ok(findings)
}

fn note(findings: &mut Findings, problem: &'static str, times: u64) {
    if times > 0 {
        *findings.problems.entry(problem).or_default() += times;
    }
}

/// Reads every account as the service does.
async fn unreadable(client: &Client, findings: &mut Findings, progress: &mut impl FnMut(u64)) -> Result<(), OpenError> {
    let (mut after, mut seen) = (0, 0);
    loop {
        let page = load::page(client, after, PAGE).await?;
        let Some(last) = page.last else { return Ok(()) };
        note(findings, "an account cannot be read", page.unreadable);
        seen += page.rows;
        after = last;
        progress(seen);
    }
}

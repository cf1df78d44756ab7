//! Changes: all their statements are sent at once, in one transaction, and answered at once.
//!
//! The transaction's isolation is READ COMMITTED. Each statement's condition is on rows that it writes or locks, so that it
//! is looked at again when another transaction that was waited for has changed them; one that does not hold divides by
//! zero, and with that the whole transaction fails, although its end was sent along. Only the absence of a record that is
//! expected but not written is not locked: it held when the statement ran, and the change stands before whatever came then.
//!
//! A commit that is answered with a warning is not confirmed; [`Warnings`] says why.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use deadpool_postgres::Client;
use mobile_bind_domain::{AuditNode, Change, Expectation, Revision, Write};

use crate::fault::{Fault, Rejection};
use crate::hosts::Warnings;
use crate::query::{Parameter, Statement, references};
use crate::records::{account, audit, challenge, idempotency, message, proof, receipt, session, tally};

/// The statements of a change. Whatever the change's own order, idempotency keys come first, then challenges, accounts,
/// sessions, receipts, counts, proofs, marks, messages and the audit: so changes that meet wait for each other, and do not lock
/// each other out. What is expected comes before what is
/// written.
pub(crate) fn statements(change: &Change, revision: Revision, node: AuditNode) -> Result<Vec<Statement>, Fault> {
    let mut place = 0_u8;
    let mut ordered: Vec<(u8, Statement)> = Vec::with_capacity(change.expectations.len() + change.writes.len());
    for expectation in &change.expectations {
        ordered.push(match expectation {
            Expectation::Idempotency(name, known) => (0, idempotency::unchanged(*name, *known)),
            Expectation::Challenge(key, known) => (0, challenge::unchanged(key, *known)),
            Expectation::Account(id, known) => (2, account::unchanged(*id, *known)),
            Expectation::Session(id) => (4, session::there(*id)),
            Expectation::Room { subject, at, kept } => {
                for quota in kept {
                    ordered.push((7, tally::room(subject, *at, quota)?));
                }
                continue;
            }
        });
    }
    for write in &change.writes {
        match write {
            Write::Challenge { expected, key, challenge } => {
                ordered.push((1, challenge::write(*expected, key, challenge.as_ref(), revision)));
            }
            Write::Account { expected, account } => ordered.push((3, account::write(*expected, account, revision))),
            Write::OpenSession(opened) => ordered.push((5, session::open(opened))),
            Write::UseSession(id, at) => ordered.push((5, session::use_at(*id, *at))),
            Write::EndSession(id) => ordered.push((5, session::end(*id))),
            Write::EndSessions { account, except } => ordered.push((5, session::end_all(*account, *except))),
            Write::Audit(event) => {
                ordered.push((10, audit::add(node, revision, place, event)));
                place = place.saturating_add(1);
            }
            Write::AuditCopy(event) => ordered.push((10, audit::copy(event))),
            Write::Checkpoint(checkpoint) => ordered.push((10, audit::seal(checkpoint))),
            Write::DropSegment { node, segment, last } => {
                ordered.extend(audit::drop_segment(*node, *segment, *last).map(|statement| (10, statement)));
            }
            Write::Receipt(key, kept) => ordered.push((6, receipt::write(key, kept))),
            Write::Idempotency { expected, name, record } => {
                ordered.push((0, idempotency::write(*expected, *name, record.as_ref(), revision)));
            }
            Write::Count { subject, at, kept, watched } => {
                for quota in kept {
                    ordered.push((7, tally::count(subject, *at, quota, true)?));
                }
                for quota in watched {
                    ordered.push((7, tally::count(subject, *at, quota, false)?));
                }
            }
            Write::Forget { subject, window } => ordered.push((7, tally::forget(subject, *window)?)),
            Write::Uncount { subject, at } => ordered.push((7, tally::uncount(subject, *at))),
            Write::Proof(id, kept) => ordered.push((8, proof::write(*id, kept))),
            Write::UseProof(id, until) => ordered.push((8, proof::use_until(*id, *until))),
            Write::Spend(mark, until) => ordered.push((9, proof::spend(*mark, *until))),
            Write::Message { expected, message: written } => {
                ordered.push((8, message::write(*expected, written, revision)));
                ordered.extend(message::refer(written).map(|statement| (9, statement)));
            }
        }
    }
    // Stable: within a kind the change's own order stands.
    ordered.sort_by_key(|(kind, _)| *kind);
    Ok(ordered.into_iter().map(|(_, statement)| statement).collect())
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send + 'a>>;

/// Runs all statements or none.
pub(crate) async fn run(
    client: &Client,
    statements: &[Statement],
    timeout: Duration,
    warnings: &Warnings,
) -> Result<(), Rejection> {
    let mut prepared = Vec::with_capacity(statements.len());
    for statement in statements {
        prepared.push(client.prepare_cached(&statement.text).await?);
    }
    let parameters: Vec<&[Parameter]> = statements.iter().map(|statement| statement.parameters.as_slice()).collect();
    // The end has the limit too: while the standby is away, commits that nobody waits for any more must not pile up.
    let begin = format!("BEGIN; SET LOCAL statement_timeout = {}", timeout.as_millis());
    let mut answers: Vec<Answer<'_>> = Vec::with_capacity(statements.len() + 2);
    answers.push(Box::pin(client.batch_execute(&begin)));
    for (statement, parameters) in prepared.iter().zip(parameters) {
        answers.push(Box::pin(async move {
            let parameters = references(parameters);
            client.execute(statement, &parameters).await.map(|_| ())
        }));
    }
    answers.push(Box::pin(client.batch_execute("COMMIT")));
    let warned = warnings.count();
    in_order(answers).await?;
    if warnings.count() == warned { Ok(()) } else { Err(Fault::Unconfirmed.into()) }
}

/// Has all of them under way at once, begun in their order, and answers the first failure when all have ended.
async fn in_order(mut answers: Vec<Answer<'_>>) -> Result<(), tokio_postgres::Error> {
    let mut results: Vec<Option<Result<(), tokio_postgres::Error>>> = answers.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut waiting = false;
        for (answer, result) in answers.iter_mut().zip(&mut results) {
            if result.is_none() {
                match answer.as_mut().poll(context) {
                    Poll::Ready(ended) => *result = Some(ended),
                    Poll::Pending => waiting = true,
                }
            }
        }
        if waiting { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    results.into_iter().flatten().collect()
}

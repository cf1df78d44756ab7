//! Changes: all their statements are sent at once, in one transaction, and answered at once.
//!
//! Each statement takes any number of rows: what one change writes to a table, or what several changes do that are committed
//! together. The transaction's isolation is READ COMMITTED. Each statement's condition is on rows that it writes or locks, so
//! that it is looked at again when another transaction that was waited for has changed them; one that does not hold divides
//! by zero, and with that the whole transaction fails, although its end was sent along. Only the absence of a record that is
//! expected but not written is not locked: it held when the statement ran, and the change stands before whatever came then.
//!
//! A commit that is answered with a warning is not confirmed; [`Warnings`] says why.

use std::collections::{BTreeMap, HashSet};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use deadpool_postgres::Client;
use mobile_bind_domain::{AuditNode, Change, Expectation, Revision, Write};

use crate::fault::{Fault, Rejection};
use crate::hosts::Warnings;
use crate::query::{Form, Parameter, Statement, Value, combined, references};
use crate::records::{Part, account, audit, challenge, idempotency, message, proof, receipt, session, tally, touch};

/// Statements that are no [`Form`] come before those that are, or after them.
const BEFORE: u8 = 0;
const AFTER: u8 = 100;

/// What a change is made of.
pub(crate) struct Steps {
    rows: Vec<Part>,
    /// Each with its rank.
    others: Vec<(u8, Statement)>,
    touches: HashSet<u64>,
    /// Whether no two of the rows are one row's.
    is_regular: bool,
}

impl Steps {
    fn add(&mut self, part: Part) {
        for touch in &part.touches {
            self.is_regular &= self.touches.insert(*touch);
        }
        self.rows.push(part);
    }

    /// Whether nothing is to be done.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.others.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len() + self.others.len()
    }

    /// Whether it may be committed together with others that touch nothing of what it touches.
    pub(crate) fn is_regular(&self) -> bool {
        self.is_regular
    }

    pub(crate) fn touches(&self) -> &HashSet<u64> {
        &self.touches
    }
}

/// What a change is made of. Whatever the change's own order, idempotency keys come first, then challenges, accounts, sessions,
/// receipts, counts, proofs, marks, messages and the audit: so changes that meet wait for each other, and do not lock each other out. What is
/// expected comes before what is written.
pub(crate) fn steps(change: &Change, revision: Revision, node: AuditNode) -> Result<Steps, Fault> {
    let (mut place, mut copied) = (0_u8, None);
    let mut steps = Steps { rows: Vec::new(), others: Vec::new(), touches: HashSet::new(), is_regular: true };
    for expectation in &change.expectations {
        match expectation {
            Expectation::Idempotency(name, known) => {
                steps.touches.insert(touch("idempotency key", &[&name.0]));
                steps.others.push((BEFORE, idempotency::unchanged(*name, *known)));
            }
            Expectation::Challenge(key, known) => steps.add(challenge::unchanged(key, *known)),
            Expectation::Account(id, known) => steps.add(account::unchanged(*id, *known)),
            Expectation::Session(id) => steps.add(session::there(*id)),
            Expectation::Room { subject, at, kept } => {
                for quota in kept {
                    steps.others.push((AFTER, tally::room(subject, *at, quota)?));
                }
            }
        }
    }
    for write in &change.writes {
        match write {
            Write::Challenge { expected, key, challenge } => {
                steps.add(challenge::write(*expected, key, challenge.as_ref(), revision));
            }
            Write::Account { expected, account } => {
                account::write(*expected, account, revision).into_iter().for_each(|part| steps.add(part));
            }
            Write::OpenSession(opened) => steps.add(session::open(opened)),
            Write::UseSession(id, at) => steps.add(session::use_at(*id, *at)),
            Write::EndSession(id) => steps.add(session::end(*id)),
            Write::EndSessions { account, except } => {
                // Which sessions that touches is only known there.
                steps.is_regular = false;
                steps.others.push((session::END.rank - 1, session::end_all(*account, *except)));
            }
            Write::Audit(event) => {
                steps.add(audit::add(node, revision, place, event));
                place = place.saturating_add(1);
            }
            Write::AuditCopy(event) => {
                steps.add(audit::copy(event));
                copied = copied.max(Some(event.node).filter(is_of_database));
            }
            Write::Checkpoint(checkpoint) => steps.others.push((AFTER + 3, audit::seal(checkpoint))),
            Write::DropSegment { node, segment, last } => {
                let dropped = audit::drop_segment(*node, *segment, *last);
                steps.others.extend(dropped.map(|statement| (AFTER + 3, statement)));
            }
            Write::Receipt(key, kept) => steps.add(receipt::write(key, kept)),
            Write::Idempotency { expected, name, record } => {
                steps.touches.insert(touch("idempotency key", &[&name.0]));
                steps.others.push((BEFORE, idempotency::write(*expected, *name, record.as_ref(), revision)));
            }
            Write::Count { subject, at, kept, watched } => {
                for quota in kept {
                    steps.others.push((AFTER, tally::count(subject, *at, quota, true)?));
                }
                for quota in watched {
                    steps.others.push((AFTER, tally::count(subject, *at, quota, false)?));
                }
            }
            Write::CountMany { subject, at, events, watched } => {
                for quota in watched {
                    steps.others.push((AFTER, tally::count_many(subject, *at, quota, *events)?));
                }
            }
            Write::Forget { subject, window } => steps.others.push((AFTER, tally::forget(subject, *window)?)),
            Write::Uncount { subject, at } => steps.others.push((AFTER, tally::uncount(subject, *at))),
            Write::Proof(id, kept) => steps.others.push((AFTER + 1, proof::write(*id, kept))),
            Write::UseProof(id, until) => steps.others.push((AFTER + 1, proof::use_until(*id, *until))),
            Write::Spend(mark, until) => steps.others.push((AFTER + 2, proof::spend(*mark, *until))),
            Write::Message { expected, message: written } => {
                steps.others.push((AFTER + 1, message::write(*expected, written, revision)));
                steps.others.extend(message::refer(*expected, written).map(|statement| (AFTER + 2, statement)));
            }
        }
    }
    steps.others.extend(copied.map(|node| (AFTER + 3, audit::reserve(node))));
    Ok(steps)
}

/// Whether a database gave the node its number; those of embedded stores have the first bit.
fn is_of_database(node: &AuditNode) -> bool {
    node.0 >> 31 == 0
}

/// The statements of changes that are committed together; they touch nothing in common.
pub(crate) fn statements(changes: Vec<Steps>) -> Vec<Statement> {
    let together = changes.iter().all(Steps::is_regular);
    let mut ordered: Vec<(u8, Statement)> = Vec::new();
    let mut by_form: BTreeMap<u8, (&'static Form, Vec<Vec<Value>>)> = BTreeMap::new();
    for steps in changes {
        for Part { form, row, .. } in steps.rows {
            if together {
                by_form.entry(form.rank).or_insert_with(|| (form, Vec::new())).1.push(row);
            } else {
                ordered.push((form.rank, combined(vec![(form, vec![row])])));
            }
        }
        ordered.extend(steps.others);
    }
    // A session that is opened takes the place of one that is ended.
    if by_form.contains_key(&session::END.rank) && by_form.contains_key(&session::OPEN.rank) {
        ordered.extend(by_form.into_iter().map(|(rank, form)| (rank, combined(vec![form]))));
    } else if let Some(&first) = by_form.keys().next() {
        ordered.push((first, combined(by_form.into_values().collect())));
    }
    // Stable: within a rank the changes' own order stands.
    ordered.sort_by_key(|(rank, _)| *rank);
    ordered.into_iter().map(|(_, statement)| statement).collect()
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
